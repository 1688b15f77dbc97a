#include "client/src/replay_writer.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace runnel::client {
namespace {

/// One write takes records of about so many bytes for each partition, or so many records in all.
constexpr std::uint64_t kWriteBytes = 512u << 10;
constexpr std::size_t kWriteRecords = 5'000;

/// Of a record in a batch, at most: lengths, deltas, attributes.
constexpr std::size_t kRecordOverhead = 40;
/// Of a header: two lengths.
constexpr std::size_t kHeaderOverhead = 10;
/// Of the headers that each record gets: their names and numbers.
constexpr std::size_t kMarkBytes = 64;

constexpr std::string_view kMarkHeader = "runnel.replay";
constexpr std::string_view kOriginHeader = "runnel.replay.origin";

std::size_t size_of(const Record& record, std::size_t mark_bytes) {
  std::size_t size = kRecordOverhead + record.key.value_or("").size() +
                     record.value.value_or("").size() + mark_bytes;
  for (const Header& header : record.headers) {
    size += kHeaderOverhead + header.key.size() + header.value.value_or("").size();
  }
  return size;
}

Outcome<std::uint64_t> max_message_bytes(const TopicState& topic) {
  constexpr std::uint64_t kDefault = 1'048'588;  // Kafka's and ours
  for (const auto& [name, value] : topic.configs) {
    if (name != "max.message.bytes") continue;
    std::uint64_t bytes = 0;
    const auto [end, failed] = std::from_chars(value.data(), value.data() + value.size(), bytes);
    if (failed != std::errc() || end != value.data() + value.size()) {
      return Failure(Errc::malformed, "topic " + topic.name + " has max.message.bytes=" + value);
    }
    return bytes;
  }
  return kDefault;
}

std::string default_mark(const ReplayOptions& options) {
  if (!options.name.empty()) return options.name;
  const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::system_clock::now().time_since_epoch());
  const std::string topic = options.ranges.empty() ? "" : options.ranges.front().source.topic;
  return topic + "-" + std::to_string(now.count());
}

}  // namespace

ReplayWriter::ReplayWriter(ReplayTarget target, std::int32_t partitions,
                           std::uint64_t max_message_bytes)
    : target_(std::move(target)),
      partitions_(partitions),
      most_bytes_(std::min(kWriteBytes, max_message_bytes / 2)) {}

Outcome<ReplayWriter> ReplayWriter::open(Client& client, const ReplayOptions& options) {
  ReplayTarget target = *options.into;
  std::int32_t sources = 0;
  for (const ReplayRange& range : options.ranges) {
    if (range.source.topic == target.topic) {
      return Failure(Errc::invalid_argument, "topic " + target.topic +
                                                 " would be replayed into itself; name another "
                                                 "topic");
    }
    sources = std::max(sources, range.source.partition + 1);
  }
  const auto found = client.admin().describe_topics({target.topic}).get();
  if (!found) return found.error();
  if (found->size() != 1) return Failure(Errc::malformed, "the broker described another topic");
  const TopicState& topic = found->front();
  if (topic.error) return *topic.error;
  const auto partitions = static_cast<std::int32_t>(topic.partitions.size());
  if (!target.by_key && partitions < sources) {
    return Failure(Errc::invalid_argument,
                   "records come from " + std::to_string(sources) + " partitions and topic " +
                       topic.name + " has only " + std::to_string(partitions) +
                       "; add partitions to it (`runnel topic alter`), or let the keys choose "
                       "(--by-key, ReplayTarget::by_key)");
  }
  const auto largest = max_message_bytes(topic);
  if (!largest) return largest.error();
  if (target.mark.empty()) target.mark = default_mark(options);
  return ReplayWriter(std::move(target), partitions, *largest);
}

std::int32_t ReplayWriter::partition_of(const Record& record) const {
  return target_.by_key && record.key ? partition_for_key(*record.key, partitions_)
                                      : record.partition % partitions_;
}

void ReplayWriter::add(const Record& record, std::int32_t partition, Transaction& write) {
  headers_.clear();
  for (const Header& header : record.headers) {
    // Replayed before: the newest mark counts.
    if (!header.key.starts_with(kMarkHeader)) headers_.push_back(header);
  }
  const std::string origin = std::string(record.topic) + "/" + std::to_string(record.partition) +
                             "/" + std::to_string(record.offset);
  headers_.push_back({kMarkHeader, target_.mark});
  headers_.push_back({kOriginHeader, origin});
  Message message;
  message.topic = target_.topic;
  message.key = record.key;
  message.value = record.value;
  message.headers = headers_;
  message.timestamp = record.timestamp;
  message.partition = partition;
  write.add(message);
}

Outcome<void> ReplayWriter::write(std::span<const Record> records, ReplaySession& session) {
  if (records.empty()) return {};
  const TopicPartition source{std::string(records.front().topic), records.front().partition};
  const std::size_t mark_bytes = kMarkBytes + target_.mark.size() + source.topic.size();
  Transaction write;
  std::map<std::int32_t, std::uint64_t> bytes;  // of the batch for each partition
  std::size_t count = 0;
  for (const Record& record : records) {
    const std::int32_t partition = partition_of(record);
    const std::size_t size = size_of(record, mark_bytes);
    const bool full = count >= kWriteRecords || bytes[partition] + size > most_bytes_;
    if (count > 0 && full) {
      auto done = session.commit(std::exchange(write, Transaction()));
      if (!done) return done;
      bytes.clear();
      count = 0;
    }
    add(record, partition, write);
    session.pass(source, record.offset + 1);
    bytes[partition] += size;
    ++count;
  }
  return session.commit(std::move(write));
}

}  // namespace runnel::client
