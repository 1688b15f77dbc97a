#include "storage/views/query/text_rows.h"

#include "storage/views/engine/log_histogram.h"
#include "storage/views/types/zone.h"

namespace runnel::storage::views {

std::string span_text(const Interval& interval) {
  constexpr std::int64_t kSecond = 1000;
  constexpr std::int64_t kMinute = 60 * kSecond;
  constexpr std::int64_t kHour = 60 * kMinute;
  std::string text;
  const auto add = [&](std::int64_t count, std::string_view unit) {
    if (count == 0) return;
    text += (text.empty() ? "" : " ") + std::to_string(count) + " " + std::string(unit) +
            (count == 1 ? "" : "s");
  };
  add(interval.months, "month");
  add(interval.days, "day");
  add(interval.millis / kHour, "hour");
  add(interval.millis % kHour / kMinute, "minute");
  add(interval.millis % kMinute / kSecond, "second");
  add(interval.millis % kSecond, "millisecond");
  return text.empty() ? "0 seconds" : text;
}

std::string span_text(std::int64_t micros) {
  constexpr std::int64_t kMicrosPerMilli = 1000;
  return span_text(Interval{0, micros / kMicrosPerDay, micros % kMicrosPerDay / kMicrosPerMilli});
}

std::string slot_name(const SourcePlan& source, Slot slot) {
  if (slot < source.columns.size()) return source.columns[slot].name;
  if (slot == source.window_start_slot()) return "window_start";
  if (slot == source.window_end_slot()) return "window_end";
  if (source.topic.empty()) return std::string(kFinalColumn);
  return std::string(pseudo_columns()[slot - source.columns.size()].name);
}

std::string window_text(const WindowPlan& window, const SourcePlan& source) {
  const std::string time = slot_name(source, window.time);
  const std::string in_zone = ", by the clock of " + window.time_zone;
  switch (window.kind) {
    case sql::WindowKind::kNone:
      return "none";
    case sql::WindowKind::kTumble:
      return "TUMBLE of " + time + ", " + span_text(window.size) + in_zone;
    case sql::WindowKind::kHop:
      return "HOP of " + time + ", every " + span_text(window.slide) + " one of " +
             span_text(window.size) + in_zone;
    case sql::WindowKind::kCumulate:
      return "CUMULATE of " + time + ", by " + span_text(window.slide) + " up to " +
             span_text(window.size) + in_zone;
    case sql::WindowKind::kSession:
      return "SESSION of " + time + ", ended by a gap of " + span_text(window.size);
  }
  return {};
}

std::string_view name_of(LatePolicy late) noexcept {
  switch (late) {
    case LatePolicy::kUpdate:
      return "update";
    case LatePolicy::kDrop:
      return "drop";
    case LatePolicy::kDeadLetter:
      return "dead-letter";
  }
  return "";
}

std::string_view name_of(sql::OnError policy) noexcept {
  switch (policy) {
    case sql::OnError::kDeadLetter:
      return "DLQ";
    case sql::OnError::kSkip:
      return "SKIP";
    case sql::OnError::kNull:
      return "NULL";
  }
  return "";
}

std::string_view name_of(sql::ObjectKind kind) noexcept {
  switch (kind) {
    case sql::ObjectKind::kSource:
      return "SOURCE";
    case sql::ObjectKind::kTable:
      return "TABLE";
    case sql::ObjectKind::kView:
      return "MATERIALIZED VIEW";
    case sql::ObjectKind::kStream:
      return "STREAM";
  }
  return "";
}

std::string exactness_of(const AggregatePlan& aggregate) {
  switch (aggregate.kind) {
    case AggregateKind::kApproxCountDistinct:
      return "approximate";
    case AggregateKind::kApproxPercentile:
      return "approximate, within " +
             std::to_string(LogHistogram::kRelativeError * 100).substr(0, 4) + " %";
    case AggregateKind::kCountDistinct:
    case AggregateKind::kTopK:
      return "exact up to a number of different values";
    default:
      break;
  }
  const bool rounded =
      aggregate.result.kind == TypeKind::kDouble && aggregate.kind != AggregateKind::kMin &&
      aggregate.kind != AggregateKind::kMax && aggregate.kind != AggregateKind::kFirst &&
      aggregate.kind != AggregateKind::kLast && aggregate.kind != AggregateKind::kArgMin &&
      aggregate.kind != AggregateKind::kArgMax;
  return rounded ? "approximate, as DOUBLE is" : "exact";
}

}  // namespace runnel::storage::views
