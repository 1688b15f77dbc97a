// The model test's state, and its operations on transactions.
#pragma once

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "protocol/record_batch/control_record.h"
#include "tests/storage/log/committed_reader.h"
#include "tests/storage/log/store_fixture.h"
#include "tests/storage/log/store_model.h"

namespace runnel::storage {

inline constexpr std::chrono::minutes kOffsetsRetention{30};

class ModelBase : public StoreFixture {
 protected:
  using OffsetKey = std::tuple<std::string, std::string, int>;  // group, topic, partition

  StoreOptions disk_options() {
    StoreOptions o = options();
    o.file_system = disk.get();
    o.offsets_retention = kOffsetsRetention;
    return o;
  }
  void open_store() {
    auto opened = Store::open(disk_options());
    ASSERT_TRUE(opened) << opened.error().to_string();
    store = std::move(*opened);
    store->start_expiry();
    active.clear();
    last_expiry.reset();
  }
  std::uint64_t pick(std::uint64_t n) { return rng() % n; }
  bool one_in(std::uint64_t n) { return pick(n) == 0; }
  std::string unique(std::size_t padding) {
    return std::to_string(++last_value) + ":" + std::string(padding, 'v');
  }

  struct Target {
    std::string topic;
    int index = 0;
    ModelPartition* model = nullptr;
  };
  /// A random partition; no model if there is no topic.
  Target any_partition() {
    if (topics.empty()) return {};
    auto it = topics.begin();
    std::advance(it, static_cast<std::ptrdiff_t>(pick(topics.size())));
    const auto index = pick(it->second.partitions.size());
    return {it->first, static_cast<int>(index), &it->second.partitions[index]};
  }

  std::unique_ptr<SimFileSystem> disk;
  std::mt19937_64 rng;
  std::uint64_t last_value = 0;
  std::map<std::string, ModelTopic> topics;
  std::map<OffsetKey, ModelOffset> offsets;
  std::map<std::string, Timestamp> empty_since;
  std::set<std::string> active;
  std::map<std::string, std::string> state;
  std::map<std::string, std::uint64_t> fences;
  std::vector<ProducerIdentity> ids;
  std::optional<std::chrono::nanoseconds> last_expiry;

  ~ModelBase() override { store.reset(); }  // before the disk goes
};

/// Producers that write in transactions, zombies of theirs, and who ends transactions.
class TransactionModel : public ModelBase {
 protected:
  static constexpr int kWriters = 3;
  static constexpr std::int32_t kCoordinatorEpoch = 7;

  /// The producer at the epoch that its coordinator gave it last.
  ProducerIdentity& writer(int who) {
    while (writers.size() <= static_cast<std::size_t>(who)) {
      const auto made = store->new_producer();
      EXPECT_TRUE(made);
      writers.push_back(made.value_or(ProducerIdentity{}));
    }
    return writers[static_cast<std::size_t>(who)];
  }
  static ModelProducer* known(ModelPartition& p, int who) {
    const auto it = p.writers.find(who);
    return it == p.writers.end() ? nullptr : &it->second;
  }

