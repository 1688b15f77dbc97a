#include "protocol/record_batch/empty_batch.h"

#include <gtest/gtest.h>

#include <limits>

#include "protocol/record_batch/crc32c.h"
#include "protocol/record_batch/record_batch.h"

namespace runnel::protocol {
namespace {

TEST(EmptyBatch, SaysFromWhereToWhereThereIsNothing) {
  const Buffer batch = empty_batch(Offset(7), Offset(11));
  ASSERT_EQ(batch.size(), kBatchHeaderBytes);
  const BatchView view(batch.bytes());
  EXPECT_EQ(view.total_bytes(), batch.size());
  EXPECT_EQ(view.base_offset(), Offset(7));
  EXPECT_EQ(view.last_offset(), Offset(11));
  EXPECT_EQ(view.record_count(), 0);
  EXPECT_EQ(view.producer_id(), kNoProducer);
  EXPECT_FALSE(view.is_control() || view.is_transactional());
  EXPECT_EQ(view.crc(), crc32c(batch.bytes().subspan(21)));
}

TEST(EmptyBatch, ARangeTooLargeForOneIsBegun) {
  constexpr std::int32_t kFarthest = std::numeric_limits<std::int32_t>::max();
  const Buffer batch = empty_batch(Offset(5), Offset(std::int64_t{kFarthest} + 6));
  EXPECT_EQ(BatchView(batch.bytes()).last_offset_delta(), kFarthest);
}

}  // namespace
}  // namespace runnel::protocol
