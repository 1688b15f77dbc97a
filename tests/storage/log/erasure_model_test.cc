// Random appends, erasures, trims, changes of retention and policy, restarts and power cuts; what
// can be read, and how many bytes are counted, is held against a plain list of what was written.
//
// RUNNEL_MODELS sets the number of seeds (default 15), RUNNEL_MODEL_STEPS that of operations in
// each, RUNNEL_SEED repeats one.

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "tests/storage/log/random_life.h"

namespace runnel::storage {
namespace {

constexpr int kSteps = 120;  // of one seed, if RUNNEL_MODEL_STEPS does not say another number
constexpr int kPartitions = 2;
constexpr std::uint64_t kKeys = 6;

struct Written {
  std::string key;
  std::string value;
};

struct Batch {
  std::int64_t last = 0;
  std::uint64_t bytes = 0;
};

/// A request and the records it means.
struct Request {
  std::string key;
  std::array<std::int64_t, kPartitions> ends{};
  bool removed = false;
};

class ErasureModelTest : public RandomLife {
 protected:
  std::string any_key() { return "key-of-" + std::to_string(pick(kKeys)) + "-b3f1"; }

  void write() {
    const auto index = pick(kPartitions);
    protocol::BatchBuilder builder{protocol::BatchOptions{}};
    std::vector<Written>& log = logs[index];
    const auto base = static_cast<std::int64_t>(log.size());
    for (std::uint64_t i = 0; i <= pick(4); ++i) {
      log.push_back({any_key(), std::string(pick(one_in(4) ? 9000 : 500), 'v')});
      builder.add({clock.now(), log.back().key, log.back().value, {}});
    }
    const CommitOutcome outcome = append("t", builder.finish().value(), static_cast<int>(index));
    ASSERT_TRUE(outcome.result) << outcome.result.error().to_string();
    ASSERT_EQ(outcome.result->appends[0].base_offset, Offset(base));
  }

  void erase() {
    Request request;
    request.key = any_key();
    const std::string id = "e" + std::to_string(requests.size());
    const auto begun = store->erase_key(id, "t", request.key);
    ASSERT_TRUE(begun) << begun.error().to_string();
    for (std::size_t i = 0; i < kPartitions; ++i) {
      request.ends[i] = static_cast<std::int64_t>(logs[i].size());
      ASSERT_EQ(begun->parts.at(i).end, Offset(request.ends[i]));
    }
    requests.emplace(id, request);
  }

  void trim() {
    const auto index = pick(kPartitions);
    const PartitionRef partition = ref("t", static_cast<int>(index));
    const auto info = store->partition_info(partition);
    const auto left =
        static_cast<std::uint64_t>((info.high_watermark.value() - info.log_start.value()));
    const Offset before = info.log_start + static_cast<std::int64_t>(pick(left / 3 + 1));
    const auto start = store->delete_records(partition, before);
    ASSERT_TRUE(start) << start.error().to_string();
    ASSERT_EQ(*start, before);
  }

