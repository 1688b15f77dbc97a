#include "storage/segments/journal.h"

#include <gmock/gmock.h>

#include <future>

#include "tests/storage/segments/journal_fixture.h"
#include "tests/support/hook_file_system.h"

namespace runnel::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Journal, StartsEmptyAndKeepsWhatWasSynced) {
  JournalBox box;
  const Replayed first = box.open();
  ASSERT_TRUE(first.status) << first.status.error().to_string();
  EXPECT_EQ(first.report.frames, 0u);
  EXPECT_FALSE(first.report.torn_tail);
  EXPECT_EQ(box.journal->end().position, (Position{1, kSegmentHeaderBytes}));

  const auto header = box.append("ops", "payload");
  ASSERT_TRUE(header);
  EXPECT_EQ(header->sequence, 1u);
  EXPECT_EQ(header->position, (Position{1, kSegmentHeaderBytes}));
  EXPECT_EQ(header->total_bytes(), 88u);
  EXPECT_LT(box.journal->durable(), box.journal->end().position);
  const auto durable = box.journal->sync();
  ASSERT_TRUE(durable);
  EXPECT_EQ(*durable, box.journal->end().position);
  EXPECT_EQ(box.journal->durable(), *durable);

  box.disk.power_cut(CutMode::kDropAll);
  const Replayed again = box.open();
  ASSERT_TRUE(again.status) << again.status.error().to_string();
  EXPECT_THAT(again.frames, ElementsAre("ops|payload"));
  EXPECT_EQ(again.headers[0].checksum, header->checksum);
  EXPECT_EQ(again.headers[0].batch_count, 2u);
}

TEST(Journal, ReplaysFromAPointInTheMiddle) {
  JournalBox box;
  ASSERT_TRUE(box.open().status);
  ASSERT_TRUE(box.append("a", "1"));
  const JournalPoint middle = box.journal->end();
  ASSERT_TRUE(box.append("b", "2"));
  ASSERT_TRUE(box.journal->sync());
  const Replayed again = box.open(middle);
  ASSERT_TRUE(again.status);
  EXPECT_THAT(again.frames, ElementsAre("b|2"));
}

TEST(Journal, RefusesAJournalThatEndsBeforeTheIndex) {
  JournalBox box;
  ASSERT_TRUE(box.open().status);
  ASSERT_TRUE(box.append("a", "1"));
  ASSERT_TRUE(box.journal->sync());
  const JournalPoint end = box.journal->end();
  ASSERT_TRUE(box.disk.damage_remove(JournalBox::segment_path(1)));
  const Replayed again = box.open(end);
  ASSERT_FALSE(again.status);
  EXPECT_EQ(again.status.error().code(), ErrorCode::kCorrupt);
}

