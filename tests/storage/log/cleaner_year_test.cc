// A year of topics that are kept for a day, a month and for ever, side by side in small segments.
#include <cstdio>
#include <map>

#include "tests/storage/log/store_fixture.h"

namespace runnel::storage {
namespace {

constexpr std::int64_t kDayMs = 24LL * 3600 * 1000;
constexpr std::uint64_t kSegment = 64u << 10;

class CleanerYearTest : public StoreFixture {
 protected:
  void SetUp() override {
    StoreOptions o = options();
    o.segment_bytes = kSegment;
    auto opened = Store::open(std::move(o));
    ASSERT_TRUE(opened) << opened.error().to_string();
    store = std::move(*opened);
  }
  void write(const std::string& topic, int records, std::size_t bytes) {
    for (int i = 0; i < records; ++i) {
      std::string value = std::to_string(++written_[topic]) + ":";
      value.resize(bytes, 'v');
      const auto outcome = append(topic, make_batch(BatchSpec{{value}, clock.now()}));
      ASSERT_TRUE(outcome.result) << outcome.result.error().to_string();
    }
  }
  std::uint64_t live() {
    std::uint64_t bytes = 0;
    for (const char* topic : {"day", "month", "ever"}) {
      bytes += store->partition_info(ref(topic)).bytes;
    }
    return bytes;
  }
  std::map<std::string, int> written_;
};

TEST_F(CleanerYearTest, SpaceStaysNearWhatIsLive) {
  create("day", 1, {{"retention.ms", std::to_string(kDayMs)}});
  create("month", 1, {{"retention.ms", std::to_string(30 * kDayMs)}});
  create("ever", 1, {{"retention.ms", "-1"}});
  double worst = 0;
  for (int day = 0; day < 365; ++day) {
    for (int part = 0; part < 4; ++part) {
      write("day", 20, 1000);
      write("month", 2, 1000);
      write("ever", 1, 500);
      clock.advance(std::chrono::milliseconds(kDayMs / 4));
    }
    ASSERT_TRUE(store->run_maintenance());
    const auto kept = static_cast<double>(live());
    const auto disk = static_cast<double>(store->stats().segment_bytes);
    // Beside what is live there may be the segment being written, and a data segment.
    const double beyond = disk - 2.0 * static_cast<double>(kSegment);
    ASSERT_LE(beyond, 1.3 * kept) << "day " << day;
    worst = std::max(worst, beyond / kept);
  }
  const StoreStats stats = store->stats();
  std::printf(
      "space beyond two segments: at most %.2f times what is live; written %.2f times what "
      "was appended\n",
      worst, static_cast<double>(stats.written_bytes) / static_cast<double>(stats.appended_bytes));
  const auto ever = values("ever");
  ASSERT_EQ(ever.size(), 365U * 4);
  for (std::size_t i = 0; i < ever.size(); ++i) {
    EXPECT_TRUE(ever[i].starts_with(std::to_string(i + 1) + ":"));
  }
}

}  // namespace
}  // namespace runnel::storage
