// One record of a topic as the row of a source: its JSON, and what the record itself says.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "protocol/record_batch/record_batch.h"
#include "storage/views/engine/aggregates.h"
#include "storage/views/json/decoder.h"

namespace runnel::storage::views {

/// Not thread safe. `source` must outlive it.
class RecordRow {
 public:
  RecordRow(const SourcePlan& source, std::span<const Slot> slots);

  /// kNone, or why the slots that are read can't be had. What row() and place() say is of use until
  /// the next call, and as long as the record.
  [[nodiscard]] RowError make(std::uint32_t partition, const protocol::Record& record);
  [[nodiscard]] std::span<Value> row() noexcept { return decoder_.row(0); }
  /// event_time: the watermark's column, else the record's timestamp; kNoTime: NULL.
  [[nodiscard]] const RecordPlace& place() const noexcept { return place_; }
  /// After an error: the column's path; empty: it is about the whole record.
  [[nodiscard]] std::string_view path() const noexcept { return path_; }

 private:
  void put(PseudoColumn column, const Value& value) { row()[source_.slot_of(column)] = value; }
  [[nodiscard]] bool reads(PseudoColumn column) const;
  [[nodiscard]] std::string_view headers_of(const protocol::Record& record);

  const SourcePlan& source_;
  std::vector<Slot> slots_;
  Decoder decoder_;
  RecordPlace place_;
  std::string_view path_;
  std::string headers_;
};

}  // namespace runnel::storage::views
