#include "protocol/base/histogram.h"

#include <gtest/gtest.h>

#include <random>

namespace runnel {
namespace {

constexpr std::uint64_t kGreatest = std::numeric_limits<std::uint64_t>::max();

TEST(Histogram, NothingRecordedReadsAsZero) {
  const Histogram empty;
  EXPECT_EQ(empty.count(), 0U);
  EXPECT_EQ(empty.min(), 0U);
  EXPECT_EQ(empty.max(), 0U);
  EXPECT_EQ(empty.mean(), 0);
  EXPECT_EQ(empty.value_at(50), 0U);
}

TEST(Histogram, SmallValuesAreExact) {
  Histogram h;
  for (std::uint64_t v = 1; v <= 100; ++v) h.record(v);
  EXPECT_EQ(h.value_at(0), 1U);
  EXPECT_EQ(h.value_at(50), 50U);
  EXPECT_EQ(h.value_at(99), 99U);
  EXPECT_EQ(h.value_at(100), 100U);
  EXPECT_DOUBLE_EQ(h.mean(), 50.5);
}

TEST(Histogram, EveryPowerOfTwoAndItsNeighboursStayWithinTheError) {
  for (unsigned bits = 0; bits < 64; ++bits) {
    const std::uint64_t power = std::uint64_t{1} << bits;
    for (const std::uint64_t v : {power - 1, power, power + 1}) {
      Histogram h;
      h.record(v);
      h.record(kGreatest);  // else the maximum would hide a bucket that is too coarse
      EXPECT_GE(h.value_at(50), v);
      EXPECT_LE(h.value_at(50) - v, v / 128) << v;
    }
  }
}

TEST(Histogram, TheGreatestValueFits) {
  Histogram h;
  h.record(0);
  h.record(kGreatest);
  EXPECT_EQ(h.value_at(100), kGreatest);
  EXPECT_EQ(h.value_at(50), 0U);
}

TEST(Histogram, PercentilesOfAKnownSampleAreWithinTheError) {
  constexpr std::uint64_t kSeed = 7;
  std::mt19937_64 random(kSeed);
  std::vector<std::uint64_t> sample(10'000);
  Histogram h;
  for (auto& v : sample) {
    v = random() >> (random() % 60);
    h.record(v);
  }
  std::sort(sample.begin(), sample.end());
  for (const double percentile : {1.0, 25.0, 50.0, 90.0, 99.0, 99.9}) {
    const auto rank =
        static_cast<std::size_t>(std::ceil(percentile / 100 * static_cast<double>(sample.size())));
    const std::uint64_t exact = sample[rank - 1];
    EXPECT_GE(h.value_at(percentile), exact) << percentile << ", seed " << kSeed;
    EXPECT_LE(h.value_at(percentile) - exact, exact / 128) << percentile << ", seed " << kSeed;
  }
}

TEST(Histogram, MergingCountsBoth) {
  Histogram a, b;
  for (std::uint64_t v = 1; v <= 50; ++v) a.record(v);
  for (std::uint64_t v = 51; v <= 100; ++v) b.record(v);
  a.merge(b);
  EXPECT_EQ(a.count(), 100U);
  EXPECT_EQ(a.min(), 1U);
  EXPECT_EQ(a.max(), 100U);
  EXPECT_EQ(a.value_at(75), 75U);
}

}  // namespace
}  // namespace runnel
