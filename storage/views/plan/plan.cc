#include "storage/views/plan/plan.h"

#include <algorithm>
#include <array>

#include "storage/views/json/scan.h"

namespace runnel::storage::views {
namespace {

Error path_error(std::string_view text, std::size_t at, std::string_view what) {
  return Error(ErrorCode::kInvalidArgument, "the JSON path '" + std::string(text) + "' " +
                                                std::string(what) + " at character " +
                                                std::to_string(at + 1));
}

}  // namespace

Result<std::vector<PathStep>> parse_json_path(std::string_view text) {
  std::vector<PathStep> steps;
  if (!text.starts_with('$')) {
    return fail(path_error(text, 0, "has to begin with $, as '$.donor.name' does,"));
  }
  std::size_t at = 1;
  while (at < text.size()) {
    PathStep step;
    const char kind = text[at++];
    if (kind == '[') {
      const std::size_t close = text.find(']', at);
      constexpr std::size_t kMostDigits = 6;
      const std::string_view digits = text.substr(at, close - at);
      const bool number = close != std::string_view::npos && !digits.empty() &&
                          digits.size() <= kMostDigits &&
                          digits.find_first_not_of("0123456789") == std::string_view::npos;
      if (!number) return fail(path_error(text, at, "needs an index and ], as '[0]',"));
      step.index = static_cast<std::uint32_t>(std::stoul(std::string(digits)));
      at = close + 1;
    } else if (kind != '.') {
      return fail(path_error(text, at - 1, "needs a point or ["));
    } else if (at < text.size() && text[at] == '"') {
      const std::size_t close = text.find('"', at + 1);
      if (close == std::string_view::npos) {
        return fail(path_error(text, at, "has a quote without its end"));
      }
      step.key = text.substr(at + 1, close - at - 1);
      at = close + 1;
    } else {
      const std::size_t end = std::min(text.find_first_of(".[]", at), text.size());
      step.key = text.substr(at, end - at);
      if (step.key.empty()) return fail(path_error(text, at, "needs the name of a member"));
      at = end;
    }
    steps.push_back(std::move(step));
  }
  if (steps.size() > kMaxJsonDepth) {
    return fail(path_error(text, 0, "is deeper than any record may be,"));
  }
  if (!steps.empty() && steps.front().index) {
    return fail(path_error(text, 1, "begins with an index, but records are JSON objects,"));
  }
  return steps;
}

std::span<const PseudoColumnRow> pseudo_columns() noexcept {
  static constexpr std::array<PseudoColumnRow, kPseudoColumns> kRows{
      {{PseudoColumn::kKey, "_key", {TypeKind::kVarchar, 0, 0}},
       {PseudoColumn::kPartition, "_partition", {TypeKind::kBigint, 0, 0}},
       {PseudoColumn::kOffset, "_offset", {TypeKind::kBigint, 0, 0}},
       {PseudoColumn::kEventTime, "_event_time", {TypeKind::kTimestamp, 0, 0}},
       {PseudoColumn::kIngestTime, "_ingest_time", {TypeKind::kTimestamp, 0, 0}},
       {PseudoColumn::kHeaders, "_headers", {TypeKind::kJson, 0, 0}}}};
  return kRows;
}

std::string_view name_of(AggregateKind kind) noexcept {
  static constexpr std::array<std::string_view, 20> kNames{"count",
                                                           "count",
                                                           "count distinct",
                                                           "sum",
                                                           "avg",
                                                           "min",
                                                           "max",
                                                           "bool_and",
                                                           "bool_or",
                                                           "var_pop",
                                                           "var_samp",
                                                           "stddev_pop",
                                                           "stddev_samp",
                                                           "first",
                                                           "last",
                                                           "arg_min",
                                                           "arg_max",
                                                           "approx_count_distinct",
                                                           "approx_percentile",
                                                           "topk"};
  return kNames[static_cast<std::size_t>(kind)];
}

std::size_t ViewPlan::row_slots() const noexcept {
  std::size_t slots = source.row_slots();
  for (const JoinPlan& join : joins) slots += join.table.columns.size();
  return slots;
}

}  // namespace runnel::storage::views
