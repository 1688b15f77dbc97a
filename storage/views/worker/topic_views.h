// From a topic's log to the state of its views: reads what is durable and committed, makes rows of
// each record once, folds them into every view, and writes each view's state and cursors together.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "protocol/base/thread_annotations.h"
#include "protocol/record_batch/record_batch.h"
#include "storage/store.h"
#include "storage/views/engine/fold.h"
#include "storage/views/worker/row_history.h"

namespace runnel::storage::views {

/// What a ViewWorker runs. round() belongs to one thread at a time; the others are thread safe.
class TopicRounds {
 public:
  virtual ~TopicRounds() = default;
  /// Takes what is there; true: there was something. After an error it is tried again.
  [[nodiscard]] virtual Result<bool> round() = 0;
  /// The partitions that are read, by number; they stay the same.
  [[nodiscard]] virtual const std::vector<PartitionRef>& partitions() const noexcept = 0;
  /// The offset before which every record of the partition was worked on.
  [[nodiscard]] virtual Offset applied(std::size_t partition) const = 0;
  /// Records that were read so far.
  [[nodiscard]] virtual std::uint64_t records() const noexcept = 0;
};

/// Makes records into rows, once for all the views of a topic. One thread at a time.
class RowMaker {
 public:
  virtual ~RowMaker() = default;
  /// Reads what rows need besides their records, up to now: called when it is settled which records
  /// a round takes. `broken` is told of views that can't go on, and why; other errors pass.
  [[nodiscard]] virtual Status prepare(
      Store& store, const std::function<void(std::size_t view, const Error& why)>& broken) {
    static_cast<void>(store), static_cast<void>(broken);
    return {};
  }
  virtual void begin(PartitionIndex partition, const protocol::Record& record) = 0;
  /// The record as the `view`-th view reads it; of use until the next call of either.
  [[nodiscard]] virtual FoldRow row(std::size_t view) = 0;
};

/// Where a view begins in partitions that it has no state of; not named: at offset 0.
using StartOffsets = std::map<std::uint32_t, std::int64_t>;
/// A topic's offsets by partition: a view's state has the records before them.
using SourceOffsets = std::map<std::uint32_t, std::int64_t>;

/// Is told of every write of a view's state before it is done. Called by the thread of the rounds.
class ViewOutput {
 public:
  virtual ~ViewOutput() = default;
  /// A round begins where the state is; it stays below limit().
  [[nodiscard]] virtual Status begin(const SourceOffsets& state) = 0;
  /// No record of the partition from here on is folded in this round.
  [[nodiscard]] virtual Offset limit(std::uint32_t partition) const = 0;
  /// What was folded up to here is not to be written yet.
  [[nodiscard]] virtual bool holds(const SourceOffsets& state) const = 0;
  /// `writes` are about to be applied to `state`, of whose groups and cursors they have all that
  /// changed. They are not after an error, which ends the view where judging it says so.
  [[nodiscard]] virtual Status pass(const StateReader& state, const StateWrites& writes) = 0;
};

struct TopicView {
  const ViewPlan* plan = nullptr;  ///< outlives the worker
  FoldOptions options;
  StartOffsets start{};
  ViewOutput* output = nullptr;  ///< outlives the worker; such a view has no others beside it
  std::shared_ptr<RowHistory>
      history{};  ///< is told each write's rows, if they are wanted; or null
};

struct TopicViewsOptions {
  std::string topic;
  std::uint32_t fetch_bytes = 4u << 20;  ///< of one partition in one round
  /// A view with more, or with more than its share of memory that is not written, is written before
  /// the round ends.
  std::size_t max_dirty_groups = 100'000;
  /// A round goes on this long while there is a backlog, and then writes what changed at once.
  std::chrono::milliseconds patience{0};
};

/// round() and the destruction belong to one thread at a time; the others are thread safe.
class TopicViews final : public TopicRounds {
 public:
  /// `store`, `state` and `rows` must outlive it. Errors: kUnknownTopic, the state's.
  [[nodiscard]] static Result<std::unique_ptr<TopicViews>> open(Store& store, StateStore& state,
                                                                RowMaker& rows,
                                                                std::vector<TopicView> views,
                                                                TopicViewsOptions options);

  /// Takes what is there of every partition, up to fetch_bytes (more: `patience`); true: there was
  /// something. After an error (kIo, kLowSpace) nothing is lost, and the next round begins where
  /// the state is. A view that can't go on is left out from then on: failure(). It can't where its
  /// state or the log is damaged, where the topic is gone, where records went (by retention, say)
  /// before it read them, and where it finds no memory two rounds in a row (kOverloaded).
  [[nodiscard]] Result<bool> round() override;

