// Positions of groups that wait for a transaction's end, and those set beside them.
#include "broker/transactions/coordinator_state.h"

namespace runnel::broker {

void TransactionCoordinator::State::index_offsets(const EntryRef& entry) {
  for (const auto& [key, offset] : entry->txn.offsets()) pending[key].insert(entry);
}

void TransactionCoordinator::State::forget_contents(const EntryRef& entry) {
  for (const auto& [key, offset] : entry->txn.offsets()) {
    const auto found = pending.find(key);
    if (found == pending.end()) continue;
    found->second.erase(entry);
    if (found->second.empty()) pending.erase(found);
  }
  open_partitions -= entry->txn.partitions().size();
  pending_bytes -= entry->txn.offset_bytes();
}

bool TransactionCoordinator::unstable(const OffsetKey& key) const {
  MutexLock lock(state_->mutex);
  return state_->pending.contains(key);
}

std::set<TopicPartition> TransactionCoordinator::unstable_of(std::string_view group) const {
  std::set<TopicPartition> found;
  MutexLock lock(state_->mutex);
  for (auto it = state_->pending.lower_bound({std::string(group), {}});
       it != state_->pending.end() && it->first.group == group; ++it) {
    found.insert(it->first.of);
  }
  return found;
}

std::uint64_t TransactionCoordinator::State::supersede(const std::vector<OffsetKey>& keys,
                                                       std::set<EntryRef>& touched) {
  const std::uint64_t by = ++last_superseding;
  for (const OffsetKey& key : keys) {
    const auto found = pending.find(key);
    if (found == pending.end()) continue;
    for (const EntryRef& entry : found->second) {
      if (entry->txn.supersede(key, by)) touched.insert(entry);
    }
  }
  return by;
}

void TransactionCoordinator::State::submit_superseding(storage::CommitRequest request,
                                                       const std::set<EntryRef>& touched,
                                                       std::uint64_t by, Wake wake,
                                                       storage::CommitCallback done, Work& work) {
  std::vector<std::pair<EntryRef, std::uint64_t>> saves;
  for (const EntryRef& entry : touched) {
    ++entry->version;
    ++entry->superseding;
    // An end on its way comes before this. If it fails, the next save has what was superseded.
    if (entry->moving) continue;
    add_state(*entry, request);
    saves.emplace_back(entry, entry->version);
  }
  submit(
      std::move(request), wake,
      [self = shared_from_this(), touched, saves, by,
       done = std::move(done)](const storage::CommitOutcome& outcome) {
        Work answers;
        {
          MutexLock lock(self->mutex);
          const Status status = outcome.result ? Status() : Status(fail(outcome.result.error()));
          const bool over = !status && status.error().code() == ErrorCode::kShuttingDown;
          for (const EntryRef& entry : touched) {
            --entry->superseding;
            entry->txn.end_superseding(by, status.has_value());
            if (!status) ++entry->version;
            // Before it is noted below: who waits is not concerned by what failed here.
            if (!over && !entry->moving) self->save_changes(entry, answers);
          }
          for (const auto& [entry, version] : saves) {
            self->note_saved(*entry, version, status, answers);
          }
        }
        run(answers);
        done(outcome);
      },
      work);
}

void TransactionCoordinator::commit_offsets(storage::CommitRequest request, Wake wake,
                                            storage::CommitCallback done) {
  State& state = *state_;
  State::Work work;
  bool queued = false;
  {
    MutexLock lock(state.mutex);
    if (!state.pending.empty()) {
      std::vector<OffsetKey> keys;
      for (const storage::OffsetCommit& o : request.offsets) {
        keys.push_back({o.group, {o.topic, o.partition}});
      }
      std::set<State::EntryRef> touched;
      const std::uint64_t by = state.supersede(keys, touched);
      state.submit_superseding(std::move(request), touched, by, wake, std::move(done), work);
      queued = true;
    }
  }
  if (queued) return State::run(work);
  // Nobody is concerned, as always where there are no transactions.
  if (wake == Wake::kLoop) return state.store->queue_commit(std::move(request), std::move(done));
  state.store->commit(std::move(request), std::move(done));
}

void TransactionCoordinator::forget_group(std::string_view group, Done done) {
  State& state = *state_;
  State::Work work;
  {
    MutexLock lock(state.mutex);
    std::vector<OffsetKey> keys;
    const OffsetKey first{std::string(group), {}};
    for (auto it = state.pending.lower_bound(first);
         it != state.pending.end() && it->first.group == group; ++it) {
      keys.push_back(it->first);
    }
    std::set<State::EntryRef> touched;
    const std::uint64_t by = state.supersede(keys, touched);
    if (touched.empty()) {
      work.push_back([done = std::move(done)] { done({}); });
    } else {
      state.submit_superseding(
          {}, touched, by, Wake::kStore,
          [done = std::move(done)](const storage::CommitOutcome& outcome) {
            done(outcome.result ? Status() : Status(fail(outcome.result.error())));
          },
          work);
    }
  }
  State::run(work);
}

}  // namespace runnel::broker
