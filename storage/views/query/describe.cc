// SHOW and DESCRIBE.
#include "storage/views/engine/view_reader.h"
#include "storage/views/plan/max_ahead.h"
#include "storage/views/query/lookup.h"
#include "storage/views/query/query.h"
#include "storage/views/query/text_rows.h"

namespace runnel::storage::views {
namespace {

std::string_view state_of(const Definition& one) {
  if (one.failure) return "failed";
  if (one.paused) return "paused";
  if (one.building) return "building";
  return one.view || one.stream ? "running" : "";
}

/// What it reads from, joined tables included.
std::string input_of(const Definition& one) {
  if (!one.view && !one.stream) return one.source ? "topic " + one.source->topic : std::string();
  const SourcePlan& input = one.view ? one.view->source : one.stream->source;
  std::string names = (input.topic.empty() ? "view " : "source ") + input.name;
  for (const JoinPlan& join : one.view ? one.view->joins : one.stream->joins) {
    names += ", table " + join.table.name;
  }
  return names;
}

class Description {
 public:
  Description(const Definition& what, const ReadSnapshot& snapshot)
      : what_(what), snapshot_(snapshot) {}

  Result<Answer> make() {
    if (what_.view) {
      RUNNEL_TRY(of_view(*what_.view));
    } else if (what_.stream) {
      of_stream(*what_.stream);
    } else if (what_.source) {
      of_source(*what_.source);
    }
    state();
    rows_.add({"definition", "sql", "", "", what_.sql});
    return rows_.take();
  }

 private:
  void option(std::string_view name, std::string_view value) {
    rows_.add({"option", name, "", "", value});
  }
  void number(std::string_view section, std::string_view name, std::uint64_t value) {
    rows_.add({section, name, "", "", std::to_string(value)});
  }

  void of_source(const SourcePlan& source) {
    for (std::size_t i = 0; i < source.columns.size(); ++i) {
      const ColumnPlan& column = source.columns[i];
      bool key = false;
      for (const Slot slot : source.primary_key) key = key || slot == i;
      rows_.add({"column", column.name, name_of(column.type) + (column.not_null ? " NOT NULL" : ""),
                 source.table ? (key ? "primary key" : "attribute") : "fact", column.path_text});
    }
    for (const PseudoColumnRow& row : pseudo_columns()) {
      rows_.add({"pseudo-column", row.name, name_of(row.type), "", ""});
    }
    option("topic", source.topic);
    option("on_error", name_of(source.on_error));
    if (source.watermark) {
      option("watermark", source.columns[source.watermark->column].name + " less " +
                              span_text(source.watermark->delay_micros));
    }
  }

  void of_stream(const StreamPlan& stream) {
    for (const OutputPlan& output : stream.outputs) {
      rows_.add({"column", output.name, name_of(output.type), "", ""});
    }
    option("reads", input_of(what_));
    option("writes", "topic " + stream.topic);
  }

  Status of_view(const ViewPlan& view) {
    for (const OutputPlan& output : view.outputs) {
      const std::optional<Slot> column = output.program.column();
      std::string from;
      if (output.key) {
        from = "group column " + std::to_string(*output.key + 1);
      } else if (column) {
        const AggregatePlan& aggregate = view.aggregates[*column - view.keys.size()];
        from = aggregate.sql + ", " + exactness_of(aggregate);
      }
      rows_.add({"column", output.name, name_of(output.type), output.key ? "dimension" : "measure",
                 from});
    }
    option("reads", input_of(what_));
    if (view.window.kind != sql::WindowKind::kNone) {
      option("windows", window_text(view.window, view.source));
    }
    option("time_zone", view.options.time_zone);
    if (what_.over_view()) return {};
    option("retention", view.options.retention_micros ? span_text(*view.options.retention_micros)
                                                      : std::string("for ever"));
    option("late", name_of(view.options.late));
    if (view.source.watermark) {
      const std::int64_t ahead = view.options.max_ahead_micros;
      option("max_ahead", ahead == kNoMaxAhead ? std::string("none") : span_text(ahead));
    }
    option("max_groups", std::to_string(view.options.max_groups));
    option("backfill", view.options.backfill == Backfill::kEarliest ? "earliest" : "latest");
    if (view.options.backfill_rate) {
      option("backfill_rate", std::to_string(*view.options.backfill_rate));
    }
    if (view.options.changelog_topic) option("changelog_topic", *view.options.changelog_topic);
    return of_state(view);
  }

  Status of_state(const ViewPlan& view) {
    if (snapshot_.state == nullptr) return {};
    RUNNEL_TRY_ASSIGN(const auto reader, ViewReader::open(view, what_.id, *snapshot_.state));
    for (const auto& [partition, cursor] : reader->cursors()) {
      rows_.add({"position", view.source.topic + "-" + std::to_string(partition), "", "",
                 std::to_string(cursor.next)});
    }
    const Counters sum = reader->totals();
    number("counter", "records", sum.records);
    number("counter", "applied", sum.applied);
    number("counter", "filtered", sum.filtered);
    number("counter", "late", sum.late);
    number("counter", "errors", sum.errors);
    number("counter", "late_updates", sum.late_updates);
    number("counter", "late_windows", sum.late_windows);
    number("counter", "overflows", sum.overflows);
    number("counter", "skipped", what_.skipped);
    number("state", "generation", what_.id.generation);
    number("state", "sequence", reader->sequence());
    if (reader->watermark() != kNoTime) {
      rows_.add({"state", "watermark", "", "", timestamp_to_text(reader->watermark())});
    }
    return {};
  }

  void state() {
    if (const std::string_view now = state_of(what_); !now.empty()) {
      rows_.add({"state", "state", "", "", now});
    }
    if (what_.failure) rows_.add({"state", "problem", "", "", what_.failure->message()});
  }

  const Definition& what_;
  const ReadSnapshot& snapshot_;
  TextRows rows_{"DESCRIBE", {"section", "name", "type", "role", "value"}};
};

}  // namespace

Result<Answer> show(const sql::Show& statement, const ReadSnapshot& snapshot) {
  TextRows rows("SHOW", {"name", "kind", "reads", "state", "problem"});
  for (const auto& [name, one] : snapshot.definitions->all()) {
    if (!statement.everything && one->kind != statement.kind) continue;
    rows.add({name, name_of(one->kind), input_of(*one), state_of(*one),
              one->failure ? one->failure->message() : ""});
  }
  return rows.take();
}

Result<Answer> describe(const sql::Describe& statement, const ReadSnapshot& snapshot) {
  RUNNEL_TRY_ASSIGN(const DefinitionRef what, find_definition(statement.name, snapshot));
  return Description(*what, snapshot).make();
}

}  // namespace runnel::storage::views
