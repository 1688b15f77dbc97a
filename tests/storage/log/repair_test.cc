// `runnel repair`: what is damaged is put aside and known to be lost, all else is served as it was.
#include <fstream>
#include <future>
#include <sstream>

#include "storage/log/quarantine.h"
#include "storage/repair.h"
#include "tests/storage/log/repair_reader.h"

namespace runnel::storage {
namespace {

class RepairTest : public StoreFixture {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(open());
    create("t", 2);
  }
  void write(int batches, std::size_t bytes = 200'000) {
    for (int i = 0; i < batches; ++i) {
      ASSERT_EQ(code(append("t", make_batch({std::string(bytes, 'v'), "and"}), i % 2)),
                ErrorCode::kOk);
    }
  }
  void checkpoint() {
    clock.advance(std::chrono::seconds(10));
    ASSERT_TRUE(store->run_maintenance());
  }
  void close() {
    ASSERT_TRUE(store->close());
    store.reset();
  }
  RepairReport repair(bool dry_run = false) {
    RepairOptions options;
    options.dry_run = dry_run;
    options.clock = &clock;
    auto report = repair_directory("data", fs, options);
    EXPECT_TRUE(report) << report.error().to_string();
    return report ? *report : RepairReport{};
  }
  std::size_t damages() {
    const auto report = check_directory("data", fs);
    EXPECT_TRUE(report) << report.error().to_string();
    if (!report) return 999;
    for (const Damage& d : report->damages) notes.push_back(d.file + ": " + d.what);
    return report->damages.size();
  }
  /// Where the bytes of a batch lie in its segment, a little behind its head.
  std::uint64_t inside(int partition, Offset offset) {
    const auto at = ref("t", partition);
    FetchRequest request{{{at, offset, 1}}};
    std::promise<FetchResult> fetched;
    store->fetch(std::move(request),
                 [&](FetchResult result) { fetched.set_value(std::move(result)); });
    const FetchResult result = fetched.get_future().get();
    EXPECT_EQ(result[0].slices.size(), 1U);
    return result[0].slices.at(0).position + 5000;
  }

