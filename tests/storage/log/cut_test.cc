// Cutting off: a copy is brought to a moment between two snapshots.
#include "storage/log/cut.h"

#include "storage/check.h"
#include "storage/log/directory.h"
#include "storage/segments/segment_files.h"
#include "tests/storage/log/snapshot_copies.h"
#include "tests/storage/log/store_fixture.h"

namespace runnel::storage {
namespace {

class CutTest : public StoreTest {
 protected:
  void SetUp() override {
    StoreTest::SetUp();
    create("t", 2);
    write("before", 0);
    first_ = *store->take_snapshot();
    for (int i = 0; i < 4; ++i) {
      clock.advance(std::chrono::seconds(1));
      write("r" + std::to_string(i), 0);
      write("s" + std::to_string(i), 1);
    }
    clock.advance(std::chrono::seconds(1));
    create("late");
    write_to("late", "l0", 0);
    ASSERT_TRUE(store->delete_topic("t"));
    copy_snapshot(fs, first_, "copy");
    copy_later();
    store.reset();
  }
  void write_to(const std::string& topic, const std::string& value, int index) {
    ASSERT_TRUE(append(topic, make_batch({value}), index).result);
  }
  void write(const std::string& value, int index) { write_to("t", value, index); }

  CutOptions cut_options() {
    CutOptions o;
    o.segments = "copy/segments";
    o.frame_seed = read_format(fs, "copy")->frame_seed;
    for (const SnapshotFile& file : first_.files) {
      if (file.name.ends_with(".wal")) o.from = {1, static_cast<std::uint32_t>(file.bytes)};
    }
    o.partitions = first_.partitions;
    return o;
  }
  /// Gives the copy the journal of the store as it is now.
  void copy_later() {
    second_ = *store->take_snapshot();
    for (const SnapshotFile& file : second_.files) {
      if (file.name.starts_with("segments/")) copy_snapshot_file(fs, second_, file, "copy");
    }
  }
  /// Behind the last commit that the copy has.
  Position journal_end() {
    Position end;
    for (const SnapshotFile& file : second_.files) {
      const std::string_view name = file.name;
      const auto number = parse_segment_file_name(name.substr(name.find('/') + 1));
      if (number && *number >= end.segment) {
        end = {*number, static_cast<std::uint32_t>(file.bytes)};
      }
    }
    return end;
  }
  CutReport cut(const CutOptions& o) {
    const auto done = cut_journal(fs, o);
    EXPECT_TRUE(done) << done.error().to_string();
    const auto checked = check_directory("copy", fs);
    EXPECT_TRUE(checked && checked->damages.empty());
    StoreOptions s = options();
    s.directory = "copy";
    auto opened = Store::open(std::move(s));
    EXPECT_TRUE(opened) << opened.error().to_string();
    store = std::move(*opened);
    return done.value_or(CutReport());
  }

