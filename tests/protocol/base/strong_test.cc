#include "protocol/base/strong.h"

#include <gtest/gtest.h>

#include <limits>
#include <unordered_set>

namespace runnel {
namespace {

static_assert(!std::is_convertible_v<std::int64_t, Offset>, "made explicitly");
static_assert(!std::is_convertible_v<Offset, std::int64_t>, "read explicitly");
static_assert(!std::is_constructible_v<Offset, Timestamp>, "one kind is no other");
static_assert(!std::is_convertible_v<PartitionIndex, PartitionId>);
static_assert(sizeof(Offset) == 8 && sizeof(PartitionIndex) == 4 && sizeof(ProducerEpoch) == 2);

TEST(Strong, ComparesAndSteps) {
  Offset at(5);
  EXPECT_LT(at, Offset(6));
  EXPECT_EQ(at + 3, Offset(8));
  EXPECT_EQ(at - 6, kNoOffset);
  EXPECT_EQ(Offset(9) - at, 4);
  EXPECT_EQ(++at, Offset(6));
  EXPECT_EQ(Offset(), Offset(0));
}

TEST(Strong, WrapsAroundInsteadOfOverflowing) {
  constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
  constexpr auto kLeast = std::numeric_limits<std::int64_t>::min();
  EXPECT_EQ(Offset(kMost) + 1, Offset(kLeast));
  EXPECT_EQ(Offset(kLeast) - 1, Offset(kMost));
  EXPECT_EQ(Timestamp(kMost) - Timestamp(kLeast), -1);
  EXPECT_EQ(ProducerEpoch(32767) + std::int16_t{1}, ProducerEpoch(-32768));
}

TEST(Strong, Hashes) {
  const std::unordered_set<Offset> set = {Offset(1), Offset(2), Offset(1)};
  EXPECT_EQ(set.size(), 2u);
  EXPECT_TRUE(set.contains(Offset(2)));
}

}  // namespace
}  // namespace runnel
