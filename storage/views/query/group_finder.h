// Point queries: groups of views by their whole keys.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "storage/views/query/query.h"

namespace runnel::storage::views {

class ViewReader;

/// Finds groups of one view in one snapshot. What the answers have in common is read once, so that
/// many questions cost little more than their groups. Not thread safe.
class GroupFinder {
 public:
  /// `view` is one of the snapshot's and has a plan. Errors: as run_query().
  [[nodiscard]] static Result<std::unique_ptr<GroupFinder>> open(const Definition& view,
                                                                 const ReadSnapshot& snapshot);
  ~GroupFinder();
  GroupFinder(const GroupFinder&) = delete;
  GroupFinder& operator=(const GroupFinder&) = delete;

  /// One group by its whole key (the group columns in GROUP BY order): no rows where there is none.
  /// Errors: as run_query(); `limits` hold for groups that have to be looked for, of a view of
  /// views or of sessions, and a group that has an entry of its own is read whatever they are.
  [[nodiscard]] Result<Answer> find(std::span<const Value> key, const QueryLimits& limits = {});

 private:
  GroupFinder(const Definition& view, const ReadSnapshot& snapshot);
  /// An answer without rows.
  [[nodiscard]] Answer make_answer() const;
  [[nodiscard]] Result<Answer> find_one(std::span<const Value> key, const QueryLimits& limits);
  [[nodiscard]] Result<Answer> look_for(std::span<const Value> key, const QueryLimits& limits);

  const Definition& view_;
  const ReadSnapshot snapshot_;
  std::vector<Slot> slots_;  ///< of all outputs
  std::vector<AnswerColumn> columns_;
  std::unique_ptr<ViewReader> reader_;  ///< null: the view's groups have no entries by their keys
  std::vector<Position> positions_;     ///< where it is
  std::vector<std::string> notices_;    ///< and has to be said of every row
  std::string key_;
};

}  // namespace runnel::storage::views
