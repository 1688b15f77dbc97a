#include "storage/views/adhoc/sqlite_types.h"

#include "storage/views/types/decimal.h"
#include "storage/views/types/time_text.h"

namespace runnel::storage::views {

std::string sqlite_type_of(const Type& type) {
  switch (type.kind) {
    case TypeKind::kBoolean:
    case TypeKind::kBigint:
    case TypeKind::kDouble:
    case TypeKind::kVarchar:
      return name_of(type);
    case TypeKind::kDecimal:
      return "TEXT " + name_of(type) + " COLLATE runnel_decimal";
    case TypeKind::kTimestamp:
      return "TEXT " + name_of(type) + " COLLATE runnel_time";
    case TypeKind::kDate:
    case TypeKind::kJson:
      return "TEXT " + name_of(type);
  }
  return "TEXT";
}

std::string sqlite_time_text(std::int64_t micros) {
  std::string text = timestamp_to_text(micros);
  text.pop_back();
  const std::size_t point = text.find('.');
  if (point == std::string::npos) text += ".000000";
  while (point != std::string::npos && text.size() < point + 7) text += '0';
  return text + "Z";
}

Status from_sqlite(const Type& type, Value& value) {
  bool sound = true;
  if (type.kind == TypeKind::kBoolean && value.tag() == Tag::kBigint) {
    value = Value::boolean(value.as_bigint() != 0);
  } else if (type.kind == TypeKind::kDouble && value.tag() == Tag::kBigint) {
    value = Value::number(static_cast<double>(value.as_bigint()));
  } else if (type.kind == TypeKind::kDecimal && value.tag() == Tag::kText) {
    Int128 number = 0;
    sound = decimal_from_text(value.as_text(), kMaxDigits, type.scale, Inexact::kRefuse, number) ==
            RowError::kNone;
    if (sound) value = Value::decimal(number, type.scale);
  } else if (type.kind == TypeKind::kTimestamp && value.tag() == Tag::kText) {
    std::int64_t micros = 0;
    sound = timestamp_from_text(value.as_text(), nullptr, micros) == RowError::kNone;
    if (sound) value = Value::timestamp(micros);
  } else if (type.kind == TypeKind::kDate && value.tag() == Tag::kText) {
    std::int32_t days = 0;
    sound = date_from_text(value.as_text(), days) == RowError::kNone;
    if (sound) value = Value::date(days);
  } else {
    const bool text = type.kind == TypeKind::kVarchar || type.kind == TypeKind::kJson;
    sound = value.tag() == (text                             ? Tag::kText
                            : type.kind == TypeKind::kBigint ? Tag::kBigint
                                                             : Tag::kDouble);
  }
  if (sound) return {};
  return fail(ErrorCode::kInvalidArgument, "SQLite gave '" + to_string(value) + "' for a " +
                                               name_of(type) + "; CAST says what is meant");
}

}  // namespace runnel::storage::views