  void change_configs() {
    retention_bytes = one_in(3) ? -1 : static_cast<std::int64_t>(pick(60'000));
    // Once compacted, what went is not told from what was lost: late.
    compacted = compacted || one_in(6);
    ASSERT_TRUE(
        store->alter_topic("t", {{"retention.bytes", std::to_string(retention_bytes)},
                                 {"cleanup.policy", compacted ? "compact,delete" : "delete"}}));
  }

  /// Retention takes a batch when more than it may keep lies from it on; neither less nor more.
  void maintain() {
    std::array<std::vector<Batch>, kPartitions> before;
    for (std::size_t i = 0; i < kPartitions; ++i) before[i] = batches_of(i);
    clock.advance(std::chrono::seconds(1 + pick(10)));
    const Status done = store->run_maintenance();
    ASSERT_TRUE(done) << done.error().to_string();
    for (std::size_t i = 0; i < kPartitions; ++i) {
      const Offset start = store->partition_info(ref("t", static_cast<int>(i))).log_start;
      std::uint64_t from_here = 0;
      for (const Batch& b : before[i]) from_here += b.bytes;
      for (const Batch& b : before[i]) {
        const bool goes =
            retention_bytes >= 0 && from_here > static_cast<std::uint64_t>(retention_bytes);
        ASSERT_EQ(Offset(b.last) < start, goes)
            << "partition " << i << ", the batch up to " << b.last << " of which on " << from_here
            << " bytes are there; " << retention_bytes << " may be kept, it starts at "
            << start.value();
        from_here -= b.bytes;
      }
    }
  }

  // ---- what can be read ----

  template <class F>
  void for_each_fetched(std::size_t index, F&& f) {
    const PartitionRef partition = ref("t", static_cast<int>(index));
    const auto info = store->partition_info(partition);
    for (Offset at = info.log_start; at < info.high_watermark;) {
      auto fetched = store->fetch_and_wait({{{partition, at, 200'000}}});
      const FetchedPartition& head = fetched[0].head;
      ASSERT_FALSE(head.error) << head.error->to_string();
      ASSERT_GT(head.next, at);
      for (Bytes rest = fetched[0].batches.bytes(); !rest.empty();) {
        const auto size =
            protocol::validate_batch(rest, protocol::Depth::kRecords, protocol::Gaps::kAllowed);
        ASSERT_TRUE(size) << size.error().to_string();
        f(rest.first(*size));
        rest = rest.subspan(*size);
      }
      at = head.next;
    }
  }

  std::vector<Batch> batches_of(std::size_t index) {
    std::vector<Batch> out;
    for_each_fetched(index, [&](Bytes batch) {
      out.push_back({protocol::BatchView(batch).last_offset().value(), batch.size()});
    });
    return out;
  }

  /// Whether some request that means the record was made, or done.
  [[nodiscard]] bool may_be_erased(std::size_t index, std::int64_t offset) const {
    return any_request(index, offset, false);
  }
  [[nodiscard]] bool must_be_erased(std::size_t index, std::int64_t offset) const {
    return any_request(index, offset, true);
  }
  [[nodiscard]] bool any_request(std::size_t index, std::int64_t offset, bool removed) const {
    const std::string& key = logs[index][static_cast<std::size_t>(offset)].key;
    return std::any_of(requests.begin(), requests.end(), [&](const auto& r) {
      return r.second.key == key && offset < r.second.ends[index] && (!removed || r.second.removed);
    });
  }
  [[nodiscard]] bool is_overwritten(std::size_t index, std::int64_t offset) const {
    const auto& log = logs[index];
    const auto at = log.begin() + offset;
    return std::any_of(at + 1, log.end(), [&](const Written& w) { return w.key == at->key; });
  }

  void compare(std::size_t index) {
    const auto info = store->partition_info(ref("t", static_cast<int>(index)));
    const auto& log = logs[index];
    ASSERT_EQ(info.high_watermark, Offset(static_cast<std::int64_t>(log.size())));
    std::int64_t at = info.log_start.value();
    std::uint64_t bytes = 0;
    const auto pass_missing = [&](std::int64_t to) {
      for (; at < to; ++at) {
        ASSERT_TRUE(may_be_erased(index, at) || (compacted && is_overwritten(index, at)))
            << "offset " << at << " is gone";
      }
    };
    for_each_fetched(index, [&](Bytes batch) {
      bytes += batch.size();
      auto reader = protocol::RecordReader::open(batch);
      for (auto r = reader->next(); r && *r; r = reader->next()) {
        const std::int64_t offset = (*r)->offset.value();
        if (offset < at) continue;
        pass_missing(offset);
        const Written& w = log[static_cast<std::size_t>(offset)];
        ASSERT_EQ((*r)->key.value_or(""), w.key) << "offset " << offset;
        ASSERT_TRUE((*r)->value.value_or("") == w.value) << "offset " << offset;
        ASSERT_FALSE(must_be_erased(index, offset)) << "offset " << offset << " is there";
        at = offset + 1;
      }
    });
    pass_missing(info.high_watermark.value());
    ASSERT_EQ(info.bytes, bytes) << "partition " << index;
  }

  void look_at_receipts() {
    std::set<std::string> gone;
    for (auto& [id, request] : requests) {
      const auto receipt = store->erasure(id);
      ASSERT_TRUE(receipt) << receipt.error().to_string();
      ASSERT_EQ(receipt->problem, "");
      request.removed = receipt->removed != kNoTimestamp;
      if (receipt->gone == kNoTimestamp) continue;
      ++finished;
      bool written_later = false;
      for (std::size_t i = 0; i < kPartitions; ++i) {
        written_later =
            written_later || std::any_of(logs[i].begin() + request.ends[i], logs[i].end(),
                                         [&](const Written& w) { return w.key == request.key; });
      }
      if (!written_later) gone.insert(request.key);
    }
    if (gone.empty()) return;
    for (const SimFileInfo& file : disk->files()) {
      const auto text = disk->read_file(file.path);
      ASSERT_TRUE(text);
      for (const std::string& key : gone) {
        ASSERT_EQ(text->find(key), std::string::npos) << key << ": " << file.path;
      }
    }
  }

  void compare_all() {
    ASSERT_NO_FATAL_FAILURE(look_at_receipts());
    for (std::size_t i = 0; i < kPartitions; ++i) ASSERT_NO_FATAL_FAILURE(compare(i));
  }

  void step() {
    const auto what = pick(100);
    if (what < 50) return write();
    if (what < 55) return erase();
    if (what < 60) return trim();
    if (what < 78) return maintain();
    if (what < 81) return maintain_and_fall();
    if (what < 84) return restart();
    if (what < 88) return change_configs();
    compare_all();
  }

  void play(std::uint64_t seed) {
    store.reset();
    disk = std::make_unique<SimFileSystem>(seed);
    rng.seed(seed);
    logs = {};
    requests.clear();
    retention_bytes = -1;
    compacted = false;
    ASSERT_NO_FATAL_FAILURE(open_store());
    create("t", kPartitions, {{"retention.ms", "-1"}, {"min.cleanable.dirty.ratio", "0"}});
    for (int i = 0; i < model_steps(kSteps); ++i) {
      SCOPED_TRACE("step " + std::to_string(i));
      ASSERT_NO_FATAL_FAILURE(step());
      if (HasFailure()) return;
    }
    for (int i = 0; i < 200 && unfinished() != 0; ++i) ASSERT_NO_FATAL_FAILURE(maintain());
    ASSERT_EQ(unfinished(), 0);
    ASSERT_NO_FATAL_FAILURE(compare_all());
    ASSERT_NO_FATAL_FAILURE(restart());
    ASSERT_NO_FATAL_FAILURE(compare_all());
  }
  std::ptrdiff_t unfinished() const {
    const auto all = store->erasures();
    return std::count_if(all.begin(), all.end(),
                         [](const Erasure& e) { return e.gone == kNoTimestamp; });
  }

  std::array<std::vector<Written>, kPartitions> logs;
  std::map<std::string, Request> requests;
  std::int64_t retention_bytes = -1;
  bool compacted = false;
  std::uint64_t finished = 0;
};

TEST_F(ErasureModelTest, WhatIsErasedIsGoneAndNothingElse) {
  const char* count = std::getenv("RUNNEL_MODELS");
  for_each_seed(1, count == nullptr ? 15 : std::strtoull(count, nullptr, 10),
                [&](std::uint64_t seed) { play(seed); });
  if (HasFailure()) return;
  EXPECT_GT(finished, 0U);
}

}  // namespace
}  // namespace runnel::storage