  void write_in_transaction() {
    const int who = static_cast<int>(pick(kWriters));
    const ProducerIdentity id = writer(who);
    struct Expected {
      Target target;
      BatchSpec spec;
      std::uint64_t bytes = 0;
    };
    std::vector<Expected> expected;
    CommitRequest request;
    ErrorCode refused = ErrorCode::kOk;
    for (std::uint64_t i = 0; i <= pick(3) && refused == ErrorCode::kOk; ++i) {
      const Target to = any_partition();
      if (to.model == nullptr) return;
      const auto same = [&](const Expected& e) { return e.target.model == to.model; };
      if (std::any_of(expected.begin(), expected.end(), same)) continue;
      const ModelProducer* before = known(*to.model, who);
      BatchSpec spec{{}, clock.now(), id.id, id.epoch, 0, true};
      for (std::uint64_t r = 0; r <= pick(4); ++r) {
        spec.values.push_back(unique(one_in(8) ? pick(50'000) : pick(300)));
      }
      if (before != nullptr && before->epoch == id.epoch.value()) {
        spec.sequence = before->next_sequence;
      }
      if (before != nullptr && before->epoch > 0 && one_in(8)) {
        spec.epoch = ProducerEpoch(static_cast<std::int16_t>(before->epoch - 1));  // a zombie
        refused = ErrorCode::kInvalidProducerEpoch;
      } else if (before != nullptr && one_in(10)) {
        spec.sequence += 3;
        refused = ErrorCode::kOutOfOrderSequence;
      } else if (before != nullptr && before->open >= 0 && one_in(10)) {
        spec.transactional = false;
        refused = ErrorCode::kInvalidTxnState;
      }
      Buffer batch = make_batch(spec);
      const std::uint64_t bytes = batch.size();
      request.appends.push_back({ref(to.topic, to.index), std::move(batch), {}, std::nullopt});
      expected.push_back({to, std::move(spec), bytes});
    }
    const CommitOutcome outcome = store->commit_and_wait(std::move(request));
    ASSERT_EQ(code(outcome), refused);
    if (refused != ErrorCode::kOk) return;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const auto& [to, spec, bytes] = expected[i];
      ModelPartition& p = *to.model;
      ASSERT_EQ(outcome.result->appends[i].base_offset, Offset(p.next()));
      ModelProducer& after = p.writers[who];
      if (after.open < 0) {
        after.open = static_cast<int>(p.transactions.size());
        p.transactions.push_back({who, p.next()});
      }
      after.epoch = spec.epoch.value();
      after.next_sequence = spec.sequence + static_cast<std::int32_t>(spec.values.size());
      p.add(spec.values, spec.time, bytes, after.open);
    }
  }

  /// Markers wherever the producer has a transaction open, and sometimes elsewhere, with an offset,
  /// state and records; all of it or, where a marker is too old, nothing.
  void end_transaction() {
    const int who = static_cast<int>(pick(kWriters));
    ProducerIdentity& id = writer(who);
    ProducerIdentity used = id;
    if (one_in(3)) used.epoch = used.epoch + 1;
    const bool commit = one_in(2);
    CommitRequest request;
    std::vector<Target> ended;
    bool stale = false;
    const bool zombie = id.epoch > ProducerEpoch(0) && one_in(6);
    if (zombie) used.epoch = id.epoch - 1;
    for (auto& [name, topic] : topics) {
      for (std::size_t i = 0; i < topic.partitions.size(); ++i) {
        ModelPartition& p = topic.partitions[i];
        const ModelProducer* before = known(p, who);
        const bool open = before != nullptr && before->open >= 0;
        if (!open && !one_in(8)) continue;
        stale = stale || (before != nullptr && before->epoch > used.epoch.value());
        const auto index = static_cast<int>(i);
        request.markers.push_back({ref(name, index), used, commit, kCoordinatorEpoch});
        ended.push_back({name, index, &p});
      }
    }
    if (ended.empty() || (zombie && !stale)) return;  // only partitions keep old epochs out
    const Target extra = any_partition();
    const Timestamp now = clock.now();
    const std::vector<std::string> values = {unique(pick(100))};
    Buffer batch = make_batch(BatchSpec{values, now});
    const std::uint64_t bytes = batch.size();
    request.appends.push_back({ref(extra.topic, extra.index), std::move(batch), {}, std::nullopt});
    const ModelOffset offset{static_cast<std::int64_t>(pick(1000)), now, unique(5)};
    request.offsets.push_back({"g0", extra.topic, PartitionIndex(extra.index),
                               Offset(offset.offset), LeaderEpoch(0), offset.metadata});
    request.state.push_back({"s/txn", values[0]});
    const CommitOutcome outcome = store->commit_and_wait(std::move(request));
    ASSERT_EQ(code(outcome), stale ? ErrorCode::kInvalidProducerEpoch : ErrorCode::kOk);
    if (stale) return;
    extra.model->add(values, now, bytes);
    offsets[{"g0", extra.topic, extra.index}] = offset;
    state["s/txn"] = values[0];
    id = used;
    for (const Target& to : ended) end_in_model(*to.model, who, used, commit);
  }

  void end_in_model(ModelPartition& p, int who, const ProducerIdentity& used, bool commit) {
    using protocol::ControlType;
    const Buffer marker = protocol::end_txn_batch(
        {commit ? ControlType::kCommit : ControlType::kAbort, kCoordinatorEpoch}, used.id,
        used.epoch, clock.now());
    ModelProducer& after = p.writers[who];
    if (after.open >= 0) {
      ModelTransaction& t = p.transactions[static_cast<std::size_t>(after.open)];
      t.marker = p.next();
      t.state = commit ? ModelTransaction::State::kCommitted : ModelTransaction::State::kAborted;
    }
    if (after.epoch != used.epoch.value()) after.next_sequence = 0;
    after.epoch = used.epoch.value();
    after.open = -1;
    p.add({protocol::encode_control_value(kCoordinatorEpoch)}, clock.now(), marker.size(), -1,
          true);
  }

  void compare_committed(const Target& to) {
    const ModelPartition& p = *to.model;
    const auto from = p.start + static_cast<std::int64_t>(
                                    pick(static_cast<std::uint64_t>(p.next() - p.start) + 1));
    FetchRequest request;
    request.items.push_back({ref(to.topic, to.index), Offset(from),
                             static_cast<std::uint32_t>(1 + pick(one_in(2) ? 2000 : 200'000))});
    request.committed_only = true;
    const auto fetched = store->fetch_and_wait(std::move(request));
    const FetchedPartition& head = fetched[0].head;
    ASSERT_FALSE(head.error) << head.error->to_string();
    ASSERT_EQ(head.high_watermark, Offset(p.next()));
    ASSERT_EQ(head.last_stable, Offset(p.stable()));
    ASSERT_EQ(head.next > Offset(from), from < p.stable());
    ASSERT_LE(head.next, Offset(std::max(from, p.stable())));
    std::vector<std::pair<std::int64_t, int>> aborted;
    for (const ModelTransaction& t : p.transactions) {
      if (t.state != ModelTransaction::State::kAborted || t.marker < from) continue;
      if (Offset(t.first) < head.next && head.next > Offset(from)) {
        aborted.emplace_back(t.first, t.producer);
      }
    }
    ASSERT_EQ(head.aborted.size(), aborted.size());
    for (std::size_t i = 0; i < aborted.size(); ++i) {
      ASSERT_EQ(head.aborted[i].first, Offset(aborted[i].first));
      ASSERT_EQ(head.aborted[i].producer, writer(aborted[i].second).id);
    }
    std::int64_t at = from;
    const auto skip = [&](std::int64_t end) {
      while (at < end && !p.is_committed(at)) ++at;
    };
    ASSERT_TRUE(for_each_committed(
        fetched[0].batches.bytes(), head.aborted, [&](const protocol::Record& r) {
          if (r.offset < Offset(from)) return;
          skip(r.offset.value());
          EXPECT_EQ(r.offset, Offset(at));
          EXPECT_TRUE(p.is_committed(at)) << "offset " << at;
          EXPECT_TRUE(r.value.value_or("") == p.at(at).value) << "offset " << at;
          ++at;
        }));
    skip(head.next.value());
    ASSERT_EQ(head.next, Offset(at));
  }

  void compare_all_committed(const Target& to) {
    const ModelPartition& p = *to.model;
    std::vector<std::pair<Offset, std::string>> expected;
    for (std::int64_t o = p.start; o < p.next(); ++o) {
      if (p.is_committed(o)) expected.emplace_back(o, p.at(o).value);
    }
    bool readable = false;
    const auto found = read_committed(*store, ref(to.topic, to.index), Offset(p.start),
                                      static_cast<std::uint32_t>(1 + pick(20'000)), readable);
    ASSERT_TRUE(readable);
    ASSERT_TRUE(found == expected) << to.topic << "-" << to.index;
  }

  std::vector<ProducerIdentity> writers;
};

}  // namespace runnel::storage
