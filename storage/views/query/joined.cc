#include "storage/views/query/joined.h"

#include <algorithm>

#include "storage/views/engine/key_encoding.h"

namespace runnel::storage::views {
namespace {

constexpr std::size_t kEntryBytes = 96;

}  // namespace

Result<std::unique_ptr<Joined>> Joined::read(const QueryPlan& plan, Reading& reading) {
  std::unique_ptr<Joined> made(new Joined(plan, reading));
  for (const QueryJoin& join : plan.joins) RUNNEL_TRY(made->load(join));
  made->row_.resize(plan.row_slots());
  return made;
}

Status Joined::load(const QueryJoin& join) {
  const std::size_t width = join.source.columns.size();
  Relation relation;
  relation.join = &join;
  relation.rows = AnswerRows(width);
  // Its own columns count from 0.
  std::vector<Slot> slots;
  for (const Slot slot : plan_.slots_read) {
    if (slot < join.first_slot || slot >= join.first_slot + width) continue;
    slots.push_back(static_cast<Slot>(slot - join.first_slot));
  }
  std::vector<ColumnBounds> bounds;
  for (const ColumnBounds& bound : plan_.bounds) {
    if (bound.slot < join.first_slot || bound.slot >= join.first_slot + width) continue;
    bounds.push_back(bound);
    bounds.back().slot = static_cast<Slot>(bound.slot - join.first_slot);
  }
  std::size_t index_bytes = 0;
  const auto take = [&](std::span<Value> row, const RecordPlace&) -> Result<bool> {
    if (reading_.unsound) return fail(reading_.unsound->error);
    key_.clear();
    for (const QueryJoin::Equation& equation : join.equations) {
      // NULL equals nothing.
      if (row[equation.column].is_null() && !join.equations.empty()) return true;
      encode_key(join.source.columns[equation.column].type, row[equation.column], key_);
    }
    const std::size_t place = relation.rows.size();
    relation.rows.add(row.first(width));
    if (join.equations.empty()) {
      relation.all.push_back(place);
    } else {
      const auto [at, is_new] = relation.by_key.try_emplace(key_);
      at->second.push_back(place);
      index_bytes += is_new ? key_.size() + kEntryBytes : sizeof place;
    }
    RUNNEL_TRY(reading_.check_memory(bytes_ + relation.rows.bytes() + index_bytes));
    return true;
  };
  RUNNEL_TRY(read_rows(join.source, {slots, bounds}, reading_, take));
  bytes_ += relation.rows.bytes() + index_bytes;
  relations_.push_back(std::move(relation));
  return {};
}

Result<bool> Joined::combine(std::span<const Value> row, const RecordPlace& place,
                             const RowVisit& visit) {
  std::copy(row.begin(), row.end(), row_.begin());
  return extend(0, place, visit);
}

Result<const std::vector<std::size_t>*> Joined::candidates(const Relation& relation,
                                                           const RecordPlace& place) {
  const QueryJoin& join = *relation.join;
  if (join.equations.empty()) return &relation.all;
  key_.clear();
  for (const QueryJoin::Equation& equation : join.equations) {
    Value value;
    const RowError error = equation.value.evaluate(row_, arena_, value);
    if (error != RowError::kNone) {
      return fail(row_error_at(join.place, error, &*plan_.source, place));
    }
    if (value.is_null()) return nullptr;
    encode_key(join.source.columns[equation.column].type, value, key_);
  }
  const auto found = relation.by_key.find(key_);
  return found == relation.by_key.end() ? nullptr : &found->second;
}

Result<bool> Joined::extend(std::size_t number, const RecordPlace& place, const RowVisit& visit) {
  if (number == relations_.size()) return visit(row_, place);
  const Relation& relation = relations_[number];
  const QueryJoin& join = *relation.join;
  arena_.clear();
  RUNNEL_TRY_ASSIGN(const std::vector<std::size_t>* const places, candidates(relation, place));
  const auto columns = std::span(row_).subspan(join.first_slot, relation.rows.width());
  bool partner = false;
  for (std::size_t i = 0; places != nullptr && i < places->size(); ++i) {
    RUNNEL_TRY(reading_.check_time());
    const auto other = relation.rows[(*places)[i]];
    std::copy(other.begin(), other.end(), columns.begin());
    arena_.clear();
    bool holds = false;
    const RowError error = join.on.passes(row_, arena_, holds);
    if (error != RowError::kNone) {
      return fail(row_error_at(join.place, error, &*plan_.source, place));
    }
    if (!holds) continue;
    partner = true;
    RUNNEL_TRY_ASSIGN(const bool going_on, extend(number + 1, place, visit));
    if (!going_on) return false;
  }
  if (partner || !join.left) return true;
  std::fill(columns.begin(), columns.end(), Value::null());
  return extend(number + 1, place, visit);
}

}  // namespace runnel::storage::views