TEST(Journal, RollsAndSyncsTheOldSegmentFirst) {
  JournalBox box;
  ASSERT_TRUE(box.open().status);
  const std::string big(40'000, 'x');
  ASSERT_TRUE(box.append("a", big));
  ASSERT_TRUE(box.append("b", big));  // rolls while the first is unsynced
  EXPECT_EQ(box.journal->current_segment(), 2u);
  ASSERT_TRUE(box.append("c", "small"));
  ASSERT_TRUE(box.journal->sync());
  box.disk.power_cut(CutMode::kDropAll);
  const Replayed again = box.open();
  ASSERT_TRUE(again.status) << again.status.error().to_string();
  EXPECT_THAT(again.frames, ElementsAre("a|" + big, "b|" + big, "c|small"));
}

TEST(Journal, UnsyncedRollIsDroppedAndItsFileUsedAgain) {
  JournalBox box;
  ASSERT_TRUE(box.open().status);
  const std::string big(40'000, 'x');
  ASSERT_TRUE(box.append("a", big));
  ASSERT_TRUE(box.journal->sync());
  ASSERT_TRUE(box.append("b", big));
  box.disk.power_cut(CutMode::kDropAll);
  Replayed again = box.open();
  ASSERT_TRUE(again.status) << again.status.error().to_string();
  EXPECT_THAT(again.frames, ElementsAre("a|" + big));
  EXPECT_EQ(box.journal->current_segment(), 1u);
  ASSERT_TRUE(box.append("c", big));
  EXPECT_EQ(box.journal->current_segment(), 2u);
  ASSERT_TRUE(box.journal->sync());
  again = box.open();
  EXPECT_THAT(again.frames, ElementsAre("a|" + big, "c|" + big));
}

TEST(Journal, AFrameLargerThanASegmentGetsItsOwn) {
  JournalBox box;
  ASSERT_TRUE(box.open().status);
  const std::string huge(300'000, 'h');
  ASSERT_TRUE(box.append("a", "1"));
  box.journal->prepare_next();
  ASSERT_TRUE(box.append("b", huge));
  ASSERT_TRUE(box.append("c", std::string(5000, '3')));
  EXPECT_EQ(box.journal->current_segment(), 3u);
  ASSERT_TRUE(box.journal->sync());
  const Replayed again = box.open();
  ASSERT_TRUE(again.status) << again.status.error().to_string();
  EXPECT_THAT(again.frames, ElementsAre("a|1", "b|" + huge, "c|" + std::string(5000, '3')));
}

TEST(Journal, DeadSegmentsAreDeletedAndReplayGoesOnBehindThem) {
  JournalBox box;
  ASSERT_TRUE(box.open().status);
  const std::string big(30'000, 'x');
  for (int i = 0; i < 6; ++i) ASSERT_TRUE(box.append("old" + std::to_string(i), big));
  ASSERT_EQ(box.journal->current_segment(), 3u);
  ASSERT_TRUE(box.journal->sync());
  const JournalPoint point = box.journal->end();
  EXPECT_EQ(box.journal->remove_segment(3).error().code(), ErrorCode::kInvalidArgument);
  ASSERT_TRUE(box.journal->remove_segment(1));
  ASSERT_TRUE(box.journal->remove_segment(2));
  EXPECT_EQ(box.journal->remove_segment(2).error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(box.journal->segment(1).error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(box.journal->disk_bytes(), kMinSegmentBytes);
  EXPECT_FALSE(box.disk.exists(JournalBox::segment_path(1)));
  ASSERT_TRUE(box.append("new0", big));
  ASSERT_TRUE(box.append("new1", "in a new segment"));
  ASSERT_EQ(box.journal->current_segment(), 4u);
  EXPECT_EQ(box.journal->disk_bytes(), 2 * kMinSegmentBytes);
  ASSERT_TRUE(box.journal->sync());
  box.disk.power_cut(CutMode::kDropAll);
  const Replayed again = box.open(point);
  ASSERT_TRUE(again.status) << again.status.error().to_string();
  EXPECT_THAT(again.frames, ElementsAre("new0|" + big, "new1|in a new segment"));
  EXPECT_FALSE(again.report.torn_tail);
}

// Closing it can take a tenth of a second, and everybody's commits would wait.
TEST(Journal, ADeletedSegmentIsClosedWhileOthersGoOn) {
  JournalBox box;
  HookFileSystem hooks(box.disk);
  box.options.file_system = &hooks;
  ASSERT_TRUE(box.open().status);
  const std::string big(40'000, 'x');
  ASSERT_TRUE(box.append("a", big));
  ASSERT_TRUE(box.append("b", big));
  ASSERT_TRUE(box.journal->sync());
  bool went_on = false;
  std::future<JournalPoint> other;
  hooks.before_close.arm([&] {
    other = std::async(std::launch::async, [&] { return box.journal->end(); });
    went_on = other.wait_for(std::chrono::seconds(10)) == std::future_status::ready;
  });
  ASSERT_TRUE(box.journal->remove_segment(1));
  other.wait();
  EXPECT_TRUE(went_on);
  box.journal.reset();  // before the hooks
}

TEST(Journal, ADeletedSegmentStaysReadableForWhoHoldsIt) {
  JournalBox box;
  ASSERT_TRUE(box.open().status);
  const std::string big(40'000, 'x');
  ASSERT_TRUE(box.append("a", big));
  ASSERT_TRUE(box.append("b", big));
  ASSERT_TRUE(box.journal->sync());
  const auto reader = box.journal->segment(1);
  ASSERT_TRUE(reader);
  ASSERT_TRUE(box.journal->remove_segment(1));
  EXPECT_EQ(box.journal->disk_bytes(), kMinSegmentBytes);
  ASSERT_TRUE(box.append("c", big));
  std::string seen(4, 0);
  ASSERT_TRUE((*reader)->read_exactly(200, std::as_writable_bytes(std::span(seen))));
  EXPECT_EQ(seen, "xxxx");
}

// A dead tail's later frames lie aligned behind a new frame of the same size: the chain tells.
TEST(Journal, StaleFramesBehindARewrittenTailStayDead) {
  JournalBox box;
  ASSERT_TRUE(box.open().status);
  ASSERT_TRUE(box.append("keep", "0"));
  const auto torn = box.append("torn", "1");
  ASSERT_TRUE(torn);
  ASSERT_TRUE(box.append("stale", "2"));
  box.disk.kill_process();
  ASSERT_TRUE(box.disk.flip_bit(JournalBox::segment_path(1), torn->payload_position().offset));
  Replayed again = box.open();
  ASSERT_TRUE(again.status) << again.status.error().to_string();
  EXPECT_THAT(again.frames, ElementsAre("keep|0"));
  EXPECT_TRUE(again.report.torn_tail);
  ASSERT_TRUE(box.append("next", "1"));
  ASSERT_TRUE(box.journal->sync());
  again = box.open();
  ASSERT_TRUE(again.status) << again.status.error().to_string();
  EXPECT_THAT(again.frames, ElementsAre("keep|0", "next|1"));
}

TEST(Journal, NothingIsTakenAfterAFailedSync) {
  JournalBox box;
  ASSERT_TRUE(box.open().status);
  ASSERT_TRUE(box.append("a", "1"));
  box.disk.set_fault({.nth = 1, .operations = static_cast<std::uint32_t>(SimOperation::kSync)});
  EXPECT_FALSE(box.journal->sync());
  box.disk.clear_fault();
  EXPECT_FALSE(box.journal->sync());
  EXPECT_FALSE(box.append("b", "2"));
}

TEST(Journal, AFullDiskStopsTheRollNotTheJournal) {
  JournalBox box;
  ASSERT_TRUE(box.open().status);
  const std::string big(40'000, 'x');
  ASSERT_TRUE(box.append("a", big));
  box.disk.set_capacity(kMinSegmentBytes + 10'000);
  const auto refused = box.append("b", big);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kLowSpace);
  ASSERT_TRUE(box.append("c", "fits"));
  box.disk.set_capacity(1u << 30);
  ASSERT_TRUE(box.append("d", big));
  ASSERT_TRUE(box.journal->sync());
  EXPECT_THAT(box.open().frames, ElementsAre("a|" + big, "c|fits", "d|" + big));
}

TEST(Journal, ASegmentMadeReadySmallOnAShortDiskCountsAsWhatItIs) {
  JournalBox box(1, 1u << 20);
  ASSERT_TRUE(box.open().status);
  ASSERT_TRUE(box.append("a", std::string(1'000'000, 'x')));
  box.disk.set_capacity((1u << 20) + 2 * kMinSegmentBytes);
  ASSERT_TRUE(box.journal->ensure_room(60'000, Journal::RoomFor::kMakingRoom));
  EXPECT_EQ(box.journal->disk_bytes(), (1u << 20) + kMinSegmentBytes);
}

// The pages that are let go are those before the newest page_cache_bytes, each once.
TEST(Journal, ReleasesThePagesOfWhatWasWrittenLongestAgo) {
  constexpr std::uint64_t kMiB = 1u << 20;
  JournalBox box(1, 32 * kMiB);
  box.options.page_cache_bytes = 24 * kMiB;
  ASSERT_TRUE(box.open().status);
  box.journal->release_cold_pages();
  const std::string mebibyte(kMiB, 'x');
  const auto let_go = [&](std::uint64_t segment) {
    std::uint64_t to = 0;
    for (const SimReleased& r : box.disk.released()) {
      if (r.path != JournalBox::segment_path(static_cast<unsigned>(segment))) continue;
      EXPECT_EQ(r.position, to) << "a gap, or twice";
      to = r.position + r.length;
    }
    return to;
  };
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(box.append("a", mebibyte));
    ASSERT_TRUE(box.journal->sync());
    box.journal->release_cold_pages();
    std::uint64_t kept = 0;
    const Position end = box.journal->durable();
    for (std::uint64_t s = 1; s <= end.segment; ++s) {
      kept += (s == end.segment ? end.offset : 32 * kMiB) - let_go(s);
    }
    EXPECT_GE(kept, std::min<std::uint64_t>(static_cast<std::uint64_t>(i) * kMiB, 24 * kMiB));
    EXPECT_LE(kept, 40 * kMiB + 2 * kMiB);  // what is kept, a step, and the frame
  }
  EXPECT_EQ(let_go(1), 32 * kMiB);
}

TEST(Journal, RefusesASegmentOfAnotherStore) {
  JournalBox box;
  ASSERT_TRUE(box.open().status);
  box.options.store.bytes[0] = 8;
  const Replayed other = box.open();
  ASSERT_FALSE(other.status);
  EXPECT_EQ(other.status.error().code(), ErrorCode::kCorrupt);
  EXPECT_THAT(other.status.error().message(), HasSubstr("belongs to store"));
}

}  // namespace
}  // namespace runnel::storage
