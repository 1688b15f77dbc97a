// Questions: SELECT over views, tables and topics, and what explains them. On the caller's thread;
// nothing here changes anything.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string_view>

#include "storage/views/query/answer.h"
#include "storage/views/query/definitions.h"
#include "storage/views/sql/ast.h"

namespace runnel::storage::views {

inline constexpr std::size_t kMaxAnswerRows = 1'000'000;
inline constexpr std::size_t kMaxAnswerBytes = 64u << 20;

struct QueryLimits {
  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
  std::size_t max_rows = kMaxAnswerRows;
  /// Of what the query holds in memory at any time; of several statements with their answers.
  std::size_t max_bytes = kMaxAnswerBytes;
  /// Becomes true, on any thread, when nobody waits for the answer any more; null: never.
  std::shared_ptr<const std::atomic<bool>> cancelled{};
};

// Errors: kInvalidArgument with line and column, also for what is above the limits (and how to ask
// for less); kNotFound; kTimeout: the deadline passed; kCancelled; kCorrupt, kIo.

/// SELECT. `sql` is the statement's text. FROM takes a view, a table or a source (then the topic is
/// read from its start to its last stable offset).
[[nodiscard]] Result<Answer> run_query(const sql::Query& query, std::string_view sql,
                                       const ReadSnapshot& snapshot, const QueryLimits& limits);
/// EXPLAIN, or what would be explained. What would be done: which range of a view is read or that
/// all of it is, what is computed.
[[nodiscard]] Result<Answer> explain(const sql::Statement& statement, std::string_view sql,
                                     const ReadSnapshot& snapshot);
/// SHOW SOURCES, TABLES, VIEWS, STREAMS, ALL.
[[nodiscard]] Result<Answer> show(const sql::Show& statement, const ReadSnapshot& snapshot);
/// DESCRIBE: columns with types and roles (dimension, measure), options, state and counters.
[[nodiscard]] Result<Answer> describe(const sql::Describe& statement, const ReadSnapshot& snapshot);
/// VERIFY: folds the view's topic anew in memory, up to the snapshot's cursors, and compares. One
/// row: records folded, rows compared, rows that differ; and the first that do as notices. Also
/// kNotAvailable: the records that the view was made of are not all there any more.
[[nodiscard]] Result<Answer> verify(const sql::Verify& statement, const ReadSnapshot& snapshot,
                                    const QueryLimits& limits);

/// One group of a view by its whole key (the group columns in GROUP BY order): no rows where there
/// is none. Many questions at once: group_finder.h.
[[nodiscard]] Result<Answer> find_group(const Definition& view, std::span<const Value> key,
                                        const ReadSnapshot& snapshot,
                                        const QueryLimits& limits = {});

}  // namespace runnel::storage::views
