// Binds a grouped SELECT, of views and of queries; private to bind_*.cc. The input row is what FROM
// gives; the output row is the group keys, then the aggregates.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "storage/views/plan/scope.h"

namespace runnel::storage::views {

struct GroupPlan {
  Program filter;
  std::vector<KeyPlan> keys;
  std::vector<AggregatePlan> aggregates;
  Program having;
};

class GroupBinder {
 public:
  /// All of them outlive it; `what` begins errors: "a view".
  GroupBinder(const sql::Query& query, const BoundFrom& from, std::shared_ptr<const Zone> zone,
              std::string_view what);
  GroupBinder(const GroupBinder&) = delete;
  GroupBinder& operator=(const GroupBinder&) = delete;

  /// WHERE and GROUP BY.
  [[nodiscard]] Status bind_input();
  /// A column over the output row; it names the group key that it is.
  [[nodiscard]] Result<OutputPlan> bind_output(const sql::Expression& expression, std::string name);
  [[nodiscard]] Status bind_having();
  /// Over the output row, for what else there is.
  [[nodiscard]] Compiler& output() { return output_; }
  /// The group key that an expression over the input is; nothing: it is none.
  [[nodiscard]] std::optional<Bound> key_of(const sql::Expression& part);
  [[nodiscard]] GroupPlan take() { return std::move(plan_); }

 private:
  [[nodiscard]] Result<const sql::Expression*> key_expression(const sql::Expression& written);
  [[nodiscard]] Status bind_key(const sql::Expression& written);
  [[nodiscard]] Status check_windowed() const;
  /// A session's start and end are known when it is over: what is computed of each event can't
  /// read them.
  [[nodiscard]] Status check_session(const Program& program, sql::Place place) const;
  [[nodiscard]] Result<std::optional<Bound>> grouped(const sql::Expression& part);
  [[nodiscard]] Result<Slot> slot_of(AggregatePlan aggregate, sql::Place place);
  [[nodiscard]] Result<Bound> ungrouped(const sql::ColumnRef& column, sql::Place place) const;

  const sql::Query& query_;
  const BoundFrom& from_;
  const Scope& scope_;
  const std::string what_;
  GroupPlan plan_;
  Compiler where_;
  Compiler keys_;
  Compiler arguments_;
  Compiler output_;
};

}  // namespace runnel::storage::views
