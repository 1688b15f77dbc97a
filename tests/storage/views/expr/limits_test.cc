// Expressions of a few hundred bytes that would take hours or gigabytes.
#include <gtest/gtest.h>

#include "tests/storage/views/expr/row.h"

namespace runnel::storage::views {
namespace {

/// `begin` and `end` around `inner`, so many times.
std::string nested(const std::string& begin, std::string inner, const std::string& end) {
  constexpr int kLevels = 60;  // twice the work with each: never done
  for (int i = 0; i < kLevels; ++i) inner = begin + inner + end;
  return inner;
}

TEST(ExpressionLimits, NestingDoesNotMultiply) {
  EXPECT_EQ(test_outcome(nested("(", "yes", " BETWEEN no AND yes)")), "true BOOLEAN");
  EXPECT_EQ(test_outcome(nested("(", "yes", " NOT BETWEEN no AND yes)")), "false BOOLEAN");
  EXPECT_EQ(test_outcome(nested("(CASE ", "seven", " WHEN 1 THEN 1 WHEN 7 THEN 7 END)")),
            "7 BIGINT");
  EXPECT_EQ(test_outcome(nested("NULLIF(", "seven", ", 1.5)")), "7 BIGINT");
}

TEST(ExpressionLimits, ACompilerEndsSomewhere) {
  std::string list = "seven IN (1";
  for (std::size_t i = 0; i < kMaxExpressions; ++i) list += ",1";
  EXPECT_NE(test_outcome(list + ")").find("error: line 1"), std::string::npos);
}

TEST(ExpressionLimits, LargeConstantsAreNotKept) {
  const auto program = test_program("repeat('a', 60000000)");
  ASSERT_TRUE(program);
  Arena small(1024);
  Value value;
  EXPECT_EQ(program->evaluate(test_row(), small, value), RowError::kTooLarge);
  EXPECT_EQ(test_outcome("length(repeat('a', 60000000))"), "60000000 BIGINT");
  EXPECT_EQ(test_outcome("repeat('a', 1000000000)"), "row error: too_large");
}

TEST(ExpressionLimits, SearchesEnd) {
  const std::string text = "repeat('a', 10000000)";
  const std::string part = "repeat('a', 5000000) || 'b'";
  EXPECT_EQ(test_outcome("strpos(" + text + ", " + part + ")"), "0 BIGINT");
  EXPECT_EQ(test_outcome("contains(" + text + ", " + part + ")"), "false BOOLEAN");
  EXPECT_EQ(test_outcome("length(replace(" + text + ", " + part + ", 'c'))"), "10000000 BIGINT");
  EXPECT_EQ(test_outcome("length(split_part(" + text + ", " + part + ", 1))"), "10000000 BIGINT");
  const std::string too_large = "row error: too_large";
  EXPECT_EQ(test_outcome("split_part(" + text + ", " + part + ", -1)"), too_large);
  EXPECT_EQ(test_outcome(text + " LIKE '%' || " + part), too_large);
  EXPECT_EQ(test_outcome("btrim(" + text + ", repeat('b', 100000) || 'a')"), too_large);
  EXPECT_EQ(test_outcome("repeat('a', 16000) LIKE '%' || repeat('a', 8000) || 'b'"),
            "false BOOLEAN")
      << "a record's text may be searched so";
}

}  // namespace
}  // namespace runnel::storage::views
