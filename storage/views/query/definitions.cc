#include "storage/views/query/definitions.h"

namespace runnel::storage::views {

SourcePlan rows_of(const ViewPlan& view) {
  SourcePlan rows;
  rows.name = view.name;
  for (const OutputPlan& output : view.outputs) {
    ColumnPlan& column = rows.columns.emplace_back();
    column.name = output.name;
    column.type = output.type;
  }
  return rows;
}

const SourcePlan* Definitions::find_source(std::string_view name) const {
  const auto found = all_.find(name);
  return found == all_.end() ? nullptr : found->second->source.get();
}

bool Definitions::is_view(std::string_view name) const {
  static_cast<void>(name);
  return false;
}

std::vector<std::string_view> Definitions::source_names() const {
  std::vector<std::string_view> names;
  for (const auto& [name, definition] : all_) {
    if (definition->source != nullptr) names.push_back(name);
  }
  return names;
}

DefinitionRef Definitions::find(std::string_view name) const {
  const auto found = all_.find(name);
  return found == all_.end() ? nullptr : found->second;
}

}  // namespace runnel::storage::views
