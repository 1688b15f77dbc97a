// One transactional id: which producer owns it, what its open transaction has touched, and what a
// request may do now. Decisions only: no I/O, no clock, no locks.
//
// A step that ends a transaction, or gives the producer another epoch, is worked out as the id's
// state after it (Step); whoever asked makes it durable together with the markers and takes it
// over. So there is no state between open and ended: a crash leaves one or the other.
//
// The stored form (state map; docs/formats/transaction-state.md), varints as in bytes.h:
//
//   "txn/<id>"        version u8 = 1, state u8, repeat u8, producer id, epoch, previous id,
//                     previous epoch (varint each), timeout ms (uvarint), start, changed (varint),
//                     topics {name, partitions {index, partition id, uvarint each}},
//                     groups {name}
//   "txo/<id>"        version u8 = 1, positions {group, topic, partition, partition id (uvarint
//                     each), offset varint, leader epoch varint, metadata}: take effect if the
//                     transaction is committed
//   "txp/<producer id, 16 hex digits>/<epoch, 4>/<number, 4>"
//                     version u8 = 1, start varint, topic, partition, partition id (uvarint
//                     each): a partition that joined by being written to, stored in one commit
//                     with its first batch
//
// Partition ids are storage's, and never given twice: a topic made anew under an old name does not
// count as the one that took part.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "broker/transactions/limits.h"
#include "protocol/base/error.h"
#include "protocol/base/strong.h"
#include "storage/store.h"

namespace runnel::broker {

struct TopicPartition {
  std::string topic;
  PartitionIndex partition;
  friend auto operator<=>(const TopicPartition&, const TopicPartition&) = default;
};

/// Kafka's numbers. Those between are states that nothing here is ever in.
enum class TransactionState : std::uint8_t {
  kEmpty = 0,
  kOngoing = 1,
  kCompleteCommit = 4,
  kCompleteAbort = 5,
};
/// As Kafka's tools write it: "Ongoing", ...
[[nodiscard]] std::string_view name_of(TransactionState state) noexcept;

/// A partition as it was when it came into a transaction.
struct Incarnation {
  PartitionId id{0};
  storage::PartitionRef ref;  ///< null: it is gone
};

/// A position that waits for the end of a transaction.
struct PendingOffset {
  Offset offset;
  LeaderEpoch leader_epoch{-1};
  std::string metadata;
  Incarnation partition;
  bool superseded = false;  ///< the group's position was set otherwise since: that one stays
  /// Commits on their way that will have superseded it. Their numbers are the coordinator's.
  std::vector<std::uint64_t> superseding = {};
  /// Takes effect, as far as is known now.
  [[nodiscard]] bool counts() const noexcept { return !superseded && superseding.empty(); }
};
/// Whose position, of what.
struct OffsetKey {
  std::string group;
  TopicPartition of;
  friend auto operator<=>(const OffsetKey&, const OffsetKey&) = default;
};

/// A partition in the open transaction.
struct Participant {
  Incarnation partition;
  bool stored = false;        ///< that it takes part is durable
  std::uint64_t version = 0;  ///< the coordinator's: with which it is stored
  std::int32_t number = -1;   ///< of its "txp/" entry; -1: it has none
};

/// Not thread safe.
class Transaction {
 public:
  struct Step;

  /// The greatest epoch a producer is given. One more is kept to fence that one off.
  static constexpr ProducerEpoch kLastEpoch{32766};

  /// A new transactional id.
  Transaction(storage::ProducerIdentity producer, std::int32_t timeout_ms, Timestamp now);

  [[nodiscard]] const storage::ProducerIdentity& producer() const noexcept { return producer_; }
  [[nodiscard]] TransactionState state() const noexcept { return state_; }
  [[nodiscard]] bool open() const noexcept { return state_ == TransactionState::kOngoing; }
  [[nodiscard]] std::int32_t timeout_ms() const noexcept { return timeout_ms_; }
  /// When the transaction, or the last one, began; kNoTimestamp: none since the producer's start.
  [[nodiscard]] Timestamp start() const noexcept { return start_; }
  /// Of the last change that was more than another partition.
  [[nodiscard]] Timestamp changed() const noexcept { return changed_; }
  /// When an open transaction is over.
  [[nodiscard]] Timestamp deadline() const noexcept { return start_ + timeout_ms_; }
  /// True: the producer's next epoch is that of a new producer id.
  [[nodiscard]] bool exhausted() const noexcept { return producer_.epoch >= kLastEpoch; }
  [[nodiscard]] const std::map<TopicPartition, Participant>& partitions() const noexcept {
    return partitions_;
  }
  [[nodiscard]] const std::set<std::string, std::less<>>& groups() const noexcept {
    return groups_;
  }
  [[nodiscard]] const std::map<OffsetKey, PendingOffset>& offsets() const noexcept {
    return offsets_;
  }
  [[nodiscard]] std::size_t offset_bytes() const noexcept { return offset_bytes_; }
  /// Numbers given to "txp/" entries: those below this may exist.
  [[nodiscard]] std::int32_t numbers() const noexcept { return numbers_; }

  /// kInvalidProducerIdMapping or kProducerFenced if `who` is not the current producer, or was
  /// fenced off: then nobody is until the next start.
  [[nodiscard]] Status check(storage::ProducerIdentity who) const;

