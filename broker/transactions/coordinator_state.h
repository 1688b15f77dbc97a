// What TransactionCoordinator is made of; for its own sources only.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "broker/transactions/coordinator.h"
#include "protocol/base/thread_annotations.h"

namespace runnel::broker {

inline constexpr std::string_view kTransactionKeyPrefix = "txn/";
inline constexpr std::string_view kPendingOffsetsKeyPrefix = "txo/";
inline constexpr std::string_view kParticipantKeyPrefix = "txp/";

/// Shared with the store's callbacks, which may come after the coordinator's end.
///
/// What a transaction touches is noted at once and stored as the id's whole state: an id has a
/// version, raised by every such change, and the version that is stored; what a caller may learn of
/// a version waits until that version is. A partition that joins by being written to has an entry
/// of its own, in the same commit as the data, because such a commit may be overtaken by others.
/// A step (an end, or another epoch) takes effect in memory once it is stored, and keeps everybody
/// else out meanwhile.
struct TransactionCoordinator::State : std::enable_shared_from_this<TransactionCoordinator::State> {
  struct Waiter {
    std::uint64_t version = 0;
    Done answer;
  };
  struct Entry {
    Entry(std::string name, Transaction t) : id(std::move(name)), txn(std::move(t)) {}

    const std::string id;
    Transaction txn;
    std::uint64_t version = 0;
    std::uint64_t stored = 0;
    std::uint64_t queued = 0;           ///< the newest version on its way
    int saving = 0;                     ///< commits on their way that store the state
    int writing = 0;                    ///< batches on their way
    int superseding = 0;                ///< commits on their way that set its positions otherwise
    bool fresh = true;                  ///< nothing of it is stored
    bool moving = false;                ///< a step is on its way
    bool forgetting = false;            ///< its deletion is on its way
    bool offsets_stored = false;        ///< there may be a "txo/" entry
    bool suspect = false;               ///< a partition seems to know the producer at a later epoch
    Timestamp tried = kNoTimestamp;     ///< when a step was last begun
    std::set<TopicPartition> left_out;  ///< partitions that can take no marker
    std::vector<Waiter> waiters;
  };
  using EntryRef = std::shared_ptr<Entry>;
  /// Answers, and callbacks of the store that came inside a call; run without the lock.
  using Work = std::vector<std::function<void()>>;

  /// A step on its way.
  struct Move {
    EntryRef entry;
    Transaction::Step step;
    Timestamp now;
    std::uint64_t version = 0;
    int attempts = 0;
    ProducerDone done;
  };
  using MoveRef = std::shared_ptr<Move>;

  State(std::unique_ptr<TransactionStore> s, TransactionConfig c)
      : store(std::move(s)), config(c) {}

  static void run(Work& work) {
    for (auto& step : work) step();
  }

  /// Hands the request to the store. `then` runs without the lock: later on a thread of the store,
  /// or as part of `work` if the store answers at once.
  void submit(storage::CommitRequest request, Wake wake, storage::CommitCallback then, Work& work)
      RUNNEL_REQUIRES(mutex);
  /// The entry, if `who` owns it and nothing is on its way.
  [[nodiscard]] Result<EntryRef> usable(std::string_view id, storage::ProducerIdentity who)
      RUNNEL_REQUIRES(mutex);

  /// Calls `answer` when everything noted until now is stored; stores it if need be.
  void when_stored(const EntryRef& entry, Done answer, Work& work) RUNNEL_REQUIRES(mutex);
  /// Unless that is on its way. While its positions are being set otherwise it waits for that: what
  /// is stored would be without them, also if that fails.
  void save_changes(const EntryRef& entry, Work& work) RUNNEL_REQUIRES(mutex);
  void save(const EntryRef& entry, Work& work) RUNNEL_REQUIRES(mutex);
  /// What storing the state takes; counts as a save that saved() has to end.
  void add_state(Entry& entry, storage::CommitRequest& to) RUNNEL_REQUIRES(mutex);
  void saved(const EntryRef& entry, std::uint64_t version, const Status& status)
      RUNNEL_EXCLUDES(mutex);
  void note_saved(Entry& entry, std::uint64_t version, const Status& status, Work& work)
      RUNNEL_REQUIRES(mutex);

