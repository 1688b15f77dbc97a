// Consumer instances as members of their groups: joining, sharing out as the leader, heartbeats.
#include <algorithm>

#include "broker/groups/assignor.h"
#include "broker/groups/topic_matcher.h"
#include "broker/http/limits.h"
#include "broker/http/proxy_queue.h"
#include "protocol/kafka/consumer_protocol.h"

namespace runnel::broker::http {
namespace {

namespace kafka = protocol::kafka;
using State = ProxyInstance::State;

constexpr std::string_view kConsumers = "consumer";
constexpr std::string_view kRange = "range";
/// What every client can read.
constexpr std::int16_t kFirstVersion = 0;
/// An instance can only fall silent with the whole broker; after that its group has to wait.
constexpr std::chrono::milliseconds kSessionTimeout{10'000};
constexpr std::chrono::milliseconds kRebalanceTimeout{60'000};
constexpr std::chrono::seconds kHeartbeatInterval{1};
/// Until the next try after a join came to nothing, and between two looks at the topics.
constexpr std::chrono::milliseconds kJoinRetry{200};
constexpr std::chrono::seconds kLookInterval{5};
/// Between two tries to take what of a share could not be taken.
constexpr std::chrono::seconds kTakeRetry{1};

}  // namespace

std::int32_t ProxyConsumers::count_of(const std::string& topic) const {
  const auto info = store_.describe_topic(topic);
  return info ? static_cast<std::int32_t>(info->partitions.size()) : 0;
}

PartitionCounts ProxyConsumers::counts_of(const ProxyInstance& instance) const {
  PartitionCounts out;
  std::vector<std::string> topics = instance.topics;
  if (!instance.pattern.empty()) {
    const auto names = store_.topic_names();
    if (auto matched = matcher_of(names)(instance.pattern)) topics = *std::move(matched);
  }
  for (const std::string& topic : topics) {
    if (out.size() == kMaxMemberTopics) break;
    out[topic] = count_of(topic);
  }
  return out;
}

void ProxyConsumers::join(const InstanceRef& instance) {
  ProxyInstance& i = *instance;
  if (i.ticket != 0) coordinator_.cancel(i.ticket);
  const auto now = Clock::now();
  i.state = State::kJoining;
  i.counts = counts_of(i);
  i.next_look = now + kLookInterval;
  i.last_heartbeat = now;
  take(instance, {});
  kafka::ConsumerSubscription subscription;
  for (const auto& [topic, count] : i.counts) subscription.topics.push_back(topic);
  classic::JoinRequest request;
  request.group = i.group;
  request.member_id = i.member_id;
  request.client_id = i.name;
  request.host = i.host;
  request.protocol_type = kConsumers;
  request.protocols.push_back({std::string(kRange), kafka::encode(subscription, kFirstVersion)});
  request.session_timeout_ms = static_cast<std::int32_t>(kSessionTimeout.count());
  request.rebalance_timeout_ms = static_cast<std::int32_t>(kRebalanceTimeout.count());
  const std::uint64_t round = ++i.round;
  i.ticket = coordinator_.join(
      request, clock_.monotonic(),
      [queue = queue_, weak = std::weak_ptr(instance), round](const classic::JoinReply& reply) {
        queue->post([weak, round, reply](ProxyConsumers& consumers) {
          const InstanceRef to = weak.lock();
          if (to && to->round == round && !to->removed) consumers.joined(to, reply);
        });
      });
}

std::vector<std::pair<std::string, std::string>> ProxyConsumers::assignments_of(
    const classic::JoinReply& reply) const {
  std::vector<std::vector<std::string>> topics;
  PartitionCounts counts;
  topics.reserve(reply.members.size());
  for (const auto& member : reply.members) {
    const auto wanted = kafka::decode_consumer_subscription(as_bytes(member.metadata));
    auto& list = topics.emplace_back();
    if (wanted) list = wanted->topics;
    std::sort(list.begin(), list.end());
    list.erase(std::unique(list.begin(), list.end()), list.end());
    for (const std::string& topic : list) {
      if (!counts.contains(topic)) counts[topic] = count_of(topic);
    }
  }
  const PartitionSet none;
  std::vector<AssignorMember> members;
  for (std::size_t at = 0; at < reply.members.size(); ++at) {
    const auto& member = reply.members[at];
    members.push_back(
        {member.instance_id ? *member.instance_id : member.member_id, &topics[at], &none});
  }
  const auto shares = broker::assign(Assignor::kRange, members, counts);
  std::vector<std::pair<std::string, std::string>> out;
  for (std::size_t at = 0; at < shares.size(); ++at) {
    kafka::ConsumerAssignment assignment;
    for (const auto& [topic, list] : shares[at]) {
      auto& to = assignment.partitions.emplace_back();
      to.topic = topic;
      for (const std::int32_t index : list) to.partitions.emplace_back(index);
    }
    out.emplace_back(reply.members[at].member_id, kafka::encode(assignment, kFirstVersion));
  }
  return out;
}

void ProxyConsumers::joined(const InstanceRef& instance, const classic::JoinReply& reply) {
  ProxyInstance& i = *instance;
  i.ticket = 0;
  if (reply.error == ErrorCode::kMemberIdRequired) {
    i.member_id = reply.member_id;
    return join(instance);
  }
  if (reply.error != ErrorCode::kOk) return failed(instance, reply.error);
  i.member_id = reply.member_id;
  i.generation = reply.generation;
  i.state = State::kSyncing;
  classic::SyncRequest request;
  request.group = i.group;
  request.member_id = i.member_id;
  request.generation = i.generation;
  request.protocol_type = std::string(kConsumers);
  request.protocol_name = reply.protocol_name;
  if (reply.leader == i.member_id) request.assignments = assignments_of(reply);
  const std::uint64_t round = ++i.round;
  i.ticket = coordinator_.sync(
      request, clock_.monotonic(),
      [queue = queue_, weak = std::weak_ptr(instance), round](const classic::SyncReply& synced) {
        queue->post([weak, round, synced](ProxyConsumers& consumers) {
          const InstanceRef to = weak.lock();
          if (to && to->round == round && !to->removed) consumers.synced(to, synced);
        });
      });
}

void ProxyConsumers::synced(const InstanceRef& instance, const classic::SyncReply& reply) {
  ProxyInstance& i = *instance;
  i.ticket = 0;
  if (reply.error != ErrorCode::kOk) return failed(instance, reply.error);
  PartitionSet share;
  if (!reply.assignment.empty()) {
    const auto assignment = kafka::decode_consumer_assignment(as_bytes(reply.assignment));
    if (!assignment) {
      i.error = assignment.error().within("what the group's leader assigned can't be read");
      i.state = State::kOut;  // the next leader may be another one
      i.next_try = Clock::now() + kLookInterval;
      return wake(i);
    }
    for (const auto& each : assignment->partitions) {
      for (const PartitionIndex index : each.partitions) {
        share[each.topic].push_back(index.value());
      }
    }
  }
  i.state = State::kIn;
  i.last_heartbeat = Clock::now();
  take(instance, share);
  wake(i);
}

/// Partitions are the instance's from now on, others no more; each is read from where its group is.
void ProxyConsumers::take(const InstanceRef& instance, const PartitionSet& share) {
  ProxyInstance& i = *instance;
  i.places.clear();
  i.missing = share;
  i.error_of.reset();
  i.told.clear();
  ++i.epoch;
  if (!share.empty()) take_missing(instance);
}

/// What goes wrong is told to the next request for records, and tried again. As long as there is
/// something to read each partition's error is told once, or requests would have nothing else.
void ProxyConsumers::take_missing(const InstanceRef& instance) {
  ProxyInstance& i = *instance;
  i.next_take = Clock::now() + kTakeRetry;
  if (i.error_of && !i.error) i.told.insert(*i.error_of);
  i.error_of.reset();
  i.error.reset();  // of what is tried now, or of a group that it is in again
  const std::size_t count = i.places.size() + size_of(i.missing);
  if (count > kMaxInstancePartitions) {
    i.error = Error(ErrorCode::kTooManyPartitions, "an instance may have " +
                                                       std::to_string(kMaxInstancePartitions) +
                                                       " partitions; add instances to the group");
    return;
  }
  const std::uint64_t bytes = kStandingCharge + count * kStandingPartitionCharge;
  MemoryLease lease;
  if (i.lease.bytes() < bytes) {
    if (!memory_->take_standing(bytes, kMostStanding, share_, lease)) {
      i.error = Error(ErrorCode::kOverloaded,
                      "the broker's memory for what stays is used up; try again later");
      return;
    }
    i.lease = std::move(lease);
  }
  PartitionSet still;
  std::optional<std::pair<ProxyInstance::Key, Error>> first;
  std::optional<std::pair<ProxyInstance::Key, Error>> untold;
  for (const auto& [topic, list] : i.missing) {
    for (const std::int32_t index : list) {
      auto place = place_of(i, topic, PartitionIndex(index));
      if (place) {
        i.places[{topic, index}] = *std::move(place);
        continue;
      }
      still[topic].push_back(index);
      const ErrorCode why = place.error().code();
      // It may come: a topic is made, or deleted and left to the group's next sharing out.
      const bool is_gone = why == ErrorCode::kUnknownTopic || why == ErrorCode::kUnknownPartition;
      if (is_gone) continue;
      const ProxyInstance::Key key(topic, index);
      if (!first) first.emplace(key, place.error());
      if (!untold && !i.told.contains(key)) untold.emplace(key, place.error());
    }
  }
  i.missing = std::move(still);
  const auto& tell = i.places.empty() ? first : untold;
  if (!tell) return;
  i.error_of = tell->first;
  i.error = tell->second;
}

void ProxyConsumers::failed(const InstanceRef& instance, ErrorCode code) {
  ProxyInstance& i = *instance;
  i.state = State::kOut;
  i.next_try = Clock::now() + kJoinRetry;
  switch (code) {
    case ErrorCode::kUnknownMember:
    case ErrorCode::kFencedInstanceId:
      i.member_id.clear();
      return;
    case ErrorCode::kRebalancing:
    case ErrorCode::kIllegalGeneration:
    case ErrorCode::kNotAvailable:
      return;
    case ErrorCode::kInconsistentGroupProtocol:
      i.error = Error(code, "the group '" + i.group +
                                "' has members that share out by another protocol or assignor "
                                "than range; take another group");
      break;
    default:
      i.error = Error(code, "the instance can't join the group '" + i.group +
                                "': " + std::string(name_of(code)));
  }
  i.next_try = Clock::now() + kLookInterval;
  wake(i);
}

void ProxyConsumers::leave(const InstanceRef& instance) {
  ProxyInstance& i = *instance;
  ++i.round;
  if (i.ticket != 0) coordinator_.cancel(std::exchange(i.ticket, 0));
  if (!i.member_id.empty()) {
    const classic::LeavingMember leaving{i.member_id, std::nullopt};
    static_cast<void>(coordinator_.leave(i.group, {&leaving, 1}, clock_.monotonic()));
  }
  i.member_id.clear();
  i.generation = -1;
  i.state = State::kOut;
}

void ProxyConsumers::heartbeat(const InstanceRef& instance, Clock::time_point now) {
  ProxyInstance& i = *instance;
  if (!i.wants_to_be_in()) return;
  if (i.state == State::kOut) {
    if (now >= i.next_try) join(instance);
    return;
  }
  if (i.state != State::kIn || now - i.last_heartbeat < kHeartbeatInterval) return;
  i.last_heartbeat = now;
  const ErrorCode answer =
      coordinator_.classic_heartbeat(i.group, i.identity(), clock_.monotonic());
  const bool look = now >= i.next_look;
  if (look) i.next_look = now + kLookInterval;
  if (answer == ErrorCode::kOk && !(look && counts_of(i) != i.counts)) return;
  if (i.config.auto_commit) commit(instance, nullptr, {});
  if (answer == ErrorCode::kUnknownMember || answer == ErrorCode::kFencedInstanceId) {
    i.member_id.clear();
  }
  join(instance);
}

}  // namespace runnel::broker::http
