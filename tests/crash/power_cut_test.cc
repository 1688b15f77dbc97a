// Power cuts under a running store: the power goes at a random operation of the disk, whatever was
// not synced is lost in one of three ways, and after each start everything acknowledged must be
// there, nothing must be there twice, and no start may be refused. Transactions that span
// partitions and a consumer offset have ended everywhere or nowhere. Topics come and go, and the
// index saves itself at random, so that it is ahead of its checkpoint. Every other time the log is
// written past the page cache.
//
// RUNNEL_POWER_CUTS sets the number of cuts (default 100), RUNNEL_SEED the first seed.

#include <gtest/gtest.h>

#include <cstdlib>
#include <future>
#include <random>

#include "storage/check.h"
#include "storage/log/log_store.h"
#include "tests/storage/log/committed_reader.h"
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
  std::int64_t last_ended = 0;  ///< number of the last transaction whose end was acknowledged
};

/// A transaction that was at least begun.
struct Attempt {
  std::map<int, std::vector<std::string>> values;  ///< partition -> what it wrote there
  bool commit = false;
};

class PowerCuts {
 public:
  explicit PowerCuts(std::uint64_t seed) : rng_(seed), fs_(seed), random_(seed) {}

  /// Plays one disk's life. Returns how many acknowledged records were lost.
  int run() {
    EXPECT_TRUE(open());
    const auto made = store_->create_topic({"t", kPartitions, {{"retention.ms", "-1"}}});
    EXPECT_TRUE(made.has_value());
    producer_ = store_->new_producer().value_or(ProducerIdentity{});
    for (int cut = 0; cut < kCutsPerDisk; ++cut) {
      work_until_power_goes();
      store_.reset();
      fs_.boot();
      expect_nothing_damaged();
      const Status opened = open();
      EXPECT_TRUE(opened) << "a power cut was refused: " << opened.error().to_string();
      if (!opened) return 0;
      verify_transactions();
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
    if (pick(2) == 0) o.page_cache_bytes = 0;
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

  void expect_nothing_damaged() {
    const auto report = check_directory("data", fs_);
    ASSERT_TRUE(report) << report.error().to_string();
    for (const Damage& d : report->damages) {
      ADD_FAILURE() << "a power cut is called damage: " << d.file << ": " << d.what;
    }
  }

  void one_step() {
    switch (pick(23)) {
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
      case 4:
      case 5:
      case 6:
        write_in_transaction();
        break;
      case 7:
      case 8:
        end_transaction();
        break;
      case 9:
      case 10:
        pass_by();
        break;
      case 11:
        (void)static_cast<LogStore&>(*store_).flush_index();
        break;
      default:
        append();
    }
    if (in_flight_.size() > 8) {
      in_flight_.front().get();
      in_flight_.erase(in_flight_.begin());
    }
  }

  std::vector<std::string> some_values() {
    std::vector<std::string> values;
    for (std::uint64_t i = 0; i <= pick(4); ++i) {
      std::string value = std::to_string(next_value_++) + ":";
      value.append(pick(3) == 0 ? pick(20'000) : pick(200), 'v');
      sent_.insert(value);
      values.push_back(std::move(value));
    }
    return values;
  }

  void append() {
    const auto values = some_values();
    append(static_cast<int>(pick(kPartitions)), values, make_batch(values));
  }

  /// A topic that comes, is written to and goes again.
  void pass_by() {
    const auto partition = store_->partition("passing", PartitionIndex(0));
    if (!partition) {
      (void)store_->create_topic({"passing", 1, {}});
      return;
    }
    if (pick(4) == 0) {
      (void)store_->delete_topic("passing");
      return;
    }
    CommitRequest request;
    request.appends.push_back({*partition, make_batch({"passing"}), {}, std::nullopt});
    auto done = std::make_shared<std::promise<void>>();
    in_flight_.push_back(done->get_future());
    store_->commit(std::move(request), [done](const CommitOutcome&) { done->set_value(); });
  }

  /// Goes on with the open transaction, or begins the next one. Nothing is waited for.
  void write_in_transaction() {
    const int partition = static_cast<int>(pick(kPartitions));
    const auto values = some_values();
    auto& wrote = attempts_[current_].values[partition];
    wrote.insert(wrote.end(), values.begin(), values.end());
    std::int32_t& sequence = sequences_[partition];
    append(partition, values,
           make_batch(BatchSpec{values, clock_.now(), producer_.id, producer_.epoch, sequence,
                                /*transactional=*/true}));
    sequence += static_cast<std::int32_t>(values.size());
  }

  void end_transaction() {
    const auto open = attempts_.find(current_);
    if (open == attempts_.end()) return;
    const std::int64_t number = current_++;
    open->second.commit = pick(2) == 0;
    CommitRequest request;
    for (const auto& [partition, values] : open->second.values) {
      request.markers.push_back({ref(partition), producer_, open->second.commit, 0});
    }
    request.offsets.push_back({"txn", "t", PartitionIndex(0), Offset(number), LeaderEpoch(0), ""});
    request.state.push_back({"txn", std::to_string(number)});
    auto done = std::make_shared<std::promise<void>>();
    in_flight_.push_back(done->get_future());
    store_->commit(std::move(request), [this, number, done](CommitOutcome outcome) {
      if (outcome.result) {
        std::lock_guard lock(mutex_);
        promised_.last_ended = number;
      }
      done->set_value();
    });
  }

  /// What the store says has ended must have ended in all partitions, and nothing else in any; then
  /// ends what was left open, as a coordinator does, with an epoch that keeps the old one out.
  void verify_transactions() {
    const auto state = store_->read_state("txn").value();
    const std::int64_t ended = state.empty() ? 0 : std::stoll(state[0].second);
    EXPECT_GE(ended, promised_.last_ended) << "an end that was acknowledged is lost";
    promised_.last_ended = ended;
    const auto offset = store_->committed_offset("txn", "t", PartitionIndex(0)).value();
    EXPECT_EQ(offset ? offset->offset.value() : 0, ended);
    expect_committed(ended);

    ++producer_.epoch;
    sequences_.clear();
    CommitRequest request;
    for (int p = 0; p < kPartitions; ++p) {
      const auto known = store_->producers(ref(p));
      ASSERT_TRUE(known);
      for (const ProducerInfo& info : *known) {
        const auto stable = store_->partition_info(ref(p)).last_stable;
        if (info.transaction_first == kNoOffset) continue;
        EXPECT_GE(stable, info.transaction_first);
        request.markers.push_back({ref(p), producer_, false, 0});
      }
    }
    if (!request.markers.empty()) {
      EXPECT_TRUE(store_->commit_and_wait(std::move(request)).result);
    }
    for (auto it = attempts_.upper_bound(ended); it != attempts_.end(); ++it) {
      it->second.commit = false;
    }
    expect_committed(ended);
    for (int p = 0; p < kPartitions; ++p) {
      const auto info = store_->partition_info(ref(p));
      EXPECT_EQ(info.last_stable, info.high_watermark);
    }
    current_ = std::max(current_, ended) + 1;
  }

  /// Of the records that are there, readers of committed ones see those of committed transactions.
  void expect_committed(std::int64_t ended) {
    for (int p = 0; p < kPartitions; ++p) {
      std::set<std::string> there;
      for (const auto& [offset, value] : read(p)) there.insert(value);
      bool readable = false;
      const Offset start = store_->partition_info(ref(p)).log_start;
      std::set<std::string> seen;
      for (auto& [offset, value] : read_committed(*store_, ref(p), start, 64u << 10, readable)) {
        EXPECT_TRUE(seen.insert(std::move(value)).second);
      }
      EXPECT_TRUE(readable);
      for (const auto& [number, attempt] : attempts_) {
        const auto wrote = attempt.values.find(p);
        if (wrote == attempt.values.end()) continue;
        for (const std::string& value : wrote->second) {
          if (!there.contains(value)) continue;  // trimmed, or never written
          const bool visible = number <= ended && attempt.commit;
          if (!visible) {
            EXPECT_FALSE(seen.contains(value)) << "transaction " << number;
          }
          // Behind an open transaction nothing is visible yet.
          const auto info = store_->partition_info(ref(p));
          if (visible && info.last_stable == info.high_watermark) {
            EXPECT_TRUE(seen.contains(value)) << "transaction " << number;
          }
        }
      }
    }
  }

  void append(int partition, const std::vector<std::string>& values, Buffer batch) {
    CommitRequest request;
    request.appends.push_back({ref(partition), std::move(batch), {}, std::nullopt});
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
          if (protocol::BatchView(rest).is_control()) continue;
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
  ProducerIdentity producer_;
  std::map<int, std::int32_t> sequences_;  ///< of each partition
  std::map<std::int64_t, Attempt> attempts_;
  std::int64_t current_ = 1;  ///< number of the open transaction, or the next one
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
