// What keeps some views of a topic current, or a stream: the folds, and the thread that feeds them.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "storage/views/service/changelog.h"
#include "storage/views/service/definition_entry.h"
#include "storage/views/service/topic_stream.h"
#include "storage/views/worker/dead_letters.h"
#include "storage/views/worker/view_rows.h"
#include "storage/views/worker/view_worker.h"

namespace runnel::storage::views {

/// Groups of which subscribers can be told that they changed, of each view.
inline constexpr std::uint64_t kChangesKept = 10'000;

/// A version of a view that is folded, or of a stream.
struct RunnerView {
  std::string name;
  ViewId id;
  StoredVersion stored;
  std::shared_ptr<const ViewPlan> plan;      ///< one of the two
  std::shared_ptr<const StreamPlan> stream;  ///< a runner has views, or one stream

  /// Folding one is folding the other.
  [[nodiscard]] bool same_work(const RunnerView& other) const;
};

struct TopicRunnerOptions {
  std::string topic;
  std::vector<RunnerView> views;
  bool builder = false;                ///< builds one view, alone
  std::size_t cache_bytes = 1u << 20;  ///< of each view
  RowHistories* histories = nullptr;   ///< outlives its opening
};

/// Thread safe, except run(), stop() and round().
class TopicRunner {
 public:
  /// Errors: as TopicViews::open().
  [[nodiscard]] static Result<std::shared_ptr<TopicRunner>> open(Store& store, StateStore& state,
                                                                 Clock& clock,
                                                                 TopicRunnerOptions options);
  ~TopicRunner() { stop(); }
  TopicRunner(const TopicRunner&) = delete;
  TopicRunner& operator=(const TopicRunner&) = delete;

  /// Starts the thread. Both are called on it.
  void run(std::function<void(TopicRunner&)> after_round, std::function<void(const Error&)> report);
  /// Ends the thread; what it did can still be asked.
  void stop();
  /// A round by hand, while no thread runs.
  [[nodiscard]] Result<bool> round() { return rounds().round(); }

  [[nodiscard]] const std::string& topic() const noexcept { return options_.topic; }
  [[nodiscard]] bool is_builder() const noexcept { return options_.builder; }
  [[nodiscard]] const std::vector<RunnerView>& views() const noexcept { return options_.views; }
  /// How many of its views can't go on.
  [[nodiscard]] std::size_t failures() const;
  /// Why one can't; nullopt: it can.
  [[nodiscard]] std::optional<Error> failure(std::size_t view) const;
  void set_cache_bytes(std::size_t bytes) noexcept {
    if (views_) views_->set_cache_bytes(bytes);
  }
  [[nodiscard]] std::size_t partitions() const noexcept { return rounds().partitions().size(); }
  [[nodiscard]] Offset applied(std::size_t partition) const { return rounds().applied(partition); }
  /// Which of its views it is.
  [[nodiscard]] std::optional<std::size_t> find(ViewId id) const;
  /// Records behind the topic's last stable offsets.
  [[nodiscard]] std::uint64_t lag() const;
  /// How long it has not been current, to within the time between two calls of note_lag(); 0: it
  /// has every record.
  [[nodiscard]] std::chrono::milliseconds behind() const;
  /// To be called now and then, while nothing is read as well. Any thread.
  void note_lag() RUNNEL_EXCLUDES(lag_mutex_);
  /// The topic has partitions that it does not read, or is another one by now.
  [[nodiscard]] bool is_outdated() const;
  /// It has every record that the other has.
  [[nodiscard]] bool has_reached(const TopicRunner& other) const;
  /// Whether views wrote since the last call.
  [[nodiscard]] bool take_news();
  /// By view: whether its change sequence grew since the last call. Of one thread.
  [[nodiscard]] std::vector<bool> take_changed();

 private:
  TopicRunner(Store& store, TopicRunnerOptions options);
  /// False: not all of them, and why was reported.
  [[nodiscard]] bool move_letters(const std::function<void(const Error&)>& report);

  using Steady = std::chrono::steady_clock;
  struct Outbox {
    DeadLetters letters;
    std::optional<std::uint64_t> seen;  ///< TopicViews::letters() when it was emptied
  };

  [[nodiscard]] TopicRounds& rounds() const noexcept {
    return views_ ? static_cast<TopicRounds&>(*views_) : *stream_;
  }

  Store& store_;
  const TopicRunnerOptions options_;
  JsonRows rows_;
  std::unique_ptr<Changelog> changelog_;  ///< of the one view; null: it has none
  std::unique_ptr<TopicViews> views_;     ///< one of the two
  std::unique_ptr<TopicStream> stream_;
  std::vector<std::uint64_t> sequences_;
  std::vector<Offset> applied_;
  std::vector<Outbox> outboxes_;  ///< one a view; none of a view that is built
  mutable Mutex lag_mutex_;
  /// The ends of the partitions at one time: once they are reached it is current as of then.
  std::vector<Offset> mark_ RUNNEL_GUARDED_BY(lag_mutex_);
  Steady::time_point mark_at_ RUNNEL_GUARDED_BY(lag_mutex_) = Steady::now();
  Steady::time_point current_ RUNNEL_GUARDED_BY(lag_mutex_) = Steady::now();
  std::unique_ptr<ViewWorker> worker_;
};

}  // namespace runnel::storage::views
