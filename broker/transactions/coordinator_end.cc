// Steps: a producer starts, a transaction ends, time is up. And what becomes of ids afterwards.
#include <algorithm>

#include "broker/transactions/coordinator_state.h"
#include "protocol/base/assert.h"

namespace runnel::broker {
namespace {

using Step = Transaction::Step;

/// A topic went while an end was being put together: without it the end can be stored.
bool names_what_is_gone(const Error& error) {
  return error.code() == ErrorCode::kUnknownTopic || error.code() == ErrorCode::kUnknownPartition;
}

/// What somebody is told whose step could not be stored: nothing of it happened, and it may.
Error not_stored(const Error& why) {
  if (why.code() == ErrorCode::kShuttingDown) return why;
  return Error(ErrorCode::kConcurrentTransactions, why.message()).within("try again");
}

}  // namespace

// ---------------------------------------------------------------- steps
void TransactionCoordinator::State::start_move(const EntryRef& entry, Step step, Timestamp now,
                                               ProducerDone done, Work& work) {
  if (!step.next) {
    work.push_back([done = std::move(done), who = step.producer] { done(who); });
    return;
  }
  entry->moving = true;
  entry->tried = now;
  const auto move = std::make_shared<Move>();
  move->entry = entry;
  move->step = std::move(step);
  move->now = now;
  move->done = std::move(done);
  submit_move(move, work);
}

bool TransactionCoordinator::State::is_current(const EntryRef& entry, const TopicPartition& of,
                                               const Incarnation& as) {
  return as.ref && !entry->left_out.contains(of) && store->partition(of) == as.ref;
}

storage::CommitRequest TransactionCoordinator::State::request_of(const Move& move) {
  const Entry& entry = *move.entry;
  const Transaction& txn = entry.txn;
  storage::CommitRequest request;
  request.state.push_back(
      {std::string(kTransactionKeyPrefix).append(entry.id), move.step.next->encode()});
  if (!move.step.marker) return request;
  for (const auto& [of, participant] : txn.partitions()) {
    if (!is_current(move.entry, of, participant.partition)) continue;
    request.markers.push_back(
        {participant.partition.ref, move.step.marker->producer, move.step.marker->commit, 0});
  }
  for (const auto& [key, offset] : txn.offsets()) {
    if (!move.step.marker->commit || !offset.counts()) continue;
    if (!offset.partition.ref || store->partition(key.of) != offset.partition.ref) continue;
    request.offsets.push_back({key.group, key.of.topic, key.of.partition, offset.offset,
                               offset.leader_epoch, offset.metadata});
  }
  if (entry.offsets_stored) {
    request.state.push_back({std::string(kPendingOffsetsKeyPrefix).append(entry.id), std::nullopt});
  }
  for (std::int32_t n = 0; n < txn.numbers(); ++n) {
    request.state.push_back({Transaction::participant_key(txn.producer(), n), std::nullopt});
  }
  return request;
}

bool TransactionCoordinator::State::waits_for_positions(const Entry& entry, const Step& step) {
  return step.marker && step.marker->commit && entry.superseding > 0;
}

void TransactionCoordinator::State::submit_move(const MoveRef& move, Work& work) {
  ++move->attempts;
  move->version = ++move->entry->version;
  move->entry->queued = move->version;
  ++move->entry->saving;
  submit(
      request_of(*move), Wake::kStore,
      [self = shared_from_this(), move](const storage::CommitOutcome& outcome) {
        self->moved(move, outcome);
      },
      work);
}

void TransactionCoordinator::State::moved(const MoveRef& move,
                                          const storage::CommitOutcome& outcome) {
  Work work;
  {
    MutexLock lock(mutex);
    Entry& entry = *move->entry;
    if (outcome.result) {
      take_over(*move, work);
    } else if (names_what_is_gone(outcome.result.error()) && move->attempts < kEndAttempts &&
               !waits_for_positions(entry, move->step)) {
      --entry.saving;
      submit_move(move, work);
    } else {
      const Error error = outcome.result.error();
      entry.moving = false;
      entry.suspect = entry.suspect || error.code() == ErrorCode::kInvalidProducerEpoch;
      const bool changed =
          entry.version != move->version && error.code() != ErrorCode::kShuttingDown;
      note_saved(entry, move->version, fail(error), work);
      drop_if_unused(move->entry);
      const auto answer = [move, error] { move->done(fail(not_stored(error))); };
      if (changed) {  // positions were set otherwise meanwhile: they must not come back
        when_stored(
            move->entry, [answer](const Status&) { answer(); }, work);
      } else {
        work.push_back(answer);
      }
    }
  }
  run(work);
}

void TransactionCoordinator::State::take_over(Move& move, Work& work) {
  Entry& entry = *move.entry;
  if (move.step.marker) {
    forget_contents(move.entry);
    entry.offsets_stored = false;
    entry.left_out.clear();
    entry.suspect = false;
  }
  entry.txn = std::move(*move.step.next);
  entry.moving = false;
  note_saved(entry, move.version, {}, work);
  work.push_back([done = std::move(move.done), who = move.step.producer] { done(who); });
}

void TransactionCoordinator::State::drop_if_unused(const EntryRef& entry) {
  if (!entry->fresh || entry->moving || entry->saving > 0 || entry->writing > 0) return;
  const auto found = entries.find(entry->id);
  if (found == entries.end() || found->second != entry) return;
  forget_contents(entry);
  entries.erase(found);
}

// ---------------------------------------------------------------- starts and ends
bool TransactionCoordinator::State::needs_producer(std::string_view id) const {
  MutexLock lock(mutex);
  const auto found = entries.find(id);
  return found == entries.end() || found->second->txn.exhausted();
}

void TransactionCoordinator::init(const std::string& id, std::int32_t timeout_ms,
                                  std::optional<storage::ProducerIdentity> expected, Timestamp now,
                                  ProducerDone done) {
  if (id.empty() || id.size() > kMaxTransactionalIdBytes || id.find('\0') != std::string::npos) {
    return done(fail(ErrorCode::kInvalidArgument, "a transactional id has 1 to " +
                                                      std::to_string(kMaxTransactionalIdBytes) +
                                                      " bytes and no zero byte"));
  }
  State& state = *state_;
  if (timeout_ms <= 0 || timeout_ms > state.config.max_timeout.count()) {
    return done(
        fail(ErrorCode::kInvalidTxnTimeout, "the transaction timeout is 1 to " +
                                                std::to_string(state.config.max_timeout.count()) +
                                                " ms (transaction.max.timeout.ms)"));
  }
  std::optional<ProducerId> fresh;
  if (state.needs_producer(id)) {
    const auto producer = state.store->new_producer();
    if (!producer) return done(fail(producer.error()));
    fresh = producer->id;
  }
  State::Work work;
  const auto start = [&]() RUNNEL_REQUIRES(state.mutex) -> Status {
    const auto found = state.entries.find(id);
    if (found == state.entries.end()) {
      if (!state.has_room(now, work)) {
        return fail(ErrorCode::kOverloaded,
                    "there are " + std::to_string(state.config.max_ids) +
                        " transactional ids that were used lately, which is the limit; use ids "
                        "again instead of making up new ones");
      }
      if (!fresh) return fail(ErrorCode::kConcurrentTransactions, "the id was just forgotten");
      const storage::ProducerIdentity who{*fresh, ProducerEpoch(0)};
      Transaction txn(who, timeout_ms, now);
      const auto entry = std::make_shared<State::Entry>(id, txn);
      state.entries.emplace(id, entry);
      state.start_move(entry, {who, std::move(txn), std::nullopt}, now, done, work);
      return {};
    }
    const State::EntryRef& entry = found->second;
    if (entry->moving || entry->forgetting) {
      return fail(ErrorCode::kConcurrentTransactions,
                  "a change of transactional id \"" + id + "\" is being stored; try again");
    }
    RUNNEL_TRY_ASSIGN(Step step, entry->txn.init(timeout_ms, expected, fresh, now));
    state.start_move(entry, std::move(step), now, done, work);
    return {};
  };
  {
    MutexLock lock(state.mutex);
    if (Status status = start(); !status) {
      work.push_back([done, status] { done(fail(status.error())); });
    }
  }
  State::run(work);
}

bool TransactionCoordinator::State::is_exhausted(std::string_view id) const {
  MutexLock lock(mutex);
  const auto found = entries.find(id);
  return found != entries.end() && found->second->txn.exhausted();
}

bool TransactionCoordinator::end_may_block(std::string_view id) const {
  return state_->is_exhausted(id);
}

void TransactionCoordinator::end(std::string_view id, storage::ProducerIdentity who, bool commit,
                                 bool bumps, Timestamp now, ProducerDone done) {
  if (id.empty()) return done(fail(ErrorCode::kInvalidArgument, "a transactional id is not empty"));
  State& state = *state_;
  std::optional<ProducerId> fresh;
  if (bumps && state.is_exhausted(id)) {
    const auto producer = state.store->new_producer();
    if (!producer) return done(fail(producer.error()));
    fresh = producer->id;
  }
  State::Work work;
  const auto start = [&]() RUNNEL_REQUIRES(state.mutex) -> Status {
    const auto found = state.entries.find(id);
    if (found == state.entries.end()) {
      return fail(ErrorCode::kInvalidProducerIdMapping,
                  "nobody has transactional id \"" + std::string(id) + "\"");
    }
    const State::EntryRef& entry = found->second;
    RUNNEL_TRY_ASSIGN(Step step, entry->txn.end(who, commit, bumps, fresh, now));
    // What is still being written must not come after the markers, and a position that is being
    // set otherwise counts if that fails.
    if (entry->moving || entry->forgetting || (step.marker && entry->writing > 0) ||
        State::waits_for_positions(*entry, step)) {
      return fail(ErrorCode::kConcurrentTransactions,
                  "something of the transaction is still being stored; try again");
    }
    state.start_move(entry, std::move(step), now, done, work);
    return {};
  };
  {
    MutexLock lock(state.mutex);
    if (Status status = start(); !status) {
      work.push_back([done, status] { done(fail(status.error())); });
    }
  }
  State::run(work);
}

// ---------------------------------------------------------------- time
void TransactionCoordinator::State::start_forgetting(const EntryRef& entry, Work& work) {
  entry->forgetting = true;
  ++forgetting;
  storage::CommitRequest request;
  request.state.push_back({std::string(kTransactionKeyPrefix).append(entry->id), std::nullopt});
  submit(
      std::move(request), Wake::kStore,
      [self = shared_from_this(), entry](const storage::CommitOutcome& outcome) {
        MutexLock lock(self->mutex);
        entry->forgetting = false;
        --self->forgetting;
        if (outcome.result) self->entries.erase(entry->id);
      },
      work);
}

bool TransactionCoordinator::State::is_idle(const Entry& entry) {
  return !entry.txn.open() && !entry.moving && !entry.forgetting && entry.saving == 0 &&
         entry.writing == 0;
}

bool TransactionCoordinator::State::has_room(Timestamp now, Work& work) {
  if (entries.size() - forgetting < config.max_ids) return true;
  if (full_until != kNoTimestamp && now < full_until) {
    ++limit_counts.refused;
    return false;
  }
  std::vector<EntryRef> idle;
  for (const auto& [id, entry] : entries) {
    if (is_idle(*entry) && now - entry->txn.changed() >= kIdRest.count()) idle.push_back(entry);
  }
  if (idle.empty() || forgetting >= kMaxForgottenAtOnce) {
    full_until = now + kFullIdsRetry.count();
    ++limit_counts.refused;
    return false;
  }
  const std::size_t at_once =
      std::min({kMaxForgottenAtOnce, config.max_ids / 100 + 1, idle.size()});
  const auto end = idle.begin() + static_cast<std::ptrdiff_t>(at_once);
  std::partial_sort(idle.begin(), end, idle.end(), [](const EntryRef& a, const EntryRef& b) {
    return a->txn.changed() < b->txn.changed();
  });
  for (auto it = idle.begin(); it != end; ++it) {
    start_forgetting(*it, work);
    ++limit_counts.forgotten;
  }
  return true;
}

IdLimitCounts TransactionCoordinator::limit_counts() const {
  MutexLock lock(state_->mutex);
  return state_->limit_counts;
}

void TransactionCoordinator::State::tick_entry(const EntryRef& entry, Timestamp now,
                                               std::size_t& forgotten, Work& work) {
  Transaction& txn = entry->txn;
  if (entry->moving || entry->forgetting) return;
  if (txn.open()) {
    const bool lately = entry->tried != kNoTimestamp && now >= entry->tried &&
                        now - entry->tried < kEndRetryInterval.count();
    if (now >= txn.deadline() && !lately) {
      return start_move(
          entry, txn.time_out(now), now, [](const auto&) {}, work);
    }
  } else if (is_idle(*entry) && forgotten < kMaxForgottenAtOnce &&
             now - txn.changed() >= config.expiry.count()) {
    ++forgotten;
    return start_forgetting(entry, work);
  }
  if (entry->saving == 0) save_changes(entry, work);
}

void TransactionCoordinator::State::look_into(const EntryRef& entry) {
  std::vector<std::pair<TopicPartition, storage::PartitionRef>> partitions;
  storage::ProducerIdentity who{kNoProducer, kNoEpoch};
  {
    MutexLock lock(mutex);
    entry->suspect = false;
    who = entry->txn.producer();
    for (const auto& [of, participant] : entry->txn.partitions()) {
      if (participant.partition.ref) partitions.emplace_back(of, participant.partition.ref);
    }
  }
  for (const auto& [of, partition] : partitions) {
    const auto known = store->producer(partition, who.id);
    if (!known) continue;  // it went, or the next end fails again
    if (!*known || (*known)->epoch <= who.epoch) continue;
    MutexLock lock(mutex);
    entry->left_out.insert(of);
  }
}

void TransactionCoordinator::tick(Timestamp now) {
  State& state = *state_;
  State::Work work;
  std::vector<State::EntryRef> suspects;
  {
    MutexLock lock(state.mutex);
    if (now >= state.ticked && now - state.ticked < kEndRetryInterval.count()) return;
    state.ticked = now;
    for (const auto& [id, entry] : state.entries) {
      if (entry->suspect && !entry->moving) suspects.push_back(entry);
    }
  }
  for (const auto& entry : suspects) state.look_into(entry);
  {
    MutexLock lock(state.mutex);
    std::size_t forgotten = 0;
    for (const auto& [id, entry] : state.entries) state.tick_entry(entry, now, forgotten, work);
  }
  State::run(work);
}

// ---------------------------------------------------------------- descriptions
namespace {

TransactionDescription description_of(const std::string& id, const Transaction& txn) {
  TransactionDescription shown;
  shown.id = id;
  shown.state = txn.state();
  shown.producer = txn.producer();
  shown.timeout_ms = txn.timeout_ms();
  shown.start = txn.start();
  return shown;
}

}  // namespace

Result<TransactionDescription> TransactionCoordinator::describe(std::string_view id) const {
  MutexLock lock(state_->mutex);
  const auto found = state_->entries.find(id);
  if (found == state_->entries.end() || found->second->fresh) {
    return fail(ErrorCode::kTransactionalIdNotFound,
                "nobody has transactional id \"" + std::string(id) + "\"");
  }
  const Transaction& txn = found->second->txn;
  TransactionDescription shown = description_of(found->first, txn);
  for (const auto& [of, participant] : txn.partitions()) shown.partitions.push_back(of);
  return shown;
}

std::vector<TransactionDescription> TransactionCoordinator::list() const {
  std::vector<TransactionDescription> all;
  MutexLock lock(state_->mutex);
  for (const auto& [id, entry] : state_->entries) {
    if (!entry->fresh) all.push_back(description_of(id, entry->txn));
  }
  return all;
}

}  // namespace runnel::broker
