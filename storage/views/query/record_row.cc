#include "storage/views/query/record_row.h"

#include <algorithm>

#include "storage/views/engine/cursor.h"
#include "storage/views/query/format.h"

namespace runnel::storage::views {

RecordRow::RecordRow(const SourcePlan& source, std::span<const Slot> slots)
    : source_(source),
      slots_(slots.begin(), slots.end()),
      decoder_({{&source, slots_, source.row_slots()}}) {}

bool RecordRow::reads(PseudoColumn column) const {
  return std::find(slots_.begin(), slots_.end(), source_.slot_of(column)) != slots_.end();
}

RowError RecordRow::make(std::uint32_t partition, const protocol::Record& record) {
  path_ = {};
  place_ = {kNoTime, partition, record.offset.value()};
  if (!record.value) return RowError::kNoValue;
  const RowError whole = decoder_.decode(*record.value);
  if (whole != RowError::kNone) return whole;
  if (!decoder_.errors().empty()) {
    const ColumnError& first = decoder_.errors().front();
    path_ = source_.columns[first.slot].path_text;
    return first.error;
  }
  constexpr std::int64_t kMicros = 1000;
  const Value stamp = record.timestamp == kNoTimestamp
                          ? Value::null()
                          : Value::timestamp(record.timestamp.value() * kMicros);
  const Value time = source_.watermark ? row()[source_.watermark->column] : stamp;
  if (!time.is_null()) place_.event_time = time.as_timestamp();
  const bool has_key = record.key && is_utf8(*record.key);
  put(PseudoColumn::kKey, has_key ? Value::text(*record.key) : Value::null());
  put(PseudoColumn::kPartition, Value::bigint(partition));
  put(PseudoColumn::kOffset, Value::bigint(record.offset.value()));
  put(PseudoColumn::kEventTime, time);
  put(PseudoColumn::kIngestTime, stamp);
  put(PseudoColumn::kHeaders,
      reads(PseudoColumn::kHeaders) ? Value::text(headers_of(record)) : Value::null());
  return RowError::kNone;
}

std::string_view RecordRow::headers_of(const protocol::Record& record) {
  const auto text = [](std::string_view bytes) {
    return is_utf8(bytes) ? Value::text(bytes) : Value::null();
  };
  const Type type{TypeKind::kVarchar, 0, 0};
  headers_ = "{";
  for (const protocol::RecordHeader& header : record.headers) {
    // A name that is no text can't be asked for.
    if (!is_utf8(header.key)) continue;
    if (headers_.size() > 1) headers_ += ',';
    append_json(text(header.key), type, headers_);
    headers_ += ':';
    append_json(header.value ? text(*header.value) : Value::null(), type, headers_);
  }
  return headers_ += '}';
}

}  // namespace runnel::storage::views
