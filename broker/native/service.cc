#include "broker/native/service.h"

#include <pthread.h>

#include <chrono>

#include "broker/native/native_session.h"

namespace runnel::broker {
namespace {

/// Memory may come back through others than native requests: waiters try this often.
constexpr std::chrono::milliseconds kMemoryRetry{20};
/// They wait for disks most of the time.
constexpr std::size_t kWorkers = 3;
constexpr std::size_t kQueryWorkers = 2;
constexpr std::size_t kQuickWorkers = 2;

}  // namespace

NativeService::NativeService(storage::Store& store, Coordinator& coordinator, storage::Clock& clock,
                             NativeOptions options)
    : store_(store),
      coordinator_(coordinator),
      clock_(clock),
      options_(std::move(options)),
      schemas_(options_.schemas ? options_.schemas
                                : std::make_shared<schemas::Registry>(store, clock, nullptr)),
      gate_(std::make_shared<MemoryGate>(store.memory())),
      retry_thread_([this] { retry_memory(); }),
      workers_(kWorkers) {
  RUNNEL_ASSERT(options_.max_in_flight > 0);
  if (options_.views == nullptr) return;
  point_answerers_ = std::make_unique<storage::views::SnapshotPool<PointAnswerer>>(*options_.views);
  query_workers_ = std::make_unique<Workers>(kQueryWorkers);
  quick_workers_ = std::make_unique<Workers>(kQuickWorkers);
}

NativeService::~NativeService() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  retry_thread_.join();
}

SessionFactory NativeService::factory() {
  return
      [this](Connection& connection) { return std::make_unique<NativeSession>(*this, connection); };
}

void NativeService::wait_for_memory(const std::shared_ptr<SessionHandle>& session,
                                    std::function<void(Session&)> retry) {
  NativeCounters::add(counters_.memory_waits, 1);
  gate_->wait(session, std::move(retry));
  {
    MutexLock lock(mutex_);  // so that the thread cannot miss it between looking and waiting
  }
  changed_.notify_all();
}

void NativeService::retry_memory() {
  pthread_setname_np(pthread_self(), "runnel-memory");
  for (;;) {
    {
      MutexLock lock(mutex_);
      while (!stopping_ && !gate_->has_waiters()) changed_.wait(lock);
      if (stopping_) return;
      changed_.wait_for(lock, kMemoryRetry);
    }
    gate_->wake();
  }
}

}  // namespace runnel::broker
