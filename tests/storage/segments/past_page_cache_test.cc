// The journal past the page cache is the same journal.
#include <gmock/gmock.h>

#include "tests/storage/segments/journal_fixture.h"

namespace runnel::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::uint64_t kThrough = std::numeric_limits<std::uint64_t>::max();

class PastPageCache : public ::testing::Test {
 protected:
  void SetUp() override {
    box.options.page_cache_bytes = 0;
    box.options.warn = [this](std::string_view text) { warnings.emplace_back(text); };
  }
  void open(std::uint64_t page_cache_bytes = 0) {
    box.options.page_cache_bytes = page_cache_bytes;
    const Replayed replayed = box.open();
    ASSERT_TRUE(replayed.status) << replayed.status.error().to_string();
    EXPECT_EQ(replayed.frames, frames);
  }
  void append(std::size_t bytes) {
    const std::string operations = "op" + std::to_string(frames.size());
    const std::string payload(bytes, static_cast<char>('a' + frames.size() % 26));
    ASSERT_TRUE(box.append(operations, payload));
    frames.push_back(operations + "|" + payload);
  }
  [[nodiscard]] std::uint64_t direct() const { return box.disk.counters().direct_bytes; }

  JournalBox box;
  std::vector<std::string> frames;
  std::vector<std::string> warnings;
};

TEST_F(PastPageCache, WhatWasSyncedIsThereAndWritingGoesOnWithinABlock) {
  ASSERT_NO_FATAL_FAILURE(open());
  for (int life = 0; life < 10; ++life) {
    for (const std::size_t bytes : {10u, 700u, 5000u, 30'000u}) {
      ASSERT_NO_FATAL_FAILURE(append(bytes));
    }
    ASSERT_TRUE(box.journal->sync());
    box.disk.power_cut(CutMode::kDropAll);
    ASSERT_NO_FATAL_FAILURE(open());
  }
  EXPECT_GT(box.journal->current_segment(), 5u);
  EXPECT_GT(direct(), 10u * 35'000u);
  EXPECT_EQ(warnings, std::vector<std::string>());
}

// acks=1 answers after append().
TEST_F(PastPageCache, WhatWasAppendedSurvivesTheProcess) {
  ASSERT_NO_FATAL_FAILURE(open());
  ASSERT_NO_FATAL_FAILURE(append(100));
  ASSERT_NO_FATAL_FAILURE(append(10'000));
  box.disk.kill_process();
  ASSERT_NO_FATAL_FAILURE(open());
}

TEST_F(PastPageCache, EachStartMayChooseAnew) {
  for (int life = 0; life < 12; ++life) {
    ASSERT_NO_FATAL_FAILURE(open(life % 2 == 0 ? 0 : kThrough));
    const std::uint64_t before = direct();
    for (const std::size_t bytes : {3u, 30'000u, 1000u}) ASSERT_NO_FATAL_FAILURE(append(bytes));
    EXPECT_EQ(direct() > before, life % 2 == 0);
    ASSERT_TRUE(box.journal->sync());
    box.disk.power_cut(CutMode::kDropAll);
  }
  ASSERT_NO_FATAL_FAILURE(open());
}

TEST_F(PastPageCache, SmallFramesAreWrittenIntoZerosAndEndTheJournal) {
  ASSERT_NO_FATAL_FAILURE(open());
  for (int i = 0; i < 40; ++i) ASSERT_NO_FATAL_FAILURE(append(100));
  EXPECT_GT(direct(), 40u * 4096u) << "zeros as well";
  ASSERT_TRUE(box.journal->sync());
  box.disk.power_cut(CutMode::kDropAll);
  ASSERT_NO_FATAL_FAILURE(open());
}

TEST_F(PastPageCache, AFrameLargerThanASegmentGetsItsOwn) {
  ASSERT_NO_FATAL_FAILURE(open());
  for (const std::size_t bytes : {1u, 300'001u, 5000u}) ASSERT_NO_FATAL_FAILURE(append(bytes));
  EXPECT_EQ(box.journal->current_segment(), 3u);
  EXPECT_EQ(box.journal->disk_bytes() % 4096, 0u);
  ASSERT_TRUE(box.journal->sync());
  ASSERT_NO_FATAL_FAILURE(open());
}

// There is nothing to release, and what readers brought back is theirs.
TEST_F(PastPageCache, NothingIsReleased) {
  box.options.segment_bytes = 32u << 20;
  ASSERT_NO_FATAL_FAILURE(open());
  for (int i = 0; i < 20; ++i) ASSERT_NO_FATAL_FAILURE(append(1u << 20));
  ASSERT_TRUE(box.journal->sync());
  box.journal->release_cold_pages();
  EXPECT_TRUE(box.disk.released().empty());
}

TEST_F(PastPageCache, WhereTheFileSystemCannotItIsSaidOnceAndThePagesAreReleased) {
  box.disk.set_refuses_direct(true);
  box.options.segment_bytes = 32u << 20;
  ASSERT_NO_FATAL_FAILURE(open());
  box.journal->release_cold_pages();
  for (int i = 0; i < 70; ++i) ASSERT_NO_FATAL_FAILURE(append(1u << 20));
  EXPECT_EQ(box.journal->current_segment(), 3u);
  ASSERT_TRUE(box.journal->sync());
  box.journal->release_cold_pages();
  EXPECT_FALSE(box.disk.released().empty());
  EXPECT_EQ(direct(), 0u);
  EXPECT_THAT(warnings, ElementsAre(HasSubstr("page-cache 0")));
  ASSERT_NO_FATAL_FAILURE(open());
}

// An earlier version made segments of any multiple of eight bytes.
TEST_F(PastPageCache, ASegmentThatEndsWithinABlockIsFinishedThroughThePageCache) {
  ASSERT_NO_FATAL_FAILURE(open(kThrough));
  ASSERT_NO_FATAL_FAILURE(append(100));
  ASSERT_TRUE(box.journal->sync());
  {
    const auto file = box.disk.open(JournalBox::segment_path(1), {.write = true});
    ASSERT_TRUE(file);
    ASSERT_TRUE((*file)->allocate(kMinSegmentBytes + 8));
    ASSERT_TRUE((*file)->sync());
  }
  ASSERT_NO_FATAL_FAILURE(open());
  ASSERT_NO_FATAL_FAILURE(append(30'000));
  EXPECT_EQ(direct(), 0u);
  ASSERT_NO_FATAL_FAILURE(append(50'000));
  EXPECT_GT(direct(), 50'000u) << "the next segment";
  ASSERT_TRUE(box.journal->sync());
  ASSERT_NO_FATAL_FAILURE(open());
  EXPECT_EQ(box.disk.files().front().path, "/data/segments/0000000001.wal");
  EXPECT_EQ(box.disk.files().front().size, kMinSegmentBytes + 8);
}

}  // namespace
}  // namespace runnel::storage
