#include <algorithm>

#include "storage/views/query/reading.h"

namespace runnel::storage::views {

Result<Answer> find_group(const Definition& view, std::span<const Value> key,
                          const ReadSnapshot& snapshot) {
  const ViewPlan& plan = *view.view;
  if (key.size() != plan.keys.size()) {
    return fail(ErrorCode::kInvalidArgument,
                "a group of view " + view.name + " has " + std::to_string(plan.keys.size()) +
                    " columns, and " + std::to_string(key.size()) + " were given");
  }
  // A session's start and end stand behind the others: they are looked at below.
  const bool session = plan.window.kind == sql::WindowKind::kSession;
  ReadRange range;
  for (std::size_t i = 0; i < key.size(); ++i) {
    if (session && plan.keys[i].role != KeyRole::kExpression) continue;
    range.prefix.push_back(key[i]);
  }
  std::vector<Slot> slots(plan.outputs.size());
  for (std::size_t i = 0; i < slots.size(); ++i) slots[i] = static_cast<Slot>(i);
  Answer answer;
  answer.tag = "SELECT";
  answer.rows = AnswerRows(plan.outputs.size());
  for (const OutputPlan& output : plan.outputs) {
    answer.columns.push_back(
        {output.name, output.type, output.key ? ColumnRole::kDimension : ColumnRole::kMeasure});
  }
  const QueryLimits limits;
  Reading reading(snapshot, limits);
  RUNNEL_TRY(read_groups(view, std::span(&range, 1), slots, reading,
                         [&](std::span<const Value> groups, std::span<Value> row) -> Result<bool> {
                           if (!std::equal(key.begin(), key.end(), groups.begin())) return true;
                           if (reading.unsound) return fail(reading.unsound->error);
                           answer.rows.add(row.first(slots.size()));
                           return false;
                         }));
  answer.positions = reading.take_positions();
  answer.generation = reading.generation;
  answer.sequence = reading.sequence;
  answer.notices = std::move(reading.notices);
  return answer;
}

}  // namespace runnel::storage::views
