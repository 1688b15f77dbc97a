// Which bytes of a frame its checksums cover: all of them.
#include <gtest/gtest.h>

#include "protocol/record_batch/record_batch.h"
#include "storage/segments/frame.h"
#include "tests/storage/segments/journal_fixture.h"

namespace runnel::storage {
namespace {

constexpr std::uint64_t kSeed = 77;

Buffer batch_of(const std::string& value) {
  protocol::BatchBuilder builder{protocol::BatchOptions{}};
  builder.add({Timestamp(1), std::nullopt, value, {}});
  auto batch = builder.finish();
  EXPECT_TRUE(batch);
  return *batch;
}

TEST(Frame, AFlipOfAnyBitIsNoticedWhereverItIs) {
  const Buffer one = batch_of("first batch");
  const Buffer two = batch_of(std::string(100, 'b'));
  const Bytes parts[] = {one.bytes(), two.bytes(), as_bytes("no batch")};
  FrameHeader header;
  header.position = {1, 64};
  header.operations_bytes = 3;
  header.payload_bytes = static_cast<std::uint32_t>(one.size() + two.size() + 8);
  const auto sealed = seal_frame(header, as_bytes("ops"), parts, kSeed);
  std::string body = "ops";
  for (const Bytes part : parts) body += as_text(part);
  ASSERT_TRUE(frame_checksum_matches(header, sealed, as_bytes(body), kSeed));
  EXPECT_FALSE(frame_checksum_matches(header, sealed, as_bytes(body), kSeed + 1));
  for (std::size_t i = 0; i < body.size() * 8; ++i) {
    body[i / 8] = static_cast<char>(body[i / 8] ^ (1 << (i % 8)));
    EXPECT_FALSE(frame_checksum_matches(header, sealed, as_bytes(body), kSeed)) << "bit " << i;
    body[i / 8] = static_cast<char>(body[i / 8] ^ (1 << (i % 8)));
  }
}

TEST(Frame, ZerosAheadOfSmallFramesAreOverwrittenAndEndTheJournal) {
  JournalBox box;
  box.open();
  constexpr std::size_t kFrames = 12;
  for (std::size_t i = 0; i < kFrames; ++i) {
    ASSERT_TRUE(box.append("op", std::string(100, 'p')));
  }
  ASSERT_TRUE(box.journal->sync());
  EXPECT_GT(box.journal->written_bytes(), kFrames * 5000u) << "zeros count as written";
  box.disk.power_cut(CutMode::kDropAll);
  const auto replayed = box.open();
  ASSERT_TRUE(replayed.status);
  EXPECT_EQ(replayed.frames.size(), kFrames);
  EXPECT_FALSE(replayed.report.torn_tail);
}

// They would be written over at once by the next large frame, and have cost a write for nothing.
TEST(Frame, NoZerosAheadOfASmallFrameAmongLargeOnes) {
  JournalBox box;
  box.open();
  const std::uint64_t before = box.journal->written_bytes();
  std::uint64_t frames = 0;
  for (int i = 0; i < 20; ++i) {
    const std::string payload(i % 4 == 3 ? 40'000 : 100, 'p');
    const auto header = box.append("op", payload);
    ASSERT_TRUE(header);
    frames += header->total_bytes();
  }
  EXPECT_EQ(box.journal->written_bytes() - before, frames);
}

}  // namespace
}  // namespace runnel::storage
