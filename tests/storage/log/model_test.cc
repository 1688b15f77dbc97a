// Random operations on a store and on a plain model in memory, restarts, kills and power cuts
// between them; whatever can be read is compared.
//
// RUNNEL_MODELS sets the number of seeds (default 200), RUNNEL_MODEL_STEPS that of operations in
// each, RUNNEL_SEED repeats one.

#include <algorithm>
#include <map>
#include <random>

#include "storage/check.h"
#include "storage/log/log_store.h"
#include "tests/storage/log/transaction_model.h"

namespace runnel::storage {
namespace {

constexpr int kSteps = 300;  // of one seed, if RUNNEL_MODEL_STEPS does not say another number
constexpr int kTopics = 3;
constexpr int kGroups = 3;
constexpr std::size_t kRememberedBatches = 5;  // of one producer in one partition
constexpr std::chrono::seconds kExpiryInterval{60};

class ModelTest : public TransactionModel {
 protected:
  // ---- operations ----

  void create_or_delete() {
    const std::string name = "t" + std::to_string(pick(kTopics));
    if (!topics.contains(name)) {
      const auto partitions = 1 + pick(4);
      ModelTopic t;
      if (one_in(3)) t.retention_ms = static_cast<std::int64_t>(pick(600'000));
      if (one_in(3)) t.retention_bytes = static_cast<std::int64_t>(pick(200'000));
      t.partitions.resize(partitions);
      create(name, static_cast<int>(partitions),
             {{"retention.ms", std::to_string(t.retention_ms)},
              {"retention.bytes", std::to_string(t.retention_bytes)}});
      topics[name] = std::move(t);
    } else if (one_in(2)) {
      ASSERT_TRUE(store->delete_topic(name));
      topics.erase(name);
      std::erase_if(offsets, [&](const auto& o) { return std::get<1>(o.first) == name; });
    } else if (one_in(2)) {
      const auto total = topics[name].partitions.size() + 1 + pick(2);
      ASSERT_TRUE(store->add_partitions(name, static_cast<std::int32_t>(total)));
      topics[name].partitions.resize(total);
    } else {
      topics[name].retention_ms = one_in(2) ? -1 : static_cast<std::int64_t>(pick(600'000));
      ASSERT_TRUE(
          store->alter_topic(name, {{"retention.ms", std::to_string(topics[name].retention_ms)}}));
    }
  }

  void plain_append() {
    CommitRequest request;
    struct Expected {
      Target target;
      std::vector<std::string> values;
      Timestamp time;
      std::uint64_t bytes;
    };
    std::vector<Expected> expected;
    bool refused = false;
    for (std::uint64_t i = 0; i <= pick(3); ++i) {
      const Target to = any_partition();
      if (to.model == nullptr) return;
      const auto same = [&](const Expected& e) { return e.target.model == to.model; };
      if (std::any_of(expected.begin(), expected.end(), same)) continue;
      Expected e{to, {}, clock.now() - static_cast<std::int64_t>(pick(60'000)), 0};
      for (std::uint64_t r = 0; r <= pick(4); ++r) {
        e.values.push_back(unique(one_in(6) ? pick(50'000) : pick(300)));
      }
      Buffer batch = make_batch(BatchSpec{e.values, e.time});
      e.bytes = batch.size();
      std::optional<Offset> next;
      if (one_in(4)) {
        const bool wrong = one_in(3);
        refused = refused || wrong;
        next = Offset(to.model->next() + (wrong ? 1 : 0));
      }
      request.appends.push_back({ref(to.topic, to.index), std::move(batch), {}, next});
      expected.push_back(std::move(e));
    }
    if (one_in(5)) {
      const std::uint64_t token = pick(6);
      auto& known = fences["f"];
      const bool stale = token < known;
      refused = refused || stale;
      request.fences.push_back({"f", token});
      if (!refused) known = token;
    }
    const CommitOutcome outcome = store->commit_and_wait(std::move(request));
    ASSERT_EQ(outcome.result.has_value(), !refused);
    if (refused) {
      ASSERT_TRUE(code(outcome) == ErrorCode::kPreconditionFailed ||
                  code(outcome) == ErrorCode::kFenced);
      return;
    }
    for (std::size_t i = 0; i < expected.size(); ++i) {
      Expected& e = expected[i];
      ASSERT_EQ(outcome.result->appends[i].base_offset, Offset(e.target.model->next()));
      e.target.model->add(e.values, e.time, e.bytes);
    }
  }

  void idempotent_append() {
    const Target to = any_partition();
    if (to.model == nullptr) return;
    while (ids.size() < 3) {
      const auto made = store->new_producer();
      ASSERT_TRUE(made);
      for (const auto& known : ids) ASSERT_NE(known.id, made->id);
      ids.push_back(*made);
    }
    const int who = static_cast<int>(pick(ids.size()));
    auto& sent = to.model->producers[who];
    const auto after = [](const SentBatch& b) {
      return b.sequence + static_cast<std::int32_t>(b.values.size());
    };
    SentBatch b;
    const bool repeat = !sent.empty() && one_in(3);
    const bool gap = !repeat && !sent.empty() && one_in(6);
    if (repeat) {
      b = sent[sent.size() - 1 - pick(std::min(sent.size(), kRememberedBatches))];
    } else {
      b.sequence = (sent.empty() ? 0 : after(sent.back())) + (gap ? 3 : 0);
      for (std::uint64_t r = 0; r <= pick(3); ++r) b.values.push_back(unique(pick(100)));
    }
    const auto& id = ids[static_cast<std::size_t>(who)];
    const Timestamp time = clock.now();
    Buffer batch = make_batch(BatchSpec{b.values, time, id.id, id.epoch, b.sequence});
    const auto bytes = batch.size();
    const CommitOutcome outcome = append(to.topic, std::move(batch), to.index);
    if (gap) {
      ASSERT_EQ(code(outcome), ErrorCode::kOutOfOrderSequence);
      return;
    }
    ASSERT_TRUE(outcome.result) << outcome.result.error().to_string();
    const AppendResult& result = outcome.result->appends[0];
    ASSERT_EQ(result.duplicate, repeat);
    ASSERT_EQ(result.base_offset, Offset(repeat ? b.base : to.model->next()));
    if (repeat) return;
    b.base = to.model->next();
    to.model->add(b.values, time, bytes);
    sent.push_back(std::move(b));
  }

  void dedup_append() {
    const Target to = any_partition();
    if (to.model == nullptr) return;
    const std::string key = "k" + std::to_string(pick(20));
    const std::uint64_t hash = one_in(8) ? 2 : 1;
    const std::string topic_key = to.topic + "/" + std::to_string(to.index);
    const std::vector<std::string> values = {unique(pick(100))};
    CommitRequest request;
    request.appends.push_back({ref(to.topic, to.index),
                               make_batch(BatchSpec{values, clock.now()}),
                               {{{"s", topic_key, key}, hash, 0}},
                               std::nullopt});
    const auto bytes = request.appends[0].batches.size();
    const CommitOutcome outcome = store->commit_and_wait(std::move(request));
    const auto known = to.model->dedup.find(key);
    const bool alive = known != to.model->dedup.end() && known->second.first >= to.model->start;
    if (alive && known->second.second != hash) {
      ASSERT_EQ(code(outcome), ErrorCode::kDedupConflict);
      return;
    }
    ASSERT_TRUE(outcome.result) << outcome.result.error().to_string();
    ASSERT_EQ(outcome.result->appends[0].duplicate, alive);
    const Offset expected(alive ? known->second.first : to.model->next());
    ASSERT_EQ(outcome.result->appends[0].dedup_offsets, std::vector<Offset>{expected});
    if (alive) return;
    to.model->dedup[key] = {to.model->next(), hash};
    to.model->add(values, clock.now(), bytes);
  }

  void trim() {
    const Target to = any_partition();
    if (to.model == nullptr) return;
    const auto before =
        static_cast<std::int64_t>(pick(static_cast<std::uint64_t>(to.model->next()) + 1));
    const auto start = store->delete_records(ref(to.topic, to.index), Offset(before));
    ASSERT_TRUE(start) << start.error().to_string();
    to.model->start = std::max(to.model->start, before);
    ASSERT_EQ(*start, Offset(to.model->start));
  }

  void commit_offset() {
    const Target to = any_partition();
    if (to.model == nullptr) return;
    const std::string group = "g" + std::to_string(pick(kGroups));
    CommitRequest request;
    const ModelOffset o{static_cast<std::int64_t>(pick(1000)), clock.now(), unique(pick(20))};
    request.offsets.push_back(
        {group, to.topic, PartitionIndex(to.index), Offset(o.offset), LeaderEpoch(0), o.metadata});
    ASSERT_TRUE(store->commit_and_wait(std::move(request)).result);
    offsets[{group, to.topic, to.index}] = o;
  }
  void group_activity() {
    const std::string group = "g" + std::to_string(pick(kGroups));
    if (one_in(4)) {
      ASSERT_TRUE(store->delete_group_offsets(group));
      std::erase_if(offsets, [&](const auto& e) { return std::get<0>(e.first) == group; });
      empty_since.erase(group);
      return;
    }
    CommitRequest request;
    const bool on = one_in(2);
    request.activity.push_back({group, on});
    ASSERT_TRUE(store->commit_and_wait(std::move(request)).result);
    if (on) {
      active.insert(group);
      empty_since.erase(group);
    } else {
      // Said again, it changes nothing, also after a restart.
      if (active.erase(group) != 0 || !empty_since.contains(group)) {
        empty_since[group] = clock.now();
      }
    }
  }
  void change_state() {
    CommitRequest request;
    const std::string key = "s/" + std::to_string(pick(10));
    if (one_in(3)) {
      request.state.push_back({key, std::nullopt});
      state.erase(key);
    } else {
      state[key] = unique(pick(50));
      request.state.push_back({key, state[key]});
    }
    ASSERT_TRUE(store->commit_and_wait(std::move(request)).result);
  }

  void maintain() {
    clock.advance(std::chrono::milliseconds(pick(90'000)));
    ASSERT_TRUE(store->run_maintenance());
    const Timestamp now = clock.now();
    for (auto& [name, t] : topics) {
      for (ModelPartition& p : t.partitions) {
        for (const ModelBatch& b : p.batches) {
          if (b.last < p.start) continue;
          const bool old = t.retention_ms >= 0 && b.max_time < now - t.retention_ms;
          const bool much =
              t.retention_bytes >= 0 &&
              p.bytes - b.bytes_before > static_cast<std::uint64_t>(t.retention_bytes);
          if (!old && !much) break;
          p.start = b.last + 1;
        }
      }
    }
    if (last_expiry && clock.monotonic() - *last_expiry < kExpiryInterval) return;
    last_expiry = clock.monotonic();
    const Timestamp cutoff = now - std::chrono::milliseconds(kOffsetsRetention).count();
    std::erase_if(offsets, [&](const auto& e) {
      const std::string& group = std::get<0>(e.first);
      if (active.contains(group)) return false;
      Timestamp use = e.second.committed;
      if (empty_since.contains(group)) use = std::max(use, empty_since[group]);
      return use < cutoff;
    });
  }

  /// As where the index's memory is full.
  void get_ahead() { ASSERT_TRUE(static_cast<LogStore&>(*store).flush_index()); }

  void restart() {
    if (one_in(3)) {
      ASSERT_TRUE(store->close());
      store.reset();
    } else if (one_in(2)) {
      disk->kill_process();
      store.reset();
    } else {
      constexpr std::array kModes = {CutMode::kDropAll, CutMode::kPrefix, CutMode::kSectors};
      disk->power_off(kModes[pick(kModes.size())]);
      store.reset();
      disk->boot();
    }
    const auto checked = check_directory("data", *disk);
    ASSERT_TRUE(checked) << checked.error().to_string();
    for (const Damage& d : checked->damages) FAIL() << d.file << ": " << d.what;
    open_store();
  }

  void step() {
    const auto what = pick(100);
    if (what < 22) return plain_append();
    if (what < 32) return write_in_transaction();
    if (what < 38) return end_transaction();
    if (what < 48) return idempotent_append();
    if (what < 56) return dedup_append();
    if (what < 60) return create_or_delete();
    if (what < 64) return trim();
    if (what < 70) return commit_offset();
    if (what < 73) return group_activity();
    if (what < 76) return change_state();
    if (what < 82) return maintain();
    if (what < 84) return restart();
    if (what < 87) return get_ahead();
    const Target to = any_partition();
    if (to.model == nullptr) return;
    if (what < 92) return compare_fetch(to);
    if (what < 96) return compare_committed(to);
    compare_times(to);
  }

  // ---- comparing ----

  void compare_fetch(const Target& to) {
    const ModelPartition& p = *to.model;
    const auto from = static_cast<std::int64_t>(pick(static_cast<std::uint64_t>(p.next()) + 2));
    const auto max = static_cast<std::uint32_t>(1 + pick(one_in(2) ? 2000 : 200'000));
    const auto fetched = store->fetch_and_wait({{{ref(to.topic, to.index), Offset(from), max}}});
    const FetchedPartition& head = fetched[0].head;
    if (from < p.start || from > p.next()) {
      ASSERT_TRUE(head.error);
      ASSERT_EQ(head.error->code(), ErrorCode::kOffsetOutOfRange);
      return;
    }
    ASSERT_FALSE(head.error) << head.error->to_string();
    ASSERT_EQ(head.high_watermark, Offset(p.next()));
    ASSERT_EQ(head.log_start, Offset(p.start));
    std::int64_t at = from;
    std::size_t first_bytes = 0;
    for (Bytes rest = fetched[0].batches.bytes(); !rest.empty();) {
      const auto size = protocol::validate_batch(rest, protocol::Depth::kRecords);
      ASSERT_TRUE(size) << size.error().to_string();
      if (first_bytes == 0) first_bytes = *size;
      auto reader = protocol::RecordReader::open(rest.first(*size));
      for (auto r = reader->next(); r && *r; r = reader->next()) {
        if ((*r)->offset < Offset(from)) continue;
        ASSERT_EQ((*r)->offset, Offset(at));
        ASSERT_LT(at, p.next());
        ASSERT_TRUE((*r)->value.value_or("") == p.at(at).value) << "offset " << at;
        ASSERT_EQ((*r)->timestamp, p.at(at).time);
        ++at;
      }
      rest = rest.subspan(*size);
    }
    ASSERT_EQ(head.next, Offset(at));
    ASSERT_EQ(at == from, from == p.next()) << "a fetch gives at least one batch";
    ASSERT_LE(fetched[0].batches.size(), std::max<std::size_t>(max, first_bytes));
  }

  void compare_times(const Target& to) {
    const ModelPartition& p = *to.model;
    const Timestamp time = clock.now() - static_cast<std::int64_t>(pick(200'000));
    Timestamp newest = kNoTimestamp;
    for (const bool committed_only : {true, false}) {
      const auto find = [&](OffsetQuery::Kind kind) {
        return store->find_offset(ref(to.topic, to.index), {kind, time, committed_only});
      };
      const std::int64_t end = committed_only ? p.stable() : p.next();
      Offset expected = kNoOffset;
      newest = kNoTimestamp;
      for (std::int64_t o = end - 1; o >= p.start; --o) {
        if (p.at(o).time >= time) expected = Offset(o);
        newest = std::max(newest, p.at(o).time);
      }
      const auto found = find(OffsetQuery::Kind::kTime);
      ASSERT_TRUE(found) << found.error().to_string();
      ASSERT_EQ(found->offset, expected);
      const auto max = find(OffsetQuery::Kind::kMaxTimestamp);
      ASSERT_TRUE(max) << max.error().to_string();
      ASSERT_EQ(max->timestamp, newest);
      ASSERT_EQ(find(OffsetQuery::Kind::kLatest)->offset, Offset(end));
    }
    const auto info = store->partition_info(ref(to.topic, to.index));
    ASSERT_EQ(info.max_timestamp, newest);
    ASSERT_EQ(info.bytes, p.bytes_kept());
    ASSERT_EQ(info.log_start, Offset(p.start));
    ASSERT_EQ(info.last_stable, Offset(p.stable()));
  }

  void compare_all() {
    std::vector<std::string> names;
    for (auto& [name, t] : topics) {
      names.push_back(name);
      const auto info = store->describe_topic(name);
      ASSERT_TRUE(info);
      ASSERT_EQ(info->partitions.size(), t.partitions.size());
      for (std::size_t i = 0; i < t.partitions.size(); ++i) {
        const ModelPartition& p = t.partitions[i];
        std::vector<std::string> expected;
        for (std::int64_t o = p.start; o < p.next(); ++o) expected.push_back(p.at(o).value);
        ASSERT_TRUE(values(name, Offset(0), static_cast<int>(i)) == expected) << name << "-" << i;
        const Target to{name, static_cast<int>(i), &t.partitions[i]};
        ASSERT_NO_FATAL_FAILURE(compare_times(to));
        ASSERT_NO_FATAL_FAILURE(compare_all_committed(to));
      }
    }
    ASSERT_EQ(store->topic_names(), names);
    std::size_t stored = 0;
    for (int g = 0; g < kGroups; ++g) {
      const std::string group = "g" + std::to_string(g);
      const auto found = store->committed_offsets(group).value();
      for (const CommittedOffset& o : found) {
        ++stored;
        const auto it = offsets.find({group, o.topic, o.partition.value()});
        ASSERT_TRUE(it != offsets.end()) << group << " " << o.topic;
        ASSERT_EQ(o.offset, Offset(it->second.offset));
        ASSERT_EQ(o.metadata, it->second.metadata);
        ASSERT_EQ(o.committed, it->second.committed);
      }
    }
    ASSERT_EQ(stored, offsets.size());
    const std::vector<std::pair<std::string, std::string>> kept(state.begin(), state.end());
    ASSERT_EQ(store->read_state("s/").value(), kept);
  }

  void play(std::uint64_t seed) {
    store.reset();
    disk = std::make_unique<SimFileSystem>(seed);
    rng.seed(seed);
    topics.clear();
    offsets.clear();
    empty_since.clear();
    state.clear();
    fences.clear();
    ids.clear();
    writers.clear();
    ASSERT_NO_FATAL_FAILURE(open_store());
    for (int i = 0; i < model_steps(kSteps); ++i) {
      SCOPED_TRACE("step " + std::to_string(i));
      ASSERT_NO_FATAL_FAILURE(step());
      if (i % 100 == 99) compare_all();
      if (HasFailure()) return;
    }
    ASSERT_NO_FATAL_FAILURE(restart());
    ASSERT_NO_FATAL_FAILURE(compare_all());
  }
};

TEST_F(ModelTest, TheStoreDoesWhatThePlainModelDoes) {
  const char* count = std::getenv("RUNNEL_MODELS");
  for_each_seed(1, count == nullptr ? 200 : std::strtoull(count, nullptr, 10),
                [&](std::uint64_t seed) { play(seed); });
}

}  // namespace
}  // namespace runnel::storage
