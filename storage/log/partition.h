// A partition in memory: what its writer needs, what its readers need, who waits for it.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "protocol/base/strong.h"
#include "protocol/base/thread_annotations.h"
#include "storage/log/aborted_map.h"
#include "storage/log/records.h"
#include "storage/log/topic_config.h"
#include "storage/log/waiting.h"
#include "storage/store.h"

namespace runnel::storage {

/// What a commit group did to one partition; published once it is durable.
struct PartitionUpdate {
  PartitionRef partition;
  std::vector<IndexEntry> entries;
  Offset next;
  std::uint64_t bytes = 0;  ///< appended since creation
  Span open_span;
  StablePoint stable;
  Offset last_abort = kNoOffset;  ///< marker of the last transaction it aborted
};

class Partition {
 public:
  Partition(PartitionId id, PartitionIndex index, std::string topic, const TopicConfig& config)
      : id_(id), index_(index), topic_(std::move(topic)), config_(config) {}

  [[nodiscard]] PartitionId id() const noexcept { return id_; }
  [[nodiscard]] PartitionIndex index() const noexcept { return index_; }
  [[nodiscard]] const std::string& topic() const noexcept { return topic_; }
  /// "donations-3", for messages.
  [[nodiscard]] std::string name() const { return topic_ + "-" + std::to_string(index_.value()); }

  /// The committer's own state: ahead of what is visible by what is not yet durable.
  struct Writer {
    PartitionState state;   ///< after the last frame that was written
    Offset staged_next{0};  ///< after the requests that were staged for the next frame
    bool dirty = false;     ///< changed since the last checkpoint
  };
  /// Committer thread only (and recovery, before there are threads).
  [[nodiscard]] Writer& writer() noexcept { return writer_; }

  /// What readers see, as one consistent picture.
  struct View {
    LogStart start;
    Offset high_watermark{0};
    std::uint64_t bytes = 0;  ///< appended since creation, up to the high watermark
    Span open_span;
    /// The first open transaction, or the high watermark; not before the start.
    StablePoint stable;
    /// Marker of the last transaction that was aborted; behind it no reader needs to look for any.
    Offset last_abort = kNoOffset;
    CleanPoint cleaned;
    /// Grows whenever batches were moved. Who found a segment missing, and finds this changed,
    /// looks again: the batches lie elsewhere now.
    std::uint64_t moves = 0;
    bool deleted = false;

    /// Of what is left of the log.
    [[nodiscard]] std::uint64_t live_bytes() const noexcept { return bytes - start.bytes; }
  };
  [[nodiscard]] View view() const RUNNEL_EXCLUDES(mutex_);
  [[nodiscard]] TopicConfig config() const RUNNEL_EXCLUDES(mutex_);
  void set_config(const TopicConfig& config) RUNNEL_EXCLUDES(mutex_);

  /// Entries from the one that holds `from` to the high watermark, if all of them are still in
  /// memory; false if the index must be asked.
  [[nodiscard]] bool recent_entries(Offset from, std::vector<IndexEntry>& to) const
      RUNNEL_EXCLUDES(mutex_);

  /// Makes a durable update visible; adds who is to be woken (Reader::wake) to `ready`.
  void publish(const PartitionUpdate& update, std::vector<WaiterRef>& ready)
      RUNNEL_EXCLUDES(mutex_);
  /// After a trim: the new start, and the open span where the trim closed it.
  void set_start(const LogStart& start, const Span& open_span) RUNNEL_EXCLUDES(mutex_);
  /// What a move changed.
  struct Moved {
    Offset end;                       ///< all that was moved lies before it
    std::uint64_t removed_bytes = 0;  ///< that compaction left out
    Span open_span;
    CleanPoint cleaned;
  };
  void set_moved(const Moved& moved) RUNNEL_EXCLUDES(mutex_);
  /// Marks the partition as gone; gives everybody who waits.
  void set_deleted(std::vector<WaiterRef>& ready) RUNNEL_EXCLUDES(mutex_);
  /// Recovery: what is there after replay.
  void restore(const PartitionState& state, const LogStart& start,
               const std::optional<StablePoint>& first_open, Offset last_abort,
               const CleanPoint& cleaned) RUNNEL_EXCLUDES(mutex_);

  /// How much a reader saw: View::bytes and StablePoint::bytes.
  struct Seen {
    std::uint64_t bytes = 0;
    std::uint64_t stable_bytes = 0;
  };
  /// Adds a waiter for more than what the caller saw when it read from `from`. False if there is
  /// something new already: the waiter is added all the same.
  [[nodiscard]] bool add_waiter(WaitNode& node, Offset from, const Seen& seen)
      RUNNEL_EXCLUDES(mutex_);
  /// Adds a waiter that reads afterwards.
  void add_watch(WaitNode& node) RUNNEL_EXCLUDES(mutex_);
  /// Takes it out, if it is in. Constant time.
  void remove_waiter(WaitNode& node) RUNNEL_EXCLUDES(mutex_);

  /// The list of aborted transactions in short, up to where somebody needed it. Reader only.
  struct Aborted {
    Mutex mutex;  ///< held while it is read from the index
    AbortedMap map RUNNEL_GUARDED_BY(mutex);
  };
  [[nodiscard]] Aborted& aborted() const noexcept { return aborted_; }

  /// The oldest batch as retention last saw it, so that it need not look each time. Maintenance
  /// thread only.
  struct Oldest {
    Offset start = kNoOffset;  ///< log start it was seen at
    Timestamp max_timestamp;
  };
  Oldest oldest;

  /// What the cleaner saw when it last found too little to compact. Cleaner only.
  struct Uncleaned {
    std::uint64_t bytes = 0;  ///< View::bytes then
    std::uint32_t segment = 0;
    std::chrono::nanoseconds look_again{0};  ///< monotonic; what was too young is older then
  };
  Uncleaned uncleaned;

  /// Requests that append to it and are compressed anew before the committer gets them, or stand
  /// behind one that is: later ones go the same way, so that none overtakes them. Any thread.
  std::atomic<std::uint32_t> in_recompression{0};

 private:
  const PartitionId id_;
  const PartitionIndex index_;
  const std::string topic_;
  Writer writer_;

  mutable Aborted aborted_;
  mutable Mutex mutex_;
  TopicConfig config_ RUNNEL_GUARDED_BY(mutex_);
  View view_ RUNNEL_GUARDED_BY(mutex_);
  std::vector<IndexEntry> recent_ RUNNEL_GUARDED_BY(mutex_);  ///< ascending, ends at the watermark
  WaitList waiters_ RUNNEL_GUARDED_BY(mutex_);
};

/// The error for a partition whose topic was deleted.
[[nodiscard]] Error topic_gone(const Partition& partition);

}  // namespace runnel::storage
