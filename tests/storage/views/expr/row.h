// The row that the expression scripts read, and expressions over it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "storage/views/expr/compile.h"
#include "storage/views/sql/parser.h"
#include "storage/views/types/decimal.h"
#include "storage/views/types/time_text.h"

namespace runnel::storage::views {

struct TestColumn {
  std::string name;
  Type type;
  Value value;
};

inline Value test_decimal(std::string_view text, unsigned scale) {
  Int128 value = 0;
  RUNNEL_ASSERT(decimal_from_text(text, kMaxDigits, scale, Inexact::kRefuse, value) ==
                RowError::kNone);
  return Value::decimal(value, static_cast<std::uint8_t>(scale));
}

inline Value test_time(std::string_view text) {
  std::int64_t value = 0;
  RUNNEL_ASSERT(timestamp_from_text(text, nullptr, value) == RowError::kNone);
  return Value::timestamp(value);
}

inline Value test_date(std::string_view text) {
  std::int32_t value = 0;
  RUNNEL_ASSERT(date_from_text(text, value) == RowError::kNone);
  return Value::date(value);
}

inline const std::vector<TestColumn>& test_columns() {
  static const std::vector<TestColumn> columns{
      {"yes", boolean_type(), Value::boolean(true)},
      {"no", boolean_type(), Value::boolean(false)},
      {"unknown", boolean_type(), Value::null()},
      {"seven", bigint_type(), Value::bigint(7)},
      {"zero", bigint_type(), Value::bigint(0)},
      {"most", bigint_type(), Value::bigint(INT64_MAX)},
      {"fewest", bigint_type(), Value::bigint(INT64_MIN)},
      {"nothing", bigint_type(), Value::null()},
      {"half", double_type(), Value::number(0.5)},
      {"huge", double_type(), Value::number(1e308)},
      {"price", decimal_type(12, 2), test_decimal("12.30", 2)},
      {"rate", decimal_type(12, 4), test_decimal("-0.1250", 4)},
      {"sum", decimal_type(38, 0), test_decimal("99999999999999999999999999999999999999", 0)},
      {"free", decimal_type(12, 2), test_decimal("0", 2)},
      {"name", varchar_type(), Value::text("Marie Curie")},
      {"city", varchar_type(), Value::text("Žluťoučký kůň")},
      {"empty", varchar_type(), Value::text("")},
      {"none", varchar_type(), Value::null()},
      {"digits", varchar_type(), Value::text(" 42 ")},
      {"ts", timestamp_type(), test_time("2026-03-29T00:30:15.250Z")},
      {"autumn", timestamp_type(), test_time("2026-10-25T01:30:00Z")},
      {"day", date_type(), test_date("2026-01-31")},
      {"doc", json_type(),
       Value::text(R"({"a": {"b": [10, 20.50, "x\ny"]}, "s": "text", "n": null, "t": true})")},
  };
  return columns;
}

inline std::vector<Value> test_row() {
  std::vector<Value> row;
  for (const TestColumn& column : test_columns()) row.push_back(column.value);
  return row;
}

inline Result<Program> test_program(std::string_view sql, std::string_view zone = "UTC") {
  RUNNEL_TRY_ASSIGN(const std::shared_ptr<const Zone> found, Zone::find(zone));
  RUNNEL_TRY_ASSIGN(const sql::ExpressionRef expression, sql::parse_expression(sql));
  Compiler compiler(
      [](const sql::ColumnRef& column, sql::Place place) -> Result<Bound> {
        const auto& columns = test_columns();
        for (std::size_t i = 0; i < columns.size(); ++i) {
          if (columns[i].name == column.name) {
            return bound_column(static_cast<Slot>(i), columns[i].type);
          }
        }
        return fail(error_at(place, "there is no column " + column.name));
      },
      found);
  return compiler.program(*expression);
}

/// "12.30 DECIMAL(12,2)", "'text' VARCHAR", "row error: out_of_range", "error: line 1, ...".
inline std::string test_outcome(std::string_view sql, std::string_view zone = "UTC") {
  const auto program = test_program(sql, zone);
  if (!program) return "error: " + program.error().message();
  Arena arena;
  Value value;
  const std::vector<Value> row = test_row();
  const RowError why = program->evaluate(row, arena, value);
  if (why != RowError::kNone) return "row error: " + std::string(name_of(why));
  const std::string text =
      value.tag() == Tag::kText ? "'" + to_string(value) + "'" : to_string(value);
  return text + " " + name_of(program->type());
}

}  // namespace runnel::storage::views
