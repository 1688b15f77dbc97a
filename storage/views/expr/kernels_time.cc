#include "storage/views/expr/kernels.h"

namespace runnel::storage::views {
namespace {

RowError date_result(std::int64_t day, Value& out) {
  if (day < kMinDate || day > kMaxDate) return RowError::kOutOfRange;
  out = Value::date(static_cast<std::int32_t>(day));
  return RowError::kNone;
}

RowError timestamp_plus(const Node& node, Context& /*context*/, const Value* arguments,
                        Value& out) {
  std::int64_t result = 0;
  const RowError why =
      add_interval(arguments[0].as_timestamp(), node.interval, node.sign, *node.zone, result);
  if (why == RowError::kNone) out = Value::timestamp(result);
  return why;
}

RowError date_plus(const Node& node, Context& /*context*/, const Value* arguments, Value& out) {
  std::int64_t result = 0;
  const RowError why =
      add_to_local(arguments[0].as_date() * kMicrosPerDay, node.interval, node.sign, result);
  return why == RowError::kNone ? date_result(day_of(result), out) : why;
}

template <int kSign>
RowError date_plus_days(const Node& /*node*/, Context& /*context*/, const Value* arguments,
                        Value& out) {
  constexpr std::int64_t kMost = 10'000'000;
  const std::int64_t days = arguments[1].as_bigint();
  if (days > kMost || days < -kMost) return RowError::kOutOfRange;
  return date_result(arguments[0].as_date() + kSign * days, out);
}

RowError date_minus_date(const Node& /*node*/, Context& /*context*/, const Value* arguments,
                         Value& out) {
  out = Value::bigint(std::int64_t{arguments[0].as_date()} - arguments[1].as_date());
  return RowError::kNone;
}

RowError truncated(const Node& node, Context& /*context*/, const Value* arguments, Value& out) {
  const std::int64_t result = truncate_time(node.field, arguments[0].as_timestamp(), *node.zone);
  if (result < kMinTimestamp) return RowError::kOutOfRange;
  out = Value::timestamp(result);
  return RowError::kNone;
}

RowError extracted(const Node& node, Context& /*context*/, const Value* arguments, Value& out) {
  const bool is_date = arguments[0].tag() == Tag::kDate;
  const std::int64_t instant =
      is_date ? arguments[0].as_date() * kMicrosPerDay : arguments[0].as_timestamp();
  const std::int64_t local = is_date ? instant : node.zone->to_local(instant);
  const std::int64_t result = extract_field(node.field, instant, local);
  out = node.type.kind == TypeKind::kBigint ? Value::bigint(result)
                                            : Value::decimal(result, node.type.scale);
  return RowError::kNone;
}

}  // namespace

RowError add_to_timestamp(const Node& node, Context& context, Value& out) {
  return strict<timestamp_plus>(node, context, out);
}
RowError add_to_date(const Node& node, Context& context, Value& out) {
  return strict<date_plus>(node, context, out);
}
RowError add_days(const Node& node, Context& context, Value& out) {
  return strict<date_plus_days<1>>(node, context, out);
}
RowError subtract_days(const Node& node, Context& context, Value& out) {
  return strict<date_plus_days<-1>>(node, context, out);
}
RowError days_between(const Node& node, Context& context, Value& out) {
  return strict<date_minus_date>(node, context, out);
}
RowError date_trunc(const Node& node, Context& context, Value& out) {
  return strict<truncated>(node, context, out);
}
RowError extract_time(const Node& node, Context& context, Value& out) {
  return strict<extracted>(node, context, out);
}

}  // namespace runnel::storage::views
