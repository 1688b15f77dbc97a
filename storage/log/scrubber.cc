#include "storage/log/scrubber.h"

#include <algorithm>

namespace runnel::storage {
namespace {

/// How often the thread looks what is due.
constexpr std::chrono::seconds kTick{10};
/// A thread that was held up for longer does not make good for it in one go.
constexpr std::chrono::seconds kMostAtOnce{60};
constexpr std::size_t kEntriesAtOnce = 256;
/// So many places are told apart; more are counted, and told of once each pass.
constexpr std::size_t kMostKnown = 10'000;

}  // namespace

Scrubber::Scrubber(ScrubberOptions options, const Reader& reader, const Topics& topics,
                   const Journal& journal, const ScrubPlace& place)
    : options_(std::move(options)),
      reader_(reader),
      topics_(topics),
      journal_(journal),
      last_run_(options_.clock->monotonic()),
      place_(place) {
  stats_.pass_ended = place.pass_ended;
}

void Scrubber::start() {
  if (options_.interval.count() != 0) thread_ = std::thread([this] { work(); });
}

void Scrubber::stop() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

bool Scrubber::stopping() const {
  MutexLock lock(mutex_);
  return stopping_;
}

ScrubPlace Scrubber::place() const {
  MutexLock lock(mutex_);
  return place_;
}

ScrubberStats Scrubber::stats() const {
  MutexLock lock(mutex_);
  return stats_;
}

void Scrubber::work() {
  while (true) {
    {
      MutexLock lock(mutex_);
      const auto until = std::chrono::steady_clock::now() + kTick;
      while (!stopping_ && std::chrono::steady_clock::now() < until) {
        changed_.wait_until(lock, until);
      }
      if (stopping_) return;
    }
    MutexLock lock(run_mutex_);
    run_due(/*paced=*/true);
  }
}

void Scrubber::run_due() {
  MutexLock lock(run_mutex_);
  run_due(/*paced=*/false);
}

void Scrubber::run_due(bool paced) {
  const auto now = options_.clock->monotonic();
  auto passed = now - last_run_;
  last_run_ = now;
  if (options_.interval.count() == 0) return;
  if (paced) passed = std::min<std::chrono::nanoseconds>(passed, kMostAtOnce);
  std::vector<PartitionRef> partitions = topics_.all_partitions();
  std::uint64_t live = 0;
  for (const PartitionRef& p : partitions) live += p->view().live_bytes();
  const std::chrono::duration<double> seconds = passed;
  const std::chrono::duration<double> interval = options_.interval;
  budget_ += static_cast<double>(live) * (seconds / interval);
  if (budget_ <= 0) return;
  const ScrubPlace from = place();
  if (from.partition == PartitionId(0) && from.offset == Offset(0)) {
    // What is not cold yet costs nothing, and a pass may be over early: the next one waits.
    if (now < next_pass_) {
      budget_ = 0;
      return;
    }
    next_pass_ = now + options_.interval;
  }
  std::sort(partitions.begin(), partitions.end(),
            [](const PartitionRef& a, const PartitionRef& b) { return a->id() < b->id(); });
  for (const PartitionRef& partition : partitions) {
    const ScrubPlace at = place();
    if (partition->id() < at.partition) continue;
    if (partition->id() > at.partition) go_to(partition->id(), Offset(0));
    if (scrub(partition)) return;
  }
  budget_ = 0;
  MutexLock lock(mutex_);
  place_ = {PartitionId(0), Offset(0), options_.clock->now()};
  stats_.pass_ended = place_.pass_ended;
  ++stats_.passes;
}

void Scrubber::go_to(PartitionId partition, Offset offset) {
  MutexLock lock(mutex_);
  place_.partition = partition;
  place_.offset = offset;
}

bool Scrubber::scrub(const PartitionRef& partition) {
  while (true) {
    const Partition::View view = partition->view();
    const Offset from = std::max(place().offset, view.start.offset);
    if (view.deleted || from >= view.high_watermark) return false;
    std::vector<IndexEntry> entries;
    const Status listed =
        reader_.for_each_entry(*partition, from, view.high_watermark, [&](const IndexEntry& e) {
          entries.push_back(e);
          return entries.size() < kEntriesAtOnce;
        });
    if (!listed) options_.report(listed.error().within(partition->name()));
    if (entries.empty()) return false;
    for (const IndexEntry& entry : entries) {
      if (budget_ <= 0 || stopping()) return true;
      verify(partition, entry, view.moves);
      go_to(partition->id(), entry.last + 1);
    }
  }
}

void Scrubber::verify(const PartitionRef& partition, const IndexEntry& entry, std::uint64_t moves) {
  if (entry.bytes == 0 || entry.position.segment == journal_.current_segment()) return;
  budget_ -= static_cast<double>(entry.bytes);
  const auto look = [&]() -> Status {
    RUNNEL_TRY_ASSIGN(const auto file, reader_.file_of(entry));
    const bool cached = file->resident(entry.position.offset, entry.bytes);
    const auto batches = reader_.read_checked(entry);
    // What nobody else needs in memory does not stay there.
    if (!cached) file->dont_need(entry.position.offset, entry.bytes);
    if (!batches) return fail(batches.error());
    return {};
  };
  const Status sound = look();
  {
    MutexLock lock(mutex_);
    stats_.bytes += entry.bytes;
  }
  if (sound) return;
  // A trim or a move that ran meanwhile explains it.
  const Partition::View now = partition->view();
  if (now.deleted || now.moves != moves || entry.last < now.start.offset) return;
  found(*partition, entry, sound.error());
}

void Scrubber::found(const Partition& partition, const IndexEntry& entry, const Error& error) {
  {
    MutexLock lock(mutex_);
    if (known_.size() < kMostKnown && !known_.emplace(partition.id(), entry.base).second) return;
    ++stats_.damages;
  }
  options_.report(Error(
      error.code(), partition.name() + " offsets " + std::to_string(entry.base.value()) + " to " +
                        std::to_string(entry.last.value()) + ", in " + entry.position.to_string() +
                        ": " + error.message() +
                        ". All others are served. Stop the broker and put the file back from a "
                        "backup, or let `runnel repair` put the damage aside"));
}

}  // namespace runnel::storage
