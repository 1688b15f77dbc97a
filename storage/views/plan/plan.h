// What a bound statement is for the engine. Names are slots here, types are checked, expressions
// are programs; nothing below knows SQL text.
//
// The input row of a view (what its filter, group keys and aggregate arguments read):
//
//   [0, columns)            the source's columns, as declared
//   [columns, +kPseudoColumns)  _key _partition _offset _event_time _ingest_time _headers
//   [.., +2)                window_start, window_end: set by the engine, one row a window
//   [.., +table columns)    of each joined table, in order
//
// Only the slots in `slots_read` have to be filled. Its output row (what HAVING and the output
// columns read) is: the group keys in GROUP BY order, then the aggregates.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/views/plan/program.h"

namespace runnel::storage::views {

// ---------------------------------------------------------------- sources
/// A step of a JSON path: a member's key or, where `index` is set, an array's element from 0.
struct PathStep {
  std::string key;
  std::optional<std::uint32_t> index;
  friend bool operator==(const PathStep&, const PathStep&) = default;
};
/// '$', '$.a.b', '$.items[0].price', '$."a key"'. kInvalidArgument: what is wrong, and where.
[[nodiscard]] Result<std::vector<PathStep>> parse_json_path(std::string_view text);

struct ColumnPlan {
  std::string name;
  Type type;
  std::string path_text;  ///< as errors and dead-letter records name it
  std::vector<PathStep> path;
  bool not_null = false;
};

enum class PseudoColumn : std::uint8_t {
  kKey = 0,         ///< VARCHAR; NULL where the record has none, or one that is no UTF-8
  kPartition = 1,   ///< BIGINT
  kOffset = 2,      ///< BIGINT
  kEventTime = 3,   ///< TIMESTAMPTZ: the watermark's column, or else the record's timestamp
  kIngestTime = 4,  ///< TIMESTAMPTZ: the record's timestamp
  kHeaders = 5,     ///< JSON: an object of strings
};
inline constexpr std::size_t kPseudoColumns = 6;
struct PseudoColumnRow {
  PseudoColumn column;
  std::string_view name;
  Type type;
};
[[nodiscard]] std::span<const PseudoColumnRow> pseudo_columns() noexcept;

/// Of a view's rows instead of those: BOOLEAN, the row's window is over. NULL without a window.
inline constexpr std::string_view kFinalColumn = "_final";

/// CREATE SOURCE or CREATE TABLE; or, without a topic, the rows of a view.
struct SourcePlan {
  std::string name;
  std::string topic;
  bool table = false;
  std::vector<ColumnPlan> columns;
  std::vector<Slot> primary_key;  ///< of a table: columns
  struct Watermark {
    Slot column = 0;
    std::int64_t delay_micros = 0;
  };
  std::optional<Watermark> watermark;
  sql::OnError on_error = sql::OnError::kDeadLetter;

