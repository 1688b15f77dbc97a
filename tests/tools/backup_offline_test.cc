// A stopped store is copied as it is.
#include <gtest/gtest.h>

#include <filesystem>

#include "protocol/record_batch/record_batch.h"
#include "storage/env/manual_clock.h"
#include "tools/backup/offline.h"

namespace runnel::tools {
namespace {

namespace fs = std::filesystem;

class OfflineCopy : public testing::Test {
 protected:
  OfflineCopy() {
    std::string pattern = fs::temp_directory_path() / "runnel-offline-XXXXXX";
    root_ = ::mkdtemp(pattern.data());
  }
  ~OfflineCopy() override { fs::remove_all(root_); }
  [[nodiscard]] std::unique_ptr<storage::Store> open(storage::StoreOptions options) {
    options.background = false;
    options.clock = &clock_;
    options.low_space_bytes = options.ballast_bytes = 0;
    auto store = storage::Store::open(std::move(options));
    EXPECT_TRUE(store) << store.error().to_string();
    return store ? std::move(*store) : nullptr;
  }
  /// As a broker with producer.id.expiration.ms of a week.
  [[nodiscard]] std::unique_ptr<storage::Store> open_broker() {
    storage::StoreOptions options;
    options.directory = root_ + "/data";
    options.producer_expiry = std::chrono::hours(7 * 24);
    return open(std::move(options));
  }

  std::string root_;
  storage::ManualClock clock_;
};

TEST_F(OfflineCopy, ForgetsNoProducerThatTheBrokerRemembers) {
  {
    const auto store = open_broker();
    ASSERT_TRUE(store->create_topic({"t", 1, {}}));
    const auto producer = *store->new_producer();
    protocol::BatchOptions batch;
    batch.producer_id = producer.id;
    batch.producer_epoch = producer.epoch;
    batch.base_sequence = 0;
    protocol::BatchBuilder builder(batch);
    builder.add({clock_.now(), std::nullopt, "value", {}});
    storage::CommitRequest request;
    request.appends.push_back(
        {*store->partition("t", PartitionIndex(0)), *builder.finish(), {}, {}});
    ASSERT_TRUE(store->commit_and_wait(std::move(request)).result);
  }
  clock_.advance(std::chrono::hours(3 * 24));
  {
    const auto copied = open(options_for_copy(root_ + "/data"));
    ASSERT_TRUE(copied->take_snapshot());
    ASSERT_TRUE(copied->close());
  }
  const auto store = open_broker();
  EXPECT_EQ(store->producers(*store->partition("t", PartitionIndex(0)))->size(), 1U);
}

}  // namespace
}  // namespace runnel::tools
