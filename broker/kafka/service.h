// What all Kafka sessions share: storage, groups, settings, and a way to run what blocks.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/groups/coordinator.h"
#include "broker/kafka/advertised.h"
#include "broker/kafka/configs.h"
#include "broker/net/loop.h"
#include "broker/net/session.h"
#include "broker/schemas/registry.h"
#include "broker/sessions/memory_gate.h"
#include "broker/sessions/workers.h"
#include "broker/transactions/coordinator.h"
#include "broker/transactions/transaction_clock.h"
#include "protocol/base/thread_annotations.h"
#include "protocol/native/messages.h"
#include "storage/env/clock.h"
#include "storage/store.h"

namespace runnel::broker {

/// apply_configs() makes most of it from broker configs; each field has the name of its own there.
struct KafkaOptions {
  storage::ConfigMap configs;  ///< what was set at the start, checked
  std::int32_t node_id = 1;
  std::vector<AdvertisedListener> advertised;  ///< what clients are told to connect to
  std::string log_directory;                   ///< the store's directory, for people
  bool auto_create_topics = true;              ///< auto.create.topics.enable
  bool delete_topics = true;                   ///< delete.topic.enable
  std::int32_t default_partitions = 1;         ///< num.partitions
  std::int32_t max_listed_partitions = 2000;   ///< max.request.partition.size.limit
  /// socket.request.max.bytes; no more than a quarter of the memory limit counts.
  std::uint32_t max_request_bytes = 100u << 20;
  /// offset.metadata.max.bytes
  std::size_t max_offset_metadata_bytes = storage::kMaxOffsetMetadataBytes;
  /// transaction.max.timeout.ms
  std::chrono::milliseconds max_transaction_timeout{15 * 60 * 1000};
  /// transactional.id.expiration.ms
  std::chrono::milliseconds transactional_id_expiry{7LL * 24 * 3600 * 1000};
  bool check_compressed = false;  ///< decompress every compressed batch before it is accepted
  GroupConfig groups;             ///< group.*
  NetLog log;                     ///< connections that were closed, and why; may be empty
  NetLog notice;                  ///< some of these, at most one in kNoticeInterval; may be empty
  NetLog warn;                    ///< what an operator should do something about; may be empty
};

/// Between two messages about the same thing.
inline constexpr std::chrono::seconds kNoticeInterval{10};
inline constexpr std::chrono::seconds kLimitWarningInterval{60};

/// Lets one message through in an interval. Thread safe.
class NowAndThen {
 public:
  explicit NowAndThen(std::chrono::nanoseconds interval) : interval_(interval) {}
  /// Nothing: not now. Else how many were held back since the last one.
  [[nodiscard]] std::optional<std::uint64_t> pass(std::chrono::nanoseconds now)
      RUNNEL_EXCLUDES(mutex_);

 private:
  const std::chrono::nanoseconds interval_;
  Mutex mutex_;
  std::optional<std::chrono::nanoseconds> last_ RUNNEL_GUARDED_BY(mutex_);
  std::uint64_t held_back_ RUNNEL_GUARDED_BY(mutex_) = 0;
};

/// Monotonic counts since the start, except `sessions`. Relaxed: they guide people, not code.
struct KafkaCounters {
  using Count = std::atomic<std::uint64_t>;
  Count sessions{0};
  Count requests{0};
  Count malformed{0};
  Count unsupported{0};  ///< requests of an API or version that is not offered

  static void add(Count& count, std::uint64_t n) noexcept {
    count.fetch_add(n, std::memory_order_relaxed);
  }
};

/// Thread safe. What it is given outlives it, it outlives its sessions.
class KafkaService {
 public:
  /// What is shared with the other protocols.
  struct Shared {
    std::shared_ptr<MemoryGate> memory;
    /// MemoryGate::wait, and sees to it that the wait ends.
    std::function<void(const std::shared_ptr<SessionHandle>&, std::function<void(Session&)>)>
        wait_for_memory;
    Workers& workers;
    std::shared_ptr<schemas::Registry> schemas = {};  ///< null: the service has one of its own
  };

  KafkaService(storage::Store& store, Coordinator& coordinator, storage::Clock& clock,
               Shared shared, KafkaOptions options);

  /// Reads the configs that clients have set, and the transactions. Before the first session.
  [[nodiscard]] Status start();
  /// What is done by time. Call about once a second or more often, on one thread; may block.
  void tick();
  /// Makes sessions of connections whose first byte is still to come.
  [[nodiscard]] SessionFactory factory();
  /// This service's figures, each with its unit and meaning.
  [[nodiscard]] std::vector<protocol::native::Statistic> statistics() const;

  // For sessions.
  [[nodiscard]] storage::Store& store() noexcept { return store_; }
  [[nodiscard]] Coordinator& coordinator() noexcept { return coordinator_; }
  [[nodiscard]] TransactionCoordinator& transactions() noexcept { return transactions_; }
  [[nodiscard]] storage::Clock& clock() noexcept { return clock_; }
  /// The `now` of transactions().
  [[nodiscard]] Timestamp transaction_now() const { return transaction_clock_.now(); }
  [[nodiscard]] const KafkaOptions& options() const noexcept { return options_; }
  [[nodiscard]] schemas::Registry& schemas() noexcept { return *schemas_; }
  [[nodiscard]] BrokerConfigs& configs() noexcept { return configs_; }
  [[nodiscard]] KafkaCounters& counters() noexcept { return counters_; }
  [[nodiscard]] MemoryGate& memory() noexcept { return *shared_.memory; }
  void wait_for_memory(const std::shared_ptr<SessionHandle>& session,
                       std::function<void(Session&)> retry) {
    shared_.wait_for_memory(session, std::move(retry));
  }
  [[nodiscard]] Workers& workers() noexcept { return shared_.workers; }
  /// A connection was closed for what it sent.
  void note_closed(const std::string& line);

 private:
  void warn_of_limits();
  /// Of settings that promise what cannot be.
  void warn_of_settings() const;
  void warn(const std::string& line) const {
    if (options_.warn) options_.warn(line);
  }

  storage::Store& store_;
  Coordinator& coordinator_;
  storage::Clock& clock_;
  const Shared shared_;
  const std::shared_ptr<schemas::Registry> schemas_;
  const KafkaOptions options_;
  BrokerConfigs configs_;
  const TransactionClock transaction_clock_;
  TransactionCoordinator transactions_;
  KafkaCounters counters_;
  NowAndThen notices_{kNoticeInterval};
  NowAndThen group_warnings_{kLimitWarningInterval};
  NowAndThen id_warnings_{kLimitWarningInterval};
  GroupLimitCounts warned_groups_;  ///< of tick()'s thread
  IdLimitCounts warned_ids_;        ///< of tick()'s thread
};

}  // namespace runnel::broker
