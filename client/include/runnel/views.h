// Materialised views: statements, point queries, reading one's own writes, pushed changes.
//
//   auto views = client->views();
//   auto made = views.sql("CREATE SOURCE gifts (campaign VARCHAR, amount DECIMAL(12,2)) "
//                         "ON TOPIC 'donations' FORMAT JSON;"
//                         "CREATE MATERIALIZED VIEW totals AS "
//                         "SELECT campaign, sum(amount) AS total FROM gifts GROUP BY
//                         campaign").get();
//   auto sea = views.get("totals", {"sea"}).get();
//   if (sea && sea->rows.size() == 1) std::cout << *sea->rows[0].text("total");
//
// All operations are asynchronous and thread safe. What only reads is sent again when the
// connection is lost; of sql() whose answer was lost the Failure says Action::maybe_persisted.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runnel/pending.h"
#include "runnel/types.h"

namespace runnel {

/// Every record of the partition before `next` is meant.
struct ViewPosition {
  TopicPartition target;
  std::int64_t next = 0;
  friend auto operator<=>(const ViewPosition&, const ViewPosition&) = default;
};

/// What a column of a view is: dimensions are what is grouped by, measures what is aggregated.
enum class ColumnRole : std::uint8_t { plain = 0, dimension = 1, measure = 2 };
struct ViewColumn {
  std::string name;
  std::string type;  ///< as SQL writes it, e.g. "DECIMAL(12,2)"
  ColumnRole role = ColumnRole::plain;
};

class ViewRows;

/// One row; lives as long as the rows it came from.
class RUNNEL_API ViewRow {
 public:
  [[nodiscard]] std::size_t size() const noexcept;
  /// The column's place, or size() where there is none of that name.
  [[nodiscard]] std::size_t column(std::string_view name) const noexcept;

  /// As SQL shows it: numbers exactly ("12.30"), instants in UTC ("2026-01-31T10:00:00Z"), JSON as
  /// it was written. nullopt: NULL, or no such column.
  [[nodiscard]] std::optional<std::string_view> text(std::size_t column) const noexcept;
  [[nodiscard]] std::optional<std::string_view> text(std::string_view name) const noexcept {
    return text(column(name));
  }
  /// T is bool, std::int64_t, double, std::string or Time (to the millisecond). nullopt: NULL, no
  /// such column, or no T.
  template <class T>
  [[nodiscard]] std::optional<T> get(std::size_t column) const;
  template <class T>
  [[nodiscard]] std::optional<T> get(std::string_view name) const {
    return get<T>(column(name));
  }
  /// A number with exactly so many digits behind the point as an integer: 12.30 with `digits` 2 is
  /// 1230. Money never goes through a double. nullopt also where that would lose a digit.
  [[nodiscard]] std::optional<std::int64_t> scaled(std::size_t column, int digits) const noexcept;
  [[nodiscard]] std::optional<std::int64_t> scaled(std::string_view name,
                                                   int digits) const noexcept {
    return scaled(column(name), digits);
  }

 private:
  friend class ViewRows;
  ViewRow(const ViewRows* rows, std::size_t row) : rows_(rows), row_(row) {}
  const ViewRows* rows_;
  std::size_t row_;
};

template <>
RUNNEL_API std::optional<bool> ViewRow::get(std::size_t column) const;
template <>
RUNNEL_API std::optional<std::int64_t> ViewRow::get(std::size_t column) const;
template <>
RUNNEL_API std::optional<double> ViewRow::get(std::size_t column) const;
template <>
RUNNEL_API std::optional<std::string> ViewRow::get(std::size_t column) const;
template <>
RUNNEL_API std::optional<Time> ViewRow::get(std::size_t column) const;

/// Rows of an answer, in its order. A cheap handle.
class RUNNEL_API ViewRows {
 public:
  ViewRows() = default;
  [[nodiscard]] std::size_t size() const noexcept;
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }
  /// `row` below size().
  [[nodiscard]] ViewRow operator[](std::size_t row) const noexcept { return {this, row}; }
  [[nodiscard]] const std::vector<ViewColumn>& columns() const noexcept;

  struct Impl;
  explicit ViewRows(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}

 private:
  friend class ViewRow;
  std::shared_ptr<const Impl> impl_;
};

/// What one statement answered.
struct ViewAnswer {
  std::string tag;  ///< what was done: "SELECT", "CREATE MATERIALIZED VIEW"
  ViewRows rows;    ///< without columns: the statement has none
  std::vector<std::string> notices;
  std::vector<ViewPosition> positions;  ///< how far what was read had come
  std::uint16_t generation = 0;
  /// With `generation`: as long as both stay, no row of the view that was read has changed, come or
  /// gone. `_final` changes with records that were not applied as well.
  std::uint64_t sequence = 0;
};

