#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tools/top/screen.h"

namespace runnel::tools {
namespace {

using testing::HasSubstr;

std::string text(const std::vector<std::string>& lines) {
  std::string out;
  for (const std::string& line : lines) out += line + '\n';
  return out;
}

BrokerLook look(double seconds, std::uint64_t count) {
  BrokerLook out;
  out.seconds = seconds;
  out.statistics = {{"store.appended_bytes", count * 1024},
                    {"store.appended_records", count},
                    {"store.commits", count},
                    {"store.syncs", count / 4},
                    {"store.sync_p50_micros", 1234},
                    {"store.sync_p99_micros", 20'000},
                    {"store.sync_max_micros", 50'060},
                    {"store.fetched_bytes", count * 4},
                    {"store.fetched_cached_bytes", count * 3},
                    {"store.segments", 3},
                    {"store.low_space", 1}};
  out.topics["quiet"] = {1, 5, 5, 100};
  out.topics["busy"] = {2, count, count, count * 10};
  out.groups["near"] = {"stable", 1};
  out.groups["far"] = {"empty", 1000};
  return out;
}

TEST(Top, RatesAreThoseBetweenTheLooks) {
  const auto shown = text(render_top(look(10, 1000), look(12, 9000), "title", 200, 100));
  EXPECT_THAT(shown, HasSubstr("title\n"));
  EXPECT_THAT(shown, HasSubstr("3.91 MiB/s   4.0k records/s"));
  EXPECT_THAT(shown, HasSubstr("1.0k syncs/s   4.0 commits a sync"));
  EXPECT_THAT(shown, HasSubstr("sync   p50 1.2 ms   p99 20.0 ms   max 50.1 ms   cache 75 %"));
  EXPECT_THAT(shown, HasSubstr("LOW"));
  EXPECT_EQ(shown.find("DAMAGED"), std::string::npos);
  BrokerLook ill = look(12, 9000);
  ill.statistics["store.scrub_damages"] = 1;
  EXPECT_THAT(text(render_top(look(10, 1000), ill, "title", 200, 100)), HasSubstr("DAMAGED"));
  EXPECT_EQ(shown.find("views"), std::string::npos);
  BrokerLook viewed = look(12, 9000);
  viewed.statistics["views.running"] = 2;
  viewed.statistics["views.failed"] = 1;
  viewed.statistics["views.records"] = 3000;
  viewed.statistics["views.lag"] = 12;
  viewed.statistics["views.behind_micros"] = 1'500'000;
  EXPECT_THAT(text(render_top(look(10, 1000), viewed, "title", 200, 100)),
              HasSubstr("views  3   1.5k records/s   12 behind   1.5 s   0 B   FAILED: 1"));
  EXPECT_LT(shown.find("busy"), shown.find("quiet"));
  EXPECT_LT(shown.find("far"), shown.find("near"));
  EXPECT_THAT(shown, HasSubstr(" 4000\n"));
}

TEST(Top, ABrokerStartedAnewHasNoNegativeRate) {
  const auto shown = text(render_top(look(10, 9000), look(11, 10), "t", 200, 100));
  EXPECT_THAT(shown, HasSubstr("in     0 B/s   0 records/s"));
}

TEST(Top, NothingIsLargerThanTheTerminal) {
  for (std::size_t height = 1; height < 20; ++height) {
    const auto lines = render_top(look(1, 1), look(2, 2), "a long title indeed", 10, height);
    EXPECT_LE(lines.size(), height);
    for (const std::string& line : lines) EXPECT_LE(line.size(), 10U);
  }
}

}  // namespace
}  // namespace runnel::tools
