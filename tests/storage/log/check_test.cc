// `runnel check` on a directory whose files are sound and yet not all there.

#include "storage/check.h"
#include "storage/index/index.h"
#include "storage/log/log_store.h"
#include "tests/storage/log/store_fixture.h"

namespace runnel::storage {
namespace {

class CheckTest : public StoreFixture {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(open());
    create("t", 2);
  }
  /// Over several segments.
  void write(int batches) {
    for (int i = 0; i < batches; ++i) {
      ASSERT_EQ(code(append("t", make_batch({std::string(200'000, 'v')}), i % 2)), ErrorCode::kOk);
    }
  }
  void checkpoint() {
    clock.advance(std::chrono::seconds(10));
    ASSERT_TRUE(store->run_maintenance());
  }
  void kill() {
    fs.kill_process();
    store.reset();
  }
  void remove_index() {
    for (const auto& file : fs.files()) {
      if (file.path.find("/index/") != std::string::npos) {
        ASSERT_TRUE(fs.damage_remove(file.path));
      }
    }
  }
  /// What is damaged, one line each.
  std::vector<std::string> damages() {
    const auto report = check_directory("data", fs);
    EXPECT_TRUE(report) << report.error().to_string();
    std::vector<std::string> out;
    if (!report) return out;
    for (const Damage& d : report->damages) {
      out.push_back(d.file + ": " + d.what);
      for (const std::string& records : d.records) out.push_back(records);
    }
    return out;
  }
};

using Lines = std::vector<std::string>;

TEST_F(CheckTest, AllIsWellWithWhatAKillLeaves) {
  write(12);
  checkpoint();
  create("gone");
  ASSERT_TRUE(append("gone", make_batch({"a"})).result);
  ASSERT_TRUE(store->delete_records(ref("t"), Offset(4)));
  write(6);
  ASSERT_TRUE(store->delete_topic("gone"));
  ASSERT_TRUE(static_cast<LogStore&>(*store).flush_index());
  kill();
  const auto before = fs.counters();
  EXPECT_EQ(damages(), Lines());
  EXPECT_EQ(fs.counters().bytes_written, before.bytes_written) << "it changes nothing";
  ASSERT_NO_FATAL_FAILURE(open());
}

TEST_F(CheckTest, AMissingSegmentBeforeTheCheckpointIsSeen) {
  write(20);
  ASSERT_TRUE(store->close());
  store.reset();
  ASSERT_TRUE(fs.damage_remove("data/segments/0000000002.wal"));
  EXPECT_EQ(damages(), (Lines{"segment 2: the file is missing, but records that are not deleted "
                              "lie in it",
                              "t[0] offsets 3 to 4", "t[1] offsets 2 to 4"}));
}

TEST_F(CheckTest, AMissingSegmentBehindTheCheckpointIsSeen) {
  write(2);
  checkpoint();
  write(18);
  kill();
  ASSERT_TRUE(fs.damage_remove("data/segments/0000000002.wal"));
  const auto found = damages();
  ASSERT_FALSE(found.empty());
  EXPECT_TRUE(found[0].starts_with("segment 2: the file is missing: everything before segment"))
      << found[0];
  EXPECT_FALSE(Store::open(options()));
}

TEST_F(CheckTest, WithoutAnIndexTheFirstSegmentMustBeThere) {
  write(20);
  ASSERT_TRUE(store->close());
  store.reset();
  remove_index();
  EXPECT_EQ(damages(), Lines()) << "the index can be built from the segments";
  ASSERT_TRUE(fs.damage_remove("data/segments/0000000001.wal"));
  const auto found = damages();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_TRUE(found[0].starts_with("segment 1: the file is missing: everything before segment"))
      << found[0];
  EXPECT_FALSE(Store::open(options()));
}

TEST_F(CheckTest, WhatAStartRefusesIsSeen) {
  write(2);
  checkpoint();
  const PartitionId id = store->partition_id(ref("t"));
  write(2);
  kill();
  IndexOptions index_options;
  index_options.directory = "data/index";
  index_options.file_system = &fs;
  auto index = Index::open(std::move(index_options));
  ASSERT_TRUE(index);
  Mutations lost;
  lost.erase(Family::kMeta, keys::partition_state(id));
  ASSERT_TRUE((*index)->apply(lost));
  ASSERT_TRUE((*index)->flush());
  index->reset();
  const auto found = damages();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_TRUE(found[0].starts_with("index: the store can't be started: frame at segment 1"))
      << found[0];
  EXPECT_FALSE(Store::open(options()));
}

TEST_F(CheckTest, RecordsThatTheIndexKnowsMustBeInTheirSegment) {
  write(1);
  ASSERT_TRUE(store->close());
  store.reset();
  // The first life's segment in the place of a longer one of the same store.
  const auto young = fs.read_file("data/segments/0000000001.wal");
  const auto anchor = fs.read_file("data/anchor");
  ASSERT_TRUE(young && anchor);
  ASSERT_NO_FATAL_FAILURE(open());
  write(3);
  ASSERT_TRUE(store->close());
  store.reset();
  ASSERT_TRUE(fs.replace_file("data/segments/0000000001.wal", as_bytes(*young)));
  ASSERT_TRUE(fs.replace_file("data/anchor", as_bytes(*anchor)));
  const std::string missing = "segment 1: not all records that the index knows are there";
  EXPECT_EQ(damages(), (Lines{missing, "t[0] offsets 0 to 2", missing, "t[1] offsets 0 to 0"}));
}

TEST_F(CheckTest, ADirectoryThatIsMountedReadOnlyIsCheckedWithoutALock) {
  write(2);
  ASSERT_TRUE(store->close());
  store.reset();
  fs.set_read_only(true);
  const auto report = check_directory("data", fs);
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_TRUE(report->damages.empty());
  ASSERT_EQ(report->notes.size(), 1U);
  EXPECT_NE(report->notes[0].find("mounted read-only"), std::string::npos);
  fs.set_read_only(false);
  ASSERT_NO_FATAL_FAILURE(open());
  EXPECT_EQ(check_directory("data", fs).error().code(), ErrorCode::kLocked);
}

TEST_F(CheckTest, AStoreThatIsClosedButNotGoneStillHoldsItsDirectory) {
  ASSERT_TRUE(store->close());
  EXPECT_EQ(Store::open(options()).error().code(), ErrorCode::kLocked);
  store.reset();
  ASSERT_NO_FATAL_FAILURE(open());
}

}  // namespace
}  // namespace runnel::storage
