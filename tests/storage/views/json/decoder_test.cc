#include "storage/views/json/decoder.h"

#include <gtest/gtest.h>

#include <random>

#include "storage/views/plan/bind.h"
#include "storage/views/sql/parser.h"

namespace runnel::storage::views {
namespace {

SourcePlan source(const std::string& columns, const std::string& tail = "") {
  const auto statement =
      sql::parse_statement("CREATE SOURCE s (" + columns + ") ON TOPIC 't' " + tail);
  EXPECT_TRUE(statement) << statement.error().message();
  auto plan = bind_source(std::get<sql::CreateSource>(*statement));
  EXPECT_TRUE(plan) << plan.error().message();
  return *plan;
}

std::vector<Slot> all_slots(const SourcePlan& plan) {
  std::vector<Slot> slots;
  for (std::size_t i = 0; i < plan.columns.size(); ++i) slots.push_back(static_cast<Slot>(i));
  return slots;
}

/// "a=1 b=NULL c!wrong_type", or "not_json" of the record as a whole.
std::string decoded(Decoder& decoder, const SourcePlan& plan, const std::string& document) {
  const std::vector<char> exact(document.begin(), document.end());
  const RowError why = decoder.decode({exact.data(), exact.size()});
  if (why != RowError::kNone) return std::string(name_of(why));
  std::string out;
  for (std::size_t i = 0; i < plan.columns.size(); ++i) {
    std::string shown = "=" + to_string(decoder.row(0)[i]);
    for (const ColumnError& error : decoder.errors()) {
      if (error.slot == i) shown = "!" + std::string(name_of(error.error));
    }
    out += (out.empty() ? "" : " ") + plan.columns[i].name + shown;
  }
  return out;
}

std::string decoded(const SourcePlan& plan, const std::string& document) {
  Decoder decoder({{&plan, all_slots(plan), 0}});
  return decoded(decoder, plan, document);
}

constexpr const char* kEachType =
    "b BOOLEAN, i BIGINT, f DOUBLE, d DECIMAL(6,2), v VARCHAR, t TIMESTAMPTZ, y DATE, j JSON";

TEST(Decoder, ReadsEachTypeFromItsJson) {
  const SourcePlan plan = source(kEachType);
  EXPECT_EQ(decoded(plan, R"({"b": true, "i": -5, "f": 1e3, "d": 12.3, "v": "x", "t": )"
                          R"("2026-01-31T10:00:00+01:00", "y": "2026-01-31", "j": {"a": [1]}})"),
            "b=true i=-5 f=1000 d=12.30 v=x t=2026-01-31T09:00:00Z y=2026-01-31 j={\"a\": [1]}");
  EXPECT_EQ(decoded(plan, R"({"i": "12", "f": "0.5", "d": "9999.99", "t": 1500, "j": "s"})"),
            "b=NULL i=12 f=0.5 d=9999.99 v=NULL t=1970-01-01T00:00:01.500Z y=NULL j=\"s\"");
  EXPECT_EQ(decoded(plan, R"({"b":null,"i":1.0,"f":-0,"d":1e2,"v":"","t":null,"j":null})"),
            "b=NULL i=1 f=-0 d=100.00 v= t=NULL y=NULL j=NULL");
  EXPECT_EQ(decoded(plan, "{}"), "b=NULL i=NULL f=NULL d=NULL v=NULL t=NULL y=NULL j=NULL");
}

TEST(Decoder, RefusesOtherJsonColumnByColumn) {
  const SourcePlan plan = source(kEachType);
  EXPECT_EQ(decoded(plan, R"({"b": "true", "i": 1.5, "f": "nan", "d": 12.345, "v": 5, )"
                          R"("t": "2026-01-31T10:00:00", "y": 20, "j": 1.50})"),
            "b!wrong_type i!out_of_range f!invalid_text d!out_of_range v!wrong_type "
            "t!invalid_text y!wrong_type j=1.50");
  EXPECT_EQ(decoded(plan, R"({"b": 1, "i": 9223372036854775808, "f": 1e999, "d": 10000, "v": [], )"
                          R"("t": 1e30, "y": "2026-02-30", "j": "\ud800"})"),
            "b!wrong_type i!out_of_range f!out_of_range d!out_of_range v!wrong_type "
            "t!out_of_range y!invalid_text j=\"\\ud800\"");
  EXPECT_EQ(decoded(plan, R"({"i": true, "f": {}, "d": "x", "v": "\ud800", "t": "", "y": ""})"),
            "b=NULL i!wrong_type f!wrong_type d!invalid_text v!not_utf8 t!invalid_text "
            "y!invalid_text j=NULL");
  EXPECT_EQ(decoded(plan, R"({"d": 12.3400, "i": 0.5e1})"),
            "b=NULL i=5 f=NULL d=12.34 v=NULL t=NULL y=NULL j=NULL");
}

TEST(Decoder, DecimalsNeverPassThroughDouble) {
  const SourcePlan plan = source("d DECIMAL(38,20)");
  EXPECT_EQ(decoded(plan, R"({"d": 123456789012345678.01234567890123456789})"),
            "d=123456789012345678.01234567890123456789");
}

TEST(Decoder, FollowsPaths) {
  const SourcePlan plan = source(
      "name VARCHAR PATH '$.donor.name', city VARCHAR PATH '$.donor.address.city', "
      "first DECIMAL(8,2) PATH '$.items[0].price', second BIGINT PATH '$.items[1].n', "
      "odd BIGINT PATH '$.\"a.b\"', donor JSON PATH '$.donor', whole JSON PATH '$'");
  const std::string document = R"({"items": [{"price": 1.5}, {"n": 2}, 7], "a.b": 3, )"
                               R"("donor": {"name": "M", "address": {"city": "P"}}})";
  EXPECT_EQ(decoded(plan, document),
            "name=M city=P first=1.50 second=2 odd=3 "
            R"(donor={"name": "M", "address": {"city": "P"}} whole=)" +
                document);
  EXPECT_EQ(decoded(plan, R"({"donor": null, "items": []})"),
            R"(name=NULL city=NULL first=NULL second=NULL odd=NULL donor=NULL )"
            R"(whole={"donor": null, "items": []})");
  EXPECT_EQ(decoded(plan, R"({"donor": "x", "items": {"0": 1}})"),
            R"(name!wrong_type city!wrong_type first!wrong_type second!wrong_type odd=NULL )"
            R"(donor="x" whole={"donor": "x", "items": {"0": 1}})");
  EXPECT_EQ(decoded(plan, R"({"donor": {"address": 5}, "items": [1]})"),
            R"(name=NULL city!wrong_type first!wrong_type second=NULL odd=NULL )"
            R"(donor={"address": 5} whole={"donor": {"address": 5}, "items": [1]})");
}

TEST(Decoder, RecordsThatAreNoJsonFailAsAWhole) {
  const SourcePlan plan = source("a BIGINT");
  EXPECT_EQ(decoded(plan, ""), "not_json");
  EXPECT_EQ(decoded(plan, R"({"a": 1)"), "not_json");
  EXPECT_EQ(decoded(plan, R"({"a": 1} x)"), "not_json");
  EXPECT_EQ(decoded(plan, R"({"a": 1, "unread": NaN})"), "not_json");
  EXPECT_EQ(decoded(plan, R"({"a": 1, "unread": {"x": [1,]}})"), "not_json");
  EXPECT_EQ(decoded(plan, "{\"a\": 1, \"unread\": \"\xff\"}"), "not_utf8");
  EXPECT_EQ(decoded(plan, "[1]"), "not_object");
  EXPECT_EQ(decoded(plan, "null"), "not_object");
  EXPECT_EQ(decoded(plan, "[1"), "not_json");
  EXPECT_EQ(decoded(plan, R"({"unread": )" + std::string(1'000'000, '[')), "too_deep");
  EXPECT_EQ(decoded(plan, R"({"a": 1, "unread": ")" + std::string(10'000'000, 'x') + "\"}"), "a=1");
}

TEST(Decoder, DuplicateKeysAreErrorsOfTheirColumns) {
  const SourcePlan plan =
      source("a BIGINT, b BIGINT PATH '$.o.b', c BIGINT PATH '$.o.c', d BIGINT");
  EXPECT_EQ(decoded(plan, R"({"a": 1, "d": 2, "a": 1})"), "a!duplicate_key b=NULL c=NULL d=2");
  EXPECT_EQ(decoded(plan, R"({"a": 1, "\u0061": 2})"), "a!duplicate_key b=NULL c=NULL d=NULL");
  EXPECT_EQ(decoded(plan, R"({"o": {"b": 1}, "o": {"c": 2}, "d": 3})"),
            "a=NULL b!duplicate_key c!duplicate_key d=3");
  EXPECT_EQ(decoded(plan, R"({"o": {"b": 1, "b": 2, "c": 3}})"),
            "a=NULL b!duplicate_key c=3 d=NULL");
  EXPECT_EQ(decoded(plan, R"({"x": 1, "x": 2, "a": 3})"), "a=3 b=NULL c=NULL d=NULL");
}

TEST(Decoder, NotNullColumnsHaveToBeThere) {
  const SourcePlan plan = source("a BIGINT NOT NULL, b BIGINT");
  EXPECT_EQ(decoded(plan, R"({"b": 1})"), "a!missing b=1");
  EXPECT_EQ(decoded(plan, R"({"a": null})"), "a!missing b=NULL");
  EXPECT_EQ(decoded(plan, R"({"a": "x"})"), "a!invalid_text b=NULL");
}

TEST(Decoder, OnErrorNullMakesBadValuesNullAndCountsThem) {
  const SourcePlan plan = source("a BIGINT NOT NULL, b BIGINT, c BIGINT", "ON ERROR NULL");
  Decoder decoder({{&plan, all_slots(plan), 0}});
  EXPECT_EQ(decoded(decoder, plan, R"({"a": 1, "b": "x", "c": 2})"), "a=1 b=NULL c=2");
  EXPECT_EQ(decoder.nulled(), 1u);
  EXPECT_EQ(decoded(decoder, plan, R"({"a": 1, "b": 1, "b": 2, "c": []})"), "a=1 b=NULL c=NULL");
  EXPECT_EQ(decoder.nulled(), 3u);
  EXPECT_EQ(decoded(decoder, plan, R"({"a": "x"})"), "a!invalid_text b=NULL c=NULL");
  EXPECT_EQ(decoded(decoder, plan, "x"), "not_json");
  EXPECT_EQ(decoder.nulled(), 3u);
}

/// The same record gives a view the same values and errors whatever other views read.
TEST(Decoder, WhatIsReadBesidesChangesNothing) {
  const SourcePlan plan = source(
      "a BIGINT, b DECIMAL(6,2) PATH '$.o.b', c VARCHAR PATH '$.o.c', d JSON PATH '$.o', "
      "e TIMESTAMPTZ NOT NULL, f BIGINT PATH '$.l[1]'");
  Decoder whole({{&plan, all_slots(plan), 0}});
  std::vector<std::unique_ptr<Decoder>> single;
  for (const Slot slot : all_slots(plan)) {
    single.push_back(std::make_unique<Decoder>(std::vector<DecoderNeed>{{&plan, {slot}, 0}}));
  }
  const std::vector<std::string> values{"1",
                                        "\"x\"",
                                        "1.5",
                                        "null",
                                        "[1, 2]",
                                        "{\"b\": 1.25}",
                                        "{\"c\": \"y\", \"b\": 7}",
                                        "\"2026-01-01T00:00:00Z\"",
                                        "tru",
                                        "{\"b\":1,\"b\":2}",
                                        "\"\\ud800\"",
                                        "[0,\"5\"]"};
  const std::vector<std::string> keys{"a", "o", "e", "l", "x", "a"};
  std::mt19937_64 random(29);
  std::size_t failures = 0;
  for (int i = 0; i < 5000; ++i) {
    std::string document = "{";
    for (auto left = random() % 6; left != 0; --left) {
      document += "\"" + keys[random() % keys.size()] + "\":" + values[random() % values.size()];
      if (left != 1) document += ",";
    }
    document += "}";
    const RowError why = whole.decode(document);
    failures += why == RowError::kNone ? whole.errors().size() : 1;
    for (const Slot slot : all_slots(plan)) {
      Decoder& alone = *single[slot];
      ASSERT_EQ(alone.decode(document), why) << document;
      if (why != RowError::kNone) continue;
      ASSERT_TRUE(alone.row(0)[slot] == whole.row(0)[slot]) << document;
      RowError expected = RowError::kNone;
      for (const ColumnError& error : whole.errors()) {
        if (error.slot == slot) expected = error.error;
      }
      ASSERT_EQ(alone.errors().empty() ? RowError::kNone : alone.errors()[0].error, expected)
          << document;
    }
  }
  EXPECT_GT(failures, 1000u);
}

TEST(Decoder, OneWalkServesSeveralSources) {
  const SourcePlan one = source("a BIGINT, b VARCHAR");
  const SourcePlan two = source("text VARCHAR PATH '$.b', bad BIGINT PATH '$.b'");
  Decoder decoder({{&one, {0}, 20}, {&two, {0, 1}, 0}});
  const std::string document = R"({"a": 5, "b": "x"})";
  ASSERT_EQ(decoder.decode(document), RowError::kNone);
  EXPECT_EQ(decoder.row(0).size(), 20u);
  EXPECT_EQ(decoder.row(1).size(), two.row_slots());
  EXPECT_EQ(to_string(decoder.row(0)[0]), "5");
  EXPECT_TRUE(decoder.row(0)[1].is_null()) << "it was not asked for";
  EXPECT_EQ(to_string(decoder.row(1)[0]), "x");
  ASSERT_EQ(decoder.errors().size(), 1u);
  EXPECT_EQ(decoder.errors()[0].source, 1);
  EXPECT_EQ(decoder.errors()[0].slot, 1);
}

TEST(Decoder, SlotsOfOthersAreLeftAlone) {
  const SourcePlan plan = source("a BIGINT");
  Decoder decoder({{&plan, {0, plan.window_start_slot()}, 0}});
  decoder.row(0)[plan.window_start_slot()] = Value::timestamp(5);
  ASSERT_EQ(decoder.decode(R"({"a": 1})"), RowError::kNone);
  EXPECT_EQ(decoder.row(0)[plan.window_start_slot()].as_timestamp(), 5);
}

}  // namespace
}  // namespace runnel::storage::views
