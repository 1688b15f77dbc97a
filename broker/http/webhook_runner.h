// One webhook that goes out, at work: reads its topic, sends what is due, puts what failed too
// often to the dead letters, and stores how far it is.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/hooks/deliveries.h"
#include "broker/hooks/webhook.h"
#include "broker/http/webhook_letter.h"
#include "broker/net/outgoing.h"
#include "broker/sessions/memory_gate.h"
#include "protocol/base/thread_annotations.h"
#include "protocol/filter/record_filter.h"
#include "protocol/text/time.h"
#include "storage/env/clock.h"
#include "storage/env/random.h"
#include "storage/store.h"

namespace runnel::broker::http {

/// What other threads tell the webhooks' one: answers to requests, places that were stored, news of
/// topics. Thread safe; shared by those who may come late.
class WebhookInbox {
 public:
  struct Outcome {
    std::uint64_t runner = 0;  ///< its number
    hooks::RecordPlace place;
    std::uint64_t ticket = 0;  ///< 0: the places were stored, or not
    Result<OutgoingAnswer> answer;
  };
  void put(Outcome outcome) RUNNEL_EXCLUDES(mutex_);
  /// There is something to do.
  void wake() RUNNEL_EXCLUDES(mutex_);
  /// Waits for any of it, at most so long. False: it was closed.
  [[nodiscard]] bool wait(std::chrono::nanoseconds most, std::vector<Outcome>& out)
      RUNNEL_EXCLUDES(mutex_);
  void close() RUNNEL_EXCLUDES(mutex_);

 private:
  Mutex mutex_;
  std::condition_variable_any changed_;
  std::vector<Outcome> outcomes_ RUNNEL_GUARDED_BY(mutex_);
  bool woken_ RUNNEL_GUARDED_BY(mutex_) = false;
  bool closed_ RUNNEL_GUARDED_BY(mutex_) = false;
};

/// What became of a webhook's records since the broker's start.
struct WebhookCounts {
  std::uint64_t delivered = 0;
  std::uint64_t failed_attempts = 0;
  std::uint64_t dead = 0;  ///< put to the dead letters
  std::string last_error;
  Timestamp last_error_time = kNoTimestamp;
};

struct WebhookPlace {
  std::int32_t partition = 0;
  storage::PartitionRef ref;
  Offset next;              ///< every record before it is done
  std::int64_t behind = 0;  ///< offsets from there to the end, when somebody asks
  std::uint64_t lost = 0;   ///< records gone from the log before their turn came
};

/// Used by one thread at a time. What it is given outlives it.
class WebhookRunner {
 public:
  using Send = std::function<void(OutgoingRequest, std::function<void(Result<OutgoingAnswer>)>)>;
  struct Shared {
    storage::Store& store;
    storage::Clock& clock;
    storage::Random& random;
    MemoryGate& memory;
    std::shared_ptr<WebhookInbox> inbox;
    Send send;
    hooks::RetryPolicy policy;  ///< its number of attempts is the webhook's
  };
  WebhookRunner(const Shared& shared, hooks::Webhook webhook, std::uint64_t number);

  /// Where it begins in partitions that it has no place of; state changes to be committed with the
  /// definition. Of a replay: in all of them. Errors: those of find_place().
  [[nodiscard]] static Result<std::vector<storage::StateChange>> begin_at(
      storage::Store& store, const hooks::Webhook& webhook, const protocol::Place& place);
  [[nodiscard]] static std::string place_key(std::string_view name, std::int32_t partition);

  [[nodiscard]] const hooks::Webhook& webhook() const noexcept { return webhook_; }
  [[nodiscard]] std::uint64_t number() const noexcept { return number_; }
  void take(const WebhookInbox::Outcome& outcome);
  /// Does what can be done now. The time at which there is more without news; nullopt: not.
  [[nodiscard]] std::optional<std::chrono::nanoseconds> work();
  /// Where it is, as far as the store does not know it yet.
  [[nodiscard]] std::vector<storage::StateChange> changes() const;
  /// Stores how far it is, before the store is closed. Blocking.
  void finish();
  [[nodiscard]] const WebhookCounts& counts() const noexcept { return counts_; }
  /// `behind` is not filled in.
  [[nodiscard]] std::vector<WebhookPlace> places() const;
  [[nodiscard]] std::size_t in_flight() const noexcept { return deliveries_.in_flight(); }
  /// Of records that wait or are on their way, and their order.
  [[nodiscard]] std::size_t memory_bytes() const noexcept { return deliveries_.bytes(); }
  /// Why it can't go on now; empty: it can.
  [[nodiscard]] const std::string& problem() const noexcept { return problem_; }
  /// Requests that are on their way end by themselves.
  void set_paused(bool paused) noexcept { webhook_.paused = paused; }
  void keep_counts(WebhookCounts counts) { counts_ = std::move(counts); }

 private:
  /// What goes wrong, and when it is tried again; until then all else goes on.
  struct Trouble {
    Error error;
    std::chrono::nanoseconds again;
  };
  struct Dead {
    hooks::RecordPlace place;
    std::string error;
    std::optional<Trouble> trouble = {};
  };
  [[nodiscard]] Status open();
  void begin(std::int32_t partition, hooks::Progress progress);
  /// Of all partitions. The first one's error, now or before, that is not over.
  [[nodiscard]] Status read();
  [[nodiscard]] Status read_partition(std::int32_t partition);
  void add(const protocol::Record& record, std::int32_t partition);
  /// Memory that what waits does not need any more.
  void give_back();
  /// Memory for what waits and a step more. False: there is none for more.
  [[nodiscard]] bool pay();
  void send_due();
  /// All that can be. The first error.
  [[nodiscard]] Status bury();
  [[nodiscard]] Status bury_one(const Dead& dead);
  [[nodiscard]] Result<Letter> letter_of(const Dead& dead);
  void save();
  void note(const std::string& error);

  const Shared shared_;
  hooks::Webhook webhook_;  ///< nothing of it changes but `paused`
  const std::uint64_t number_;
  Url url_;
  std::shared_ptr<const protocol::RecordFilter> filter_;
  std::optional<hooks::BodyTemplate> template_;
  hooks::Deliveries deliveries_;
  std::vector<MemoryLease> leases_;  ///< kMemoryStep each
  const std::shared_ptr<MemoryShare> share_ = std::make_shared<MemoryShare>();
  std::vector<storage::PartitionRef> partitions_;
  std::unique_ptr<storage::Watch> watch_;
  std::map<std::int32_t, std::string> stored_;   ///< the entries as they are
  std::map<std::int32_t, std::string> storing_;  ///< and will be; empty: nothing is on its way
  std::vector<Dead> dead_;                       ///< to be buried
  std::map<std::int32_t, Trouble> unread_;       ///< by partition
  WebhookCounts counts_;
  std::string problem_;
  bool opened_ = false;
  bool has_more_ = false;                   ///< records that can be read at once
  std::chrono::nanoseconds look_again_{0};  ///< at the topic's partitions
};

}  // namespace runnel::broker::http
