#include <array>
#include <cmath>

#include "storage/views/expr/kernels.h"
#include "storage/views/json/scan.h"
#include "storage/views/types/decimal.h"

namespace runnel::storage::views {
namespace {

using Convert = RowError (*)(const Node& node, Context& context, const Value& value, Value& out);

template <Convert kConvert>
RowError cast_with(const Node& node, Context& context, Value& out) {
  Value value;
  if (const RowError why = run(node.child(0), context, value); why != RowError::kNone) return why;
  out = Value::null();
  if (value.is_null()) return RowError::kNone;
  const RowError why = kConvert(node, context, value, out);
  if (why == RowError::kNone || !node.lenient) return why;
  out = Value::null();
  return RowError::kNone;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\n\r\f\v";
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

bool same_word(std::string_view text, std::string_view lower) {
  return text.size() == lower.size() &&
         std::equal(text.begin(), text.end(), lower.begin(),
                    [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a - 'A' + 'a' : a) == b; });
}

RowError same(const Node& /*node*/, Context& /*context*/, const Value& value, Value& out) {
  out = value;
  return RowError::kNone;
}

RowError decimal_of(const Node& node, RowError why, Int128 value, Value& out) {
  if (why != RowError::kNone) return why;
  if (!has_digits(value, node.type.precision)) return RowError::kOutOfRange;
  out = Value::decimal(value, node.type.scale);
  return RowError::kNone;
}

// ---- from VARCHAR
RowError text_to_boolean(const Node& /*node*/, Context& /*context*/, const Value& value,
                         Value& out) {
  static constexpr std::array<std::string_view, 6> kTrue{"true", "t", "yes", "y", "on", "1"};
  static constexpr std::array<std::string_view, 6> kFalse{"false", "f", "no", "n", "off", "0"};
  const std::string_view text = trimmed(value.as_text());
  const auto is_text = [&](std::string_view word) { return same_word(text, word); };
  const bool truth = std::any_of(kTrue.begin(), kTrue.end(), is_text);
  if (!truth && std::none_of(kFalse.begin(), kFalse.end(), is_text)) return RowError::kInvalidText;
  out = Value::boolean(truth);
  return RowError::kNone;
}
RowError text_to_bigint(const Node& /*node*/, Context& /*context*/, const Value& value,
                        Value& out) {
  std::int64_t result = 0;
  const RowError why = bigint_from_text(trimmed(value.as_text()), result);
  if (why == RowError::kNone) out = Value::bigint(result);
  return why;
}
RowError text_to_double(const Node& /*node*/, Context& /*context*/, const Value& value,
                        Value& out) {
  double result = 0;
  const RowError why = double_from_text(trimmed(value.as_text()), result);
  if (why == RowError::kNone) out = Value::number(result);
  return why;
}
RowError text_to_decimal(const Node& node, Context& /*context*/, const Value& value, Value& out) {
  Int128 result = 0;
  const RowError why = decimal_from_text(trimmed(value.as_text()), node.type.precision,
                                         node.type.scale, Inexact::kRound, result);
  return decimal_of(node, why, result, out);
}
RowError text_to_timestamp(const Node& node, Context& /*context*/, const Value& value, Value& out) {
  std::int64_t result = 0;
  const RowError why = timestamp_from_text(value.as_text(), node.zone.get(), result);
  if (why == RowError::kNone) out = Value::timestamp(result);
  return why;
}
RowError text_to_date(const Node& /*node*/, Context& /*context*/, const Value& value, Value& out) {
  std::int32_t result = 0;
  const RowError why = date_from_text(value.as_text(), result);
  if (why == RowError::kNone) out = Value::date(result);
  return why;
}
RowError text_to_json(const Node& /*node*/, Context& /*context*/, const Value& value, Value& out) {
  const std::string_view text = trimmed(value.as_text());
  if (check_json(text) != RowError::kNone) return RowError::kInvalidText;
  out = Value::text(text);
  return RowError::kNone;
}

// ---- from BOOLEAN and numbers
RowError boolean_to_bigint(const Node& /*node*/, Context& /*context*/, const Value& value,
                           Value& out) {
  out = Value::bigint(value.as_boolean() ? 1 : 0);
  return RowError::kNone;
}
RowError bigint_to_boolean(const Node& /*node*/, Context& /*context*/, const Value& value,
                           Value& out) {
  out = Value::boolean(value.as_bigint() != 0);
  return RowError::kNone;
}
RowError bigint_to_double(const Node& /*node*/, Context& /*context*/, const Value& value,
                          Value& out) {
  out = Value::number(static_cast<double>(value.as_bigint()));
  return RowError::kNone;
}
RowError bigint_to_decimal(const Node& node, Context& /*context*/, const Value& value, Value& out) {
  Int128 result = 0;
  const RowError why = rescale(value.as_bigint(), 0, node.type.scale, result);
  return decimal_of(node, why, result, out);
}
RowError double_to_bigint(const Node& /*node*/, Context& /*context*/, const Value& value,
                          Value& out) {
  const double rounded = std::nearbyint(value.as_double());
  constexpr double kTwoTo63 = 9223372036854775808.0;
  if (!(rounded >= -kTwoTo63 && rounded < kTwoTo63)) return RowError::kOutOfRange;
  out = Value::bigint(static_cast<std::int64_t>(rounded));
  return RowError::kNone;
}
RowError double_to_decimal(const Node& node, Context& /*context*/, const Value& value, Value& out) {
  Int128 result = 0;
  const RowError why =
      decimal_from_double(value.as_double(), node.type.precision, node.type.scale, result);
  return decimal_of(node, why, result, out);
}
RowError decimal_to_bigint(const Node& /*node*/, Context& /*context*/, const Value& value,
                           Value& out) {
  Int128 result = 0;
  const RowError why = rescale(value.as_decimal(), value.scale(), 0, result);
  if (why != RowError::kNone) return why;
  if (result > INT64_MAX || result < INT64_MIN) return RowError::kOutOfRange;
  out = Value::bigint(static_cast<std::int64_t>(result));
  return RowError::kNone;
}
RowError decimal_to_number(const Node& /*node*/, Context& /*context*/, const Value& value,
                           Value& out) {
  out = Value::number(decimal_to_double(value.as_decimal(), value.scale()));
  return RowError::kNone;
}
RowError decimal_to_decimal(const Node& node, Context& /*context*/, const Value& value,
                            Value& out) {
  Int128 result = 0;
  const RowError why = rescale(value.as_decimal(), value.scale(), node.type.scale, result);
  return decimal_of(node, why, result, out);
}

// ---- times
RowError timestamp_to_date(const Node& node, Context& /*context*/, const Value& value, Value& out) {
  out = Value::date(static_cast<std::int32_t>(day_of(node.zone->to_local(value.as_timestamp()))));
  return RowError::kNone;
}
RowError date_to_timestamp(const Node& node, Context& /*context*/, const Value& value, Value& out) {
  out = Value::timestamp(node.zone->to_utc(value.as_date() * kMicrosPerDay));
  return RowError::kNone;
}

RowError to_text(const Node& /*node*/, Context& context, const Value& value, Value& out) {
  return keep(to_string(value), context, out);
}

Kernel from_text(TypeKind to) {
  switch (to) {
    case TypeKind::kBoolean:
      return cast_with<text_to_boolean>;
    case TypeKind::kBigint:
      return cast_with<text_to_bigint>;
    case TypeKind::kDouble:
      return cast_with<text_to_double>;
    case TypeKind::kDecimal:
      return cast_with<text_to_decimal>;
    case TypeKind::kVarchar:
      return cast_with<same>;
    case TypeKind::kTimestamp:
      return cast_with<text_to_timestamp>;
    case TypeKind::kDate:
      return cast_with<text_to_date>;
    case TypeKind::kJson:
      return cast_with<text_to_json>;
  }
  return nullptr;
}

struct CastRow {
  TypeKind from;
  TypeKind to;
  Kernel kernel;
};
constexpr std::array<CastRow, 13> kCasts{{
    {TypeKind::kBoolean, TypeKind::kBigint, cast_with<boolean_to_bigint>},
    {TypeKind::kBigint, TypeKind::kBoolean, cast_with<bigint_to_boolean>},
    {TypeKind::kBigint, TypeKind::kDouble, cast_with<bigint_to_double>},
    {TypeKind::kBigint, TypeKind::kDecimal, cast_with<bigint_to_decimal>},
    {TypeKind::kDouble, TypeKind::kBigint, cast_with<double_to_bigint>},
    {TypeKind::kDouble, TypeKind::kDecimal, cast_with<double_to_decimal>},
    {TypeKind::kDecimal, TypeKind::kBigint, cast_with<decimal_to_bigint>},
    {TypeKind::kDecimal, TypeKind::kDouble, cast_with<decimal_to_number>},
    {TypeKind::kDecimal, TypeKind::kDecimal, cast_with<decimal_to_decimal>},
    {TypeKind::kTimestamp, TypeKind::kDate, cast_with<timestamp_to_date>},
    {TypeKind::kDate, TypeKind::kTimestamp, cast_with<date_to_timestamp>},
    {TypeKind::kJson, TypeKind::kVarchar, cast_with<same>},
    {TypeKind::kJson, TypeKind::kJson, cast_with<same>},
}};

}  // namespace

Kernel cast_kernel(const Type& from, const Type& to) {
  if (from.kind == TypeKind::kVarchar) return from_text(to.kind);
  for (const CastRow& row : kCasts) {
    if (row.from == from.kind && row.to == to.kind) return row.kernel;
  }
  if (to.kind == TypeKind::kVarchar) return cast_with<to_text>;
  return from == to ? Kernel(cast_with<same>) : nullptr;
}

}  // namespace runnel::storage::views