  const Timestamp start_ = clock.now();
  Snapshot first_;
  Snapshot second_;
};

TEST_F(CutTest, ATimeKeepsWhatWasCommittedUpToIt) {
  CutOptions o = cut_options();
  o.time = start_ + 2000;
  const CutReport report = cut(o);
  EXPECT_TRUE(report.reached);
  EXPECT_EQ(report.commits, 4U);
  EXPECT_EQ(report.last, start_ + 2000);
  EXPECT_EQ(values("t"), (std::vector<std::string>{"before", "r0", "r1"}));
  EXPECT_EQ(values("t", Offset(0), 1), (std::vector<std::string>{"s0", "s1"}));
  write("again", 0);
  EXPECT_EQ(values("t").back(), "again");
  EXPECT_EQ(store->partition_info(ref("t")).high_watermark, Offset(4));
}

TEST_F(CutTest, TheMillisecondBeforeIsBefore) {
  CutOptions o = cut_options();
  o.time = start_ + 1999;
  EXPECT_EQ(cut(o).commits, 2U);
  EXPECT_EQ(values("t"), (std::vector<std::string>{"before", "r0"}));
}

TEST_F(CutTest, AnOffsetCutsTheWholeStoreBeforeItsCommit) {
  CutOptions o = cut_options();
  o.limits = {{"t", PartitionIndex(0), Offset(3)}};
  const CutReport report = cut(o);
  EXPECT_TRUE(report.reached);
  EXPECT_EQ(report.ends, std::vector<std::optional<Offset>>{Offset(3)});
  EXPECT_EQ(values("t"), (std::vector<std::string>{"before", "r0", "r1"}));
  EXPECT_EQ(values("t", Offset(0), 1), (std::vector<std::string>{"s0", "s1"}));
}

TEST_F(CutTest, OfSeveralOffsetsTheFirstToBeReachedCounts) {
  CutOptions o = cut_options();
  o.limits = {{"t", PartitionIndex(0), Offset(4)}, {"t", PartitionIndex(1), Offset(0)}};
  cut(o);
  EXPECT_EQ(values("t"), (std::vector<std::string>{"before", "r0"}));
  EXPECT_EQ(values("t", Offset(0), 1), std::vector<std::string>());
}

TEST_F(CutTest, ATopicThatWasMadeLaterIsKnown) {
  CutOptions o = cut_options();
  o.limits = {{"late", PartitionIndex(0), Offset(0)}};
  EXPECT_TRUE(cut(o).reached);
  EXPECT_EQ(store->topic_names(), (std::vector<std::string>{"late", "t"}));
  EXPECT_EQ(values("late"), std::vector<std::string>());
  EXPECT_EQ(values("t").size(), 5U);
}

TEST_F(CutTest, WhatIsNotReachedCutsNothing) {
  CutOptions o = cut_options();
  o.limits = {{"t", PartitionIndex(0), Offset(99)}, {"none", PartitionIndex(0), Offset(0)}};
  const CutReport report = cut(o);
  EXPECT_FALSE(report.reached);
  EXPECT_EQ(report.ends, (std::vector<std::optional<Offset>>{Offset(5), std::nullopt}));
  EXPECT_EQ(store->topic_names(), std::vector<std::string>{"late"});
}

TEST_F(CutTest, AtTheVeryFirstCommitNothingIsKeptOfWhatFollows) {
  CutOptions o = cut_options();
  o.time = start_;
  EXPECT_EQ(cut(o).commits, 0U);
  EXPECT_EQ(values("t"), std::vector<std::string>{"before"});
}

TEST_F(CutTest, CommitsThatAClockWhichWasSetBackDatesEarlierAreCounted) {
  store.reset();
  ASSERT_NO_FATAL_FAILURE(open());
  create("u");
  const Timestamp before = clock.now();
  clock.advance(std::chrono::hours(1));
  write_to("u", "of a wrong clock", 0);
  clock.jump(-std::chrono::minutes(30));
  for (const char* const value : {"x", "y"}) write_to("u", value, 0);
  clock.advance(std::chrono::hours(1));
  write_to("u", "z", 0);
  copy_later();
  CutOptions o = cut_options();
  o.time = before + 2'400'000;  // forty minutes: shown twice
  EXPECT_EQ(cut_journal(fs, o)->set_back, 2U);
  copy_later();
  o.time = before;
  const auto whole = cut_journal(fs, o);
  EXPECT_TRUE(whole->reached);
  EXPECT_EQ(whole->set_back, 0U);
}

TEST_F(CutTest, ACommitThatCantBeReadIsNotPassedOver) {
  const CutReport end = *cut_journal(fs, cut_options());
  EXPECT_FALSE(end.reached);
  EXPECT_EQ(end.end, journal_end());
  // The last one, then one in the middle with a segment behind it.
  const std::string segment = "copy/segments/" + segment_file_name(end.end.segment);
  ASSERT_TRUE(fs.flip_bit(segment, end.end.offset - 40));
  const auto short_of = cut_journal(fs, cut_options());
  ASSERT_TRUE(short_of);
  EXPECT_LT(short_of->end, end.end);
}

TEST_F(CutTest, ACommitThatCantBeReadBeforeAnotherSegmentIsNamed) {
  ASSERT_NO_FATAL_FAILURE(open());
  create("u");
  for (int i = 0; i < 12; ++i) write_to("u", std::string(200'000, 'u'), 0);
  clock.advance(std::chrono::seconds(1));
  write_to("u", "later", 0);
  copy_later();
  CutOptions o = cut_options();
  o.time = clock.now() - 1;
  const auto sound = cut_journal(fs, o);
  ASSERT_TRUE(sound) << sound.error().to_string();
  EXPECT_TRUE(sound->reached);
  copy_later();
  ASSERT_TRUE(fs.flip_bit("copy/segments/" + segment_file_name(2), 300'000));
  const auto cut = cut_journal(fs, o);
  ASSERT_FALSE(cut);
  EXPECT_EQ(cut.error().code(), ErrorCode::kCorrupt);
  EXPECT_NE(cut.error().message().find("before segment 3 can't be read"), std::string::npos)
      << cut.error().message();
}

}  // namespace
}  // namespace runnel::storage