  [[nodiscard]] Slot slot_of(PseudoColumn column) const noexcept {
    return static_cast<Slot>(columns.size() + static_cast<std::size_t>(column));
  }
  /// Of a view's rows: kFinalColumn.
  [[nodiscard]] Slot final_slot() const noexcept { return static_cast<Slot>(columns.size()); }
  [[nodiscard]] Slot window_start_slot() const noexcept {
    return static_cast<Slot>(columns.size() + kPseudoColumns);
  }
  [[nodiscard]] Slot window_end_slot() const noexcept {
    return static_cast<Slot>(window_start_slot() + 1);
  }
  /// Width of the row without joined tables.
  [[nodiscard]] std::size_t row_slots() const noexcept {
    return static_cast<std::size_t>(window_end_slot()) + 1;
  }
};

// ---------------------------------------------------------------- views
/// TUMBLE(size), HOP(slide, size), SESSION(gap), CUMULATE(step, size). Starts go by the local clock
/// of `time_zone` for every size: an hourly chart begins at :00 there, whole weeks on Mondays. A
/// local time that the clock shows twice starts a window twice if the size is no longer than what
/// is repeated, so that no hour is lost; otherwise the first time. An interval is whole months, or
/// days and milliseconds, never both, and above 0; of a session it has no months.
struct WindowPlan {
  sql::WindowKind kind = sql::WindowKind::kNone;
  Slot time = 0;   ///< of type TIMESTAMPTZ, in the input row
  Interval size;   ///< of a session: the gap
  Interval slide;  ///< of HOP the slide, of CUMULATE the step: divides the size
  std::string time_zone;
};

enum class KeyRole : std::uint8_t { kExpression, kWindowStart, kWindowEnd };
struct KeyPlan {
  KeyRole role = KeyRole::kExpression;
  std::string name;  ///< of the output column that shows it, or its SQL
  Type type;
  Program program;  ///< over the input row; reads the window's slots where `role` says so
};

enum class AggregateKind : std::uint8_t {
  kCountRows,      ///< COUNT(*)
  kCount,          ///< of what is not NULL
  kCountDistinct,  ///< exact, capped
  kSum,            ///< BIGINT -> DECIMAL(38,0); DECIMAL(p,s) -> DECIMAL(38,s); DOUBLE -> DOUBLE
  kAvg,            ///< BIGINT, DECIMAL(p,s) -> DECIMAL(38, min(38, s + 6)); DOUBLE -> DOUBLE
  kMin,
  kMax,
  kBoolAnd,
  kBoolOr,
  kVarPop,  ///< these four: of DOUBLE (the binder casts), to DOUBLE
  kVarSamp,
  kStddevPop,
  kStddevSamp,
  kFirst,  ///< by (event time, partition, offset); NULLs count
  kLast,
  kArgMin,  ///< `argument` where `second` is least; equal ones by (event time, partition, offset)
  kArgMax,
  kApproxCountDistinct,  ///< -> BIGINT
  kApproxPercentile,     ///< of DOUBLE (cast), at `parameter` in [0, 1] -> DOUBLE
  kTopK,                 ///< `parameter` most frequent values -> JSON array
};
[[nodiscard]] std::string_view name_of(AggregateKind kind) noexcept;

struct AggregatePlan {
  AggregateKind kind = AggregateKind::kCountRows;
  Program argument;       ///< over the input row; empty: COUNT(*)
  Program second;         ///< of ARG_MIN, ARG_MAX
  Program filter;         ///< FILTER (WHERE ...); empty: every row
  bool distinct = false;  ///< of SUM, AVG: each value once
  double parameter = 0;
  Type result;
  std::string sql;  ///< as EXPLAIN shows it; also how two views share one aggregate
};

struct OutputPlan {
  std::string name;
  Type type;
  Program program;          ///< over the output row
  std::optional<Slot> key;  ///< it is this group key, unchanged: a dimension
};

/// FROM source JOIN table ON table.primary_key = expression over the source's columns.
struct JoinPlan {
  SourcePlan table;
  bool left = false;
  std::vector<Program> key;  ///< in the order of the table's primary key, over the input row
  Slot first_slot = 0;       ///< of the table's columns in the input row
};

enum class LatePolicy : std::uint8_t { kUpdate, kDrop, kDeadLetter };
enum class Backfill : std::uint8_t { kEarliest, kLatest };

/// Windows that one event can be in (HOP, CUMULATE).
inline constexpr std::int64_t kMaxWindowsPerEvent = 1000;
inline constexpr std::uint64_t kDefaultMaxGroups = 1'000'000;
/// Clocks differ by minutes, zones that were mistaken by hours; a day more is a mistake.
inline constexpr std::int64_t kDefaultMaxAheadMicros = 24 * 3'600'000'000;

struct ViewOptions {
  std::optional<std::int64_t> retention_micros;  ///< none: for ever
  LatePolicy late = LatePolicy::kUpdate;
  /// An event's time above its record's timestamp by more than this is an error: it would make all
  /// that is true late, and expire what is there. 0 or more.
  std::int64_t max_ahead_micros = kDefaultMaxAheadMicros;
  std::uint64_t max_groups = kDefaultMaxGroups;
  std::string time_zone = "UTC";
  Backfill backfill = Backfill::kEarliest;
  std::optional<std::uint64_t> backfill_rate;  ///< records a second
  std::optional<std::string> changelog_topic;
};

/// CREATE MATERIALIZED VIEW.
struct ViewPlan {
  std::string name;
  SourcePlan source;
  std::vector<JoinPlan> joins;
  Program filter;  ///< WHERE; empty: every row
  WindowPlan window;
  std::vector<KeyPlan> keys;  ///< none: one group, there from the beginning
  std::vector<AggregatePlan> aggregates;
  Program having;  ///< over the output row; empty: every group
  std::vector<OutputPlan> outputs;
  ViewOptions options;
  std::vector<Slot> slots_read;  ///< of the input row, sorted, each once
  std::string sql;               ///< the statement

  /// Width of the input row.
  [[nodiscard]] std::size_t row_slots() const noexcept;
};

/// INSERT INTO topic SELECT: a filter and columns over the input row, each passing record one
/// record of JSON.
struct StreamPlan {
  std::string topic;
  SourcePlan source;
  std::vector<JoinPlan> joins;
  Program filter;
  std::vector<OutputPlan> outputs;  ///< programs over the input row; `key` unset
  std::vector<Slot> slots_read;
  std::string sql;
};

}  // namespace runnel::storage::views
