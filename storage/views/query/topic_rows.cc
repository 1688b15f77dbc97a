// A topic's records as rows.
#include <algorithm>
#include <map>
#include <optional>
#include <unordered_map>

#include "storage/views/engine/key_encoding.h"
#include "storage/views/query/topic_reader.h"
#include "storage/views/worker/view_rows.h"

namespace runnel::storage::views {
namespace {

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

/// The newest row of each primary key; a record without value removes what its key brought, and so
/// does one that brings another primary key.
class TableRows {
 public:
  explicit TableRows(const SourcePlan& table) : table_(table), rows_(table.row_slots()) {}

  void put(const protocol::Record& record, std::span<const Value> row, const RecordPlace& place) {
    std::string key;
    for (const Slot slot : table_.primary_key)
      encode_key(table_.columns[slot].type, row[slot], key);
    if (record.key) follow(*record.key, key, record, place);
    const auto [at, fresh] = newest_.try_emplace(std::move(key));
    if (fresh) key_bytes_ += at->first.size() + kEntryBytes;
    Newest& newest = at->second;
    if (!replaces(newest, record, place)) return;
    live_ += newest.row ? 0 : 1;
    newest = {record.timestamp, place, rows_.size()};
    rows_.add(row);
    if (rows_.size() > 2 * live_ + 1024) compact();
  }
  void remove(const protocol::Record& record, const RecordPlace& place) {
    if (!record.key) return;
    const auto known = by_record_key_.find(std::string(*record.key));
    if (known != by_record_key_.end()) remove(known->second, record, place);
  }
  /// Roughly what they hold in memory.
  [[nodiscard]] std::size_t bytes() const { return rows_.bytes() + key_bytes_; }
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

  /// What an entry of a map costs besides its texts, roughly.
  static constexpr std::size_t kEntryBytes = 200;

  /// The record's key has the row with this primary key from now on.
  void follow(std::string_view record_key, const std::string& key, const protocol::Record& record,
              const RecordPlace& place) {
    const auto [at, fresh] = by_record_key_.try_emplace(std::string(record_key), key);
    if (fresh) {
      key_bytes_ += at->first.size() + key.size() + kEntryBytes;
    } else if (at->second != key) {
      remove(at->second, record, place);
      key_bytes_ += key.size() - at->second.size();
      at->second = key;
    }
  }
  void remove(const std::string& key, const protocol::Record& record, const RecordPlace& place) {
    Newest& newest = newest_[key];  // it was put there
    if (!replaces(newest, record, place)) return;
    live_ -= newest.row ? 1 : 0;
    newest = {record.timestamp, place, std::nullopt};
  }
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
  std::size_t key_bytes_ = 0;
};

/// The topic, with the ends of its partitions as they are before anything is read.
Result<TopicInfo> begin(const SourcePlan& source, Reading& reading) {
  RUNNEL_ASSERT(reading.snapshot.store != nullptr);
  RUNNEL_TRY_ASSIGN(TopicInfo topic, reading.snapshot.store->describe_topic(source.topic));
  for (const PartitionInfo& info : topic.partitions) {
    reading.positions.push_back({source.topic, info.index, info.last_stable});
  }
  return topic;
}

std::vector<RowNeed> need_of(const SourcePlan& source, std::vector<Slot> slots) {
  std::sort(slots.begin(), slots.end());
  slots.erase(std::unique(slots.begin(), slots.end()), slots.end());
  return {{&source, std::move(slots), source.row_slots()}};
}

RecordPlace place_of(PartitionIndex partition, const FoldRow& row) {
  return {row.event_time, static_cast<std::uint32_t>(partition.value()), row.offset};
}

Status read_table(const SourcePlan& table, const Wanted& wanted, Reading& reading,
                  const RowVisit& visit) {
  std::vector<Slot> slots(wanted.slots.begin(), wanted.slots.end());
  slots.insert(slots.end(), table.primary_key.begin(), table.primary_key.end());
  JsonRows maker(need_of(table, std::move(slots)));
  LeftOut left_out;
  TableRows rows(table);
  RUNNEL_TRY_ASSIGN(const TopicInfo topic, begin(table, reading));
  const auto take = [&](PartitionIndex partition, const protocol::Record& record) -> Result<bool> {
    maker.begin(partition, record);
    const FoldRow row = maker.row(0);
    const RecordPlace place = place_of(partition, row);
    if (row.error == RowError::kNone) {
      rows.put(record, row.values, place);
      RUNNEL_TRY(reading.check_memory(rows.bytes()));
    } else if (row.error == RowError::kNoValue) {
      rows.remove(record, place);
    } else {
      left_out.add(table, row.error, row.path, place);
    }
    return true;
  };
  RUNNEL_TRY(read_records(
      topic, [](PartitionIndex) { return OffsetRange(); }, reading, take));
  left_out.report(reading.notices);
  return rows.visit(visit);
}

}  // namespace

Status read_topic(const SourcePlan& source, const Wanted& wanted, Reading& reading,
                  const RowVisit& visit) {
  if (source.table) return read_table(source, wanted, reading, visit);
  JsonRows maker(need_of(source, {wanted.slots.begin(), wanted.slots.end()}));
  LeftOut left_out;
  RUNNEL_TRY_ASSIGN(const TopicInfo topic, begin(source, reading));
  const auto take = [&](PartitionIndex partition, const protocol::Record& record) -> Result<bool> {
    maker.begin(partition, record);
    const FoldRow row = maker.row(0);
    if (row.error == RowError::kNone) return visit(row.values, place_of(partition, row));
    // A key's tombstone says nothing.
    if (row.error != RowError::kNoValue) {
      left_out.add(source, row.error, row.path, place_of(partition, row));
    }
    return true;
  };
  const OffsetRange partitions = range_of(source, wanted.bounds, PseudoColumn::kPartition);
  const OffsetRange offsets = range_of(source, wanted.bounds, PseudoColumn::kOffset);
  const auto range = [&](PartitionIndex partition) {
    const bool wanted_one =
        partition.value() >= partitions.from && partition.value() < partitions.before;
    return wanted_one ? offsets : OffsetRange{0, 0};
  };
  RUNNEL_TRY(read_records(topic, range, reading, take));
  left_out.report(reading.notices);
  return {};
}

}  // namespace runnel::storage::views
