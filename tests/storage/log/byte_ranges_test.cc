// The set of ranges against a plain list of bytes.
#include "storage/log/byte_ranges.h"

#include <bitset>

#include "tests/support/seeds.h"

namespace runnel::storage {
namespace {

TEST(ByteRangesTest, RangesThatTouchAreOne) {
  ByteRanges set;
  set.add(10, 20);
  set.add(30, 40);
  EXPECT_EQ(set.count(), 2U);
  set.add(20, 30);
  EXPECT_EQ(set.count(), 1U);
  EXPECT_TRUE(set.covers(10, 40));
  EXPECT_FALSE(set.covers(9, 11));
  EXPECT_FALSE(set.touches(0, 10));
  EXPECT_TRUE(set.touches(39, 50));
  set.remove(15, 35);
  EXPECT_EQ(set.count(), 2U);
  EXPECT_FALSE(set.touches(15, 35));
}

TEST(ByteRangesTest, HoldsWhatAListOfBytesHolds) {
  for_each_seed(1, 50, [](std::uint64_t seed) {
    SeededRandom random(seed);
    constexpr std::size_t kBytes = 64;
    std::bitset<kBytes> model;
    ByteRanges set;
    for (int step = 0; step < 100; ++step) {
      const std::uint64_t begin = random.next() % kBytes;
      const std::uint64_t end = begin + 1 + random.next() % (kBytes - begin);
      const bool adds = random.next() % 2 == 0;
      adds ? set.add(begin, end) : set.remove(begin, end);
      for (std::uint64_t i = begin; i < end; ++i) model[i] = adds;
      std::size_t count = 0;
      for (std::uint64_t i = 0; i < kBytes; ++i) {
        count += model[i] && (i == 0 || !model[i - 1]) ? 1 : 0;
        for (std::uint64_t j = i + 1; j <= kBytes; ++j) {
          bool any = false;
          bool all = true;
          for (std::uint64_t k = i; k < j; ++k) {
            any = any || model[k];
            all = all && model[k];
          }
          ASSERT_EQ(set.touches(i, j), any) << i << " to " << j;
          ASSERT_EQ(set.covers(i, j), all) << i << " to " << j;
        }
      }
      ASSERT_EQ(set.count(), count);
    }
  });
}

}  // namespace
}  // namespace runnel::storage
