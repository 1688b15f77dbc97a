// Random keyed records, deletion marks and transactions in compacted topics, with compaction,
// cleaning, trims, restarts and power cuts at any point between and within; what can be read is
// held against Kafka's contract for compacted topics.
//
// RUNNEL_MODELS sets the number of seeds (default 60), RUNNEL_MODEL_STEPS that of operations in
// each, RUNNEL_SEED repeats one.

#include <algorithm>
#include <array>
#include <map>

#include "protocol/record_batch/control_record.h"
#include "tests/storage/log/committed_reader.h"
#include "tests/storage/log/random_life.h"

namespace runnel::storage {
namespace {

constexpr int kSteps = 250;  // of one seed, if RUNNEL_MODEL_STEPS does not say another number
constexpr int kPartitions = 2;
constexpr int kWriters = 2;
constexpr std::int64_t kDeleteRetention = 100'000;

/// A record as it was written. What the store may do with it follows from it.
struct Written {
  std::optional<std::string> key;
  std::optional<std::string> value;
  Timestamp time;
  int transaction = -1;
  bool control = false;
  int ends = -1;  ///< of a marker: the transaction it ended
  /// When compaction first came by after it was written.
  std::optional<Timestamp> passed;
};

struct Transaction {
  enum class State { kOpen, kCommitted, kAborted };
  int writer = 0;
  std::int64_t first = 0;
  State state = State::kOpen;
};

struct Log {
  std::vector<Written> records;  // by offset
  std::vector<Transaction> transactions;
  std::map<int, int> open;  // writer -> place in transactions
  std::map<int, std::int32_t> sequences;
  std::int64_t start = 0;

  [[nodiscard]] std::int64_t next() const { return static_cast<std::int64_t>(records.size()); }
  [[nodiscard]] const Written& at(std::int64_t offset) const {
    return records[static_cast<std::size_t>(offset)];
  }
  [[nodiscard]] std::int64_t stable() const {
    std::int64_t least = next();
    for (const auto& [writer, place] : open) {
      least = std::min(least, transactions[static_cast<std::size_t>(place)].first);
    }
    return std::max(least, start);
  }
  [[nodiscard]] Transaction::State state_of(std::int64_t offset) const {
    const int place = at(offset).transaction;
    return place < 0 ? Transaction::State::kCommitted
                     : transactions[static_cast<std::size_t>(place)].state;
  }
};

struct Read {
  std::int64_t offset = 0;
  std::optional<std::string> key;
  std::optional<std::string> value;
  Timestamp time;
  bool control = false;
};

class CompactionModelTest : public RandomLife {
 protected:
  StoreOptions disk_options() override {
    StoreOptions o = RandomLife::disk_options();
    o.memory_bytes = 64u << 10;  // for about 96 keys a pass
    return o;
  }
  ProducerIdentity& writer(int who) {
    while (writers.size() <= static_cast<std::size_t>(who)) {
      const auto made = store->new_producer();
      EXPECT_TRUE(made);
      writers.push_back(made.value_or(ProducerIdentity{}));
    }
    return writers[static_cast<std::size_t>(who)];
  }

