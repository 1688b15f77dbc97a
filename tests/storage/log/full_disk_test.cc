// A disk without room rejects producers, loses nothing and heals.
#include "tests/storage/log/store_fixture.h"

namespace runnel::storage {
namespace {

class FullDiskTest : public StoreFixture {
 protected:
  StoreOptions small_disk() {
    StoreOptions o = options();
    o.low_space_bytes = 2u << 20;
    o.ballast_bytes = 1u << 20;
    return o;
  }
  void open_small() {
    auto opened = Store::open(small_disk());
    ASSERT_TRUE(opened.has_value()) << opened.error().to_string();
    store = std::move(*opened);
  }
  /// Appends until the store says no; the number of records it took.
  int fill() {
    for (int i = 0;; ++i) {
      (void)store->run_maintenance();  // looks at the space
      const auto outcome = append("t", make_batch({std::string(100'000, 'x')}));
      if (outcome.result) continue;
      EXPECT_EQ(outcome.result.error().code(), ErrorCode::kLowSpace);
      EXPECT_EQ(outcome.result.error().action(), ErrorAction::kRetry);
      return i;
    }
  }
};

TEST_F(FullDiskTest, ProducersAreRejectedWhileEverythingElseGoesOnAndItHeals) {
  fs.set_capacity(16u << 20);
  open_small();
  create("t", 1, {{"max.message.bytes", "1000000"}});
  for (int round = 0; round < 3; ++round) {
    const int taken = fill();
    EXPECT_GT(taken, 20) << "in round " << round;
    const auto info = store->partition_info(ref("t"));
    EXPECT_EQ(values("t", info.high_watermark - 1).size(), 1U) << "reads go on";
    CommitRequest offsets;
    offsets.offsets.push_back({"g", "t", PartitionIndex(0), Offset(1), LeaderEpoch(0), ""});
    EXPECT_TRUE(store->commit_and_wait(offsets).result) << "commits go on";
    store.reset();
    open_small();
    EXPECT_EQ(store->partition_info(ref("t")).high_watermark, info.high_watermark);
    EXPECT_TRUE(store->delete_records(ref("t"), kNoOffset)) << "deletes go on";
    clock.advance(std::chrono::seconds(10));
    EXPECT_TRUE(store->run_maintenance());
    EXPECT_TRUE(store->run_maintenance());
    EXPECT_FALSE(store->stats().low_space) << "there is space again";
  }
  EXPECT_TRUE(append("t", make_batch({"y"})).result);
}

TEST_F(FullDiskTest, AnUnnoticedFullDiskRejectsWithoutLosingAnything) {
  // Nobody looks at the space: the disk fills under the committer's hands.
  open_small();
  create("t", 1, {{"max.message.bytes", "1000000"}});
  std::uint64_t used = 0;
  for (const auto& f : fs.files()) used += f.size;
  fs.set_capacity(used + (1u << 20));
  int taken = 0;
  while (append("t", make_batch({std::string(100'000, 'x')})).result) ++taken;
  EXPECT_EQ(code(append("t", make_batch({std::string(100'000, 'x')}))), ErrorCode::kLowSpace);
  fs.set_capacity(std::uint64_t{1} << 40);
  EXPECT_TRUE(store->run_maintenance());
  EXPECT_TRUE(append("t", make_batch({"more"})).result);
  EXPECT_EQ(values("t").size(), static_cast<std::size_t>(taken) + 1);
}

}  // namespace
}  // namespace runnel::storage
