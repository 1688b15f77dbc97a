// A whole broker in this process: store, groups, native protocol, network; opened in this order and
// closed in the reverse one. `serve` and `dev` are its users.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "broker/groups/coordinator.h"
#include "broker/http/service.h"
#include "broker/http/webhook_service.h"
#include "broker/kafka/service.h"
#include "broker/native/service.h"
#include "broker/net/outgoing.h"
#include "broker/net/server.h"
#include "protocol/base/error.h"
#include "storage/store.h"
#include "storage/views/service/view_service.h"
#include "tools/options/settings.h"

namespace runnel::tools {

/// Not thread safe; made, run and closed by one thread.
class BrokerProcess {
 public:
  /// Opens everything; the broker serves when this returns. Blocks the signals that run() waits
  /// for, in this thread and the ones it starts.
  [[nodiscard]] static Result<std::unique_ptr<BrokerProcess>> start(const Settings& settings);
  /// close(), its error logged.
  ~BrokerProcess();

  /// Serves until SIGINT or SIGTERM. `reload` runs on SIGHUP; empty: SIGHUP ends it, too.
  void run(const std::function<void()>& reload);
  /// Lets requests in progress finish, ends the connections, closes the store. Idempotent.
  [[nodiscard]] Status close();
  /// Where it listens, with real ports.
  [[nodiscard]] const std::vector<broker::Endpoint>& endpoints() const { return server_->bound(); }

 private:
  explicit BrokerProcess(std::chrono::milliseconds drain_timeout) : drain_timeout_(drain_timeout) {}
  Status open_store(const Settings& settings);
  Status open_views(const Settings& settings);
  [[nodiscard]] Status open_kafka(const Settings& settings);
  Status open_groups();
  void open_webhooks();
  void open_http(const Settings& settings);
  Status open_network(const Settings& settings);

  const std::chrono::milliseconds drain_timeout_;
  storage::ConfigMap kafka_configs_;  ///< as at the start
  std::vector<broker::Endpoint> listen_;
  broker::AddressRules callable_;  ///< by webhooks
  std::string authorities_;        ///< that vouch for them, besides the system's
  // Each uses the ones before it.
  std::unique_ptr<storage::Store> store_;
  std::unique_ptr<storage::views::ViewService> views_;
  std::unique_ptr<broker::Coordinator> coordinator_;
  std::shared_ptr<broker::schemas::Registry> schemas_;
  std::unique_ptr<broker::NativeService> service_;
  std::unique_ptr<broker::KafkaService> kafka_;
  std::shared_ptr<broker::hooks::Hooks> hooks_;
  std::unique_ptr<broker::Outgoing> outgoing_;
  std::unique_ptr<broker::http::WebhookService> webhooks_;
  std::unique_ptr<broker::http::HttpService> http_;
  std::unique_ptr<broker::Server> server_;
};

/// Sends the log to standard error, one line a message: time (UTC), level, text.
void start_log(const std::string& level);
/// "debug", "info", "warning" or "error".
void set_log_level(const std::string& level);
void log_info(std::string_view text);
void log_error(std::string_view text);

}  // namespace runnel::tools
