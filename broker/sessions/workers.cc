#include "broker/sessions/workers.h"

#include <pthread.h>

#include <utility>

namespace runnel::broker {

/// Guarded by Workers::mutex_, except that a job at work belongs to its thread.
class Workers::Lane {
 public:
  std::deque<Job> jobs;
  bool busy = false;  ///< in ready_ or at work
  bool ended = false;
};

Workers::Workers(std::size_t threads) {
  for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
}

Workers::~Workers() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

std::shared_ptr<Workers::Lane> Workers::make_lane() {
  return std::make_shared<Lane>();
}

void Workers::run(const std::shared_ptr<Lane>& lane, Step step, MemoryLease lease) {
  {
    MutexLock lock(mutex_);
    lane->jobs.push_back({std::move(step), std::move(lease)});
    ++unfinished_;
    if (std::exchange(lane->busy, true)) return;
    ready_.push_back(lane);
  }
  changed_.notify_one();
}

void Workers::end(const std::shared_ptr<Lane>& lane) {
  std::deque<Job> dropped;  // destroyed outside the lock
  {
    MutexLock lock(mutex_);
    lane->ended = true;
    dropped.swap(lane->jobs);
    unfinished_ -= dropped.size();
    if (stopping_) changed_.notify_all();
  }
}

std::optional<Workers::Job> Workers::take(const std::shared_ptr<Lane>& lane) {
  MutexLock lock(mutex_);
  if (lane->jobs.empty()) {  // it ended meanwhile
    lane->busy = false;
    return std::nullopt;
  }
  std::optional<Job> job = std::move(lane->jobs.front());
  lane->jobs.pop_front();
  return job;
}

std::shared_ptr<Workers::Lane> Workers::next() {
  MutexLock lock(mutex_);
  while (ready_.empty() && !(stopping_ && unfinished_ == 0)) changed_.wait(lock);
  if (ready_.empty()) return nullptr;
  std::shared_ptr<Lane> lane = std::move(ready_.front());
  ready_.pop_front();
  return lane;
}

void Workers::put_back(const std::shared_ptr<Lane>& lane, Job& job, bool finished) {
  MutexLock lock(mutex_);
  const bool goes_on = !finished && !lane->ended;
  if (goes_on) lane->jobs.push_front(std::move(job));
  if (!goes_on) --unfinished_;
  if (lane->jobs.empty()) {
    lane->busy = false;
  } else {
    ready_.push_back(lane);
  }
  if (stopping_) changed_.notify_all();
}

void Workers::work() {
  pthread_setname_np(pthread_self(), "runnel-worker");
  while (const std::shared_ptr<Lane> lane = next()) {
    std::optional<Job> job = take(lane);
    if (!job) continue;
    const bool finished = job->step();
    put_back(lane, *job, finished);
  }
}

}  // namespace runnel::broker
