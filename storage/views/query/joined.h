// JOIN: a relation's rows in memory, found by what ON says; private to query/*.cc.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "storage/views/query/reading.h"

namespace runnel::storage::views {

/// The relations that a query joins to its first one. Not thread safe.
class Joined {
 public:
  /// Reads them. `plan` and `reading` outlive it. Errors: as read_rows().
  [[nodiscard]] static Result<std::unique_ptr<Joined>> read(const QueryPlan& plan,
                                                            Reading& reading);

  /// Calls `visit` with each row of the joined relations that `row`, of the first one, has; the
  /// row is of use during the call.
  [[nodiscard]] Result<bool> combine(std::span<const Value> row, const RecordPlace& place,
                                     const RowVisit& visit);

 private:
  struct Relation {
    const QueryJoin* join = nullptr;
    AnswerRows rows;  ///< the columns, those that are not read NULL
    std::unordered_map<std::string, std::vector<std::size_t>> by_key;
    std::vector<std::size_t> all;  ///< where there is no equation
  };

  Joined(const QueryPlan& plan, Reading& reading) : plan_(plan), reading_(reading) {}
  [[nodiscard]] Status load(const QueryJoin& join);
  [[nodiscard]] Result<bool> extend(std::size_t relation, const RecordPlace& place,
                                    const RowVisit& visit);
  /// The rows that may be partners; nullptr: there are none.
  [[nodiscard]] Result<const std::vector<std::size_t>*> candidates(const Relation& relation,
                                                                   const RecordPlace& place);

  const QueryPlan& plan_;
  Reading& reading_;
  std::vector<Relation> relations_;
  std::size_t bytes_ = 0;  ///< of all relations that are read, but the one at hand
  std::vector<Value> row_;
  Arena arena_;
  std::string key_;
};

}  // namespace runnel::storage::views
