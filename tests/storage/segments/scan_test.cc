// The offline walk: what a power cut leaves is no damage, what was synced and is gone is.
#include <gmock/gmock.h>

#include "protocol/record_batch/record_batch.h"
#include "tests/storage/segments/journal_fixture.h"

namespace runnel::storage {
namespace {

using ::testing::HasSubstr;

struct Walked {
  std::vector<std::string> operations;
  std::vector<std::vector<FileRange>> damaged;  // of each frame
  std::vector<JournalDamage> damages;
};

Walked walk(JournalBox& box) {
  Walked out;
  auto damages = scan_journal(box.disk, kDirectory, kAnchorPath, box.options.frame_seed,
                              [&](const FrameView& frame) -> Status {
                                out.operations.emplace_back(as_text(frame.operations));
                                out.damaged.push_back(frame.damaged);
                                return {};
                              },
                              {});
  EXPECT_TRUE(damages) << damages.error().to_string();
  if (damages) out.damages = std::move(*damages);
  return out;
}

using Operations = std::vector<std::string>;
const std::string kLarge(50'000, 'b');

/// Frames a and b fill the first segment, c begins the second one. No frame knows more than a to
/// have been synced.
FrameHeader fill_two(JournalBox& box) {
  EXPECT_TRUE(box.open().status);
  EXPECT_TRUE(box.append("a", "payload"));
  EXPECT_TRUE(box.journal->sync());
  const auto b = box.append("b", kLarge);
  EXPECT_TRUE(b);
  const auto c = box.append("c", kLarge);
  EXPECT_TRUE(c);
  EXPECT_EQ(c->position.segment, 2U);
  EXPECT_TRUE(box.journal->sync());
  return *b;
}

TEST(Scan, ACutThatKeptTheNextSegmentAndDroppedTheEndBeforeItIsNoDamage) {
  JournalBox box;
  const FrameHeader b = fill_two(box);
  box.disk.kill_process();
  ASSERT_TRUE(box.disk.flip_bit(JournalBox::segment_path(1), b.position.offset + 1));
  const Walked walked = walk(box);
  EXPECT_EQ(walked.damages.size(), 0U) << walked.damages[0].what;
  EXPECT_EQ(walked.operations, Operations{"a"}) << "what follows was never told to anybody";
  // The start says so, too.
  const Replayed replayed = box.open();
  ASSERT_TRUE(replayed.status) << replayed.status.error().to_string();
  EXPECT_EQ(replayed.frames.size(), 1U);
}

TEST(Scan, WhereALaterFrameKnowsOfItItIsDamage) {
  for (const bool anchored : {false, true}) {
    JournalBox box;
    const FrameHeader b = fill_two(box);
    if (anchored) {
      ASSERT_TRUE(box.journal->write_anchor());
    } else {
      ASSERT_TRUE(box.append("d", "knows that c was synced"));
    }
    box.disk.kill_process();
    ASSERT_TRUE(box.disk.flip_bit(JournalBox::segment_path(1), b.position.offset + 1));
    const Walked walked = walk(box);
    ASSERT_EQ(walked.damages.size(), 1U);
    EXPECT_EQ(walked.damages[0].position, b.position);
    EXPECT_GE(walked.operations.size(), 2U) << "what is behind it is shown";
    EXPECT_FALSE(box.open().status);
  }
}

/// A frame of two batches.
Result<FrameHeader> append_batches(JournalBox& box, const std::string& operations,
                                   std::uint64_t& second) {
  protocol::BatchBuilder builder;
  builder.add({Timestamp(1), std::nullopt, std::string(500, 'x')});
  const Buffer one = builder.finish().value();
  builder.add({Timestamp(2), std::nullopt, std::string(700, 'y')});
  const Buffer two = builder.finish().value();
  const Bytes parts[] = {one.bytes(), two.bytes()};
  FrameContent content;
  content.operations = as_bytes(operations);
  content.payload = parts;
  content.operation_count = 1;
  content.batch_count = 2;
  auto header = box.journal->append(content, box.clock.now());
  if (header) second = header->payload_position().offset + one.size();
  return header;
}

TEST(Scan, ABatchThatIsDamagedIsNamedAloneAndItsFrameIsShown) {
  JournalBox box;
  ASSERT_TRUE(box.open().status);
  std::uint64_t second = 0;
  const auto frame = append_batches(box, "ab", second);
  ASSERT_TRUE(frame);
  ASSERT_TRUE(box.journal->sync());
  ASSERT_TRUE(box.append("c", "payload"));
  ASSERT_TRUE(box.journal->sync());
  box.disk.kill_process();
  ASSERT_TRUE(box.disk.flip_bit(JournalBox::segment_path(1), second + 100));
  const Walked walked = walk(box);
  EXPECT_EQ(walked.operations, (Operations{"ab", "c"}));
  ASSERT_EQ(walked.damages.size(), 1U);
  EXPECT_EQ(walked.damages[0].position.offset, second);
  EXPECT_THAT(walked.damages[0].what, HasSubstr("record batch"));
  ASSERT_EQ(walked.damaged[0].size(), 1U);
  EXPECT_EQ(walked.damaged[0][0].from, second);
  EXPECT_EQ(walked.damaged[0][0].to - second, walked.damages[0].length);
  EXPECT_FALSE(box.open().status) << "a start takes no such frame";
}

TEST(Scan, ATornLastFrameIsNotTakenForOneWithADamagedBatch) {
  JournalBox box;
  ASSERT_TRUE(box.open().status);
  ASSERT_TRUE(box.append("a", "payload"));
  ASSERT_TRUE(box.journal->sync());
  std::uint64_t second = 0;
  ASSERT_TRUE(append_batches(box, "torn", second));
  box.disk.kill_process();
  ASSERT_TRUE(box.disk.flip_bit(JournalBox::segment_path(1), second + 100));
  const Walked walked = walk(box);
  EXPECT_EQ(walked.operations, Operations{"a"});
  EXPECT_TRUE(walked.damages.empty());
  EXPECT_TRUE(box.open().status);
}

}  // namespace
}  // namespace runnel::storage
