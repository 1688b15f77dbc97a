#include "storage/views/worker/view_worker.h"

namespace runnel::storage::views {
namespace {

constexpr std::chrono::milliseconds kAfterError{200};

}  // namespace

ViewWorker::ViewWorker(Store& store, TopicViews& views, std::function<void(const Error&)> report)
    : views_(views),
      report_(std::move(report)),
      watch_(store.watch(views.partitions(), [this] { wake(); })),
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

void ViewWorker::work() {
  while (wait_for_news()) {
    while (true) {
      const auto more = views_.round();
      if (!more) report_(more.error());
      MutexLock lock(mutex_);
      changed_.notify_all();
      if (!more && !stopped_) changed_.wait_for(lock, kAfterError);
      if (stopped_) return;
      if (more && !*more) break;
    }
  }
}

bool ViewWorker::wait_applied(std::size_t partition, Offset offset,
                              std::chrono::milliseconds patience) {
  const auto until = std::chrono::steady_clock::now() + patience;
  MutexLock lock(mutex_);
  while (views_.applied(partition) < offset) {
    if (stopped_) return false;
    if (changed_.wait_until(lock, until) == std::cv_status::timeout) {
      return views_.applied(partition) >= offset;
    }
  }
  return true;
}

}  // namespace runnel::storage::views
