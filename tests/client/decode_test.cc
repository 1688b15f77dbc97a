// A checksum says that a batch is whole. That it is the one that follows is checked as well.
#include <gtest/gtest.h>

#include "protocol/base/bytes.h"
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
  const auto good = decode({10, 12, 14});
  ASSERT_TRUE(good);
  EXPECT_EQ(good->size(), 6u);
  for (const auto& bases : {std::initializer_list<std::int64_t>{10, 13}, {10, 10}, {12, 10}}) {
    const auto bad = decode(bases);
    ASSERT_FALSE(bad);
    EXPECT_EQ(bad.error().code(), Errc::corrupt);
  }
}

}  // namespace
}  // namespace runnel
