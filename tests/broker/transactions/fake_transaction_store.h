// A TransactionStore in memory: partitions as a reader of committed records sees them, producers'
// epochs and sequences, positions, state. Commits become durable when the test says so.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "broker/transactions/coordinator.h"

namespace runnel::storage {

/// The test's own partition; the fake store is the only one that looks into it.
class Partition {
 public:
  struct Item {
    ProducerId producer;
    std::int64_t value = 0;
    std::optional<bool> marker;  ///< commits or aborts what is open
  };
  struct Producer {
    ProducerEpoch epoch;
    std::int32_t last_sequence = -1;
    std::optional<std::size_t> open;  ///< its transaction's first item
  };
  PartitionId id{0};
  bool deleted = false;
  std::vector<Item> log;
  std::map<ProducerId, Producer> producers;

  [[nodiscard]] bool has_open() const {
    for (const auto& [producer, p] : producers) {
      if (p.open) return true;
    }
    return false;
  }
  /// As a reader of committed records; open transactions count as aborted.
  [[nodiscard]] std::vector<std::int64_t> committed() const {
    std::vector<std::int64_t> seen;
    std::map<ProducerId, std::vector<std::int64_t>> open;
    for (const Item& item : log) {
      if (!item.marker) {
        open[item.producer].push_back(item.value);
        continue;
      }
      auto& values = open[item.producer];
      if (*item.marker) seen.insert(seen.end(), values.begin(), values.end());
      values.clear();
    }
    return seen;
  }
};

}  // namespace runnel::storage

namespace runnel::broker {

using storage::ProducerIdentity;

/// The one batch of a test: its bytes are nobody else's business.
struct TestBatch {
  std::int64_t producer = 0;
  std::int64_t value = 0;
  std::int32_t sequence = 0;
  std::int16_t epoch = 0;
  std::int16_t unused = 0;
};

/// What outlives coordinators. One thread only.
struct FakeTransactionDisk {
  struct Pending {
    storage::CommitRequest request;
    storage::CommitCallback done;
  };

  storage::PartitionRef create(const std::string& topic, int partition) {
    auto made = std::make_shared<storage::Partition>();
    made->id = PartitionId(next_partition++);
    partitions[{topic, PartitionIndex(partition)}] = made;
    return made;
  }
  void remove(const TopicPartition& of) {
    partitions.at(of)->deleted = true;
    partitions.erase(of);
    std::erase_if(offsets, [&](const auto& committed) { return committed.first.of == of; });
  }
  void complete_one(std::size_t index = 0) {
    Pending p = std::move(pending.at(index));
    pending.erase(pending.begin() + static_cast<std::ptrdiff_t>(index));
    storage::CommitOutcome outcome{{}, {}};
    if (failing != ErrorCode::kOk) {
      outcome.result = fail(failing, "the disk is full (test)");
    } else if (const Status possible = check(p.request); !possible) {
      outcome.result = fail(possible.error());
    } else {
      outcome.result = apply(p.request);
    }
    p.done(std::move(outcome));
  }
  void complete_all() {
    while (!pending.empty()) complete_one();
  }

  std::map<TopicPartition, storage::PartitionRef> partitions;
  std::map<std::string, std::string> state;
  std::map<OffsetKey, Offset> offsets;
  std::deque<Pending> pending;
  bool at_once = true;  ///< commits are durable inside the call
  ErrorCode failing = ErrorCode::kOk;
  std::int64_t next_producer = 1000;
  std::uint32_t next_partition = 1;
  int commits = 0;

