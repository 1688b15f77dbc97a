// The stored form of a transactional id; the table is at the top of transaction.h.
#include <algorithm>
#include <charconv>

#include "broker/transactions/transaction.h"
#include "protocol/base/assert.h"
#include "protocol/base/bytes.h"

namespace runnel::broker {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kIdDigits = 16;
constexpr std::size_t kShortDigits = 4;
constexpr std::string_view kParticipantPrefix = "txp/";

tl::unexpected<Error> corrupt(std::string_view id, const char* why) {
  return fail(ErrorCode::kCorrupt, "the stored state of transactional id \"" + std::string(id) +
                                       "\" is damaged: " + why +
                                       ". Check the data directory with 'runnel check'");
}

Status check_version(std::string_view id, ByteReader& in) {
  const auto version = in.le<std::uint8_t>();
  if (in.ok() && version > kVersion) {
    return fail(ErrorCode::kFormatTooNew,
                "the state of transactional id \"" + std::string(id) + "\" has version " +
                    std::to_string(version) + "; this program knows up to " +
                    std::to_string(kVersion) + ". Start the newer program again");
  }
  if (version != kVersion) return corrupt(id, "it has no version");
  return {};
}

Status check_end(std::string_view id, const ByteReader& in) {
  if (!in.ok()) return corrupt(id, "it ends too early, or a number is out of range");
  if (!in.at_end()) return corrupt(id, "bytes follow its end");
  return {};
}

/// A varint that fits T; fails the reader otherwise.
template <class T>
T number(ByteReader& in) {
  const std::int64_t value = in.varint();
  if (value != static_cast<T>(value)) in.set_failed();
  return static_cast<T>(value);
}

PartitionIndex index(ByteReader& in) {
  const std::uint64_t value = in.uvarint();
  if (value > INT32_MAX) in.set_failed();
  return PartitionIndex(static_cast<std::int32_t>(value & INT32_MAX));
}

PartitionId partition_id(ByteReader& in) {
  const std::uint64_t value = in.uvarint();
  if (value > UINT32_MAX) in.set_failed();
  return PartitionId(static_cast<std::uint32_t>(value));
}

void put_partition(ByteWriter& out, PartitionIndex index, PartitionId id) {
  out.uvarint(static_cast<std::uint64_t>(index.value())).uvarint(id.value());
}

storage::ProducerIdentity identity(ByteReader& in) {
  const ProducerId id(in.varint());
  return {id, ProducerEpoch(number<std::int16_t>(in))};
}

bool is_state(std::uint8_t value) {
  return value == 0 || value == 1 || value == 4 || value == 5;
}

std::string hex(std::uint64_t value, std::size_t digits) {
  std::string text(digits, '0');
  for (std::size_t i = digits; value != 0 && i > 0; value >>= 4) {
    text[--i] = "0123456789abcdef"[value & 15];
  }
  return text;
}

std::optional<std::uint64_t> parse_hex(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

std::string Transaction::encode() const {
  ByteWriter out;
  out.le(kVersion).le(static_cast<std::uint8_t>(state_)).le(static_cast<std::uint8_t>(repeat_));
  out.varint(producer_.id.value()).varint(producer_.epoch.value());
  out.varint(previous_.id.value()).varint(previous_.epoch.value());
  out.uvarint(static_cast<std::uint64_t>(timeout_ms_));
  out.varint(start_.value()).varint(changed_.value());
  std::map<std::string_view, std::vector<std::pair<PartitionIndex, PartitionId>>> topics;
  for (const auto& [of, participant] : partitions_) {
    topics[of.topic].emplace_back(of.partition, participant.partition.id);
  }
  out.uvarint(topics.size());
  for (const auto& [name, partitions] : topics) {
    out.text(name).uvarint(partitions.size());
    for (const auto& [i, id] : partitions) put_partition(out, i, id);
  }
  out.uvarint(groups_.size());
  for (const std::string& group : groups_) out.text(group);
  return out.take();
}

std::string Transaction::encode_offsets() const {
  ByteWriter out;
  out.le(kVersion);
  std::size_t count = 0;
  for (const auto& [key, offset] : offsets_) count += offset.counts() ? 1 : 0;
  out.uvarint(count);
  for (const auto& [key, offset] : offsets_) {
    if (!offset.counts()) continue;
    out.text(key.group).text(key.of.topic);
    put_partition(out, key.of.partition, offset.partition.id);
    out.varint(offset.offset.value()).varint(offset.leader_epoch.value()).text(offset.metadata);
  }
  return out.take();
}

std::string Transaction::encode_participant(const TopicPartition& of) const {
  ByteWriter out;
  out.le(kVersion).varint(start_.value()).text(of.topic);
  put_partition(out, of.partition, partitions_.at(of).partition.id);
  return out.take();
}

Result<Transaction> Transaction::decode(std::string_view id, Bytes bytes, const Resolve& resolve) {
  ByteReader in(bytes);
  RUNNEL_TRY(check_version(id, in));
  Transaction t;
  const auto state = in.le<std::uint8_t>();
  const auto repeat = in.le<std::uint8_t>();
  t.producer_ = identity(in);
  t.previous_ = identity(in);
  const std::uint64_t timeout = in.uvarint();
  t.start_ = Timestamp(in.varint());
  t.changed_ = Timestamp(in.varint());
  if (!is_state(state) || repeat > static_cast<std::uint8_t>(Repeat::kFenced) ||
      timeout > INT32_MAX || t.producer_.id.value() < 0 || t.producer_.epoch.value() < 0) {
    in.set_failed();
  }
  t.state_ = static_cast<TransactionState>(state);
  t.repeat_ = static_cast<Repeat>(repeat);
  if (t.producer_.epoch > kLastEpoch) t.repeat_ = Repeat::kFenced;
  t.timeout_ms_ = static_cast<std::int32_t>(timeout & INT32_MAX);
  for (std::uint64_t topics = in.uvarint(); in.ok() && topics > 0; --topics) {
    const std::string name(in.text());
    for (std::uint64_t left = in.uvarint(); in.ok() && left > 0; --left) {
      TopicPartition of{name, index(in)};
      if (t.partitions_.size() >= kMaxTransactionPartitions) in.set_failed();
      const PartitionId partition = partition_id(in);
      if (!in.ok()) break;
      Incarnation as{partition, resolve(of, partition)};
      t.partitions_.emplace(std::move(of), Participant{std::move(as), true, 0, -1});
    }
  }
  for (std::uint64_t groups = in.uvarint(); in.ok() && groups > 0; --groups) {
    t.groups_.emplace(in.text());
  }
  RUNNEL_TRY(check_end(id, in));
  if (!t.open() && !(t.partitions_.empty() && t.groups_.empty())) {
    return corrupt(id, "no transaction is open, and yet it has partitions or groups");
  }
  return t;
}

Status Transaction::decode_offsets(std::string_view id, Bytes bytes, const Resolve& resolve) {
  ByteReader in(bytes);
  RUNNEL_TRY(check_version(id, in));
  std::vector<std::pair<OffsetKey, PendingOffset>> offsets;
  for (std::uint64_t left = in.uvarint(); in.ok() && left > 0; --left) {
    OffsetKey key;
    key.group = in.text();
    key.of.topic = in.text();
    key.of.partition = index(in);
    PendingOffset offset;
    offset.partition.id = partition_id(in);
    offset.offset = Offset(in.varint());
    offset.leader_epoch = LeaderEpoch(number<std::int32_t>(in));
    offset.metadata = in.text();
    if (!in.ok()) break;
    offset.partition.ref = resolve(key.of, offset.partition.id);
    offsets.emplace_back(std::move(key), std::move(offset));
  }
  RUNNEL_TRY(check_end(id, in));
  if (!open() && !offsets.empty()) {
    return corrupt(id, "no transaction is open, and yet positions wait for its end");
  }
  return offsets.empty() ? Status() : put_offsets(std::move(offsets), start_);
}

std::string Transaction::participant_key(storage::ProducerIdentity producer, std::int32_t number) {
  return std::string(kParticipantPrefix) +
         hex(static_cast<std::uint64_t>(producer.id.value()), kIdDigits) + "/" +
         hex(static_cast<std::uint16_t>(producer.epoch.value()), kShortDigits) + "/" +
         hex(static_cast<std::uint32_t>(number), kShortDigits);
}

std::optional<Transaction::ParticipantName> Transaction::parse_participant_key(
    std::string_view key) {
  if (!key.starts_with(kParticipantPrefix)) return std::nullopt;
  key.remove_prefix(kParticipantPrefix.size());
  if (key.size() != kIdDigits + 2 * (1 + kShortDigits)) return std::nullopt;
  const auto id = parse_hex(key.substr(0, kIdDigits));
  const auto epoch = parse_hex(key.substr(kIdDigits + 1, kShortDigits));
  const auto number = parse_hex(key.substr(kIdDigits + kShortDigits + 2));
  if (!id || !epoch || !number) return std::nullopt;
  return ParticipantName{{ProducerId(static_cast<std::int64_t>(*id)),
                          ProducerEpoch(static_cast<std::int16_t>(*epoch))},
                         static_cast<std::int32_t>(*number)};
}

Status Transaction::decode_participant(std::int32_t number, Bytes bytes, const Resolve& resolve) {
  const std::string id = "(producer " + std::to_string(producer_.id.value()) + ")";
  ByteReader in(bytes);
  RUNNEL_TRY(check_version(id, in));
  const Timestamp start(in.varint());
  TopicPartition of;
  of.topic = in.text();
  of.partition = index(in);
  const PartitionId partition = partition_id(in);
  RUNNEL_TRY(check_end(id, in));
  numbers_ = std::max(numbers_, number + 1);
  // Of several incarnations the one that is still there counts, if there is one.
  if (const Participant* known = find(of); known != nullptr && known->partition.ref) return {};
  RUNNEL_TRY(add(of, {partition, resolve(of, partition)}, 0, start));
  Participant& participant = partitions_.at(of);
  participant.stored = true;
  participant.number = number;
  return {};
}

}  // namespace runnel::broker
