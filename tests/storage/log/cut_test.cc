// Cutting off: a copy is brought to a moment between two snapshots.
#include "storage/log/cut.h"

#include "storage/check.h"
#include "storage/log/directory.h"
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
    second_ = *store->take_snapshot();
    // The first one's index with the second one's journal.
    copy_snapshot(fs, first_, "copy");
    for (const SnapshotFile& file : second_.files) {
      if (file.name.starts_with("segments/")) copy_snapshot_file(fs, second_, file, "copy");
    }
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

}  // namespace
}  // namespace runnel::storage
