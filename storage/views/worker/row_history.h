// What a view's rows were, change by change, for subscribers that must not miss one.
//
// The state knows which groups a write changed, and their rows as they are now. What they were
// behind each write is read when it is written, while somebody follows, and kept in memory: the
// newest steps, up to a number of bytes. Who is behind them, or comes back after the broker was
// started again, is told so (`lost`) and begins with all rows; nobody waits for anybody.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/base/thread_annotations.h"
#include "storage/views/engine/view_reader.h"

namespace runnel::storage::views {

/// Of one view. Enough for a subscriber that is away for a moment; less than a hundredth of what
/// the view itself may have.
inline constexpr std::size_t kHistoryBytes = 4u << 20;
/// For so long steps are kept when the last follower has left: it may come back.
inline constexpr std::chrono::seconds kHistoryAfterwards{60};

/// The groups that one write of the state changed, with their rows behind it. Immutable.
class RowStep {
 public:
  /// Reads from the state right behind the write. nullptr: which groups changed is not known, or
  /// they have more than `most` bytes. Errors: the state's.
  [[nodiscard]] static Result<std::shared_ptr<const RowStep>> read(const ViewPlan& plan, ViewId id,
                                                                   const StateReader& state,
                                                                   std::uint64_t sequence,
                                                                   std::size_t most);

  [[nodiscard]] std::uint64_t sequence() const noexcept { return sequence_; }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_.size() + kOverhead; }
  [[nodiscard]] std::size_t groups() const noexcept { return groups_; }
  /// Partitions in order, and the offsets before which their records are in these rows.
  [[nodiscard]] const std::vector<std::pair<std::uint32_t, std::int64_t>>& positions()
      const noexcept {
    return positions_;
  }
  /// The groups from the `first`-th on, in the order of their keys, until `visit` returns false.
  /// `rows` of a group: none (it is gone), or those of its columns, one behind the other; texts
  /// live as long as the step. `error`: a row could not be computed.
  using Visit =
      std::function<bool(std::string_view key, std::span<const Value> rows, RowError error)>;
  void visit(std::size_t first, const Visit& visit) const;

 private:
  static constexpr std::size_t kOverhead = 128;  ///< of a step without groups

  std::uint64_t sequence_ = 0;
  std::vector<std::pair<std::uint32_t, std::int64_t>> positions_;
  std::size_t groups_ = 0;
  std::string bytes_;  ///< of each group: key block, error u8, values uv, each value
};
using RowStepRef = std::shared_ptr<const RowStep>;

/// What all histories of a service may take together. An equal share of one half is everybody's who
/// has steps, whatever the others do. Who has more than its share had it when all of them together
/// had no more than the other half, and gives it back when they do have more.
class HistoryRoom {
 public:
  explicit HistoryRoom(std::size_t most) : half_(most / 2) {}
  void take(std::size_t bytes) noexcept { taken_ += bytes; }
  void give(std::size_t bytes) noexcept { taken_ -= bytes; }
  /// One has steps, or none any more.
  void enter() noexcept { ++users_; }
  void leave() noexcept { --users_; }
  /// One that has so many bytes has to do with less.
  [[nodiscard]] bool is_too_much(std::size_t bytes) const noexcept {
    const std::size_t users = users_.load();
    return taken_.load() > half_ && bytes > half_ / (users == 0 ? 1 : users);
  }

 private:
  const std::size_t half_;
  std::atomic<std::size_t> taken_{0};
  std::atomic<std::size_t> users_{0};
};

/// The newest steps of one view's generation. Thread safe.
class RowHistory {
 public:
  RowHistory(std::shared_ptr<HistoryRoom> room, std::size_t most_bytes)
      : room_(std::move(room)), most_bytes_(most_bytes) {}
  ~RowHistory();
  RowHistory(const RowHistory&) = delete;
  RowHistory& operator=(const RowHistory&) = delete;

  // Of who writes the state, in the order of the writes, behind each.
  /// Somebody wants the steps, or did a moment ago.
  [[nodiscard]] bool is_followed() const;
  [[nodiscard]] std::size_t most_bytes() const noexcept { return most_bytes_; }
  void add(RowStepRef step);
  /// There was a write of which nothing is known.
  void skip(std::uint64_t sequence);

  // Of who follows.
  void begin_following();
  void end_following();
  struct Next {
    RowStepRef step;    ///< null: there is none yet
    bool lost = false;  ///< it is not kept (any more)
  };
  /// What came behind the write `sequence`.
  [[nodiscard]] Next behind(std::uint64_t sequence) const;

  /// Forgets the steps that nobody wants, or that the others have a right to the room of.
  void tidy();

 private:
  using Steady = std::chrono::steady_clock;
  [[nodiscard]] bool is_wanted() const RUNNEL_REQUIRES(mutex_);
  void clear() RUNNEL_REQUIRES(mutex_);
  /// Forgets the oldest until it has what it may.
  void shrink() RUNNEL_REQUIRES(mutex_);

  const std::shared_ptr<HistoryRoom> room_;
  const std::size_t most_bytes_;
  mutable Mutex mutex_;
  std::size_t followers_ RUNNEL_GUARDED_BY(mutex_) = 0;
  Steady::time_point kept_until_ RUNNEL_GUARDED_BY(mutex_) = Steady::time_point::min();
  std::deque<RowStepRef> steps_ RUNNEL_GUARDED_BY(mutex_);  ///< without a gap, the last is `last_`
  std::size_t bytes_ RUNNEL_GUARDED_BY(mutex_) = 0;
  std::uint64_t last_ RUNNEL_GUARDED_BY(mutex_) = 0;  ///< the newest write that is known of
};

/// Follows a history until it is destroyed.
class RowFollower {
 public:
  explicit RowFollower(std::shared_ptr<RowHistory> history) : history_(std::move(history)) {
    history_->begin_following();
  }
  ~RowFollower() { history_->end_following(); }
  RowFollower(const RowFollower&) = delete;
  RowFollower& operator=(const RowFollower&) = delete;
  [[nodiscard]] RowHistory::Next behind(std::uint64_t sequence) const {
    return history_->behind(sequence);
  }

 private:
  const std::shared_ptr<RowHistory> history_;
};

/// The histories of all views. Thread safe.
class RowHistories {
 public:
  /// Bytes of one view, and of all together.
  RowHistories(std::size_t most_of_one, std::size_t most)
      : most_of_one_(most_of_one), room_(std::make_shared<HistoryRoom>(most)) {}
  /// The view's; made where there is none.
  [[nodiscard]] std::shared_ptr<RowHistory> of(ViewId id);
  /// Lets go of views that are no more, and of steps that nobody wants.
  void tidy(const std::function<bool(ViewId)>& is_known);

 private:
  using Key = std::pair<std::uint32_t, std::uint16_t>;
  const std::size_t most_of_one_;
  const std::shared_ptr<HistoryRoom> room_;
  Mutex mutex_;
  std::map<Key, std::shared_ptr<RowHistory>> all_ RUNNEL_GUARDED_BY(mutex_);
};

}  // namespace runnel::storage::views
