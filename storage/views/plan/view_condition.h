// Conditions over a view's columns, as subscriptions and pages of its rows have them.
#pragma once

#include <string_view>

#include "storage/views/plan/plan.h"

namespace runnel::storage::views {

enum class FinalColumn : std::uint8_t { kNo, kYes };

/// `text` is one SQL expression; its columns are the view's outputs, at their slots, and with
/// kYes kFinalColumn behind them. Local times are the view's. Empty text: an empty program.
/// kInvalidArgument with line and column within `text`.
[[nodiscard]] Result<Program> compile_condition(const ViewPlan& view, std::string_view text,
                                                FinalColumn with_final);

/// The output of that name; kInvalidArgument, with the nearest one.
[[nodiscard]] Result<Slot> find_output(const ViewPlan& view, std::string_view name,
                                       FinalColumn with_final);

}  // namespace runnel::storage::views
