// Point queries: groups of views by their whole keys.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
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
  /// `view` is one of the snapshot's and has a plan; `snapshot` outlives it, and is what it was
  /// whenever it is used. Errors: as run_query().
  [[nodiscard]] static Result<std::unique_ptr<GroupFinder>> open(const Definition& view,
                                                                 const ReadSnapshot& snapshot);
  ~GroupFinder();
  GroupFinder(const GroupFinder&) = delete;
  GroupFinder& operator=(const GroupFinder&) = delete;

  /// One group by its whole key (the group columns in GROUP BY order): no rows where there is none.
  /// Errors: as run_query(); `limits` hold for groups that have to be looked for, of a view of
  /// views or of sessions, and a group that has an entry of its own is read whatever they are.
  [[nodiscard]] Result<Answer> find(std::span<const Value> key, const QueryLimits& limits = {});

  // Many at once, of a view whose groups have entries of their own.
  [[nodiscard]] bool has_entries() const noexcept { return reader_ != nullptr; }
  /// Answer::sequence of all of them.
  [[nodiscard]] std::uint64_t sequence() const noexcept;
  /// What find() answers, but for the row and what is to be said of it.
  [[nodiscard]] Answer common() const;
  /// A key as find_each() takes it. kInvalidArgument: not as many values as there are columns.
  [[nodiscard]] Status encode(std::span<const Value> key, std::string& out) const;
  struct Found {
    std::size_t which = 0;                      ///< of the keys
    std::span<const Value> row;                 ///< of use during the visit alone
    bool bounded = false;                       ///< counts of it are lower bounds: find() says so
    std::optional<Error> error = std::nullopt;  ///< the row can't be told: find() fails with it
  };
  using Visit = std::function<void(const Found&)>;
  /// Those of the groups that there are. `keys` ascend, none is there twice. Errors: as find().
  [[nodiscard]] Status find_each(std::span<const std::string_view> keys, const Visit& visit);

 private:
  GroupFinder(const Definition& view, const ReadSnapshot& snapshot);
  /// An answer without rows.
  [[nodiscard]] Answer make_answer() const;
  [[nodiscard]] Result<Answer> find_one(std::span<const Value> key, const QueryLimits& limits);
  [[nodiscard]] Result<Answer> look_for(std::span<const Value> key, const QueryLimits& limits);

  const Definition& view_;
  const ReadSnapshot& snapshot_;
  std::vector<Slot> slots_;  ///< of all outputs
  std::vector<AnswerColumn> columns_;
  std::unique_ptr<ViewReader> reader_;  ///< null: the view's groups have no entries by their keys
  std::vector<Position> positions_;     ///< where it is
  std::vector<std::string> notices_;    ///< and has to be said of every row
  std::string key_;
};

/// The finders of a snapshot's views, made as they are asked for. Not thread safe.
class GroupFinders {
 public:
  /// As GroupFinder::open().
  explicit GroupFinders(const ReadSnapshot& snapshot) : snapshot_(snapshot) {}

  /// Of use until the next call. Errors: as find_view() and GroupFinder::open().
  [[nodiscard]] Result<GroupFinder*> of(const std::string& view);

 private:
  const ReadSnapshot& snapshot_;
  std::map<std::string, std::unique_ptr<GroupFinder>> finders_;
};

}  // namespace runnel::storage::views
