// EXPLAIN: what a statement reads and computes.
#include <algorithm>

#include "storage/views/query/lookup.h"
#include "storage/views/query/reading.h"
#include "storage/views/query/text_rows.h"

namespace runnel::storage::views {
namespace {

std::string value_text(const Value& value) {
  const bool quoted =
      value.tag() == Tag::kText || value.tag() == Tag::kTimestamp || value.tag() == Tag::kDate;
  return quoted ? "'" + to_string(value) + "'" : to_string(value);
}

/// "campaign = 'sea' and window_start >= '2026-...'".
std::string range_text(const ViewPlan& view, const ReadRange& range) {
  std::vector<const KeyPlan*> stored;
  for (const KeyPlan& key : view.keys) {
    const bool session = view.window.kind == sql::WindowKind::kSession;
    if (!session || key.role == KeyRole::kExpression) stored.push_back(&key);
  }
  std::string text;
  const auto add = [&](const KeyPlan& key, std::string_view op, const Value& value) {
    text += (text.empty() ? "" : " and ") + key.name + std::string(op) + value_text(value);
  };
  const std::size_t next = range.prefix.size();
  for (std::size_t i = 0; i < next; ++i) add(*stored[i], " = ", range.prefix[i]);
  if (range.from) add(*stored[next], " >= ", *range.from);
  if (range.before) add(*stored[next], " < ", *range.before);
  return text;
}

std::string key_list(const std::vector<KeyPlan>& keys) {
  std::string text;
  for (const KeyPlan& key : keys) text += (text.empty() ? "" : ", ") + key.name;
  return text;
}

class Explanation {
 public:
  explicit Explanation(const ReadSnapshot& snapshot) : snapshot_(snapshot) {}

  Status of_query(const sql::Query& query) {
    if (query.beyond) {
      line(
          "copies what is read into SQLite, in memory, which answers: it has subqueries, WITH, "
          "UNION or OVER; DECIMAL columns can't be computed with there");
      return {};
    }
    RUNNEL_TRY_ASSIGN(const auto zone, zone_of(query, *snapshot_.definitions));
    RUNNEL_TRY_ASSIGN(const QueryPlan plan, bind_query(query, *snapshot_.definitions, zone));
    if (plan.source) RUNNEL_TRY(of_source(*plan.source, plan.bounds, 0));
    for (const QueryJoin& join : plan.joins) {
      line(std::string(join.left ? "left join" : "join") + " with " + join.source.name +
           (join.equations.empty() ? ", every row with every row:" : ", by a hash in memory:"));
      indent_ += 2;
      RUNNEL_TRY(of_source(join.source, {}, 0));
      indent_ -= 2;
    }
    if (plan.window.kind != sql::WindowKind::kNone) {
      line("windows: " + window_text(plan.window, *plan.source));
    }
    if (query.where) line("keep what passes: " + sql::to_sql(*query.where));
    of_groups(plan.grouped, plan.keys, plan.aggregates);
    if (query.having) line("keep groups that pass: " + sql::to_sql(*query.having));
    if (plan.distinct) line("each row once");
    if (!plan.order.empty()) {
      std::string order;
      for (const sql::OrderItem& item : query.order_by) {
        order += (order.empty() ? "" : ", ") + sql::to_sql(*item.expression) +
                 (item.descending ? " DESC" : "");
      }
      line("in order of: " + order +
           (plan.limit ? ", the first " + std::to_string(*plan.limit) + " kept" : ""));
    } else if (plan.limit) {
      line("stops after " + std::to_string(*plan.limit) + " rows");
    }
    if (plan.offset > 0) line("leaves out the first " + std::to_string(plan.offset));
    std::string columns;
    for (const OutputPlan& output : plan.outputs) {
      columns += (columns.empty() ? "" : ", ") + output.name + " " + name_of(output.type);
    }
    line("columns: " + columns);
    return {};
  }

  Status of_view(const sql::CreateView& statement, std::string_view sql) {
    RUNNEL_TRY_ASSIGN(const ViewPlan plan, bind_view(statement, sql, *snapshot_.definitions));
    const sql::Query& query = statement.query;
    of_input(plan.source, plan.joins, plan.slots_read);
    if (plan.window.kind != sql::WindowKind::kNone) {
      line("windows: " + window_text(plan.window, plan.source));
    }
    if (query.where) line("keep what passes: " + sql::to_sql(*query.where));
    of_groups(true, plan.keys, plan.aggregates);
    if (query.having) line("shows groups that pass: " + sql::to_sql(*query.having));
    if (plan.source.topic.empty()) {
      line("has no state: it is computed from the other view's rows whenever it is read");
      return {};
    }
    if (!plan.keys.empty()) {
      line("stored in the order of: " + key_list(plan.keys));
      line(
          "a range is read where WHERE says = of the first of these columns, and = or a range of "
          "the one behind; else all groups are");
    }
    if (plan.source.watermark) {
      line("late: behind the partition's greatest " +
           plan.source.columns[plan.source.watermark->column].name + " less " +
           span_text(plan.source.watermark->delay_micros) + "; then " +
           std::string(name_of(plan.options.late)));
    }
    line("kept: " +
         (plan.options.retention_micros ? span_text(*plan.options.retention_micros)
                                        : std::string("for ever")) +
         ", at most " + std::to_string(plan.options.max_groups) + " groups a partition");
    return {};
  }