  /// The partitions by number, as they were at the start.
  [[nodiscard]] const std::vector<PartitionRef>& partitions() const noexcept override {
    return partitions_;
  }
  /// The offset before which every record of the partition is in every view's state.
  [[nodiscard]] Offset applied(std::size_t partition) const override;
  /// Why a view stopped, and where: view, partition, offset; nullopt: it goes on.
  [[nodiscard]] std::optional<Error> failure(std::size_t view) const;
  /// How many views stopped.
  [[nodiscard]] std::size_t failures() const noexcept { return failed_.load(); }
  /// A view's change sequence as the state has it.
  [[nodiscard]] std::uint64_t sequence(std::size_t view) const;
  /// Grows whenever the view may have written a dead letter.
  [[nodiscard]] std::uint64_t letters(std::size_t view) const;
  [[nodiscard]] std::uint64_t records() const noexcept override { return records_.load(); }
  /// What each view may keep of groups in memory, from the next round on, on average: what some
  /// leave the others may take.
  void set_cache_bytes(std::size_t bytes) noexcept { cache_bytes_.store(bytes); }

 private:
  struct View {
    TopicView what;
    std::unique_ptr<ViewFold> fold{};  ///< null: it stopped
    std::uint64_t told = 0;            ///< sequence of the last write that its history knows of
  };

  TopicViews(Store& store, StateStore& state, RowMaker& rows, TopicViewsOptions options)
      : store_(store), state_(state), rows_(rows), options_(std::move(options)) {}
  [[nodiscard]] Status open_view(std::size_t view);
  [[nodiscard]] Result<bool> try_round();
  /// What was begun is dropped; a view that took the memory twice in a row stops. Where it was
  /// wanted for all views none of them is to blame.
  [[nodiscard]] Error out_of_memory();
  void share_memory();
  [[nodiscard]] Result<SourceOffsets> state_of(std::size_t view);
  [[nodiscard]] Status begin_outputs();
  /// Up to where is read; takes the joined tables along.
  [[nodiscard]] Result<std::vector<Offset>> begin_reading();
  /// A view's output waits for records that this round has yet to read.
  [[nodiscard]] Result<bool> is_held();
  /// Reads up to `end` at most.
  [[nodiscard]] Result<bool> read(std::size_t partition, Offset end);
  [[nodiscard]] Status fold_batches(std::size_t partition, Offset from, Offset end, Bytes batches,
                                    const std::vector<AbortedTransaction>& aborted);
  [[nodiscard]] Status fold_batch(std::size_t partition, Offset from, Offset end, Bytes batch);
  [[nodiscard]] Status write(std::size_t view);
  [[nodiscard]] Status try_write(std::size_t view);
  [[nodiscard]] Status write_all();
  /// The view's history is told what was written and it does not know of: once each, whatever
  /// became of the attempts before.
  [[nodiscard]] Status tell_history(std::size_t view);
  /// Stops the views that have not read what is no longer there.
  [[nodiscard]] Status stop_behind(std::size_t partition, Offset log_start);
  /// The log's error: ends the views, or is to be tried again.
  [[nodiscard]] Status judge_log(std::size_t partition, Offset at, const Error& error);
  /// A damaged state ends the view; else the error is everybody's.
  [[nodiscard]] Status judge(std::size_t view, const Error& error);
  void stop_view(std::size_t view, const Error& why);
  [[nodiscard]] Status find_least(std::size_t partition);
  [[nodiscard]] Status publish();
  void discard();

  Store& store_;
  StateStore& state_;
  RowMaker& rows_;
  const TopicViewsOptions options_;
  std::vector<PartitionRef> partitions_;
  std::vector<View> views_;
  std::vector<Offset> from_;  ///< by partition: the least cursor
  bool backlog_ = false;      ///< a read brought as much as it may
  /// The view that is folded or written; nullopt: what is done is for all of them.
  std::optional<std::size_t> at_work_;
  bool tainted_ = false;  ///< a round ended in the middle: the folds are to be discarded
  std::optional<std::size_t>
      took_all_;  ///< the view at which there was no memory, the round before
  std::atomic<std::uint64_t> records_{0};
  std::atomic<std::size_t> failed_{0};
  std::atomic<std::size_t> cache_bytes_{0};  ///< 0: as it is

  mutable Mutex mutex_;
  std::vector<Offset> applied_ RUNNEL_GUARDED_BY(mutex_);
  std::vector<std::uint64_t> sequences_ RUNNEL_GUARDED_BY(mutex_);
  std::vector<std::uint64_t> letters_ RUNNEL_GUARDED_BY(mutex_);
  std::vector<std::optional<Error>> failures_ RUNNEL_GUARDED_BY(mutex_);
};

}  // namespace runnel::storage::views
