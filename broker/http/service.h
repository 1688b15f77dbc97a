// What all HTTP sessions share: storage, groups, the table of routes, and a way to run what blocks.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "broker/groups/coordinator.h"
#include "broker/hooks/hooks.h"
#include "broker/http/deadlines.h"
#include "broker/net/loop.h"
#include "broker/net/session.h"
#include "broker/schemas/registry.h"
#include "broker/sessions/memory_gate.h"
#include "broker/sessions/workers.h"
#include "protocol/base/thread_annotations.h"
#include "protocol/native/messages.h"
#include "storage/env/clock.h"
#include "storage/store.h"
#include "storage/views/service/view_service.h"

namespace runnel::broker::http {

class ProxyConsumers;
class Router;
class ViewPush;
class WebhookService;

/// A setting that the broker was started with, for people. None may be a secret.
struct ShownSetting {
  std::string name;
  std::string value;   ///< as somebody would write it
  std::string source;  ///< "default", "file.toml line 3", "RUNNEL_MEMORY" or "--memory"
  std::string text;    ///< what it is for
  bool reloadable = false;
};

struct HttpOptions {
  std::string server_version;
  /// Names, besides addresses and localhost, that Host may have; "*": any. See hosts.h.
  std::vector<std::string> hosts = {};
  /// Origins (https://reports.example) whose pages may read and write here; "*": any. Empty: none.
  std::vector<std::string> origins = {};
  /// All of the broker's statistics, for /metrics and /api/v1/statistics. Called on a worker.
  std::function<std::vector<protocol::native::Statistic>()> statistics = {};
  std::int32_t node_id = 1;  ///< as Kafka's clients are told
  /// What holds where a topic does not set a config; empty: the table's default.
  std::function<std::string(const storage::TopicConfigRow&)> topic_default = {};
  /// Consumer instances of the REST proxy that nothing is asked of for so long are removed.
  std::chrono::milliseconds instance_timeout = std::chrono::minutes(5);
  std::vector<ShownSetting> settings = {};  ///< for /api/v1/broker
  NetLog log = {};                          ///< connections that were closed, and why; may be empty
};

/// Monotonic counts since the start, except `sessions` and `streams`. Relaxed: they guide people,
/// not code.
struct Counters {
  using Count = std::atomic<std::uint64_t>;
  Count sessions{0};
  Count requests{0};
  Count failures{0};
  Count refused{0};
  Count slow{0};
  Count streams{0};
  Count appended_records{0};
  Count read_records{0};
  Count memory_waits{0};

  static void add(Count& count, std::uint64_t n) noexcept {
    count.fetch_add(n, std::memory_order_relaxed);
  }
};

/// Thread safe. What it is given outlives it, it outlives its sessions.
class HttpService {
 public:
  /// What is shared with the other protocols.
  struct Shared {
    std::shared_ptr<MemoryGate> memory;
    /// MemoryGate::wait, and sees to it that the wait ends.
    std::function<void(const std::shared_ptr<SessionHandle>&, std::function<void(Session&)>)>
        wait_for_memory;
    Workers& workers;
    /// Null: there are no views, and the workers below are not used.
    storage::views::ViewService* views = nullptr;
    Workers* query_workers = nullptr;                 ///< for statements, which may take long
    Workers* quick_workers = nullptr;                 ///< for what reads a few groups of a view
    std::shared_ptr<schemas::Registry> schemas = {};  ///< null: the service has one of its own
    std::shared_ptr<hooks::Hooks> hooks = {};         ///< null: the service has them of its own
    WebhookService* webhooks = nullptr;               ///< null: none go out
  };

  HttpService(storage::Store& store, Coordinator& coordinator, storage::Clock& clock, Shared shared,
              HttpOptions options);
  ~HttpService();

  /// Makes sessions of connections whose first byte is still to come.
  [[nodiscard]] SessionFactory factory();
  /// This service's figures, each with its unit and meaning.
  [[nodiscard]] std::vector<protocol::native::Statistic> statistics() const;
  /// From now on /readyz says that the broker is going.
  void shut_down() noexcept { shutting_down_.store(true); }

