#include "broker/transactions/transaction.h"

#include <algorithm>

#include "protocol/base/assert.h"

namespace runnel::broker {
namespace {

using storage::ProducerIdentity;

bool same(ProducerIdentity a, ProducerIdentity b) {
  return a.id == b.id && a.epoch == b.epoch;
}

/// The epoch that fences `of` off. There is none after the last but one: nobody is given that.
ProducerIdentity bumped(ProducerIdentity of) {
  return {of.id, std::min(of.epoch, Transaction::kLastEpoch) + 1};
}

std::string text_of(ProducerIdentity who) {
  return "producer " + std::to_string(who.id.value()) + " at epoch " +
         std::to_string(who.epoch.value());
}

tl::unexpected<Error> no_such_end(TransactionState state, bool commit) {
  return fail(ErrorCode::kInvalidTxnState, "the transaction is " + std::string(name_of(state)) +
                                               ", so there is nothing to " +
                                               (commit ? "commit" : "abort"));
}

std::size_t cost_of(const OffsetKey& key, const PendingOffset& offset) {
  return kPendingOffsetOverheadBytes + key.group.size() + key.of.topic.size() +
         offset.metadata.size();
}

}  // namespace

std::string_view name_of(TransactionState state) noexcept {
  switch (state) {
    case TransactionState::kEmpty:
      return "Empty";
    case TransactionState::kOngoing:
      return "Ongoing";
    case TransactionState::kCompleteCommit:
      return "CompleteCommit";
    case TransactionState::kCompleteAbort:
      return "CompleteAbort";
  }
  return "Dead";
}

Transaction::Transaction(ProducerIdentity producer, std::int32_t timeout_ms, Timestamp now)
    : producer_(producer), timeout_ms_(timeout_ms), changed_(now) {}

Status Transaction::check(ProducerIdentity who) const {
  if (who.id != producer_.id) {
    return fail(ErrorCode::kInvalidProducerIdMapping,
                text_of(who) + " is not this transactional id's, which has " + text_of(producer_));
  }
  if (who.epoch != producer_.epoch) {
    return fail(ErrorCode::kProducerFenced,
                text_of(who) + " was replaced by epoch " + std::to_string(producer_.epoch.value()));
  }
  if (repeat_ == Repeat::kFenced || who.epoch > kLastEpoch) {
    return fail(ErrorCode::kProducerFenced,
                text_of(who) + " is nobody: the producer before was fenced off; start a new one");
  }
  return {};
}

Result<ProducerIdentity> Transaction::next_identity(ProducerIdentity after,
                                                    std::optional<ProducerId> fresh) {
  if (after.epoch < kLastEpoch) return bumped(after);
  if (fresh) return ProducerIdentity{*fresh, ProducerEpoch(0)};
  return fail(ErrorCode::kConcurrentTransactions, "the producer needs a new id; try again");
}

Transaction Transaction::without_contents() const {
  Transaction next;
  next.producer_ = producer_;
  next.previous_ = previous_;
  next.repeat_ = repeat_;
  next.state_ = state_;
  next.timeout_ms_ = timeout_ms_;
  next.start_ = start_;
  return next;
}

Result<Transaction::Step> Transaction::init(std::int32_t timeout_ms,
                                            std::optional<ProducerIdentity> expected,
                                            std::optional<ProducerId> fresh, Timestamp now) const {
  if (expected && (!same(*expected, producer_) || repeat_ == Repeat::kFenced)) {
    const bool repeatable = repeat_ == Repeat::kInit || repeat_ == Repeat::kEnd;
    const bool repeated = repeatable && same(*expected, previous_) && !open();
    if (repeated) return Step{producer_, std::nullopt, std::nullopt};
    return fail(ErrorCode::kProducerFenced, text_of(*expected) + " was replaced by another");
  }
  // A newcomer comes after the epoch that its predecessor's transaction is aborted under.
  const bool aborted = open() && !expected && bumped(producer_).epoch < kLastEpoch;
  RUNNEL_TRY_ASSIGN(const ProducerIdentity identity,
                    next_identity(aborted ? bumped(producer_) : producer_, fresh));
  Step step{identity, without_contents(), std::nullopt};
  if (open()) step.marker = Step::Marker{bumped(producer_), false};
  step.next->producer_ = identity;
  step.next->previous_ = expected ? producer_ : ProducerIdentity{kNoProducer, kNoEpoch};
  step.next->repeat_ = expected ? Repeat::kInit : Repeat::kNone;
  step.next->state_ = TransactionState::kEmpty;
  step.next->timeout_ms_ = timeout_ms;
  step.next->start_ = kNoTimestamp;
  step.next->changed_ = now;
  return step;
}

Result<Transaction::Step> Transaction::end(ProducerIdentity who, bool commit, bool bumps,
                                           std::optional<ProducerId> fresh, Timestamp now) const {
  const auto ended = commit ? TransactionState::kCompleteCommit : TransactionState::kCompleteAbort;
  const bool complete =
      state_ == TransactionState::kCompleteCommit || state_ == TransactionState::kCompleteAbort;
  if (bumps && complete && repeat_ == Repeat::kEnd && same(who, previous_)) {
    if (state_ != ended) return no_such_end(state_, commit);
    return Step{producer_, std::nullopt, std::nullopt};
  }
  RUNNEL_TRY(check(who));
  if (!open()) {
    if (!bumps && state_ == ended) return Step{producer_, std::nullopt, std::nullopt};
    // With KIP-890 a producer does not know whether anything of it has arrived, so an abort is
    // always in order.
    if (!bumps || commit) return no_such_end(state_, commit);
  }
  Step step{producer_, without_contents(), std::nullopt};
  step.next->state_ = ended;
  step.next->changed_ = now;
  if (!open()) step.next->start_ = now;
  if (bumps) {
    RUNNEL_TRY_ASSIGN(step.producer, next_identity(producer_, fresh));
    step.next->producer_ = step.producer;
    step.next->previous_ = producer_;
    step.next->repeat_ = Repeat::kEnd;
  }
  if (open()) step.marker = Step::Marker{bumps ? bumped(producer_) : producer_, commit};
  return step;
}

Transaction::Step Transaction::time_out(Timestamp now) const {
  RUNNEL_ASSERT(open());
  const ProducerIdentity fenced = bumped(producer_);
  Step step{fenced, without_contents(), Step::Marker{fenced, false}};
  step.next->producer_ = fenced;
  step.next->previous_ = {kNoProducer, kNoEpoch};
  step.next->repeat_ = Repeat::kFenced;
  step.next->state_ = TransactionState::kCompleteAbort;
  step.next->changed_ = now;
  return step;
}

void Transaction::open_at(Timestamp now) {
  if (open()) return;
  state_ = TransactionState::kOngoing;
  start_ = now;
  changed_ = now;
}

Result<bool> Transaction::add(const TopicPartition& of, Incarnation partition,
                              std::uint64_t version, Timestamp now) {
  if (Participant* known = find(of)) {
    if (known->partition.id == partition.id) return false;
    *known = Participant{std::move(partition), false, version, -1};
    return true;
  }
  if (partitions_.size() >= kMaxTransactionPartitions) {
    return fail(ErrorCode::kTooManyPartitions, "a transaction writes to " +
                                                   std::to_string(kMaxTransactionPartitions) +
                                                   " partitions at most");
  }
  open_at(now);
  partitions_.emplace(of, Participant{std::move(partition), false, version, -1});
  return true;
}

Result<bool> Transaction::add_group(std::string_view group, Timestamp now) {
  if (groups_.contains(group)) return false;
  if (groups_.size() >= kMaxTransactionGroups) {
    return fail(ErrorCode::kTooManyPartitions, "a transaction moves the positions of " +
                                                   std::to_string(kMaxTransactionGroups) +
                                                   " groups at most");
  }
  open_at(now);
  groups_.emplace(group);
  return true;
}

Status Transaction::put_offsets(std::vector<std::pair<OffsetKey, PendingOffset>> offsets,
                                Timestamp now) {
  std::size_t count = offsets_.size();
  std::size_t bytes = offset_bytes_;
  for (const auto& [key, offset] : offsets) {
    const auto known = offsets_.find(key);
    if (known == offsets_.end()) {
      ++count;
    } else {
      bytes -= std::min(bytes, cost_of(key, known->second));
    }
    bytes += cost_of(key, offset);
  }
  if (count > kMaxPendingOffsets || bytes > kMaxPendingOffsetBytes) {
    return fail(ErrorCode::kTooManyPartitions,
                "a transaction holds " + std::to_string(kMaxPendingOffsets) + " positions in " +
                    std::to_string(kMaxPendingOffsetBytes) + " bytes at most");
  }
  open_at(now);
  for (auto& [key, offset] : offsets) {
    const std::size_t cost = cost_of(key, offset);
    const auto known = offsets_.find(key);
    if (known != offsets_.end()) {
      offset_bytes_ -= cost_of(key, known->second);
      known->second = std::move(offset);
    } else {
      offsets_.emplace(std::move(key), std::move(offset));
    }
    offset_bytes_ += cost;
  }
  return {};
}

Participant* Transaction::find(const TopicPartition& of) {
  const auto found = partitions_.find(of);
  return found == partitions_.end() ? nullptr : &found->second;
}

Status Transaction::give_number(Participant& participant) {
  if (numbers_ >= kMaxParticipantEntries) {
    return fail(ErrorCode::kTooManyPartitions,
                "topics of the transaction were deleted and made anew too often");
  }
  participant.number = numbers_++;
  return {};
}

void Transaction::stored(std::uint64_t version) {
  for (auto& [of, participant] : partitions_) {
    if (participant.version <= version) participant.stored = true;
  }
}

bool Transaction::supersede(const OffsetKey& key, std::uint64_t by) {
  const auto found = offsets_.find(key);
  if (found == offsets_.end() || found->second.superseded) return false;
  found->second.superseding.push_back(by);
  return true;
}

void Transaction::end_superseding(std::uint64_t by, bool stored) {
  for (auto& [key, offset] : offsets_) {
    if (std::erase(offset.superseding, by) == 0) continue;
    if (!stored) continue;
    offset.superseded = true;
    offset.superseding.clear();
  }
}

void Transaction::begin_by(Timestamp now) {
  if (open()) start_ = std::min(start_, now);
}

}  // namespace runnel::broker