  /// Begins a step; `done` gets the producer to go on with.
  void start_move(const EntryRef& entry, Transaction::Step step, Timestamp now, ProducerDone done,
                  Work& work) RUNNEL_REQUIRES(mutex);
  void submit_move(const MoveRef& move, Work& work) RUNNEL_REQUIRES(mutex);
  [[nodiscard]] storage::CommitRequest request_of(const Move& move) RUNNEL_REQUIRES(mutex);
  /// Which positions a commit has is not known yet.
  [[nodiscard]] static bool waits_for_positions(const Entry& entry, const Transaction::Step& step);
  void moved(const MoveRef& move, const storage::CommitOutcome& outcome) RUNNEL_EXCLUDES(mutex);
  void take_over(Move& move, Work& work) RUNNEL_REQUIRES(mutex);
  /// `entry` will never be again, unless it was stored.
  void drop_if_unused(const EntryRef& entry) RUNNEL_REQUIRES(mutex);

  void written(const EntryRef& entry, const Write& write, PartitionId to,
               const storage::CommitOutcome& outcome) RUNNEL_EXCLUDES(mutex);
  /// Whether the partition was added before, where it has to be.
  [[nodiscard]] static Status check_added(const Participant* participant, const Write& write);
  /// The participant that `write` goes to, and in `request` what makes it one, if that is not known
  /// to be durable.
  [[nodiscard]] Status take_part(Entry& entry, const Write& write, const Incarnation& to,
                                 Timestamp now, storage::CommitRequest& request)
      RUNNEL_REQUIRES(mutex);
  [[nodiscard]] bool is_current(const EntryRef& entry, const TopicPartition& of,
                                const Incarnation& as) RUNNEL_REQUIRES(mutex);

  [[nodiscard]] Transaction::Resolve resolver() const;
  /// What is there now under this name.
  [[nodiscard]] Incarnation current(const TopicPartition& of) const;

  /// Marks the pending positions of `keys`; names the ids that have any in `touched`.
  std::uint64_t supersede(const std::vector<OffsetKey>& keys, std::set<EntryRef>& touched)
      RUNNEL_REQUIRES(mutex);
  /// `request`, with what was superseded.
  void submit_superseding(storage::CommitRequest request, const std::set<EntryRef>& touched,
                          std::uint64_t by, Wake wake, storage::CommitCallback done, Work& work)
      RUNNEL_REQUIRES(mutex);
  void index_offsets(const EntryRef& entry) RUNNEL_REQUIRES(mutex);
  void forget_contents(const EntryRef& entry) RUNNEL_REQUIRES(mutex);

  void tick_entry(const EntryRef& entry, Timestamp now, std::size_t& forgotten, Work& work)
      RUNNEL_REQUIRES(mutex);
  void start_forgetting(const EntryRef& entry, Work& work) RUNNEL_REQUIRES(mutex);
  /// No transaction is open and nothing is on its way.
  [[nodiscard]] static bool is_idle(const Entry& entry);
  /// Whether there is place for one more id. At the limit those that are idle for the longest time
  /// are forgotten.
  [[nodiscard]] bool has_room(Timestamp now, Work& work) RUNNEL_REQUIRES(mutex);
  /// Which partitions of `entry` take no marker of its producer.
  void look_into(const EntryRef& entry) RUNNEL_EXCLUDES(mutex);

  /// Whether the next epoch of the id is a new producer's, or its first.
  [[nodiscard]] bool is_exhausted(std::string_view id) const RUNNEL_EXCLUDES(mutex);
  [[nodiscard]] bool needs_producer(std::string_view id) const RUNNEL_EXCLUDES(mutex);

  [[nodiscard]] Status load_participants() RUNNEL_REQUIRES(mutex);

  const std::unique_ptr<TransactionStore> store;
  const TransactionConfig config;
  mutable Mutex mutex;
  std::map<std::string, EntryRef, std::less<>> entries RUNNEL_GUARDED_BY(mutex);
  /// Who has a pending position under a key.
  std::map<OffsetKey, std::set<EntryRef>> pending RUNNEL_GUARDED_BY(mutex);
  std::size_t open_partitions RUNNEL_GUARDED_BY(mutex) = 0;
  std::size_t pending_bytes RUNNEL_GUARDED_BY(mutex) = 0;
  std::uint64_t last_superseding RUNNEL_GUARDED_BY(mutex) = 0;
  Timestamp ticked RUNNEL_GUARDED_BY(mutex) = kNoTimestamp;
  std::size_t forgetting RUNNEL_GUARDED_BY(mutex) = 0;  ///< entries whose deletion is on its way
  Timestamp full_until RUNNEL_GUARDED_BY(mutex) = kNoTimestamp;  ///< none can be forgotten before
  IdLimitCounts limit_counts RUNNEL_GUARDED_BY(mutex);
};

}  // namespace runnel::broker
