#include "storage/views/json/convert.h"

#include "storage/views/types/decimal.h"
#include "storage/views/types/time_text.h"

namespace runnel::storage::views {
namespace {

RowError to_timestamp(const JsonToken& token, std::string_view text, Value& out) {
  std::int64_t time = 0;
  if (token.kind == JsonKind::kString) {
    const RowError why = timestamp_from_text(text, nullptr, time);
    if (why == RowError::kNone) out = Value::timestamp(time);
    return why;
  }
  constexpr std::int64_t kMicrosPerMilli = 1000;
  if (const RowError why = bigint_from_text(text, time); why != RowError::kNone) return why;
  if (__builtin_mul_overflow(time, kMicrosPerMilli, &time)) return RowError::kOutOfRange;
  if (time < kMinTimestamp || time > kMaxTimestamp) return RowError::kOutOfRange;
  out = Value::timestamp(time);
  return RowError::kNone;
}

/// Of a number, or a text that has one.
RowError to_number(std::string_view text, const Type& type, Value& out) {
  RowError why = RowError::kNone;
  if (type.kind == TypeKind::kBigint) {
    std::int64_t value = 0;
    why = bigint_from_text(text, value);
    out = Value::bigint(value);
  } else if (type.kind == TypeKind::kDouble) {
    double value = 0;
    why = double_from_text(text, value);
    out = Value::number(value);
  } else {
    Int128 value = 0;
    why = decimal_from_text(text, type.precision, type.scale, Inexact::kRefuse, value);
    out = Value::decimal(value, type.scale);
  }
  return why;
}

}  // namespace

RowError convert_json(const JsonToken& token, const Type& type, Arena& arena, Value& out) {
  out = Value::null();
  if (token.kind == JsonKind::kNull) return RowError::kNone;
  std::string_view text = token.text;
  const bool is_string = token.kind == JsonKind::kString;
  if (is_string && token.escaped && type.kind != TypeKind::kJson) {
    if (const RowError why = unescape(token, arena, text); why != RowError::kNone) return why;
  }
  const bool is_number = token.kind == JsonKind::kNumber;
  switch (type.kind) {
    case TypeKind::kBoolean:
      if (token.kind != JsonKind::kBoolean) return RowError::kWrongType;
      out = Value::boolean(text == "true");
      return RowError::kNone;
    case TypeKind::kBigint:
    case TypeKind::kDouble:
    case TypeKind::kDecimal:
      return is_number || is_string ? to_number(text, type, out) : RowError::kWrongType;
    case TypeKind::kVarchar:
      if (!is_string) return RowError::kWrongType;
      out = Value::text(text);
      return RowError::kNone;
    case TypeKind::kTimestamp:
      return is_number || is_string ? to_timestamp(token, text, out) : RowError::kWrongType;
    case TypeKind::kDate: {
      std::int32_t day = 0;
      if (!is_string) return RowError::kWrongType;
      const RowError why = date_from_text(text, day);
      if (why == RowError::kNone) out = Value::date(day);
      return why;
    }
    case TypeKind::kJson:
      // The quotes are around what the token shows of a string.
      out = Value::text(is_string ? std::string_view(text.data() - 1, text.size() + 2) : text);
      return RowError::kNone;
  }
  return RowError::kWrongType;
}

}  // namespace runnel::storage::views
