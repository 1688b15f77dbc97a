// What is kept for long is sorted by partition, once.
#include <set>

#include "tests/storage/log/store_fixture.h"

namespace runnel::storage {
namespace {

constexpr int kPartitions = 3;
constexpr int kRounds = 120;  // of a record for each partition; several segments in all

class CleanerSortingTest : public StoreFixture {
 protected:
  void SetUp() override { open_small(); }
  void open_small() {
    StoreOptions o = options();
    o.directory = directory_;
    auto opened = Store::open(std::move(o));
    ASSERT_TRUE(opened) << opened.error().to_string();
    store = std::move(*opened);
  }
  static std::string value_of(int partition, int round) {
    std::string value = "<" + std::to_string(partition) + ":" + std::to_string(round) + ">";
    value.resize(10'000, '.');
    return value;
  }
  void write_mixed(int partitions = kPartitions) {
    for (int round = 0; round < kRounds; ++round) {
      for (int p = 0; p < partitions; ++p) {
        const auto batch = make_batch(BatchSpec{{value_of(p, round)}, clock.now()});
        const auto outcome = append("t", batch, p);
        ASSERT_TRUE(outcome.result) << outcome.result.error().to_string();
      }
    }
  }
  void pass(std::chrono::hours time) {
    clock.advance(time);
    ASSERT_TRUE(store->run_maintenance());
  }
  std::uint64_t moved() { return store->stats().cleaner_written_bytes; }

  /// How often the partition changes from one record to the next, over all data segments.
  int changes_in_data_segments() {
    int changes = 0;
    for (const SimFileInfo& info : fs.files()) {
      if (!info.path.ends_with(".log")) continue;  // data segments
      auto file = fs.open(info.path, {.write = false});
      EXPECT_TRUE(file);
      std::string bytes(info.size, '\0');
      EXPECT_TRUE((*file)->read(0, {reinterpret_cast<std::byte*>(bytes.data()), bytes.size()}));
      char last = '\0';
      for (std::size_t at = 0; (at = bytes.find('<', at)) != std::string::npos; ++at) {
        if (at + 2 >= bytes.size() || bytes[at + 2] != ':') continue;
        changes += last != '\0' && bytes[at + 1] != last ? 1 : 0;
        last = bytes[at + 1];
      }
    }
    return changes;
  }
  std::string directory_ = "data";
  void expect_all_there() {
    for (int p = 0; p < kPartitions; ++p) {
      const auto found = values("t", Offset(0), p);
      ASSERT_EQ(found.size(), static_cast<std::size_t>(kRounds)) << "partition " << p;
      for (int round = 0; round < kRounds; ++round) {
        EXPECT_EQ(found[static_cast<std::size_t>(round)], value_of(p, round));
      }
    }
  }
};

TEST_F(CleanerSortingTest, WhatIsADayOldLiesByPartition) {
  create("t", kPartitions, {{"retention.ms", "-1"}});
  write_mixed();
  pass(std::chrono::hours(23));
  EXPECT_EQ(moved(), 0U) << "it is not old enough";
  pass(std::chrono::hours(2));
  const std::uint64_t once = moved();
  EXPECT_GT(once, 2u << 20) << "all but the segment that is written";
  // In the order of commits every record but the first of each segment follows one of another
  // partition; sorted, each segment that was moved has one run of each.
  EXPECT_LE(changes_in_data_segments(), 4 * kPartitions);
  expect_all_there();
  pass(std::chrono::hours(48));
  EXPECT_EQ(moved(), once) << "it is sorted already";
  store.reset();
  open_small();
  pass(std::chrono::hours(48));
  EXPECT_EQ(moved(), 0U) << "also after a restart";
  expect_all_there();
}

TEST_F(CleanerSortingTest, WhatIsOnePartitionsStaysWhereItIs) {
  create("t", 1, {{"retention.ms", "-1"}});
  write_mixed(1);
  pass(std::chrono::hours(48));
  EXPECT_EQ(moved(), 0U);
}

TEST_F(CleanerSortingTest, ACutAtAnyStepLosesNothing) {
  bool finished = false;
  for (std::uint64_t nth = 1; !finished; nth += 2) {
    SCOPED_TRACE("power goes at operation " + std::to_string(nth));
    ASSERT_LT(nth, 1000U);
    store.reset();
    directory_ = "data-" + std::to_string(nth);
    open_small();
    create("t", kPartitions, {{"retention.ms", "-1"}});
    write_mixed();
    clock.advance(std::chrono::hours(25));
    fs.set_fault({nth, FaultKind::kPowerOff, true, kSimChanges, {}, CutMode::kPrefix});
    static_cast<void>(store->run_maintenance());
    finished = !fs.fault_struck();
    if (!finished) {
      store.reset();
      fs.clear_fault();
      fs.boot();
      open_small();
    }
    fs.clear_fault();
    expect_all_there();
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(moved(), 2u << 20) << "the last one was not cut off";
}

}  // namespace
}  // namespace runnel::storage
