// Idempotent producers: which batches of a producer a partition has already taken, and which
// transactions are open in it.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "protocol/base/error.h"
#include "protocol/base/strong.h"
#include "protocol/record_batch/record_batch.h"
#include "storage/env/clock.h"
#include "storage/log/records.h"
#include "storage/store.h"

namespace runnel::storage {

/// The producers of all partitions. A state machine without I/O; belongs to whoever commits.
/// Rules as Kafka's: the last five batches of each producer are remembered; an exact repeat is a
/// duplicate; otherwise the first sequence must follow the last one (wrapping from 2^31-1 to 0); a
/// new epoch starts at 0; a producer that is not known may start anywhere.
///
/// A transactional batch opens its producer's transaction in the partition, a transaction marker
/// ends it. Every change comes from a batch, through record(), when it is written and when it is
/// replayed.
///
/// At most `capacity` states of producers that wrote are kept, one a producer and partition. For a
/// new one the state that was idle longest goes, if it was idle for kMinIdle at least: a repeat of
/// its batches would not be recognised any more. If none is that old the new producer is told to
/// wait. A state with an open transaction never goes. Only the monotonic clock says who is idle: a
/// step of the wall clock neither takes a state nor keeps one.
///
/// A marker needs no room, as a transaction must be able to end whatever is full. A state that says
/// no more than a marker's epoch keeps late batches of older epochs out. kMaxMarked of these are
/// kept besides, and the oldest goes for a new one.
class Producers {
 public:
  /// What a state takes in memory, with its places in the tables, in bytes.
  static constexpr std::size_t kBytesEach = 320;
  /// So long a state is kept whatever is full. Clients go on repeating a batch for minutes: Kafka's
  /// for 2 (delivery.timeout.ms), librdkafka for 5 (message.timeout.ms), unless told otherwise.
  static constexpr std::chrono::milliseconds kMinIdle = std::chrono::minutes(10);
  /// More than the markers of one commit.
  static constexpr std::size_t kMaxMarked = 20'000;

  explicit Producers(std::size_t capacity) : capacity_(capacity) {}

  /// What to do with a batch.
  struct Verdict {
    bool duplicate = false;
    Offset base;  ///< of the first time; only for a duplicate
    Offset last;
  };
  /// Checks without changing anything. `previous`, if given, is the state after batches that were
  /// checked but not yet recorded (several batches in one request).
  /// `from_zero`: who is not known has to begin at sequence 0.
  /// Errors: kOutOfOrderSequence, kInvalidProducerEpoch, kInvalidTxnState.
  [[nodiscard]] Result<Verdict> check(PartitionId partition, const protocol::BatchView& batch,
                                      const ProducerState* previous = nullptr,
                                      bool from_zero = false) const;
  /// The same for a transaction marker. Error: kInvalidProducerEpoch.
  [[nodiscard]] Status check_marker(PartitionId partition, const ProducerIdentity& producer,
                                    const ProducerState* previous = nullptr) const;
  /// True if a batch that follows on `known` needs room: its producer has not written yet, or not
  /// since a marker brought a new epoch. Null: not known.
  [[nodiscard]] static bool needs_room(const ProducerState* known) noexcept {
    return known == nullptr || only_marked(*known);
  }
  /// Makes room for `added` states that need it. kOverloaded if too many are in use.
  /// `now` is monotonic.
  [[nodiscard]] Status make_room(std::size_t added, std::chrono::nanoseconds now);
  /// Remembers an accepted batch of a producer; its base offset is stamped. `bytes_before` counts
  /// the partition's batches before it. What is already remembered changes nothing, so a replay may
  /// bring it again. Gives the transaction that the batch aborts, if it is an abort marker.
  std::optional<AbortedRecord> record(PartitionId partition, Bytes batch,
                                      std::uint64_t bytes_before, const Moment& now);
  /// Adds a data batch to `state`, as record() does.
  static void advance(ProducerState& state, const protocol::BatchView& batch, Offset base,
                      Timestamp now);

