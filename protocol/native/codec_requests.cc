// Requests <-> their tables.
#include "protocol/base/bytes.h"
#include "protocol/native/codec_parts.h"

namespace runnel::protocol::native::detail {
namespace {

/// A number that no kind will ever have.
constexpr auto kUnknownKind = static_cast<wire::Body>(255);

// ---- hello
Built put_request(Builder&, const UnknownRequest&) {
  return {kUnknownKind, {}};
}

Built put_request(Builder& b, const Hello& v) {
  const auto name = put(b, v.client_name);
  const auto version = put(b, v.client_version);
  return built(wire::Body::Hello,
               wire::CreateHello(b, name, version, v.version_min, v.version_max));
}
Hello read(Decoder& d, const wire::Hello& v) {
  return {d.text(v.client_name()), d.text(v.client_version()), v.version_min(), v.version_max()};
}

// ---- append
Ref<wire::DedupKey> put_dedup(Builder& b, const DedupKey& v) {
  const auto source = put(b, v.source);
  const auto source_id = put(b, v.source_id);
  const auto data_id = put(b, v.data_id);
  return wire::CreateDedupKey(b, source, source_id, data_id, v.payload_hash, v.record_index);
}
DedupKey read_dedup(Decoder& d, const wire::DedupKey& v) {
  return {d.text(v.source()), d.text(v.source_id()), d.text(v.data_id()), v.payload_hash(),
          v.record_index()};
}

Ref<wire::AppendPartition> put_append_partition(Builder& b, const AppendPartition& v) {
  const auto topic = put(b, v.target.topic);
  const auto dedup = put_list(b, v.dedup, put_dedup);
  const auto expected = v.expected_next
                            ? flatbuffers::Optional<std::int64_t>(v.expected_next->value())
                            : flatbuffers::Optional<std::int64_t>();
  return wire::CreateAppendPartition(b, topic, v.target.partition.value(), v.bytes, dedup,
                                     expected);
}
AppendPartition read_append_partition(Decoder& d, const wire::AppendPartition& v) {
  AppendPartition out;
  out.target = {d.text(v.topic()), PartitionIndex(v.partition())};
  out.bytes = v.bytes();
  out.dedup = d.list(v.dedup(), read_dedup);
  if (const auto expected = v.expected_next()) out.expected_next = Offset(*expected);
  return out;
}

Ref<wire::CommitOffset> put_commit(Builder& b, const CommitOffset& v) {
  const auto topic = put(b, v.target.topic);
  const auto metadata = put(b, v.metadata);
  return wire::CreateCommitOffset(b, topic, v.target.partition.value(), v.offset.value(),
                                  v.leader_epoch.value(), metadata);
}
CommitOffset read_commit(Decoder& d, const wire::CommitOffset& v) {
  return {{d.text(v.topic()), PartitionIndex(v.partition())},
          Offset(v.offset()),
          LeaderEpoch(v.leader_epoch()),
          d.text(v.metadata())};
}

Ref<wire::GroupOffsets> put_group(Builder& b, const GroupOffsets& v) {
  const auto group = put(b, v.group);
  const auto member = put(b, v.member_id);
  const auto offsets = put_list(b, v.offsets, put_commit);
  return wire::CreateGroupOffsets(b, group, member, v.member_epoch, offsets);
}
GroupOffsets read_group(Decoder& d, const wire::GroupOffsets& v) {
  return {d.text(v.group()), d.text(v.member_id()), v.member_epoch(),
          d.list(v.offsets(), read_commit)};
}

Ref<wire::FenceToken> put_fence(Builder& b, const FenceToken& v) {
  return wire::CreateFenceToken(b, put(b, v.name), v.token);
}
FenceToken read_fence(Decoder& d, const wire::FenceToken& v) {
  return {d.text(v.name()), v.token()};
}

Built put_request(Builder& b, const Append& v) {
  const auto partitions = put_list(b, v.partitions, put_append_partition);
  const auto groups = put_list(b, v.groups, put_group);
  const auto fences = put_list(b, v.fences, put_fence);
  return built(wire::Body::Append, wire::CreateAppend(b, partitions, groups, fences,
                                                      static_cast<std::uint8_t>(v.durability),
                                                      v.applied, v.applied_timeout_ms));
}
Append read(Decoder& d, const wire::Append& v) {
  Append out;
  out.partitions = d.list(v.partitions(), read_append_partition);
  out.groups = d.list(v.groups(), read_group);
  out.fences = d.list(v.fences(), read_fence);
  out.durability = d.enumerator(v.durability(), Durability::kSynced, "durability");
  out.applied = v.applied();
  out.applied_timeout_ms = v.applied_timeout_ms();
  return out;
}

// ---- fetch and subscribe
Ref<wire::FetchPartition> put_fetch_partition(Builder& b, const FetchPartition& v) {
  return wire::CreateFetchPartition(b, put(b, v.target.topic), v.target.partition.value(),
                                    v.offset.value(), v.max_bytes);
}
FetchPartition read_fetch_partition(Decoder& d, const wire::FetchPartition& v) {
  return {{d.text(v.topic()), PartitionIndex(v.partition())}, Offset(v.offset()), v.max_bytes()};
}

Built put_request(Builder& b, const Fetch& v) {
  const auto partitions = put_list(b, v.partitions, put_fetch_partition);
  const auto filter = put_list(b, v.filter, put_name);
  return built(wire::Body::Fetch,
               wire::CreateFetch(b, partitions, v.max_bytes, v.min_bytes, v.max_wait_ms, filter));
}
Fetch read(Decoder& d, const wire::Fetch& v) {
  return {d.list(v.partitions(), read_fetch_partition), v.max_bytes(), v.min_bytes(),
          v.max_wait_ms(), d.texts(v.filter())};
}

Built put_request(Builder& b, const Subscribe& v) {
  const auto partitions = put_list(b, v.partitions, put_fetch_partition);
  return built(wire::Body::Subscribe, wire::CreateSubscribe(b, partitions, v.credit_bytes));
}
Subscribe read(Decoder& d, const wire::Subscribe& v) {
  return {d.list(v.partitions(), read_fetch_partition), v.credit_bytes()};
}

Built put_request(Builder& b, const Credit& v) {
  return built(wire::Body::Credit, wire::CreateCredit(b, v.subscription, v.bytes));
}
Credit read(Decoder&, const wire::Credit& v) {
  return {v.subscription(), v.bytes()};
}

Built put_request(Builder& b, const Unsubscribe& v) {
  return built(wire::Body::Unsubscribe, wire::CreateUnsubscribe(b, v.subscription));
}
Unsubscribe read(Decoder&, const wire::Unsubscribe& v) {
  return {v.subscription()};
}

// ---- offsets
Ref<wire::OffsetSpec> put_spec(Builder& b, const OffsetSpec& v) {
  return wire::CreateOffsetSpec(b, put(b, v.target.topic), v.target.partition.value(),
                                static_cast<std::uint8_t>(v.kind), v.time.value());
}
OffsetSpec read_spec(Decoder& d, const wire::OffsetSpec& v) {
  return {{d.text(v.topic()), PartitionIndex(v.partition())},
          d.enumerator(v.kind(), OffsetSpec::Kind::kTime, "offset kind"),
          Timestamp(v.time())};
}
Built put_request(Builder& b, const ListOffsets& v) {
  return built(wire::Body::ListOffsets,
               wire::CreateListOffsets(b, put_list(b, v.partitions, put_spec)));
}
ListOffsets read(Decoder& d, const wire::ListOffsets& v) {
  return {d.list(v.partitions(), read_spec)};
}

// ---- topics
Built put_request(Builder& b, const CreateTopic& v) {
  const auto name = put(b, v.name);
  const auto configs = put_list(b, v.configs, put_config);
  return built(wire::Body::CreateTopic,
               wire::CreateCreateTopic(b, name, v.partitions, configs, v.if_not_exists));
}
CreateTopic read(Decoder& d, const wire::CreateTopic& v) {
  return {d.text(v.name()), v.partitions(), d.list(v.configs(), read_config), v.if_not_exists()};
}

Built put_request(Builder& b, const DeleteTopic& v) {
  return built(wire::Body::DeleteTopic, wire::CreateDeleteTopic(b, put(b, v.name)));
}
DeleteTopic read(Decoder& d, const wire::DeleteTopic& v) {
  return {d.text(v.name())};
}

Built put_request(Builder& b, const AlterTopic& v) {
  const auto name = put(b, v.name);
  const auto set = put_list(b, v.set, put_config);
  const auto unset = put_list(b, v.unset, put_name);
  return built(wire::Body::AlterTopic, wire::CreateAlterTopic(b, name, set, unset, v.partitions));
}
AlterTopic read(Decoder& d, const wire::AlterTopic& v) {
  return {d.text(v.name()), d.list(v.set(), read_config), d.texts(v.unset()), v.partitions()};
}

Built put_request(Builder& b, const DescribeTopics& v) {
  return built(wire::Body::DescribeTopics,
               wire::CreateDescribeTopics(b, put_list(b, v.names, put_name)));
}
DescribeTopics read(Decoder& d, const wire::DescribeTopics& v) {
  return {d.texts(v.names())};
}

Built put_request(Builder& b, const DeleteRecords& v) {
  return built(wire::Body::DeleteRecords,
               wire::CreateDeleteRecords(b, put(b, v.target.topic), v.target.partition.value(),
                                         v.before.value()));
}
DeleteRecords read(Decoder& d, const wire::DeleteRecords& v) {
  return {{d.text(v.topic()), PartitionIndex(v.partition())}, Offset(v.before())};
}

// ---- producers
Built put_request(Builder& b, const InitProducer&) {
  return built(wire::Body::InitProducer, wire::CreateInitProducer(b));
}
InitProducer read(Decoder&, const wire::InitProducer&) {
  return {};
}

// ---- groups
Built put_request(Builder& b, const GroupHeartbeat& v) {
  const auto group = put(b, v.group);
  const auto member = put(b, v.member_id);
  const auto instance = put(b, v.instance_id);
  const auto client = put(b, v.client_name);
  const auto topics = put_list(b, v.topics, put_name);
  const auto owned = put_list(b, v.owned, put_target);
  const auto assignor = put(b, v.assignor);
  return built(wire::Body::GroupHeartbeat,
               wire::CreateGroupHeartbeat(b, group, member, v.member_epoch, instance, client,
                                          topics, owned, assignor, v.session_timeout_ms));
}
GroupHeartbeat read(Decoder& d, const wire::GroupHeartbeat& v) {
  GroupHeartbeat out;
  out.group = d.text(v.group());
  out.member_id = d.text(v.member_id());
  out.member_epoch = v.member_epoch();
  out.instance_id = d.text(v.instance_id());
  out.client_name = d.text(v.client_name());
  out.topics = d.texts(v.topics());
  out.owned = d.list(v.owned(), read_target);
  out.assignor = d.text(v.assignor());
  out.session_timeout_ms = v.session_timeout_ms();
  return out;
}

Built put_request(Builder& b, const FetchGroupOffsets& v) {
  const auto group = put(b, v.group);
  const auto partitions = put_list(b, v.partitions, put_target);
  return built(wire::Body::FetchGroupOffsets, wire::CreateFetchGroupOffsets(b, group, partitions));
}
FetchGroupOffsets read(Decoder& d, const wire::FetchGroupOffsets& v) {
  return {d.text(v.group()), d.list(v.partitions(), read_target)};
}

Built put_request(Builder& b, const ListGroups&) {
  return built(wire::Body::ListGroups, wire::CreateListGroups(b));
}
ListGroups read(Decoder&, const wire::ListGroups&) {
  return {};
}

Built put_request(Builder& b, const DescribeGroup& v) {
  return built(wire::Body::DescribeGroup, wire::CreateDescribeGroup(b, put(b, v.group)));
}
DescribeGroup read(Decoder& d, const wire::DescribeGroup& v) {
  return {d.text(v.group())};
}

Built put_request(Builder& b, const DeleteGroup& v) {
  return built(wire::Body::DeleteGroup, wire::CreateDeleteGroup(b, put(b, v.group)));
}
DeleteGroup read(Decoder& d, const wire::DeleteGroup& v) {
  return {d.text(v.group())};
}

Built put_request(Builder& b, const native::Statistics&) {
  return built(wire::Body::Statistics, wire::CreateStatistics(b));
}
native::Statistics read(Decoder&, const wire::Statistics&) {
  return {};
}

// ---- snapshots
Built put_request(Builder& b, const TakeSnapshot&) {
  return built(wire::Body::TakeSnapshot, wire::CreateTakeSnapshot(b));
}
TakeSnapshot read(Decoder&, const wire::TakeSnapshot&) {
  return {};
}

// ---- erasure
Built put_request(Builder& b, const EraseKey& v) {
  const auto id = put(b, v.id);
  const auto topic = put(b, v.topic);
  return built(wire::Body::EraseKey, wire::CreateEraseKey(b, id, topic, put(b, v.key)));
}
EraseKey read(Decoder& d, const wire::EraseKey& v) {
  return {d.text(v.id()), d.text(v.topic()), d.text(v.key())};
}

Built put_request(Builder& b, const ListErasures& v) {
  return built(wire::Body::ListErasures, wire::CreateListErasures(b, put(b, v.id)));
}
ListErasures read(Decoder& d, const wire::ListErasures& v) {
  return {d.text(v.id())};
}

}  // namespace

Built build(Builder& b, const Request& request) {
  return std::visit([&b](const auto& v) { return put_request(b, v); }, request);
}

std::uint64_t announced_bytes(const Request& request) {
  const auto* append = std::get_if<Append>(&request);
  return append == nullptr ? 0 : sum_of_bytes(append->partitions);
}

Request read_request(Decoder& d, const wire::Message& message) {
  switch (message.body_type()) {
#define RUNNEL_READ(Kind)                                             \
  case wire::Body::Kind:                                              \
    if (const auto* v = message.body_as_##Kind()) return read(d, *v); \
    break
    RUNNEL_READ(Hello);
    RUNNEL_READ(Append);
    RUNNEL_READ(Fetch);
    RUNNEL_READ(Subscribe);
    RUNNEL_READ(Credit);
    RUNNEL_READ(Unsubscribe);
    RUNNEL_READ(ListOffsets);
    RUNNEL_READ(CreateTopic);
    RUNNEL_READ(DeleteTopic);
    RUNNEL_READ(AlterTopic);
    RUNNEL_READ(DescribeTopics);
    RUNNEL_READ(DeleteRecords);
    RUNNEL_READ(InitProducer);
    RUNNEL_READ(GroupHeartbeat);
    RUNNEL_READ(FetchGroupOffsets);
    RUNNEL_READ(ListGroups);
    RUNNEL_READ(DescribeGroup);
    RUNNEL_READ(DeleteGroup);
    RUNNEL_READ(Statistics);
    RUNNEL_READ(TakeSnapshot);
    RUNNEL_READ(EraseKey);
    RUNNEL_READ(ListErasures);
    RUNNEL_READ(Sql);
    RUNNEL_READ(ViewGet);
    RUNNEL_READ(WaitApplied);
    RUNNEL_READ(SubscribeView);
    RUNNEL_READ(ListViews);
#undef RUNNEL_READ
    default:
      return UnknownRequest{};
  }
  d.set_failed("its body is missing");
  return UnknownRequest{};
}

}  // namespace runnel::protocol::native::detail
