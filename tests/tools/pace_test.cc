#include "tools/transfer/pace.h"

#include <gtest/gtest.h>

#include <string>

namespace runnel::tools {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(Pace, RatesAreReadAsPeopleWriteThem) {
  EXPECT_EQ(Pace::parse("500/s")->per_second(), 500);
  EXPECT_EQ(Pace::parse("5k/s")->per_second(), 5000);
  EXPECT_EQ(Pace::parse("1m/s")->per_second(), 1e6);
  EXPECT_EQ(Pace::parse("20MiB/s")->per_second(), 20.0 * (1u << 20));
  EXPECT_TRUE(Pace::parse("20MiB/s")->of_bytes());
  for (const char* const bad : {"", "5", "5k", "/s", "x/s", "0/s", "-1/s", "5kk/s", "5 MB/s"}) {
    EXPECT_FALSE(Pace::parse(bad)) << bad;
  }
}

TEST(Pace, OverTimeItIsTheRateAndNothingIsMadeUpFor) {
  auto pace = *Pace::parse("1k/s");
  Pace::TimePoint now{};
  Pace::TimePoint begun = now;
  for (int i = 0; i < 100; ++i) now += pace.spend(100, 0, now);
  EXPECT_EQ(now - begun, seconds(10));
  // A pause of ten seconds earns no more than a tenth of one.
  now += seconds(10);
  begun = now;
  for (int i = 0; i < 10; ++i) now += pace.spend(100, 0, now);
  EXPECT_EQ(now - begun, milliseconds(900));
}

TEST(Pace, WithoutABoundNobodyWaits) {
  Pace pace;
  EXPECT_EQ(pace.spend(1u << 30, 1u << 30, {}), std::chrono::nanoseconds(0));
}

}  // namespace
}  // namespace runnel::tools
