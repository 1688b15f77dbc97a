#include "broker/native/service.h"

#include <pthread.h>

#include <chrono>

#include "broker/native/native_session.h"

namespace runnel::broker {
namespace {

/// Memory may come back through others than native requests: waiters try this often.
constexpr std::chrono::milliseconds kMemoryRetry{20};

}  // namespace

NativeService::NativeService(storage::Store& store, Coordinator& coordinator, storage::Clock& clock,
                             NativeOptions options)
    : store_(store),
      coordinator_(coordinator),
      clock_(clock),
      options_(std::move(options)),
      gate_(std::make_shared<MemoryGate>(store.memory())),
      worker_([this] { work(); }) {
  RUNNEL_ASSERT(options_.max_in_flight > 0);
}

NativeService::~NativeService() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  worker_.join();
}

SessionFactory NativeService::factory() {
  return
      [this](Connection& connection) { return std::make_unique<NativeSession>(*this, connection); };
}

void NativeService::run(std::function<void()> job) {
  {
    MutexLock lock(mutex_);
    jobs_.push_back(std::move(job));
  }
  changed_.notify_all();
}

void NativeService::wait_for_memory(const std::shared_ptr<SessionHandle>& session,
                                    std::function<void(Session&)> retry) {
  NativeCounters::add(counters_.memory_waits, 1);
  gate_->wait(session, std::move(retry));
  {
    MutexLock lock(mutex_);  // so that the worker cannot miss it between looking and waiting
  }
  changed_.notify_all();
}

void NativeService::work() {
  pthread_setname_np(pthread_self(), "runnel-native");
  for (;;) {
    std::function<void()> job;
    {
      MutexLock lock(mutex_);
      if (jobs_.empty()) {
        if (stopping_) return;
        if (gate_->has_waiters()) {
          changed_.wait_for(lock, kMemoryRetry);
        } else {
          changed_.wait(lock);
        }
      }
      if (!jobs_.empty()) {
        job = std::move(jobs_.front());
        jobs_.pop_front();
      }
    }
    if (job) job();
    if (gate_->has_waiters()) gate_->wake();
  }
}

}  // namespace runnel::broker
