// What all native sessions share: storage, groups, the memory gate, workers for what blocks, and
// counters.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "broker/groups/coordinator.h"
#include "broker/native/point_queries.h"
#include "broker/net/session.h"
#include "broker/schemas/registry.h"
#include "broker/sessions/memory_gate.h"
#include "broker/sessions/workers.h"
#include "protocol/base/thread_annotations.h"
#include "protocol/native/messages.h"
#include "storage/env/clock.h"
#include "storage/store.h"
#include "storage/views/service/snapshot_pool.h"
#include "storage/views/service/view_service.h"

namespace runnel::broker {

struct NativeOptions {
  std::string server_version;
  /// Unanswered requests of one connection; with so many no other is begun. At least 1.
  std::size_t max_in_flight = 1000;
  /// Of other services, told with this one's; may be empty. Called on a worker.
  std::function<std::vector<protocol::native::Statistic>()> more_statistics = {};
  /// Outlives the service; null: what asks for views is kUnsupported.
  storage::views::ViewService* views = nullptr;
  std::shared_ptr<schemas::Registry> schemas = {};  ///< null: the service has one of its own
};

/// Monotonic counts since the start, except `sessions`. Relaxed: they guide people, not code.
struct NativeCounters {
  using Count = std::atomic<std::uint64_t>;
  Count sessions{0};
  Count requests{0};
  Count failures{0};
  Count malformed{0};
  Count appends{0};
  Count append_bytes{0};
  Count fetches{0};
  Count sent_record_bytes{0};
  Count deliveries{0};
  Count memory_waits{0};
  Count too_large{0};
  Count slow_frames{0};

  static void add(Count& count, std::uint64_t n) noexcept {
    count.fetch_add(n, std::memory_order_relaxed);
  }
};

/// Thread safe. `store`, `coordinator` and `clock` outlive it, it outlives its sessions.
class NativeService {
 public:
  NativeService(storage::Store& store, Coordinator& coordinator, storage::Clock& clock,
                NativeOptions options);
  /// Finishes the jobs that were handed in.
  ~NativeService();
  NativeService(const NativeService&) = delete;
  NativeService& operator=(const NativeService&) = delete;

  /// Makes sessions of connections whose preface (protocol::native::kPreface) is still to come.
  [[nodiscard]] SessionFactory factory();
  /// Storage's and this service's figures, each with its unit and meaning.
  [[nodiscard]] std::vector<protocol::native::Statistic> statistics() const;

  // For sessions.
  [[nodiscard]] storage::Store& store() noexcept { return store_; }
  [[nodiscard]] Coordinator& coordinator() noexcept { return coordinator_; }
  [[nodiscard]] storage::Clock& clock() noexcept { return clock_; }
  [[nodiscard]] const NativeOptions& options() const noexcept { return options_; }
  [[nodiscard]] NativeCounters& counters() noexcept { return counters_; }
  [[nodiscard]] MemoryGate& memory() noexcept { return *gate_; }
  [[nodiscard]] Workers& workers() noexcept { return workers_; }
  [[nodiscard]] schemas::Registry& schemas() noexcept { return *schemas_; }
  /// Null: there are no views, and the workers below are not to be used.
  [[nodiscard]] storage::views::ViewService* views() noexcept { return options_.views; }
  /// For statements, which may take long.
  [[nodiscard]] Workers& query_workers() noexcept { return *query_workers_; }
  /// For what reads a few groups of a view.
  [[nodiscard]] Workers& quick_workers() noexcept { return *quick_workers_; }
  [[nodiscard]] storage::views::SnapshotPool<PointAnswerer>& point_answerers() noexcept {
    return *point_answerers_;
  }
  /// MemoryGate::wait, and sees to it that the wait ends even when others return the memory.
  void wait_for_memory(const std::shared_ptr<SessionHandle>& session,
                       std::function<void(Session&)> retry) RUNNEL_EXCLUDES(mutex_);

 private:
  /// Lets those try again who wait for memory that others than native requests give back.
  void retry_memory() RUNNEL_EXCLUDES(mutex_);

  storage::Store& store_;
  Coordinator& coordinator_;
  storage::Clock& clock_;
  const NativeOptions options_;
  const std::shared_ptr<schemas::Registry> schemas_;
  NativeCounters counters_;
  const std::shared_ptr<MemoryGate> gate_;
  Mutex mutex_;
  std::condition_variable_any changed_;
  bool stopping_ RUNNEL_GUARDED_BY(mutex_) = false;
  std::thread retry_thread_;
  std::unique_ptr<storage::views::SnapshotPool<PointAnswerer>> point_answerers_;
  // Last: their jobs use all of the above.
  Workers workers_;
  std::unique_ptr<Workers> query_workers_;
  std::unique_ptr<Workers> quick_workers_;
};

}  // namespace runnel::broker
