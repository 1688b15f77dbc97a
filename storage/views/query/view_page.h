// A view's rows as programs ask for them, without SQL: a part of its groups, a page at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "storage/views/query/query.h"

namespace runnel::storage::views {

/// Longest cursor: a group's key in base64.
inline constexpr std::size_t kMaxCursorBytes = 16u << 10;

struct PageRequest {
  std::string view;
  /// Values of the first group columns, in GROUP BY order, as read_cell() takes them.
  std::vector<std::string> key;
  /// Windows that start in [from, to); times as SQL has them, local ones on the view's clock.
  std::optional<std::string> from;
  std::optional<std::string> to;
  std::string where;                 ///< a condition over the columns, as SQL; empty: none
  std::vector<std::string> columns;  ///< empty: all of the view's
  struct Order {
    std::string column;
    bool descending = false;
  };
  std::vector<Order> order;  ///< empty: as the groups are stored, by the group columns
  std::uint64_t limit = 100;
  std::string cursor;  ///< RowsPage::next of the page before, which asked for the same
};

struct RowsPage {
  Answer answer;
  std::string next;  ///< cursor of the page behind this one; empty: there is none
};

/// One page. Without `order` it ends at `limit` rows or, with at least one row, at
/// `limits.max_bytes`; a group that changes meanwhile is in one page or the other, and all that
/// stay are in exactly one. With `order` its cursor counts rows: rows that change between two
/// pages may move from one to the other. NULL comes last, whatever the direction.
/// Errors: as query.h's.
[[nodiscard]] Result<RowsPage> read_page(const PageRequest& request, const ReadSnapshot& snapshot,
                                         const QueryLimits& limits);

/// What a view's rows are of: the same version, the same rows.
struct ViewVersion {
  ViewId id;
  std::uint64_t sequence = 0;
};
/// Quick: reads no rows. Nothing: the view is computed from another's rows and has none.
[[nodiscard]] Result<std::optional<ViewVersion>> version_of(const Definition& view,
                                                            const ReadSnapshot& snapshot);

/// The view of that name, with a plan. kNotFound, with the nearest name; kInvalidArgument: it is a
/// source, table or stream; why it can't be read.
[[nodiscard]] Result<DefinitionRef> find_view(const std::string& name,
                                              const ReadSnapshot& snapshot);
/// A group's key from texts, as read_cell() takes them; texts go to `arena`. `whole`: all of the
/// group columns have to be given.
[[nodiscard]] Result<std::vector<Value>> read_key(const ViewPlan& view,
                                                  const std::vector<std::string>& texts, bool whole,
                                                  Arena& arena);

/// The same as a condition over the view's columns, as SQL, for who takes no more than that.
/// kInvalidArgument: a group column is none of the view's columns.
[[nodiscard]] Result<std::string> condition_of_key(const ViewPlan& view,
                                                   const std::vector<std::string>& texts);

}  // namespace runnel::storage::views
