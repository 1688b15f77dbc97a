// The columns that a SELECT sees, and its FROM; private to bind_*.cc.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "storage/views/expr/compile.h"
#include "storage/views/plan/bind.h"

namespace runnel::storage::views {

class Scope {
 public:
  /// The source's columns and pseudo-columns, known as `alias` too. The rows of a view have but
  /// kFinalColumn of these.
  void add_source(const SourcePlan& source, std::string_view alias);
  void add_window(const SourcePlan& source);
  void add_table(const SourcePlan& table, std::string_view alias, Slot first_slot);

  /// "line 1, column 8: there is no column 'amout'; did you mean 'amount'?"
  [[nodiscard]] Result<Bound> find(const sql::ColumnRef& column, sql::Place place) const;
  [[nodiscard]] bool has(const sql::ColumnRef& column) const;
  [[nodiscard]] Compiler::Columns lookup() const {
    return [this](const sql::ColumnRef& column, sql::Place place) { return find(column, place); };
  }
  struct Entry {
    std::string qualifier;
    std::string name;
    Slot slot = 0;
    Type type;
    bool hidden = false;  ///< not among the columns of a *
  };
  [[nodiscard]] const std::vector<Entry>& entries() const { return entries_; }

 private:
  [[nodiscard]] bool matches(const Entry& entry, const sql::ColumnRef& column) const {
    return entry.name == column.name &&
           (column.qualifier.empty() || entry.qualifier == column.qualifier);
  }

  std::vector<Entry> entries_;
};

/// A FROM with its joins.
struct BoundFrom {
  SourcePlan source;
  std::vector<JoinPlan> joins;
  WindowPlan window;
  Scope scope;
};
/// What a FROM may name: sources and views, or tables too; then its joins are left to the caller.
enum class Reads : std::uint8_t { kFacts, kAnything };
[[nodiscard]] Result<BoundFrom> bind_from(const sql::Query& query, const Catalog& catalog,
                                          const std::shared_ptr<const Zone>& zone,
                                          Reads reads = Reads::kFacts);

/// What `item` of a FROM or JOIN names.
[[nodiscard]] Result<const SourcePlan*> find_source(const sql::Name& name, const Catalog& catalog);
[[nodiscard]] std::string alias_of(const sql::FromItem& item);
/// The conditions of a WHERE or ON, all of which have to hold.
void conjuncts(const sql::Expression& condition, std::vector<const sql::Expression*>& out);

/// An aggregate's name; false: it is none.
[[nodiscard]] bool is_aggregate(std::string_view function);
/// Refuses what is no scalar function; suggests aggregates too.
[[nodiscard]] Status check_function(const sql::Call& call, sql::Place place);
/// Refuses aggregates where there can be none; `where` is "WHERE".
[[nodiscard]] Compiler::Special no_aggregates(std::string where);
/// An aggregate call over the columns that `input` sees.
[[nodiscard]] Result<AggregatePlan> bind_aggregate(const sql::Expression& expression,
                                                   const sql::Call& call, Compiler& input);
/// The name of a column that has no AS.
[[nodiscard]] std::string output_name(const sql::SelectItem& item);
/// Adds the slots that a program reads.
void add_slots(const Program& program, std::vector<Slot>& slots);
void sort_slots(std::vector<Slot>& slots);
/// Of an interval without months.
[[nodiscard]] Result<std::int64_t> micros_of(const sql::Interval& interval, sql::Place place,
                                             std::string_view what);

}  // namespace runnel::storage::views
