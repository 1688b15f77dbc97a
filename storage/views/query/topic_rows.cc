// A topic's records as rows.
#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <unordered_map>

#include "protocol/record_batch/abort_filter.h"
#include "storage/views/engine/key_encoding.h"
#include "storage/views/query/reading.h"
#include "storage/views/query/record_row.h"

namespace runnel::storage::views {
namespace {

constexpr std::uint32_t kFetchBytes = 1u << 20;

/// Offsets [from, before) that the bounds leave, of any partition.
struct OffsetRange {
  std::int64_t from = 0;
  std::int64_t before = std::numeric_limits<std::int64_t>::max();
};

std::int64_t number_of(const Program& constant) {
  Arena arena;
  Value value;
  const RowError error = constant.evaluate({}, arena, value);
  RUNNEL_ASSERT(error == RowError::kNone);
  return value.as_bigint();
}

OffsetRange range_of(const SourcePlan& source, std::span<const ColumnBounds> bounds,
                     PseudoColumn column) {
  OffsetRange range;
  for (const ColumnBounds& one : bounds) {
    if (one.slot != source.slot_of(column)) continue;
    const auto keep_upto = [&](std::int64_t most) {
      if (most < range.before) range.before = most + 1;
    };
    if (!one.any.empty()) {
      std::int64_t least = number_of(one.any.front());
      std::int64_t most = least;
      for (const Program& value : one.any) {
        least = std::min(least, number_of(value));
        most = std::max(most, number_of(value));
      }
      range.from = std::max(range.from, least);
      keep_upto(most);
    }
    if (one.from) range.from = std::max(range.from, number_of(one.from));
    if (one.upto) keep_upto(number_of(one.upto));
  }
  return range;
}

/// Counts what was left out, to say so once.
class LeftOut {
 public:
  void add(const SourcePlan& source, RowError error, std::string_view path,
           const RecordPlace& place) {
    if (count_++ != 0) return;
    first_ = source.topic + "-" + std::to_string(place.partition) + " at offset " +
             std::to_string(place.offset) + ": " + (path.empty() ? "" : std::string(path) + ": ") +
             std::string(meaning_of(error));
  }
  void report(std::vector<std::string>& notices) const {
    if (count_ == 0) return;
    notices.push_back((count_ == 1 ? "1 record" : std::to_string(count_) + " records") +
                      " could not be read and " + (count_ == 1 ? "is" : "are") +
                      " left out; the first is " + first_);
  }

 private:
  std::uint64_t count_ = 0;
  std::string first_;
};

/// Calls `visit` for each committed record, until it returns false.
class TopicReader {
 public:
  using Visit = std::function<Result<bool>(std::uint32_t partition, const protocol::Record&)>;
  TopicReader(const SourcePlan& source, Reading& reading, const Visit& visit)
      : source_(source), reading_(reading), store_(*reading.snapshot.store), visit_(visit) {}

  Status read(const OffsetRange& partitions, const OffsetRange& offsets) {
    RUNNEL_TRY_ASSIGN(const TopicInfo topic, store_.describe_topic(source_.topic));
    // All ends are taken before anything is read.
    for (const PartitionInfo& info : topic.partitions) {
      reading_.positions.push_back({source_.topic, info.index, info.last_stable});
    }
    for (const PartitionInfo& info : topic.partitions) {
      const std::int64_t number = info.index.value();
      if (number < partitions.from || number >= partitions.before || !going_on_) continue;
      RUNNEL_TRY_ASSIGN(const PartitionRef partition, store_.partition(source_.topic, info.index));
      RUNNEL_TRY(read_partition(partition, static_cast<std::uint32_t>(number), info, offsets));
    }
    return {};
  }

 private:
  Status read_partition(const PartitionRef& partition, std::uint32_t number,
                        const PartitionInfo& info, const OffsetRange& offsets) {
    Offset at = std::max(info.log_start, Offset(offsets.from));
    end_ = std::min(info.last_stable, Offset(offsets.before));
    while (going_on_ && at < end_) {
      RUNNEL_TRY(reading_.check_time());
      FetchRequest request;
      request.items.push_back({partition, at, kFetchBytes});
      request.committed_only = true;
      const auto fetched = store_.fetch_and_wait(std::move(request));
      const FetchedPartition& head = fetched[0].head;
      if (head.error && head.error->code() == ErrorCode::kOffsetOutOfRange) {
        // Retention removed it meanwhile.
        const Offset start = store_.partition_info(partition).log_start;
        if (start > at) {
          at = start;
          continue;
        }
      }
      if (head.error) return fail(head.error->within("reading " + source_.topic));
      if (head.next <= at) return {};
      RUNNEL_TRY(read_batches(number, at, fetched[0].batches.bytes(), head.aborted));
      at = head.next;
    }
    return {};
  }

  Status read_batches(std::uint32_t number, Offset from, Bytes batches,
                      const std::vector<AbortedTransaction>& aborted) {
    std::vector<protocol::AbortedFrom> transactions;
    for (const AbortedTransaction& one : aborted) transactions.push_back({one.producer, one.first});
    protocol::AbortFilter filter(std::move(transactions));
    while (going_on_ && !batches.empty()) {
      RUNNEL_TRY_ASSIGN(
          const std::size_t size,
          protocol::validate_batch(batches, protocol::Depth::kHeader, protocol::Gaps::kAllowed));
      const Bytes batch = batches.first(size);
      batches = batches.subspan(size);
      RUNNEL_TRY_ASSIGN(const bool left_out, filter.leaves_out(batch));
      if (!left_out) RUNNEL_TRY(read_batch(number, from, batch));
    }
    return {};
  }