  std::vector<std::string> notes;
};

const std::string kFirst = "data/segments/0000000001.wal";

TEST_F(RepairTest, OneBatchIsLostAndItsNeighboursAreServed) {
  write(3, 5'000);
  const std::uint64_t at = inside(0, Offset(2)) - 4000;
  write(2, 5'000);
  Records before = read_all(*store, ref("t")).records;
  close();
  ASSERT_TRUE(fs.flip_bit(kFirst, at));
  EXPECT_EQ(damages(), 1U);

  const RepairReport report = repair();
  const std::vector<LostRange> lost = {{"t", PartitionIndex(0), Offset(2), Offset(3)}};
  EXPECT_EQ(report.lost, lost);
  ASSERT_EQ(report.quarantined.size(), 1U);
  EXPECT_EQ(report.quarantined[0].lost, lost);
  EXPECT_EQ(report.quarantined[0].file, "segments/0000000001.wal");
  EXPECT_TRUE(report.notes.empty()) << report.notes[0];
  const auto kept = fs.read_file("data/quarantine/" + report.quarantined[0].bytes);
  ASSERT_TRUE(kept);
  EXPECT_EQ(kept->size(), report.quarantined[0].length);
  EXPECT_LT(kept->size(), 5'200U) << "no more than that batch";
  EXPECT_EQ(damages(), 0U) << notes[0];

  ASSERT_NO_FATAL_FAILURE(open());
  for (int life = 0; life < 2; ++life) {
    const Read after = read_all(*store, ref("t"));
    Records expected = before;
    expected.erase(2);
    expected.erase(3);
    EXPECT_EQ(after.records, expected);
    EXPECT_EQ(after.lost, (std::vector<std::pair<std::int64_t, std::int64_t>>{{2, 3}}));
    EXPECT_EQ(store->stats().lost_ranges, 1U);
    EXPECT_EQ(store->stats().lost_offsets, 2U);
    // One that begins within the range is told the same end.
    const auto within = store->fetch_and_wait({{{ref("t"), Offset(3), 1u << 20}}});
    ASSERT_TRUE(within[0].head.error);
    EXPECT_EQ(goes_on_at(*within[0].head.error), Offset(4));
    EXPECT_EQ(values("t", Offset(0), 1).size(), life == 0 ? 4U : 2U)
        << "the other partition is whole";
    ASSERT_TRUE(append("t", make_batch({"more"})).result);
    ASSERT_TRUE(store->delete_records(ref("t"), Offset(0)));
    if (life == 1) continue;
    ASSERT_TRUE(store->delete_records(ref("t", 1), Offset(2)));
    const auto appended = read_all(*store, ref("t")).records.rbegin()->second;
    EXPECT_EQ(appended, "=more");
    close();
    EXPECT_EQ(damages(), 0U) << notes[0];
    ASSERT_NO_FATAL_FAILURE(open());
    ASSERT_TRUE(store->partition_info(ref("t")).high_watermark == Offset(7));
    before[6] = "=more";
  }
  // It is forgotten once the log begins behind it.
  ASSERT_TRUE(store->delete_records(ref("t"), Offset(3)));
  EXPECT_EQ(store->stats().lost_ranges, 1U);
  ASSERT_TRUE(store->delete_records(ref("t"), Offset(5)));
  EXPECT_EQ(store->stats().lost_ranges, 0U);
}

TEST_F(RepairTest, BehindTheCheckpointTheStartRefusesAndNamesTheCommand) {
  write(2);
  checkpoint();
  write(4);
  const std::uint64_t at = inside(1, Offset(2));
  write(4);
  const Records before = read_all(*store, ref("t", 1)).records;
  fs.power_off(CutMode::kDropAll);
  store.reset();
  fs.boot();
  std::string file = kFirst;
  ASSERT_TRUE(fs.flip_bit(file, at));
  const auto refused = Store::open(options());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kCorrupt);
  EXPECT_NE(refused.error().message().find("runnel repair data"), std::string::npos)
      << refused.error().message();

  const RepairReport dry = repair(/*dry_run=*/true);
  EXPECT_FALSE(fs.exists("data/quarantine")) << "a dry run changes nothing";
  const RepairReport report = repair();
  EXPECT_EQ(report.lost, dry.lost);
  EXPECT_EQ(report.lost, (std::vector<LostRange>{{"t", PartitionIndex(1), Offset(2), Offset(3)}}));
  EXPECT_EQ(damages(), 0U) << notes[0];
  ASSERT_NO_FATAL_FAILURE(open());
  Records expected = before;
  expected.erase(2);
  expected.erase(3);
  EXPECT_EQ(read_all(*store, ref("t", 1)).records, expected);
  EXPECT_EQ(values("t").size(), 10U);
  write(2);
  close();
  EXPECT_EQ(damages(), 0U) << notes[0];
  ASSERT_NO_FATAL_FAILURE(open());
  EXPECT_EQ(values("t").size(), 12U);
}

TEST_F(RepairTest, AMissingSegmentBehindTheCheckpointIsPassedOver) {
  write(2);
  checkpoint();
  write(18);
  const Records before = read_all(*store, ref("t")).records;
  fs.kill_process();
  store.reset();
  ASSERT_TRUE(fs.damage_remove("data/segments/0000000003.wal"));
  EXPECT_FALSE(Store::open(options()));
  const RepairReport report = repair();
  ASSERT_EQ(report.lost.size(), 2U);
  EXPECT_EQ(report.quarantined.at(0).lost, report.lost) << "they lay in what is missing";
  EXPECT_EQ(report.notes.size(), 1U) << "what else the commits did is not known";
  EXPECT_EQ(damages(), 0U) << notes[0];
  ASSERT_NO_FATAL_FAILURE(open());
  const Read after = read_all(*store, ref("t"));
  ASSERT_FALSE(after.lost.empty());
  for (const auto& [offset, value] : before) {
    if (after.is_lost(offset)) continue;
    EXPECT_TRUE(after.records.contains(offset)) << offset;
  }
  const auto lost = static_cast<std::size_t>(report.lost[0].last - report.lost[0].first + 1);
  EXPECT_EQ(after.records.size() + lost, before.size());
}

TEST_F(RepairTest, ACutSegmentIsServedUpToWhereItEnds) {
  write(20);
  close();
  ASSERT_TRUE(fs.damage_truncate("data/segments/0000000002.wal", 500'000));
  EXPECT_FALSE(Store::open(options()));
  const RepairReport report = repair();
  EXPECT_FALSE(report.lost.empty());
  EXPECT_EQ(damages(), 0U) << notes[0];
  ASSERT_NO_FATAL_FAILURE(open());
  std::size_t lost = 0;
  for (const LostRange& l : report.lost) lost += static_cast<std::size_t>(l.last - l.first + 1);
  EXPECT_EQ(read_all(*store, ref("t")).records.size() +
                read_all(*store, ref("t", 1)).records.size() + lost,
            40U);
}

TEST_F(RepairTest, WhatCannotBeOpenedIsNotTakenForLost) {
  write(20);
  const std::uint64_t at = inside(0, Offset(2));
  const Records before = read_all(*store, ref("t")).records;
  close();
  ASSERT_TRUE(fs.flip_bit(kFirst, at));
  RepairOptions options;
  options.clock = &clock;
  int failed = 0;
  for (std::uint64_t nth = 1;; ++nth) {
    SCOPED_TRACE("open number " + std::to_string(nth));
    ASSERT_LT(nth, 1000U);
    fs.set_fault({nth, FaultKind::kIo, false, static_cast<std::uint32_t>(SimOperation::kOpen),
                  "/segments/"});
    const auto report = repair_directory("data", fs, options);
    const bool struck = fs.fault_struck();
    fs.clear_fault();
    if (struck && !report) {
      EXPECT_EQ(report.error().code(), ErrorCode::kIo) << report.error().to_string();
      ++failed;
      continue;
    }
    ASSERT_TRUE(report) << report.error().to_string();
    EXPECT_EQ(report->lost,
              (std::vector<LostRange>{{"t", PartitionIndex(0), Offset(2), Offset(3)}}));
    break;
  }
  EXPECT_GT(failed, 3);
  EXPECT_EQ(damages(), 0U) << notes[0];
  ASSERT_NO_FATAL_FAILURE(open());
  EXPECT_EQ(read_all(*store, ref("t")).records.size(), before.size() - 2);
}

TEST_F(RepairTest, WhereATopicsBeginningIsLostNoOtherGetsItsRecordsOrItsProducers) {
  write(2);
  create("unlucky");
  const auto producer = store->new_producer();
  ASSERT_TRUE(producer);
  const auto numbered = [&](const ProducerIdentity& who, int count) {
    BatchSpec spec{std::vector<std::string>(static_cast<std::size_t>(count), "of unlucky")};
    spec.producer = who.id;
    spec.epoch = who.epoch;
    spec.sequence = 0;
    return make_batch(spec);
  };
  ASSERT_TRUE(append("unlucky", numbered(*producer, 10)).result);
  ASSERT_TRUE(append("t", numbered(*producer, 3)).result);
  fs.kill_process();
  store.reset();
  const auto journal = fs.read_file(kFirst);
  ASSERT_TRUE(journal);
  const std::size_t at = journal->find("unlucky");
  ASSERT_NE(at, std::string::npos);
  ASSERT_TRUE(fs.flip_bit(kFirst, at));
  const RepairReport report = repair();
  EXPECT_EQ(damages(), 0U) << notes[0];
  ASSERT_NO_FATAL_FAILURE(open());
  EXPECT_FALSE(store->describe_topic("unlucky"));
  create("lucky", 2);
  const auto another = store->new_producer();
  ASSERT_TRUE(another);
  EXPECT_GT(another->id, producer->id);
  for (int partition = 0; partition < 2; ++partition) {
    for (int i = 0; i < 4; ++i) {
      ASSERT_TRUE(append("lucky", make_batch({"of lucky", "too"}), partition).result);
    }
    const Read all = read_all(*store, ref("lucky", partition));
    EXPECT_EQ(all.records.size(), 8U);
    EXPECT_TRUE(all.lost.empty());
    for (const auto& [offset, value] : all.records)
      EXPECT_EQ(value.find("unlucky"), std::string::npos);
  }
  const CommitOutcome first = append("t", numbered(*another, 3));
  ASSERT_TRUE(first.result);
  EXPECT_FALSE(first.result->appends.at(0).duplicate);
}

TEST_F(RepairTest, ADamagedIndexIsBuiltAnewWhileAllSegmentsAreThere) {
  write(6);
  CommitRequest request;
  request.offsets.push_back({"g", "t", PartitionIndex(0), Offset(3), {}, ""});
  ASSERT_TRUE(store->commit_and_wait(std::move(request)).result);
  const Records before = read_all(*store, ref("t")).records;
  close();
  int tables = 0;
  for (const auto& file : fs.files()) {
    if (!file.path.ends_with(".sst")) continue;
    ++tables;
    for (std::uint64_t at = 0; at < file.size; at += 40) ASSERT_TRUE(fs.flip_bit(file.path, at));
  }
  ASSERT_GT(tables, 0);
  EXPECT_EQ(damages(), 1U);
  EXPECT_TRUE(repair(/*dry_run=*/true).index_rebuilt);
  const RepairReport report = repair();
  EXPECT_TRUE(report.index_rebuilt);
  EXPECT_TRUE(report.lost.empty());
  EXPECT_TRUE(fs.exists("data/quarantine/" + report.quarantined.at(0).bytes + "/CURRENT"));
  EXPECT_EQ(damages(), 0U) << notes[0];
  ASSERT_NO_FATAL_FAILURE(open());
  EXPECT_EQ(read_all(*store, ref("t")).records, before);
  EXPECT_EQ(store->committed_offset("g", "t", PartitionIndex(0)).value()->offset, Offset(3));
}

TEST_F(RepairTest, WithoutItsFirstSegmentsADamagedIndexIsRefusedByName) {
  write(20);
  ASSERT_TRUE(store->delete_records(ref("t"), Offset(18)));
  ASSERT_TRUE(store->delete_records(ref("t", 1), Offset(18)));
  checkpoint();
  ASSERT_FALSE(fs.exists(kFirst));
  close();
  for (const auto& file : fs.files()) {
    if (!file.path.ends_with(".sst")) continue;
    for (std::uint64_t at = 0; at < file.size; at += 40) ASSERT_TRUE(fs.flip_bit(file.path, at));
  }
  const auto refused = repair_directory("data", fs, {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kCorrupt);
  EXPECT_NE(refused.error().message().find("can't be built anew"), std::string::npos);
  EXPECT_FALSE(fs.exists("data/quarantine"));
}

TEST_F(RepairTest, ALostRecordMayBeSentAgain) {
  const auto send = [&](Offset expected, bool duplicate) {
    CommitRequest request;
    request.appends.push_back({ref("t"), make_batch({"paid"}), {}, std::nullopt});
    request.appends[0].dedup.push_back({{"bank", "1", "7"}, 42, 0});
    const CommitOutcome outcome = store->commit_and_wait(std::move(request));
    ASSERT_TRUE(outcome.result) << outcome.result.error().to_string();
    EXPECT_EQ(outcome.result->appends[0].base_offset, expected);
    EXPECT_EQ(outcome.result->appends[0].duplicate, duplicate);
  };
  send(Offset(0), false);
  const std::uint64_t at = inside(0, Offset(0)) - 5000 + 65;
  write(2, 100);
  send(Offset(0), true);
  close();
  ASSERT_TRUE(fs.flip_bit(kFirst, at));
  EXPECT_EQ(repair().lost,
            (std::vector<LostRange>{{"t", PartitionIndex(0), Offset(0), Offset(0)}}));
  ASSERT_NO_FATAL_FAILURE(open());
  send(Offset(3), false);
}

TEST_F(RepairTest, ALostEndOfAPartitionExpires) {
  write(3, 5'000);
  const std::uint64_t at = inside(0, Offset(2)) - 4000;
  close();
  ASSERT_TRUE(fs.flip_bit(kFirst, at));
  ASSERT_EQ(repair().lost.size(), 1U);
  ASSERT_NO_FATAL_FAILURE(open());
  const auto pass = [&](std::chrono::hours time) {
    clock.advance(time);
    ASSERT_TRUE(store->run_maintenance());
  };
  pass(std::chrono::hours(24));
  EXPECT_EQ(store->stats().lost_ranges, 1U);
  for (int day = 0; day < 8; ++day) pass(std::chrono::hours(24));
  EXPECT_EQ(store->stats().lost_ranges, 0U) << "it was found more than retention.ms ago";
  EXPECT_EQ(store->partition_info(ref("t")).log_start, Offset(4));
}

TEST_F(RepairTest, WhatIsSoundIsLeftAlone) {
  write(3);
  close();
  const auto before = fs.counters();
  const RepairReport report = repair();
  EXPECT_TRUE(report.found.damages.empty());
  EXPECT_FALSE(fs.exists("data/quarantine"));
  EXPECT_EQ(fs.counters().bytes_written, before.bytes_written);
  ASSERT_NO_FATAL_FAILURE(open());
  EXPECT_EQ(repair_directory("data", fs, {}).error().code(), ErrorCode::kLocked);
}

TEST(Quarantine, ADescriptionIsReadBack) {
  const Quarantined what{"segments/0000000003.wal",
                         4096,
                         812,
                         "the checksum of a record batch does not match",
                         Timestamp(1'763'755'200'000),
                         "0000000003.wal-4096.bytes",
                         {{"orders", PartitionIndex(0), Offset(100), Offset(199)},
                          {"orders", PartitionIndex(1), Offset(7), Offset(7)}}};
  const std::string text = encode(what);
  std::ifstream page(std::string(RUNNEL_SOURCE_DIR) + "/docs/formats/quarantine.md");
  std::stringstream words;
  words << page.rdbuf();
  EXPECT_NE(words.str().find("```text quarantined\n" + text + "```"), std::string::npos) << text;
  const auto read = decode_quarantined(text);
  ASSERT_TRUE(read) << read.error().to_string();
  EXPECT_EQ(encode(*read), text);
  EXPECT_EQ(read->lost, what.lost);
  EXPECT_FALSE(decode_quarantined("runnel quarantine 2\n"));
  EXPECT_FALSE(decode_quarantined("runnel quarantine 1\nfile index\nposition x\n"));
  EXPECT_FALSE(decode_quarantined("runnel quarantine 1\nfile index\nlost t 0 1\n"));
  EXPECT_FALSE(decode_quarantined("runnel quarantine 1\n"));
}

}  // namespace
}  // namespace runnel::storage
