#include "storage/views/worker/topic_views.h"

#include <limits>

#include "protocol/record_batch/abort_filter.h"

namespace runnel::storage::views {
namespace {

/// Every view has failed.
constexpr Offset kNobody{std::numeric_limits<std::int64_t>::max()};

}  // namespace

Result<std::unique_ptr<TopicViews>> TopicViews::open(Store& store, StateStore& state,
                                                     RowMaker& rows, std::vector<TopicView> views,
                                                     TopicViewsOptions options) {
  std::unique_ptr<TopicViews> made(new TopicViews(store, state, rows, std::move(options)));
  RUNNEL_TRY_ASSIGN(const TopicInfo topic, store.describe_topic(made->options_.topic));
  for (const PartitionInfo& info : topic.partitions) {
    RUNNEL_TRY_ASSIGN(PartitionRef partition, store.partition(topic.name, info.index));
    made->partitions_.push_back(std::move(partition));
  }
  RUNNEL_TRY(made->open_views(std::move(views)));
  RUNNEL_TRY(made->publish());
  return made;
}

Status TopicViews::open_views(std::vector<TopicView> views) {
  for (TopicView& what : views) {
    RUNNEL_TRY_ASSIGN(auto fold, ViewFold::open(*what.plan, what.options, state_));
    views_.push_back({what, std::move(fold)});
  }
  const MutexLock lock(mutex_);
  failures_.resize(views_.size());
  return {};
}

Offset TopicViews::applied(std::size_t partition) const {
  const MutexLock lock(mutex_);
  return applied_.at(partition);
}

std::optional<Error> TopicViews::failure(std::size_t view) const {
  const MutexLock lock(mutex_);
  return failures_.at(view);
}

Result<bool> TopicViews::round() {
  bool any = false;
  for (std::size_t i = 0; i < partitions_.size(); ++i) {
    const auto read_some = read(i);
    if (!read_some) {
      discard();
      return fail(read_some.error());
    }
    any = any || *read_some;
  }
  RUNNEL_TRY(write_all());
  RUNNEL_TRY(publish());
  return any;
}

Result<bool> TopicViews::read(std::size_t partition) {
  if (from_[partition] == kNobody) return false;
  const PartitionInfo info = store_.partition_info(partitions_[partition]);
  // What retention removed before anybody read it can't be folded any more.
  const Offset from = std::max(from_[partition], info.log_start);
  FetchRequest request;
  request.items.push_back({partitions_[partition], from, options_.fetch_bytes});
  request.committed_only = true;
  const auto fetched = store_.fetch_and_wait(std::move(request));
  const FetchedPartition& head = fetched[0].head;
  if (head.error) return fail(head.error->within("views of " + options_.topic));
  if (head.next <= from_[partition]) return false;
  RUNNEL_TRY(fold_batches(partition, from, fetched[0].batches.bytes(), head.aborted));
  for (std::size_t v = 0; v < views_.size(); ++v) {
    if (views_[v].fold == nullptr) continue;
    const Status moved =
        views_[v].fold->advance(static_cast<std::uint32_t>(partition), head.next.value());
    if (!moved) RUNNEL_TRY(judge(v, moved.error()));
  }
  from_[partition] = head.next;
  return true;
}

Status TopicViews::fold_batches(std::size_t partition, Offset from, Bytes batches,
                                const std::vector<AbortedTransaction>& aborted) {
  std::vector<protocol::AbortedFrom> transactions;
  for (const AbortedTransaction& one : aborted) transactions.push_back({one.producer, one.first});
  protocol::AbortFilter filter(std::move(transactions));
  while (!batches.empty()) {
    RUNNEL_TRY_ASSIGN(
        const std::size_t size,
        protocol::validate_batch(batches, protocol::Depth::kHeader, protocol::Gaps::kAllowed));
    const Bytes batch = batches.first(size);
    batches = batches.subspan(size);
    RUNNEL_TRY_ASSIGN(const bool left_out, filter.leaves_out(batch));
    if (!left_out) RUNNEL_TRY(fold_batch(partition, from, batch));
  }
  return {};
}

Status TopicViews::fold_batch(std::size_t partition, Offset from, Bytes batch) {
  const auto number = static_cast<std::uint32_t>(partition);
  RUNNEL_TRY_ASSIGN(auto reader, protocol::RecordReader::open(batch));
  while (true) {
    RUNNEL_TRY_ASSIGN(const protocol::Record* const record, reader.next_in_place());
    if (record == nullptr) break;
    if (record->offset < from) continue;
    rows_.begin(PartitionIndex(static_cast<std::int32_t>(number)), *record);
    for (std::size_t v = 0; v < views_.size(); ++v) {
      if (views_[v].fold == nullptr) continue;
      const Status folded = views_[v].fold->add(number, rows_.row(v));
      if (!folded) RUNNEL_TRY(judge(v, folded.error()));
    }
  }
  for (std::size_t v = 0; v < views_.size(); ++v) {
    const auto& fold = views_[v].fold;
    if (fold && fold->dirty_groups() > options_.max_dirty_groups) RUNNEL_TRY(write(v));
  }
  return {};
}

Status TopicViews::write(std::size_t view) {
  ViewFold& fold = *views_[view].fold;
  StateWrites writes;
  Status done = fold.prepare(writes);
  if (done && !writes.empty()) done = state_.apply(writes);
  if (!done) return judge(view, done.error());
  fold.committed();
  return {};
}

Status TopicViews::write_all() {
  for (std::size_t v = 0; v < views_.size(); ++v) {
    if (views_[v].fold == nullptr) continue;
    const Status written = write(v);
    if (!written) {
      discard();
      return written;
    }
  }
  return {};
}

Status TopicViews::judge(std::size_t view, const Error& error) {
  if (error.code() != ErrorCode::kCorrupt) return fail(error);
  views_[view].fold.reset();
  const MutexLock lock(mutex_);
  failures_[view] = error.within("view " + views_[view].what.plan->name);
  return {};
}

Status TopicViews::publish() {
  from_.assign(partitions_.size(), kNobody);
  for (std::size_t p = 0; p < partitions_.size(); ++p) {
    for (std::size_t v = 0; v < views_.size(); ++v) {
      if (views_[v].fold == nullptr) continue;
      const auto cursor = views_[v].fold->cursor(static_cast<std::uint32_t>(p));
      if (cursor) {
        from_[p] = std::min(from_[p], Offset(cursor->next));
      } else {
        RUNNEL_TRY(judge(v, cursor.error()));
      }
    }
  }
  const MutexLock lock(mutex_);
  applied_ = from_;
  return {};
}

void TopicViews::discard() {
  for (View& view : views_) {
    if (view.fold) view.fold->discard();
  }
  // Where the state is; what can't be read now is read in the next round.
  for (std::size_t p = 0; p < partitions_.size(); ++p) {
    const MutexLock lock(mutex_);
    from_[p] = applied_[p];
  }
}

}  // namespace runnel::storage::views
