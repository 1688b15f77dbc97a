// The REST proxy's consumer instances: members of consumer groups that live here and are moved by
// requests. They are members like those of Kafka's clients: they join by the classic protocol, so
// a group can have both, and offer the assignor "range", which all clients know.
//
// Everything about instances happens on one thread, the consumers'; handlers send it jobs. Records
// are read elsewhere, from a copy of an instance's places.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "broker/groups/assignor.h"
#include "broker/groups/coordinator.h"
#include "broker/groups/partition_set.h"
#include "broker/http/proxy_call.h"
#include "broker/sessions/memory_gate.h"
#include "protocol/base/thread_annotations.h"
#include "storage/store.h"

namespace runnel::broker::http {

/// Of all groups together: each is a member of its group, and remembered until it goes or expires.
inline constexpr std::size_t kMaxInstances = 1'000;
inline constexpr std::size_t kMaxInstanceNameBytes = 200;
/// Partitions of one instance; all are read by each request for records.
inline constexpr std::size_t kMaxInstancePartitions = 10'000;
/// Memory of all instances; the broker's for what stays is less, and what ends it.
inline constexpr std::uint64_t kMostStanding = std::uint64_t{1} << 32;
/// How long a request for records waits for one if it does not say.
inline constexpr std::chrono::milliseconds kUsualRecordsWait{1'000};

/// What a client says of its instance.
struct InstanceConfig {
  enum class Reset : std::uint8_t { kEarliest, kLatest, kNone };
  bool json = false;  ///< records are given as JSON, otherwise as base64
  Reset reset = Reset::kLatest;
  bool auto_commit = true;  ///< what an answer had is committed when the next one is asked for
  std::chrono::milliseconds records_wait = kUsualRecordsWait;
};

/// One instance. Touched by the consumers' thread alone, but for what does not change.
struct ProxyInstance {
  struct Place {
    storage::PartitionRef ref;
    Offset next;           ///< to be read
    Offset taken{-1};      ///< `next` when records were asked for last: what was answered before
    Offset committed{-1};  ///< by this instance or before it; -1: nothing
  };
  using Key = std::pair<std::string, std::int32_t>;  ///< topic and partition
  /// A request for records that waits for an assignment.
  struct Waiting {
    std::chrono::steady_clock::time_point deadline;
    std::function<void()> go_on;
  };

  ProxyInstance(std::string of_group, std::string named, InstanceConfig with, std::string from)
      : group(std::move(of_group)), name(std::move(named)), config(with), host(std::move(from)) {}

  const std::string group;
  const std::string name;
  const InstanceConfig config;
  const std::string host;  ///< of whoever made it, for people

  MemoryLease lease;
  std::chrono::steady_clock::time_point last_used;
  bool reading = false;  ///< a request for records is under way
  bool removed = false;

  std::vector<std::string> topics;  ///< subscribed to
  std::string pattern;              ///< instead of topics; RE2
  bool manual = false;              ///< partitions were named, the group shares out nothing

  enum class State : std::uint8_t { kOut, kJoining, kSyncing, kIn };
  State state = State::kOut;
  std::string member_id;
  std::int32_t generation = -1;
  std::uint64_t round = 0;  ///< answers to earlier joins and syncs are late
  ReplyTicket ticket = 0;   ///< of the one that may wait
  PartitionCounts counts;   ///< of the topics, when it joined
  std::chrono::steady_clock::time_point last_heartbeat;
  std::chrono::steady_clock::time_point next_try;
  std::chrono::steady_clock::time_point next_look;  ///< for topics that are new or have grown
  std::optional<Error> error;                       ///< to be told to the next request for records

  std::map<Key, Place> places;
  std::uint64_t epoch = 0;                          ///< of `places`: moves with every assignment
  PartitionSet missing;                             ///< of its share: could not be taken so far
  std::chrono::steady_clock::time_point next_take;  ///< and is tried again
  std::optional<Key> error_of;                      ///< what is missing, if `error` says why
  std::set<Key> told;                               ///< and was told why
  std::optional<Waiting> waiting;

  /// It has a share, and something of it; what it lacks is no reason to wait.
  [[nodiscard]] bool is_settled() const {
    return (manual || state == State::kIn) && (!places.empty() || missing.empty());
  }
  [[nodiscard]] bool wants_to_be_in() const { return !topics.empty() || !pattern.empty(); }
  [[nodiscard]] classic::MemberIdentity identity() const {
    return {member_id, std::nullopt, generation};
  }
};
using InstanceRef = std::shared_ptr<ProxyInstance>;

/// All instances, and their thread, which runs while there are any jobs or instances.
class ProxyConsumers {
 public:
  using Clock = std::chrono::steady_clock;
  using Job = std::function<void(ProxyConsumers&)>;

  ProxyConsumers(storage::Store& store, Coordinator& coordinator, storage::Clock& clock,
                 std::shared_ptr<MemoryGate> memory, std::chrono::milliseconds instance_timeout);
  /// Members leave their groups.
  ~ProxyConsumers();
  ProxyConsumers(const ProxyConsumers&) = delete;
  ProxyConsumers& operator=(const ProxyConsumers&) = delete;

  /// Thread safe: runs `job` on the consumers' thread, in order. Dropped at the end.
  void post(Job job);

  // On the consumers' thread.
  /// kInstanceExists; 503: there are too many.
  [[nodiscard]] Reply<InstanceRef> create(const std::string& group, std::string name,
                                          InstanceConfig config, const std::string& host);
  /// kInstanceNotFound. The instance lives on for its timeout.
  [[nodiscard]] Reply<InstanceRef> find(const std::string& group, const std::string& name);
  void remove(const InstanceRef& instance);
  /// kSubscriptionExists: partitions were assigned; 422: too many topics, or no pattern.
  [[nodiscard]] Reply<void> subscribe(const InstanceRef& instance, std::vector<std::string> topics,
                                      std::string pattern);
  void unsubscribe(const InstanceRef& instance);
  /// kSubscriptionExists: it subscribes to topics; kTopicNotFound, kPartitionNotFound.
  [[nodiscard]] Reply<void> assign(const InstanceRef& instance,
                                   const std::vector<ProxyPlace>& partitions);
  /// Runs `go_on` when the instance has partitions, or something to tell, or at the deadline.
  void await(const InstanceRef& instance, Clock::time_point deadline, std::function<void()> go_on);
  /// Commits what was read (`all`), or these places, if the instance may. `done` runs on a thread
  /// of the store, or at once.
  void commit(const InstanceRef& instance, const std::vector<ProxyPlace>* places,
              std::function<void(const Status&)> done);

  /// The same as a consumer has it: where `reset` or what was committed says. kOffsetOutOfRange:
  /// nothing was committed, and reset is none.
  [[nodiscard]] Result<ProxyInstance::Place> place_of(const ProxyInstance& instance,
                                                      const std::string& topic,
                                                      PartitionIndex partition) const;

 private:
  struct Queue;

  void work();
  void tick(Clock::time_point now);
  void tick(const InstanceRef& instance, Clock::time_point now);
  // Membership; proxy_members.cc.
  void join(const InstanceRef& instance);
  void joined(const InstanceRef& instance, const classic::JoinReply& reply);
  void synced(const InstanceRef& instance, const classic::SyncReply& reply);
  void failed(const InstanceRef& instance, ErrorCode code);
  void leave(const InstanceRef& instance);
  void heartbeat(const InstanceRef& instance, Clock::time_point now);
  void take(const InstanceRef& instance, const PartitionSet& share);
  void take_missing(const InstanceRef& instance);
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> assignments_of(
      const classic::JoinReply& reply) const;
  [[nodiscard]] PartitionCounts counts_of(const ProxyInstance& instance) const;
  [[nodiscard]] std::int32_t count_of(const std::string& topic) const;
  static void wake(ProxyInstance& instance);

  storage::Store& store_;
  Coordinator& coordinator_;
  storage::Clock& clock_;
  const std::shared_ptr<MemoryGate> memory_;
  const std::chrono::milliseconds instance_timeout_;
  const std::shared_ptr<MemoryShare> share_ = std::make_shared<MemoryShare>();
  const std::shared_ptr<Queue> queue_;  ///< outlives this in answers that are on their way
  std::map<std::pair<std::string, std::string>, InstanceRef> instances_;  ///< the thread's
  std::uint64_t last_name_ = 0;
  std::thread thread_;  ///< last: it uses all of the above
};

}  // namespace runnel::broker::http
