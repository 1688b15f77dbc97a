#include "protocol/filter/record_filter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "protocol/filter/decimal.h"

namespace runnel::protocol {
namespace {

using std::string_literals::operator""s;
using testing::HasSubstr;

bool holds(const std::vector<std::string>& conditions, const Record& record) {
  const auto where = RecordFilter::parse(conditions);
  EXPECT_TRUE(where) << where.error().message();
  return where && where->judge(record) == RecordFilter::Verdict::kHolds;
}

Record record(std::optional<std::string_view> key, std::optional<std::string_view> value) {
  Record out;
  out.key = key;
  out.value = value;
  return out;
}

std::string error_of(const std::string& condition) {
  const auto where = RecordFilter::parse({condition});
  return where ? "no error" : where.error().message();
}

TEST(RecordFilter, NothingAskedHoldsAlways) {
  EXPECT_TRUE(holds({}, record(std::nullopt, std::nullopt)));
}

TEST(RecordFilter, Keys) {
  EXPECT_TRUE(holds({"key=a=b"}, record("a=b", "")));
  EXPECT_FALSE(holds({"key=a"}, record("b", "")));
  EXPECT_FALSE(holds({"key="}, record(std::nullopt, "")));
  EXPECT_TRUE(holds({"key!=a"}, record(std::nullopt, "")));
  EXPECT_TRUE(holds({"key~^a.c$"}, record("abc", "")));
  EXPECT_FALSE(holds({"key~x"}, record(std::nullopt, "")));
  EXPECT_FALSE(holds({"key~a", "key~z"}, record("abc", "")));
}

TEST(RecordFilter, ValuesAsTheyStand) {
  EXPECT_TRUE(holds({"value~(?i)BROWN fox"}, record("k", "the quick brown fox")));
  EXPECT_TRUE(holds({"value=\xff\x01"}, record("k", "\xff\x01")));
  EXPECT_FALSE(holds({"value~fox"}, record("fox", "dog")));
  EXPECT_FALSE(holds({"value~."}, record("k", std::nullopt)));
  EXPECT_TRUE(holds({"value>=12.5"}, record("k", "12.50")));
  // No JSON is needed, but a path beside it asks for some.
  EXPECT_TRUE(holds({"value~a", ".n=1"}, record("k", R"({"n":1,"a":2})")));
  EXPECT_FALSE(holds({"value~a", ".n=1"}, record("k", "a")));
}

TEST(RecordFilter, Headers) {
  Record with = record("k", "v");
  const std::vector<RecordHeader> headers = {{"h", "1"}, {"h", "2"}, {"n", std::nullopt}};
  with.headers = headers;
  EXPECT_TRUE(holds({"header.h=2"}, with));
  EXPECT_FALSE(holds({"header.h=3"}, with));
  EXPECT_FALSE(holds({"header.n="}, with));
  EXPECT_TRUE(holds({"header.other!=1"}, with));
  EXPECT_TRUE(holds({"header.h>1"}, with));
}

TEST(RecordFilter, JsonPathsCompareNumbersExactly) {
  const auto with =
      record("k", R"({"amount":12.340,"id":"007","deep":{"n":[1,20000000000000000003]}})");
  EXPECT_TRUE(holds({".amount=12.34"}, with));
  EXPECT_TRUE(holds({".amount>=12.34"}, with));
  EXPECT_FALSE(holds({".amount>12.34"}, with));
  EXPECT_TRUE(holds({".amount<12.3400000000000000001"}, with));
  EXPECT_TRUE(holds({".deep.n[1]>20000000000000000002"}, with));
  EXPECT_TRUE(holds({".id=007"}, with));
  EXPECT_FALSE(holds({".id=7"}, with));  // a name, not a number
  EXPECT_TRUE(holds({".id<8"}, with));
  EXPECT_TRUE(holds({".amount!=12.35"}, with));
  EXPECT_FALSE(holds({".amount!=12.34"}, with));
  EXPECT_FALSE(holds({".none<1"}, with));
  EXPECT_TRUE(holds({".none!=1"}, with));
  EXPECT_FALSE(holds({".amount>1"}, record("k", "no JSON")));
  EXPECT_FALSE(holds({".amount!=1"}, record("k", "no JSON")));
  EXPECT_EQ(RecordFilter::parse({".a=1"})->judge(record("k", "no JSON")),
            RecordFilter::Verdict::kUnreadable);
}

TEST(RecordFilter, NumbersHaveOneOrder) {
  const std::vector<std::vector<std::string>> ascending = {
      {"-1e3", "-1000", "-1000.0"}, {"-2"},   {"-0.5"},        {"0", "-0", "0e9", "0.00"},
      {"1e-7", "0.0000001"},        {"0.09"}, {"0.1", "1e-1"}, {"9"},
      {"10", "1E+1", "010"},        {"1e20"}};
  for (std::size_t i = 0; i < ascending.size(); ++i) {
    for (std::size_t j = 0; j < ascending.size(); ++j) {
      for (const std::string& a : ascending[i]) {
        for (const std::string& b : ascending[j]) {
          const auto order = compare_numbers(a, b);
          ASSERT_TRUE(order) << a << " " << b;
          EXPECT_EQ(*order < 0, i < j) << a << " " << b;
          EXPECT_EQ(*order == 0, i == j) << a << " " << b;
        }
      }
    }
  }
  for (const char* const bad : {"", "-", ".", "1e", "1x", "1.2.3", "e5", "1e9999999"}) {
    EXPECT_FALSE(compare_numbers(bad, "1")) << bad;
  }
}

TEST(RecordFilter, WhatIsNoConditionIsNamedWithItsPlace) {
  EXPECT_THAT(error_of("key"), HasSubstr("condition 1: at character 4: 'key' is no condition"));
  EXPECT_THAT(error_of("values=1"), HasSubstr("at character 1: 'values=1' is no condition"));
  EXPECT_THAT(error_of("key!a"), HasSubstr("at character 4: 'key!a' is no condition"));
  EXPECT_THAT(error_of("key~("), HasSubstr("at character 5"));
  EXPECT_THAT(error_of("key~("), HasSubstr("missing )"));
  EXPECT_THAT(error_of(".a>=x"), HasSubstr("at character 5: 'x' is no number"));
  EXPECT_THAT(error_of(".[=1"), HasSubstr("no JSON path"));
  const auto second = RecordFilter::parse({"key=1", "key<x"});
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().message(), HasSubstr("condition 2: at character 5"));
}

TEST(RecordFilter, ItsSizeIsBounded) {
  EXPECT_TRUE(RecordFilter::parse(std::vector<std::string>(kMaxFilterConditions, "key=a")));
  EXPECT_FALSE(RecordFilter::parse(std::vector<std::string>(kMaxFilterConditions + 1, "key=a")));
  EXPECT_TRUE(RecordFilter::parse({"key=" + std::string(kMaxFilterBytes - 4, 'a')}));
  EXPECT_FALSE(RecordFilter::parse({"key=" + std::string(kMaxFilterBytes - 3, 'a')}));
  // Short to write, large to compile.
  EXPECT_THAT(error_of("key~((((a{1,99}){1,99}){1,99})"), HasSubstr("is no regular expression"));
}

TEST(RecordFilter, WhatMatchingCostsIsBounded) {
  // Small in memory, and thousands of steps for each byte of a text.
  EXPECT_THAT(error_of("key~(a?){900}x"), HasSubstr("too large"));
  const std::vector<std::string> many(8, "key~(a?){40}x");
  EXPECT_THAT(RecordFilter::parse(many).error().message(), HasSubstr("too large"));
  EXPECT_TRUE(RecordFilter::parse({"key~^[a-z0-9._%+-]+@[a-z0-9.-]+\\.[a-z]{2,}$"}));
  const auto filter = RecordFilter::parse({"key~x"});
  const std::string longest(kMaxMatchedBytes, 'x');
  EXPECT_EQ(filter->judge(record(longest, "")), RecordFilter::Verdict::kHolds);
  EXPECT_EQ(filter->judge(record(longest + "x", "")), RecordFilter::Verdict::kUnreadable);
}

TEST(RecordFilter, HostileValuesAreJudgedToo) {
  const auto filter = RecordFilter::parse({".a.b=1", ".c!=x", "."s + "=1"});
  ASSERT_TRUE(filter);
  const auto verdict = [&](const std::string& value) { return filter->judge(record("k", value)); };
  const auto unreadable = RecordFilter::Verdict::kUnreadable;
  EXPECT_EQ(verdict(std::string(1u << 20, '[')), unreadable);
  EXPECT_EQ(verdict(std::string(100, '[') + std::string(100, ']')), unreadable);
  EXPECT_EQ(verdict("{\"a\":\"\xff\"}"), unreadable);
  EXPECT_EQ(verdict("{\"a\":{\"b\":1}} x"), unreadable);
  EXPECT_EQ(verdict(""), unreadable);
  // Ten megabytes of it, and names and values that are longer than anything.
  std::string large = "[0";
  while (large.size() < 10u << 20) large += ",0";
  EXPECT_EQ(verdict(large + "]"), RecordFilter::Verdict::kFails);
  const std::string text(10u << 20, 'x');
  EXPECT_EQ(verdict("{\"" + text + "\":\"" + text + "\"}"), RecordFilter::Verdict::kFails);
}

}  // namespace
}  // namespace runnel::protocol
