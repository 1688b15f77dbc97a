// Positions of groups: OffsetCommit, OffsetFetch, OffsetDelete.
#include <algorithm>
#include <future>
#include <set>

#include "broker/kafka/answer_room.h"
#include "broker/kafka/groups.h"
#include "broker/kafka/handlers.h"
#include "broker/kafka/named_before.h"
#include "broker/kafka/partitions.h"
#include "protocol/kafka/offset_commit.h"
#include "protocol/kafka/offset_delete.h"
#include "protocol/kafka/offset_fetch.h"

namespace runnel::broker {
namespace {

using kafka::KafkaError;
using kafka::OffsetCommitRequest;
using kafka::OffsetCommitResponse;
using kafka::OffsetFetchRequest;
using kafka::OffsetFetchResponse;

/// From these versions on OffsetCommit knows member epochs, and both know topic ids.
constexpr std::int16_t kFirstWithEpochs = 9;
constexpr std::int16_t kFirstWithTopicIds = 10;
/// From these versions on OffsetFetch has an error of its own, and asks for several groups at once.
constexpr std::int16_t kFirstWithFetchError = 2;
constexpr std::int16_t kFirstWithManyGroups = 8;

// ---------------------------------------------------------------- commit
/// A commit on its way. The answer is all there but for what storage says.
struct PendingCommit {
  CallRef call;
  OffsetCommitResponse response;
};

/// What is wrong with a position by itself.
KafkaError check_partition(Call& call, const NamedTopic& topic, PartitionIndex index) {
  if (topic.error != KafkaError::kNone) return topic.error;
  const auto found = call.store().partition(topic.name, index);
  return found ? KafkaError::kNone : kafka_error(found.error());
}

/// Takes over the positions that can be committed; the others have their error in the answer.
std::vector<storage::OffsetCommit> take_offsets(Call& call, OffsetCommitRequest& request,
                                                OffsetCommitResponse& response) {
  std::vector<storage::OffsetCommit> offsets;
  for (auto& topic : request.topics) {
    const NamedTopic named =
        named_topic(call, topic.name, topic.topic_id, call.version() >= kFirstWithTopicIds);
    auto& to = response.topics.emplace_back();
    to.name = std::move(topic.name);
    to.topic_id = topic.topic_id;
    for (auto& partition : topic.partitions) {
      auto& answer = to.partitions.emplace_back();
      answer.index = partition.index;
      answer.error = check_partition(call, named, partition.index);
      if (answer.error != KafkaError::kNone) continue;
      // A position before the first record is none.
      const Offset offset = std::max(partition.committed_offset, kNoOffset);
      offsets.push_back({request.group_id, named.name, partition.index, offset,
                         partition.committed_leader_epoch,
                         std::move(partition.metadata).value_or(std::string())});
    }
  }
  return offsets;
}

/// Sets `error` wherever there is none yet.
void refuse_rest(OffsetCommitResponse& response, KafkaError error) {
  for (auto& topic : response.topics) {
    for (auto& partition : topic.partitions) {
      if (partition.error == KafkaError::kNone) partition.error = error;
    }
  }
}

/// Leaves out what has more than `most` bytes of metadata. `offsets` are those of the answer's
/// partitions without an error, in the same order.
void refuse_large_metadata(std::size_t most, std::vector<storage::OffsetCommit>& offsets,
                           OffsetCommitResponse& response) {
  auto offset = offsets.begin();
  for (auto& topic : response.topics) {
    for (auto& partition : topic.partitions) {
      if (partition.error != KafkaError::kNone) continue;
      if (offset->metadata.size() > most) {
        partition.error = KafkaError::kOffsetMetadataTooLarge;
      }
      ++offset;
    }
  }
  std::erase_if(offsets,
                [most](const storage::OffsetCommit& o) { return o.metadata.size() > most; });
}

/// Calls `queue` if who asks may commit now.
KafkaError commit_as(Call& call, const OffsetCommitRequest& request,
                     const std::function<void()>& queue) {
  if (request.group_id.empty() || request.group_id.size() > kMaxGroupNameBytes) {
    return KafkaError::kInvalidGroupId;
  }
  const bool knows_epochs = call.version() >= kFirstWithEpochs;
  const ErrorCode checked = call.service().coordinator().commit_as(
      request.group_id,
      {request.member_id, request.group_instance_id, request.generation_or_member_epoch},
      {false, knows_epochs}, call.service().clock().monotonic(), queue);
  if (checked == ErrorCode::kUnknownGroup && !knows_epochs) return KafkaError::kIllegalGeneration;
  return group_error(checked);
}

// ---------------------------------------------------------------- fetch
OffsetFetchResponse::Partition nothing_committed(PartitionIndex index,
                                                 KafkaError error = KafkaError::kNone) {
  OffsetFetchResponse::Partition partition;
  partition.index = index;
  partition.metadata.emplace();
  partition.error = error;
  return partition;
}

OffsetFetchResponse::Partition committed(storage::CommittedOffset from) {
  OffsetFetchResponse::Partition partition;
  partition.index = from.partition;
  partition.committed_offset = from.offset;
  partition.committed_leader_epoch = from.leader_epoch;
  partition.metadata = std::move(from.metadata);
  return partition;
}

/// Metadata of others makes an answer many times as long as its question.
std::uint64_t bytes_of(const OffsetFetchResponse::Partition& position) {
  return sizeof(position) + (position.metadata ? position.metadata->size() : 0);
}

/// Whom a fetch is about.
struct Asked {
  Call& call;
  AnswerRoom& room;
  const std::string& group;
  bool require_stable = false;

