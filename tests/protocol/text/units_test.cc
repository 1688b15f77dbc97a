#include "protocol/text/units.h"

#include <gtest/gtest.h>

namespace runnel::protocol {
namespace {

using std::chrono::milliseconds;

TEST(Units, SizesTakePowersOf1024) {
  EXPECT_EQ(parse_size("4096").value(), 4096u);
  EXPECT_EQ(parse_size("64KiB").value(), 65536u);
  EXPECT_EQ(parse_size("64K").value(), 65536u);
  EXPECT_EQ(parse_size("1GiB").value(), 1u << 30);
  for (const char* bad : {"", "KiB", "1MB", "1.5GiB", "-1", "1 GiB", "99999999TiB"}) {
    EXPECT_FALSE(parse_size(bad).has_value()) << bad;
  }
}

TEST(Units, SizesAreShownInTheirShortestExactForm) {
  EXPECT_EQ(format_size(256u << 20), "256MiB");
  EXPECT_EQ(format_size(1025), "1025B");
  EXPECT_EQ(format_size(0), "0B");
  EXPECT_EQ(human_size(1.5 * (1 << 30)), "1.50 GiB");
  EXPECT_EQ(human_size(900), "900 B");
}

TEST(Units, DurationsTakeUnitsAndSums) {
  EXPECT_EQ(parse_duration("250ms").value(), milliseconds(250));
  EXPECT_EQ(parse_duration("1500").value(), milliseconds(1500));
  EXPECT_EQ(parse_duration("7d").value(), milliseconds(604'800'000));
  EXPECT_EQ(parse_duration("1h30m").value(), milliseconds(5'400'000));
  for (const char* bad : {"", "h", "5 m", "5y", "1h30", "-5s", "99999999999999999999s"}) {
    EXPECT_FALSE(parse_duration(bad).has_value()) << bad;
  }
}

TEST(Units, DurationsAreShownInTheirShortestExactForm) {
  EXPECT_EQ(format_duration(milliseconds(604'800'000)), "1w");
  EXPECT_EQ(format_duration(milliseconds(90'000)), "90s");
  EXPECT_EQ(format_duration(milliseconds(1)), "1ms");
}

TEST(Units, ANumberIsTheWholeText) {
  EXPECT_EQ(parse_integer("-7").value(), -7);
  for (const char* bad : {"", "7x", " 7", "7.0", "99999999999999999999"}) {
    EXPECT_FALSE(parse_integer(bad).has_value()) << bad;
  }
}

TEST(Units, NearestFindsTyposAndNothingFarOff) {
  const std::vector<std::string_view> names{"memory", "listen", "log-level"};
  EXPECT_EQ(nearest("memry", names), "memory");
  EXPECT_EQ(nearest("log_level", names), "log-level");
  EXPECT_EQ(nearest("memroy", names), "memory");
  EXPECT_EQ(nearest("replication-factor", names), "");
  EXPECT_EQ(nearest("foo", std::vector<std::string_view>{"net", "loops"}), "");
  EXPECT_EQ(nearest("nte", std::vector<std::string_view>{"net", "loops"}), "net");
}

}  // namespace
}  // namespace runnel::protocol
