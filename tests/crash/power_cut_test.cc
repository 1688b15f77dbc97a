// Power cuts under a running store: the power goes at a random operation of the disk, whatever was
// not synced is lost in one of three ways, and after each start everything acknowledged must be
// there, nothing must be there twice, and no start may be refused.
//
// RUNNEL_POWER_CUTS sets the number of cuts (default 100), RUNNEL_SEED the first seed.

#include <gtest/gtest.h>

#include <cstdlib>
#include <future>
#include <random>

#include "tests/storage/log/store_fixture.h"

namespace runnel::storage {
namespace {

constexpr int kPartitions = 5;
constexpr int kCutsPerDisk = 5;

std::uint64_t number_from(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

/// What was said to the clients.
struct Promised {
  std::map<int, std::map<std::int64_t, std::string>> records;  ///< partition -> offset -> value
  std::int64_t committed_offset = -1;                          ///< acknowledged
  std::int64_t attempted_offset = -1;                          ///< perhaps applied
  std::map<int, std::int64_t> trimmed;
};

class PowerCuts {
 public:
  explicit PowerCuts(std::uint64_t seed) : rng_(seed), fs_(seed), random_(seed) {}

  /// Plays one disk's life. Returns how many acknowledged records were lost.
  int run() {
    EXPECT_TRUE(open());
    const auto made = store_->create_topic({"t", kPartitions, {{"retention.ms", "-1"}}});
    EXPECT_TRUE(made.has_value());
    for (int cut = 0; cut < kCutsPerDisk; ++cut) {
      work_until_power_goes();
      store_.reset();
      fs_.boot();
      const Status opened = open();
      EXPECT_TRUE(opened) << "a power cut was refused: " << opened.error().to_string();
      if (!opened) return 0;
      if (const int lost = verify(); lost != 0) return lost;
    }
    return 0;
  }

  /// As run(), for one cut on a disk whose sync does nothing. True if the harm is noticed.
  bool lying_disk_is_noticed() {
    if (!open() || !store_->create_topic({"t", kPartitions, {}})) return false;
    fs_.set_lying_sync(true);
    for (int i = 0; i < 20; ++i) append();
    for (auto& f : in_flight_) f.get();
    in_flight_.clear();
    fs_.power_off(CutMode::kDropAll);
    store_.reset();
    fs_.boot();
    fs_.set_lying_sync(false);
    return !open() || verify() != 0;
  }

 private:
  Status open() {
    StoreOptions o;
    o.directory = "data";
    o.memory_bytes = 64u << 20;
    o.segment_bytes = 256u << 10;
    o.low_space_bytes = 0;
    o.ballast_bytes = 0;
    o.background = false;
    o.file_system = &fs_;
    o.clock = &clock_;
    o.random = &random_;
    RUNNEL_TRY_ASSIGN(store_, Store::open(o));
    return {};
  }

  PartitionRef ref(int i) { return store_->partition("t", PartitionIndex(i)).value_or(nullptr); }
  std::uint64_t pick(std::uint64_t n) { return rng_() % n; }

  void work_until_power_goes() {
    constexpr std::array kModes = {CutMode::kDropAll, CutMode::kPrefix, CutMode::kSectors};
    Fault fault;
    fault.nth = 1 + pick(400);
    fault.kind = FaultKind::kPowerOff;
    fault.cut = kModes[pick(kModes.size())];
    fs_.set_fault(fault);
    for (int step = 0; step < 2000 && !fs_.fault_struck(); ++step) one_step();
    if (!fs_.fault_struck()) fs_.power_off(fault.cut);
    for (auto& f : in_flight_) f.get();
    in_flight_.clear();
    fs_.clear_fault();
  }

  void one_step() {
    switch (pick(20)) {
      case 0:
        clock_.advance(std::chrono::seconds(6));
        (void)store_->run_maintenance();
        break;
      case 1:
        trim();
        break;
      case 2:
      case 3:
        commit_offset();
        break;
      default:
        append();
    }
    if (in_flight_.size() > 8) {
      in_flight_.front().get();
      in_flight_.erase(in_flight_.begin());
    }
  }

  void append() {
    const int partition = static_cast<int>(pick(kPartitions));
    std::vector<std::string> values;
    for (std::uint64_t i = 0; i <= pick(4); ++i) {
      std::string value = std::to_string(next_value_++) + ":";
      value.append(pick(3) == 0 ? pick(20'000) : pick(200), 'v');
      sent_.insert(value);
      values.push_back(std::move(value));
    }
    CommitRequest request;
    request.appends.push_back({ref(partition), make_batch(values), {}, std::nullopt});
    auto done = std::make_shared<std::promise<void>>();
    in_flight_.push_back(done->get_future());
    store_->commit(std::move(request), [this, partition, values, done](CommitOutcome outcome) {
      if (outcome.result) {
        std::lock_guard lock(mutex_);
        const Offset base = outcome.result->appends[0].base_offset;
        for (std::size_t i = 0; i < values.size(); ++i) {
          promised_.records[partition][base.value() + static_cast<std::int64_t>(i)] = values[i];
        }
      }
      done->set_value();
    });
  }

  void commit_offset() {
    const std::int64_t offset = next_offset_++;
    CommitRequest request;
    request.offsets.push_back({"g", "t", PartitionIndex(0), Offset(offset), LeaderEpoch(0), ""});
    auto done = std::make_shared<std::promise<void>>();
    in_flight_.push_back(done->get_future());
    promised_.attempted_offset = offset;
    store_->commit(std::move(request), [this, offset, done](CommitOutcome outcome) {
      if (outcome.result) {
        std::lock_guard lock(mutex_);
        promised_.committed_offset = std::max(promised_.committed_offset, offset);
      }
      done->set_value();
    });
  }

  void trim() {
    const int partition = static_cast<int>(pick(kPartitions));
    const auto info = store_->partition_info(ref(partition));
    const auto span = static_cast<std::uint64_t>(info.high_watermark - info.log_start);
    const Offset before = info.log_start + static_cast<std::int64_t>(pick(span + 1));
    // Whether or not it is acknowledged, nothing before `before` is owed any more.
    auto& at = promised_.trimmed[partition];
    at = std::max(at, before.value());
    (void)store_->delete_records(ref(partition), before);
  }

  int verify() {
    int lost = 0;
    std::lock_guard lock(mutex_);
    std::set<std::string> seen;
    for (int p = 0; p < kPartitions; ++p) {
      const auto found = read(p);
      for (const auto& [offset, value] : found) {
        EXPECT_TRUE(sent_.contains(value)) << "a value nobody sent at " << offset;
        EXPECT_TRUE(seen.insert(value).second) << "twice: " << value.substr(0, 20);
      }
      for (const auto& [offset, value] : promised_.records[p]) {
        if (offset < promised_.trimmed[p]) continue;
        const auto at = found.find(offset);
        if (at == found.end() || at->second != value) ++lost;
      }
      // What survived without an acknowledgement is promised from now on: it has been seen.
      for (const auto& [offset, value] : found) promised_.records[p][offset] = value;
    }
    const auto committed = store_->committed_offset("g", "t", PartitionIndex(0)).value();
    const std::int64_t now = committed ? committed->offset.value() : -1;
    if (now < promised_.committed_offset) ++lost;
    EXPECT_LE(now, promised_.attempted_offset);
    promised_.committed_offset = now;
    return lost;
  }

  std::map<std::int64_t, std::string> read(int p) {
    std::map<std::int64_t, std::string> found;
    const auto info = store_->partition_info(ref(p));
    for (Offset at = info.log_start; at < info.high_watermark;) {
      auto fetched = store_->fetch_and_wait({{{ref(p), at, 1u << 20}}});
      EXPECT_FALSE(fetched[0].head.error) << fetched[0].head.error->to_string();
      if (fetched[0].head.error || fetched[0].batches.empty()) break;
      for (Bytes rest = fetched[0].batches.bytes(); !rest.empty();) {
        const auto size = protocol::validate_batch(rest, protocol::Depth::kRecords);
        EXPECT_TRUE(size.has_value());
        if (!size) return found;
        auto reader = protocol::RecordReader::open(rest.first(*size));
        for (auto r = reader->next(); r && *r; r = reader->next()) {
          if ((*r)->offset >= at) found[(*r)->offset.value()] = (*r)->value.value_or("");
        }
        rest = rest.subspan(*size);
      }
      at = fetched[0].head.next;
    }
    return found;
  }

  std::mt19937_64 rng_;
  SimFileSystem fs_;
  ManualClock clock_;
  SeededRandom random_;
  std::mutex mutex_;
  Promised promised_;
  std::set<std::string> sent_;
  std::uint64_t next_value_ = 0;
  std::int64_t next_offset_ = 0;
  std::vector<std::future<void>> in_flight_;
  std::unique_ptr<Store> store_;
};

TEST(PowerCut, NothingAcknowledgedIsLostAndNoStartIsRefused) {
  const std::uint64_t cuts = number_from("RUNNEL_POWER_CUTS", 100);
  const std::uint64_t first = number_from("RUNNEL_SEED", 1);
  for (std::uint64_t seed = first; seed < first + (cuts + kCutsPerDisk - 1) / kCutsPerDisk;
       ++seed) {
    SCOPED_TRACE("RUNNEL_SEED=" + std::to_string(seed));
    ASSERT_EQ(PowerCuts(seed).run(), 0);
    if (HasFailure()) break;
  }
}

TEST(PowerCut, ADiskThatAcknowledgesBeforeItSyncsIsCaught) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    EXPECT_TRUE(PowerCuts(seed).lying_disk_is_noticed()) << "seed " << seed;
  }
}

}  // namespace
}  // namespace runnel::storage
