// What is known of bytes: checked, damaged, on its way.
#include "storage/log/verified.h"

#include <gtest/gtest.h>

#include <optional>

namespace runnel::storage {
namespace {

constexpr std::uint32_t kSegment = 7;

Position at(std::uint32_t offset, std::uint32_t segment = kSegment) {
  return {segment, offset};
}

class VerifiedTest : public ::testing::Test {
 protected:
  void SetUp() override { known.trust_from(at(0, 1)); }
  VerifiedRanges known;
};

TEST_F(VerifiedTest, DamageIsForgottenWhereAllOfItWasSound) {
  known.distrust(at(1000), 100);
  EXPECT_FALSE(known.covers(at(1050), 10));
  EXPECT_FALSE(known.covers(at(900), 101));
  EXPECT_TRUE(known.covers(at(900), 100));
  EXPECT_TRUE(known.covers(at(1000, kSegment + 1), 100));
  known.add(at(1000), 60);
  EXPECT_TRUE(known.covers(at(1000), 60));
  EXPECT_FALSE(known.covers(at(1050), 20));
  known.add(at(1060), 40);
  EXPECT_TRUE(known.covers(at(0), 5000));
}

TEST_F(VerifiedTest, MoreDamageThanCanBeToldApartIsNotForgotten) {
  for (std::uint32_t i = 0; i < 3000; ++i) known.distrust(at(1000 * i), 10);
  for (std::uint32_t i = 0; i < 3000; ++i) ASSERT_FALSE(known.covers(at(1000 * i), 10)) << i;
  EXPECT_TRUE(known.covers(at(0, kSegment + 1), 10)) << "other segments are as they were";
  // One that heals takes no other's place.
  known.add(at(0), 10);
  for (std::uint32_t i = 1; i < 3000; ++i) ASSERT_FALSE(known.covers(at(1000 * i), 10)) << i;
  EXPECT_TRUE(known.covers(at(0), 10));
  known.forget(kSegment);
  EXPECT_TRUE(known.covers(at(0), 5'000'000));
}

TEST_F(VerifiedTest, TheSegmentWithTheMostDamageIsTheOneDistrusted) {
  for (std::uint32_t i = 0; i < 1024; ++i) known.distrust(at(1000 * i), 10);
  known.distrust(at(0, kSegment + 1), 10);
  EXPECT_TRUE(known.covers(at(10, kSegment + 1), 10));
  EXPECT_FALSE(known.covers(at(10), 10));
  EXPECT_TRUE(known.covers(at(0, kSegment + 2), 10));
}

TEST_F(VerifiedTest, MoreDamagedSegmentsThanCanBeKnownAreAllDistrusted) {
  for (std::uint32_t i = 0; i < 2000; ++i) known.distrust(at(0, 10 + i), 10);
  EXPECT_FALSE(known.covers(at(0, 5000), 10));
}

TEST_F(VerifiedTest, WhatIsOnItsWayIsCheckedByWhoMeetsIt) {
  std::optional<VerifiedRanges::Loading> one(std::in_place, known,
                                             std::vector<SegmentRange>{{at(100), 50}});
  std::optional<VerifiedRanges::Loading> two(std::in_place, known,
                                             std::vector<SegmentRange>{{at(120), 100}});
  EXPECT_FALSE(known.covers(at(149), 1));
  EXPECT_TRUE(known.covers(at(0), 100));
  one.reset();
  EXPECT_TRUE(known.covers(at(100), 20));
  EXPECT_FALSE(known.covers(at(149), 1));
  known.distrust(at(130), 5);
  two.reset();
  EXPECT_FALSE(known.covers(at(134), 1)) << "damage that was found meanwhile";
  EXPECT_TRUE(known.covers(at(149), 1));
}

}  // namespace
}  // namespace runnel::storage
