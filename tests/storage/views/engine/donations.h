// A source of donations as the engine sees it, its views, and rows for them; no SQL.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "storage/views/engine/fold.h"
#include "storage/views/expr/node.h"
#include "storage/views/plan/plan.h"

namespace runnel::storage::views {

inline constexpr std::int64_t kSecond = 1'000'000;
inline constexpr std::int64_t kMinute = 60 * kSecond;
inline constexpr std::int64_t kHour = 60 * kMinute;
inline constexpr std::int64_t kDay = 24 * kHour;

enum Column : Slot { kCampaign = 0, kAmount, kPoints, kTime, kPaid, kRate, kColumns };

inline Type type_of(Column column) {
  switch (column) {
    case kCampaign:
      return {TypeKind::kVarchar, 0, 0};
    case kAmount:
      return {TypeKind::kDecimal, 12, 2};
    case kPoints:
      return {TypeKind::kBigint, 0, 0};
    case kTime:
      return {TypeKind::kTimestamp, 0, 0};
    case kPaid:
      return {TypeKind::kBoolean, 0, 0};
    default:
      return {TypeKind::kDouble, 0, 0};
  }
}

inline Program column_program(Slot slot, const Type& type) {
  auto node = std::make_unique<Node>();
  node->slot = slot;
  node->type = type;
  node->kernel = [](const Node& n, Context& context, Value& out) {
    out = context.row[n.slot];
    return RowError::kNone;
  };
  auto compiled = std::make_shared<Compiled>();
  compiled->root = std::move(node);
  compiled->slots = {slot};
  compiled->column = slot;
  return Program(std::move(compiled));
}
inline Program column_program(Column column) {
  return column_program(column, type_of(column));
}
/// 1000 / points: an error where there are none.
inline Program shares_program() {
  auto node = std::make_unique<Node>();
  node->slot = kPoints;
  node->type = type_of(kPoints);
  node->kernel = [](const Node& n, Context& context, Value& out) {
    const Value& value = context.row[n.slot];
    out = Value::null();
    if (value.is_null()) return RowError::kNone;
    if (value.as_bigint() == 0) return RowError::kDivisionByZero;
    out = Value::bigint(1000 / value.as_bigint());
    return RowError::kNone;
  };
  auto compiled = std::make_shared<Compiled>();
  compiled->root = std::move(node);
  compiled->slots = {kPoints};
  return Program(std::move(compiled));
}

inline SourcePlan donations_source() {
  SourcePlan source;
  source.name = "donations";
  source.topic = "donations";
  for (const char* name : {"campaign", "amount", "points", "ts", "paid", "rate"}) {
    ColumnPlan& column = source.columns.emplace_back();
    column.name = name;
    column.type = type_of(static_cast<Column>(source.columns.size() - 1));
  }
  return source;
}

inline AggregatePlan aggregate(AggregateKind kind, std::optional<Column> argument = {},
                               std::optional<Column> second = {}) {
  AggregatePlan plan;
  plan.kind = kind;
  if (argument) plan.argument = column_program(*argument);
  if (second) plan.second = column_program(*second);
  const bool exact = argument == kAmount || argument == kPoints;
  const std::uint8_t scale = argument == kAmount ? 2 : 0;
  switch (kind) {
    case AggregateKind::kSum:
      plan.result = exact ? Type{TypeKind::kDecimal, 38, scale} : Type{TypeKind::kDouble, 0, 0};
      break;
    case AggregateKind::kAvg:
      plan.result = exact ? Type{TypeKind::kDecimal, 38, static_cast<std::uint8_t>(scale + 6)}
                          : Type{TypeKind::kDouble, 0, 0};
      break;
    case AggregateKind::kCountRows:
    case AggregateKind::kCount:
    case AggregateKind::kCountDistinct:
    case AggregateKind::kApproxCountDistinct:
      plan.result = {TypeKind::kBigint, 0, 0};
      break;
    default:
      plan.result = argument ? type_of(*argument) : Type{TypeKind::kBigint, 0, 0};
      break;
  }
  return plan;
}

inline KeyPlan key_of(Column column) {
  return {KeyRole::kExpression, "", type_of(column), column_program(column)};
}
inline KeyPlan window_key(const SourcePlan& source, KeyRole role) {
  const Slot slot =
      role == KeyRole::kWindowStart ? source.window_start_slot() : source.window_end_slot();
  return {role, "", type_of(kTime), column_program(slot, type_of(kTime))};
}

/// SELECT every group key and aggregate.
inline void show_everything(ViewPlan& plan) {
  plan.outputs.clear();
  Slot slot = 0;
  for (const KeyPlan& key : plan.keys) {
    plan.outputs.push_back({"", key.type, column_program(slot, key.type), slot});
    ++slot;
  }
  for (const AggregatePlan& one : plan.aggregates) {
    plan.outputs.push_back({"", one.result, column_program(slot, one.result), {}});
    ++slot;
  }
}

/// GROUP BY campaign, and the window where there is one.
inline ViewPlan donations_view(WindowPlan window = {}) {
  ViewPlan plan;
  plan.name = "totals";
  plan.source = donations_source();
  plan.window = std::move(window);
  plan.window.time = kTime;
  plan.keys.push_back(key_of(kCampaign));
  if (plan.window.kind != sql::WindowKind::kNone) {
    plan.keys.push_back(window_key(plan.source, KeyRole::kWindowStart));
    plan.keys.push_back(window_key(plan.source, KeyRole::kWindowEnd));
  }
  return plan;
}

inline WindowPlan window(sql::WindowKind kind, Interval size, Interval slide = {},
                         std::string zone = "UTC") {
  WindowPlan plan;
  plan.kind = kind;
  plan.size = size;
  plan.slide = slide;
  plan.time_zone = std::move(zone);
  return plan;
}
inline Interval hours(std::int64_t n) {
  return {0, 0, n * 3'600'000};
}
inline Interval minutes(std::int64_t n) {
  return {0, 0, n * 60'000};
}
inline Interval days(std::int64_t n) {
  return {0, n, 0};
}

/// One donation, as a test has it.
struct Donation {
  std::uint32_t partition = 0;
  std::int64_t offset = 0;
  RowError error = RowError::kNone;
  std::optional<std::string> campaign;
  std::optional<std::int64_t> cents;
  std::optional<std::int64_t> points;
  std::optional<std::int64_t> time;
  std::optional<bool> paid;
  double rate = 0;
  std::optional<std::int64_t> stamp{};  ///< of the record, milliseconds; else its time
};

/// `values` is where the row is made.
inline FoldRow row_of(const Donation& d, const ViewPlan& plan, std::vector<Value>& values) {
  values.assign(plan.source.row_slots(), Value::null());
  if (d.campaign) values[kCampaign] = Value::text(*d.campaign);
  if (d.cents) values[kAmount] = Value::decimal(*d.cents, 2);
  if (d.points) values[kPoints] = Value::bigint(*d.points);
  if (d.time) values[kTime] = Value::timestamp(*d.time);
  if (d.paid) values[kPaid] = Value::boolean(*d.paid);
  values[kRate] = Value::number(d.rate);
  FoldRow row;
  row.offset = d.offset;
  row.error = d.error;
  row.event_time = d.time.value_or(kNoTime);
  row.values = values;
  row.timestamp = d.stamp.value_or(d.time ? *d.time / 1000 : 1'700'000'000'000);
  row.key = "k";
  row.raw = "raw";
  return row;
}

}  // namespace runnel::storage::views
