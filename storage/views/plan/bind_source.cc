#include <algorithm>
#include <charconv>

#include "storage/views/plan/scope.h"
#include "storage/views/sql/nearest.h"
#include "storage/views/sql/parser.h"
#include "storage/views/types/zone.h"

namespace runnel::storage::views {
namespace {

Result<Slot> column_slot(const SourcePlan& source, const sql::Name& name) {
  std::vector<std::string_view> names;
  for (std::size_t i = 0; i < source.columns.size(); ++i) {
    if (source.columns[i].name == name.text) return static_cast<Slot>(i);
    names.push_back(source.columns[i].name);
  }
  const auto meant = sql::nearest(name.text, names);
  return fail(
      error_at(name.place, "there is no column '" + name.text + "' in " + source.name +
                               (meant ? "; did you mean '" + std::string(*meant) + "'?" : "")));
}

Result<ColumnPlan> bind_column(const sql::SourceColumn& column) {
  for (const PseudoColumnRow& row : pseudo_columns()) {
    if (row.name != column.name.text) continue;
    return fail(error_at(column.name.place, "every source has a column " + column.name.text +
                                                " of its own; name this one otherwise"));
  }
  ColumnPlan plan;
  plan.name = column.name.text;
  plan.type = column.type;
  plan.not_null = column.not_null;
  if (column.path) {
    plan.path_text = *column.path;
    auto path = parse_json_path(*column.path);
    if (!path) return fail(error_at(column.name.place, path.error().message()));
    plan.path = std::move(*path);
  } else {
    plan.path_text = "$." + plan.name;
    plan.path.push_back({plan.name, std::nullopt});
  }
  return plan;
}

}  // namespace

Result<std::int64_t> micros_of(const sql::Interval& interval, sql::Place place,
                               std::string_view what) {
  if (interval.months != 0) {
    return fail(
        error_at(place, std::string(what) + " needs a fixed length; months have none, write days"));
  }
  std::int64_t micros = 0;
  std::int64_t days = 0;
  if (__builtin_mul_overflow(interval.millis, 1000, &micros) ||
      __builtin_mul_overflow(interval.days, kMicrosPerDay, &days) ||
      __builtin_add_overflow(micros, days, &micros) || micros < 0) {
    return fail(error_at(place, std::string(what) + " can't be below 0 or that long"));
  }
  return micros;
}

Result<SourcePlan> bind_source(const sql::CreateSource& statement) {
  SourcePlan plan;
  plan.name = statement.name.text;
  plan.topic = statement.topic;
  plan.table = statement.table;
  plan.on_error = statement.on_error;
  if (statement.columns.empty() || statement.columns.size() > kMaxColumns) {
    return fail(error_at(statement.name.place,
                         "a source has 1 to " + std::to_string(kMaxColumns) + " columns"));
  }
  for (const sql::SourceColumn& column : statement.columns) {
    RUNNEL_TRY_ASSIGN(ColumnPlan bound, bind_column(column));
    plan.columns.push_back(std::move(bound));
  }
  for (const sql::Name& name : statement.primary_key) {
    RUNNEL_TRY_ASSIGN(const Slot slot, column_slot(plan, name));
    if (std::find(plan.primary_key.begin(), plan.primary_key.end(), slot) !=
        plan.primary_key.end()) {
      return fail(error_at(name.place, "the key has " + name.text + " twice"));
    }
    plan.primary_key.push_back(slot);
  }
  if (statement.watermark) {
    const sql::Name& name = statement.watermark->column;
    SourcePlan::Watermark mark;
    RUNNEL_TRY_ASSIGN(mark.column, column_slot(plan, name));
    if (plan.columns[mark.column].type.kind != TypeKind::kTimestamp) {
      return fail(error_at(name.place, "a watermark goes by a TIMESTAMPTZ, and " + name.text +
                                           " is " + name_of(plan.columns[mark.column].type)));
    }
    RUNNEL_TRY_ASSIGN(mark.delay_micros,
                      micros_of(statement.watermark->delay, name.place, "a watermark's delay"));
    plan.watermark = mark;
  }
  if (!statement.options.empty()) {
    const sql::Name& name = statement.options.front().name;
    return fail(error_at(name.place,
                         "there is no option '" + name.text + "'; sources and tables have none"));
  }
  return plan;
}

// ---------------------------------------------------------------- options
namespace {

Result<std::uint64_t> count_of(const sql::Option& option) {
  std::uint64_t value = 0;
  const char* const end = option.value.data() + option.value.size();
  const auto [at, error] = std::from_chars(option.value.data(), end, value);
  if (error != std::errc{} || at != end || value == 0) {
    return fail(error_at(
        option.name.place,
        option.name.text + " needs a whole number above 0, and this is '" + option.value + "'"));
  }
  return value;
}

tl::unexpected<Error> wrong_word(const sql::Option& option, std::string_view words) {
  return fail(error_at(option.name.place, option.name.text + " is " + std::string(words) +
                                              ", and this is '" + option.value + "'"));
}

Status bind_late(const sql::Option& option, ViewOptions& options) {
  if (option.value == "update") {
    options.late = LatePolicy::kUpdate;
  } else if (option.value == "drop") {
    options.late = LatePolicy::kDrop;
  } else if (option.value == "dead-letter" || option.value == "dlq") {
    options.late = LatePolicy::kDeadLetter;
  } else {
    return wrong_word(option, "'update', 'drop' or 'dead-letter'");
  }
  return {};
}

Status bind_option(const sql::Option& option, ViewOptions& options) {
  const std::string& name = option.name.text;
  const sql::Place place = option.name.place;
  if (name == "retention") {
    const auto span = sql::parse_interval(option.value);
    if (!span) return fail(error_at(place, span.error().message()));
    RUNNEL_TRY_ASSIGN(const std::int64_t micros, micros_of(*span, place, "retention"));
    if (micros == 0) return fail(error_at(place, "a retention of nothing keeps nothing"));
    options.retention_micros = micros;
  } else if (name == "max_ahead") {
    const auto span = sql::parse_interval(option.value);
    if (!span) return fail(error_at(place, span.error().message()));
    RUNNEL_TRY_ASSIGN(options.max_ahead_micros, micros_of(*span, place, "max_ahead"));
  } else if (name == "late") {
    return bind_late(option, options);
  } else if (name == "max_groups") {
    RUNNEL_TRY_ASSIGN(options.max_groups, count_of(option));
  } else if (name == "time_zone") {
    const auto zone = Zone::find(option.value);
    if (!zone) return fail(error_at(place, zone.error().message()));
    options.time_zone = option.value;
  } else if (name == "backfill") {
    const bool latest = option.value == "latest";
    if (!latest && option.value != "earliest") {
      return wrong_word(option, "'earliest' or 'latest'");
    }
    options.backfill = latest ? Backfill::kLatest : Backfill::kEarliest;
  } else if (name == "backfill_rate") {
    RUNNEL_TRY_ASSIGN(options.backfill_rate, count_of(option));
  } else if (name == "changelog_topic") {
    if (option.value.empty()) return fail(error_at(place, "changelog_topic needs a topic's name"));
    options.changelog_topic = option.value;
  } else {
    const auto meant =
        sql::nearest(name, {"retention", "late", "max_ahead", "max_groups", "time_zone", "backfill",
                            "backfill_rate", "changelog_topic"});
    return fail(error_at(place, "there is no option '" + name + "'; " +
                                    (meant ? "did you mean '" + std::string(*meant) + "'?"
                                           : "there are retention, late, max_ahead, max_groups, "
                                             "time_zone, backfill, backfill_rate and "
                                             "changelog_topic")));
  }
  return {};
}

}  // namespace

Status bind_options(const std::vector<sql::Option>& given, ViewOptions& options) {
  for (const sql::Option& option : given) RUNNEL_TRY(bind_option(option, options));
  return {};
}

}  // namespace runnel::storage::views
