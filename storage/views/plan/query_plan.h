// A SELECT that is bound: what is read, what of it passes, how it is grouped and put in order.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "storage/views/plan/bind.h"
#include "storage/views/types/zone.h"

namespace runnel::storage::views {

/// What WHERE asks of a column, as far as a range of keys or offsets can say it; WHERE itself holds
/// too. The programs are constants of the column's type.
struct ColumnBounds {
  Slot slot = 0;
  std::vector<Program> any;       ///< it is one of them; empty: nothing is said
  Program from;                   ///< it is this or greater; may be empty
  Program upto;                   ///< it is at most this; may be empty
  bool upto_is_excluded = false;  ///< it is less than `upto`
};

struct OrderPlan {
  Program program;  ///< over the row that the outputs are computed from
  bool descending = false;
  bool nulls_first = false;
  sql::Place place;
};

/// JOIN: the rows of another relation beside each row of those before it.
struct QueryJoin {
  SourcePlan source;
  bool left = false;    ///< a row without a partner is kept, the other's columns NULL
  Slot first_slot = 0;  ///< of its columns in the input row
  Program on;           ///< over the input row up to its columns
  /// What `on` says in any case: a column of `source` is the value of an expression over what
  /// stands before it, as that column's type.
  struct Equation {
    Slot column = 0;  ///< of `source`
    Program value;
  };
  std::vector<Equation> equations;
  sql::Place place;  ///< of ON
};

/// The input row is ViewPlan's, with the joined relations' columns for its tables'. The row that
/// outputs and order read is the input row, or of a grouped query the group keys and then the
/// aggregates.
struct QueryPlan {
  std::optional<SourcePlan> source;  ///< none: one row without columns
  std::vector<QueryJoin> joins;
  WindowPlan window;
  Program filter;
  std::vector<ColumnBounds> bounds;
  bool grouped = false;
  std::vector<KeyPlan> keys;
  std::vector<AggregatePlan> aggregates;
  Program having;
  std::vector<OutputPlan> outputs;  ///< names are unique; `key` is of no use
  std::vector<sql::Place> places;   ///< of the outputs
  bool distinct = false;
  std::vector<OrderPlan> order;
  std::optional<std::uint64_t> limit;
  std::uint64_t offset = 0;
  std::vector<Slot> slots_read;  ///< of the input row, sorted, each once
  sql::Place where_place;
  sql::Place having_place;

  /// Width of the input row.
  [[nodiscard]] std::size_t row_slots() const noexcept;
  [[nodiscard]] bool reads(Slot slot) const noexcept;
};

/// FROM takes sources, tables and views; `zone` is what local times and dates go by. Errors as
/// bind.h's.
[[nodiscard]] Result<QueryPlan> bind_query(const sql::Query& query, const Catalog& catalog,
                                           const std::shared_ptr<const Zone>& zone);

}  // namespace runnel::storage::views