  /// Where the first open transaction of the partition begins; nullopt if none is open.
  [[nodiscard]] std::optional<StablePoint> first_open(PartitionId partition) const;
  [[nodiscard]] const ProducerState* find(PartitionId partition, ProducerId id) const;
  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
  /// The greatest id of them; -1 where there are none. Visits every state.
  [[nodiscard]] ProducerId greatest() const noexcept {
    ProducerId id = kNoProducer;
    for (const auto& [place, e] : entries_) id = std::max(id, place.producer);
    return id;
  }
  /// Calls `f(id, state)` for each of a partition, in no particular order. Visits every state.
  template <class F>
  void visit(PartitionId partition, F&& f) const {
    for (const auto& [place, e] : entries_) {
      if (place.partition == partition) f(place.producer, e.state);
    }
  }
  /// A state as the index holds it, last used at `used`, which is monotonic. To be called in the
  /// order of `used`.
  void restore(PartitionId partition, ProducerId id, const ProducerState& state,
               std::chrono::nanoseconds used);
  void forget(PartitionId partition, ProducerId id);
  /// Forgets the states of all partitions for which `gone(id)` is true. Visits every state.
  template <class F>
  void forget_partitions(F&& gone) {
    for (auto it = entries_.begin(); it != entries_.end();) {
      const auto next = std::next(it);
      if (gone(it->first.partition)) drop(it);
      it = next;
    }
  }
  /// Forgets producers not seen since `before`, at most `most` of them.
  void expire(Timestamp before, std::size_t most);

  /// What changed since it was last saved, in the order it must be written; `most` changes at
  /// most. Memory does not change before saved().
  struct Change {
    PartitionId partition;
    ProducerId producer;
    const ProducerState* state = nullptr;  ///< null: forgotten. Valid until the next change
  };
  [[nodiscard]] std::vector<Change> unsaved(std::size_t most) const;
  /// The changes that unsaved(most) gave, with nothing in between, are in the index.
  void saved(std::size_t most);
  [[nodiscard]] std::size_t unsaved_count() const noexcept {
    return dirty_.size() + forgotten_.size();
  }

  /// States that went for new ones, and how often there was no room for one. Any thread.
  [[nodiscard]] std::uint64_t evicted() const noexcept { return evicted_; }
  [[nodiscard]] std::uint64_t refused() const noexcept { return refused_; }

 private:
  struct Place {
    PartitionId partition;
    ProducerId producer;
    friend bool operator==(const Place&, const Place&) = default;
  };
  struct HashPlace {
    std::size_t operator()(const Place& p) const noexcept;
  };
  struct Entry {
    ProducerState state;
    std::chrono::nanoseconds used{0};  ///< monotonic
    std::list<Place>* list = nullptr;  ///< ages_ or marked_; null while a transaction is open
    std::list<Place>::iterator age;    ///< where it stands in `list`
    bool dirty = false;                ///< changed since it was last saved; stands in dirty_
    bool in_index = false;             ///< must be erased there once it is forgotten
  };
  using Entries = std::unordered_map<Place, Entry, HashPlace>;

  [[nodiscard]] static bool only_marked(const ProducerState& s) noexcept {
    return s.count == 0 && s.transaction_first == kNoOffset;
  }
  void drop(Entries::iterator it);
  /// Puts the entry where the state belongs now, in ages_ or marked_ and in open_.
  void place(const Place& place, Entry& entry, Offset was_open);
  void close(PartitionId partition, Offset first);
  /// How many of forgotten_ and of dirty_ are among the first `most` changes.
  [[nodiscard]] std::pair<std::size_t, std::size_t> first_changes(std::size_t most) const;

  const std::size_t capacity_;
  std::atomic<std::uint64_t> evicted_{0};
  std::atomic<std::uint64_t> refused_{0};
  Entries entries_;
  std::list<Place> ages_;    ///< who wrote; the one that is idle longest comes first
  std::list<Place> marked_;  ///< who is known by a marker only; the oldest comes first
  /// Of each partition with open transactions: first offset -> bytes before it.
  std::unordered_map<PartitionId, std::map<Offset, std::uint64_t>> open_;
  std::deque<Place> dirty_;      ///< may name states that were forgotten meanwhile
  std::deque<Place> forgotten_;  ///< in the index; may name states that are back
};

}  // namespace runnel::storage
