// All transactional ids: who may write under each, what the open transactions have touched, and
// their ends.
//
// The rules are in transaction.h. This class owns the ids, makes changes durable, in the order in
// which they were decided, and answers. The end of a transaction is one commit: markers in its
// partitions, the positions of groups, and the id's new state, so there is nothing to be finished
// after a crash. While it is under way everybody else is told kConcurrentTransactions.
//
// Errors, beside those that storage answers:
//   kInvalidArgument            no id, or a bad one
//   kInvalidProducerIdMapping   no such id, or it is another producer's
//   kProducerFenced             the producer's epoch is not the current one
//   kConcurrentTransactions     something of this id is being stored: try again
//   kInvalidTxnState            not in this state
//   kTooManyPartitions          beyond a limit of limits.h; the transaction can only be aborted
//   kOverloaded                 all open transactions together are at a limit: try again
//   kUnknownTopic               a batch is for a topic that was deleted meanwhile
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "broker/transactions/limits.h"
#include "broker/transactions/transaction.h"
#include "protocol/base/error.h"
#include "storage/store.h"

namespace runnel::broker {

/// What the coordinator needs of storage: a part of storage::Store, with its contracts. Thread
/// safe. See make_transaction_store.
class TransactionStore {
 public:
  virtual ~TransactionStore() = default;
  virtual void commit(storage::CommitRequest request, storage::CommitCallback done) = 0;
  virtual void queue_commit(storage::CommitRequest request, storage::CommitCallback done) = 0;
  /// Null: there is no such partition. Quick, and does not call back.
  [[nodiscard]] virtual storage::PartitionRef partition(const TopicPartition& of) const = 0;
  [[nodiscard]] virtual PartitionId partition_id(const storage::PartitionRef& of) const = 0;
  /// Blocking.
  [[nodiscard]] virtual Result<std::optional<storage::ProducerInfo>> producer(
      const storage::PartitionRef& partition, ProducerId id) = 0;
  /// Blocking.
  [[nodiscard]] virtual Result<storage::ProducerIdentity> new_producer() = 0;
  [[nodiscard]] virtual Result<storage::StateEntries> read_state(std::string_view prefix) const = 0;
};
/// On `store`, which must outlive it.
[[nodiscard]] std::unique_ptr<TransactionStore> make_transaction_store(storage::Store& store);

struct TransactionConfig {
  std::chrono::milliseconds max_timeout{15 * 60 * 1000};     ///< transaction.max.timeout.ms
  std::chrono::milliseconds expiry{7LL * 24 * 3600 * 1000};  ///< transactional.id.expiration.ms
  std::size_t max_ids = kMaxTransactionalIds;                ///< no setting; smaller in tests
};

/// What the limit of ids has led to since the start.
struct IdLimitCounts {
  std::uint64_t forgotten = 0;  ///< ids that made place for new ones before their time
  std::uint64_t refused = 0;    ///< new ids that found no place
  friend bool operator==(const IdLimitCounts&, const IdLimitCounts&) = default;
};

/// An id in a list or description.
struct TransactionDescription {
  std::string id;
  TransactionState state = TransactionState::kEmpty;
  storage::ProducerIdentity producer;
  std::int32_t timeout_ms = 0;
  Timestamp start = kNoTimestamp;
  std::vector<TopicPartition> partitions;  ///< in order; not in lists
};

/// Thread safe. `now` is TransactionClock::now() everywhere: a transaction's timeout goes on while
/// the broker is down, and does not heed a clock that is set while it runs.
class TransactionCoordinator {
 public:
  /// Runs exactly once: inside the call, or later on a thread of the store. Must not block; no lock
  /// is held.
  using Done = std::function<void(Status)>;
  using ProducerDone = std::function<void(Result<storage::ProducerIdentity>)>;

  /// Who wakes the store: see storage::Store::queue_commit.
  enum class Wake : std::uint8_t { kStore, kLoop };

  TransactionCoordinator(std::unique_ptr<TransactionStore> store, TransactionConfig config);
  /// Answers still out are given by the store's callbacks, which may outlive the coordinator but
  /// not the store.
  ~TransactionCoordinator();
  TransactionCoordinator(const TransactionCoordinator&) = delete;
  TransactionCoordinator& operator=(const TransactionCoordinator&) = delete;

  /// Reads what is stored; once, before anything else. Open transactions go on until their timeout,
  /// which is not longer from `now` on than it was from their beginning. kCorrupt, kFormatTooNew.
  [[nodiscard]] Status load(Timestamp now);

  /// A producer starts; an open transaction of the id is aborted. `expected` is what the producer
  /// thinks it is, if it goes on after an error. Also kInvalidTxnTimeout; kOverloaded: too many
  /// ids. May block.
  void init(const std::string& id, std::int32_t timeout_ms,
            std::optional<storage::ProducerIdentity> expected, Timestamp now, ProducerDone done);

  /// Adds partitions, which exist, to the transaction.
  void add_partitions(std::string_view id, storage::ProducerIdentity who,
                      const std::vector<TopicPartition>& partitions, Timestamp now, Done done);
  /// Positions of the group will follow.
  void add_group(std::string_view id, storage::ProducerIdentity who, std::string_view group,
                 Timestamp now, Done done);
  /// Positions that take effect when the transaction is committed; all are of one group, which must
  /// have been added, unless it `joins` by this.
  void put_offsets(std::string_view id, storage::ProducerIdentity who, bool joins,
                   std::vector<storage::OffsetCommit> offsets, Timestamp now, Done done);

  struct Write {
    std::string_view id;
    storage::ProducerIdentity who;
    TopicPartition to;
    bool joins = false;  ///< the partition takes part by this; else it must have been added
  };
  /// Queues the commit of a transactional batch: `request` has one append, to `write.to`. Whoever
  /// ends the transaction afterwards does so after the batch. For loop threads only.
  void write(const Write& write, storage::CommitRequest request, Timestamp now,
             storage::CommitCallback done);
  /// What write() would do, but for the batch: for one whose records are refused, which is only
  /// said to a producer that may write. The partition of one that `joins` takes part all the same.
  void write_nothing(const Write& write, Timestamp now, Done done);

  /// Commits or aborts, and answers who goes on. `bumps`: with the next epoch. A repeat of the last
  /// end is answered like it. kConcurrentTransactions also while batches of the transaction are
  /// being written, or its positions set otherwise. May block if end_may_block() says so.
  void end(std::string_view id, storage::ProducerIdentity who, bool commit, bool bumps,
           Timestamp now, ProducerDone done);
  [[nodiscard]] bool end_may_block(std::string_view id) const;

  /// May an open transaction still change this position?
  [[nodiscard]] bool unstable(const OffsetKey& key) const;
  /// All such positions of a group.
  [[nodiscard]] std::set<TopicPartition> unstable_of(std::string_view group) const;
  /// Queues a commit of positions outside of transactions. They stay, even if a transaction that
  /// had set the same ones before is committed later.
  void commit_offsets(storage::CommitRequest request, Wake wake, storage::CommitCallback done);
  /// The group was removed: no transaction sets positions of it that were asked for until now.
  void forget_group(std::string_view group, Done done);

  /// kTransactionalIdNotFound.
  [[nodiscard]] Result<TransactionDescription> describe(std::string_view id) const;
  [[nodiscard]] std::vector<TransactionDescription> list() const;
  [[nodiscard]] IdLimitCounts limit_counts() const;

  /// Aborts transactions that were open for too long, forgets ids nobody uses, repairs what could
  /// not be stored. Cheap if called more than once a second. May block.
  void tick(Timestamp now);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace runnel::broker
