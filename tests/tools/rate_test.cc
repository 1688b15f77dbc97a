#include "tools/transfer/rate.h"

#include <gtest/gtest.h>

namespace runnel::tools {
namespace {

TEST(Rate, IsReadAsPeopleWriteIt) {
  EXPECT_EQ(parse_rate("500/s")->per_second, 500);
  EXPECT_EQ(parse_rate("5k/s")->per_second, 5000);
  EXPECT_EQ(parse_rate("1m/s")->per_second, 1e6);
  EXPECT_FALSE(parse_rate("1m/s")->of_bytes);
  EXPECT_EQ(parse_rate("20MiB/s")->per_second, 20.0 * (1u << 20));
  EXPECT_TRUE(parse_rate("20MiB/s")->of_bytes);
  for (const char* const bad : {"", "5", "5k", "/s", "x/s", "0/s", "-1/s", "5kk/s", "5 MB/s"}) {
    EXPECT_FALSE(parse_rate(bad)) << bad;
  }
}

}  // namespace
}  // namespace runnel::tools
