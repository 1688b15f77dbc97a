#include "storage/views/worker/topic_views.h"

#include <limits>

#include "storage/views/types/within_memory.h"
#include "storage/views/worker/committed_records.h"

namespace runnel::storage::views {
namespace {

/// Every view has failed.
constexpr Offset kNobody{std::numeric_limits<std::int64_t>::max()};

/// What a view may hold that is not written, however little memory there is for views: so much is
/// worth a write.
constexpr std::size_t kLeastUnwritten = 4u << 20;

/// Of the log: the same read will fail again until somebody mends it.
bool is_lasting(ErrorCode code) {
  return code == ErrorCode::kCorrupt || code == ErrorCode::kMalformed ||
         code == ErrorCode::kRecordTooLarge || code == ErrorCode::kUnknownTopic;
}

std::string place_of(std::size_t partition, std::int64_t offset) {
  return "partition " + std::to_string(partition) + ", offset " + std::to_string(offset);
}

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
  for (TopicView& view : views) made->views_.push_back({std::move(view)});
  {
    const MutexLock lock(made->mutex_);
    made->failures_.resize(made->views_.size());
    made->sequences_.resize(made->views_.size());
    made->letters_.resize(made->views_.size());
  }
  for (std::size_t v = 0; v < made->views_.size(); ++v) {
    const Status opened = made->open_view(v);
    if (!opened) RUNNEL_TRY(made->judge(v, opened.error()));
  }
  RUNNEL_TRY(made->publish());
  return made;
}

Status TopicViews::open_view(std::size_t view) {
  const TopicView& what = views_[view].what;
  RUNNEL_TRY_ASSIGN(views_[view].fold, ViewFold::open(*what.plan, what.options, state_));
  for (const auto& [partition, offset] : what.start) {
    RUNNEL_TRY(views_[view].fold->advance(partition, offset));
  }
  views_[view].told = views_[view].fold->sequence();
  return {};
}

Offset TopicViews::applied(std::size_t partition) const {
  const MutexLock lock(mutex_);
  return partition < applied_.size() ? applied_[partition] : Offset(0);
}

std::optional<Error> TopicViews::failure(std::size_t view) const {
  const MutexLock lock(mutex_);
  return failures_.at(view);
}

std::uint64_t TopicViews::sequence(std::size_t view) const {
  const MutexLock lock(mutex_);
  return sequences_.at(view);
}

std::uint64_t TopicViews::letters(std::size_t view) const {
  const MutexLock lock(mutex_);
  return letters_.at(view);
}

Result<bool> TopicViews::round() {
  try {
    at_work_.reset();
    if (tainted_) discard();
    tainted_ = false;
    auto done = try_round();
    if (done) took_all_.reset();
    return done;
  } catch (const std::bad_alloc&) {
    tainted_ = true;
  }
  return fail(out_of_memory());
}

Error TopicViews::out_of_memory() {
  if (!at_work_) {
    took_all_.reset();
    return no_memory_for("views of " + options_.topic);
  }
  const Error why = no_memory_for("view " + views_[*at_work_].what.plan->name);
  if (took_all_ == at_work_ && views_[*at_work_].fold != nullptr) {
    stop_view(*at_work_, why);
    took_all_.reset();
  } else {
    took_all_ = at_work_;
  }
  return why;
}

Result<bool> TopicViews::try_round() {
  share_memory();
  const auto until = std::chrono::steady_clock::now() + options_.patience;
  RUNNEL_TRY(begin_outputs());
  bool any = false;
  bool some = false;
  bool held = false;
  do {
    backlog_ = some = false;
    RUNNEL_TRY_ASSIGN(const std::vector<Offset> ends, begin_reading());
    for (std::size_t i = 0; i < partitions_.size(); ++i) {
      const auto read_some = read(i, ends[i]);
      if (!read_some) {
        discard();
        return fail(read_some.error());
      }
      some = some || *read_some;
    }
    any = any || some;
    RUNNEL_TRY_ASSIGN(held, is_held());
  } while (some && (held || (backlog_ && std::chrono::steady_clock::now() < until)));
  if (held) {
    discard();
    return fail(ErrorCode::kNotAvailable, "records that were read before a crash are not there");
  }
  RUNNEL_TRY(write_all());
  RUNNEL_TRY(publish());
  return any;
}

Result<SourceOffsets> TopicViews::state_of(std::size_t view) {
  SourceOffsets state;
  for (std::size_t p = 0; p < partitions_.size(); ++p) {
    const auto number = static_cast<std::uint32_t>(p);
    RUNNEL_TRY_ASSIGN(const Cursor cursor, views_[view].fold->cursor(number));
    state[number] = cursor.next;
  }
  return state;
}

Status TopicViews::begin_outputs() {
  for (std::size_t v = 0; v < views_.size(); ++v) {
    if (views_[v].fold == nullptr || views_[v].what.output == nullptr) continue;
    RUNNEL_TRY_ASSIGN(const SourceOffsets state, state_of(v));
    RUNNEL_TRY(views_[v].what.output->begin(state));
  }
  return {};
}

Result<std::vector<Offset>> TopicViews::begin_reading() {
  std::vector<Offset> ends;
  for (std::size_t p = 0; p < partitions_.size(); ++p) {
    Offset end = store_.partition_info(partitions_[p]).last_stable;
    for (const View& view : views_) {
      if (view.fold == nullptr || view.what.output == nullptr) continue;
      end = std::min(end, view.what.output->limit(static_cast<std::uint32_t>(p)));
    }
    ends.push_back(end);
  }
  // What was committed before these ends is in the tables that rows are joined with.
  RUNNEL_TRY(rows_.prepare(store_, [this](std::size_t view, const Error& why) {
    if (views_[view].fold != nullptr) stop_view(view, why);
  }));
  return ends;
}

Result<bool> TopicViews::is_held() {
  for (std::size_t v = 0; v < views_.size(); ++v) {
    if (views_[v].fold == nullptr || views_[v].what.output == nullptr) continue;
    RUNNEL_TRY_ASSIGN(const SourceOffsets state, state_of(v));
    if (views_[v].what.output->holds(state)) return true;
  }
  return false;
}

void TopicViews::share_memory() {
  const std::size_t fair = cache_bytes_.load();
  if (fair == 0) return;
  std::size_t held = 0;
  for (const View& view : views_) held += view.fold ? view.fold->memory_bytes() : 0;
  const std::size_t all = fair * views_.size();
  for (View& view : views_) {
    if (!view.fold) continue;
    const std::size_t others = held - view.fold->memory_bytes();
    view.fold->set_cache_bytes(std::max(fair, all - std::min(all, others)));
  }
}

Result<bool> TopicViews::read(std::size_t partition, Offset end) {
  if (from_[partition] == kNobody) return false;
  const PartitionInfo info = store_.partition_info(partitions_[partition]);
  if (from_[partition] < info.log_start) RUNNEL_TRY(stop_behind(partition, info.log_start));
  const Offset from = from_[partition];
  if (from == kNobody) return false;
  FetchRequest request;
  request.items.push_back({partitions_[partition], from, options_.fetch_bytes});
  request.committed_only = true;
  const auto fetched = store_.fetch_and_wait(std::move(request));
  const FetchedPartition& head = fetched[0].head;
  if (head.error) {
    RUNNEL_TRY(judge_log(partition, from, *head.error));
    return false;
  }
  if (head.next <= from || end <= from) return false;
  const Offset next = std::min(head.next, end);
  const Status folded =
      fold_batches(partition, from, next, fetched[0].batches.bytes(), head.aborted);
  if (!folded) {
    RUNNEL_TRY(judge_log(partition, from, folded.error()));
    return false;
  }
  for (std::size_t v = 0; v < views_.size(); ++v) {
    if (views_[v].fold == nullptr) continue;
    const Status moved =
        views_[v].fold->advance(static_cast<std::uint32_t>(partition), next.value());
    if (!moved) RUNNEL_TRY(judge(v, moved.error()));
  }
  from_[partition] = next;
  backlog_ = backlog_ || fetched[0].batches.bytes().size() >= options_.fetch_bytes / 2;
  return true;
}

Status TopicViews::fold_batches(std::size_t partition, Offset from, Offset end, Bytes batches,
                                const std::vector<AbortedTransaction>& aborted) {
  return for_each_committed_batch(batches, aborted, [&](Bytes batch) -> Result<bool> {
    if (protocol::BatchView(batch).base_offset() >= end) return false;
    RUNNEL_TRY(fold_batch(partition, from, end, batch));
    return true;
  });
}

Status TopicViews::fold_batch(std::size_t partition, Offset from, Offset end, Bytes batch) {
  const auto number = static_cast<std::uint32_t>(partition);
  std::uint64_t count = 0;
  const auto fold = [&](const protocol::Record& record) -> Result<bool> {
    if (record.offset >= end) return false;
    if (record.offset < from) return true;
    ++count;
    at_work_.reset();
    rows_.begin(PartitionIndex(static_cast<std::int32_t>(number)), record);
    for (std::size_t v = 0; v < views_.size(); ++v) {
      if (views_[v].fold == nullptr) continue;
      at_work_ = v;
      const Status folded = views_[v].fold->add(number, rows_.row(v));
      if (!folded) {
        RUNNEL_TRY(judge(v, folded.error().within(place_of(partition, record.offset.value()))));
      }
    }
    return true;
  };
  RUNNEL_TRY(for_each_record(batch, fold));
  at_work_.reset();
  records_ += count;
  for (std::size_t v = 0; v < views_.size(); ++v) {
    const auto& view = views_[v].fold;
    if (!view) continue;
    const bool large = view->unwritten_bytes() > std::max(cache_bytes_.load(), kLeastUnwritten);
    if (large || view->dirty_groups() > options_.max_dirty_groups) RUNNEL_TRY(write(v));
  }
  return {};
}

Status TopicViews::write(std::size_t view) {
  at_work_ = view;
  const Status written = try_write(view);
  at_work_.reset();
  return written ? Status() : judge(view, written.error());
}

Status TopicViews::try_write(std::size_t view) {
  ViewFold& fold = *views_[view].fold;
  ViewOutput* const output = views_[view].what.output;
  if (output != nullptr) {
    RUNNEL_TRY_ASSIGN(const SourceOffsets state, state_of(view));
    if (output->holds(state)) return {};
  }
  StateWrites writes;
  RUNNEL_TRY(fold.prepare(writes));
  if (output != nullptr) RUNNEL_TRY(output->pass(state_, writes));
  if (!writes.empty()) RUNNEL_TRY(state_.apply(writes));
  fold.committed();
  return tell_history(view);
}

Status TopicViews::tell_history(std::size_t view) {
  const TopicView& what = views_[view].what;
  const std::uint64_t sequence = views_[view].fold->sequence();
  if (what.history == nullptr || sequence == views_[view].told) return {};
  if (!what.history->is_followed()) {
    what.history->skip(sequence);
    views_[view].told = sequence;
    return {};
  }
  const auto step =
      RowStep::read(*what.plan, what.options.id, state_, sequence, what.history->most_bytes());
  if (step && *step != nullptr) {
    what.history->add(*step);
  } else {
    what.history->skip(sequence);
  }
  views_[view].told = sequence;
  return step ? Status() : fail(step.error());
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

// ---------------------------------------------------------------- what ends a view
Status TopicViews::stop_behind(std::size_t partition, Offset log_start) {
  for (std::size_t v = 0; v < views_.size(); ++v) {
    if (views_[v].fold == nullptr) continue;
    const auto cursor = views_[v].fold->cursor(static_cast<std::uint32_t>(partition));
    if (!cursor) {
      RUNNEL_TRY(judge(v, cursor.error()));
    } else if (cursor->next < log_start.value()) {
      stop_view(v, Error(ErrorCode::kOffsetOutOfRange,
                         "partition " + std::to_string(partition) + ": the records from offset " +
                             std::to_string(cursor->next) + " up to " +
                             std::to_string(log_start.value() - 1) +
                             " were removed from the log before they were read; RESUME goes on "
                             "without them"));
    }
  }
  return find_least(partition);
}

Status TopicViews::judge_log(std::size_t partition, Offset at, const Error& error) {
  if (!is_lasting(error.code())) return fail(error.within("views of " + options_.topic));
  const bool gone = error.code() == ErrorCode::kUnknownTopic;
  const Error why = gone ? Error(ErrorCode::kUnknownTopic, "the topic " + options_.topic +
                                                               " was deleted; drop the view, or "
                                                               "replace it")
                         : error.within(place_of(partition, at.value()));
  for (std::size_t v = 0; v < views_.size(); ++v) {
    if (views_[v].fold != nullptr) stop_view(v, why);
  }
  return find_least(partition);
}

Status TopicViews::judge(std::size_t view, const Error& error) {
  if (error.code() != ErrorCode::kCorrupt && error.code() != ErrorCode::kInvalidArgument) {
    return fail(error);
  }
  stop_view(view, error);
  return {};
}

void TopicViews::stop_view(std::size_t view, const Error& why) {
  views_[view].fold.reset();
  ++failed_;
  const MutexLock lock(mutex_);
  failures_[view] = why.within("view " + views_[view].what.plan->name);
}

// ---------------------------------------------------------------- where they are
Status TopicViews::find_least(std::size_t partition) {
  from_[partition] = kNobody;
  for (std::size_t v = 0; v < views_.size(); ++v) {
    if (views_[v].fold == nullptr) continue;
    const auto cursor = views_[v].fold->cursor(static_cast<std::uint32_t>(partition));
    if (cursor) {
      from_[partition] = std::min(from_[partition], Offset(cursor->next));
    } else {
      RUNNEL_TRY(judge(v, cursor.error()));
    }
  }
  return {};
}

Status TopicViews::publish() {
  from_.assign(partitions_.size(), kNobody);
  for (std::size_t p = 0; p < partitions_.size(); ++p) RUNNEL_TRY(find_least(p));
  const MutexLock lock(mutex_);
  applied_ = from_;
  for (std::size_t v = 0; v < views_.size(); ++v) {
    if (!views_[v].fold) continue;
    sequences_[v] = views_[v].fold->sequence();
    letters_[v] = views_[v].fold->letters();
  }
  return {};
}

void TopicViews::discard() {
  for (std::size_t v = 0; v < views_.size(); ++v) {
    View& view = views_[v];
    if (!view.fold) continue;
    view.fold->discard();
    for (const auto& [partition, offset] : view.what.start) {
      // What can't be read now is read in the next round, which begins in the same place.
      static_cast<void>(view.fold->advance(partition, offset));
    }
  }
  const MutexLock lock(mutex_);
  for (std::size_t p = 0; p < partitions_.size(); ++p) from_[p] = applied_[p];
}

}  // namespace runnel::storage::views