  /// A producer starts. `expected` is what it thinks it is, if it goes on after an error; `fresh`
  /// is used if exhausted(). An open transaction is aborted: under the epoch that its own producer
  /// goes on with, and under one before a newcomer's. kProducerFenced; kConcurrentTransactions if a
  /// fresh id is needed and not there.
  [[nodiscard]] Result<Step> init(std::int32_t timeout_ms,
                                  std::optional<storage::ProducerIdentity> expected,
                                  std::optional<ProducerId> fresh, Timestamp now) const;
  /// `bumps`: the producer goes on with the next epoch (KIP-890, EndTxn from version 5 on). A
  /// repeat of the end before is no change (Step::next empty). Errors: those of check();
  /// kInvalidTxnState; kConcurrentTransactions as of init().
  [[nodiscard]] Result<Step> end(storage::ProducerIdentity who, bool commit, bool bumps,
                                 std::optional<ProducerId> fresh, Timestamp now) const;
  /// An open transaction was open for too long. Its producer is fenced off.
  [[nodiscard]] Step time_out(Timestamp now) const;

  // What the open transaction does; each opens one if none is. `version` is the coordinator's.
  // False, and nothing is changed, if it was known or, with kTooManyPartitions, if it is too much.

  /// A partition known under this name in another incarnation is replaced, which is a change.
  [[nodiscard]] Result<bool> add(const TopicPartition& of, Incarnation partition,
                                 std::uint64_t version, Timestamp now);
  [[nodiscard]] Result<bool> add_group(std::string_view group, Timestamp now);
  /// All of them, or with kTooManyPartitions none. They replace earlier ones of the same keys.
  [[nodiscard]] Status put_offsets(std::vector<std::pair<OffsetKey, PendingOffset>> offsets,
                                   Timestamp now);

  /// The participant `of`; null.
  [[nodiscard]] Participant* find(const TopicPartition& of);
  /// Gives a participant the number of its own entry. kTooManyPartitions.
  [[nodiscard]] Status give_number(Participant& participant);
  /// Everything in a stored version up to `version` is stored.
  void stored(std::uint64_t version);
  /// The position is being set otherwise by `by`. False: there is none that may still count.
  bool supersede(const OffsetKey& key, std::uint64_t by);
  /// What `by` did is `stored`, or was not: then the positions count again.
  void end_superseding(std::uint64_t by, bool stored);

  [[nodiscard]] std::string encode() const;
  [[nodiscard]] std::string encode_offsets() const;
  [[nodiscard]] std::string encode_participant(const TopicPartition& of) const;
  [[nodiscard]] static std::string participant_key(storage::ProducerIdentity producer,
                                                   std::int32_t number);
  /// Looks a partition up; null: it is not there any more.
  using Resolve = std::function<storage::PartitionRef(const TopicPartition&, PartitionId)>;
  /// kCorrupt, kFormatTooNew: what is wrong with the state of `id`.
  [[nodiscard]] static Result<Transaction> decode(std::string_view id, Bytes bytes,
                                                  const Resolve& resolve);
  [[nodiscard]] Status decode_offsets(std::string_view id, Bytes bytes, const Resolve& resolve);
  /// Of an entry "txp/": whose it is.
  struct ParticipantName {
    storage::ProducerIdentity producer;
    std::int32_t number = 0;
  };
  [[nodiscard]] static std::optional<ParticipantName> parse_participant_key(std::string_view key);
  [[nodiscard]] Status decode_participant(std::int32_t number, Bytes bytes, const Resolve& resolve);
  /// The clock may have been set while nothing ran: a transaction began at `now` at the latest.
  void begin_by(Timestamp now);

 private:
  /// Why a request that names the previous identity may be one whose answer was lost. kFenced: no
  /// request may go on, not even one that names the current identity, for nobody was given that.
  enum class Repeat : std::uint8_t { kNone = 0, kInit = 1, kEnd = 2, kFenced = 3 };

  Transaction() = default;
  void open_at(Timestamp now);
  /// The producer's next identity after `after`; kConcurrentTransactions if that needs `fresh`.
  [[nodiscard]] static Result<storage::ProducerIdentity> next_identity(
      storage::ProducerIdentity after, std::optional<ProducerId> fresh);
  [[nodiscard]] Transaction without_contents() const;

  storage::ProducerIdentity producer_{kNoProducer, kNoEpoch};
  storage::ProducerIdentity previous_{kNoProducer, kNoEpoch};
  Repeat repeat_ = Repeat::kNone;
  TransactionState state_ = TransactionState::kEmpty;
  std::int32_t timeout_ms_ = 0;
  Timestamp start_ = kNoTimestamp;
  Timestamp changed_ = kNoTimestamp;
  std::map<TopicPartition, Participant> partitions_;
  std::set<std::string, std::less<>> groups_;
  std::map<OffsetKey, PendingOffset> offsets_;
  std::size_t offset_bytes_ = 0;
  std::int32_t numbers_ = 0;
};

/// What is to be stored.
struct Transaction::Step {
  storage::ProducerIdentity producer;  ///< to go on with
  std::optional<Transaction> next;     ///< the state after it; none: nothing changes
  /// The open transaction ends: what its markers say.
  struct Marker {
    storage::ProducerIdentity producer;
    bool commit = false;
  };
  std::optional<Marker> marker;
};

}  // namespace runnel::broker
