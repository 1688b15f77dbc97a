#include "storage/views/engine/written_state.h"

namespace runnel::storage::views {

WrittenState::WrittenState(const StateReader& store, const StateWrites& writes) : store_(store) {
  writes.for_each(
      [&](std::string_view key, std::string_view value) { changes_.insert_or_assign(key, value); },
      [&](std::string_view key) { changes_.insert_or_assign(key, std::nullopt); });
}

Result<bool> WrittenState::get(std::string_view key, std::string& value) const {
  const auto change = changes_.find(key);
  if (change == changes_.end()) return store_.get(key, value);
  if (!change->second) return false;
  value = *change->second;
  return true;
}

Status WrittenState::scan(std::string_view begin, std::string_view end, const Visit& visit) const {
  auto change = changes_.lower_bound(begin);
  const auto behind = end.empty() ? changes_.end() : changes_.lower_bound(end);
  bool going_on = true;
  const auto step = [&] {
    if (change->second) going_on = visit(change->first, *change->second);
    ++change;
  };
  RUNNEL_TRY(store_.scan(begin, end, [&](std::string_view key, std::string_view value) {
    while (going_on && change != behind && change->first < key) step();
    if (!going_on) return false;
    if (change != behind && change->first == key) {
      step();
    } else {
      going_on = visit(key, value);
    }
    return going_on;
  }));
  while (going_on && change != behind) step();
  return {};
}

}  // namespace runnel::storage::views
