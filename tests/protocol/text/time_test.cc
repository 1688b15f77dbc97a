#include "protocol/text/time.h"

#include <gtest/gtest.h>

namespace runnel::protocol {
namespace {

using Kind = Place::Kind;
constexpr std::int64_t kNow = 1'795'237'200'000;  // 2026-11-21T05:00:00Z

TEST(Time, ReadsIsoTimesInUtcUnlessTheySayOtherwise) {
  EXPECT_EQ(parse_time("2026-11-21T05:00:00Z").value(), kNow);
  EXPECT_EQ(parse_time("2026-11-21 05:00").value(), kNow);
  EXPECT_EQ(parse_time("2026-11-21T07:00:00+02:00").value(), kNow);
  EXPECT_EQ(parse_time("2026-11-21T05:00:00.250Z").value(), kNow + 250);
  EXPECT_EQ(parse_time("2026-11-21").value(), kNow - 5 * 3'600'000);
  EXPECT_EQ(parse_time("1970-01-01").value(), 0);
  for (const char* bad :
       {"", "2026-02-30", "2026-13-01", "2026-11-21T25:00", "2026-11-21T05:00:00.",
        "2026-11-21T05:00X", "2026-11-21T", "21.11.2026"}) {
    EXPECT_FALSE(parse_time(bad).has_value()) << bad;
  }
}

TEST(Time, WritesWhatItReads) {
  EXPECT_EQ(format_time(kNow + 7), "2026-11-21T05:00:00.007Z");
  EXPECT_EQ(format_time(kNow, "%F"), "2026-11-21");
  EXPECT_EQ(parse_time(format_time(-1)).value(), -1);
}

TEST(Time, PositionsAsPeopleWriteThem) {
  const auto at = [](std::string_view text) { return parse_place(text, kNow).value(); };
  EXPECT_EQ(at("start"), (Place{Kind::kStart, 0}));
  EXPECT_EQ(at("beginning"), (Place{Kind::kStart, 0}));
  EXPECT_EQ(at("end"), (Place{Kind::kEnd, 0}));
  EXPECT_EQ(at("17"), (Place{Kind::kOffset, 17}));
  EXPECT_EQ(at("-100"), (Place{Kind::kBeforeEnd, 100}));
  EXPECT_EQ(at("+100"), (Place{Kind::kAfterStart, 100}));
  EXPECT_EQ(at("-2h"), (Place{Kind::kTime, kNow - 7'200'000}));
  EXPECT_EQ(at("@1760000000000"), (Place{Kind::kTime, 1'760'000'000'000}));
  EXPECT_EQ(at("@-2h"), (Place{Kind::kTime, kNow - 7'200'000}));
  EXPECT_EQ(at("2026-11-21T05:00:00Z"), (Place{Kind::kTime, kNow}));
  for (const char* bad : {"", "yesterday", "-", "1.5", "@", "2026-99-99", "--5"}) {
    EXPECT_FALSE(parse_place(bad, kNow).has_value()) << bad;
  }
}

TEST(Time, RangesOfOffsetsAndTimes) {
  const auto range = parse_range("17:20", kNow).value();
  EXPECT_EQ(range.from, (Place{Kind::kOffset, 17}));
  EXPECT_EQ(range.to, (Place{Kind::kOffset, 20}));
  const auto times = parse_range("@-48h:-24h", kNow).value();
  EXPECT_EQ(times.from, (Place{Kind::kTime, kNow - 172'800'000}));
  EXPECT_EQ(times.to, (Place{Kind::kTime, kNow - 86'400'000}));
  const auto iso = parse_range("@2026-11-21T04:00:2026-11-21T05:00", kNow).value();
  EXPECT_EQ(iso.from, (Place{Kind::kTime, kNow - 3'600'000}));
  EXPECT_EQ(iso.to, (Place{Kind::kTime, kNow}));
  EXPECT_TRUE(parse_range(":end", kNow).value().bounded);
  EXPECT_FALSE(parse_range("start", kNow).value().bounded);
  EXPECT_FALSE(parse_range("a:b", kNow).has_value());
}

}  // namespace
}  // namespace runnel::protocol
