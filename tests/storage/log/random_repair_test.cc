// Any file of a directory is damaged at random; after check, repair and a start everything that is
// not listed as lost is served as it was.
//
// RUNNEL_REPAIRS sets the number of cases (default 150), RUNNEL_SEED the first seed.

#include <cstdio>
#include <future>
#include <random>

#include "storage/repair.h"
#include "tests/storage/log/repair_reader.h"

namespace runnel::storage {
namespace {

class RandomRepairTest : public StoreFixture {
 protected:
  ~RandomRepairTest() override { store.reset(); }  // before the disk goes

  StoreOptions disk_options() {
    StoreOptions o = options();
    o.file_system = disk.get();
    o.segment_bytes = 96u << 10;
    o.ballast_bytes = 64u << 10;
    return o;
  }
  Status open_store() {
    RUNNEL_TRY_ASSIGN(store, Store::open(disk_options()));
    return {};
  }
  std::uint64_t pick(std::uint64_t n) { return rng() % n; }

  std::vector<PartitionRef> partitions() {
    return {ref("t", 0), ref("t", 1), ref("keyed", 0), ref("keyed", 1)};
  }
  void write(std::uint64_t batches) {
    for (std::uint64_t i = 0; i < batches; ++i) {
      const auto p = pick(4);
      protocol::BatchOptions batch;
      if (pick(3) == 0) batch.codec = protocol::Codec::kZstd;
      protocol::BatchBuilder builder(batch);
      for (std::uint64_t r = 0; r <= pick(4); ++r) {
        const std::string key = "k" + std::to_string(pick(20));
        const std::string value =
            std::to_string(i) + ":" + std::string(pick(pick(4) == 0 ? 20'000 : 300), 'v');
        builder.add({clock.now(), key, value, {}});
      }
      ASSERT_TRUE(
          append(p < 2 ? "t" : "keyed", builder.finish().value(), static_cast<int>(p % 2)).result);
      if (pick(25) == 0) {
        clock.advance(std::chrono::seconds(6));
        ASSERT_TRUE(store->run_maintenance());
      }
      if (pick(40) == 0) {
        const auto of = partitions()[pick(4)];
        const auto info = store->partition_info(of);
        const auto span = static_cast<std::uint64_t>(info.high_watermark - info.log_start) / 2 + 1;
        const Offset to(info.log_start + static_cast<std::int64_t>(pick(span)));
        ASSERT_TRUE(store->delete_records(of, to));
      }
    }
  }
  void fill() {
    ASSERT_TRUE(open_store());
    create("t", 2, {{"retention.ms", "-1"}});
    create("keyed", 2, {{"cleanup.policy", "compact"}, {"min.cleanable.dirty.ratio", "0"}});
    write(30 + pick(150));
    if (pick(2) == 0) {
      ASSERT_TRUE(store->run_maintenance());
    } else if (pick(2) == 0) {
      clock.advance(std::chrono::seconds(6));
      ASSERT_TRUE(store->run_maintenance());
      write(1 + pick(30));
    }
    clean = pick(2) == 0;
    anchored.clear();
    for (const PartitionRef& p : partitions()) {
      anchored.push_back(store->partition_info(p).high_watermark);
    }
    if (!clean) {
      ASSERT_TRUE(store->close());
      store.reset();
      ASSERT_TRUE(open_store());
      write(1 + pick(30));
    }
    before.clear();
    where.clear();
    for (const PartitionRef& p : partitions()) {
      before.push_back(read_all(*store, p));
      where.push_back(files_of(p, before.back().records));
    }
    if (clean) {
      ASSERT_TRUE(store->close());
    } else {
      disk->power_off(CutMode::kDropAll);
    }
    store.reset();
    if (!clean) disk->boot();
  }
  /// Which file each record lies in.
  std::map<std::int64_t, std::string> files_of(const PartitionRef& partition,
                                               const Records& records) {
    std::map<std::int64_t, std::string> out;
    for (const auto& [offset, value] : records) {
      std::promise<FetchResult> fetched;
      store->fetch({{{partition, Offset(offset), 1}}},
                   [&](FetchResult result) { fetched.set_value(std::move(result)); });
      const FetchResult result = fetched.get_future().get();
      EXPECT_FALSE(result[0].slices.empty());
      if (!result[0].slices.empty()) out[offset] = "/" + result[0].slices[0].file->path();
    }
    EXPECT_EQ(out.size(), records.size());
    return out;
  }
  /// What was done, for the message of a failure.
  std::string damage() {
    std::vector<SimFileInfo> files;
    for (auto& f : disk->files()) {
      const bool lock = f.path.ends_with("/LOCK");
      const bool segment = f.path.find("/segments/") != std::string::npos;
      // Mostly segments: there is the most of them.
      if (!lock && (segment || pick(4) == 0)) files.push_back(f);
    }
    const SimFileInfo& f = files[pick(files.size())];
    damaged = f.path;
    const auto kind = pick(8);
    if (kind < 6 && f.size != 0) {
      std::string text = f.path + " of " + std::to_string(f.size) + ": bits of bytes";
      for (std::uint64_t i = 0; i <= pick(4); ++i) {
        const std::uint64_t at = pick(f.size);
        EXPECT_TRUE(disk->flip_bit(f.path, at, static_cast<unsigned>(pick(8))));
        text += " " + std::to_string(at);
      }
      return text;
    }
    if (kind == 6 && f.size != 0) {
      const std::uint64_t size = pick(f.size);
      EXPECT_TRUE(disk->damage_truncate(f.path, size));
      return f.path + ": cut from " + std::to_string(f.size) + " to " + std::to_string(size);
    }
    EXPECT_TRUE(disk->damage_remove(f.path));
    return f.path + ": removed";
  }
  void compare(const RepairReport& report) {
    const auto all = partitions();
    // Without a clean close the last milliseconds have no witness, see docs/guarantees.md.
    const bool end_is_known = clean && report.notes.empty();
    for (std::size_t i = 0; i < all.size(); ++i) {
      SCOPED_TRACE("partition " + std::to_string(i));
      const Read after = read_all(*store, all[i]);
      if (end_is_known) {
        EXPECT_EQ(after.start, before[i].start);
        EXPECT_EQ(after.end, before[i].end);
      }
      if (report.notes.empty()) {
        EXPECT_GE(after.end, anchored[i]);
      }
      for (const auto& [offset, value] : before[i].records) {
        if (Offset(offset) >= after.end || after.is_lost(offset)) continue;
        const auto found = after.records.find(offset);
        ASSERT_NE(found, after.records.end()) << "offset " << offset << " is missing";
        EXPECT_TRUE(found->second == value) << "offset " << offset << " is another";
      }
      for (const auto& [offset, value] : after.records) {
        if (Offset(offset) < before[i].start) continue;           // a trim that was lost
        if (!clean || !report.notes.empty() || i >= 2) continue;  // a compaction that was lost
        EXPECT_TRUE(before[i].records.contains(offset)) << "offset " << offset << " is new";
      }
      // Without a damaged index nothing is lost but from the file that was damaged.
      if (!report.index_rebuilt && report.notes.empty()) {
        for (const auto& [offset, value] : before[i].records) {
          if (Offset(offset) < after.start || !after.is_lost(offset)) continue;
          EXPECT_EQ(where[i][offset], damaged) << "offset " << offset << " was lost from there";
        }
      }
      for (const auto& [first, last] : after.lost) {
        const bool listed =
            std::any_of(report.lost.begin(), report.lost.end(), [&](const LostRange& l) {
              return l.topic == (i < 2 ? "t" : "keyed") &&
                     l.partition.value() == static_cast<int>(i % 2) && l.first.value() <= first &&
                     last <= l.last.value();
            });
        EXPECT_TRUE(listed) << first << " to " << last << " is lost and was not listed";
      }
    }
  }
  std::string found_by_check() {
    const auto report = check_directory("data", *disk);
    if (!report) return report.error().to_string();
    std::string all;
    for (const Damage& d : report->damages) {
      all += d.file + " at " + std::to_string(d.position) + ", " + std::to_string(d.length) + ": " +
             d.what + "\n";
    }
    return all;
  }

  enum class End { kNothing, kRefused, kRepaired };
  End play(std::uint64_t seed) {
    rng.seed(seed);
    store.reset();
    disk = std::make_unique<SimFileSystem>(seed);
    fill();
    if (HasFailure()) return End::kNothing;
    const std::string what = damage();
    SCOPED_TRACE(what);
    const std::string found = found_by_check();
    SCOPED_TRACE("check: " + found);
    RepairOptions options;
    options.clock = &clock;
    options.dry_run = true;
    const auto dry = repair_directory("data", *disk, options);
    options.dry_run = false;
    const auto report = repair_directory("data", *disk, options);
    const bool segment = damaged.find("/segments/") != std::string::npos;
    if (!report) {
      EXPECT_FALSE(segment) << report.error().to_string();
      // Without it nobody knows whether the directory is one of ours.
      const bool no_format = damaged.ends_with("/FORMAT") && !disk->exists("data/FORMAT");
      EXPECT_EQ(report.error().code(), no_format ? ErrorCode::kNotFound : ErrorCode::kCorrupt)
          << report.error().to_string();
      return End::kRefused;
    }
    EXPECT_TRUE(dry) << dry.error().to_string();
    if (dry && !dry->found.damages.empty() && !report->index_rebuilt) {
      EXPECT_EQ(dry->lost, report->lost);
    }
    const std::string left = found_by_check();
    EXPECT_EQ(left, "") << "after the repair";
    const Status opened = open_store();
    EXPECT_TRUE(opened) << opened.error().to_string();
    if (!opened) return End::kRepaired;
    compare(*report);
    for (const PartitionRef& p : partitions()) {
      CommitRequest request;
      request.appends.push_back({p, make_batch({"new"}), {}, std::nullopt});
      EXPECT_TRUE(store->commit_and_wait(std::move(request)).result);
    }
    EXPECT_TRUE(store->run_maintenance());
    std::vector<Read> first;
    for (const PartitionRef& p : partitions()) first.push_back(read_all(*store, p));
    EXPECT_TRUE(store->close());
    store.reset();
    EXPECT_EQ(found_by_check(), "") << "after another life";
    const Status again = open_store();
    EXPECT_TRUE(again) << again.error().to_string();
    if (!again) return End::kRepaired;
    for (std::size_t i = 0; i < first.size(); ++i) {
      const Read second = read_all(*store, partitions()[i]);
      EXPECT_EQ(second.records, first[i].records);
      EXPECT_EQ(second.lost, first[i].lost);
    }
    return report->found.damages.empty() ? End::kNothing : End::kRepaired;
  }

  std::unique_ptr<SimFileSystem> disk;
  std::mt19937_64 rng;
  std::vector<Read> before;
  std::vector<std::map<std::int64_t, std::string>> where;  // offset -> file, by partition
  std::vector<Offset> anchored;                            // ends when the anchor was last written
  std::string damaged;
  bool clean = false;
};

TEST_F(RandomRepairTest, AllThatIsNotLostIsServedAsItWas) {
  const char* count = std::getenv("RUNNEL_REPAIRS");
  std::map<End, int> ends;
  for_each_seed(1, count == nullptr ? 150 : std::strtoull(count, nullptr, 10),
                [&](std::uint64_t seed) { ++ends[play(seed)]; });
  std::printf("%d repaired, %d with nothing to repair, %d refused\n", ends[End::kRepaired],
              ends[End::kNothing], ends[End::kRefused]);
  EXPECT_GT(ends[End::kRepaired], 0) << "no seed had anything to repair";
}

}  // namespace
}  // namespace runnel::storage