  Status read_batch(std::uint32_t number, Offset from, Bytes batch) {
    RUNNEL_TRY_ASSIGN(auto reader, protocol::RecordReader::open(batch));
    while (going_on_) {
      RUNNEL_TRY_ASSIGN(const protocol::Record* const record, reader.next_in_place());
      if (record == nullptr) break;
      if (record->offset < from || record->offset >= end_) continue;
      RUNNEL_TRY(reading_.check_time());
      RUNNEL_TRY_ASSIGN(going_on_, visit_(number, *record));
    }
    return {};
  }

  const SourcePlan& source_;
  Reading& reading_;
  Store& store_;
  const Visit& visit_;
  Offset end_;
  bool going_on_ = true;
};

/// The newest row of each primary key; a record without value removes what its key brought.
class TableRows {
 public:
  explicit TableRows(const SourcePlan& table) : table_(table), rows_(table.row_slots()) {}

  void put(const protocol::Record& record, std::span<const Value> row, const RecordPlace& place) {
    std::string key;
    for (const Slot slot : table_.primary_key)
      encode_key(table_.columns[slot].type, row[slot], key);
    if (record.key) by_record_key_.insert_or_assign(std::string(*record.key), key);
    Newest& newest = newest_[std::move(key)];
    if (!replaces(newest, record, place)) return;
    live_ += newest.row ? 0 : 1;
    newest = {record.timestamp, place, rows_.size()};
    rows_.add(row);
    if (rows_.size() > 2 * live_ + 1024) compact();
  }
  void remove(const protocol::Record& record, const RecordPlace& place) {
    if (!record.key) return;
    const auto known = by_record_key_.find(std::string(*record.key));
    if (known == by_record_key_.end()) return;
    Newest& newest = newest_[known->second];
    if (!replaces(newest, record, place)) return;
    live_ -= newest.row ? 1 : 0;
    newest = {record.timestamp, place, std::nullopt};
  }
  [[nodiscard]] std::size_t bytes() const {
    constexpr std::size_t kEntryBytes = 300;
    return rows_.bytes() + newest_.size() * kEntryBytes;
  }
  Status visit(const RowVisit& visit) {
    std::vector<Value> row;
    for (const auto& [key, newest] : newest_) {
      if (!newest.row) continue;
      row.assign(rows_[*newest.row].begin(), rows_[*newest.row].end());
      RUNNEL_TRY_ASSIGN(const bool going_on, visit(row, newest.place));
      if (!going_on) break;
    }
    return {};
  }

 private:
  struct Newest {
    Timestamp stamp = kNoTimestamp;
    RecordPlace place{0, 0, -1};
    std::optional<std::size_t> row;
  };

  /// In a partition the log's order counts, between two of them the records' times.
  static bool replaces(const Newest& known, const protocol::Record& record,
                       const RecordPlace& place) {
    if (known.place.offset < 0 || known.place.partition == place.partition) return true;
    return record.timestamp >= known.stamp;
  }
  void compact() {
    std::vector<std::size_t> places;
    for (auto& [key, newest] : newest_) {
      if (!newest.row) continue;
      places.push_back(*newest.row);
      newest.row = places.size() - 1;
    }
    rows_.reorder(places);
  }

  const SourcePlan& table_;
  AnswerRows rows_;
  std::map<std::string, Newest> newest_;  ///< by encoded primary key
  std::unordered_map<std::string, std::string> by_record_key_;
  std::size_t live_ = 0;
};

Status read_table(const SourcePlan& table, const Wanted& wanted, Reading& reading,
                  const RowVisit& visit) {
  std::vector<Slot> slots(wanted.slots.begin(), wanted.slots.end());
  slots.insert(slots.end(), table.primary_key.begin(), table.primary_key.end());
  RecordRow maker(table, slots);
  LeftOut left_out;
  TableRows rows(table);
  const TopicReader::Visit take = [&](std::uint32_t partition,
                                      const protocol::Record& record) -> Result<bool> {
    const RowError error = maker.make(partition, record);
    if (error == RowError::kNone) {
      rows.put(record, maker.row(), maker.place());
      RUNNEL_TRY(reading.check_memory(rows.bytes()));
    } else if (error == RowError::kNoValue) {
      rows.remove(record, maker.place());
    } else {
      left_out.add(table, error, maker.path(), maker.place());
    }
    return true;
  };
  RUNNEL_TRY(TopicReader(table, reading, take).read({}, {}));
  left_out.report(reading.notices);
  return rows.visit(visit);
}

}  // namespace

Status read_topic(const SourcePlan& source, const Wanted& wanted, Reading& reading,
                  const RowVisit& visit) {
  RUNNEL_ASSERT(reading.snapshot.store != nullptr);
  if (source.table) return read_table(source, wanted, reading, visit);
  RecordRow maker(source, wanted.slots);
  LeftOut left_out;
  const TopicReader::Visit take = [&](std::uint32_t partition,
                                      const protocol::Record& record) -> Result<bool> {
    const RowError error = maker.make(partition, record);
    if (error == RowError::kNone) return visit(maker.row(), maker.place());
    // A key's tombstone says nothing.
    if (error != RowError::kNoValue) left_out.add(source, error, maker.path(), maker.place());
    return true;
  };
  RUNNEL_TRY(TopicReader(source, reading, take)
                 .read(range_of(source, wanted.bounds, PseudoColumn::kPartition),
                       range_of(source, wanted.bounds, PseudoColumn::kOffset)));
  left_out.report(reading.notices);
  return {};
}

}  // namespace runnel::storage::views
