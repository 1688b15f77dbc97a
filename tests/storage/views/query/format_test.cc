#include "storage/views/query/format.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <limits>

#include "storage/views/types/decimal.h"
#include "storage/views/types/time_text.h"

namespace runnel::storage::views {
namespace {

const Type kBoolean{TypeKind::kBoolean, 0, 0};
const Type kBigint{TypeKind::kBigint, 0, 0};
const Type kDouble{TypeKind::kDouble, 0, 0};
const Type kMoney{TypeKind::kDecimal, 38, 2};
const Type kVarchar{TypeKind::kVarchar, 0, 0};
const Type kTime{TypeKind::kTimestamp, 0, 0};
const Type kDate{TypeKind::kDate, 0, 0};
const Type kJson{TypeKind::kJson, 0, 0};

std::string json(const Value& value, const Type& type) {
  std::string out;
  append_json(value, type, out);
  return out;
}
std::string csv(const Value& value, const Type& type) {
  std::string out;
  append_csv_cell(value, type, out);
  return out;
}

TEST(Format, JsonNumbersAreExact) {
  EXPECT_EQ(json(Value::null(), kBigint), "null");
  EXPECT_EQ(json(Value::boolean(true), kBoolean), "true");
  EXPECT_EQ(json(Value::bigint(std::numeric_limits<std::int64_t>::min()), kBigint),
            "-9223372036854775808");
  EXPECT_EQ(json(Value::decimal(1230, 2), kMoney), "12.30");
  EXPECT_EQ(json(Value::decimal(power_of_ten(38) - 1, 2), kMoney),
            "999999999999999999999999999999999999.99");
  EXPECT_EQ(json(Value::decimal(-5, 2), kMoney), "-0.05");
  EXPECT_EQ(json(Value::number(0.1), kDouble), "0.1");
  EXPECT_EQ(json(Value::number(std::nan("")), kDouble), "\"NaN\"");
  EXPECT_EQ(json(Value::number(-HUGE_VAL), kDouble), "\"-Infinity\"");
}

TEST(Format, JsonTextsAreEscapedAndOnOneLine) {
  EXPECT_EQ(json(Value::text("a\"b\\c\n\r\t\x01é"), kVarchar), R"("a\"b\\c\n\r\t\u0001é")");
  EXPECT_EQ(json(Value::text(""), kVarchar), "\"\"");
  EXPECT_EQ(json(Value::text("{\"a\":\n [1]}\r\n"), kJson), "{\"a\":  [1]}  ");
  EXPECT_EQ(json(Value::timestamp(0), kTime), "\"1970-01-01T00:00:00Z\"");
  EXPECT_EQ(json(Value::date(0), kDate), "\"1970-01-01\"");
}

TEST(Format, JsonRowIsAnObject) {
  const std::vector<AnswerColumn> columns{{"campaign", kVarchar, {}}, {"to\"tal", kMoney, {}}};
  std::string out;
  append_json_row(columns, std::vector{Value::text("sea"), Value::null()}, out);
  EXPECT_EQ(out, R"({"campaign":"sea","to\"tal":null})");
}

TEST(Format, CsvIsQuotedWhereItHasToBe) {
  EXPECT_EQ(csv(Value::null(), kVarchar), "");
  EXPECT_EQ(csv(Value::text(""), kVarchar), "\"\"");
  EXPECT_EQ(csv(Value::text("plain text"), kVarchar), "plain text");
  EXPECT_EQ(csv(Value::text("a,b"), kVarchar), "\"a,b\"");
  EXPECT_EQ(csv(Value::text("say \"a\""), kVarchar), "\"say \"\"a\"\"\"");
  EXPECT_EQ(csv(Value::text("two\r\nlines"), kVarchar), "\"two\r\nlines\"");
  EXPECT_EQ(csv(Value::decimal(1230, 2), kMoney), "12.30");
}

/// A value of a type, often at its edges.
std::pair<Type, Value> any_value(std::string& text) {
  switch (*rc::gen::inRange(0, 8)) {
    case 0:
      return {kBoolean, Value::boolean(*rc::gen::arbitrary<bool>())};
    case 1:
      return {kBigint, Value::bigint(*rc::gen::arbitrary<std::int64_t>())};
    case 2:
      return {kDouble, Value::number(std::bit_cast<double>(*rc::gen::arbitrary<std::uint64_t>()))};
    case 3: {
      const auto scale = static_cast<std::uint8_t>(*rc::gen::inRange(0, 39));
      const Int128 most = power_of_ten(38) - 1;
      const Int128 number = static_cast<Int128>(*rc::gen::arbitrary<std::int64_t>()) *
                            *rc::gen::arbitrary<std::int64_t>() % most;
      return {{TypeKind::kDecimal, 38, scale}, Value::decimal(number, scale)};
    }
    case 4:
      return {kTime, Value::timestamp(*rc::gen::inRange(kMinTimestamp, kMaxTimestamp))};
    case 5:
      return {kDate, Value::date(*rc::gen::inRange(kMinDate, kMaxDate))};
    default:
      text = *rc::gen::arbitrary<std::string>();
      return {kVarchar, Value::text(text)};
  }
}

RC_GTEST_PROP(Format, CellsAreReadAsTheyWereWritten, ()) {
  std::string text;
  const auto [type, value] = any_value(text);
  std::string cell;
  append_cell(value, cell);
  Arena arena;
  Value read;
  RC_ASSERT(read_cell(cell, type, arena, read));
  RC_ASSERT(compare(read, value) == 0);
  RC_ASSERT(read.tag() == value.tag());
}

TEST(Format, CellsThatAreNoneAreRefused) {
  Arena arena;
  Value value;
  for (const auto& [text, type] : std::vector<std::pair<std::string, Type>>{{"yes", kBoolean},
                                                                            {"1.5", kBigint},
                                                                            {"x", kDouble},
                                                                            {"1.005", kMoney},
                                                                            {"today", kTime},
                                                                            {"2026-02-30", kDate},
                                                                            {"", kBigint}}) {
    EXPECT_FALSE(read_cell(text, type, arena, value)) << text;
  }
}

TEST(AnswerRows, OwnTheirTexts) {
  AnswerRows rows(2);
  {
    const std::string gone(100'000, 'x');
    rows.add(std::vector{Value::text(gone), Value::bigint(1)});
    for (int i = 0; i < 5000; ++i) {
      const std::string text = "row " + std::to_string(i);
      rows.add(std::vector{Value::text(text), Value::bigint(i)});
    }
  }
  ASSERT_EQ(rows.size(), 5001u);
  EXPECT_EQ(rows[0][0].as_text().size(), 100'000u);
  EXPECT_EQ(rows[5000][0].as_text(), "row 4999");
  const std::size_t before = rows.bytes();
  rows.reorder(std::vector<std::size_t>{5000, 1});
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0][0].as_text(), "row 4999");
  EXPECT_EQ(rows[1][0].as_text(), "row 0");
  EXPECT_LT(rows.bytes(), before / 2);
}

}  // namespace
}  // namespace runnel::storage::views
