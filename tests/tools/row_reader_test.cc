#include "tools/text/row_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "protocol/text/csv.h"
#include "tools/text/json.h"

namespace runnel::tools {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<InputRow> read(const std::string& text, const RowOptions& options) {
  std::istringstream in(text);
  auto reader = open_rows(in, options);
  EXPECT_TRUE(reader.has_value()) << reader.error().message();
  std::vector<InputRow> rows;
  while (auto row = (*reader)->next()) rows.push_back(std::move(*row));
  return rows;
}

std::string open_error(const std::string& text, const RowOptions& options) {
  std::istringstream in(text);
  const auto reader = open_rows(in, options);
  return reader ? "no error" : reader.error().message();
}

TEST(Csv, FieldsQuotesAndLineBreaks) {
  std::istringstream in("a,b\r\n\"x,1\",\"say \"\"hi\"\"\"\n\n\"two\nlines\",\n");
  protocol::CsvReader reader(in);
  EXPECT_THAT(reader.next()->fields, ElementsAre("a", "b"));
  EXPECT_THAT(reader.next()->fields, ElementsAre("x,1", "say \"hi\""));
  const auto last = reader.next();
  EXPECT_EQ(last->line, 4u);
  EXPECT_THAT(last->fields, ElementsAre("two\nlines", ""));
  EXPECT_FALSE(reader.next().has_value());
}

TEST(Csv, BrokenRowsAreSaidAndReadingGoesOn) {
  std::istringstream in("a\"b,c\n\"x\"y,z\nok,1\n\"never closed\n");
  protocol::CsvReader reader(in);
  EXPECT_THAT(reader.next()->error, HasSubstr("quote within a field"));
  EXPECT_THAT(reader.next()->error, HasSubstr("after a closing quote"));
  EXPECT_THAT(reader.next()->fields, ElementsAre("ok", "1"));
  EXPECT_THAT(reader.next()->error, HasSubstr("not closed"));
  EXPECT_FALSE(reader.next().has_value());
}

TEST(Rows, LinesWithAndWithoutAKey) {
  auto rows = read("one\n\ntwo", {});
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0].record.value, "one");
  EXPECT_EQ(rows[1].record.value, "");
  EXPECT_FALSE(rows[0].record.key.has_value());
  RowOptions keyed;
  keyed.key_delimiter = "::";
  rows = read("k::v::w\nnothing\n", keyed);
  EXPECT_EQ(rows[0].record.key, "k");
  EXPECT_EQ(rows[0].record.value, "v::w");
  EXPECT_EQ(rows[1].line, 2u);
  EXPECT_THAT(rows[1].rejected, HasSubstr("no key delimiter"));
}

TEST(Rows, JsonLinesTakeKeyAndTimestampAndKeepTheirBytes) {
  RowOptions options;
  options.kind = InputKind::kJsonLines;
  options.key = ".user.id";
  options.timestamp = ".at";
  const auto rows = read(
      "{\"user\": {\"id\": 7}, \"at\": \"2026-11-21T05:00:00Z\"}\n"
      "not json\n"
      "{\"at\": 5}\n"
      "\n"
      "{\"user\":{\"id\":\"x\"},\"at\":\"soon\"}\n"
      "{\"user\":{\"id\":\"x\"},\"at\":1795237200000} trailing\n",
      options);
  ASSERT_EQ(rows.size(), 5u);
  EXPECT_EQ(rows[0].record.key, "7");
  EXPECT_EQ(rows[0].record.timestamp, 1'795'237'200'000);
  EXPECT_EQ(rows[0].record.value, rows[0].raw);
  EXPECT_THAT(rows[1].rejected, HasSubstr("not JSON"));
  EXPECT_THAT(rows[2].rejected, HasSubstr("no .user.id"));
  EXPECT_EQ(rows[3].line, 5u);
  EXPECT_THAT(rows[3].rejected, HasSubstr(".at: 'soon' is not a time"));
  EXPECT_THAT(rows[4].rejected, HasSubstr("something follows"));
}

TEST(Rows, AValueThatIsNotThereIsNoDeletion) {
  RowOptions options;
  options.kind = InputKind::kJsonLines;
  options.value = ".body";
  const auto rows = read("{\"body\":\"x\"}\n{\"body\":null}\n{\"boddy\":1}\n", options);
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0].record.value, "x");
  EXPECT_TRUE(rows[1].rejected.empty());
  EXPECT_FALSE(rows[1].record.value) << "a null deletes";
  EXPECT_THAT(rows[2].rejected, HasSubstr("no .body"));
}

TEST(Rows, CsvMakesAnObjectOfAllColumnsOrTakesOne) {
  RowOptions options;
  options.kind = InputKind::kCsv;
  options.key = "id";
  auto rows = read("id,name\n7,\"a \"\"b\"\"\"\n8\n", options);
  EXPECT_EQ(rows[0].record.key, "7");
  EXPECT_EQ(rows[0].record.value, "{\"id\":\"7\",\"name\":\"a \\\"b\\\"\"}");
  EXPECT_EQ(rows[1].rejected, "it has 1 fields, the header 2");
  EXPECT_EQ(rows[1].line, 3u);
  options.value = ".name";
  EXPECT_EQ(read("id,name\n7,x\n", options)[0].record.value, "x");
}

TEST(Rows, AByteOrderMarkIsNoPartOfTheFirstColumn) {
  RowOptions options;
  options.kind = InputKind::kCsv;
  EXPECT_EQ(read("\xef\xbb\xbfid,name\n7,x\n", options)[0].record.value,
            "{\"id\":\"7\",\"name\":\"x\"}");
  options.kind = InputKind::kJsonLines;
  EXPECT_EQ(read("\xef\xbb\xbf{\"id\":7}\n", options)[0].record.value, "{\"id\":7}");
}

TEST(Rows, ACsvHeaderHasToTellItsColumnsApart) {
  RowOptions options;
  options.kind = InputKind::kCsv;
  EXPECT_THAT(open_error("a,b,a\n1,2,3\n", options), HasSubstr("the column 'a' twice"));
  options.key = "customer";
  EXPECT_THAT(open_error("k;v\n", options), HasSubstr("its columns are: k;v (separated by"));
}

TEST(Rows, OptionsThatDoNotFitAreRefused) {
  RowOptions options;
  options.key = ".id";
  EXPECT_THAT(open_error("", options), HasSubstr("--in jsonl"));
  options.kind = InputKind::kCsv;
  EXPECT_THAT(open_error("idd,name\n", options), HasSubstr("did you mean 'idd'"));
  EXPECT_THAT(open_error("", options), HasSubstr("no header"));
  options.kind = InputKind::kJsonLines;
  options.key = "id";
  EXPECT_THAT(open_error("", options), HasSubstr("no JSON path"));
}

TEST(Rows, ARejectedRowIsAJsonLine) {
  InputRow row;
  row.line = 3;
  row.raw = "a\"b";
  row.rejected = "why";
  EXPECT_EQ(reject_line(row), "{\"line\":3,\"error\":\"why\",\"row\":\"a\\\"b\"}\n");
  row.raw = "a\"b\xff";
  EXPECT_EQ(reject_line(row), "{\"line\":3,\"error\":\"why\",\"row\":{\"base64\":\"YSJi/w==\"}}\n");
}

TEST(Json, Utf8IsJudgedAsTheStandardDoes) {
  EXPECT_TRUE(is_utf8("gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80"));
  for (const char* bad :
       {"\xc3", "\xc0\xaf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff", "\x80"}) {
    EXPECT_FALSE(is_utf8(bad)) << json_string(bad);
  }
}

}  // namespace
}  // namespace runnel::tools