struct ViewQueryOptions {
  /// First the views of these topics have to have the records: positions of one's own writes.
  std::vector<ViewPosition> wait;
  std::chrono::milliseconds timeout{
      30'000};                         ///< of waiting and working together, 5 minutes at most
  std::uint32_t max_rows = 1'000'000;  ///< more is Errc::invalid_argument
};

struct ViewState {
  enum class Kind : std::uint8_t { source, table, view, stream };
  enum class State : std::uint8_t { running, building, paused, failed };
  struct Counter {
    std::string name;
    std::uint64_t value = 0;
    std::string unit;
    std::string text;
  };
  std::string name;
  Kind kind = Kind::view;
  State state = State::running;
  std::string problem;  ///< of State::failed, or of what was to replace it
  std::vector<ViewPosition> applied;
  std::uint64_t lag = 0;  ///< records that it has not read yet
  /// records = applied + filtered + late + errors, and some more.
  std::vector<Counter> counters;
  std::uint64_t sequence = 0;
  /// What its readers have to know: that records were removed from the log before it read them,
  /// say.
  std::string notice;
};

enum class RowChange : std::uint8_t {
  deleted = 0,   ///< the group has no row (any more); only dimensions are filled
  replaced = 1,  ///< the group's row, instead of what it had before
  added = 2,     ///< one more row of the group before it: views of sessions
};

/// What a subscription tells. Apply `rows` in order to what is kept by `key`.
struct ViewChange {
  enum class Kind : std::uint8_t {
    snapshot = 0,  ///< rows as they are
    delta = 1,     ///< rows that changed
    reset = 2,     ///< forget all rows; they come again, beginning with these
    progress = 3,  ///< no rows: positions
  };
  Kind kind = Kind::snapshot;
  std::uint16_t generation = 0;
  std::uint64_t sequence = 0;
  bool more = false;  ///< false: what was told is the view at `sequence`
  struct Mark {
    RowChange change = RowChange::replaced;
    std::string key;  ///< of the group; bytes to be compared
  };
  std::vector<Mark> marks;  ///< one a row
  ViewRows rows;
  std::vector<ViewPosition> positions;  ///< unless `more`
};

struct ViewSubscribeOptions {
  std::string view;
  std::string where;      ///< a condition over the view's columns, applied by the broker
  std::string statement;  ///< "SUBSCRIBE TO v WHERE ...", instead of the two
  enum class Mode : std::uint8_t {
    latest = 0,  ///< a group that changes faster than it is taken is told as it is then
    /// Each change of the view with the rows as they were behind it. What the broker writes at once
    /// is one change. Whoever is more than some megabytes of changes behind gets a reset.
    changes = 1,
  };
  Mode mode = Mode::latest;
  bool snapshot = true;   ///< begin with all rows
  bool progress = false;  ///< tell positions also where no row changed
  /// Go on behind a change that was told before, in another process too.
  struct After {
    std::uint16_t generation = 0;
    std::uint64_t sequence = 0;
  };
  std::optional<After> after;
  std::uint64_t credit_bytes = 1u << 20;  ///< most the broker sends ahead of the callback
};

/// Changes of a view pushed to a callback; in the mode `latest` a group that changes faster than
/// the callback returns is told with its newest row. Renewed when the connection was lost, with a
/// reset if it can't go on where it was. Destroying the last handle ends it.
class RUNNEL_API ViewSubscription {
 public:
  ViewSubscription() = default;
  /// No call of the callback begins after stop() returns, except when stop() is called by it.
  void stop();

  struct Impl;
  explicit ViewSubscription(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

 private:
  std::shared_ptr<Impl> impl_;
};

/// A cheap handle: copies are the same.
class RUNNEL_API Views {
 public:
  /// Statements separated by semicolons, which may change what there is; durable when answered. The
  /// first error ends it, and what came before it is done. Errors: invalid_argument with line and
  /// column, not_found, timeout, low_space, unsupported.
  Pending<std::vector<ViewAnswer>> sql(std::string text, ViewQueryOptions options = {});
  /// One statement that only reads; others are Errc::invalid_argument.
  Pending<ViewAnswer> query(std::string text, ViewQueryOptions options = {});
  /// One group by its key, the group columns' values in GROUP BY order (nullopt: NULL), as text():
  /// one row, or none. The quickest way.
  Pending<ViewAnswer> get(std::string view, std::vector<std::optional<std::string>> key,
                          ViewQueryOptions options = {});
  /// Answers when the view has the records; without one, when all that are running on these topics
  /// have. Errc::timeout. Errc::not_found.
  Pending<void> wait_applied(std::vector<ViewPosition> positions, std::string view = {},
                             std::chrono::milliseconds timeout = std::chrono::seconds(30));
  /// Views and streams, by name. (SHOW ALL lists sources and tables, too.)
  Pending<std::vector<ViewState>> list();
  /// Calls `on_change` on the I/O thread; a Failure is the last call. Answers once the broker has
  /// accepted.
  Pending<ViewSubscription> subscribe(ViewSubscribeOptions options,
                                      std::function<void(Outcome<ViewChange>)> on_change);

  struct Impl;
  explicit Views(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

 private:
  std::shared_ptr<Impl> impl_;
};

}  // namespace runnel
