// The Reader's pool: what would keep a network thread waiting, and what is read before it is asked
// for.
#include <algorithm>

#include "storage/log/reader.h"

namespace runnel::storage {
namespace {

/// One of them may be reading ahead.
constexpr std::size_t kPoolThreads = 3;
/// Read ahead at a time: a disk is busy with it for about as long as a client is with an answer.
constexpr std::uint32_t kChunkBytes = 4u << 20;

}  // namespace

void Reader::go_ahead(const FetchRequest& request, const Answer& answer) {
  for (std::size_t i = 0; i < answer.result.size(); ++i) {
    const FetchedPartition& out = answer.result[i];
    const auto& pieces = answer.pieces[i];
    if (out.error || pieces.empty() || out.next >= out.high_watermark) continue;
    const bool waited =
        std::any_of(pieces.begin(), pieces.end(), [](const Piece& p) { return !p.sound(); });
    if (!waited && ahead_.idle()) continue;
    const PartitionRef& partition = request.items[i].partition;
    const auto from =
        ahead_.given(partition->id(), request.items[i].from, out.next, waited, Clock::now());
    if (!from) continue;
    MutexLock lock(mutex_);
    if (closed_) return;
    start_pool();
    chunks_.emplace_back(partition, *from);
    jobs_changed_.notify_one();
  }
}

void Reader::read_chunk(const PartitionRef& partition, Offset from) {
  if (!ahead_.is_awaited(partition->id(), Clock::now())) {
    return ahead_.finished(partition->id(), from, from, /*waited=*/false);
  }
  FetchRequest request;
  request.items.push_back({partition, from, kChunkBytes});
  request.max_bytes = kChunkBytes;
  Answer answer = plan(request, /*blocking=*/true);
  const auto& pieces = answer.pieces.front();
  const bool waited =
      std::any_of(pieces.begin(), pieces.end(), [](const Piece& p) { return !p.sound(); });
  verify(answer);
  const FetchedPartition& out = answer.result.front();
  ahead_.finished(partition->id(), from, out.error ? from : out.next, waited);
}

void Reader::start_pool() {
  if (!pool_.empty()) return;
  for (std::size_t i = 0; i < kPoolThreads; ++i) pool_.emplace_back([this] { run_pool(); });
}

void Reader::in_pool(std::function<void()> job) {
  {
    MutexLock lock(mutex_);
    if (!closed_) {
      start_pool();
      jobs_.push_back(std::move(job));
      jobs_changed_.notify_one();
      return;
    }
  }
  job();
}

void Reader::run_pool() {
  MutexLock lock(mutex_);
  while (true) {
    // One thread at a time reads ahead: the others are there for those who wait.
    const auto may_read_ahead = [this]() RUNNEL_REQUIRES(mutex_) {
      return !chunks_.empty() && !chunk_running_ && !closed_;
    };
    while (jobs_.empty() && !may_read_ahead() && !closed_) jobs_changed_.wait(lock);
    if (!jobs_.empty()) {
      const std::function<void()> job = std::move(jobs_.front());
      jobs_.pop_front();
      lock.unlock();
      job();
      lock.lock();
    } else if (may_read_ahead()) {
      const auto [partition, from] = std::move(chunks_.front());
      chunks_.pop_front();
      chunk_running_ = true;
      lock.unlock();
      read_chunk(partition, from);
      lock.lock();
      chunk_running_ = false;
    } else {
      return;
    }
  }
}

}  // namespace runnel::storage