  Written any_record() {
    Written w;
    if (!one_in(30)) w.key = "k" + std::to_string(pick(one_in(4) ? 400 : 12));
    if (!w.key || !one_in(5)) {
      w.value = std::to_string(++last_value) + ":" + std::string(pick(one_in(4) ? 6000 : 300), 'v');
    }
    w.time = clock.now() - static_cast<std::int64_t>(pick(30'000));
    return w;
  }

  void write() {
    const int index = static_cast<int>(pick(kPartitions));
    Log& log = logs[static_cast<std::size_t>(index)];
    protocol::BatchOptions batch;
    constexpr std::array kCodecs = {protocol::Codec::kNone, protocol::Codec::kNone,
                                    protocol::Codec::kLz4, protocol::Codec::kZstd};
    batch.codec = kCodecs[pick(kCodecs.size())];
    const bool transactional = one_in(2);
    const int who = static_cast<int>(pick(kWriters));
    if (transactional) {
      const ProducerIdentity id = writer(who);
      batch.producer_id = id.id;
      batch.producer_epoch = id.epoch;
      batch.base_sequence = log.sequences[who];
      batch.transactional = true;
    }
    protocol::BatchBuilder builder(batch);
    std::vector<Written> written;
    for (std::uint64_t i = 0; i <= pick(6); ++i) {
      Written w = any_record();
      builder.add({w.time,
                   w.key ? std::optional<std::string_view>(*w.key) : std::nullopt,
                   w.value ? std::optional<std::string_view>(*w.value) : std::nullopt,
                   {}});
      written.push_back(std::move(w));
    }
    const CommitOutcome outcome = append("t", builder.finish().value(), index);
    ASSERT_TRUE(outcome.result) << outcome.result.error().to_string();
    ASSERT_EQ(outcome.result->appends[0].base_offset, Offset(log.next()));
    int place = -1;
    if (transactional) {
      log.sequences[who] += static_cast<std::int32_t>(written.size());
      const auto [it, is_new] =
          log.open.try_emplace(who, static_cast<int>(log.transactions.size()));
      if (is_new) log.transactions.push_back({who, log.next(), Transaction::State::kOpen});
      place = it->second;
    }
    for (Written& w : written) {
      w.transaction = place;
      log.records.push_back(std::move(w));
    }
  }

  void end_transaction() {
    const int who = static_cast<int>(pick(kWriters));
    const bool commit = one_in(2);
    CommitRequest request;
    for (int i = 0; i < kPartitions; ++i) {
      Log& log = logs[static_cast<std::size_t>(i)];
      if (!log.open.contains(who) && !one_in(10)) continue;
      request.markers.push_back({ref("t", i), writer(who), commit, 0});
    }
    if (request.markers.empty()) return;
    std::vector<int> ended;
    for (const auto& m : request.markers) ended.push_back(m.partition->index().value());
    ASSERT_TRUE(store->commit_and_wait(std::move(request)).result);
    for (const int i : ended) {
      Log& log = logs[static_cast<std::size_t>(i)];
      Written marker;
      marker.time = clock.now();
      marker.control = true;
      const auto open = log.open.find(who);
      if (open != log.open.end()) {
        marker.ends = open->second;
        log.transactions[static_cast<std::size_t>(open->second)].state =
            commit ? Transaction::State::kCommitted : Transaction::State::kAborted;
        log.open.erase(open);
      }
      log.records.push_back(std::move(marker));
    }
  }

  void trim() {
    const int index = static_cast<int>(pick(kPartitions));
    Log& log = logs[static_cast<std::size_t>(index)];
    const auto before = static_cast<std::int64_t>(
        pick(static_cast<std::uint64_t>(std::max<std::int64_t>(1, log.next() / 2))));
    const auto start = store->delete_records(ref("t", index), Offset(before));
    ASSERT_TRUE(start) << start.error().to_string();
    log.start = std::max(log.start, before);
    ASSERT_EQ(*start, Offset(log.start));
  }

  void note_pass() {
    for (Log& log : logs) {
      for (Written& w : log.records) {
        if (!w.passed) w.passed = clock.now();
      }
    }
  }

  void maintain() {
    clock.advance(std::chrono::milliseconds(pick(60'000)));
    note_pass();
    ASSERT_TRUE(store->run_maintenance());
  }

  void note_and_fall() {
    note_pass();
    maintain_and_fall();
  }

  /// A write of the cleaner fails, and it goes on another time.
  void maintain_with_error() {
    note_pass();
    Fault fault;
    fault.nth = 1 + pick(4);
    fault.kind = one_in(2) ? FaultKind::kIo : FaultKind::kShortWrite;
    fault.path_contains = ".log";
    disk->set_fault(fault);
    static_cast<void>(store->run_maintenance());
    disk->clear_fault();
  }

  void change_configs() {
    constexpr std::array kRatios = {"0", "0.5", "0.01"};
    ASSERT_TRUE(store->alter_topic(
        "t", {{"min.cleanable.dirty.ratio", kRatios[pick(kRatios.size())]},
              {"max.compaction.lag.ms",
               one_in(3) ? std::optional<std::string>("30000") : std::nullopt}}));
  }

  // ---- what can be read ----

  std::vector<Read> read_all(int index, std::int64_t from) {
    std::vector<Read> out;
    const PartitionRef partition = ref("t", index);
    const auto end = store->partition_info(partition).high_watermark;
    const auto max = static_cast<std::uint32_t>(1 + pick(one_in(2) ? 3000 : 200'000));
    for (Offset at(from); at < end;) {
      auto fetched = store->fetch_and_wait({{{partition, at, max}}});
      const FetchedPartition& head = fetched[0].head;
      if (head.error) {
        ADD_FAILURE() << head.error->to_string();
        break;
      }
      EXPECT_GT(head.next, at);
      EXPECT_FALSE(fetched[0].batches.empty());
      if (head.next <= at) break;
      for (Bytes rest = fetched[0].batches.bytes(); !rest.empty();) {
        const auto size =
            protocol::validate_batch(rest, protocol::Depth::kRecords, protocol::Gaps::kAllowed);
        EXPECT_TRUE(size) << size.error().to_string();
        if (!size) return out;
        const bool control = protocol::BatchView(rest).is_control();
        auto reader = protocol::RecordReader::open(rest.first(*size));
        for (auto r = reader->next(); r && *r; r = reader->next()) {
          if ((*r)->offset < at) continue;
          Read& read = out.emplace_back();
          read.offset = (*r)->offset.value();
          if ((*r)->key) read.key = std::string(*(*r)->key);
          if ((*r)->value) read.value = std::string(*(*r)->value);
          read.time = (*r)->timestamp;
          read.control = control;
        }
        rest = rest.subspan(*size);
      }
      at = head.next;
    }
    return out;
  }

  /// Whether a record that is not there any more could go.
  void check_missing(const Log& log, std::int64_t offset) {
    const Written& w = log.at(offset);
    const auto state = log.state_of(offset);
    ASSERT_TRUE(w.passed) << "compaction never came by";
    ASSERT_NE(state, Transaction::State::kOpen);
    const bool late = clock.now() - *w.passed >= kDeleteRetention;
    if (w.control) {
      ASSERT_TRUE(late) << "a transaction's end went early";
      ++gone.markers;
      return;
    }
    ASSERT_GE(clock.now() - w.time, min_lag);
    if (state == Transaction::State::kAborted) {
      ++gone.aborted;
      return;
    }
    ASSERT_TRUE(w.key) << "a record without a key went";
    for (std::int64_t o = offset + 1; o < log.next(); ++o) {
      if (log.at(o).control || log.at(o).key != w.key) continue;
      if (log.state_of(o) != Transaction::State::kCommitted || !log.at(o).passed) continue;
      ++gone.overwritten;
      return;
    }
    ASSERT_FALSE(w.value) << "the last value of " << *w.key << " went";
    ASSERT_TRUE(late) << "a deletion mark went early";
    ++gone.marks;
  }

  void compare(int index) {
    const Log& log = logs[static_cast<std::size_t>(index)];
    const std::vector<Read> all = read_all(index, log.start);
    std::int64_t at = log.start;
    for (const Read& r : all) {
      ASSERT_GE(r.offset, at) << "order";
      for (; at < r.offset; ++at)
        ASSERT_NO_FATAL_FAILURE(check_missing(log, at)) << "offset " << at;
      const Written& w = log.at(at);
      ASSERT_EQ(r.control, w.control) << "offset " << at;
      if (!r.control) {
        ASSERT_EQ(r.key, w.key) << "offset " << at;
        ASSERT_TRUE(r.value == w.value) << "offset " << at;
      }
      ASSERT_EQ(r.time, w.time) << "offset " << at;
      ++at;
    }
    ASSERT_EQ(at, log.next()) << "the last batch stays";
    check_resurrection(log, all);
    check_committed(index, all);
    check_times(index, all);
  }

  /// Where a key's deletion mark is gone, so is everything before it; where a transaction's end is
  /// gone, so are its records.
  static void check_resurrection(const Log& log, const std::vector<Read>& all) {
    std::set<std::int64_t> there;
    std::set<int> with_records;  // transactions
    for (const Read& r : all) {
      there.insert(r.offset);
      with_records.insert(log.at(r.offset).transaction);
    }
    std::map<std::string, std::int64_t> gone;
    for (std::int64_t o = log.next() - 1; o >= log.start; --o) {
      const Written& w = log.at(o);
      const bool lost_end = w.ends >= 0 && !there.contains(o);
      ASSERT_FALSE(lost_end && with_records.contains(w.ends)) << "the end at " << o << " is gone";
      if (w.control || !w.key || log.state_of(o) != Transaction::State::kCommitted) continue;
      if (there.contains(o)) {
        ASSERT_FALSE(gone.contains(*w.key)) << *w.key << " at " << o << " is back";
        gone.erase(*w.key);
      } else if (!w.value) {
        gone[*w.key] = o;
      }
    }
  }

  void check_committed(int index, const std::vector<Read>& all) {
    const Log& log = logs[static_cast<std::size_t>(index)];
    std::vector<std::pair<Offset, std::string>> expected;
    for (const Read& r : all) {
      if (r.control || r.offset >= log.stable()) continue;
      if (log.state_of(r.offset) != Transaction::State::kCommitted) continue;
      expected.emplace_back(Offset(r.offset), r.value.value_or(""));
    }
    bool readable = false;
    const auto found = read_committed(*store, ref("t", index), Offset(log.start),
                                      static_cast<std::uint32_t>(1 + pick(20'000)), readable);
    ASSERT_TRUE(readable);
    ASSERT_TRUE(found == expected);
  }

  void check_times(int index, const std::vector<Read>& all) {
    const Timestamp time = clock.now() - static_cast<std::int64_t>(pick(100'000));
    Offset expected = kNoOffset;
    Timestamp newest = kNoTimestamp;
    for (const Read& r : all) {
      if (expected == kNoOffset && r.time >= time) expected = Offset(r.offset);
      newest = std::max(newest, r.time);
    }
    const PartitionRef partition = ref("t", index);
    const auto found = store->find_offset(partition, {OffsetQuery::Kind::kTime, time, false});
    ASSERT_TRUE(found) << found.error().to_string();
    ASSERT_EQ(found->offset, expected);
    const auto max = store->find_offset(partition, {OffsetQuery::Kind::kMaxTimestamp, {}, false});
    ASSERT_TRUE(max) << max.error().to_string();
    ASSERT_EQ(max->timestamp, newest);
    ASSERT_EQ(store->partition_info(partition).max_timestamp, newest);
  }

  /// Once nothing is left to be kept, no segment is but the one being written and the next.
  void check_space() {
    ASSERT_TRUE(store->delete_topic("t"));
    clock.advance(std::chrono::seconds(10));
    ASSERT_TRUE(store->run_maintenance());
    for (const SimFileInfo& f : disk->files()) {
      EXPECT_FALSE(f.path.ends_with(".log") && f.path.find("/segments/") != std::string::npos)
          << f.path;
    }
    EXPECT_LE(store->stats().segments, 2U);
  }

  void step() {
    const auto what = pick(100);
    if (what < 55) return write();
    if (what < 65) return end_transaction();
    if (what < 67) return trim();
    if (what < 79) return maintain();
    if (what < 82) return note_and_fall();
    if (what < 84) return maintain_with_error();
    if (what < 86) return restart();
    if (what < 88) return change_configs();
    if (what < 90) {
      ASSERT_TRUE(static_cast<LogStore&>(*store).flush_index());
      return;
    }
    compare(static_cast<int>(pick(kPartitions)));
  }

  void play(std::uint64_t seed) {
    store.reset();
    disk = std::make_unique<SimFileSystem>(seed);
    rng.seed(seed);
    logs.assign(kPartitions, {});
    writers.clear();
    min_lag = one_in(3) ? 40'000 : 0;
    ASSERT_NO_FATAL_FAILURE(open_store());
    create("t", kPartitions,
           {{"cleanup.policy", "compact"},
            {"min.cleanable.dirty.ratio", "0"},
            {"min.compaction.lag.ms", std::to_string(min_lag)},
            {"delete.retention.ms", std::to_string(kDeleteRetention)}});
    for (int i = 0; i < model_steps(kSteps); ++i) {
      SCOPED_TRACE("step " + std::to_string(i));
      ASSERT_NO_FATAL_FAILURE(step());
      if (HasFailure()) return;
    }
    for (int i = 0; i < kPartitions; ++i) ASSERT_NO_FATAL_FAILURE(compare(i));
    ASSERT_NO_FATAL_FAILURE(restart());
    for (int i = 0; i < kPartitions; ++i) ASSERT_NO_FATAL_FAILURE(compare(i));
    check_space();
  }

  ~CompactionModelTest() override { store.reset(); }  // before the disk goes

  std::uint64_t last_value = 0;
  /// Why records were missing, so that it is known that the test saw it.
  struct {
    std::uint64_t overwritten = 0;
    std::uint64_t aborted = 0;
    std::uint64_t marks = 0;
    std::uint64_t markers = 0;
  } gone;
  std::vector<Log> logs;
  std::vector<ProducerIdentity> writers;
  std::int64_t min_lag = 0;
};

TEST_F(CompactionModelTest, WhatIsReadKeepsTheContract) {
  const char* count = std::getenv("RUNNEL_MODELS");
  for_each_seed(1, count == nullptr ? 60 : std::strtoull(count, nullptr, 10),
                [&](std::uint64_t seed) { play(seed); });
  if (std::getenv("RUNNEL_SEED") != nullptr || HasFailure()) return;
  EXPECT_GT(gone.overwritten, 0U);
  EXPECT_GT(gone.aborted, 0U);
  EXPECT_GT(gone.marks, 0U);
  EXPECT_GT(gone.markers, 0U);
}

}  // namespace
}  // namespace runnel::storage
