// What runs beside commits and how much of it.
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "storage/segments/anchor.h"
#include "tests/storage/log/store_fixture.h"

namespace runnel::storage {
namespace {

class BackgroundTest : public StoreFixture {
 protected:
  void SetUp() override {
    StoreOptions o = options();
    o.background = true;
    auto opened = Store::open(std::move(o));
    ASSERT_TRUE(opened.has_value()) << opened.error().to_string();
    store = std::move(*opened);
    create("t");
  }
  Anchor anchor() {
    const auto read = read_anchor(fs, "data/anchor");
    EXPECT_TRUE(read.has_value());
    return read.has_value() && *read ? **read : Anchor{};
  }
};

// Each of its syncs is in the way of a commit's.
TEST_F(BackgroundTest, TheAnchorFollowsManyCommitsAtItsIntervalAndReachesTheLast) {
  constexpr std::chrono::milliseconds kInterval{20};
  const auto begun = std::chrono::steady_clock::now();
  const std::uint64_t before = anchor().counter;
  std::uint64_t commits = 0;
  while (std::chrono::steady_clock::now() - begun < 10 * kInterval) {
    ASSERT_TRUE(append("t", make_batch({"x"})).result);
    ++commits;
  }
  const std::uint64_t written = anchor().counter - before;
  const auto passed = std::chrono::steady_clock::now() - begun;
  // One when the first commit comes, one at each interval's end.
  EXPECT_LE(written, static_cast<std::uint64_t>(passed / kInterval) + 2) << commits << " commits";
  // Each was a frame of its own.
  while (anchor().sequence < commits) std::this_thread::yield();
}

}  // namespace
}  // namespace runnel::storage
