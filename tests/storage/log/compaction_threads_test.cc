// Reading goes on while batches are moved and their old segments are deleted.
#include <atomic>
#include <thread>

#include "tests/storage/log/store_fixture.h"

namespace runnel::storage {
namespace {

class CompactionThreadsTest : public StoreFixture {
 protected:
  /// Reads the log once; offsets must grow and nothing may be missing at its end.
  void read_once(bool committed_only) {
    const PartitionRef partition = ref("t");
    const PartitionInfo info = store->partition_info(partition);
    Offset last = kNoOffset;
    for (Offset at = info.log_start; at < info.high_watermark;) {
      FetchRequest request;
      request.items.push_back({partition, at, 4000});
      request.committed_only = committed_only;
      const auto fetched = store->fetch_and_wait(std::move(request));
      ASSERT_FALSE(fetched[0].head.error) << fetched[0].head.error->to_string();
      ASSERT_GT(fetched[0].head.next, at);
      for (Bytes rest = fetched[0].batches.bytes(); !rest.empty();) {
        const auto size =
            protocol::validate_batch(rest, protocol::Depth::kRecords, protocol::Gaps::kAllowed);
        ASSERT_TRUE(size) << size.error().to_string();
        const protocol::BatchView batch(rest);
        ASSERT_GT(batch.base_offset(), last);
        last = batch.last_offset();
        rest = rest.subspan(*size);
      }
      at = fetched[0].head.next;
    }
    ASSERT_GE(last + 1, info.high_watermark);
    const auto found =
        store->find_offset(partition, {OffsetQuery::Kind::kTime, Timestamp(0), false});
    ASSERT_TRUE(found) << found.error().to_string();
  }
};

TEST_F(CompactionThreadsTest, ReadersSeeTheOldOrTheNew) {
  StoreOptions o = options();
  o.segment_bytes = 64u << 10;
  store = std::move(*Store::open(std::move(o)));
  create("t", 1, {{"cleanup.policy", "compact"}, {"min.cleanable.dirty.ratio", "0"}});
  std::atomic<bool> done{false};
  const auto write = [&](int i) {
    protocol::BatchBuilder builder;
    for (int k = 0; k < 4; ++k) {
      const std::string key = "k" + std::to_string((i * 7 + k) % 50);
      const std::string value(500, 'v');
      builder.add({clock.now(), key, value, {}});
    }
    ASSERT_TRUE(append("t", builder.finish().value()).result);
  };
  write(0);
  std::vector<std::thread> threads;
  for (const bool committed_only : {false, true}) {
    threads.emplace_back([&, committed_only] {
      while (!done && !HasFatalFailure()) read_once(committed_only);
    });
  }
  threads.emplace_back([&] {
    while (!done) {
      clock.advance(std::chrono::seconds(6));  // checkpoints let dead segments go
      ASSERT_TRUE(store->run_maintenance());
    }
  });
  for (int i = 1; i < 1500; ++i) write(i);
  done = true;
  for (std::thread& t : threads) t.join();
  EXPECT_GT(store->stats().compacted_bytes, 0U);
  read_once(true);
}

// Half a segment of new records is enough for another look: what is dead does not pile up until the
// interval is over.
TEST_F(CompactionThreadsTest, AFastWriterIsCompactedBeforeTheIntervalIsOver) {
  StoreOptions o = options();
  o.background = true;
  o.segment_bytes = 64u << 10;
  o.cleaner_interval = std::chrono::hours(1);
  store = std::move(*Store::open(std::move(o)));
  create("t", 1, {{"cleanup.policy", "compact"}, {"min.cleanable.dirty.ratio", "0"}});
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::minutes(2);
  while (store->stats().compacted_bytes == 0) {
    protocol::BatchBuilder builder;
    builder.add({clock.now(), "key", std::string(1000, 'v'), {}});
    ASSERT_TRUE(append("t", builder.finish().value()).result);
    ASSERT_LT(std::chrono::steady_clock::now(), give_up);
  }
}

}  // namespace
}  // namespace runnel::storage
