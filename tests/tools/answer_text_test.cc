#include "tools/text/answer_text.h"

#include <gtest/gtest.h>

namespace runnel::tools {
namespace {

const TextAnswer kTotals{{{"campaign", "VARCHAR"}, {"total", "DECIMAL(38,2)"}},
                         {{"sea", "12.30"}, {std::nullopt, "1000.00"}, {"", std::nullopt}}};

TEST(AnswerText, ATableAlignsNumbersToTheRight) {
  EXPECT_EQ(table_of(kTotals, 0),
            "campaign    total\n"
            "--------  -------\n"
            "sea         12.30\n"
            "NULL      1000.00\n"
            "             NULL\n"
            "(3 rows)\n");
}

TEST(AnswerText, OneRowIsCountedAsOne) {
  EXPECT_EQ(table_of({{{"n", "BIGINT"}}, {{"1"}}}, 0), "n\n-\n1\n(1 row)\n");
  EXPECT_EQ(table_of({{{"n", "BIGINT"}}, {}}, 0), "n\n-\n(0 rows)\n");
  EXPECT_EQ(table_of({}, 80), "");
}

TEST(AnswerText, TextIsCutToFitTheTerminalAndNumbersAreNot) {
  const TextAnswer answer{{{"name", "VARCHAR"}, {"n", "BIGINT"}},
                          {{"abcdefghijklmnopqrst", "1234567890123456789"}}};
  EXPECT_EQ(table_of(answer, 32),
            "name                           n\n"
            "-----------  -------------------\n"
            "abcdefghij…  1234567890123456789\n"
            "(1 row)\n");
  EXPECT_EQ(table_of(answer, 20),
            "-- row 1\n"
            "name  abcdefghijklm…\n"
            "n     1234567890123…\n"
            "(1 row)\n");
}

TEST(AnswerText, WidthsAreThoseOfTheTerminal) {
  EXPECT_EQ(display_width("abc"), 3u);
  EXPECT_EQ(display_width("Zoë"), 3u);
  EXPECT_EQ(display_width("Zoe\xcc\x88"), 3u);  // the dots by themselves
  EXPECT_EQ(display_width("日本"), 4u);
  EXPECT_EQ(display_width("\xff\xfe"), 2u);
  EXPECT_EQ(table_of({{{"n", "VARCHAR"}, {"m", "VARCHAR"}}, {{"日本", "x"}, {"a", "y"}}}, 0),
            "n     m\n----  -\n日本  x\na     y\n(2 rows)\n");
}

TEST(AnswerText, NothingOfATextReachesTheTerminalAsACommand) {
  EXPECT_EQ(printable("a\nb\tc\x1b[2J\x7f\xc2\x9b"), "a\\nb\\tc\\x1b[2J\\x7f\\x9b");
  EXPECT_EQ(printable("é"), "é");
}

TEST(AnswerText, JsonKeepsNumbersAndJsonAsTheyAre) {
  const TextAnswer answer{
      {{"d", "DECIMAL(38,2)"},
       {"f", "DOUBLE"},
       {"b", "BOOLEAN"},
       {"j", "JSON"},
       {"t", "VARCHAR"},
       {"at", "TIMESTAMPTZ"}},
      {{"1234567890123456789012345.60", "NaN", "true", "{\"a\":\n1}", "5", "2026-01-31T10:00:00Z"},
       {std::nullopt, "1e+300", "false", "[]", "a\"b", std::nullopt}}};
  EXPECT_EQ(json_of(answer, AnswerFormat::kJsonLines),
            "{\"d\":1234567890123456789012345.60,\"f\":\"NaN\",\"b\":true,\"j\":{\"a\": 1},"
            "\"t\":\"5\",\"at\":\"2026-01-31T10:00:00Z\"}\n"
            "{\"d\":null,\"f\":1e+300,\"b\":false,\"j\":[],\"t\":\"a\\\"b\",\"at\":null}\n");
  EXPECT_EQ(json_of({{{"n", "BIGINT"}}, {{"1"}, {"-2"}}}, AnswerFormat::kJson),
            "[{\"n\":1},\n{\"n\":-2}]\n");
  EXPECT_EQ(json_of({{{"n", "DOUBLE"}}, {{"-Infinity"}}}, AnswerFormat::kJson),
            "[{\"n\":\"-Infinity\"}]\n");
  EXPECT_EQ(json_of({{{"n", "BIGINT"}}, {}}, AnswerFormat::kJson), "[]\n");
}

TEST(AnswerText, CsvTellsNullFromAnEmptyText) {
  EXPECT_EQ(csv_of({{{"a", "VARCHAR"}, {"b,c", "VARCHAR"}},
                    {{"", std::nullopt}, {"say \"hi\"", "two\nlines"}, {"plain", "x,y"}}}),
            "a,\"b,c\"\n\"\",\n\"say \"\"hi\"\"\",\"two\nlines\"\nplain,\"x,y\"\n");
}

TEST(AnswerText, FormatsHaveNames) {
  EXPECT_EQ(answer_format_named("ndjson"), AnswerFormat::kJsonLines);
  EXPECT_EQ(answer_format_named("jsonl"), AnswerFormat::kJsonLines);
  EXPECT_EQ(answer_format_named("yaml"), std::nullopt);
}

}  // namespace
}  // namespace runnel::tools
