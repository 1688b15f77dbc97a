// Snapshots: a copy made from one is the store of that moment, whatever happens to the store.
#include "storage/snapshot.h"

#include <algorithm>
#include <atomic>
#include <fstream>
#include <future>
#include <map>
#include <thread>

#include "storage/check.h"
#include "tests/storage/log/snapshot_copies.h"
#include "tests/storage/log/store_fixture.h"
#include "tests/support/hook_file_system.h"

namespace runnel::storage {
namespace {

class HookClock final : public Clock {
 public:
  explicit HookClock(ManualClock& clock) : clock_(clock) {}
  ArmedHook before_now;

  Timestamp now() override {
    before_now.strike();
    return clock_.now();
  }
  std::chrono::nanoseconds monotonic() override { return clock_.monotonic(); }

 private:
  ManualClock& clock_;
};

class SnapshotTest : public StoreFixture {
 protected:
  static constexpr std::uint64_t kSegment = 64u << 10;

  void SetUp() override { open_small(); }
  StoreOptions small() {
    StoreOptions o = options();
    o.segment_bytes = kSegment;
    o.clock = &hooked_clock;
    o.file_system = &hooked;
    return o;
  }
  void open_small(const std::string& directory = "data") {
    StoreOptions o = small();
    o.directory = directory;
    auto opened = Store::open(std::move(o));
    ASSERT_TRUE(opened) << opened.error().to_string();
    store = std::move(*opened);
  }
  Snapshot take() {
    const auto taken = store->take_snapshot();
    EXPECT_TRUE(taken) << taken.error().to_string();
    return taken.value_or(Snapshot());
  }
  /// Opens a copy of the snapshot in the place of the store; everything in it is whole.
  void open_copy(const Snapshot& snapshot) {
    copy_snapshot(fs, snapshot, "copy");
    store.reset();
    const auto checked = check_directory("copy", fs);
    ASSERT_TRUE(checked) << checked.error().to_string();
    for (const Damage& d : checked->damages) ADD_FAILURE() << d.file << ": " << d.what;
    open_small("copy");
    EXPECT_EQ(errors, std::vector<std::string>());
  }
  void put(const std::vector<std::string>& keys, const std::string& value) {
    protocol::BatchBuilder builder;
    for (const std::string& key : keys) builder.add({clock.now(), key, value, {}});
    ASSERT_TRUE(append("c", builder.finish().value()).result);
  }
  void maintain() {
    clock.advance(std::chrono::seconds(6));  // a checkpoint lets dead segments go
    ASSERT_TRUE(store->run_maintenance());
  }
  void create_compacted() {
    create("c", 1, {{"cleanup.policy", "compact"}, {"min.cleanable.dirty.ratio", "0"}});
  }
  /// Each of 20 keys several times, in batches of four, and a segment that ends behind them.
  void put_all(const std::string& value) {
    for (int i = 0; i < 20; ++i) {
      std::vector<std::string> keys;
      for (int k = 0; k < 4; ++k) keys.push_back("k" + std::to_string((i * 7 + k) % 20));
      put(keys, value + std::string(1200, 'v'));
    }
    ASSERT_TRUE(append("t", make_batch({std::string(kSegment - 2000, 'f')})).result);
    ASSERT_TRUE(append("t", make_batch({std::string(kSegment - 2000, 'f')})).result);
  }
  std::map<std::string, std::string> newest() {
    std::map<std::string, std::string> out;
    const auto info = store->partition_info(ref("c"));
    for (Offset at = info.log_start; at < info.high_watermark;) {
      const auto fetched = store->fetch_and_wait({{{ref("c"), at, 1u << 20}}});
      EXPECT_FALSE(fetched[0].head.error) << fetched[0].head.error->to_string();
      if (fetched[0].head.next <= at) break;
      for (Bytes rest = fetched[0].batches.bytes(); !rest.empty();) {
        const auto size =
            *protocol::validate_batch(rest, protocol::Depth::kRecords, protocol::Gaps::kAllowed);
        auto reader = protocol::RecordReader::open(rest.first(size));
        for (auto r = reader->next(); r && *r; r = reader->next()) {
          out[std::string((*r)->key.value_or(""))] = (*r)->value.value_or("").substr(0, 6);
        }
        rest = rest.subspan(size);
      }
      at = fetched[0].head.next;
    }
    return out;
  }
  bool has_data_segment() {
    const auto entries = fs.list("data/segments");
    EXPECT_TRUE(entries);
    for (const DirectoryEntry& entry : *entries) {
      if (entry.name.ends_with(".log")) return true;
    }
    return false;
  }

