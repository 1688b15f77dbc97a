#include "client/src/pace.h"

#include <gtest/gtest.h>

namespace runnel::client {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(Pace, OverTimeItIsTheRateAndNothingIsMadeUpFor) {
  Pace pace(1000);
  Pace::TimePoint now{};
  Pace::TimePoint begun = now;
  for (int i = 0; i < 100; ++i) now += pace.spend(100, now);
  EXPECT_EQ(now - begun, seconds(10));
  // A pause of ten seconds earns no more than a tenth of one.
  now += seconds(10);
  begun = now;
  for (int i = 0; i < 10; ++i) now += pace.spend(100, now);
  EXPECT_EQ(now - begun, milliseconds(900));
}

TEST(Pace, WithoutABoundNobodyWaits) {
  Pace pace(0);
  EXPECT_EQ(pace.spend(1u << 30, {}), std::chrono::nanoseconds(0));
}

}  // namespace
}  // namespace runnel::client
