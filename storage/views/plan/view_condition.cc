#include "storage/views/plan/view_condition.h"

#include "storage/views/expr/compile.h"
#include "storage/views/sql/nearest.h"
#include "storage/views/sql/parser.h"
#include "storage/views/types/zone.h"

namespace runnel::storage::views {

Result<Slot> find_output(const ViewPlan& view, std::string_view name, FinalColumn with_final) {
  std::vector<std::string_view> names;
  for (std::size_t i = 0; i < view.outputs.size(); ++i) {
    names.push_back(view.outputs[i].name);
    if (names.back() == name) return static_cast<Slot>(i);
  }
  if (with_final == FinalColumn::kYes && name == kFinalColumn) {
    return static_cast<Slot>(view.outputs.size());
  }
  const auto meant = sql::nearest(name, names);
  return fail(ErrorCode::kInvalidArgument,
              "view '" + view.name + "' has no column '" + std::string(name) + "'" +
                  (meant ? "; did you mean '" + std::string(*meant) + "'?" : std::string()));
}

Result<Program> compile_condition(const ViewPlan& view, std::string_view text,
                                  FinalColumn with_final) {
  if (text.empty()) return Program();
  RUNNEL_TRY_ASSIGN(const auto expression, sql::parse_expression(text));
  RUNNEL_TRY_ASSIGN(auto zone, Zone::find(view.options.time_zone));
  const auto column = [&](const sql::ColumnRef& name, sql::Place place) -> Result<Bound> {
    const bool foreign = !name.qualifier.empty() && name.qualifier != view.name;
    const auto slot =
        find_output(view, foreign ? name.qualifier + "." + name.name : name.name, with_final);
    if (!slot) return fail(sql::error_at(place, slot.error().message()));
    const bool is_final = *slot == view.outputs.size();
    return bound_column(*slot, is_final ? boolean_type() : view.outputs[*slot].type);
  };
  Compiler compiler(column, std::move(zone));
  return compiler.condition(*expression, "WHERE");
}

}  // namespace runnel::storage::views
