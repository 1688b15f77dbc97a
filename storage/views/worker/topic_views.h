// From a topic's log to the state of its views: reads what is durable and committed, makes rows of
// each record once, folds them into every view, and writes each view's state and cursors together.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "protocol/base/thread_annotations.h"
#include "protocol/record_batch/record_batch.h"
#include "storage/store.h"
#include "storage/views/engine/fold.h"

namespace runnel::storage::views {

/// Makes records into rows, once for all the views of a topic. One thread at a time.
class RowMaker {
 public:
  virtual ~RowMaker() = default;
  virtual void begin(PartitionIndex partition, const protocol::Record& record) = 0;
  /// The record as the `view`-th view reads it; of use until the next call of either.
  [[nodiscard]] virtual FoldRow row(std::size_t view) = 0;
};

struct TopicView {
  const ViewPlan* plan = nullptr;  ///< outlives the worker
  FoldOptions options;
};

struct TopicViewsOptions {
  std::string topic;
  std::uint32_t fetch_bytes = 4u << 20;    ///< of one partition in one round
  std::size_t max_dirty_groups = 100'000;  ///< a view with more is written before the round ends
};

/// round() and the destruction belong to one thread; the others are thread safe.
class TopicViews {
 public:
  /// `store`, `state` and `rows` must outlive it. Errors: kUnknownTopic, the state's.
  [[nodiscard]] static Result<std::unique_ptr<TopicViews>> open(Store& store, StateStore& state,
                                                                RowMaker& rows,
                                                                std::vector<TopicView> views,
                                                                TopicViewsOptions options);

  /// Takes what is there of every partition, up to fetch_bytes; true: there was something. After an
  /// error (kIo, kLowSpace) nothing is lost, and the next round begins where the state is. A view
  /// that can't go on is left out from then on: failure().
  [[nodiscard]] Result<bool> round();

  /// The partitions by number, as they were at the start.
  [[nodiscard]] const std::vector<PartitionRef>& partitions() const noexcept { return partitions_; }
  /// The offset before which every record of the partition is in every view's state.
  [[nodiscard]] Offset applied(std::size_t partition) const;
  /// Why a view stopped; nullopt: it goes on.
  [[nodiscard]] std::optional<Error> failure(std::size_t view) const;

 private:
  struct View {
    TopicView what;
    std::unique_ptr<ViewFold> fold;
  };

  TopicViews(Store& store, StateStore& state, RowMaker& rows, TopicViewsOptions options)
      : store_(store), state_(state), rows_(rows), options_(std::move(options)) {}
  [[nodiscard]] Status open_views(std::vector<TopicView> views);
  [[nodiscard]] Result<bool> read(std::size_t partition);
  [[nodiscard]] Status fold_batches(std::size_t partition, Offset from, Bytes batches,
                                    const std::vector<AbortedTransaction>& aborted);
  [[nodiscard]] Status fold_batch(std::size_t partition, Offset from, Bytes batch);
  [[nodiscard]] Status write(std::size_t view);
  [[nodiscard]] Status write_all();
  /// A damaged state ends the view; else the error is everybody's.
  [[nodiscard]] Status judge(std::size_t view, const Error& error);
  [[nodiscard]] Status publish();
  void discard();

  Store& store_;
  StateStore& state_;
  RowMaker& rows_;
  const TopicViewsOptions options_;
  std::vector<PartitionRef> partitions_;
  std::vector<View> views_;
  std::vector<Offset> from_;  ///< by partition: the least cursor

  mutable Mutex mutex_;
  std::vector<Offset> applied_ RUNNEL_GUARDED_BY(mutex_);
  std::vector<std::optional<Error>> failures_ RUNNEL_GUARDED_BY(mutex_);
};

}  // namespace runnel::storage::views
