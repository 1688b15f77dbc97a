// The webhooks that go out: their definitions, and the thread on which they work. See
// broker/hooks/deliveries.h for what is promised.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "broker/hooks/webhook.h"
#include "broker/http/webhook_runner.h"
#include "protocol/base/thread_annotations.h"
#include "protocol/text/time.h"

namespace runnel::broker::http {

struct WebhookStatus {
  hooks::Webhook webhook;  ///< with its secrets: not to be shown
  WebhookCounts counts;
  std::vector<WebhookPlace> places;
  std::size_t in_flight = 0;
  std::uint64_t memory_bytes = 0;  ///< of records that wait or are on their way, and their order
  std::string problem;             ///< why nothing goes on now; empty: it does
};

/// Thread safe. Changes may block for the disk; status() and all() never do.
class WebhookService {
 public:
  struct Options {
    WebhookRunner::Send send;
    hooks::RetryPolicy policy = {};
    storage::Random* random = &storage::Random::system();
    std::function<void(std::string_view)> warn = {};  ///< of definitions that can't be read
  };
  /// What it is given outlives it. Works from here on.
  WebhookService(storage::Store& store, storage::Clock& clock, std::shared_ptr<MemoryGate> memory,
                 Options options);
  /// Ends its work; what is on its way is sent again after the next start.
  ~WebhookService();
  WebhookService(const WebhookService&) = delete;
  WebhookService& operator=(const WebhookService&) = delete;

  /// Defines it, or replaces its definition: then it goes on where it is, whatever `from` says, if
  /// its topic is the same. Without secrets it keeps those it had. True: it is new. Durable when it
  /// returns. kInvalidArgument, kUnknownTopic, kOverloaded, kOffsetOutOfRange.
  [[nodiscard]] Result<bool> put(hooks::Webhook webhook, const protocol::Place& from)
      RUNNEL_EXCLUDES(changing_, mutex_);
  /// kNotFound, as all below.
  [[nodiscard]] Status remove(const std::string& name) RUNNEL_EXCLUDES(changing_, mutex_);
  [[nodiscard]] Status pause(const std::string& name, bool paused)
      RUNNEL_EXCLUDES(changing_, mutex_);
  /// Sends again from `from` on, whatever was delivered.
  [[nodiscard]] Status replay(const std::string& name, const protocol::Place& from)
      RUNNEL_EXCLUDES(changing_, mutex_);
  /// As it was after its last turn.
  [[nodiscard]] Result<WebhookStatus> status(const std::string& name) const RUNNEL_EXCLUDES(mutex_);
  [[nodiscard]] std::vector<WebhookStatus> all() const RUNNEL_EXCLUDES(mutex_);

 private:
  /// One webhook: who works on it has `working`, through the disk's work, too; who only looks at it
  /// has `mutex`, which nobody keeps for long.
  struct Entry {
    Mutex working;                                                     ///< taken before `mutex`
    std::unique_ptr<WebhookRunner> runner RUNNEL_GUARDED_BY(working);  ///< null: it was removed
    Mutex mutex;
    WebhookStatus shown RUNNEL_GUARDED_BY(mutex);
  };
  using EntryRef = std::shared_ptr<Entry>;

  void work() RUNNEL_EXCLUDES(mutex_);
  /// What can be done now; how long there will be nothing else.
  [[nodiscard]] std::chrono::nanoseconds turn(const std::vector<WebhookInbox::Outcome>& outcomes)
      RUNNEL_EXCLUDES(mutex_);
  [[nodiscard]] std::vector<EntryRef> entries() const RUNNEL_EXCLUDES(mutex_);
  [[nodiscard]] Result<EntryRef> find(std::string_view name) const RUNNEL_EXCLUDES(mutex_);
  [[nodiscard]] Status commit(std::vector<storage::StateChange> changes);
  void start(Entry& entry, hooks::Webhook webhook) RUNNEL_REQUIRES(entry.working);
  void add(const std::string& name, EntryRef entry) RUNNEL_EXCLUDES(mutex_);
  /// Of outcomes, those that are the runner's.
  static void take(WebhookRunner& runner, const std::vector<WebhookInbox::Outcome>& outcomes);
  static void show(Entry& entry) RUNNEL_REQUIRES(entry.working);
  static void show_definition(Entry& entry) RUNNEL_REQUIRES(entry.working);
  [[nodiscard]] WebhookStatus status_of(Entry& entry) const;

  storage::Store& store_;
  storage::Clock& clock_;
  const std::shared_ptr<MemoryGate> memory_;
  const Options options_;
  const std::shared_ptr<WebhookInbox> inbox_ = std::make_shared<WebhookInbox>();
  std::atomic<std::uint64_t> last_number_{0};
  Status loaded_;  ///< as it was at the start
  mutable Mutex
      changing_;         ///< one change at a time; taken before an entry's, and that before mutex_
  mutable Mutex mutex_;  ///< never kept through the disk's work
  std::map<std::string, EntryRef, std::less<>> entries_ RUNNEL_GUARDED_BY(mutex_);
  std::thread thread_ RUNNEL_GUARDED_BY(mutex_);  ///< from the first webhook on
};

}  // namespace runnel::broker::http
