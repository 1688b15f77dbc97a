// The room that is kept on a full disk: for deleting, and for nothing else.
#include "tests/storage/log/store_fixture.h"

namespace runnel::storage {
namespace {

class ReserveTest : public StoreFixture {
 protected:
  void open_small() {
    StoreOptions o = options();
    o.low_space_bytes = 16u << 20;
    o.ballast_bytes = 1u << 20;
    o.background = true;  // somebody who waits for room
    auto opened = Store::open(o);
    ASSERT_TRUE(opened.has_value()) << opened.error().to_string();
    store = std::move(*opened);
  }
  ErrorCode commit_offset(int number) {
    CommitRequest request;
    request.offsets.push_back({"group " + std::to_string(number), "t", PartitionIndex(0), Offset(1),
                               LeaderEpoch(0), std::string(4000, 'm')});
    return code(store->commit_and_wait(std::move(request)));
  }
};

TEST_F(ReserveTest, OffsetsLeaveTheRoomThatDeletingNeeds) {
  fs.set_capacity(128u << 20);
  open_small();
  create("t", 1, {{"max.message.bytes", "1000000"}});
  while (append("t", make_batch({std::string(500'000, 'x')})).result)
    (void)store->run_maintenance();
  constexpr int kMost = 10'000;
  int committed = 0;
  ErrorCode last = ErrorCode::kOk;
  while (committed < kMost && (last = commit_offset(committed)) == ErrorCode::kOk) {
    ++committed;
    (void)store->run_maintenance();
  }
  EXPECT_GT(committed, 0) << "a disk that is full for producers takes offsets";
  EXPECT_EQ(last, ErrorCode::kLowSpace);
  EXPECT_TRUE(store->delete_topic("t"));
  for (int i = 0; i < 3; ++i) {
    clock.advance(std::chrono::seconds(10));
    const Status done = store->run_maintenance();
    EXPECT_TRUE(done) << done.error().to_string();
  }
  EXPECT_FALSE(store->stats().low_space);
  create("t");
  EXPECT_TRUE(append("t", make_batch({"v"})).result);
}

}  // namespace
}  // namespace runnel::storage