  HookFileSystem hooked{fs};
  HookClock hooked_clock{clock};
};

TEST_F(SnapshotTest, ItsListIsReadBackAndNeverHalf) {
  Snapshot snapshot;
  snapshot.taken = Timestamp(1'795'237'200'000);
  snapshot.files = {{"FORMAT", 96, 96}, {"segments/0000000001.wal", 4160, 65536}};
  snapshot.partitions = {{PartitionId(7), PartitionIndex(2), Offset(3), Offset(50), "orders"}};
  const std::string text = snapshot_text(snapshot);
  const auto parsed = parse_snapshot(text);
  ASSERT_TRUE(parsed) << parsed.error().message();
  EXPECT_EQ(parsed->taken, snapshot.taken);
  EXPECT_EQ(parsed->files, snapshot.files);
  EXPECT_EQ(parsed->partitions, snapshot.partitions);
  for (std::size_t i = 0; i < text.size(); ++i)
    EXPECT_FALSE(parse_snapshot(text.substr(0, i))) << i;
  for (const char* const wrong :
       {"file 5 4 FORMAT", "file 1 1 /etc/passwd", "file 1 1 a/../b", "file -1 1 x", "file 1 x",
        "partition 1 0 0 5", "nonsense", "taken x"}) {
    EXPECT_FALSE(parse_snapshot("runnel snapshot\n" + std::string(wrong) + "\nend\n")) << wrong;
  }
}

/// The block "```snapshot" of docs/formats/data-directory.md.
TEST_F(SnapshotTest, ThePageShowsItsList) {
  std::ifstream page(std::string(RUNNEL_SOURCE_DIR) + "/docs/formats/data-directory.md");
  std::string shown;
  bool inside = false;
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with("```")) {
      inside = line == "```snapshot";
    } else if (inside) {
      shown += line + "\n";
    }
  }
  const auto parsed = parse_snapshot(shown);
  ASSERT_TRUE(parsed) << parsed.error().message();
  EXPECT_EQ(snapshot_text(*parsed), shown);
  EXPECT_EQ(parsed->files.size(), 4U);
  ASSERT_EQ(parsed->partitions.size(), 1U);
  EXPECT_EQ(parsed->partitions[0].topic, "orders");
}

TEST_F(SnapshotTest, HoldsWhatTheStoreWas) {
  create("t", 2);
  ASSERT_TRUE(append("t", make_batch({"a", "b"})).result);
  const ProducerIdentity producer = *store->new_producer();
  BatchSpec spec{{"idempotent"}};
  spec.producer = producer.id;
  spec.epoch = producer.epoch;
  spec.sequence = 0;
  ASSERT_TRUE(append("t", make_batch(spec), 1).result);
  const Snapshot snapshot = take();
  EXPECT_EQ(snapshot.taken, clock.now());
  ASSERT_EQ(snapshot.partitions.size(), 2U);
  EXPECT_EQ(snapshot.partitions[0].end, Offset(2));
  EXPECT_EQ(snapshot.partitions[1].end, Offset(1));
  const auto listed = read_snapshot(fs, snapshot.directory);
  ASSERT_TRUE(listed) << listed.error().message();
  EXPECT_EQ(listed->files, snapshot.files);
  // What follows is not in it.
  ASSERT_TRUE(append("t", make_batch({"later"})).result);
  ASSERT_TRUE(store->delete_topic("t"));
  create("u");
  for (int i = 0; i < 40; ++i)
    ASSERT_TRUE(append("u", make_batch({std::string(9000, 'x')})).result);
  maintain();
  open_copy(snapshot);
  EXPECT_EQ(store->topic_names(), std::vector<std::string>{"t"});
  EXPECT_EQ(values("t"), (std::vector<std::string>{"a", "b"}));
  const CommitOutcome repeated = append("t", make_batch(spec), 1);
  ASSERT_TRUE(repeated.result);
  EXPECT_EQ(values("t", Offset(0), 1), std::vector<std::string>{"idempotent"});
  ASSERT_TRUE(append("t", make_batch({"goes on"})).result);
  EXPECT_EQ(values("t").back(), "goes on");
}

