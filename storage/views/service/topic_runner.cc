#include "storage/views/service/topic_runner.h"

#include <algorithm>

namespace runnel::storage::views {
namespace {

/// Of a view that is built at a set rate: a round is no burst.
constexpr std::uint32_t kSlowFetchBytes = 64u << 10;

/// Who is far behind need not show every step: the more a write has, the more records of a group
/// make one change of it.
constexpr std::chrono::milliseconds kPatience{200};
/// Changed groups take room beside those that are kept.
constexpr std::size_t kLeastDirtyGroups = 10'000;
constexpr std::size_t kBytesOfGroup = 300;

std::vector<RowNeed> needs_of(const std::vector<RunnerView>& views) {
  std::vector<RowNeed> needs;
  for (const RunnerView& view : views) {
    if (view.plan == nullptr) continue;
    needs.push_back(
        {&view.plan->source, view.plan->slots_read, view.plan->row_slots(), view.plan->joins});
  }
  return needs;
}

}  // namespace

bool RunnerView::same_work(const RunnerView& other) const {
  return id == other.id && name == other.name && stored.sql == other.stored.sql &&
         stored.inputs == other.stored.inputs && stored.altered == other.stored.altered &&
         stored.topic == other.stored.topic && stored.start == other.stored.start;
}

TopicRunner::TopicRunner(Store& store, TopicRunnerOptions options)
    : store_(store), options_(std::move(options)), rows_(needs_of(options_.views)) {}

Result<std::shared_ptr<TopicRunner>> TopicRunner::open(Store& store, StateStore& state,
                                                       Clock& clock, TopicRunnerOptions options) {
  std::shared_ptr<TopicRunner> made(new TopicRunner(store, std::move(options)));
  if (const RunnerView& first = made->options_.views.front(); first.stream != nullptr) {
    RUNNEL_TRY_ASSIGN(made->stream_, TopicStream::open(store, clock, *first.stream,
                                                       {first.id, first.name, first.stored.start}));
    return made;
  }
  std::vector<TopicView> views;
  TopicViewsOptions topic;
  topic.topic = made->options_.topic;
  topic.patience = kPatience;
  topic.max_dirty_groups =
      std::max(kLeastDirtyGroups, made->options_.cache_bytes / 2 / kBytesOfGroup);
  for (const RunnerView& view : made->options_.views) {
    FoldOptions fold;
    fold.id = view.id;
    fold.cache_bytes = made->options_.cache_bytes;
    // Nobody can have read a view that is being built.
    fold.keep_changes = made->options_.builder ? 0 : kChangesKept;
    views.push_back({view.plan.get(), fold, view.stored.start});
    if (made->options_.histories != nullptr) {
      views.back().history = made->options_.histories->of(view.id);
    }
    if (!made->options_.builder && view.plan->options.changelog_topic) {
      RUNNEL_TRY_ASSIGN(made->changelog_, Changelog::open(store, clock, *view.plan, view.id));
      views.back().output = made->changelog_.get();
    }
    // Letters of a view that may never be read are not sent; they wait until it is.
    if (!made->options_.builder) {
      made->outboxes_.push_back(
          {DeadLetters(store, state, clock, {view.id, view.name, made->options_.topic}), {}});
    }
    if (made->options_.builder && view.plan->options.backfill_rate) {
      topic.fetch_bytes = kSlowFetchBytes;
      topic.patience = {};
    }
  }
  RUNNEL_TRY_ASSIGN(made->views_, TopicViews::open(store, state, made->rows_, std::move(views),
                                                   std::move(topic)));
  made->views_->set_cache_bytes(made->options_.cache_bytes);
  made->sequences_.resize(made->options_.views.size());
  static_cast<void>(made->take_changed());
  static_cast<void>(made->take_news());
  return made;
}

void TopicRunner::run(std::function<void(TopicRunner&)> after_round,
                      std::function<void(const Error&)> report) {
  ViewWorkerOptions worker;
  worker.after_round = [this, after = std::move(after_round), report] {
    const bool moved = move_letters(report);
    note_lag();
    after(*this);
    return moved;
  };
  worker.report = std::move(report);
  worker.low_priority = options_.builder;
  if (options_.builder) {
    worker.records_per_second = options_.views.front().plan->options.backfill_rate.value_or(0);
  }
  worker_ = std::make_unique<ViewWorker>(store_, rounds(), std::move(worker));
}

bool TopicRunner::move_letters(const std::function<void(const Error&)>& report) {
  bool all = true;
  for (std::size_t v = 0; v < outboxes_.size(); ++v) {
    Outbox& outbox = outboxes_[v];
    const std::uint64_t written = views_->letters(v);
    if (outbox.seen == written) continue;
    const Status moved = outbox.letters.move(static_cast<std::uint32_t>(partitions()));
    if (moved) {
      outbox.seen = written;
      continue;
    }
    report(moved.error().within("dead letters of " + options_.views[v].name));
    // A damaged one stays where it is; trying again mends nothing.
    if (moved.error().code() == ErrorCode::kCorrupt) outbox.seen = written;
    all = all && outbox.seen == written;
  }
  return all;
}

void TopicRunner::stop() {
  if (worker_) worker_->stop();
}

std::optional<std::size_t> TopicRunner::find(ViewId id) const {
  for (std::size_t v = 0; v < options_.views.size(); ++v) {
    if (options_.views[v].id == id) return v;
  }
  return std::nullopt;
}

std::size_t TopicRunner::failures() const {
  return views_ ? views_->failures() : stream_->failure().has_value() ? 1 : 0;
}

std::optional<Error> TopicRunner::failure(std::size_t view) const {
  return views_ ? views_->failure(view) : stream_->failure();
}

std::uint64_t TopicRunner::lag() const {
  std::uint64_t lag = 0;
  for (std::size_t p = 0; p < rounds().partitions().size(); ++p) {
    const Offset end = store_.partition_info(rounds().partitions()[p]).last_stable;
    const Offset at = applied(p);
    if (at < end) lag += static_cast<std::uint64_t>(end - at);
  }
  return lag;
}

void TopicRunner::note_lag() {
  const MutexLock lock(lag_mutex_);
  bool reached = true;
  for (std::size_t p = 0; p < mark_.size(); ++p) reached = reached && applied(p) >= mark_[p];
  if (!reached) return;
  const auto now = Steady::now();
  current_ = lag() == 0 ? now : mark_.empty() ? current_ : mark_at_;
  mark_.clear();
  mark_at_ = now;
  for (const PartitionRef& p : rounds().partitions()) {
    mark_.push_back(store_.partition_info(p).last_stable);
  }
}

std::chrono::milliseconds TopicRunner::behind() const {
  if (lag() == 0) return std::chrono::milliseconds(0);
  const MutexLock lock(lag_mutex_);
  return std::chrono::duration_cast<std::chrono::milliseconds>(Steady::now() - current_);
}

bool TopicRunner::is_outdated() const {
  const auto first = store_.partition(topic(), PartitionIndex(0));
  if (!first) return first.error().code() == ErrorCode::kUnknownTopic;
  if (store_.partition_id(*first) != store_.partition_id(rounds().partitions().front()))
    return true;
  return store_.partition(topic(), PartitionIndex(static_cast<std::int32_t>(partitions())))
      .has_value();
}

bool TopicRunner::has_reached(const TopicRunner& other) const {
  if (other.failures() == other.views().size()) return true;
  const std::size_t count = std::min(partitions(), other.partitions());
  for (std::size_t p = 0; p < count; ++p) {
    if (applied(p) < other.applied(p)) return false;
  }
  return true;
}

bool TopicRunner::take_news() {
  std::vector<Offset> now;
  for (std::size_t p = 0; p < partitions(); ++p) now.push_back(applied(p));
  if (now == applied_) return false;
  applied_ = std::move(now);
  return true;
}

std::vector<bool> TopicRunner::take_changed() {
  std::vector<bool> changed;
  for (std::size_t v = 0; v < sequences_.size(); ++v) {
    const std::uint64_t sequence = views_->sequence(v);
    changed.push_back(sequence != sequences_[v]);
    sequences_[v] = sequence;
  }
  return changed;
}

}  // namespace runnel::storage::views
