// What aggregates answer.
#include <bit>
#include <charconv>
#include <cmath>

#include "protocol/base/assert.h"
#include "storage/views/engine/aggregates.h"
#include "storage/views/engine/distinct_values.h"
#include "storage/views/engine/hyperloglog.h"
#include "storage/views/engine/key_encoding.h"
#include "storage/views/engine/log_histogram.h"
#include "storage/views/engine/state_block.h"
#include "storage/views/types/json_string.h"

namespace runnel::storage::views {
namespace {

RowError give(std::optional<Int128> unscaled, std::uint8_t scale, Value& out) {
  out = Value::null();
  if (!unscaled) return RowError::kOutOfRange;
  out = Value::decimal(*unscaled, scale);
  return RowError::kNone;
}

/// SUM and AVG of exact numbers at `scale`.
RowError finish_exact(const AggregatePlan& plan, std::uint64_t count, const WideSum& sum,
                      Value& out) {
  out = Value::null();
  if (count == 0) return RowError::kNone;
  const std::uint8_t scale = plan.argument.type().kind == TypeKind::kDecimal
                                 ? plan.argument.type().scale
                                 : std::uint8_t{0};
  if (plan.kind == AggregateKind::kSum) return give(sum.narrow(), scale, out);
  const std::uint8_t result = std::max(plan.result.scale, scale);
  return give(sum.divided(count, static_cast<unsigned>(result - scale)), result, out);
}

RowError finish_double(const AggregatePlan& plan, std::uint64_t count, double sum, Value& out) {
  out = Value::null();
  if (count == 0) return RowError::kNone;
  if (plan.kind == AggregateKind::kAvg) sum /= static_cast<double>(count);
  out = Value::number(sum);
  return RowError::kNone;
}

Value finish_moments(AggregateKind kind, const Moments& moments) {
  const bool sample = kind == AggregateKind::kVarSamp || kind == AggregateKind::kStddevSamp;
  const std::uint64_t least = sample ? 2 : 1;
  if (moments.count < least) return Value::null();
  const double variance = moments.squares / static_cast<double>(moments.count - (least - 1));
  const bool root = kind == AggregateKind::kStddevPop || kind == AggregateKind::kStddevSamp;
  return Value::number(root ? std::sqrt(variance) : variance);
}

void append_json(const Value& value, std::string& out) {
  if (value.tag() == Tag::kDouble && !std::isfinite(value.as_double())) {
    out += "null";
    return;
  }
  const bool bare = value.tag() == Tag::kBoolean || value.tag() == Tag::kBigint ||
                    value.tag() == Tag::kDouble || value.tag() == Tag::kDecimal;
  if (bare) {
    out += to_string(value);
    return;
  }
  append_json_string(to_string(value), out);
}

/// The most frequent values, of equally frequent ones the least first.
RowError finish_top(const AggregatePlan& plan, const DistinctValues& values, Arena& arena,
                    Value& out) {
  using Entry = std::pair<std::uint64_t, std::string_view>;
  std::vector<Entry> top;
  values.for_each_sorted(
      [&](std::string_view value, std::uint64_t count) { top.emplace_back(count, value); });
  std::stable_sort(top.begin(), top.end(),
                   [](const Entry& a, const Entry& b) { return a.first > b.first; });
  if (static_cast<double>(top.size()) > plan.parameter) {
    top.resize(static_cast<std::size_t>(plan.parameter));
  }
  std::string json = "[";
  for (const auto& [count, encoded] : top) {
    std::string_view rest = encoded;
    Value value;
    if (!decode_key(plan.argument.type(), rest, arena, value)) return RowError::kTooLarge;
    if (json.size() > 1) json += ',';
    append_json(value, json);
  }
  json += ']';
  char* const to = arena.allocate(json.size());
  if (to == nullptr) return RowError::kTooLarge;
  std::memcpy(to, json.data(), json.size());
  out = Value::text({to, json.size()});
  return RowError::kNone;
}

}  // namespace

RowError Aggregates::finish_distinct(const Slot& slot, const Sketch& sketch, Arena& arena,
                                     Value& out) const {
  const auto& values = static_cast<const DistinctValues&>(sketch);
  const AggregatePlan& plan = *slot.plan;
  if (plan.kind == AggregateKind::kTopK) return finish_top(plan, values, arena, out);
  if (plan.kind != AggregateKind::kSum && plan.kind != AggregateKind::kAvg) {
    out = Value::bigint(static_cast<std::int64_t>(values.size()));
    return RowError::kNone;
  }
  WideSum exact;
  std::byte approximate[kDoubleSumBytes]{};
  values.for_each_sorted([&](std::string_view encoded, std::uint64_t) {
    Value value;
    if (!decode_key(plan.argument.type(), encoded, arena, value)) return;
    if (value.tag() == Tag::kDouble) add_double(approximate, 1, value.as_double(), 0);
    if (value.tag() == Tag::kBigint) exact.add(value.as_bigint());
    if (value.tag() == Tag::kDecimal) exact.add(value.as_decimal());
  });
  if (plan.argument.type().kind == TypeKind::kDouble) {
    return finish_double(plan, values.size(), double_sum(approximate), out);
  }
  return finish_exact(plan, values.size(), exact, out);
}

RowError Aggregates::finish_sketch(const Slot& slot, const Sketch& sketch, Arena& arena,
                                   Value& out) const {
  switch (slot.plan->kind) {
    case AggregateKind::kApproxCountDistinct:
      out = Value::bigint(static_cast<const HyperLogLog&>(sketch).estimate());
      return RowError::kNone;
    case AggregateKind::kApproxPercentile: {
      const auto& histogram = static_cast<const LogHistogram&>(sketch);
      if (histogram.count() > 0) out = Value::number(histogram.percentile(slot.plan->parameter));
      return RowError::kNone;
    }
    default:
      return finish_distinct(slot, sketch, arena, out);
  }
}

RowError Aggregates::finish(std::size_t aggregate, const StateRef& state, Arena& arena,
                            Value& out) const {
  RUNNEL_ASSERT(aggregate < slots_.size());
  const Slot& slot = slots_[aggregate];
  const std::byte* const at = state.block + slot.at;
  out = Value::null();
  switch (slot.kernel) {
    case Kernel::kCountRows:
    case Kernel::kCount:
      out = Value::bigint(load_le<std::int64_t>(at));
      return RowError::kNone;
    case Kernel::kExactSum:
      return finish_exact(*slot.plan, load_le<std::uint64_t>(at), load_wide(at + 8), out);
    case Kernel::kDoubleSum:
      return finish_double(*slot.plan, load_le<std::uint64_t>(at), double_sum(at), out);
    case Kernel::kAll:
    case Kernel::kAny:
      if (const auto seen = load_le<std::uint8_t>(at)) out = Value::boolean(seen == kSeenTrue);
      return RowError::kNone;
    case Kernel::kMoments:
      out = finish_moments(slot.plan->kind, load_moments(at));
      return RowError::kNone;
    case Kernel::kLeast:
    case Kernel::kGreatest:
    case Kernel::kFirst:
    case Kernel::kLast:
    case Kernel::kArgLeast:
    case Kernel::kArgGreatest:
      out = get(state, slot.cell);
      return RowError::kNone;
    case Kernel::kSketch:
      return finish_sketch(slot, *state.extras->sketches[slot.sketch], arena, out);
  }
  return RowError::kNone;
}

std::uint64_t Aggregates::overflow(const StateRef& state) const {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < sketches_.size(); ++i) {
    const AggregateKind kind = sketches_[i]->kind;
    if (kind == AggregateKind::kApproxCountDistinct || kind == AggregateKind::kApproxPercentile) {
      continue;
    }
    sum += static_cast<const DistinctValues&>(*state.extras->sketches[i]).overflow();
  }
  return sum;
}

}  // namespace runnel::storage::views