TEST_F(SnapshotTest, NothingItNeedsIsRemovedBeforeItIsLinked) {
  create_compacted();
  create("t");
  for (const char* const value : {"value1", "value2"}) put_all(value);
  maintain();
  ASSERT_TRUE(has_data_segment());
  for (const char* const value : {"value3", "value4"}) put_all(value);
  const auto expected = newest();
  ASSERT_EQ(expected.size(), 20U);
  ASSERT_EQ(expected.at("k7"), "value4");
  // All of the data segment and of the journal's older segments is dead for a store that goes on.
  std::promise<void> cleaned;
  std::thread cleaner;
  hooked.before_link.arm([&] {
    cleaner = std::thread([&] {
      clock.advance(std::chrono::seconds(6));
      EXPECT_TRUE(store->run_maintenance());
      cleaned.set_value();
    });
    // It can't get to the removals: there is nothing to wait for but that it does not.
    EXPECT_EQ(cleaned.get_future().wait_for(std::chrono::milliseconds(200)),
              std::future_status::timeout);
  });
  const Snapshot snapshot = take();
  ASSERT_TRUE(cleaner.joinable());
  cleaner.join();
  maintain();
  open_copy(snapshot);
  EXPECT_EQ(newest(), expected);
}

/// The cleaner and retention run by themselves, as often as they can.
TEST_F(SnapshotTest, HoldsStillWhileAllElseMoves) {
  StoreOptions o = small();
  o.background = true;
  o.cleaner_interval = o.maintenance_interval = std::chrono::milliseconds(1);
  o.cleaner_bytes_per_second = 0;
  store.reset();
  store = std::move(*Store::open(std::move(o)));
  create_compacted();
  std::atomic<int> written{0};
  std::atomic<bool> done{false};
  std::thread writer([&] {
    for (int i = 1; !done; ++i) {
      put({"k" + std::to_string(i % 20), "k" + std::to_string(i * 7 % 20)},
          std::to_string(100'000 + i) + std::string(1500, 'v'));
      written = i;
    }
  });
  struct Kept {
    Snapshot snapshot;
    int written;  // before it
  };
  std::vector<Kept> kept;
  for (int i = 0; i < 10; ++i) {
    const int before = written + 200;
    while (written < before) {
      clock.advance(std::chrono::seconds(6));  // for a checkpoint
      for (const int seen = written; written == seen;) std::this_thread::yield();
    }
    // Others get the time to do harm. What nobody locks is safe while the clock stands still.
    hooked.before_link.arm([&] {
      constexpr int kHarm = 50;  // writes meanwhile
      clock.advance(std::chrono::seconds(6));
      for (const int enough = written + kHarm; written < enough;) std::this_thread::yield();
    });
    kept.push_back({take(), before});
    const std::string held = kept.back().snapshot.directory;
    copy_snapshot(fs, kept.back().snapshot, "copy" + std::to_string(i));
    clock.advance(std::chrono::seconds(61));
    while (fs.exists(held)) std::this_thread::yield();
  }
  done = true;
  writer.join();
  bool moved = false;
  for (std::size_t i = 0; i < kept.size(); ++i) {
    for (const SnapshotFile& file : kept[i].snapshot.files) {
      moved = moved || file.name.ends_with(".log");
    }
    const std::string copy = "copy" + std::to_string(i);
    store.reset();
    const auto checked = check_directory(copy, fs);
    ASSERT_TRUE(checked) << checked.error().to_string();
    for (const Damage& d : checked->damages)
      ADD_FAILURE() << copy << ": " << d.file << ": " << d.what;
    open_small(copy);
    int newest_number = 0;
    for (const auto& [key, value] : newest()) {
      newest_number = std::max(newest_number, std::stoi(value) - 100'000);
    }
    EXPECT_EQ(newest().size(), 20U);
    EXPECT_GE(newest_number, kept[i].written);
  }
  EXPECT_TRUE(moved) << "no snapshot had a data segment";
}

TEST_F(SnapshotTest, IsRemovedWhenNobodyReadsIt) {
  const Snapshot unread = take();
  const Snapshot read = take();
  auto lock = fs.lock(read.directory + "/LOCK");
  ASSERT_TRUE(lock);
  ASSERT_TRUE(store->run_maintenance());
  EXPECT_TRUE(fs.exists(unread.directory)) << "nobody had the time to lock it";
  clock.advance(std::chrono::seconds(61));
  ASSERT_TRUE(store->run_maintenance());
  EXPECT_FALSE(fs.exists(unread.directory));
  EXPECT_TRUE(fs.exists(read.directory));
  lock->reset();
  ASSERT_TRUE(store->run_maintenance());
  EXPECT_FALSE(fs.exists(read.directory));
}

TEST_F(SnapshotTest, WhoeverCopiesOneMayRemoveItAtTheSameTime) {
  const Snapshot snapshot = take();
  clock.advance(std::chrono::seconds(61));
  hooked.after_list.arm([&] {
    for (const SnapshotFile& file : snapshot.files) {
      ASSERT_TRUE(fs.remove(snapshot.directory + "/" + file.name));
    }
    for (const char* const name : {"/LOCK", "/SNAPSHOT"}) {
      ASSERT_TRUE(fs.remove(snapshot.directory + name));
    }
    for (const char* const name : {"/segments", "/index", ""}) {
      ASSERT_TRUE(fs.remove_directory(snapshot.directory + name));
    }
  });
  const Status maintained = store->run_maintenance();
  EXPECT_TRUE(maintained) << maintained.error().message();
  EXPECT_FALSE(fs.exists(snapshot.directory));
}

TEST_F(SnapshotTest, AFewAreReadAtATime) {
  std::vector<std::unique_ptr<FileLock>> readers;
  for (int i = 0; i < 4; ++i) {
    auto lock = fs.lock(take().directory + "/LOCK");
    ASSERT_TRUE(lock);
    readers.push_back(std::move(*lock));
  }
  const auto one_more = store->take_snapshot();
  ASSERT_FALSE(one_more);
  EXPECT_EQ(one_more.error().code(), ErrorCode::kOverloaded);
  readers.pop_back();
  take();
}

TEST_F(SnapshotTest, WhoeverAsksForManyKeepsNobodyFromHis) {
  const Snapshot read = take();
  const auto lock = fs.lock(read.directory + "/LOCK");
  ASSERT_TRUE(lock);
  std::vector<Snapshot> unread;
  for (int i = 0; i < 20; ++i) {
    clock.advance(std::chrono::milliseconds(1));
    unread.push_back(take());
  }
  EXPECT_TRUE(fs.exists(read.directory));
  EXPECT_TRUE(fs.exists(unread.back().directory)) << "the newest one is still to be read";
  EXPECT_FALSE(fs.exists(unread.front().directory));
  EXPECT_EQ(fs.list("data/snapshots")->size(), 4U);
  EXPECT_EQ(store->stats().snapshots, 4U);
}

/// A backup says "up to then", and restores go by it.
TEST_F(SnapshotTest, NothingThatIsNotInItIsDatedBeforeIt) {
  create("t");
  std::optional<Timestamp> committed;
  const auto commit = [&] {
    committed = clock.now();
    ASSERT_TRUE(append("t", make_batch({"a"})).result);
    clock.advance(std::chrono::seconds(1));
  };
  hooked_clock.before_now.arm(commit, 1);
  const Snapshot snapshot = take();
  hooked_clock.before_now.disarm();
  if (!committed) commit();
  ASSERT_EQ(snapshot.partitions[0].end, Offset(0));
  EXPECT_LE(snapshot.taken, *committed);
}

/// A backup that was killed keeps the space of what is deleted, which is what a full disk lacks.
TEST_F(SnapshotTest, OnesThatNobodyReadsGoThoughNothingCanBeCommitted) {
  create("t");
  const Snapshot snapshot = take();
  ASSERT_TRUE(append("t", make_batch({"a"})).result);
  clock.advance(std::chrono::seconds(61));
  fs.set_fault(
      {1, FaultKind::kIo, true, static_cast<std::uint32_t>(SimOperation::kWrite), "segments"});
  EXPECT_FALSE(store->run_maintenance());
  fs.clear_fault();
  EXPECT_FALSE(fs.exists(snapshot.directory));
}

TEST_F(SnapshotTest, ThoseOfAnEarlierRunAreGone) {
  create("t");
  ASSERT_TRUE(append("t", make_batch({"a"})).result);
  const Snapshot snapshot = take();
  store.reset();
  fs.kill_process();
  open_small();
  EXPECT_FALSE(fs.exists(snapshot.directory));
  EXPECT_EQ(values("t"), std::vector<std::string>{"a"});
  EXPECT_NE(take().directory, snapshot.directory) << "somebody may still read the old one";
}

TEST_F(SnapshotTest, AFailureLeavesNothingBehindAndTheStoreGoesOn) {
  create("t");
  for (std::uint64_t nth = 1;; ++nth) {
    fs.set_fault({nth, FaultKind::kLowSpace, false, kSimChanges, "snapshots"});
    const auto taken = store->take_snapshot();
    const bool struck = fs.fault_struck();
    fs.clear_fault();
    if (!struck) {
      ASSERT_TRUE(taken) << taken.error().to_string();
      ASSERT_GT(nth, 10U);
      break;
    }
    ASSERT_FALSE(taken) << "operation " << nth;
    if (fs.exists("data/snapshots")) {
      EXPECT_EQ(fs.list("data/snapshots")->size(), 0U) << "operation " << nth;
    }
    ASSERT_TRUE(append("t", make_batch({"a"})).result) << "operation " << nth;
  }
}

TEST_F(SnapshotTest, APowerCutWhileItIsTakenHarmsNothing) {
  for (std::uint64_t nth = 1; nth < 60; nth += 3) {
    create("t" + std::to_string(nth));
    ASSERT_TRUE(append("t" + std::to_string(nth), make_batch({"a"})).result);
    fs.set_fault({nth, FaultKind::kPowerOff, true, kSimChanges, {}, CutMode::kPrefix});
    (void)store->take_snapshot();
    store.reset();
    fs.clear_fault();
    fs.boot();
    errors.clear();
    open_small();
    EXPECT_EQ(values("t" + std::to_string(nth)), std::vector<std::string>{"a"});
    const auto left = fs.exists("data/snapshots") ? fs.list("data/snapshots")->size() : 0;
    EXPECT_EQ(left, 0U);
  }
}

/// Whatever a store does between two of them, each copy has what was read at its moment.
TEST_F(SnapshotTest, EachIsItsMomentInARandomLife) {
  bool moved = false;
  for_each_seed(1, 8, [&](std::uint64_t seed) {
    store.reset();
    SeededRandom dice(seed);
    const std::string home = "life" + std::to_string(seed);
    open_small(home);
    create_compacted();
    create("t");
    struct Kept {
      Snapshot snapshot;
      std::map<std::string, std::string> newest;
      std::vector<std::string> values;
    };
    std::vector<Kept> kept;
    for (int i = 0; i < 120; ++i) {
      const std::uint64_t throw_ = dice.next() % 12;
      if (throw_ < 6) {
        std::vector<std::string> keys;
        for (int k = 0; k < 3; ++k) keys.push_back("k" + std::to_string(dice.next() % 20));
        put(keys, std::to_string(10 + i % 90) + std::string(2000, 'v'));
      } else if (throw_ < 9) {
        ASSERT_TRUE(append("t", make_batch({std::to_string(i) + std::string(3000, 't')})).result);
      } else if (throw_ == 9) {
        const auto info = store->partition_info(ref("t"));
        const auto span = static_cast<std::uint64_t>(info.high_watermark - info.log_start + 1);
        const auto before = info.log_start + static_cast<std::int64_t>(dice.next() % span);
        ASSERT_TRUE(store->delete_records(ref("t"), before));
      } else if (throw_ == 10) {
        maintain();
      } else if (kept.size() < 3) {
        Kept now{take(), newest(), values("t")};
        copy_snapshot(fs, now.snapshot, home + "-" + std::to_string(kept.size()));
        for (const SnapshotFile& file : now.snapshot.files) {
          moved = moved || file.name.ends_with(".log");
        }
        kept.push_back(std::move(now));
      }
    }
    for (std::size_t i = 0; i < kept.size(); ++i) {
      store.reset();
      const std::string copy = home + "-" + std::to_string(i);
      const auto checked = check_directory(copy, fs);
      ASSERT_TRUE(checked) << checked.error().to_string();
      for (const Damage& d : checked->damages) ADD_FAILURE() << d.file << ": " << d.what;
      open_small(copy);
      EXPECT_EQ(newest(), kept[i].newest);
      EXPECT_EQ(values("t"), kept[i].values);
    }
  });
  EXPECT_TRUE(moved) << "no snapshot had a data segment";
}

}  // namespace
}  // namespace runnel::storage
