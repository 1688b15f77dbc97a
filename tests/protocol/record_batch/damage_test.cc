// Cut, changed and split batches: none is taken for another.
#include <bit>

#include "tests/protocol/record_batch/samples.h"

namespace runnel::protocol {
namespace {

std::vector<Buffer> one_of_each() {
  std::vector<OwnedRecord> records = sample_records();
  records.pop_back();  // The tests go byte by byte; 28 KB more would only take time.
  std::vector<Buffer> batches;
  for (const Codec codec : kAllCodecs) {
    BatchOptions options;
    options.codec = codec;
    batches.push_back(batch_of(records, options));
  }
  return batches;
}

bool is_outside_the_checksum(std::size_t byte) {
  return byte < 8 || (byte >= 12 && byte < 16);
}

TEST(DamagedBatch, CutAtEveryByteIsRefusedAtEveryDepth) {
  for (const Buffer& batch : one_of_each()) {
    for (std::size_t size = 0; size < batch.size(); ++size) {
      const Buffer cut = Buffer::copy_of(batch.bytes().first(size));
      for (const Depth depth : {Depth::kHeader, Depth::kCrc, Depth::kRecords}) {
        const auto result = validate_batch(cut.bytes(), depth);
        ASSERT_FALSE(result) << size;
        ASSERT_EQ(result.error().code(), ErrorCode::kMalformed) << size;
      }
      ASSERT_FALSE(read_all(cut.bytes())) << size;
    }
  }
}

TEST(DamagedBatch, CutAtEveryByteWithALengthAndChecksumThatAgreeIsRefused) {
  for (const Buffer& batch : one_of_each()) {
    for (std::size_t size = kBatchHeaderBytes; size < batch.size(); ++size) {
      Buffer cut = Buffer::copy_of(batch.bytes().first(size));
      seal(cut.mutable_bytes());
      ASSERT_FALSE(validate_batch(cut.bytes(), Depth::kRecords)) << size;
    }
  }
}

TEST(DamagedBatch, BytesAfterTheBatchAreNotItsOwn) {
  for (const Buffer& batch : one_of_each()) {
    Buffer longer = Buffer::allocate(batch.size() + 1);
    std::copy_n(batch.data(), batch.size(), longer.mutable_data());
    longer.mutable_data()[batch.size()] = std::byte{0x5a};
    for (const Depth depth : {Depth::kHeader, Depth::kCrc, Depth::kRecords}) {
      const auto size = validate_batch(longer.bytes(), depth);
      ASSERT_TRUE(size);
      EXPECT_EQ(*size, batch.size());
    }
    // Taken into the batch by its length and checksum, the byte belongs to no record.
    seal(longer.mutable_bytes());
    EXPECT_TRUE(validate_batch(longer.bytes(), Depth::kCrc));
    EXPECT_FALSE(validate_batch(longer.bytes(), Depth::kRecords));
  }
}

TEST(DamagedBatch, EveryFlippedBitUnderTheChecksumIsFound) {
  for (const Buffer& batch : one_of_each()) {
    Buffer changed = Buffer::copy_of(batch.bytes());
    for (std::size_t bit = 0; bit < batch.size() * 8; ++bit) {
      std::byte& byte = changed.mutable_data()[bit / 8];
      byte ^= std::byte{1} << (bit % 8);
      const bool accepted = validate_batch(changed.bytes(), Depth::kCrc).has_value();
      ASSERT_EQ(accepted, is_outside_the_checksum(bit / 8)) << "byte " << bit / 8;
      byte ^= std::byte{1} << (bit % 8);
    }
  }
}

TEST(DamagedBatch, AChangeAfterTheProducerIsCorruptNotMalformed) {
  const Buffer batch = batch_of(sample_records());
  Buffer changed = Buffer::copy_of(batch.bytes());
  changed.mutable_data()[batch.size() - 1] ^= std::byte{1};
  const auto result = validate_batch(changed.bytes(), Depth::kCrc);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code(), ErrorCode::kCorrupt);
  EXPECT_NE(result.error().message().find("checksum"), std::string::npos);
  EXPECT_TRUE(validate_batch(changed.bytes(), Depth::kHeader)) << "which does not look so far";
}

TEST(DeliveredInParts, SizeIsKnownFromTheTwelfthByteOn) {
  for (const Buffer& batch : one_of_each()) {
    for (std::size_t have = 0; have <= batch.size(); ++have) {
      const Buffer part = Buffer::copy_of(batch.bytes().first(have));
      const auto size = batch_size(part.bytes());
      ASSERT_TRUE(size) << have;
      ASSERT_EQ(size->has_value(), have >= kBatchLengthOverhead) << have;
      if (*size) {
        ASSERT_EQ(**size, batch.size());
      }
    }
  }
}

/// Takes whole batches off the front of what has arrived.
std::size_t take_batches(std::vector<std::byte>& arrived, std::vector<Buffer>& out) {
  std::size_t calls = 0;
  while (true) {
    ++calls;
    const auto size = batch_size(arrived);
    if (!size) {
      ADD_FAILURE() << size.error().to_string();
      return calls;
    }
    if (!*size || **size > arrived.size()) return calls;
    const auto end = arrived.begin() + static_cast<std::ptrdiff_t>(**size);
    out.push_back(Buffer::copy_of(Bytes(arrived).first(**size)));
    arrived.erase(arrived.begin(), end);
  }
}

TEST(DeliveredInParts, AStreamSplitAtEveryByteGivesTheSameBatches) {
  const std::vector<Buffer> batches = one_of_each();
  std::vector<std::byte> stream;
  for (const Buffer& b : batches) stream.insert(stream.end(), b.data(), b.data() + b.size());
  for (std::size_t split = 0; split <= stream.size(); ++split) {
    std::vector<std::byte> arrived(stream.begin(),
                                   stream.begin() + static_cast<std::ptrdiff_t>(split));
    std::vector<Buffer> taken;
    take_batches(arrived, taken);
    arrived.insert(arrived.end(), stream.begin() + static_cast<std::ptrdiff_t>(split),
                   stream.end());
    take_batches(arrived, taken);
    ASSERT_TRUE(arrived.empty()) << split;
    ASSERT_EQ(taken.size(), batches.size()) << split;
    for (std::size_t i = 0; i < batches.size(); ++i) {
      ASSERT_TRUE(std::ranges::equal(taken[i].bytes(), batches[i].bytes())) << split;
    }
  }
}

TEST(DeliveredInParts, ALengthThatNoBatchHasIsRefusedAtOnce) {
  const auto kMost = static_cast<std::int32_t>(kMaxBatchBytes - kBatchLengthOverhead);
  Buffer start = Buffer::allocate(kBatchLengthOverhead);
  std::fill_n(start.mutable_data(), start.size(), std::byte{0});
  for (const std::int32_t length : {49, 50, kMost - 1, kMost}) {
    store_be(start.mutable_data() + 8, length);
    EXPECT_TRUE(batch_size(start.bytes())) << length;
  }
  for (const std::int32_t length : {0, 48, -1, kMost + 1, std::numeric_limits<std::int32_t>::max(),
                                    std::numeric_limits<std::int32_t>::min()}) {
    store_be(start.mutable_data() + 8, length);
    const auto size = batch_size(start.bytes());
    ASSERT_FALSE(size) << length;
    EXPECT_EQ(size.error().code(), ErrorCode::kMalformed);
    EXPECT_NE(size.error().message().find(std::to_string(length)), std::string::npos);
  }
}

TEST(DamagedBatch, RandomDamageWithAValidChecksumNeverEscapes) {
  std::size_t accepted = 0, refused = 0;
  const std::vector<Buffer> batches = one_of_each();
  for_each_engine(1000, 20'000, [&](std::mt19937_64& engine) {
    Buffer changed = Buffer::copy_of(batches[up_to(engine, batches.size() - 1)].bytes());
    const std::size_t changes = 1 + up_to(engine, 3);
    for (std::size_t i = 0; i < changes; ++i) {
      // Low bytes first: the header and the first lengths matter most.
      const std::size_t most = up_to(engine, 1) == 0 ? 80 : changed.size() - 1;
      changed.mutable_data()[up_to(engine, most)] = static_cast<std::byte>(engine());
    }
    if (up_to(engine, 3) != 0) seal(changed.mutable_bytes());
    const auto read = read_all(changed.bytes());
    const auto valid = validate_batch(changed.bytes(), Depth::kRecords);
    if (valid) {
      EXPECT_TRUE(read) << "what is valid can be read";
      EXPECT_LE(*valid, changed.size());
    }
    (read ? accepted : refused) += 1;
  });
  if (std::getenv("RUNNEL_SEED") == nullptr) {
    EXPECT_GT(accepted, 100u);
    EXPECT_GT(refused, 100u);
  }
}

}  // namespace
}  // namespace runnel::protocol
