// Responses <-> their tables.
#include "protocol/base/bytes.h"
#include "protocol/native/codec_parts.h"

namespace runnel::protocol::native::detail {
namespace {

std::uint16_t number(ErrorCode code) {
  return static_cast<std::uint16_t>(code);
}
/// Codes of newer servers are kept as they are; name_of() says "unknown".
ErrorCode code_of(std::uint16_t value) {
  return static_cast<ErrorCode>(value);
}

// ---- any
Ref<wire::Duplicate> put_duplicate(Builder& b, const Failure::Duplicate& v) {
  return wire::CreateDuplicate(b, v.partition, v.entry, v.offset.value(), v.at.value());
}
Failure::Duplicate read_duplicate(Decoder&, const wire::Duplicate& v) {
  return {v.partition(), v.entry(), Offset(v.offset()), PartitionIndex(v.at())};
}

Built put_response(Builder& b, const Failure& v) {
  const auto message = put(b, v.message);
  const auto duplicates = put_list(b, v.duplicates, put_duplicate);
  return built(wire::Body::Failure,
               wire::CreateFailure(b, number(v.code), static_cast<std::uint8_t>(v.action), message,
                                   duplicates));
}
Failure read(Decoder& d, const wire::Failure& v) {
  Failure out;
  out.code = code_of(v.code());
  out.action = v.action() <= static_cast<std::uint8_t>(ErrorAction::kMaybePersisted)
                   ? static_cast<ErrorAction>(v.action())
                   : ErrorAction::kPermanent;
  out.message = d.text(v.message());
  out.duplicates = d.list(v.duplicates(), read_duplicate);
  return out;
}

Built put_response(Builder& b, const Done&) {
  return built(wire::Body::Done, wire::CreateDone(b));
}
Done read(Decoder&, const wire::Done&) {
  return {};
}

// ---- hello
Built put_response(Builder& b, const HelloReply& v) {
  const auto version = put(b, v.server_version);
  const auto cluster = put(b, v.cluster_id);
  return built(wire::Body::HelloReply,
               wire::CreateHelloReply(b, v.version, version, cluster, v.max_frame_bytes));
}
HelloReply read(Decoder& d, const wire::HelloReply& v) {
  return {v.version(), d.text(v.server_version()), d.text(v.cluster_id()), v.max_frame_bytes()};
}

// ---- append
Ref<wire::AppendedPartition> put_appended(Builder& b, const AppendedPartition& v) {
  Ref<flatbuffers::Vector<std::int64_t>> offsets;
  if (!v.dedup_offsets.empty()) {
    offsets = b.CreateVector<std::int64_t>(
        v.dedup_offsets.size(), [&v](std::size_t i) { return v.dedup_offsets[i].value(); });
  }
  Ref<flatbuffers::Vector<std::int32_t>> partitions;
  if (!v.dedup_partitions.empty()) {
    partitions = b.CreateVector<std::int32_t>(
        v.dedup_partitions.size(), [&v](std::size_t i) { return v.dedup_partitions[i].value(); });
  }
  return wire::CreateAppendedPartition(b, v.base_offset.value(), v.last_offset.value(),
                                       v.log_start.value(), v.append_time.value(), v.duplicate,
                                       offsets, partitions);
}
AppendedPartition read_appended(Decoder& d, const wire::AppendedPartition& v) {
  return {Offset(v.base_offset()),           Offset(v.last_offset()), Offset(v.log_start()),
          Timestamp(v.append_time()),        v.duplicate(),           d.offsets(v.dedup_offsets()),
          d.partitions(v.dedup_partitions())};
}
Built put_response(Builder& b, const AppendReply& v) {
  const auto partitions = put_list(b, v.partitions, put_appended);
  return built(
      wire::Body::AppendReply,
      wire::CreateAppendReply(b, partitions, static_cast<std::uint8_t>(v.durability), v.applied));
}
AppendReply read(Decoder& d, const wire::AppendReply& v) {
  return {d.list(v.partitions(), read_appended),
          d.enumerator(v.durability(), Durability::kSynced, "durability"), v.applied()};
}

// ---- fetch and subscribe
Ref<wire::AbortedTransaction> put_aborted(Builder& b, const AbortedTransaction& v) {
  return wire::CreateAbortedTransaction(b, v.producer.value(), v.first.value());
}
AbortedTransaction read_aborted(Decoder&, const wire::AbortedTransaction& v) {
  return {ProducerId(v.producer()), Offset(v.first())};
}
Ref<wire::FetchedPartition> put_fetched(Builder& b, const FetchedPartition& v) {
  const auto topic = put(b, v.target.topic);
  const auto message = put(b, v.error_message);
  const auto aborted = put_list(b, v.aborted, put_aborted);
  return wire::CreateFetchedPartition(b, topic, v.target.partition.value(), number(v.error),
                                      message, v.high_watermark.value(), v.log_start.value(),
                                      v.bytes, aborted, v.next.value(), v.filtered, v.unreadable);
}
FetchedPartition read_fetched(Decoder& d, const wire::FetchedPartition& v) {
  FetchedPartition out;
  out.target = {d.text(v.topic()), PartitionIndex(v.partition())};
  out.error = code_of(v.error());
  out.error_message = d.text(v.error_message());
  out.high_watermark = Offset(v.high_watermark());
  out.log_start = Offset(v.log_start());
  out.bytes = v.bytes();
  out.aborted = d.list(v.aborted(), read_aborted);
  out.next = Offset(v.next());
  out.filtered = v.filtered();
  out.unreadable = v.unreadable();
  return out;
}
Built put_response(Builder& b, const FetchReply& v) {
  return built(wire::Body::FetchReply,
               wire::CreateFetchReply(b, put_list(b, v.partitions, put_fetched)));
}
FetchReply read(Decoder& d, const wire::FetchReply& v) {
  return {d.list(v.partitions(), read_fetched)};
}
Built put_response(Builder& b, const SubscribeReply& v) {
  return built(wire::Body::SubscribeReply, wire::CreateSubscribeReply(b, v.subscription));
}
SubscribeReply read(Decoder&, const wire::SubscribeReply& v) {
  return {v.subscription()};
}
Built put_response(Builder& b, const Delivery& v) {
  const auto partitions = put_list(b, v.partitions, put_fetched);
  return built(wire::Body::Delivery, wire::CreateDelivery(b, v.subscription, partitions));
}
Delivery read(Decoder& d, const wire::Delivery& v) {
  return {v.subscription(), d.list(v.partitions(), read_fetched)};
}

// ---- offsets
Ref<wire::OffsetFound> put_found(Builder& b, const OffsetFound& v) {
  return wire::CreateOffsetFound(b, number(v.error), put(b, v.error_message), v.offset.value(),
                                 v.timestamp.value());
}
OffsetFound read_found(Decoder& d, const wire::OffsetFound& v) {
  return {code_of(v.error()), d.text(v.error_message()), Offset(v.offset()),
          Timestamp(v.timestamp())};
}
Built put_response(Builder& b, const ListOffsetsReply& v) {
  return built(wire::Body::ListOffsetsReply,
               wire::CreateListOffsetsReply(b, put_list(b, v.partitions, put_found)));
}
ListOffsetsReply read(Decoder& d, const wire::ListOffsetsReply& v) {
  return {d.list(v.partitions(), read_found)};
}

// ---- topics
Ref<wire::PartitionDescription> put_partition(Builder& b, const PartitionDescription& v) {
  return wire::CreatePartitionDescription(b, v.index.value(), v.log_start.value(),
                                          v.high_watermark.value(), v.bytes,
                                          v.max_timestamp.value());
}
PartitionDescription read_partition(Decoder&, const wire::PartitionDescription& v) {
  return {PartitionIndex(v.index()), Offset(v.log_start()), Offset(v.high_watermark()), v.bytes(),
          Timestamp(v.max_timestamp())};
}
Ref<wire::TopicDescription> put_topic(Builder& b, const TopicDescription& v) {
  const auto name = put(b, v.name);
  const auto id = put(b, v.id);
  const auto partitions = put_list(b, v.partitions, put_partition);
  const auto configs = put_list(b, v.configs, put_config);
  return wire::CreateTopicDescription(b, name, number(v.error), id, v.created.value(), partitions,
                                      configs);
}
TopicDescription read_topic(Decoder& d, const wire::TopicDescription& v) {
  TopicDescription out;
  out.name = d.text(v.name());
  out.error = code_of(v.error());
  out.id = d.text(v.id());
  out.created = Timestamp(v.created());
  out.partitions = d.list(v.partitions(), read_partition);
  out.configs = d.list(v.configs(), read_config);
  return out;
}
Built put_response(Builder& b, const TopicsReply& v) {
  return built(wire::Body::TopicsReply,
               wire::CreateTopicsReply(b, put_list(b, v.topics, put_topic)));
}
TopicsReply read(Decoder& d, const wire::TopicsReply& v) {
  return {d.list(v.topics(), read_topic)};
}
Built put_response(Builder& b, const DeleteRecordsReply& v) {
  return built(wire::Body::DeleteRecordsReply,
               wire::CreateDeleteRecordsReply(b, v.log_start.value()));
}
DeleteRecordsReply read(Decoder&, const wire::DeleteRecordsReply& v) {
  return {Offset(v.log_start())};
}

// ---- producers
Built put_response(Builder& b, const InitProducerReply& v) {
  return built(wire::Body::InitProducerReply,
               wire::CreateInitProducerReply(b, v.id.value(), v.epoch.value()));
}
InitProducerReply read(Decoder&, const wire::InitProducerReply& v) {
  return {ProducerId(v.id()), ProducerEpoch(v.epoch())};
}

// ---- groups
Built put_response(Builder& b, const GroupHeartbeatReply& v) {
  const auto member = put(b, v.member_id);
  const auto assignment = put_list(b, v.assignment, put_target);
  return built(wire::Body::GroupHeartbeatReply,
               wire::CreateGroupHeartbeatReply(b, member, v.member_epoch, v.heartbeat_interval_ms,
                                               assignment));
}
GroupHeartbeatReply read(Decoder& d, const wire::GroupHeartbeatReply& v) {
  return {d.text(v.member_id()), v.member_epoch(), v.heartbeat_interval_ms(),
          d.list(v.assignment(), read_target)};
}
Ref<wire::GroupOffset> put_group_offset(Builder& b, const GroupOffset& v) {
  const auto topic = put(b, v.target.topic);
  const auto metadata = put(b, v.metadata);
  return wire::CreateGroupOffset(b, topic, v.target.partition.value(), v.offset.value(),
                                 v.leader_epoch.value(), metadata, v.committed.value());
}
GroupOffset read_group_offset(Decoder& d, const wire::GroupOffset& v) {
  GroupOffset out;
  out.target = {d.text(v.topic()), PartitionIndex(v.partition())};
  out.offset = Offset(v.offset());
  out.leader_epoch = LeaderEpoch(v.leader_epoch());
  out.metadata = d.text(v.metadata());
  out.committed = Timestamp(v.committed());
  return out;
}
Built put_response(Builder& b, const GroupOffsetsReply& v) {
  return built(wire::Body::GroupOffsetsReply,
               wire::CreateGroupOffsetsReply(b, put_list(b, v.offsets, put_group_offset)));
}
GroupOffsetsReply read(Decoder& d, const wire::GroupOffsetsReply& v) {
  return {d.list(v.offsets(), read_group_offset)};
}
Ref<wire::GroupMember> put_member(Builder& b, const GroupMember& v) {
  const auto member = put(b, v.member_id);
  const auto instance = put(b, v.instance_id);
  const auto client = put(b, v.client_name);
  const auto host = put(b, v.host);
  const auto assignment = put_list(b, v.assignment, put_target);
  return wire::CreateGroupMember(b, member, instance, client, host, v.member_epoch, assignment);
}
GroupMember read_member(Decoder& d, const wire::GroupMember& v) {
  GroupMember out;
  out.member_id = d.text(v.member_id());
  out.instance_id = d.text(v.instance_id());
  out.client_name = d.text(v.client_name());
  out.host = d.text(v.host());
  out.member_epoch = v.member_epoch();
  out.assignment = d.list(v.assignment(), read_target);
  return out;
}
Ref<wire::GroupDescription> put_description(Builder& b, const GroupDescription& v) {
  const auto group = put(b, v.group);
  const auto state = put(b, v.state);
  const auto assignor = put(b, v.assignor);
  const auto members = put_list(b, v.members, put_member);
  return wire::CreateGroupDescription(b, group, state, v.epoch, assignor, members);
}
GroupDescription read_description(Decoder& d, const wire::GroupDescription& v) {
  GroupDescription out;
  out.group = d.text(v.group());
  out.state = d.text(v.state());
  out.epoch = v.epoch();
  out.assignor = d.text(v.assignor());
  out.members = d.list(v.members(), read_member);
  return out;
}
Built put_response(Builder& b, const GroupsReply& v) {
  return built(wire::Body::GroupsReply,
               wire::CreateGroupsReply(b, put_list(b, v.groups, put_description)));
}
GroupsReply read(Decoder& d, const wire::GroupsReply& v) {
  return {d.list(v.groups(), read_description)};
}

// ---- statistics
Built put_response(Builder& b, const StatisticsReply& v) {
  return built(wire::Body::StatisticsReply,
               wire::CreateStatisticsReply(b, put_list(b, v.values, put_statistic)));
}
StatisticsReply read(Decoder& d, const wire::StatisticsReply& v) {
  return {d.list(v.values(), read_statistic)};
}
Built put_response(Builder& b, const SnapshotReply& v) {
  return built(wire::Body::SnapshotReply,
               wire::CreateSnapshotReply(b, put(b, v.directory), v.taken.value()));
}
SnapshotReply read(Decoder& d, const wire::SnapshotReply& v) {
  return {d.text(v.directory()), Timestamp(v.taken())};
}

// ---- erasure
Ref<wire::ErasedPart> put_erased_part(Builder& b, const ErasedPart& v) {
  return wire::CreateErasedPart(b, v.partition.value(), v.end.value(), v.records);
}
ErasedPart read_erased_part(Decoder&, const wire::ErasedPart& v) {
  return {PartitionIndex(v.partition()), Offset(v.end()), v.records()};
}
Ref<wire::ErasedRange> put_erased_range(Builder& b, const ErasedRange& v) {
  return wire::CreateErasedRange(b, v.partition.value(), v.first.value(), v.last.value());
}
ErasedRange read_erased_range(Decoder&, const wire::ErasedRange& v) {
  return {PartitionIndex(v.partition()), Offset(v.first()), Offset(v.last())};
}
Ref<wire::Erasure> put_erasure(Builder& b, const Erasure& v) {
  const auto id = put(b, v.id);
  const auto topic = put(b, v.topic);
  const auto parts = put_list(b, v.parts, put_erased_part);
  const auto ranges = put_list(b, v.ranges, put_erased_range);
  return wire::CreateErasure(b, id, topic, v.requested.value(), v.removed.value(), v.gone.value(),
                             parts, ranges, v.ranges_cut, v.dedup_keys, v.segments_left,
                             put(b, v.problem));
}
Erasure read_erasure(Decoder& d, const wire::Erasure& v) {
  Erasure out;
  out.id = d.text(v.id());
  out.topic = d.text(v.topic());
  out.requested = Timestamp(v.requested());
  out.removed = Timestamp(v.removed());
  out.gone = Timestamp(v.gone());
  out.parts = d.list(v.parts(), read_erased_part);
  out.ranges = d.list(v.ranges(), read_erased_range);
  out.ranges_cut = v.ranges_cut();
  out.dedup_keys = v.dedup_keys();
  out.segments_left = v.segments_left();
  out.problem = d.text(v.problem());
  return out;
}
Built put_response(Builder& b, const ErasuresReply& v) {
  return built(wire::Body::ErasuresReply,
               wire::CreateErasuresReply(b, put_list(b, v.erasures, put_erasure)));
}
ErasuresReply read(Decoder& d, const wire::ErasuresReply& v) {
  return {d.list(v.erasures(), read_erasure)};
}

}  // namespace

Built build(Builder& b, const Response& response) {
  return std::visit([&b](const auto& v) { return put_response(b, v); }, response);
}

std::uint64_t announced_bytes(const Response& response) {
  if (const auto* fetch = std::get_if<FetchReply>(&response)) {
    return sum_of_bytes(fetch->partitions);
  }
  if (const auto* delivery = std::get_if<Delivery>(&response)) {
    return sum_of_bytes(delivery->partitions);
  }
  if (const auto* sql = std::get_if<SqlReply>(&response)) return sum_of_bytes(sql->answers);
  if (const auto* delivery = std::get_if<ViewDelivery>(&response)) return delivery->bytes;
  return 0;
}

Response read_response(Decoder& d, const wire::Message& message) {
  switch (message.body_type()) {
#define RUNNEL_READ(Kind)                                             \
  case wire::Body::Kind:                                              \
    if (const auto* v = message.body_as_##Kind()) return read(d, *v); \
    break
    RUNNEL_READ(Failure);
    RUNNEL_READ(Done);
    RUNNEL_READ(HelloReply);
    RUNNEL_READ(AppendReply);
    RUNNEL_READ(FetchReply);
    RUNNEL_READ(SubscribeReply);
    RUNNEL_READ(Delivery);
    RUNNEL_READ(ListOffsetsReply);
    RUNNEL_READ(TopicsReply);
    RUNNEL_READ(DeleteRecordsReply);
    RUNNEL_READ(InitProducerReply);
    RUNNEL_READ(GroupHeartbeatReply);
    RUNNEL_READ(GroupOffsetsReply);
    RUNNEL_READ(GroupsReply);
    RUNNEL_READ(StatisticsReply);
    RUNNEL_READ(SnapshotReply);
    RUNNEL_READ(ErasuresReply);
    RUNNEL_READ(SqlReply);
    RUNNEL_READ(ViewDelivery);
    RUNNEL_READ(ViewsReply);
#undef RUNNEL_READ
    default:
      d.set_failed("it is a response of a kind that this version does not know");
      return Failure{};
  }
  d.set_failed("its body is missing");
  return Failure{};
}

}  // namespace runnel::protocol::native::detail
