// Values that producers, consumers and administration share. Plain data: thread safe as an int is.
#pragma once

#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runnel/error.h"

namespace runnel {

/// A point in time as records carry it: milliseconds of the system clock.
using Time = std::chrono::time_point<std::chrono::system_clock, std::chrono::milliseconds>;

inline constexpr std::int64_t kNoPosition = -1;  ///< "no offset"

struct TopicPartition {
  std::string topic;
  std::int32_t partition = 0;  ///< 0 upwards
  friend auto operator<=>(const TopicPartition&, const TopicPartition&) = default;
};

/// How safe a record is when its producer is answered.
enum class Durability : std::uint8_t {
  none = 0,     ///< accepted by the broker; a crash of its process may lose it
  written = 1,  ///< in the operating system's hands; a power cut may lose it
  synced = 2,   ///< on stable storage
};

enum class Compression : std::uint8_t { none = 0, gzip = 1, snappy = 2, lz4 = 3, zstd = 4 };

/// A header of a record. The value may be null.
struct Header {
  std::string_view key;
  std::optional<std::string_view> value = std::nullopt;
};

/// Says what a record is about: the broker stores each key once a topic, and answers a repeat with
/// the first record's partition and offset, as long as that record is kept. The same key in another
/// topic is another record. Each part at most 255 bytes.
struct DedupKey {
  std::string_view source;     ///< tenant or source type, e.g. "payments"
  std::string_view source_id;  ///< who within it, e.g. an account
  std::string_view data_id;    ///< what exactly, e.g. a payment's number
  /// Same key and other hash is Errc::dedup_conflict. Default: XXH3 of the record's value.
  std::optional<std::uint64_t> payload_hash = std::nullopt;
};

/// A record to be written. Everything is a view, copied before the call that takes it returns.
struct Message {
  std::string_view topic;
  std::optional<std::string_view> key = std::nullopt;
  std::optional<std::string_view> value = std::nullopt;  ///< nullopt: a null value (tombstone)
  std::span<const Header> headers = {};
  std::optional<std::int32_t> partition = std::nullopt;  ///< nullopt: the partitioner decides
  std::optional<Time> timestamp = std::nullopt;          ///< nullopt: now
  std::optional<DedupKey> dedup = std::nullopt;
};

/// Where a record went.
struct Delivery {
  TopicPartition target;
  std::int64_t offset = kNoPosition;
  Time timestamp{};
  /// True: a record with this dedup key was there already; the partition of `target` and `offset`
  /// are its. Nothing was stored.
  bool duplicate = false;
  Durability durability = Durability::synced;  ///< the level that was reached
  bool applied = false;  ///< it was asked for, and the running views have the record
};

/// A record that was read. Views and spans live as long as the Batch it came from.
struct Record {
  std::string_view topic;
  std::int32_t partition = 0;
  std::int64_t offset = 0;
  Time timestamp{};
  std::optional<std::string_view> key;
  std::optional<std::string_view> value;
  std::span<const Header> headers;
};

/// Records that were read, with the memory of their views. Copies share that memory; it lives until
/// the last copy goes. Immutable, so safe to read from several threads.
class RUNNEL_API Batch {
 public:
  Batch() = default;
  [[nodiscard]] std::span<const Record> records() const noexcept;
  [[nodiscard]] auto begin() const noexcept { return records().begin(); }
  [[nodiscard]] auto end() const noexcept { return records().end(); }
  [[nodiscard]] std::size_t size() const noexcept { return records().size(); }
  [[nodiscard]] bool empty() const noexcept { return records().empty(); }
  [[nodiscard]] const Record& operator[](std::size_t i) const { return records()[i]; }
  /// Partitions whose end was reached with this batch (ConsumerOptions::report_ends).
  [[nodiscard]] std::span<const TopicPartition> ends() const noexcept;
  /// Records that ConsumerOptions::filter left out, since the batch before this one, because it
  /// asks for a place in a JSON value and theirs is no JSON, or for a regular expression and the
  /// text has more than 1 MiB.
  [[nodiscard]] std::uint64_t unreadable() const noexcept;

  struct Impl;
  explicit Batch(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}

 private:
  std::shared_ptr<const Impl> impl_;
};

/// A consumer group's committed position in one partition.
struct GroupOffset {
  TopicPartition target;
  std::int64_t offset = kNoPosition;  ///< the next record to read
  std::string metadata;               ///< the consumer's own note, at most 4096 bytes
  std::optional<Time> committed = std::nullopt;
};

/// The partition of `count` that Kafka's clients choose for `key` (murmur2). `count` >= 1.
[[nodiscard]] RUNNEL_API std::int32_t partition_for_key(std::string_view key,
                                                        std::int32_t count) noexcept;
/// Kafka's murmur2 of `key`.
[[nodiscard]] RUNNEL_API std::int32_t murmur2(std::string_view key) noexcept;

}  // namespace runnel
