#include "storage/views/worker/view_worker.h"

#include <sys/resource.h>

#include "storage/views/types/within_memory.h"

namespace runnel::storage::views {
namespace {

constexpr std::chrono::milliseconds kAfterError{200};
constexpr int kLowPriority = 10;

}  // namespace

ViewWorker::ViewWorker(Store& store, TopicRounds& rounds, ViewWorkerOptions options)
    : rounds_(rounds),
      options_(std::move(options)),
      watch_(store.watch(rounds.partitions(), [this] { wake(); })),
      thread_([this] { work(); }) {}

void ViewWorker::stop() {
  {
    const MutexLock lock(mutex_);
    stopped_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
  watch_.reset();
}

void ViewWorker::wake() {
  const MutexLock lock(mutex_);
  news_ = true;
  changed_.notify_all();
}

bool ViewWorker::wait_for_news() {
  {
    MutexLock lock(mutex_);
    while (!news_ && !stopped_) changed_.wait(lock);
    if (stopped_) return false;
    news_ = false;
  }
  std::vector<std::uint32_t> changed;
  watch_->take(changed);  // all are looked at; taking says that we will be told again
  return true;
}

bool ViewWorker::rest(std::chrono::nanoseconds time) {
  const auto until = std::chrono::steady_clock::now() + time;
  MutexLock lock(mutex_);
  while (!stopped_) {
    if (changed_.wait_until(lock, until) == std::cv_status::timeout) break;
  }
  return !stopped_;
}

std::chrono::nanoseconds ViewWorker::ahead() const {
  if (options_.records_per_second == 0) return {};
  const std::chrono::duration<double> due(static_cast<double>(rounds_.records()) /
                                          static_cast<double>(options_.records_per_second));
  const auto end = began_ + std::chrono::duration_cast<std::chrono::nanoseconds>(due);
  return end - std::chrono::steady_clock::now();
}

void ViewWorker::work() {
  // Of this thread alone, as Linux has it.
  if (options_.low_priority) static_cast<void>(setpriority(PRIO_PROCESS, 0, kLowPriority));
  while (wait_for_news()) {
    while (true) {
      const auto more = within_memory("a round of views", [this] { return rounds_.round(); });
      if (!more && options_.report) options_.report(more.error());
      const bool done = finish_round();
      {
        const MutexLock lock(mutex_);
        changed_.notify_all();
        if (stopped_) return;
      }
      if (more && !*more && done) break;
      const auto pause = more && done ? ahead() : std::chrono::nanoseconds(kAfterError);
      if (pause.count() > 0 && !rest(pause)) return;
    }
  }
}

bool ViewWorker::finish_round() {
  if (!options_.after_round) return true;
  const auto done = within_memory("what follows a round of views",
                                  [this] { return Result<bool>(options_.after_round()); });
  if (!done && options_.report) options_.report(done.error());
  return done && *done;
}

bool ViewWorker::wait_applied(std::size_t partition, Offset offset,
                              std::chrono::milliseconds patience) {
  const auto until = std::chrono::steady_clock::now() + patience;
  MutexLock lock(mutex_);
  while (rounds_.applied(partition) < offset) {
    if (stopped_) return false;
    if (changed_.wait_until(lock, until) == std::cv_status::timeout) {
      return rounds_.applied(partition) >= offset;
    }
  }
  return true;
}

}  // namespace runnel::storage::views