 private:
  static TestBatch batch_of(const storage::AppendItem& item) {
    TestBatch batch;
    std::memcpy(&batch, item.batches.data(), sizeof batch);
    return batch;
  }
  static bool is_repeat(const storage::CommitRequest& request) {
    if (request.appends.empty()) return false;
    const TestBatch b = batch_of(request.appends.front());
    const auto& producers = request.appends.front().partition->producers;
    const auto known = producers.find(ProducerId(b.producer));
    return known != producers.end() && known->second.epoch == ProducerEpoch(b.epoch) &&
           b.sequence <= known->second.last_sequence;
  }
  Status check(const storage::CommitRequest& request) const {
    for (const auto& o : request.offsets) {
      if (!partitions.contains({o.topic, o.partition})) {
        return fail(ErrorCode::kUnknownTopic, "deleted");
      }
    }
    for (const auto& item : request.appends) {
      if (item.partition->deleted) return fail(ErrorCode::kUnknownTopic, "deleted");
      const TestBatch b = batch_of(item);
      const auto known = item.partition->producers.find(ProducerId(b.producer));
      if (known == item.partition->producers.end()) continue;
      if (ProducerEpoch(b.epoch) < known->second.epoch) {
        return fail(ErrorCode::kInvalidProducerEpoch, "an old epoch");
      }
      const bool same = ProducerEpoch(b.epoch) == known->second.epoch;
      if (b.sequence > (same ? known->second.last_sequence + 1 : 0)) {
        return fail(ErrorCode::kOutOfOrderSequence, "a batch is missing");
      }
    }
    for (const auto& marker : request.markers) {
      if (marker.partition->deleted) return fail(ErrorCode::kUnknownTopic, "deleted");
      const auto known = marker.partition->producers.find(marker.producer.id);
      if (known != marker.partition->producers.end() &&
          marker.producer.epoch < known->second.epoch) {
        return fail(ErrorCode::kInvalidProducerEpoch, "an old marker");
      }
    }
    return {};
  }
  storage::CommitResult apply(storage::CommitRequest& request) {
    ++commits;
    storage::CommitResult result;
    const bool repeat = is_repeat(request);
    for (const auto& item : request.appends) {
      auto& appended = result.appends.emplace_back();
      appended.duplicate = repeat;
      if (repeat) continue;
      const TestBatch b = batch_of(item);
      auto& producer = item.partition->producers[ProducerId(b.producer)];
      producer.epoch = ProducerEpoch(b.epoch);
      producer.last_sequence = b.sequence;
      if (!producer.open) producer.open = item.partition->log.size();
      item.partition->log.push_back({ProducerId(b.producer), b.value, std::nullopt});
    }
    if (repeat) return result;
    for (const auto& marker : request.markers) {
      auto& producer = marker.partition->producers[marker.producer.id];
      if (producer.epoch != marker.producer.epoch) producer.last_sequence = -1;
      producer.epoch = marker.producer.epoch;
      producer.open.reset();
      marker.partition->log.push_back({marker.producer.id, 0, marker.commit});
    }
    for (const auto& o : request.offsets) {
      const OffsetKey key{o.group, {o.topic, o.partition}};
      if (o.offset == kNoOffset) {
        offsets.erase(key);
      } else {
        offsets[key] = o.offset;
      }
    }
    for (auto& change : request.state) {
      EXPECT_LE(change.key.size(), storage::kMaxNameBytes);
      state.erase(change.key);
      if (change.value) state.emplace(change.key, *change.value);
    }
    return result;
  }
};

class FakeTransactionStore final : public TransactionStore {
 public:
  explicit FakeTransactionStore(FakeTransactionDisk& disk) : disk_(disk) {}
  void commit(storage::CommitRequest request, storage::CommitCallback done) override {
    disk_.pending.push_back({std::move(request), std::move(done)});
    if (disk_.at_once) disk_.complete_all();
  }
  void queue_commit(storage::CommitRequest request, storage::CommitCallback done) override {
    commit(std::move(request), std::move(done));
  }
  storage::PartitionRef partition(const TopicPartition& of) const override {
    const auto found = disk_.partitions.find(of);
    return found == disk_.partitions.end() ? nullptr : found->second;
  }
  PartitionId partition_id(const storage::PartitionRef& of) const override { return of->id; }
  Result<std::optional<storage::ProducerInfo>> producer(const storage::PartitionRef& partition,
                                                        ProducerId id) override {
    const auto known = partition->producers.find(id);
    if (known == partition->producers.end()) return std::optional<storage::ProducerInfo>();
    storage::ProducerInfo info;
    info.id = id;
    info.epoch = known->second.epoch;
    return std::optional<storage::ProducerInfo>(info);
  }
  Result<ProducerIdentity> new_producer() override {
    return ProducerIdentity{ProducerId(disk_.next_producer++), ProducerEpoch(0)};
  }
  Result<storage::StateEntries> read_state(std::string_view prefix) const override {
    storage::StateEntries found;
    for (const auto& [key, value] : disk_.state) {
      if (key.starts_with(prefix)) found.emplace_back(key, value);
    }
    return found;
  }

 private:
  FakeTransactionDisk& disk_;
};

/// A coordinator with a synchronous face: each call returns what was answered, or nothing if that
/// is still to come.
class TransactionWorld {
 public:
  static constexpr std::int32_t kTimeoutMs = 60'000;

  TransactionWorld() {
    for (int i = 0; i < 4; ++i) disk.create("orders", i);
    restart();
  }
  ~TransactionWorld() { stop(); }
  TransactionWorld(const TransactionWorld&) = delete;
  TransactionWorld& operator=(const TransactionWorld&) = delete;

  /// What was not durable is lost.
  void restart() {
    stop();
    coordinator = std::make_unique<TransactionCoordinator>(
        std::make_unique<FakeTransactionStore>(disk), config);
    const Status loaded = coordinator->load(now);
    ASSERT_TRUE(loaded) << loaded.error().to_string();
  }
  void stop() {
    auto lost = std::exchange(disk.pending, {});
    for (auto& p : lost) p.done({fail(ErrorCode::kShuttingDown, "the process ends"), {}});
    disk.pending.clear();
    coordinator.reset();
  }
  void pass(std::chrono::milliseconds time) {
    now = now + time.count();
    coordinator->tick(now);
  }

  using Identity = std::optional<Result<ProducerIdentity>>;
  using Answer = std::optional<ErrorCode>;

