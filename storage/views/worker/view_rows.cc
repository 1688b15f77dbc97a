#include "storage/views/worker/view_rows.h"

#include <algorithm>
#include <unordered_set>

#include "storage/views/engine/key_encoding.h"
#include "storage/views/types/json_string.h"
#include "storage/views/types/time_text.h"

namespace runnel::storage::views {
namespace {

bool same_columns(const ColumnPlan& a, const ColumnPlan& b) {
  return a.name == b.name && a.type == b.type && a.path == b.path && a.not_null == b.not_null;
}

/// Their rows are the same, whichever of them makes them.
bool same_rows(const SourcePlan& a, const SourcePlan& b) {
  return a.on_error == b.on_error && a.watermark.has_value() == b.watermark.has_value() &&
         (!a.watermark || a.watermark->column == b.watermark->column) &&
         std::equal(a.columns.begin(), a.columns.end(), b.columns.begin(), b.columns.end(),
                    same_columns);
}

bool same_table(const SourcePlan& a, const SourcePlan& b) {
  return a.topic == b.topic && a.primary_key == b.primary_key && same_rows(a, b);
}

Value text_or_null(std::optional<std::string_view> text) {
  if (!text || !is_utf8(*text)) return Value::null();
  return Value::text(*text);
}

}  // namespace

Value time_of(const protocol::Record& record) noexcept {
  constexpr std::int64_t kMicrosPerMilli = 1000;
  std::int64_t micros = 0;
  if (record.timestamp == kNoTimestamp ||
      __builtin_mul_overflow(record.timestamp.value(), kMicrosPerMilli, &micros) ||
      micros < kMinTimestamp || micros > kMaxTimestamp) {
    return Value::null();
  }
  return Value::timestamp(micros);
}

void append_headers(const protocol::Record& record, std::string& out) {
  std::vector<const protocol::RecordHeader*> last;
  std::unordered_set<std::string_view> names;
  for (std::size_t i = record.headers.size(); i-- > 0;) {
    const protocol::RecordHeader& header = record.headers[i];
    if (is_utf8(header.key) && names.insert(header.key).second) last.push_back(&header);
  }
  out.push_back('{');
  for (std::size_t i = last.size(); i-- > 0;) {
    append_json_string(last[i]->key, out);
    out.push_back(':');
    if (last[i]->value && is_utf8(*last[i]->value)) {
      append_json_string(*last[i]->value, out);
    } else {
      out.append("null");
    }
    if (i != 0) out.push_back(',');
  }
  out.push_back('}');
}

std::vector<DecoderNeed> JsonRows::share(const std::vector<RowNeed>& needs,
                                         std::vector<std::size_t>& places) {
  std::vector<DecoderNeed> shared;
  for (const RowNeed& need : needs) {
    const auto known = std::find_if(shared.begin(), shared.end(), [&](const DecoderNeed& other) {
      return same_rows(*other.source, *need.source);
    });
    places.push_back(static_cast<std::size_t>(known - shared.begin()));
    if (known == shared.end()) {
      shared.push_back({need.source, need.slots, need.row_slots});
      continue;
    }
    known->slots.insert(known->slots.end(), need.slots.begin(), need.slots.end());
    known->row_slots = std::max(known->row_slots, need.row_slots);
  }
  return shared;
}

JsonRows::JsonRows(std::vector<RowNeed> needs)
    : needs_(std::move(needs)), decoder_(share(needs_, places_)) {
  for (std::size_t v = 0; v < needs_.size(); ++v) {
    const SourcePlan& source = *needs_[v].source;
    if (places_[v] == shared_.size()) {
      shared_.push_back({&source, std::vector<bool>(kPseudoColumns, false)});
    }
    for (const Slot slot : needs_[v].slots) {
      const std::size_t first = source.columns.size();
      if (slot >= first && slot < first + kPseudoColumns) {
        shared_[places_[v]].pseudo[slot - first] = true;
      }
    }
  }
  event_times_.resize(shared_.size());
  for (const RowNeed& need : needs_) {
    std::vector<std::size_t>& joined = joined_.emplace_back();
    for (const JoinPlan& join : need.joins) {
      const auto known = std::find_if(tables_.begin(), tables_.end(), [&](const JoinedTable& t) {
        return same_table(t.reader->plan(), join.table);
      });
      joined.push_back(static_cast<std::size_t>(known - tables_.begin()));
      if (known == tables_.end())
        tables_.push_back({std::make_unique<TableReader>(join.table), {}});
    }
  }
}

Status JsonRows::prepare(Store& store,
                         const std::function<void(std::size_t view, const Error& why)>& broken) {
  for (JoinedTable& table : tables_) {
    if (table.broken) continue;
    const Status read = table.reader->catch_up(store);
    if (read) continue;
    const ErrorCode code = read.error().code();
    if (code != ErrorCode::kUnknownTopic && code != ErrorCode::kInvalidArgument &&
        code != ErrorCode::kCorrupt) {
      return read;
    }
    table.broken = read.error();
  }
  for (std::size_t v = 0; v < joined_.size(); ++v) {
    for (const std::size_t table : joined_[v]) {
      if (tables_[table].broken) broken(v, *tables_[table].broken);
    }
  }
  return {};
}

RowError JsonRows::join(std::size_t view, FoldRow& row) {
  arena_.clear();
  const RowNeed& need = needs_[view];
  for (std::size_t j = 0; j < need.joins.size(); ++j) {
    const JoinPlan& join = need.joins[j];
    join_key_.clear();
    bool whole = true;
    for (std::size_t i = 0; i < join.key.size(); ++i) {
      Value value;
      const RowError error = join.key[i].evaluate(row.values, arena_, value);
      if (error != RowError::kNone && need.source->on_error != sql::OnError::kNull) return error;
      whole = whole && !value.is_null();
      if (whole) encode_key(join.table.columns[join.table.primary_key[i]].type, value, join_key_);
    }
    std::span<const Value> found;
    if (whole) found = tables_[joined_[view][j]].reader->table().find(join_key_, row.event_time);
    if (found.empty() && !join.left) return RowError::kNoMatch;
    for (std::size_t c = 0; c < join.table.columns.size(); ++c) {
      row.values[join.first_slot + c] = found.empty() ? Value::null() : found[c];
    }
  }
  return RowError::kNone;
}

void JsonRows::begin(PartitionIndex partition, const protocol::Record& record) {
  offset_ = record.offset.value();
  raw_ = record.value.value_or("");
  key_ = record.key;
  timestamp_ = record.timestamp.value();
  error_ = record.value ? decoder_.decode(*record.value) : RowError::kNoValue;
  if (error_ != RowError::kNone) return;
  for (std::size_t s = 0; s < shared_.size(); ++s) fill(s, partition, record);
}

void JsonRows::fill(std::size_t source, PartitionIndex partition, const protocol::Record& record) {
  const Shared& shared = shared_[source];
  const std::span<Value> row = decoder_.row(source);
  const Value ingested = time_of(record);
  const auto& watermark = shared.source->watermark;
  const Value event = watermark ? row[watermark->column] : ingested;
  event_times_[source] = event.is_null() ? kNoTime : event.as_timestamp();
  const auto set = [&](PseudoColumn column, const auto& value) {
    if (shared.pseudo[static_cast<std::size_t>(column)])
      row[shared.source->slot_of(column)] = value();
  };
  set(PseudoColumn::kKey, [&] { return text_or_null(record.key); });
  set(PseudoColumn::kPartition, [&] { return Value::bigint(partition.value()); });
  set(PseudoColumn::kOffset, [&] { return Value::bigint(offset_); });
  set(PseudoColumn::kEventTime, [&] { return event; });
  set(PseudoColumn::kIngestTime, [&] { return ingested; });
  set(PseudoColumn::kHeaders, [&] {
    headers_.clear();
    append_headers(record, headers_);
    return Value::text(headers_);
  });
}

FoldRow JsonRows::row(std::size_t view) {
  const std::size_t source = places_[view];
  FoldRow row;
  row.offset = offset_;
  row.raw = raw_;
  row.key = key_;
  row.timestamp = timestamp_;
  row.error = error_;
  row.values = decoder_.row(source);
  if (error_ != RowError::kNone) return row;
  row.event_time = event_times_[source];
  // Of several columns in error the first as declared, so that it does not matter what other views
  // read.
  const ColumnError* first = nullptr;
  for (const ColumnError& error : decoder_.errors()) {
    const auto& slots = needs_[view].slots;
    if (error.source != source || (first != nullptr && first->slot <= error.slot)) continue;
    if (std::binary_search(slots.begin(), slots.end(), error.slot)) first = &error;
  }
  if (first == nullptr) {
    row.error = join(view, row);
    return row;
  }
  row.error = first->error;
  row.path = needs_[view].source->columns[first->slot].path_text;
  return row;
}

}  // namespace runnel::storage::views
