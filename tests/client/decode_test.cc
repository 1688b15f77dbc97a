// A checksum says that a batch is whole. That it is the one that follows is checked as well.
#include <gtest/gtest.h>

#include "protocol/base/bytes.h"
#include "protocol/record_batch/control_record.h"
#include "protocol/record_batch/record_batch.h"
#include "runnel/client.h"

namespace runnel {
namespace {

Buffer batches_at(std::initializer_list<std::int64_t> bases) {
  ByteWriter all;
  for (const std::int64_t base : bases) {
    protocol::BatchBuilder builder;
    builder.add({Timestamp(1), std::nullopt, "one", {}});
    builder.add({Timestamp(2), std::nullopt, "two", {}});
    Buffer batch = *builder.finish();
    protocol::stamp_batch(batch.mutable_bytes(), Offset(base), LeaderEpoch(0));
    all.raw(batch.bytes());
  }
  return Buffer::copy_of(all.bytes());
}

Outcome<Batch> decode(std::initializer_list<std::int64_t> bases) {
  FetchedPartition fetched;
  fetched.target = {"t", 0};
  const auto owner = std::make_shared<const Buffer>(batches_at(bases));
  fetched.batches = owner->bytes();
  fetched.owner = owner;
  return fetched.decode(10);
}

TEST(Decode, BatchesThatDoNotFollowEachOtherAreCorrupt) {
  for (const auto& bases : {std::initializer_list<std::int64_t>{10, 12, 14}, {10, 13, 20}}) {
    const auto good = decode(bases);  // compaction leaves gaps
    ASSERT_TRUE(good);
    EXPECT_EQ(good->size(), 6u);
  }
  for (const auto& bases : {std::initializer_list<std::int64_t>{10, 11}, {10, 10}, {12, 10}}) {
    const auto bad = decode(bases);
    ASSERT_FALSE(bad);
    EXPECT_EQ(bad.error().code(), Errc::corrupt);
  }
}

TEST(Decode, AbortedTransactionsOfSeveralProducersAreLeftOut) {
  using protocol::ControlType;
  ByteWriter all;
  std::int64_t next = 10;
  const auto put = [&](Buffer batch) {
    protocol::stamp_batch(batch.mutable_bytes(), Offset(next++), LeaderEpoch(0));
    all.raw(batch.bytes());
  };
  const auto write = [&](std::int64_t producer, std::string_view value, bool transactional = true) {
    protocol::BatchOptions options;
    options.producer_id = ProducerId(producer);
    options.producer_epoch = ProducerEpoch(0);
    options.base_sequence = 0;
    options.transactional = transactional;
    protocol::BatchBuilder builder(options);
    builder.add({Timestamp(1), std::nullopt, value, {}});
    put(*builder.finish());
  };
  const auto end = [&](std::int64_t producer, ControlType type) {
    put(protocol::end_txn_batch({type, 0}, ProducerId(producer), ProducerEpoch(0), Timestamp(1)));
  };
  write(1, "began before the fetch");
  write(2, "kept");
  end(1, ControlType::kAbort);
  write(1, "kept too");
  end(2, ControlType::kCommit);
  write(2, "aborted");
  write(3, "outside", false);
  end(1, ControlType::kCommit);
  write(3, "aborted at last");
  end(2, ControlType::kAbort);
  end(3, ControlType::kAbort);
  write(2, "the end");
  FetchedPartition fetched;
  fetched.target = {"t", 0};
  const auto owner = std::make_shared<const Buffer>(Buffer::copy_of(all.bytes()));
  fetched.batches = owner->bytes();
  fetched.owner = owner;
  fetched.aborted = {{1, 3}, {2, 15}, {3, 18}};
  const auto batch = fetched.decode(10);
  ASSERT_TRUE(batch) << batch.error().to_string();
  std::vector<std::string> values;
  for (const auto& record : *batch) values.emplace_back(record.value.value_or(""));
  EXPECT_EQ(values, (std::vector<std::string>{"kept", "kept too", "outside", "the end"}));
}

}  // namespace
}  // namespace runnel
