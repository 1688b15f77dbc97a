#include "storage/views/query/format.h"

#include <cmath>
#include <cstring>

#include "storage/views/expr/compile.h"
#include "storage/views/types/decimal.h"
#include "storage/views/types/json_string.h"
#include "storage/views/types/time_text.h"

namespace runnel::storage::views {
namespace {

/// Line ends stand only between the tokens of a JSON text, where a blank means the same.
void append_on_one_line(std::string_view json, std::string& out) {
  for (const char c : json) out += c == '\n' || c == '\r' ? ' ' : c;
}

}  // namespace

void append_json(const Value& value, const Type& type, std::string& out) {
  switch (value.tag()) {
    case Tag::kNull:
      out += "null";
      return;
    case Tag::kBoolean:
    case Tag::kBigint:
    case Tag::kDecimal:
      out += to_string(value);
      return;
    case Tag::kDouble:
      if (std::isfinite(value.as_double())) {
        out += to_string(value);
      } else {
        append_json_string(to_string(value), out);
      }
      return;
    case Tag::kText:
      if (type.kind == TypeKind::kJson) {
        append_on_one_line(value.as_text(), out);
      } else {
        append_json_string(value.as_text(), out);
      }
      return;
    case Tag::kTimestamp:
    case Tag::kDate:
      append_json_string(to_string(value), out);
      return;
  }
}

void append_json_row(std::span<const AnswerColumn> columns, std::span<const Value> row,
                     std::string& out) {
  out += '{';
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (i != 0) out += ',';
    append_json_string(columns[i].name, out);
    out += ':';
    append_json(row[i], columns[i].type, out);
  }
  out += '}';
}

void append_csv_cell(const Value& value, const Type&, std::string& out) {
  if (value.is_null()) return;
  const std::string text = to_string(value);
  if (!text.empty() && text.find_first_of(",\"\r\n") == std::string::npos) {
    out += text;
    return;
  }
  out += '"';
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  out += '"';
}

void append_cell(const Value& value, std::string& out) {
  if (value.tag() == Tag::kText) {
    out += value.as_text();
  } else {
    out += to_string(value);
  }
}

bool read_cell(std::string_view text, const Type& type, Arena& arena, Value& out) {
  out = Value::null();
  switch (type.kind) {
    case TypeKind::kBoolean:
      out = Value::boolean(text == "true");
      return text == "true" || text == "false";
    case TypeKind::kBigint: {
      std::int64_t number = 0;
      if (bigint_from_text(text, number) != RowError::kNone) return false;
      out = Value::bigint(number);
      return true;
    }
    case TypeKind::kDouble: {
      double number = 0;
      if (text == "NaN") {
        number = std::nan("");
      } else if (text == "Infinity" || text == "-Infinity") {
        number = text.starts_with('-') ? -HUGE_VAL : HUGE_VAL;
      } else if (double_from_text(text, number) != RowError::kNone) {
        return false;
      }
      out = Value::number(number);
      return true;
    }
    case TypeKind::kDecimal: {
      Int128 number = 0;
      if (decimal_from_text(text, kMaxDigits, type.scale, Inexact::kRefuse, number) !=
          RowError::kNone) {
        return false;
      }
      out = Value::decimal(number, type.scale);
      return true;
    }
    case TypeKind::kVarchar:
    case TypeKind::kJson: {
      char* const to = arena.allocate(text.size());
      if (to == nullptr) return false;
      if (!text.empty()) std::memcpy(to, text.data(), text.size());
      out = Value::text({to, text.size()});
      return true;
    }
    case TypeKind::kTimestamp: {
      std::int64_t micros = 0;
      if (timestamp_from_text(text, nullptr, micros) != RowError::kNone) return false;
      out = Value::timestamp(micros);
      return true;
    }
    case TypeKind::kDate: {
      std::int32_t days = 0;
      if (date_from_text(text, days) != RowError::kNone) return false;
      out = Value::date(days);
      return true;
    }
  }
  return false;
}

}  // namespace runnel::storage::views