  std::shared_ptr<Identity> start_init(const std::string& id,
                                       std::optional<ProducerIdentity> expected = {},
                                       std::int32_t timeout = kTimeoutMs) {
    auto answer = std::make_shared<Identity>();
    coordinator->init(id, timeout, expected, now,
                      [answer](Result<ProducerIdentity> r) { *answer = std::move(r); });
    return answer;
  }
  /// Fails the test if there is no identity at once.
  ProducerIdentity init(const std::string& id, std::optional<ProducerIdentity> expected = {}) {
    const auto answer = start_init(id, expected);
    if (!*answer || !**answer) {
      ADD_FAILURE() << (*answer ? (**answer).error().to_string() : "no answer");
      return {kNoProducer, kNoEpoch};
    }
    return ***answer;
  }
  ErrorCode init_error(const std::string& id, std::optional<ProducerIdentity> expected = {}) {
    const auto answer = start_init(id, expected);
    return !*answer ? ErrorCode::kInternal : **answer ? ErrorCode::kOk : (**answer).error().code();
  }
  static TransactionCoordinator::Done to(const std::shared_ptr<Answer>& answer) {
    return [answer](const Status& s) { *answer = s ? ErrorCode::kOk : s.error().code(); };
  }
  std::shared_ptr<Answer> add(const std::string& id, ProducerIdentity who,
                              const std::vector<TopicPartition>& partitions) {
    auto answer = std::make_shared<Answer>();
    coordinator->add_partitions(id, who, partitions, now, to(answer));
    return answer;
  }
  std::shared_ptr<Answer> add_group(const std::string& id, ProducerIdentity who,
                                    const std::string& group) {
    auto answer = std::make_shared<Answer>();
    coordinator->add_group(id, who, group, now, to(answer));
    return answer;
  }
  std::shared_ptr<Answer> put_offset(const std::string& id, ProducerIdentity who, bool joins,
                                     const OffsetKey& key, std::int64_t offset) {
    auto answer = std::make_shared<Answer>();
    coordinator->put_offsets(
        id, who, joins,
        {{key.group, key.of.topic, key.of.partition, Offset(offset), LeaderEpoch(0), "m"}}, now,
        to(answer));
    return answer;
  }
  std::shared_ptr<Answer> write(const std::string& id, ProducerIdentity who,
                                const TopicPartition& of, std::int32_t sequence, std::int64_t value,
                                bool joins, const storage::PartitionRef& to = nullptr) {
    auto answer = std::make_shared<Answer>();
    const TestBatch batch{who.id.value(), value, sequence, who.epoch.value(), 0};
    storage::CommitRequest request;
    request.appends.push_back(
        {to ? to : disk.partitions.at(of),
         Buffer::copy_of(Bytes(reinterpret_cast<const std::byte*>(&batch), sizeof batch)),
         {},
         std::nullopt});
    coordinator->write({id, who, of, joins}, std::move(request), now,
                       [answer](const storage::CommitOutcome& outcome) {
                         *answer = outcome.result ? ErrorCode::kOk : outcome.result.error().code();
                       });
    return answer;
  }
  /// An OffsetCommit beside the transactions.
  std::shared_ptr<Answer> commit_beside(const std::vector<OffsetKey>& keys, std::int64_t offset) {
    auto answer = std::make_shared<Answer>();
    storage::CommitRequest request;
    for (const OffsetKey& key : keys) {
      request.offsets.push_back(
          {key.group, key.of.topic, key.of.partition, Offset(offset), LeaderEpoch(0), ""});
    }
    coordinator->commit_offsets(std::move(request), TransactionCoordinator::Wake::kStore,
                                [answer](const storage::CommitOutcome& outcome) {
                                  *answer = outcome.result ? ErrorCode::kOk
                                                           : outcome.result.error().code();
                                });
    return answer;
  }
  std::shared_ptr<Identity> start_end(const std::string& id, ProducerIdentity who, bool commit,
                                      bool bumps) {
    auto answer = std::make_shared<Identity>();
    coordinator->end(id, who, commit, bumps, now,
                     [answer](Result<ProducerIdentity> r) { *answer = std::move(r); });
    return answer;
  }
  /// kOk, and the identity to go on with in `next`, or the error; kInternal: no answer yet.
  ErrorCode end(const std::string& id, ProducerIdentity who, bool commit, bool bumps,
                ProducerIdentity* next = nullptr) {
    const auto answer = start_end(id, who, commit, bumps);
    if (!*answer) return ErrorCode::kInternal;
    if (!**answer) return (**answer).error().code();
    if (next != nullptr) *next = ***answer;
    return ErrorCode::kOk;
  }
  storage::Partition& partition(int i, const std::string& topic = "orders") {
    return *disk.partitions.at({topic, PartitionIndex(i)});
  }
  std::optional<Offset> offset(const OffsetKey& key) const {
    const auto found = disk.offsets.find(key);
    if (found == disk.offsets.end()) return std::nullopt;
    return found->second;
  }

  FakeTransactionDisk disk;
  TransactionConfig config;  ///< from the next restart on
  std::unique_ptr<TransactionCoordinator> coordinator;
  Timestamp now{1'000'000};
};

inline TopicPartition orders(int i) {
  return {"orders", PartitionIndex(i)};
}

}  // namespace runnel::broker
