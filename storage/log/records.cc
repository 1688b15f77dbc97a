#include "storage/log/records.h"

#include "protocol/base/bytes.h"

namespace runnel::storage {
namespace {

constexpr std::uint8_t kFormat = 1;
constexpr std::uint8_t kProducerFormat = 2;  ///< 1 knew no transactions
constexpr char kIndexPrefix = '\x01';
constexpr char kSpanPrefix = '\x02';
constexpr char kAbortedPrefix = '\x03';
constexpr char kLostPrefix = '\x04';
constexpr std::size_t kPartitionKeyBytes = 5;

std::string prefixed(char prefix, std::string_view rest) {
  std::string key(1, prefix);
  key += rest;
  return key;
}

ByteWriter partition_key(char prefix, PartitionId partition) {
  ByteWriter w;
  w.le(prefix).be(partition.value());
  return w;
}

std::optional<std::pair<PartitionId, Offset>> partition_and_offset(char prefix,
                                                                   std::string_view key) {
  ByteReader r(as_bytes(key));
  if (r.le<char>() != prefix) return std::nullopt;
  const PartitionId partition(r.be<std::uint32_t>());
  const Offset offset(r.be<std::int64_t>());
  return r.at_end() ? std::optional(std::pair(partition, offset)) : std::nullopt;
}

tl::unexpected<Error> unreadable(std::string_view what) {
  return fail(ErrorCode::kCorrupt, "the index holds a " + std::string(what) +
                                       " that can't be read; run `runnel check` on the directory");
}

}  // namespace

namespace keys {

std::string index_entry(PartitionId partition, Offset base) {
  return partition_key(kIndexPrefix, partition).be(base.value()).take();
}
std::string span(PartitionId partition, std::uint32_t segment) {
  return partition_key(kSpanPrefix, partition).be(segment).take();
}
std::string aborted(PartitionId partition, Offset marker) {
  return partition_key(kAbortedPrefix, partition).be(marker.value()).take();
}
std::string lost(PartitionId partition, Offset first) {
  return partition_key(kLostPrefix, partition).be(first.value()).take();
}
std::string topic(std::string_view name) {
  return prefixed('t', name);
}
std::string partition_state(PartitionId partition) {
  return partition_key('p', partition).take();
}
std::string log_start(PartitionId partition) {
  return partition_key('s', partition).take();
}
std::string clean_point(PartitionId partition) {
  return partition_key('k', partition).take();
}
std::string producer(PartitionId partition, ProducerId producer) {
  return partition_key('r', partition).be(producer.value()).take();
}
std::string producers_of(PartitionId partition) {
  return partition_key('r', partition).take();
}
std::string group_offsets_of(std::string_view group) {
  std::string key = prefixed('g', group);
  key.push_back('\0');
  return key;
}
std::string group_offset(std::string_view group, std::string_view topic, PartitionIndex partition) {
  ByteWriter w;
  w.raw(as_bytes(group_offsets_of(group))).raw(as_bytes(topic)).le('\0').be(partition.value());
  return w.take();
}
std::string group_empty_since(std::string_view group) {
  return prefixed('e', group);
}
std::string fence(std::string_view name) {
  return prefixed('f', name);
}
std::string broker_state(std::string_view key) {
  return prefixed('b', key);
}
std::string erasure(std::string_view id) {
  return prefixed('x', id);
}
std::string checkpoint() {
  return "c";
}
std::string next_partition() {
  return "np";
}
std::string next_producer() {
  return "nr";
}
std::string retention_time() {
  return "w";
}
std::string scrub_place() {
  return "y";
}
std::optional<SpanKey> parse_span(std::string_view key) {
  ByteReader r(as_bytes(key));
  if (r.le<char>() != kSpanPrefix) return std::nullopt;
  const PartitionId partition(r.be<std::uint32_t>());
  const auto segment = r.be<std::uint32_t>();
  if (!r.at_end()) return std::nullopt;
  return SpanKey{partition, segment};
}
std::optional<Offset> parse_index_entry(std::string_view key) {
  const auto at = partition_and_offset(kIndexPrefix, key);
  return at ? std::optional(at->second) : std::nullopt;
}
std::optional<AbortedKey> parse_aborted(std::string_view key) {
  const auto at = partition_and_offset(kAbortedPrefix, key);
  return at ? std::optional(AbortedKey{at->first, at->second}) : std::nullopt;
}
std::optional<LostKey> parse_lost(std::string_view key) {
  const auto at = partition_and_offset(kLostPrefix, key);
  return at ? std::optional(LostKey{at->first, at->second}) : std::nullopt;
}
std::optional<PartitionId> parse_partition(std::string_view key) {
  return key.size() == kPartitionKeyBytes ? partition_of(key) : std::nullopt;
}
std::optional<PartitionId> partition_of(std::string_view key) {
  if (key.size() < kPartitionKeyBytes) return std::nullopt;
  return PartitionId(load_be<std::uint32_t>(key.data() + 1));
}
std::optional<ProducerKey> parse_producer(std::string_view key) {
  ByteReader r(as_bytes(key));
  if (r.le<char>() != 'r') return std::nullopt;
  const PartitionId partition(r.be<std::uint32_t>());
  const ProducerId producer(r.be<std::int64_t>());
  if (!r.at_end()) return std::nullopt;
  return ProducerKey{partition, producer};
}
std::optional<GroupOffsetKey> parse_group_offset(std::string_view key) {
  if (key.empty() || key.front() != 'g') return std::nullopt;
  const auto group_end = key.find('\0');
  if (group_end == std::string_view::npos) return std::nullopt;
  const auto topic_end = key.find('\0', group_end + 1);
  if (topic_end == std::string_view::npos) return std::nullopt;
  ByteReader r(as_bytes(key.substr(topic_end + 1)));
  const PartitionIndex partition(r.be<std::int32_t>());
  if (!r.at_end()) return std::nullopt;
  return GroupOffsetKey{key.substr(1, group_end - 1),
                        key.substr(group_end + 1, topic_end - group_end - 1), partition};
}

}  // namespace keys

std::string encode(const IndexEntry& e) {
  ByteWriter w;
  w.uvarint(static_cast<std::uint64_t>(e.last - e.base)).uvarint(e.position.pack());
  w.uvarint(e.bytes).varint(e.max_timestamp.value()).uvarint(e.bytes_before);
  if (is_data_segment(e.position.segment)) w.le(e.heads);
  return w.take();
}

Result<IndexEntry> decode_index_entry(std::string_view key, std::string_view value) {
  const auto base = keys::parse_index_entry(key);
  if (!base) return unreadable("index key");
  ByteReader r(as_bytes(value));
  IndexEntry e;
  e.base = *base;
  e.last = *base + static_cast<std::int64_t>(r.uvarint());
  e.position = Position::unpack(r.uvarint());
  e.bytes = static_cast<std::uint32_t>(r.uvarint());
  e.max_timestamp = Timestamp(r.varint());
  e.bytes_before = r.uvarint();
  if (is_data_segment(e.position.segment)) e.heads = r.le<std::uint64_t>();
  if (!r.at_end() || e.last < e.base) return unreadable("index entry");
  return e;
}

namespace {
void write_span(ByteWriter& w, const Span& s) {
  w.uvarint(static_cast<std::uint64_t>(s.first.value()));
  w.uvarint(static_cast<std::uint64_t>(s.last.value()));
  w.uvarint(s.bytes).varint(s.max_timestamp.value());
  if (is_data_segment(s.segment)) w.varint(s.newest.value());
}
Span read_span(ByteReader& r, std::uint32_t segment) {
  Span s;
  s.segment = segment;
  s.first = Offset(static_cast<std::int64_t>(r.uvarint()));
  s.last = Offset(static_cast<std::int64_t>(r.uvarint()));
  s.bytes = r.uvarint();
  s.max_timestamp = Timestamp(r.varint());
  if (is_data_segment(segment)) s.newest = Timestamp(r.varint());
  return s;
}
}  // namespace

std::string encode(const Span& s) {
  ByteWriter w;
  write_span(w, s);
  return w.take();
}

Result<Span> decode_span(std::uint32_t segment, std::string_view value) {
  ByteReader r(as_bytes(value));
  const Span s = read_span(r, segment);
  if (!r.at_end()) return unreadable("segment span");
  return s;
}

std::string encode(const TopicRecord& t) {
  ByteWriter w;
  w.le(kFormat).raw(std::as_bytes(std::span(t.id.bytes))).le(t.created.value());
  w.uvarint(t.partitions.size());
  for (const PartitionId p : t.partitions) w.uvarint(p.value());
  w.uvarint(t.configs.size());
  for (const auto& [name, value] : t.configs) w.text(name).text(value);
  return w.take();
}

Result<TopicRecord> decode_topic(std::string_view value) {
  ByteReader r(as_bytes(value));
  if (r.le<std::uint8_t>() != kFormat) return unreadable("topic");
  TopicRecord t;
  const Bytes id = r.take(t.id.bytes.size());
  if (!r.ok()) return unreadable("topic");
  std::memcpy(t.id.bytes.data(), id.data(), id.size());
  t.created = Timestamp(r.le<std::int64_t>());
  const std::uint64_t partitions = r.uvarint();
  if (partitions > r.remaining()) return unreadable("topic");
  for (std::uint64_t i = 0; i < partitions; ++i) {
    t.partitions.emplace_back(static_cast<std::uint32_t>(r.uvarint()));
  }
  const std::uint64_t configs = r.uvarint();
  if (configs > r.remaining()) return unreadable("topic");
  for (std::uint64_t i = 0; i < configs; ++i) {
    std::string name(r.text());
    t.configs[std::move(name)] = std::string(r.text());
  }
  if (!r.at_end()) return unreadable("topic");
  return t;
}

std::string encode(const PartitionState& s) {
  ByteWriter w;
  w.le(kFormat).uvarint(static_cast<std::uint64_t>(s.next.value())).uvarint(s.bytes);
  w.uvarint(s.open_span.segment);
  write_span(w, s.open_span);
  return w.take();
}

Result<PartitionState> decode_partition_state(std::string_view value) {
  ByteReader r(as_bytes(value));
  if (r.le<std::uint8_t>() != kFormat) return unreadable("partition state");
  PartitionState s;
  s.next = Offset(static_cast<std::int64_t>(r.uvarint()));
  s.bytes = r.uvarint();
  const auto segment = static_cast<std::uint32_t>(r.uvarint());
  s.open_span = read_span(r, segment);
  if (!r.at_end()) return unreadable("partition state");
  return s;
}

std::string encode(const LogStart& s) {
  ByteWriter w;
  w.uvarint(static_cast<std::uint64_t>(s.offset.value())).uvarint(s.bytes);
  return w.take();
}

Result<LogStart> decode_log_start(std::string_view value) {
  ByteReader r(as_bytes(value));
  LogStart s;
  s.offset = Offset(static_cast<std::int64_t>(r.uvarint()));
  s.bytes = r.uvarint();
  if (!r.at_end()) return unreadable("log start");
  return s;
}

std::string encode(const CleanPoint& p) {
  ByteWriter w;
  w.uvarint(static_cast<std::uint64_t>(p.offset.value())).uvarint(p.bytes);
  return w.take();
}

Result<CleanPoint> decode_clean_point(std::string_view value) {
  ByteReader r(as_bytes(value));
  CleanPoint p;
  p.offset = Offset(static_cast<std::int64_t>(r.uvarint()));
  p.bytes = r.uvarint();
  if (!r.at_end()) return unreadable("clean point");
  return p;
}

std::string encode(const AbortedRecord& a) {
  ByteWriter w;
  w.le(kFormat).le(a.producer.value()).le(a.first.value()).le(a.stable.value());
  return w.take();
}

Result<AbortedRecord> decode_aborted(std::string_view key, std::string_view value) {
  const auto parsed = keys::parse_aborted(key);
  ByteReader r(as_bytes(value));
  if (!parsed || r.le<std::uint8_t>() != kFormat) return unreadable("aborted transaction");
  AbortedRecord a;
  a.marker = parsed->marker;
  a.producer = ProducerId(r.le<std::int64_t>());
  a.first = Offset(r.le<std::int64_t>());
  a.stable = Offset(r.le<std::int64_t>());
  if (!r.at_end()) return unreadable("aborted transaction");
  return a;
}

std::string encode(const LostRecord& lost) {
  ByteWriter w;
  w.le(kFormat).uvarint(static_cast<std::uint64_t>(lost.last - lost.first));
  w.le(lost.found.value()).text(lost.why);
  return w.take();
}

Result<LostRecord> decode_lost(std::string_view key, std::string_view value) {
  const auto parsed = keys::parse_lost(key);
  ByteReader r(as_bytes(value));
  if (!parsed || r.le<std::uint8_t>() != kFormat) return unreadable("lost range");
  LostRecord lost;
  lost.first = parsed->first;
  lost.last = parsed->first + static_cast<std::int64_t>(r.uvarint());
  lost.found = Timestamp(r.le<std::int64_t>());
  lost.why = std::string(r.text());
  if (!r.at_end() || lost.last < lost.first) return unreadable("lost range");
  return lost;
}

std::string encode(const ProducerState& s) {
  ByteWriter w;
  w.le(kProducerFormat).le(s.epoch.value()).le(s.last_seen.value()).le(s.last.value());
  w.le(s.transaction_first.value()).le(s.transaction_bytes).le(s.coordinator_epoch).le(s.count);
  for (std::size_t i = 0; i < s.count; ++i) {
    const auto& b = s.batches[i];
    w.le(b.first_sequence).le(b.last_sequence).le(b.base.value()).le(b.last.value());
  }
  return w.take();
}

Result<ProducerState> decode_producer(std::string_view value) {
  ByteReader r(as_bytes(value));
  const auto format = r.le<std::uint8_t>();
  if (format != kFormat && format != kProducerFormat) return unreadable("producer state");
  ProducerState s;
  s.epoch = ProducerEpoch(r.le<std::int16_t>());
  s.last_seen = Timestamp(r.le<std::int64_t>());
  if (format == kProducerFormat) {
    s.last = Offset(r.le<std::int64_t>());
    s.transaction_first = Offset(r.le<std::int64_t>());
    s.transaction_bytes = r.le<std::uint64_t>();
    s.coordinator_epoch = r.le<std::int32_t>();
  }
  s.count = r.le<std::uint8_t>();
  if (s.count > ProducerState::kRemembered) return unreadable("producer state");
  for (std::size_t i = 0; i < s.count; ++i) {
    auto& b = s.batches[i];
    b.first_sequence = r.le<std::int32_t>();
    b.last_sequence = r.le<std::int32_t>();
    b.base = Offset(r.le<std::int64_t>());
    b.last = Offset(r.le<std::int64_t>());
  }
  if (!r.at_end()) return unreadable("producer state");
  if (format == kFormat && s.count != 0) s.last = s.batches[s.count - 1U].last;
  return s;
}

std::string encode(const OffsetRecord& o) {
  ByteWriter w;
  w.le(kFormat).le(o.offset.value()).le(o.leader_epoch.value()).le(o.committed.value());
  w.text(o.metadata);
  return w.take();
}

Result<OffsetRecord> decode_offset(std::string_view value) {
  ByteReader r(as_bytes(value));
  if (r.le<std::uint8_t>() != kFormat) return unreadable("committed offset");
  OffsetRecord o;
  o.offset = Offset(r.le<std::int64_t>());
  o.leader_epoch = LeaderEpoch(r.le<std::int32_t>());
  o.committed = Timestamp(r.le<std::int64_t>());
  o.metadata = std::string(r.text());
  if (!r.at_end()) return unreadable("committed offset");
  return o;
}

std::string encode(const JournalPoint& c) {
  ByteWriter w;
  w.le(kFormat).le(c.position.pack()).le(c.sequence).le(c.checksum);
  return w.take();
}

Result<JournalPoint> decode_checkpoint(std::string_view value) {
  ByteReader r(as_bytes(value));
  if (r.le<std::uint8_t>() != kFormat) return unreadable("checkpoint");
  JournalPoint c;
  c.position = Position::unpack(r.le<std::uint64_t>());
  c.sequence = r.le<std::uint64_t>();
  c.checksum = r.le<std::uint64_t>();
  if (!r.at_end()) return unreadable("checkpoint");
  return c;
}

std::string encode(const KeptTime& kept) {
  ByteWriter w;
  w.le(kept.time.value()).le(kept.wall.value()).le(kept.monotonic_ns);
  return w.take();
}

Result<KeptTime> decode_kept_time(std::string_view value) {
  ByteReader r(as_bytes(value));
  KeptTime kept;
  kept.time = Timestamp(r.le<std::int64_t>());
  kept.wall = kept.time;
  if (r.remaining() != 0) {
    kept.wall = Timestamp(r.le<std::int64_t>());
    kept.monotonic_ns = r.le<std::int64_t>();
  } else {
    kept.monotonic_ns = KeptTime::kUnknown;
  }
  if (!r.at_end()) return unreadable("time");
  return kept;
}

std::string encode(const ScrubPlace& place) {
  ByteWriter w;
  w.le(kFormat).le(place.partition.value()).le(place.offset.value()).le(place.pass_ended.value());
  return w.take();
}

Result<ScrubPlace> decode_scrub_place(std::string_view value) {
  ByteReader r(as_bytes(value));
  if (r.le<std::uint8_t>() != kFormat) return unreadable("scrubber's place");
  ScrubPlace place;
  place.partition = PartitionId(r.le<std::uint32_t>());
  place.offset = Offset(r.le<std::int64_t>());
  place.pass_ended = Timestamp(r.le<std::int64_t>());
  if (!r.at_end()) return unreadable("scrubber's place");
  return place;
}

std::string encode_number(std::uint64_t number) {
  ByteWriter w;
  w.le(number);
  return w.take();
}

Result<std::uint64_t> decode_number(std::string_view value) {
  ByteReader r(as_bytes(value));
  const auto number = r.le<std::uint64_t>();
  if (!r.at_end()) return unreadable("number");
  return number;
}

}  // namespace runnel::storage
