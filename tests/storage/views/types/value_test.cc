#include "storage/views/types/value.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <limits>

#include "storage/views/types/arena.h"
#include "storage/views/types/row_error.h"

namespace runnel::storage::views {
namespace {

/// In the order that compare() has to give.
std::vector<Value> in_order() {
  return {Value::boolean(false),
          Value::boolean(true),
          Value::bigint(INT64_MIN),
          Value::bigint(-1),
          Value::bigint(0),
          Value::bigint(INT64_MAX),
          Value::number(-std::numeric_limits<double>::infinity()),
          Value::number(-1.5),
          Value::number(0),
          Value::number(1e300),
          Value::number(std::numeric_limits<double>::infinity()),
          Value::number(std::nan("")),
          Value::decimal(-1, 0),
          Value::decimal(-1, 2),
          Value::decimal(0, 5),
          Value::decimal(1, 38),
          Value::decimal(99, 2),
          Value::decimal(1, 0),
          Value::text(""),
          Value::text(std::string_view("\0", 1)),
          Value::text("a"),
          Value::text("ab"),
          Value::text("b"),
          Value::text("\xc3\xa9"),
          Value::timestamp(-1),
          Value::timestamp(0),
          Value::date(-1),
          Value::date(20'000),
          Value::null()};
}

TEST(Value, HasATotalOrder) {
  const std::vector<Value> values = in_order();
  for (std::size_t i = 0; i < values.size(); ++i) {
    for (std::size_t j = 0; j < values.size(); ++j) {
      const int order = compare(values[i], values[j]);
      EXPECT_EQ(order < 0, i < j) << to_string(values[i]) << " and " << to_string(values[j]);
      EXPECT_EQ(order > 0, i > j) << to_string(values[i]) << " and " << to_string(values[j]);
      EXPECT_EQ(hash_of(values[i]) == hash_of(values[j]), i == j);
    }
  }
}

TEST(Value, EqualValuesHaveEqualHashes) {
  const std::pair<Value, Value> pairs[] = {
      {Value::number(0.0), Value::number(-0.0)},
      {Value::number(std::nan("1")), Value::number(-std::nan("2"))},
      {Value::decimal(0, 0), Value::decimal(0, 38)},
      {Value::decimal(-120, 2), Value::decimal(-12, 1)},
      {Value::null(), Value()}};
  for (const auto& [a, b] : pairs) {
    EXPECT_EQ(compare(a, b), 0) << to_string(a);
    EXPECT_EQ(hash_of(a), hash_of(b)) << to_string(a);
  }
  const std::string one = "the same text";
  const std::string two = one;
  EXPECT_EQ(Value::text(one), Value::text(two));
  EXPECT_EQ(hash_of(Value::text(one)), hash_of(Value::text(two)));
}

TEST(Value, KeepsWhatItWasGiven) {
  EXPECT_LE(sizeof(Value), 32u);
  EXPECT_EQ(Value::bigint(INT64_MIN).as_bigint(), INT64_MIN);
  EXPECT_EQ(Value::date(-719'162).as_date(), -719'162);
  EXPECT_EQ(Value::timestamp(-5).as_timestamp(), -5);
  Int128 most = 1;
  for (int i = 0; i < 38; ++i) most *= 10;
  EXPECT_TRUE(Value::decimal(1 - most, 7).as_decimal() == 1 - most);
  EXPECT_EQ(Value::decimal(1 - most, 7).scale(), 7);
  EXPECT_TRUE(Value::boolean(true).is_true());
  EXPECT_FALSE(Value::null().is_true());
  EXPECT_FALSE(Value::bigint(1).is_true());
}

TEST(ValueDeathTest, IsNotReadAsSomethingElse) {
  EXPECT_DEATH(static_cast<void>(Value::bigint(1).as_double()), "tag");
}

TEST(Value, IsShownAsSqlShowsIt) {
  EXPECT_EQ(to_string(Value::null()), "NULL");
  EXPECT_EQ(to_string(Value::decimal(-5, 3)), "-0.005");
  EXPECT_EQ(to_string(Value::decimal(1230, 2)), "12.30");
  EXPECT_EQ(to_string(Value::number(0.1)), "0.1");
  EXPECT_EQ(to_string(Value::number(std::nan(""))), "NaN");
  EXPECT_EQ(to_string(Value::timestamp(-1)), "1969-12-31T23:59:59.999999Z");
  EXPECT_EQ(to_string(Value::timestamp(1'500'000)), "1970-01-01T00:00:01.500Z");
  EXPECT_EQ(to_string(Value::date(0)), "1970-01-01");
}

TEST(Arena, GivesMemoryUpToItsBoundAndTakesItBack) {
  Arena arena;
  EXPECT_NE(arena.allocate(0), nullptr);
  for (int round = 0; round < 3; ++round) {
    char* const small = arena.allocate(10);
    char* const large = arena.allocate(1 << 20);
    ASSERT_NE(small, nullptr);
    ASSERT_NE(large, nullptr);
    std::fill_n(small, 10, 'a');
    std::fill_n(large, 1 << 20, 'b');
    EXPECT_EQ(small[9], 'a');
    EXPECT_EQ(arena.allocate(kMaxArenaBytes), nullptr);
    EXPECT_EQ(arena.allocate(SIZE_MAX), nullptr);
    arena.clear();
  }
  Arena large_first;
  ASSERT_NE(large_first.allocate(1 << 20), nullptr);
  large_first.clear();
  char* const after = large_first.allocate(16u << 10);
  ASSERT_NE(after, nullptr);
  std::fill_n(after, 16u << 10, 'c');
}

TEST(RowError, EachHasANameOfItsOwn) {
  std::vector<std::string_view> names;
  for (int i = 0; i < 256; ++i) {
    const std::string_view name = name_of(static_cast<RowError>(i));
    if (name == "unknown") continue;
    EXPECT_EQ(std::count(names.begin(), names.end(), name), 0) << name;
    EXPECT_FALSE(meaning_of(static_cast<RowError>(i)).empty());
    names.push_back(name);
  }
  EXPECT_EQ(names.size(), 20u);
}

}  // namespace
}  // namespace runnel::storage::views
