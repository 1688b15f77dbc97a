// Records of JSON to rows: pseudo-columns, errors where they are read, views that share.
#include "storage/views/worker/view_rows.h"

#include <gtest/gtest.h>

#include "storage/views/plan/bind.h"
#include "storage/views/sql/parser.h"

namespace runnel::storage::views {
namespace {

SourcePlan source_of(const std::string& columns, const std::string& tail = "") {
  const auto statement =
      sql::parse_statement("CREATE SOURCE s (" + columns + ") ON TOPIC 't' FORMAT JSON " + tail);
  EXPECT_TRUE(statement) << statement.error().message();
  auto plan = bind_source(std::get<sql::CreateSource>(*statement));
  EXPECT_TRUE(plan) << plan.error().message();
  return *plan;
}

RowNeed need(const SourcePlan& source, std::vector<Slot> slots) {
  return {&source, std::move(slots), source.row_slots()};
}

protocol::Record record(std::optional<std::string_view> value, std::int64_t millis = 1000) {
  protocol::Record made;
  made.offset = Offset(7);
  made.timestamp = Timestamp(millis);
  made.value = value;
  return made;
}

TEST(JsonRows, PseudoColumns) {
  const SourcePlan source = source_of("a BIGINT, at TIMESTAMPTZ");
  std::vector<Slot> all;
  for (const PseudoColumnRow& row : pseudo_columns()) all.push_back(source.slot_of(row.column));
  JsonRows rows({need(source, all)});
  protocol::Record made = record(R"({"a":1})");
  made.key = "k";
  const std::vector<protocol::RecordHeader> headers{{"n", "first"},         {"q\"", "\x01"},
                                                    {"none", std::nullopt}, {"\xff", "x"},
                                                    {"n", "last"},          {"bad", "\xff"}};
  made.headers = headers;
  rows.begin(PartitionIndex(3), made);
  const FoldRow row = rows.row(0);
  EXPECT_EQ(row.error, RowError::kNone);
  EXPECT_EQ(row.offset, 7);
  EXPECT_EQ(row.event_time, 1'000'000);
  const auto value = [&](PseudoColumn column) {
    return to_string(row.values[source.slot_of(column)]);
  };
  EXPECT_EQ(value(PseudoColumn::kKey), "k");
  EXPECT_EQ(value(PseudoColumn::kPartition), "3");
  EXPECT_EQ(value(PseudoColumn::kOffset), "7");
  EXPECT_EQ(value(PseudoColumn::kEventTime), "1970-01-01T00:00:01Z");
  EXPECT_EQ(value(PseudoColumn::kIngestTime), "1970-01-01T00:00:01Z");
  EXPECT_EQ(value(PseudoColumn::kHeaders), R"({"q\"":"\u0001","none":null,"n":"last","bad":null})");

  made.key = "\xff";
  rows.begin(PartitionIndex(0), made);
  EXPECT_EQ(value(PseudoColumn::kKey), "NULL");
}

TEST(JsonRows, EventTimeIsTheWatermarkColumnOrTheTimestamp) {
  const SourcePlan marked =
      source_of("at TIMESTAMPTZ, WATERMARK FOR at AS at - INTERVAL '5 minutes'");
  const SourcePlan plain = source_of("at TIMESTAMPTZ");
  JsonRows rows({need(marked, {0, marked.slot_of(PseudoColumn::kEventTime)}), need(plain, {0})});
  const auto times = [&](std::string_view value, std::int64_t millis) {
    rows.begin(PartitionIndex(0), record(value, millis));
    return std::pair(rows.row(0).event_time, rows.row(1).event_time);
  };
  EXPECT_EQ(times(R"({"at":5})", 1), std::pair(std::int64_t{5000}, std::int64_t{1000}));
  EXPECT_EQ(times("{}", -1), std::pair(kNoTime, kNoTime));
  EXPECT_EQ(times("{}", std::numeric_limits<std::int64_t>::max()), std::pair(kNoTime, kNoTime));
}

TEST(JsonRows, AnErrorConcernsWhoReadsTheColumn) {
  const SourcePlan source = source_of("a BIGINT, b BIGINT, c BIGINT NOT NULL");
  const SourcePlan lenient = source_of("a BIGINT, c BIGINT NOT NULL", "ON ERROR NULL");
  JsonRows rows({need(source, {0}), need(source, {1}), need(source, {0, 2}), need(lenient, {0}),
                 need(lenient, {0, 1})});
  rows.begin(PartitionIndex(0), record(R"({"b":1,"a":"x"})"));
  EXPECT_EQ(rows.row(0).error, RowError::kInvalidText);
  EXPECT_EQ(rows.row(0).path, "$.a");
  EXPECT_EQ(rows.row(0).raw, R"({"b":1,"a":"x"})");
  EXPECT_EQ(rows.row(1).error, RowError::kNone);
  EXPECT_EQ(to_string(rows.row(1).values[1]), "1");
  EXPECT_EQ(rows.row(2).error, RowError::kInvalidText) << "the first as declared";
  EXPECT_EQ(rows.row(3).error, RowError::kNone);
  EXPECT_TRUE(rows.row(3).values[0].is_null());
  EXPECT_EQ(rows.row(4).error, RowError::kMissing) << "NOT NULL holds all the same";
  EXPECT_EQ(rows.row(4).path, "$.c");
}

TEST(JsonRows, WhatIsNoDocument) {
  const SourcePlan source = source_of("a BIGINT");
  JsonRows rows({need(source, {0})});
  const auto error = [&](std::optional<std::string_view> value) {
    rows.begin(PartitionIndex(0), record(value));
    return rows.row(0).error;
  };
  EXPECT_EQ(error(std::nullopt), RowError::kNoValue);
  EXPECT_EQ(error(""), RowError::kNotJson);
  EXPECT_EQ(error("[1]"), RowError::kNotObject);
  EXPECT_EQ(error("{}"), RowError::kNone);
}

}  // namespace
}  // namespace runnel::storage::views