  [[nodiscard]] bool is_unstable(const std::string& topic, PartitionIndex index) const {
    return require_stable && call.service().transactions().unstable({group, {topic, index}});
  }
};

OffsetFetchResponse::Partition fetch_partition(const Asked& from, const NamedTopic& topic,
                                               PartitionIndex index) {
  if (topic.error != KafkaError::kNone) return nothing_committed(index, topic.error);
  if (from.is_unstable(topic.name, index)) {
    return nothing_committed(index, KafkaError::kUnstableOffsetCommit);
  }
  auto read = from.call.store().committed_offset(from.group, topic.name, index);
  if (!read) return nothing_committed(index, kafka_error(read.error()));
  return *read ? committed(std::move(**read)) : nothing_committed(index);
}

/// Those that fit into the answer.
std::vector<OffsetFetchResponse::Partition> fetch_partitions(
    const Asked& from, const NamedTopic& topic, const std::vector<PartitionIndex>& asked) {
  std::vector<OffsetFetchResponse::Partition> partitions;
  for (const PartitionIndex index : asked) {
    auto partition = fetch_partition(from, topic, index);
    if (!from.room.take(bytes_of(partition))) break;
    partitions.push_back(std::move(partition));
  }
  return partitions;
}

/// All that the group committed and fits. Topic is OffsetFetchResponse::Topic or GroupTopic.
template <class Topic>
Result<std::vector<Topic>> fetch_all(const Asked& from) {
  std::vector<Topic> topics;
  // Asked before the positions are read: an end in between must not make an old one look stable.
  std::set<TopicPartition> unstable;
  if (from.require_stable) unstable = from.call.service().transactions().unstable_of(from.group);
  RUNNEL_TRY_ASSIGN(auto offsets, from.call.store().committed_offsets(from.group));
  for (auto& offset : offsets) {  // by topic
    if (topics.empty() || topics.back().name != offset.topic) {
      topics.emplace_back().name = offset.topic;
    }
    auto partition = unstable.contains({offset.topic, offset.partition})
                         ? nothing_committed(offset.partition, KafkaError::kUnstableOffsetCommit)
                         : committed(std::move(offset));
    if (!from.room.take(bytes_of(partition))) break;
    topics.back().partitions.push_back(std::move(partition));
  }
  return topics;
}

/// Topics that went in the meantime are left out.
void add_topic_ids(storage::Store& store, std::vector<OffsetFetchResponse::GroupTopic>& topics) {
  std::erase_if(topics, [&](OffsetFetchResponse::GroupTopic& topic) {
    const auto info = store.describe_topic(topic.name);
    if (info) topic.topic_id = info->id;
    return !info;
  });
}

/// An answer is several times as long as its question.
KafkaError check_size(std::size_t partitions) {
  return partitions <= kMaxGroupPartitions ? KafkaError::kNone : KafkaError::kInvalidRequest;
}

template <class Topics>
std::size_t count_partitions(const std::optional<Topics>& topics) {
  std::size_t partitions = 0;
  if (!topics) return partitions;
  for (const auto& topic : *topics) partitions += topic.partitions.size();
  return partitions;
}

void fetch_topics(const Asked& from, const OffsetFetchRequest::Group& asked,
                  OffsetFetchResponse::Group& to) {
  Call& call = from.call;
  const bool by_id = call.version() >= kFirstWithTopicIds;
  if (!asked.topics) {
    auto all = fetch_all<OffsetFetchResponse::GroupTopic>(from);
    if (!all) {
      to.error = kafka_error(all.error());
      return;
    }
    to.topics = std::move(*all);
    if (by_id) add_topic_ids(call.store(), to.topics);
    return;
  }
  for (const auto& topic : *asked.topics) {
    auto& answer = to.topics.emplace_back();
    answer.name = topic.name;
    answer.topic_id = topic.topic_id;
    answer.partitions = fetch_partitions(from, named_topic(call, topic.name, topic.topic_id, by_id),
                                         topic.partitions);
  }
}

void fetch_group(const Asked& from, const OffsetFetchRequest::Group& asked,
                 OffsetFetchResponse::Group& to) {
  if (asked.member_id || asked.member_epoch >= 0) {
    to.error = group_error(from.call.service().coordinator().check_kafka_fetch(
        asked.group_id, asked.member_id.value_or(std::string()), asked.member_epoch));
    if (to.error != KafkaError::kNone) return;
  }
  fetch_topics(from, asked, to);
  if (!from.room.full()) return;
  to.topics.clear();
  to.error = KafkaError::kInvalidRequest;
}

OffsetFetchResponse fetch_groups(Call& call, AnswerRoom& room, const OffsetFetchRequest& request) {
  OffsetFetchResponse response;
  std::size_t partitions = 0;
  NamedBefore<std::string_view> named_before;
  for (const auto& group : request.groups) {
    auto& to = response.groups.emplace_back();
    to.group_id = group.group_id;
    partitions += count_partitions(group.topics);
    to.error = check_size(partitions);
    if (room.full() || named_before(group.group_id)) to.error = KafkaError::kInvalidRequest;
    if (to.error != KafkaError::kNone) continue;
    fetch_group({call, room, group.group_id, request.require_stable}, group, to);
  }
  return response;
}

/// One group, in versions that ask for one.
OffsetFetchResponse fetch_one(Call& call, AnswerRoom& room, const OffsetFetchRequest& request) {
  OffsetFetchResponse response;
  response.error = check_size(count_partitions(request.topics));
  if (response.error != KafkaError::kNone) return response;
  const Asked from{call, room, request.group_id, request.require_stable};
  if (!request.topics) {
    auto all = fetch_all<OffsetFetchResponse::Topic>(from);
    if (!all) {
      response.error = kafka_error(all.error());
      return response;
    }
    response.topics = std::move(*all);
    return response;
  }
  for (const auto& topic : *request.topics) {
    response.topics.push_back(
        {topic.name, fetch_partitions(from, {topic.name, KafkaError::kNone}, topic.partitions)});
  }
  return response;
}

OffsetFetchResponse fetch(Call& call, const OffsetFetchRequest& request) {
  AnswerRoom room(call);
  if (call.version() >= kFirstWithManyGroups) return fetch_groups(call, room, request);
  OffsetFetchResponse response = fetch_one(call, room, request);
  if (room.full()) response.error = KafkaError::kInvalidRequest;
  if (response.error == KafkaError::kNone) return response;
  response.topics.clear();
  if (call.version() >= kFirstWithFetchError || !request.topics) return response;
  for (const auto& topic : *request.topics) {
    auto& to = response.topics.emplace_back();
    to.name = topic.name;
    for (const PartitionIndex index : topic.partitions) {
      to.partitions.push_back(nothing_committed(index, response.error));
    }
  }
  return response;
}

// ---------------------------------------------------------------- delete
/// Whether the group has a position, or may soon have one.
Result<bool> is_set(Call& call, const std::string& group, const TopicPartition& of) {
  RUNNEL_TRY_ASSIGN(const auto found, call.store().committed_offset(group, of.topic, of.partition));
  return found || call.service().transactions().unstable({group, of});
}

kafka::OffsetDeleteResponse forget(Call& call, const kafka::OffsetDeleteRequest& request) {
  kafka::OffsetDeleteResponse response;
  if (request.group_id.empty()) {
    response.error = KafkaError::kInvalidGroupId;
    return response;
  }
  std::vector<std::string> names;
  for (const auto& topic : request.topics) names.push_back(topic.name);
  const auto subscribed = call.service().coordinator().subscribed(request.group_id, names);
  if (!subscribed) {
    response.error = group_error(subscribed.error().code());
    return response;
  }
  storage::CommitRequest commit;
  for (std::size_t i = 0; i < request.topics.size(); ++i) {
    auto& to = response.topics.emplace_back();
    to.name = names[i];
    for (const auto& asked : request.topics[i].partitions) {
      auto& answer = to.partitions.emplace_back();
      answer.index = asked.index;
      answer.error = check_partition(call, {names[i], KafkaError::kNone}, asked.index);
      if (answer.error != KafkaError::kNone) continue;
      if ((*subscribed)[i]) {
        answer.error = KafkaError::kGroupSubscribedToTopic;
        continue;
      }
      const auto set = is_set(call, request.group_id, {names[i], asked.index});
      if (!set) {
        answer.error = kafka_error(set.error());
      } else if (*set) {
        commit.offsets.push_back(
            {request.group_id, names[i], asked.index, kNoOffset, LeaderEpoch(-1), {}});
      }
    }
  }
  if (commit.offsets.empty()) return response;
  std::promise<Status> stored;
  call.service().transactions().commit_offsets(
      std::move(commit), TransactionCoordinator::Wake::kStore,
      [&stored](const storage::CommitOutcome& outcome) {
        stored.set_value(outcome.result ? Status() : Status(fail(outcome.result.error())));
      });
  if (const Status status = stored.get_future().get(); !status) {
    response.error = group_error(status.error().code());
    response.topics.clear();
  }
  return response;
}

}  // namespace

void handle_offset_commit(const CallRef& call) {
  auto request = call->decode<OffsetCommitRequest>();
  if (!request) return;
  const auto pending = std::make_shared<PendingCommit>();
  storage::CommitRequest commit;
  commit.offsets = take_offsets(*call, *request, pending->response);
  if (commit.offsets.empty()) return call->reply(pending->response);
  const KafkaError error = commit_as(*call, *request, [&] {
    refuse_large_metadata(call->service().options().max_offset_metadata_bytes, commit.offsets,
                          pending->response);
    if (commit.offsets.empty()) return;
    pending->call = call;
    call->service().transactions().commit_offsets(
        std::move(commit), TransactionCoordinator::Wake::kLoop,
        [pending](const storage::CommitOutcome& outcome) {
          if (!outcome.result) {
            refuse_rest(pending->response, group_error(outcome.result.error().code()));
          }
          pending->call->on_loop([pending] { pending->call->reply(pending->response); });
        });
  });
  if (pending->call) return;  // answered by the commit
  refuse_rest(pending->response, error);
  call->reply(pending->response);
}

void handle_offset_fetch(const CallRef& call) {
  auto request = call->decode<OffsetFetchRequest>();
  if (!request) return;
  run_blocking(
      call, [call, request = std::move(*request)] { return fetch(*call, request); },
      [call](const OffsetFetchResponse& response) { call->reply(response); });
}

void handle_offset_delete(const CallRef& call) {
  auto request = call->decode<kafka::OffsetDeleteRequest>();
  if (!request) return;
  run_blocking(
      call, [call, request = std::move(*request)] { return forget(*call, request); },
      [call](const kafka::OffsetDeleteResponse& response) { call->reply(response); });
}

}  // namespace runnel::broker