  Status of_stream(const sql::CreateStream& statement, std::string_view sql) {
    RUNNEL_TRY_ASSIGN(const StreamPlan plan, bind_stream(statement, sql, *snapshot_.definitions));
    of_input(plan.source, plan.joins, plan.slots_read);
    if (statement.query.where) {
      line("keep what passes: " + sql::to_sql(*statement.query.where));
    }
    line("each record becomes one of topic " + plan.topic + ", with the cursor in one commit");
    return {};
  }

  [[nodiscard]] Answer take() { return rows_.take(); }

 private:
  void line(const std::string& text) { rows_.add({std::string(indent_, ' ') + text}); }

  /// What a query reads; of views of views also what they read.
  Status of_source(const SourcePlan& source, std::span<const ColumnBounds> bounds, int depth) {
    constexpr int kMaxDepth = 16;
    if (!source.topic.empty()) {
      line(std::string(source.table ? "reads the newest records of each key of topic "
                                    : "reads topic ") +
           source.topic + " from its start up to its last stable offsets");
      return {};
    }
    const DefinitionRef view = snapshot_.definitions->find(source.name);
    if (view == nullptr || view->view == nullptr || depth > kMaxDepth) return {};
    if (view->over_view()) {
      line("computes view " + source.name + ":");
      indent_ += 2;
      RUNNEL_TRY(of_source(view->view->source, {}, depth + 1));
      of_groups(true, view->view->keys, view->view->aggregates);
      indent_ -= 2;
      return {};
    }
    const std::vector<ReadRange> ranges = ranges_of(*view->view, bounds);
    if (ranges.size() == 1 && range_text(*view->view, ranges.front()).empty()) {
      line("reads view " + source.name + ": scan of all groups");
      return {};
    }
    constexpr std::size_t kMostShown = 5;
    for (std::size_t i = 0; i < std::min(ranges.size(), kMostShown); ++i) {
      line("reads view " + source.name + ": range " + range_text(*view->view, ranges[i]));
    }
    if (ranges.size() > kMostShown) {
      line("and " + std::to_string(ranges.size() - kMostShown) + " ranges more");
    }
    return {};
  }

  /// What a view or a stream reads.
  void of_input(const SourcePlan& source, const std::vector<JoinPlan>& joins,
                const std::vector<Slot>& slots) {
    std::string read;
    for (const Slot slot : slots) {
      if (slot > source.window_end_slot()) continue;
      read += (read.empty() ? "" : ", ") + slot_name(source, slot);
    }
    const std::string from = source.topic.empty() ? "view " + source.name : "topic " + source.topic;
    line("reads " + from + (read.empty() ? "" : ": " + read));
    for (const JoinPlan& join : joins) {
      line(std::string(join.left ? "left join" : "join") + " with table " + join.table.name +
           " of topic " + join.table.topic + " by its primary key");
      line(
          "  each record meets the row as of its event time, by the timestamps of the table's "
          "records; before a key's first row, that row");
    }
  }

  void of_groups(bool grouped, const std::vector<KeyPlan>& keys,
                 const std::vector<AggregatePlan>& aggregates) {
    if (!grouped) return;
    line(keys.empty() ? std::string("one group") : "dimensions: " + key_list(keys));
    for (const AggregatePlan& aggregate : aggregates) {
      line("measure: " + aggregate.sql + " " + name_of(aggregate.result) + ", " +
           exactness_of(aggregate));
    }
  }

  const ReadSnapshot& snapshot_;
  TextRows rows_{"EXPLAIN", {"plan"}};
  std::size_t indent_ = 0;
};

}  // namespace

Result<Answer> explain(const sql::Statement& statement, std::string_view sql,
                       const ReadSnapshot& snapshot) {
  if (const auto* const outer = std::get_if<sql::Explain>(&statement)) {
    return explain(*outer->statement, sql, snapshot);
  }
  Explanation explanation(snapshot);
  if (const auto* const query = std::get_if<sql::Query>(&statement)) {
    RUNNEL_TRY(explanation.of_query(*query));
  } else if (const auto* const view = std::get_if<sql::CreateView>(&statement)) {
    RUNNEL_TRY(explanation.of_view(*view, sql));
  } else if (const auto* const stream = std::get_if<sql::CreateStream>(&statement)) {
    RUNNEL_TRY(explanation.of_stream(*stream, sql));
  } else {
    return fail(ErrorCode::kInvalidArgument,
                "EXPLAIN explains SELECT, CREATE MATERIALIZED VIEW and INSERT INTO ... SELECT");
  }
  return explanation.take();
}

}  // namespace runnel::storage::views
