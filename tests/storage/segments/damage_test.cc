// A torn tail is cut off, damage is refused: nothing that was witnessed goes silently.
#include <gmock/gmock.h>

#include "tests/storage/segments/journal_fixture.h"

namespace runnel::storage {
namespace {

using ::testing::HasSubstr;

constexpr int kFrames = 4;

/// Four synced frames, each knowing the ones before durable. With `anchored`, the anchor knows all.
std::vector<FrameHeader> fill(JournalBox& box, bool anchored) {
  std::vector<FrameHeader> headers;
  EXPECT_TRUE(box.open().status);
  for (int i = 0; i < kFrames; ++i) {
    const auto header = box.append("op" + std::to_string(i), "payload " + std::to_string(i));
    EXPECT_TRUE(header);
    EXPECT_TRUE(box.journal->sync());
    headers.push_back(*header);
  }
  if (anchored) {
    EXPECT_TRUE(box.journal->write_anchor());
  }
  box.disk.kill_process();
  return headers;
}

bool is_prefix(const Replayed& replayed) {
  for (std::size_t i = 0; i < replayed.frames.size(); ++i) {
    const std::string n = std::to_string(i);
    if (replayed.frames[i] != "op" + n + "|payload " + n) return false;
  }
  return replayed.frames.size() <= kFrames;
}

TEST(JournalDamage, TruncationAtEveryByteOfTheLastFrame) {
  JournalBox probe;
  const FrameHeader last = fill(probe, false).back();
  const std::uint64_t begin = last.position.offset;
  // The padding may go as well, but that is the same case.
  const std::uint64_t whole =
      begin + kFrameHeaderBytes + last.operations_bytes + last.payload_bytes;
  for (const bool anchored : {false, true}) {
    for (std::uint64_t size = begin; size < whole; ++size) {
      JournalBox box;
      fill(box, anchored);
      ASSERT_TRUE(box.disk.damage_truncate(JournalBox::segment_path(1), size));
      const Replayed replayed = box.open();
      // With or without a witness: the header says how long the file was.
      ASSERT_FALSE(replayed.status) << "cut to " << size;
      EXPECT_EQ(replayed.status.error().code(), ErrorCode::kCorrupt);
    }
  }
}

TEST(JournalDamage, EveryFlippedBitIsRefusedOrHarmlessWhenAnchored) {
  JournalBox probe;
  const std::uint64_t end = fill(probe, true).back().position.offset + 96;
  for (std::uint64_t at = 0; at < end; ++at) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      JournalBox box;
      fill(box, true);
      ASSERT_TRUE(box.disk.flip_bit(JournalBox::segment_path(1), at, bit));
      const Replayed replayed = box.open();
      if (replayed.status) {
        ASSERT_EQ(replayed.frames.size(), static_cast<std::size_t>(kFrames))
            << "byte " << at << " bit " << bit;
        ASSERT_TRUE(is_prefix(replayed));
      }
    }
  }
}

TEST(JournalDamage, WithoutAnAnchorTheLaterFramesWitness) {
  JournalBox probe;
  const auto headers = fill(probe, false);
  for (std::uint64_t at = 0; at < headers.back().position.offset + 96; ++at) {
    JournalBox box;
    fill(box, false);
    ASSERT_TRUE(box.disk.flip_bit(JournalBox::segment_path(1), at, at % 8));
    const Replayed replayed = box.open();
    ASSERT_TRUE(is_prefix(replayed));
    // Only the last frame has nobody behind it who knows of it.
    if (replayed.status) {
      ASSERT_GE(replayed.frames.size(), kFrames - 1u) << "byte " << at;
    }
  }
}

TEST(JournalDamage, OneDamagedAnchorSlotLeavesTheOther) {
  for (const std::uint64_t slot : {std::uint64_t{0}, std::uint64_t{4096}}) {
    JournalBox box;
    ASSERT_TRUE(box.open().status);
    const auto first = box.append("op0", "payload 0");
    ASSERT_TRUE(box.journal->sync());
    ASSERT_TRUE(box.journal->write_anchor());
    ASSERT_TRUE(box.journal->write_anchor());
    box.disk.kill_process();
    ASSERT_TRUE(box.disk.flip_bit(kAnchorPath, slot + 20));
    ASSERT_TRUE(box.disk.flip_bit(JournalBox::segment_path(1), first->position.offset + 1));
    EXPECT_FALSE(box.open().status);
  }
}

