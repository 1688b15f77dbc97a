#include "tools/text/record_format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace runnel::tools {
namespace {

using testing::HasSubstr;

ShownRecord sample() {
  ShownRecord record;
  record.topic = "orders";
  record.partition = 2;
  record.offset = 41;
  record.timestamp = 1'795'237'200'007;
  record.key = "k1";
  record.value = "v\x01\xff";
  record.headers = {{"a", "1"}, {"b", std::nullopt}};
  return record;
}

std::string print(std::string_view format, const ShownRecord& record = sample()) {
  const auto parsed = RecordFormat::parse(format);
  if (!parsed) return "error: " + parsed.error().message();
  std::string out;
  parsed->print(record, out);
  return out;
}

TEST(RecordFormat, PrintsWhatKcatAndRpkPrint) {
  EXPECT_EQ(print("%t[%p] %o %k %K %S %T\\n"), "orders[2] 41 k1 2 3 1795237200007\n");
  EXPECT_EQ(print("%v{hex} %s{base64} %k{json}"), "7601ff dgH/ \"k1\"");
  EXPECT_EQ(print("%d{strftime[%F %T]}|%d"), "2026-11-21 05:00:00|1795237200007");
  EXPECT_EQ(print("%h %H 100%% \\x41\\\\"), "a=1,b= 2 100% A\\");
}

TEST(RecordFormat, NullIsEmptyWithALengthOfMinusOne) {
  ShownRecord record = sample();
  record.key = std::nullopt;
  record.value = std::nullopt;
  EXPECT_EQ(print("[%k][%K][%v][%V]", record), "[][-1][][-1]");
}

TEST(RecordFormat, EveryPaddingOfBase64) {
  ShownRecord record = sample();
  const auto base64 = [&](std::string_view value) {
    record.value = value;
    return print("%v{base64}", record);
  };
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("f"), "Zg==");
  EXPECT_EQ(base64("fo"), "Zm8=");
  EXPECT_EQ(base64("foo"), "Zm9v");
}

TEST(RecordFormat, MistakesAreNamed) {
  EXPECT_THAT(print("%z"), HasSubstr("unknown %z"));
  EXPECT_THAT(print("%"), HasSubstr("lone %"));
  EXPECT_THAT(print("%v{hexx}"), HasSubstr("unknown {hexx}"));
  EXPECT_THAT(print("%o{hex}"), HasSubstr("takes no {hex}"));
  EXPECT_THAT(print("%v{hex"), HasSubstr("not closed"));
  EXPECT_THAT(print("\\q"), HasSubstr("unknown escape"));
  EXPECT_THAT(print("\\x4"), HasSubstr("two hexadecimal digits"));
}

std::string write(OutputKind kind, int count) {
  RecordWriter writer(kind, RecordFormat::parse("%o\n").value());
  std::string out;
  for (int i = 0; i < count; ++i) writer.add(sample(), out);
  writer.finish(out);
  return out;
}

TEST(RecordWriter, JsonIsAnArrayAndJsonLinesAreNot) {
  const std::string object =
      R"({"topic":"orders","partition":2,"offset":41,"timestamp":1795237200007,"key":"k1",)"
      R"("value":{"base64":"dgH/"},"headers":[{"key":"a","value":"1"},{"key":"b","value":null}]})";
  EXPECT_EQ(write(OutputKind::kJson, 0), "[]\n");
  EXPECT_EQ(write(OutputKind::kJson, 2), "[\n" + object + ",\n" + object + "\n]\n");
  EXPECT_EQ(write(OutputKind::kJsonLines, 1), object + "\n");
}

TEST(RecordWriter, CsvQuotesWhatNeedsIt) {
  std::string out;
  append_csv_field("plain", out);
  append_csv_field("a,b", out);
  append_csv_field("say \"hi\"", out);
  EXPECT_EQ(out, "plain\"a,b\"\"say \"\"hi\"\"\"");
  EXPECT_THAT(write(OutputKind::kCsv, 1), testing::StartsWith("topic,partition,offset"));
}

TEST(RecordWriter, ATableKeepsOneRecordOnOneLine) {
  const std::string out = write(OutputKind::kTable, 1);
  EXPECT_EQ(std::count(out.begin(), out.end(), '\n'), 2);
  EXPECT_THAT(out, HasSubstr("v\\u0001\\ufffd"));
}

}  // namespace
}  // namespace runnel::tools
