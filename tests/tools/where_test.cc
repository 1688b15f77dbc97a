#include "tools/text/where.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace runnel::tools {
namespace {

using testing::HasSubstr;

bool holds(const std::vector<std::string>& conditions, const ShownRecord& record) {
  const auto where = Where::parse(conditions);
  EXPECT_TRUE(where) << where.error().message();
  return where && where->holds(record);
}

ShownRecord record(std::optional<std::string_view> key, std::optional<std::string_view> value) {
  ShownRecord out;
  out.topic = "t";
  out.key = key;
  out.value = value;
  return out;
}

std::string error_of(const std::string& condition) {
  const auto where = Where::parse({condition});
  return where ? "no error" : where.error().message();
}

TEST(Where, NothingAskedHoldsAlways) {
  EXPECT_TRUE(holds({}, record(std::nullopt, std::nullopt)));
}

TEST(Where, Keys) {
  EXPECT_TRUE(holds({"key=a=b"}, record("a=b", "")));
  EXPECT_FALSE(holds({"key=a"}, record("b", "")));
  EXPECT_FALSE(holds({"key="}, record(std::nullopt, "")));
  EXPECT_TRUE(holds({"key!=a"}, record(std::nullopt, "")));
  EXPECT_TRUE(holds({"key~^a.c$"}, record("abc", "")));
  EXPECT_FALSE(holds({"key~x"}, record(std::nullopt, "")));
  EXPECT_FALSE(holds({"key~a", "key~z"}, record("abc", "")));
}

TEST(Where, Headers) {
  ShownRecord with = record("k", "v");
  with.headers = {{"h", "1"}, {"h", "2"}, {"n", std::nullopt}};
  EXPECT_TRUE(holds({"header.h=2"}, with));
  EXPECT_FALSE(holds({"header.h=3"}, with));
  EXPECT_FALSE(holds({"header.n="}, with));
  EXPECT_TRUE(holds({"header.other!=1"}, with));
  EXPECT_TRUE(holds({"header.h>1"}, with));
}

TEST(Where, JsonPathsCompareNumbersExactly) {
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
  EXPECT_EQ(Where::parse({".a=1"})->judge(record("k", "no JSON")), Where::Verdict::kUnreadable);
}

TEST(Where, NumbersHaveOneOrder) {
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

TEST(Where, WhatIsNoConditionIsNamed) {
  EXPECT_THAT(error_of("key"), HasSubstr("'key' is no condition"));
  EXPECT_THAT(error_of("value=1"), HasSubstr("is no condition"));
  EXPECT_THAT(error_of("key!a"), HasSubstr("is no condition"));
  EXPECT_THAT(error_of("key~("), HasSubstr("missing )"));
  EXPECT_THAT(error_of(".a>x"), HasSubstr("'x' is no number"));
  EXPECT_THAT(error_of(".[=1"), HasSubstr("no JSON path"));
}

}  // namespace
}  // namespace runnel::tools
