#include "storage/views/plan/program.h"

#include "storage/views/expr/node.h"

namespace runnel::storage::views {

Program::Program(std::shared_ptr<const Compiled> compiled)
    : compiled_(std::move(compiled)), type_(compiled_->root->type), column_(compiled_->column) {}

RowError Program::evaluate(std::span<const Value> row, Arena& arena, Value& out) const {
  if (column_) {
    RUNNEL_ASSERT(*column_ < row.size());
    out = row[*column_];
    return RowError::kNone;
  }
  std::uint64_t steps = kMaxSearchSteps;
  Context context{row, arena, steps};
  const RowError why = run(*compiled_->root, context, out);
  if (why != RowError::kNone) out = Value::null();
  return why;
}

bool Program::same_as(const Program& other) const {
  if (!compiled_ || !other.compiled_) return compiled_ == other.compiled_;
  return same_nodes(*compiled_->root, *other.compiled_->root);
}

std::span<const Slot> Program::slots() const noexcept {
  return compiled_ ? std::span<const Slot>(compiled_->slots) : std::span<const Slot>();
}

}  // namespace runnel::storage::views
