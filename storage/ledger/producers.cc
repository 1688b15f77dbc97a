#include "storage/ledger/producers.h"

#include <algorithm>
#include <cstdint>
#include <limits>

#include "protocol/record_batch/control_record.h"

namespace runnel::storage {
namespace {

/// Sequences run from 0 to 2^31-1 and start again at 0.
std::int32_t sequence_after(std::int32_t sequence, std::int32_t step) {
  constexpr std::int64_t kModulus = std::int64_t{std::numeric_limits<std::int32_t>::max()} + 1;
  return static_cast<std::int32_t>((std::int64_t{sequence} + step) % kModulus);
}

std::int32_t last_sequence(const protocol::BatchView& batch) {
  return sequence_after(batch.base_sequence(), batch.record_count() - 1);
}

tl::unexpected<Error> out_of_order(const protocol::BatchView& batch, std::int32_t expected) {
  return fail(ErrorCode::kOutOfOrderSequence,
              "producer " + std::to_string(batch.producer_id().value()) + " sent sequence " +
                  std::to_string(batch.base_sequence()) + " where " + std::to_string(expected) +
                  " was expected; a batch before it is missing, so start a new producer");
}

tl::unexpected<Error> old_epoch(ProducerId producer, ProducerEpoch used, ProducerEpoch known) {
  return fail(ErrorCode::kInvalidProducerEpoch, "producer " + std::to_string(producer.value()) +
                                                    " used epoch " + std::to_string(used.value()) +
                                                    ", but epoch " + std::to_string(known.value()) +
                                                    " is in use; a newer instance took over");
}

/// A data batch must belong to the producer's open transaction, if there is one.
Status check_transaction(const ProducerState& known, const protocol::BatchView& batch) {
  if (known.transaction_first == kNoOffset || batch.is_transactional()) return {};
  return fail(ErrorCode::kInvalidTxnState,
              "producer " + std::to_string(batch.producer_id().value()) +
                  " sent a batch outside of a transaction while its transaction from offset " +
                  std::to_string(known.transaction_first.value()) +
                  " is open; end the transaction first");
}

}  // namespace

Result<Producers::Verdict> Producers::check(PartitionId partition, const protocol::BatchView& batch,
                                            const ProducerState* previous, bool from_zero) const {
  const ProducerState* known =
      previous != nullptr ? previous : find(partition, batch.producer_id());
  if (known == nullptr) {
    if (from_zero && batch.base_sequence() != 0) return out_of_order(batch, 0);
    return Verdict{};
  }
  if (batch.producer_epoch() < known->epoch) {
    return old_epoch(batch.producer_id(), batch.producer_epoch(), known->epoch);
  }
  const bool anew = batch.producer_epoch() > known->epoch;
  for (std::size_t i = 0; !anew && i < known->count; ++i) {
    const auto& b = known->batches[i];
    if (b.first_sequence == batch.base_sequence() && b.last_sequence == last_sequence(batch)) {
      return Verdict{true, b.base, b.last};
    }
  }
  // A marker may have brought the epoch: then no batch of it is known yet.
  const std::int32_t expected =
      anew || known->count == 0 ? 0
                                : sequence_after(known->batches[known->count - 1].last_sequence, 1);
  if (batch.base_sequence() != expected) return out_of_order(batch, expected);
  RUNNEL_TRY(check_transaction(*known, batch));
  return Verdict{};
}

Status Producers::check_marker(PartitionId partition, const ProducerIdentity& producer,
                               const ProducerState* previous) const {
  const ProducerState* known = previous != nullptr ? previous : find(partition, producer.id);
  if (known == nullptr || producer.epoch >= known->epoch) return {};
  return old_epoch(producer.id, producer.epoch, known->epoch);
}

void Producers::advance(ProducerState& state, const protocol::BatchView& batch, Offset base,
                        Timestamp now) {
  if (batch.producer_epoch() != state.epoch) state.count = 0;
  state.epoch = batch.producer_epoch();
  state.last_seen = now;
  state.last = base + batch.last_offset_delta();
  if (batch.is_transactional() && state.transaction_first == kNoOffset) {
    state.transaction_first = base;
  }
  if (state.count == ProducerState::kRemembered) {
    std::move(state.batches.begin() + 1, state.batches.end(), state.batches.begin());
    --state.count;
  }
  state.batches[state.count++] = {batch.base_sequence(), last_sequence(batch), base,
                                  base + batch.last_offset_delta()};
}

std::size_t Producers::HashPlace::operator()(const Place& p) const noexcept {
  // Ids are small numbers in a row: spread them before they are mixed.
  constexpr std::uint64_t kSpread = 0x9E3779B97F4A7C15ULL;
  const auto id = static_cast<std::uint64_t>(p.producer.value());
  const std::uint64_t mixed = (id * kSpread) ^ (std::uint64_t{p.partition.value()} << 17);
  return static_cast<std::size_t>((mixed ^ (mixed >> 32)) * kSpread);
}

Status Producers::make_room(std::size_t added, std::chrono::nanoseconds now) {
  const auto missing = [&] { return entries_.size() - marked_.size() + added > capacity_; };
  while (!ages_.empty() && missing()) {
    const auto oldest = entries_.find(ages_.front());
    if (now - oldest->second.used < kMinIdle) break;
    drop(oldest);
    ++evicted_;
  }
  if (!missing()) return {};
  ++refused_;
  return fail(
      ErrorCode::kOverloaded,
      "the store remembers " + std::to_string(capacity_) +
          " idempotent producers (one a partition they write to), and all of them wrote "
          "within the last " +
          std::to_string(std::chrono::duration_cast<std::chrono::minutes>(kMinIdle).count()) +
          " minutes or have a transaction open; try again later, use fewer producers, or "
          "give the store more memory");
}

std::optional<AbortedRecord> Producers::record(PartitionId partition, Bytes bytes,
                                               std::uint64_t bytes_before, const Moment& now) {
  const protocol::BatchView batch(bytes);
  const Place where{partition, batch.producer_id()};
  const auto [it, is_new] = entries_.try_emplace(where);
  Entry& e = it->second;
  ProducerState& s = e.state;
  if (!is_new && s.last >= batch.last_offset()) return std::nullopt;
  e.used = now.monotonic;
  const Offset was_open = s.transaction_first;
  bool aborts = false;
  if (batch.is_control()) {
    if (batch.producer_epoch() != s.epoch) s.count = 0;
    s.epoch = batch.producer_epoch();
    s.last_seen = now.wall;
    s.last = batch.last_offset();
    // Control records of other types end nothing.
    if (const auto marker = protocol::read_end_txn_batch(bytes)) {
      aborts = marker->type == protocol::ControlType::kAbort;
      s.coordinator_epoch = marker->coordinator_epoch;
      s.transaction_first = kNoOffset;
      s.transaction_bytes = 0;
    }
  } else {
    advance(s, batch, batch.base_offset(), now.wall);
    if (was_open == kNoOffset && s.transaction_first != kNoOffset) {
      s.transaction_bytes = bytes_before;
    }
  }
  place(where, e, was_open);
  if (marked_.size() > kMaxMarked) drop(entries_.find(marked_.front()));
  if (!e.dirty) {
    e.dirty = true;
    dirty_.push_back(where);
  }
  if (!aborts || was_open == kNoOffset) return std::nullopt;
  const auto open = first_open(partition);
  return AbortedRecord{batch.base_offset(), batch.producer_id(), was_open,
                       open ? open->offset : batch.last_offset() + 1};
}

void Producers::place(const Place& where, Entry& e, Offset was_open) {
  const ProducerState& s = e.state;
  const bool open = s.transaction_first != kNoOffset;
  if (was_open != s.transaction_first) {
    if (was_open != kNoOffset) close(where.partition, was_open);
    if (open) open_[where.partition][s.transaction_first] = s.transaction_bytes;
  }
  std::list<Place>* const to = open ? nullptr : only_marked(s) ? &marked_ : &ages_;
  if (to == nullptr) {
    if (e.list != nullptr) e.list->erase(e.age);
  } else if (e.list != nullptr) {
    to->splice(to->end(), *e.list, e.age);
  } else {
    e.age = to->insert(to->end(), where);
  }
  e.list = to;
}

void Producers::close(PartitionId partition, Offset first) {
  const auto it = open_.find(partition);
  RUNNEL_ASSERT(it != open_.end());
  it->second.erase(first);
  if (it->second.empty()) open_.erase(it);
}

std::optional<StablePoint> Producers::first_open(PartitionId partition) const {
  const auto it = open_.find(partition);
  if (it == open_.end()) return std::nullopt;
  const auto& [offset, bytes] = *it->second.begin();
  return StablePoint{offset, bytes};
}

const ProducerState* Producers::find(PartitionId partition, ProducerId id) const {
  const auto it = entries_.find({partition, id});
  return it == entries_.end() ? nullptr : &it->second.state;
}

void Producers::restore(PartitionId partition, ProducerId id, const ProducerState& state,
                        std::chrono::nanoseconds used) {
  const Place where{partition, id};
  Entry& e = entries_[where];
  const Offset was_open = e.state.transaction_first;
  e.state = state;
  e.used = used;
  e.in_index = true;
  place(where, e, was_open);
}

void Producers::drop(Entries::iterator it) {
  Entry& e = it->second;
  if (e.in_index) forgotten_.push_back(it->first);
  if (e.list != nullptr) e.list->erase(e.age);
  if (e.state.transaction_first != kNoOffset) {
    close(it->first.partition, e.state.transaction_first);
  }
  entries_.erase(it);
}

void Producers::forget(PartitionId partition, ProducerId id) {
  const auto it = entries_.find({partition, id});
  if (it != entries_.end()) drop(it);
}

void Producers::expire(Timestamp before, std::size_t most) {
  for (const std::list<Place>* list : {&ages_, &marked_}) {
    for (; most != 0 && !list->empty(); --most) {
      const auto oldest = entries_.find(list->front());
      if (oldest->second.state.last_seen >= before) break;
      drop(oldest);
    }
  }
}

std::pair<std::size_t, std::size_t> Producers::first_changes(std::size_t most) const {
  const std::size_t erased = std::min(most, forgotten_.size());
  return {erased, std::min(most - erased, dirty_.size())};
}

std::vector<Producers::Change> Producers::unsaved(std::size_t most) const {
  std::vector<Change> changes;
  const auto [erased, put] = first_changes(most);
  for (std::size_t i = 0; i < erased; ++i) {
    const Place& p = forgotten_[i];
    // One that is back is put below, or later.
    if (!entries_.contains(p)) changes.push_back({p.partition, p.producer, nullptr});
  }
  for (std::size_t i = 0; i < put; ++i) {
    const Place& p = dirty_[i];
    const auto it = entries_.find(p);
    if (it != entries_.end()) changes.push_back({p.partition, p.producer, &it->second.state});
  }
  return changes;
}

void Producers::saved(std::size_t most) {
  const auto [erased, put] = first_changes(most);
  for (std::size_t i = 0; i < erased; ++i) {
    const auto back = entries_.find(forgotten_[i]);
    if (back != entries_.end()) back->second.in_index = true;
  }
  for (std::size_t i = 0; i < put; ++i) {
    const auto it = entries_.find(dirty_[i]);
    if (it == entries_.end()) continue;
    it->second.dirty = false;
    it->second.in_index = true;
  }
  forgotten_.erase(forgotten_.begin(), forgotten_.begin() + static_cast<std::ptrdiff_t>(erased));
  dirty_.erase(dirty_.begin(), dirty_.begin() + static_cast<std::ptrdiff_t>(put));
}

}  // namespace runnel::storage