TEST(JournalDamage, TheRefusalSaysWhereAndWhoKnows) {
  JournalBox box;
  const auto headers = fill(box, true);
  ASSERT_TRUE(box.disk.flip_bit(JournalBox::segment_path(1), headers[1].position.offset + 80));
  const Replayed replayed = box.open();
  ASSERT_FALSE(replayed.status);
  const std::string& message = replayed.status.error().message();
  EXPECT_THAT(message, HasSubstr(headers[1].position.to_string()));
  EXPECT_THAT(message, HasSubstr(JournalBox::segment_path(1)));
  EXPECT_THAT(message, HasSubstr("checksum mismatch"));
  EXPECT_THAT(message, HasSubstr("the anchor says everything before"));
  EXPECT_THAT(message, HasSubstr("the frame at " + headers[2].position.to_string()));
  EXPECT_THAT(message, HasSubstr("runnel check /data"));
}

TEST(JournalDamage, AMissingSegmentInTheMiddleIsRefused) {
  JournalBox box;
  ASSERT_TRUE(box.open().status);
  const std::string big(40'000, 'x');
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(box.append("a", big));
    ASSERT_TRUE(box.journal->sync());
  }
  box.disk.kill_process();
  ASSERT_TRUE(box.disk.damage_remove(JournalBox::segment_path(2)));
  const Replayed replayed = box.open();
  ASSERT_FALSE(replayed.status);
  EXPECT_EQ(replayed.status.error().code(), ErrorCode::kCorrupt);
  // Refusing changed nothing.
  EXPECT_TRUE(box.disk.exists(JournalBox::segment_path(3)));
}

// No witness is needed: the header says how long the file was.
TEST(JournalDamage, ASegmentThatWasCutIsRefusedByName) {
  JournalBox box;
  ASSERT_TRUE(box.open().status);
  ASSERT_TRUE(box.append("a", "1"));
  ASSERT_TRUE(box.journal->sync());
  box.disk.power_cut(CutMode::kDropAll);
  ASSERT_TRUE(box.disk.damage_truncate(JournalBox::segment_path(1), kSegmentHeaderBytes + 8));
  const Replayed replayed = box.open();
  ASSERT_FALSE(replayed.status);
  EXPECT_EQ(replayed.status.error().code(), ErrorCode::kCorrupt);
  EXPECT_NE(replayed.status.error().message().find("0000000001.wal was cut to 72 bytes"),
            std::string::npos);
}

// Whoever sends records may put anything into them, also the bytes of a frame.
TEST(JournalDamage, BytesOfAPayloadAreNoWitness) {
  for (const bool knows_the_seed : {false, true}) {
    JournalBox box;
    ASSERT_TRUE(box.open().status);
    ASSERT_TRUE(box.append("keep", "0"));
    ASSERT_TRUE(box.journal->sync());
    const Position torn = box.journal->end().position;
    FrameHeader forged;
    forged.sequence = box.journal->end().sequence + 2;
    forged.position = {torn.segment, torn.offset + 80};
    forged.durable = forged.position;
    const auto head = seal_frame(forged, {}, {}, knows_the_seed ? box.options.frame_seed : 0);
    ASSERT_TRUE(box.append("torn", "pppp" + std::string(as_text(head)) + std::string(100, 'q')));
    box.disk.kill_process();
    ASSERT_TRUE(box.disk.flip_bit(JournalBox::segment_path(1), torn.offset + 200));
    const Replayed again = box.open();
    EXPECT_EQ(again.status.has_value(), !knows_the_seed);
    if (!again.status) continue;
    EXPECT_EQ(again.frames, std::vector<std::string>{"keep|0"});
  }
}

TEST(JournalDamage, TheScanFindsWhatIsDamagedAndReadsTheRest) {
  JournalBox box;
  const auto headers = fill(box, true);
  const auto scan = [&](std::uint64_t& frames) {
    frames = 0;
    return scan_journal(box.disk, kDirectory, kAnchorPath, box.options.frame_seed,
                        [&](const FrameView&) -> Status {
                          ++frames;
                          return {};
                        },
                        {});
  };
  std::uint64_t frames = 0;
  auto damages = scan(frames);
  ASSERT_TRUE(damages);
  EXPECT_TRUE(damages->empty());
  EXPECT_EQ(frames, 4u);
  ASSERT_TRUE(box.disk.flip_bit(JournalBox::segment_path(1), headers[1].position.offset + 80));
  damages = scan(frames);
  ASSERT_TRUE(damages);
  ASSERT_EQ(damages->size(), 1u);
  EXPECT_EQ((*damages)[0].position, headers[1].position);
  EXPECT_EQ((*damages)[0].length, headers[1].total_bytes());
  EXPECT_EQ(frames, 3u);
  ASSERT_TRUE(box.disk.flip_bit(JournalBox::segment_path(1), headers[3].position.offset + 80));
  damages = scan(frames);
  ASSERT_TRUE(damages);
  EXPECT_EQ(damages->size(), 2u);
  EXPECT_EQ(frames, 2u);
}

}  // namespace
}  // namespace runnel::storage
