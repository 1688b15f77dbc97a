// Loading, what requests ask of an open transaction, and making that durable.
#include "broker/transactions/coordinator.h"

#include <algorithm>

#include "broker/transactions/coordinator_state.h"
#include "protocol/base/assert.h"

namespace runnel::broker {
namespace {

/// Set while this thread, which holds the lock, hands something to the store.
thread_local std::vector<std::function<void()>>* inline_work = nullptr;

Error busy(std::string_view id) {
  return Error(
      ErrorCode::kConcurrentTransactions,
      "a change of transactional id \"" + std::string(id) + "\" is being stored; try again");
}

/// For what all of them hold nobody is to blame: it can be tried again.
Error too_much_open() {
  return Error(ErrorCode::kOverloaded,
               "the open transactions together hold as much as they may; end some first");
}
Error too_many_partitions() {
  return Error(ErrorCode::kTooManyPartitions, "a transaction writes to " +
                                                  std::to_string(kMaxTransactionPartitions) +
                                                  " partitions at most");
}

}  // namespace

TransactionCoordinator::TransactionCoordinator(std::unique_ptr<TransactionStore> store,
                                               TransactionConfig config)
    : state_(std::make_shared<State>(std::move(store), config)) {}
TransactionCoordinator::~TransactionCoordinator() = default;

// ---------------------------------------------------------------- loading
Transaction::Resolve TransactionCoordinator::State::resolver() const {
  return [this](const TopicPartition& of, PartitionId id) {
    const Incarnation found = current(of);
    return found.id == id ? found.ref : nullptr;
  };
}

Status TransactionCoordinator::load(Timestamp now) {
  State& state = *state_;
  MutexLock lock(state.mutex);
  const Transaction::Resolve resolve = state.resolver();
  RUNNEL_TRY_ASSIGN(const auto stored, state.store->read_state(kTransactionKeyPrefix));
  for (const auto& [key, value] : stored) {
    const std::string id = key.substr(kTransactionKeyPrefix.size());
    RUNNEL_TRY_ASSIGN(Transaction txn, Transaction::decode(id, as_bytes(value), resolve));
    const auto entry = std::make_shared<State::Entry>(id, std::move(txn));
    entry->fresh = false;
    state.entries.emplace(id, entry);
  }
  RUNNEL_TRY_ASSIGN(const auto pending, state.store->read_state(kPendingOffsetsKeyPrefix));
  for (const auto& [key, value] : pending) {
    const std::string id = key.substr(kPendingOffsetsKeyPrefix.size());
    const auto found = state.entries.find(id);
    if (found == state.entries.end()) {
      return fail(ErrorCode::kCorrupt, "positions wait for the end of transactional id \"" + id +
                                           "\", which is not stored. Check the data directory "
                                           "with 'runnel check'");
    }
    RUNNEL_TRY(found->second->txn.decode_offsets(id, as_bytes(value), resolve));
    found->second->offsets_stored = true;
  }
  RUNNEL_TRY(state.load_participants());
  for (const auto& [id, entry] : state.entries) {
    entry->txn.begin_by(now);
    state.index_offsets(entry);
    state.open_partitions += entry->txn.partitions().size();
    state.pending_bytes += entry->txn.offset_bytes();
  }
  return {};
}

Status TransactionCoordinator::State::load_participants() {
  std::map<ProducerId, EntryRef> by_producer;
  for (const auto& [id, entry] : entries) by_producer[entry->txn.producer().id] = entry;
  const Transaction::Resolve resolve = resolver();
  storage::CommitRequest ended;
  RUNNEL_TRY_ASSIGN(const auto stored, store->read_state(kParticipantKeyPrefix));
  for (const auto& [key, value] : stored) {
    const auto name = Transaction::parse_participant_key(key);
    if (!name) {
      return fail(ErrorCode::kCorrupt, "the key \"" + key + "\" is not one of a transaction's");
    }
    const auto owner = by_producer.find(name->producer.id);
    if (owner == by_producer.end() || owner->second->txn.producer().epoch != name->producer.epoch) {
      ended.state.push_back({key, std::nullopt});  // of a transaction that is over
      continue;
    }
    RUNNEL_TRY(owner->second->txn.decode_participant(name->number, as_bytes(value), resolve));
  }
  // If that fails they are found again at the next start.
  if (!ended.state.empty()) store->commit(std::move(ended), [](const storage::CommitOutcome&) {});
  return {};
}

// ---------------------------------------------------------------- storing
void TransactionCoordinator::State::submit(storage::CommitRequest request, Wake wake,
                                           storage::CommitCallback then, Work& work) {
  storage::CommitCallback callback = [then = std::move(then)](storage::CommitOutcome outcome) {
    if (inline_work == nullptr) return then(std::move(outcome));
    inline_work->push_back([then, outcome = std::move(outcome)] { then(outcome); });
  };
  Work* const outer = std::exchange(inline_work, &work);
  if (wake == Wake::kLoop) {
    store->queue_commit(std::move(request), std::move(callback));
  } else {
    store->commit(std::move(request), std::move(callback));
  }
  inline_work = outer;
}

void TransactionCoordinator::State::add_state(Entry& entry, storage::CommitRequest& to) {
  to.state.push_back({std::string(kTransactionKeyPrefix).append(entry.id), entry.txn.encode()});
  if (entry.offsets_stored || !entry.txn.offsets().empty()) {
    entry.offsets_stored = true;
    to.state.push_back(
        {std::string(kPendingOffsetsKeyPrefix).append(entry.id), entry.txn.encode_offsets()});
  }
  entry.queued = entry.version;
  ++entry.saving;
}

void TransactionCoordinator::State::save(const EntryRef& entry, Work& work) {
  storage::CommitRequest request;
  add_state(*entry, request);
  submit(
      std::move(request), Wake::kStore,
      [self = shared_from_this(), entry,
       version = entry->version](const storage::CommitOutcome& outcome) {
        self->saved(entry, version,
                    outcome.result ? Status() : Status(fail(outcome.result.error())));
      },
      work);
}

void TransactionCoordinator::State::saved(const EntryRef& entry, std::uint64_t version,
                                          const Status& status) {
  Work work;
  {
    MutexLock lock(mutex);
    note_saved(*entry, version, status, work);
    drop_if_unused(entry);
  }
  run(work);
}

void TransactionCoordinator::State::note_saved(Entry& entry, std::uint64_t version,
                                               const Status& status, Work& work) {
  --entry.saving;
  if (status) {
    entry.fresh = false;
    entry.stored = std::max(entry.stored, version);
    entry.txn.stored(version);
  }
  // After a failure a save still under way has everything that this one had. If there is none,
  // nobody learns of what is not stored, and the next change or tick saves again.
  std::erase_if(entry.waiters, [&](State::Waiter& waiter) {
    const bool reached = waiter.version <= entry.stored;
    if (!reached && (status || entry.saving > 0)) return false;
    work.push_back([answer = std::move(waiter.answer), status = reached ? Status() : status] {
      answer(status);
    });
    return true;
  });
}

void TransactionCoordinator::State::when_stored(const EntryRef& entry, Done answer, Work& work) {
  if (entry->stored == entry->version) {
    work.push_back([answer = std::move(answer)] { answer({}); });
    return;
  }
  entry->waiters.push_back({entry->version, std::move(answer)});
  save_changes(entry, work);
}

void TransactionCoordinator::State::save_changes(const EntryRef& entry, Work& work) {
  if (entry->stored == entry->version || entry->superseding > 0) return;
  if (entry->saving == 0 || entry->queued != entry->version) save(entry, work);
}

// ---------------------------------------------------------------- what an open transaction does
Result<TransactionCoordinator::State::EntryRef> TransactionCoordinator::State::usable(
    std::string_view id, storage::ProducerIdentity who) {
  if (id.empty()) return fail(ErrorCode::kInvalidArgument, "a transactional id is not empty");
  const auto found = entries.find(id);
  if (found == entries.end()) {
    return fail(ErrorCode::kInvalidProducerIdMapping,
                "nobody has transactional id \"" + std::string(id) + "\"");
  }
  const EntryRef& entry = found->second;
  RUNNEL_TRY(entry->txn.check(who));
  if (entry->moving || entry->forgetting) return fail(busy(id));
  return entry;
}

void TransactionCoordinator::add_partitions(std::string_view id, storage::ProducerIdentity who,
                                            const std::vector<TopicPartition>& partitions,
                                            Timestamp now, Done done) {
  State& state = *state_;
  State::Work work;
  const auto add = [&]() RUNNEL_REQUIRES(state.mutex) -> Status {
    RUNNEL_TRY_ASSIGN(const State::EntryRef entry, state.usable(id, who));
    Transaction& txn = entry->txn;
    const std::size_t before = txn.partitions().size();
    std::vector<std::pair<TopicPartition, Incarnation>> news;
    std::size_t more = 0;
    for (const TopicPartition& of : partitions) {
      const Participant* known = txn.find(of);
      Incarnation as = state.current(of);
      if (known != nullptr && known->stored && known->partition.id == as.id) continue;
      if (known == nullptr) ++more;
      news.emplace_back(of, std::move(as));
    }
    if (txn.partitions().size() + more > kMaxTransactionPartitions) {
      return fail(too_many_partitions());
    }
    if (state.open_partitions + more > kMaxOpenPartitions) return fail(too_much_open());
    if (news.empty()) {
      work.push_back([done] { done({}); });
      return {};
    }
    ++entry->version;
    for (auto& [of, as] : news) {
      RUNNEL_TRY(txn.add(of, std::move(as), entry->version, now));
    }
    state.open_partitions += txn.partitions().size() - before;
    state.when_stored(entry, done, work);
    return {};
  };
  {
    MutexLock lock(state.mutex);
    if (Status status = add(); !status) work.push_back([done, status] { done(status); });
  }
  State::run(work);
}

void TransactionCoordinator::add_group(std::string_view id, storage::ProducerIdentity who,
                                       std::string_view group, Timestamp now, Done done) {
  State& state = *state_;
  State::Work work;
  const auto add = [&]() RUNNEL_REQUIRES(state.mutex) -> Status {
    RUNNEL_TRY_ASSIGN(const State::EntryRef entry, state.usable(id, who));
    RUNNEL_TRY_ASSIGN(const bool added, entry->txn.add_group(group, now));
    if (added) ++entry->version;
    state.when_stored(entry, done, work);
    return {};
  };
  {
    MutexLock lock(state.mutex);
    if (Status status = add(); !status) work.push_back([done, status] { done(status); });
  }
  State::run(work);
}

void TransactionCoordinator::put_offsets(std::string_view id, storage::ProducerIdentity who,
                                         bool joins, std::vector<storage::OffsetCommit> offsets,
                                         Timestamp now, Done done) {
  State& state = *state_;
  State::Work work;
  const auto put = [&]() RUNNEL_REQUIRES(state.mutex) -> Status {
    RUNNEL_TRY_ASSIGN(const State::EntryRef entry, state.usable(id, who));
    Transaction& txn = entry->txn;
    RUNNEL_ASSERT(!offsets.empty());
    const std::string group = offsets.front().group;
    if (!joins && !txn.groups().contains(group)) {
      return fail(ErrorCode::kInvalidTxnState,
                  "group \"" + group + "\" was not added to the transaction");
    }
    std::vector<std::pair<OffsetKey, PendingOffset>> pending;
    for (storage::OffsetCommit& o : offsets) {
      OffsetKey key{group, {std::move(o.topic), o.partition}};
      PendingOffset to{o.offset, o.leader_epoch, std::move(o.metadata), state.current(key.of)};
      pending.emplace_back(std::move(key), std::move(to));
    }
    if (state.pending_bytes >= kMaxAllPendingOffsetBytes) return fail(too_much_open());
    RUNNEL_TRY_ASSIGN(const bool added, txn.add_group(group, now));
    if (added) ++entry->version;
    const std::size_t before = txn.offset_bytes();
    RUNNEL_TRY(txn.put_offsets(std::move(pending), now));
    state.pending_bytes += txn.offset_bytes() - before;
    ++entry->version;
    state.index_offsets(entry);
    state.when_stored(entry, done, work);
    return {};
  };
  {
    MutexLock lock(state.mutex);
    if (Status status = put(); !status) work.push_back([done, status] { done(status); });
  }
  State::run(work);
}

// ---------------------------------------------------------------- batches
Incarnation TransactionCoordinator::State::current(const TopicPartition& of) const {
  storage::PartitionRef found = store->partition(of);
  if (!found) return {};
  const PartitionId id = store->partition_id(found);
  return {id, std::move(found)};
}

Status TransactionCoordinator::State::check_added(const Participant* participant,
                                                  const Write& write) {
  // Under a name that was added it may be another one by now: that takes part, too.
  if (write.joins || (participant != nullptr && participant->stored)) return {};
  return fail(ErrorCode::kInvalidTxnState, write.to.topic + "-" +
                                               std::to_string(write.to.partition.value()) +
                                               " was not added to the transaction");
}

Status TransactionCoordinator::State::take_part(Entry& entry, const Write& write,
                                                const Incarnation& to, Timestamp now,
                                                storage::CommitRequest& request) {
  Participant* participant = entry.txn.find(write.to);
  const bool same = participant != nullptr && participant->partition.id == to.id;
  if (same && participant->stored) return {};
  RUNNEL_TRY(check_added(participant, write));
  if (!same) {
    if (current(write.to).id != to.id) {
      return fail(ErrorCode::kUnknownTopic, write.to.topic + "-" +
                                                std::to_string(write.to.partition.value()) +
                                                " was deleted; its name may be another's now");
    }
    if (participant == nullptr && open_partitions >= kMaxOpenPartitions) {
      return fail(too_much_open());
    }
    const std::size_t before = entry.txn.partitions().size();
    RUNNEL_TRY(entry.txn.add(write.to, to, entry.version + 1, now));
    open_partitions += entry.txn.partitions().size() - before;
    participant = entry.txn.find(write.to);
  }
  if (participant->number < 0) RUNNEL_TRY(entry.txn.give_number(*participant));
  request.state.push_back({Transaction::participant_key(write.who, participant->number),
                           entry.txn.encode_participant(write.to)});
  return {};
}

void TransactionCoordinator::write(const Write& write, storage::CommitRequest request,
                                   Timestamp now, storage::CommitCallback done) {
  RUNNEL_ASSERT(request.appends.size() == 1);
  State& state = *state_;
  State::Work work;
  const auto queue = [&]() RUNNEL_REQUIRES(state.mutex) -> Status {
    RUNNEL_TRY_ASSIGN(const State::EntryRef entry, state.usable(write.id, write.who));
    const storage::PartitionRef& partition = request.appends.front().partition;
    const Incarnation to{state.store->partition_id(partition), partition};
    RUNNEL_TRY(state.take_part(*entry, write, to, now, request));
    ++entry->writing;
    state.submit(
        std::move(request), Wake::kLoop,
        [self = state_, entry, who = write.who, of = write.to, id = to.id,
         done](const storage::CommitOutcome& outcome) {
          self->written(entry, {entry->id, who, of, false}, id, outcome);
          done(outcome);
        },
        work);
    return {};
  };
  {
    MutexLock lock(state.mutex);
    if (Status status = queue(); !status) {
      work.push_back([done, status] { done({fail(status.error()), {}}); });
    }
  }
  State::run(work);
}

void TransactionCoordinator::write_nothing(const Write& write, Timestamp now, Done done) {
  if (write.joins) return add_partitions(write.id, write.who, {write.to}, now, std::move(done));
  State& state = *state_;
  const auto check = [&]() RUNNEL_REQUIRES(state.mutex) -> Status {
    RUNNEL_TRY_ASSIGN(const State::EntryRef entry, state.usable(write.id, write.who));
    return State::check_added(entry->txn.find(write.to), write);
  };
  Status status;
  {
    MutexLock lock(state.mutex);
    status = check();
  }
  done(status);
}

void TransactionCoordinator::State::written(const EntryRef& entry, const Write& write,
                                            PartitionId to, const storage::CommitOutcome& outcome) {
  MutexLock lock(mutex);
  --entry->writing;
  // A batch that was known is stored without what came with it.
  if (!outcome.result || outcome.result->appends.front().duplicate) return;
  if (!entry->txn.check(write.who)) return;
  Participant* participant = entry->txn.find(write.to);
  if (participant != nullptr && participant->partition.id == to) participant->stored = true;
}

}  // namespace runnel::broker
