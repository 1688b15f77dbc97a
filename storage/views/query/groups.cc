#include "storage/views/query/groups.h"

#include <algorithm>

#include "storage/views/engine/distinct_values.h"
#include "storage/views/engine/key_encoding.h"

namespace runnel::storage::views {

Groups::Groups(const GroupingPlan& plan)
    : plan_(plan),
      aggregates_(plan.aggregates,
                  plan.window->kind == sql::WindowKind::kSession ? Aggregates::Sessions::kYes
                                                                 : Aggregates::Sessions::kNo,
                  kMaxDistinctValues) {}

Groups::State Groups::make_state(std::int64_t start) {
  State state{std::string(aggregates_.block_bytes(), '\0'), aggregates_.make_extras(), start};
  aggregates_.initialize(state.ref());
  bytes_ += sizeof state + state.block.capacity() + state.extras.memory_bytes();
  return state;
}

RowError Groups::encode(std::span<const Value> row) {
  key_.clear();
  for (const KeyPlan& key : plan_.keys) {
    // A session's stand behind the others: they are not known yet.
    if (is_session() && key.role != KeyRole::kExpression) continue;
    Value value;
    if (const RowError error = key.program.evaluate(row, arena_, value); error != RowError::kNone) {
      problem_ = key.name;
      return error;
    }
    encode_key(key.type, value, key_);
  }
  return RowError::kNone;
}

RowError Groups::evaluate(std::span<const Value> row) {
  const RowError error = aggregates_.evaluate(row, arena_, false, inputs_);
  if (error == RowError::kNone) return error;
  for (const AggregatePlan& aggregate : plan_.aggregates) {
    for (const Program* const part : {&aggregate.filter, &aggregate.argument, &aggregate.second}) {
      Value ignored;
      if (!*part || part->evaluate(row, arena_, ignored) == RowError::kNone) continue;
      problem_ = aggregate.sql;
      return error;
    }
  }
  return error;
}

RowError Groups::add(std::span<const Value> row, const RecordPlace& place,
                     std::int64_t session_time, std::int64_t gap) {
  arena_.clear();
  if (const RowError error = encode(row); error != RowError::kNone) return error;
  if (const RowError error = evaluate(row); error != RowError::kNone) return error;
  constexpr std::size_t kGroupBytes = 96;
  auto found = groups_.find(key_);
  if (found == groups_.end()) {
    found = groups_.emplace(key_, Group()).first;
    bytes_ += kGroupBytes + key_.size();
  }
  Group& group = found->second;
  if (group.empty() && !is_session()) group.push_back(make_state(0));
  State& state = is_session() ? session_at(group, session_time, gap) : group.front();
  if (!aggregates_.has_extras()) {
    aggregates_.add(state.ref(), inputs_, place);
    return RowError::kNone;
  }
  const std::size_t before = state.extras.memory_bytes();
  aggregates_.add(state.ref(), inputs_, place);
  bytes_ += state.extras.memory_bytes() - before;
  return RowError::kNone;
}

/// The session that a moment belongs to; those that it connects become one.
Groups::State& Groups::session_at(Group& group, std::int64_t time, std::int64_t gap) {
  const auto last_of = [](State& state) { return Aggregates::last_time(state.ref()); };
  const auto begin = std::partition_point(
      group.begin(), group.end(), [&](State& state) { return last_of(state) <= time - gap; });
  const auto end = std::partition_point(begin, group.end(),
                                        [&](State& state) { return state.start < time + gap; });
  if (begin == end) {
    const auto made = group.insert(begin, make_state(time));
    Aggregates::set_last_time(made->ref(), time);
    return *made;
  }
  const std::int64_t last = std::max(time, last_of(*std::prev(end)));
  for (auto other = std::next(begin); other != end; ++other) {
    aggregates_.merge(begin->ref(), other->ref());
  }
  begin->start = std::min(begin->start, time);
  Aggregates::set_last_time(begin->ref(), last);
  group.erase(std::next(begin), end);
  return *begin;
}

Result<bool> Groups::emit(std::string_view key, State& state, std::int64_t gap,
                          const Visit& visit) {
  arena_.clear();
  values_.clear();
  for (const KeyPlan& plan : plan_.keys) {
    Value& value = values_.emplace_back();
    if (is_session() && plan.role != KeyRole::kExpression) {
      const bool start = plan.role == KeyRole::kWindowStart;
      value = Value::timestamp(start ? state.start : Aggregates::last_time(state.ref()) + gap);
    } else if (!decode_key(plan.type, key, arena_, value)) {
      return fail(ErrorCode::kInvalidArgument, "the texts of a group are above 64 MB");
    }
  }
  GroupRow row;
  for (std::size_t i = 0; i < aggregates_.size(); ++i) {
    const RowError error = aggregates_.finish(i, state.ref(), arena_, values_.emplace_back());
    if (error == RowError::kNone || row.error != RowError::kNone) continue;
    row.error = error;
    row.failed = i;
  }
  row.values = values_;
  row.overflow = aggregates_.overflow(state.ref());
  return visit(row);
}

Status Groups::visit(std::int64_t gap, const Visit& visit) {
  std::vector<std::pair<std::string_view, Group*>> order;
  order.reserve(groups_.size());
  for (auto& [key, group] : groups_) order.emplace_back(key, &group);
  std::sort(order.begin(), order.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  for (const auto& [key, group] : order) {
    for (State& state : *group) {
      RUNNEL_TRY_ASSIGN(const bool going_on, emit(key, state, gap, visit));
      if (!going_on) return {};
    }
  }
  if (plan_.keys.empty() && groups_.empty()) {
    State nothing = make_state(0);
    RUNNEL_TRY(emit({}, nothing, gap, visit));
  }
  return {};
}

}  // namespace runnel::storage::views
