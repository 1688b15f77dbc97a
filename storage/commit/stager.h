// Turning requests into one commit group: every check is made, offsets are given out, nothing is
// written yet. No I/O but look-ups in the index.
#pragma once

#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "protocol/base/bytes.h"
#include "protocol/base/thread_annotations.h"
#include "storage/index/index.h"
#include "storage/ledger/producers.h"
#include "storage/log/partition.h"
#include "storage/log/segment_ledger.h"
#include "storage/log/topics.h"
#include "storage/segments/frame.h"
#include "storage/store.h"

namespace runnel::storage {

/// What is written as one frame, and what follows from it.
struct Group {
  struct Appended {
    PartitionRef partition;
    std::vector<Bytes> parts;  ///< batches, stamped; their buffers are kept by `keep`
    std::uint32_t bytes = 0;
    Offset last_abort = kNoOffset;  ///< marker of the last transaction aborted here
  };
  struct Completion {
    CommitCallback callback;
    CommitOutcome outcome;
    Durability durability = Durability::kSynced;
  };

  ByteWriter operations;
  std::uint32_t operation_count = 0;
  std::uint32_t batch_count = 0;
  std::uint64_t payload_bytes = 0;
  std::uint64_t records = 0;
  std::vector<Appended> appended;
  std::unordered_map<const Partition*, std::size_t> appended_at;
  std::vector<Buffer> keep;
  Mutations mutations;  ///< to apply once durable
  std::vector<PartitionUpdate> updates;
  std::vector<std::string> dedup_keys;
  std::vector<std::string> offset_keys;  ///< of the offsets that groups commit
  std::vector<Completion> completions;

  [[nodiscard]] bool has_frame() const noexcept {
    return operation_count != 0 || !appended.empty();
  }
  /// Adds a change to the frame and to what is applied.
  void change(Mutations::Change change);
};

/// Committer thread only, except applied().
class Stager {
 public:
  Stager(const Topics& topics, const Index& index, SegmentLedger& segments, Producers& producers)
      : topics_(topics), index_(index), segments_(segments), producers_(producers) {}

  /// Checks `request` against everything staged before it and, if it passes, adds it to `group`.
  /// The outcome is what its callback gets once the group is durable enough.
  [[nodiscard]] CommitOutcome stage(CommitRequest& request, const Moment& now, Group& group);
  /// After the frame was written: index entries, spans, producers, updates.
  void finish(Group& group, const FrameHeader& header);
  /// After the group's mutations were applied to the index. Any thread.
  void applied(const Group& group);

  /// Recovery: whether there are dedup keys from before they had a topic, which have to be asked
  /// for as well.
  [[nodiscard]] Status restore_dedup();
  void restore_fence(std::string name, std::uint64_t token) { fences_[std::move(name)] = token; }
  void forget_fence(const std::string& name) { fences_.erase(name); }
  [[nodiscard]] std::uint64_t duplicates() const noexcept { return duplicates_; }
  /// True if the record a dedup entry guards is still in the log. Any thread.
  [[nodiscard]] static bool dedup_alive(const Topics& topics, const DedupRecord& record);

 private:
  /// What the checks found out about one append.
  struct Checked {
    bool duplicate = false;
    /// A duplicate by its dedup keys, which another request may have brought; by its sequence it
    /// would be this very request again.
    bool by_key = false;
    Offset first;  ///< of a duplicate
    Offset last;
    std::size_t new_producers = 0;
    std::vector<Offset> dedup_offsets;
    std::vector<PartitionIndex> dedup_partitions;  ///< empty: all are the item's
    std::vector<std::string> dedup_keys;
    /// The producers as the item's own batches will leave them.
    std::unordered_map<ProducerId, ProducerState> ahead;
  };

  /// What the checks found out about a request.
  struct Findings {
    std::vector<Checked> appends;
    std::vector<PartialDuplicate> duplicates;
    std::optional<DedupEntry> conflict;
    std::set<std::string> keys;  ///< dedup keys of all its items, encoded
    std::size_t repeated = 0;
    std::size_t new_producers = 0;
    bool by_sequence = false;  ///< at least one append is a duplicate by its sequence
  };

  [[nodiscard]] Status check_fences(const CommitRequest& request) const;
  /// The topics of offsets may have been deleted since the request was queued.
  [[nodiscard]] Status check_offsets(const CommitRequest& request) const;
  /// Fills `found`; the error if the request can't be staged.
  [[nodiscard]] Status check_appends(const CommitRequest& request, Findings& found) const;
  [[nodiscard]] Result<Checked> check_append(const AppendItem& item, std::size_t index,
                                             Findings& found) const;
  /// Markers must not be older than what will be known once the appends are there.
  [[nodiscard]] Status check_markers(const CommitRequest& request, const Findings& found) const;
  [[nodiscard]] Status check_sequences(const AppendItem& item, Checked& checked) const;
  [[nodiscard]] Status check_dedup(const AppendItem& item, std::size_t index, Checked& checked,
                                   Findings& found) const;
  /// What `key` guards in `topic`. `stored` is it as it is stored.
  [[nodiscard]] Result<std::optional<DedupRecord>> find_dedup(const std::string& topic,
                                                              const DedupKey& key,
                                                              const std::string& stored) const;
  /// The offset that is committed under a key of the index, also if not durable yet.
  [[nodiscard]] Result<Offset> committed_offset(const std::string& key) const;
  /// Takes those offsets out of a repeat that its groups have passed since.
  [[nodiscard]] Status drop_passed_offsets(CommitRequest& request) const;
  /// Gives offsets to batches and puts them into the group.
  AppendResult add_batches(const PartitionRef& partition, Buffer batches, Group& group);
  AppendResult append(AppendItem& item, Checked& checked, Group& group);
  void take_fences(const CommitRequest& request, Group& group);
  void take_changes(CommitRequest& request, Timestamp now, Group& group);

  const Topics& topics_;
  const Index& index_;
  SegmentLedger& segments_;
  Producers& producers_;
  std::unordered_map<std::string, std::uint64_t> fences_;
  Moment group_time_;
  bool keys_without_topic_ = false;  ///< there may be such; set once, before there are threads
  std::atomic<std::uint64_t> duplicates_{0};

  mutable Mutex mutex_;
  /// Staged, not yet in the index.
  std::unordered_map<std::string, DedupRecord> pending_dedup_ RUNNEL_GUARDED_BY(mutex_);
  struct PendingOffset {
    Offset offset;
    std::size_t groups = 0;  ///< commit groups on their way that have the key
  };
  std::unordered_map<std::string, PendingOffset> pending_offsets_ RUNNEL_GUARDED_BY(mutex_);
};

}  // namespace runnel::storage