  // For sessions and handlers.
  [[nodiscard]] storage::Store& store() noexcept { return store_; }
  [[nodiscard]] Coordinator& coordinator() noexcept { return coordinator_; }
  [[nodiscard]] storage::Clock& clock() noexcept { return clock_; }
  [[nodiscard]] schemas::Registry& schemas() noexcept { return *schemas_; }
  [[nodiscard]] hooks::Hooks& hooks() noexcept { return *hooks_; }
  /// Null: none go out.
  [[nodiscard]] WebhookService* webhooks() noexcept { return shared_.webhooks; }
  [[nodiscard]] const HttpOptions& options() const noexcept { return options_; }
  [[nodiscard]] const Router& router() const noexcept { return *router_; }
  [[nodiscard]] Counters& counters() noexcept { return counters_; }
  [[nodiscard]] MemoryGate& memory() noexcept { return *shared_.memory; }
  [[nodiscard]] Workers& workers() noexcept { return shared_.workers; }
  /// Null: there are no views.
  [[nodiscard]] storage::views::ViewService* views() noexcept { return shared_.views; }
  /// Only where there are views.
  [[nodiscard]] ViewPush& push() noexcept { return *push_; }
  [[nodiscard]] Deadlines& deadlines() noexcept { return deadlines_; }
  /// The REST proxy's.
  [[nodiscard]] ProxyConsumers& consumers() noexcept { return *consumers_; }
  [[nodiscard]] Workers& query_workers() noexcept { return *shared_.query_workers; }
  [[nodiscard]] Workers& quick_workers() noexcept { return *shared_.quick_workers; }
  [[nodiscard]] bool is_shutting_down() const noexcept { return shutting_down_.load(); }
  void wait_for_memory(const std::shared_ptr<SessionHandle>& session,
                       std::function<void(Session&)> retry);
  /// The broker's statistics, or this service's alone.
  [[nodiscard]] std::vector<protocol::native::Statistic> all_statistics() const;
  /// The value of a config that a topic does not set.
  [[nodiscard]] std::string topic_default(const storage::TopicConfigRow& row) const {
    return options_.topic_default ? options_.topic_default(row) : std::string(row.default_value);
  }
  /// Of a topic, as it was a second ago at most. kUnknownTopic. Quick.
  [[nodiscard]] Result<std::int32_t> partition_count(const std::string& topic)
      RUNNEL_EXCLUDES(mutex_);
  /// A partition for records without a key: each request takes the next one.
  [[nodiscard]] std::uint32_t next_turn() noexcept {
    return turn_.fetch_add(1, std::memory_order_relaxed);
  }
  /// A request id that no other request has.
  [[nodiscard]] std::string make_request_id();
  /// A connection was closed for what it sent.
  void note_closed(const std::string& line) const;

 private:
  void add_webhooks(std::vector<protocol::native::Statistic>& out) const;

  storage::Store& store_;
  Coordinator& coordinator_;
  storage::Clock& clock_;
  const Shared shared_;
  const std::shared_ptr<schemas::Registry> schemas_;
  const std::shared_ptr<hooks::Hooks> hooks_;
  const HttpOptions options_;
  const std::unique_ptr<const Router> router_;
  const std::string id_prefix_;
  Counters counters_;
  std::atomic<std::uint64_t> last_id_{0};
  std::atomic<std::uint32_t> turn_{0};
  std::atomic<bool> shutting_down_{false};
  /// Describing a topic costs by its partitions; appends ask for nothing but their number.
  struct Counted {
    std::int32_t partitions = 0;
    std::chrono::nanoseconds at{0};
  };
  Mutex mutex_;
  std::unordered_map<std::string, Counted> counted_ RUNNEL_GUARDED_BY(mutex_);
  Deadlines deadlines_;
  std::unique_ptr<ViewPush> push_;
  std::unique_ptr<ProxyConsumers> consumers_;
};

}  // namespace runnel::broker::http
