// Groups of a query, in memory: each row is folded into its groups' states, then they are given in
// the order of the group columns, as a view keeps them.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "storage/views/engine/aggregates.h"
#include "storage/views/engine/windows.h"
#include "storage/views/plan/plan.h"

namespace runnel::storage::views {

/// What groups are made of. Everything outlives them.
struct GroupingPlan {
  std::span<const KeyPlan> keys;
  std::span<const AggregatePlan> aggregates;
  const WindowPlan* window = nullptr;
  Slot window_start = 0;
};

/// One group: its keys, then its aggregates. Of use during the visit alone.
struct GroupRow {
  std::span<const Value> values;
  RowError error = RowError::kNone;  ///< of the aggregate `failed`, which is NULL here
  std::size_t failed = 0;
  std::uint64_t overflow = 0;  ///< distinct values that were not kept: counts are lower bounds
};

/// Not thread safe.
class Groups {
 public:
  explicit Groups(const GroupingPlan& plan);

  /// Folds a row in whose window slots are set; of sessions `session_time` is the row's moment.
  /// After an error nothing has changed, and problem() names what could not be computed.
  [[nodiscard]] RowError add(std::span<const Value> row, const RecordPlace& place,
                             std::int64_t session_time, std::int64_t gap);
  [[nodiscard]] const std::string& problem() const noexcept { return problem_; }

  using Visit = std::function<Result<bool>(const GroupRow&)>;
  /// Each group, until `visit` returns false. Without group columns there is one in any case.
  [[nodiscard]] Status visit(std::int64_t gap, const Visit& visit);

  [[nodiscard]] std::size_t size() const noexcept { return groups_.size(); }
  /// Roughly what they hold.
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

 private:
  struct State {
    std::string block;
    StateExtras extras;
    std::int64_t start = 0;  ///< of a session
    [[nodiscard]] StateRef ref() noexcept {
      return {reinterpret_cast<std::byte*>(block.data()), &extras};
    }
  };
  /// One state; of a session as many as there are, by their start.
  using Group = std::vector<State>;

  [[nodiscard]] bool is_session() const noexcept {
    return plan_.window->kind == sql::WindowKind::kSession;
  }
  [[nodiscard]] RowError encode(std::span<const Value> row);
  [[nodiscard]] RowError evaluate(std::span<const Value> row);
  [[nodiscard]] State make_state(std::int64_t start);
  [[nodiscard]] State& session_at(Group& group, std::int64_t time, std::int64_t gap);
  [[nodiscard]] Result<bool> emit(std::string_view key, State& state, std::int64_t gap,
                                  const Visit& visit);

  const GroupingPlan plan_;
  const Aggregates aggregates_;
  std::unordered_map<std::string, Group> groups_;
  std::size_t bytes_ = 0;
  std::string key_;
  AggregateInputs inputs_;
  Arena arena_;
  std::vector<Value> values_;
  std::string problem_;
};

}  // namespace runnel::storage::views
