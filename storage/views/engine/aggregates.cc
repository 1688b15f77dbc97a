#include "storage/views/engine/aggregates.h"

#include <bit>
#include <cstring>

#include "protocol/base/assert.h"
#include "storage/views/engine/distinct_values.h"
#include "storage/views/engine/hyperloglog.h"
#include "storage/views/engine/key_encoding.h"
#include "storage/views/engine/log_histogram.h"
#include "storage/views/engine/packed_block.h"
#include "storage/views/engine/state_block.h"

namespace runnel::storage::views {
namespace {

// Stored: never renumbered.
constexpr std::uint8_t kPlain = 1;  ///< the block as it is: read, and no longer written
constexpr std::uint8_t kPacked = 2;
constexpr std::size_t kRowsBytes = 8;
constexpr std::size_t kLastTimeAt = kRowsBytes;

bool is_text(const Type& type) {
  return type.kind == TypeKind::kVarchar || type.kind == TypeKind::kJson;
}

/// The block's bytes that hold a value, behind tag and scale.
void store_value(std::byte* at, const Value& value) {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  switch (value.tag()) {
    case Tag::kNull:
    case Tag::kText:
      break;
    case Tag::kBoolean:
      low = value.as_boolean() ? 1 : 0;
      break;
    case Tag::kBigint:
      low = static_cast<std::uint64_t>(value.as_bigint());
      break;
    case Tag::kDouble:  // -0 as 0: they are equal, so their bytes are
      low = std::bit_cast<std::uint64_t>(value.as_double() == 0 ? 0.0 : value.as_double());
      break;
    case Tag::kDecimal:
      low = static_cast<std::uint64_t>(static_cast<Uint128>(value.as_decimal()));
      high = static_cast<std::uint64_t>(static_cast<Uint128>(value.as_decimal()) >> 64);
      break;
    case Tag::kTimestamp:
      low = static_cast<std::uint64_t>(value.as_timestamp());
      break;
    case Tag::kDate:
      low = static_cast<std::uint64_t>(static_cast<std::int64_t>(value.as_date()));
      break;
  }
  store_le(at, low);
  store_le(at + 8, high);
}

Value load_value(Tag tag, std::uint8_t scale, const std::byte* at) {
  const auto low = load_le<std::uint64_t>(at);
  switch (tag) {
    case Tag::kBoolean:
      return Value::boolean(low != 0);
    case Tag::kBigint:
      return Value::bigint(static_cast<std::int64_t>(low));
    case Tag::kDouble:
      return Value::number(std::bit_cast<double>(low));
    case Tag::kDecimal:
      return Value::decimal(
          static_cast<Int128>((static_cast<Uint128>(load_le<std::uint64_t>(at + 8)) << 64) | low),
          scale);
    case Tag::kTimestamp:
      return Value::timestamp(static_cast<std::int64_t>(low));
    case Tag::kDate:
      return Value::date(static_cast<std::int32_t>(low));
    case Tag::kNull:
    case Tag::kText:
      break;
  }
  return Value::null();
}

}  // namespace

std::size_t StateExtras::memory_bytes() const {
  std::size_t bytes = sizeof *this;
  for (const auto& text : texts) bytes += sizeof text + text.capacity();
  for (const auto& sketch : sketches) bytes += sizeof sketch + sketch->memory_bytes();
  return bytes;
}

Aggregates::Aggregates(std::span<const AggregatePlan> plans, Sessions sessions,
                       std::size_t max_distinct_values)
    : block_bytes_(sessions == Sessions::kYes ? kRowsBytes + 8 : kRowsBytes),
      max_distinct_values_(max_distinct_values) {
  for (const AggregatePlan& plan : plans) {
    slots_.push_back(slot_of(plan));
    filters_ = filters_ || plan.filter;
  }
}

std::uint32_t Aggregates::reserve(std::size_t bytes) {
  const auto at = static_cast<std::uint32_t>(block_bytes_);
  block_bytes_ += bytes;
  return at;
}

Aggregates::Cell Aggregates::add_cell(const Type& type) {
  if (!is_text(type)) return {reserve(kCellBytes), -1};
  return {reserve(kTextCellBytes), static_cast<std::int32_t>(texts_++)};
}

Aggregates::Slot Aggregates::slot_of(const AggregatePlan& plan) {
  Slot slot;
  slot.plan = &plan;
  slot.input = static_cast<std::uint32_t>(inputs_);
  inputs_ += (plan.argument ? 1 : 0) + (plan.second ? 1 : 0);
  const auto sketch = [&] {
    slot.kernel = Kernel::kSketch;
    slot.sketch = static_cast<std::uint32_t>(sketches_.size());
    sketches_.push_back(&plan);
    return slot;
  };
  const auto with_cell = [&](Kernel kernel) {
    slot.kernel = kernel;
    slot.cell = add_cell(plan.argument.type());
    return slot;
  };
  const auto by_place = [&](Kernel kernel) {
    slot.at = reserve(kPlaceBytes);
    if (plan.second) slot.second = add_cell(plan.second.type());
    return with_cell(kernel);
  };
  const auto plain = [&](Kernel kernel, std::size_t bytes) {
    slot.kernel = kernel;
    slot.at = reserve(bytes);
    return slot;
  };
  switch (plan.kind) {
    case AggregateKind::kCountRows:
      return plain(Kernel::kCountRows, kCountBytes);
    case AggregateKind::kCount:
      return plan.distinct ? sketch() : plain(Kernel::kCount, kCountBytes);
    case AggregateKind::kSum:
    case AggregateKind::kAvg:
      if (plan.distinct) return sketch();
      if (plan.argument.type().kind == TypeKind::kDouble) {
        return plain(Kernel::kDoubleSum, kDoubleSumBytes);
      }
      return plain(Kernel::kExactSum, kExactSumBytes);
    case AggregateKind::kMin:
      return with_cell(Kernel::kLeast);
    case AggregateKind::kMax:
      return with_cell(Kernel::kGreatest);
    case AggregateKind::kBoolAnd:
      return plain(Kernel::kAll, 1);
    case AggregateKind::kBoolOr:
      return plain(Kernel::kAny, 1);
    case AggregateKind::kVarPop:
    case AggregateKind::kVarSamp:
    case AggregateKind::kStddevPop:
    case AggregateKind::kStddevSamp:
      return plain(Kernel::kMoments, kMomentsBytes);
    case AggregateKind::kFirst:
      return by_place(Kernel::kFirst);
    case AggregateKind::kLast:
      return by_place(Kernel::kLast);
    case AggregateKind::kArgMin:
      return by_place(Kernel::kArgLeast);
    case AggregateKind::kArgMax:
      return by_place(Kernel::kArgGreatest);
    case AggregateKind::kCountDistinct:
    case AggregateKind::kApproxCountDistinct:
    case AggregateKind::kApproxPercentile:
    case AggregateKind::kTopK:
      return sketch();
  }
  return slot;
}

std::unique_ptr<Sketch> Aggregates::make_sketch(const AggregatePlan& plan) const {
  if (plan.kind == AggregateKind::kApproxCountDistinct) return std::make_unique<HyperLogLog>();
  if (plan.kind == AggregateKind::kApproxPercentile) return std::make_unique<LogHistogram>();
  const auto counts = plan.kind == AggregateKind::kTopK ? DistinctValues::Counts::kYes
                                                        : DistinctValues::Counts::kNo;
  return std::make_unique<DistinctValues>(counts, max_distinct_values_);
}

StateExtras Aggregates::make_extras() const {
  StateExtras extras;
  extras.texts.resize(texts_);
  for (const AggregatePlan* plan : sketches_) extras.sketches.push_back(make_sketch(*plan));
  return extras;
}

void Aggregates::initialize(StateRef state) const {
  std::memset(state.block, 0, block_bytes_);
  if (state.extras != nullptr) *state.extras = make_extras();
}

RowError Aggregates::evaluate(std::span<const Value> row, Arena& arena, bool null_errors,
                              AggregateInputs& out) const {
  out.values.resize(inputs_);
  if (filters_) out.passes.assign(slots_.size(), true);
  const auto compute = [&](const Program& program, Value& value) {
    if (const auto column = program.column()) {
      value = row[*column];
      return RowError::kNone;
    }
    const RowError error = program.evaluate(row, arena, value);
    if (error == RowError::kNone || !null_errors) return error;
    value = Value::null();
    return RowError::kNone;
  };
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    const AggregatePlan& plan = *slots_[i].plan;
    if (plan.filter) {
      Value condition;
      const RowError error = compute(plan.filter, condition);
      if (error != RowError::kNone) return error;
      out.passes[i] = condition.is_true();
      if (!condition.is_true()) continue;
    }
    std::uint32_t input = slots_[i].input;
    for (const Program* program : {&plan.argument, &plan.second}) {
      if (!*program) continue;
      const RowError error = compute(*program, out.values[input++]);
      if (error != RowError::kNone) return error;
    }
  }
  return RowError::kNone;
}

void Aggregates::add(StateRef state, const AggregateInputs& inputs,
                     const RecordPlace& place) const {
  add_to<std::uint64_t>(state.block, 1);
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (filters_ && !inputs.passes[i]) continue;
    add_one(state, slots_[i], inputs.values.data() + slots_[i].input, place);
  }
}

void Aggregates::add_one(StateRef state, const Slot& slot, const Value* values,
                         const RecordPlace& place) const {
  std::byte* const at = state.block + slot.at;
  if (slot.kernel == Kernel::kCountRows) return add_to<std::uint64_t>(at, 1);
  if (slot.kernel == Kernel::kFirst || slot.kernel == Kernel::kLast) {
    return keep_by_place(state, slot, values[0], place);
  }
  if (slot.kernel == Kernel::kArgLeast || slot.kernel == Kernel::kArgGreatest) {
    return keep_by_value(state, slot, values[0], values[1], place);
  }
  const Value& value = values[0];
  if (value.is_null()) return;
  switch (slot.kernel) {
    case Kernel::kCount:
      return add_to<std::uint64_t>(at, 1);
    case Kernel::kExactSum:
      return add_exact(at, value.tag() == Tag::kBigint
                               ? value.as_bigint()
                               : unscaled_at(value, slot.plan->argument.type().scale));
    case Kernel::kDoubleSum:
      return add_double(at, 1, value.as_double(), 0);
    case Kernel::kLeast:
    case Kernel::kGreatest: {
      const Value best = get(state, slot.cell);
      const int order = best.is_null() ? 0 : compare(value, best);
      if (best.is_null() || (slot.kernel == Kernel::kLeast ? order < 0 : order > 0)) {
        put(state, slot.cell, value);
      }
      return;
    }
    case Kernel::kAll:
      return keep_all(at, value.as_boolean() ? kSeenTrue : kSeenFalse);
    case Kernel::kAny:
      return keep_any(at, value.as_boolean() ? kSeenTrue : kSeenFalse);
    case Kernel::kMoments:
      return add_moments(at, {1, value.as_double(), 0});
    case Kernel::kSketch: {
      thread_local std::string encoded;
      encoded.clear();
      encode_key(slot.plan->argument.type(), value, encoded);
      return state.extras->sketches[slot.sketch]->add(encoded, value);
    }
    default:
      return;
  }
}

void Aggregates::keep_by_place(StateRef state, const Slot& slot, const Value& value,
                               const RecordPlace& place) const {
  std::byte* const at = state.block + slot.at;
  if (has_place(at)) {
    const bool before = comes_before(place, load_place(at));
    if (before != (slot.kernel == Kernel::kFirst)) return;
  }
  store_place(at, place);
  put(state, slot.cell, value);
}

void Aggregates::keep_by_value(StateRef state, const Slot& slot, const Value& value,
                               const Value& by, const RecordPlace& place) const {
  if (by.is_null()) return;
  std::byte* const at = state.block + slot.at;
  if (has_place(at)) {
    int order = compare(by, get(state, slot.second));
    if (slot.kernel == Kernel::kArgGreatest) order = -order;
    if (order > 0 || (order == 0 && !comes_before(place, load_place(at)))) return;
  }
  store_place(at, place);
  put(state, slot.second, by);
  put(state, slot.cell, value);
}

void Aggregates::merge(StateRef into, const StateRef& from) const {
  add_to<std::uint64_t>(into.block, rows(from));
  for (const Slot& slot : slots_) merge_one(into, from, slot);
}

void Aggregates::merge_one(StateRef into, const StateRef& from, const Slot& slot) const {
  std::byte* const at = into.block + slot.at;
  const std::byte* const other = from.block + slot.at;
  switch (slot.kernel) {
    case Kernel::kCountRows:
    case Kernel::kCount:
      return add_to<std::uint64_t>(at, load_le<std::uint64_t>(other));
    case Kernel::kExactSum:
      return merge_exact(at, other);
    case Kernel::kDoubleSum:
      return add_double(at, load_le<std::uint64_t>(other), load_double(other + 8),
                        load_double(other + 16));
    case Kernel::kLeast:
    case Kernel::kGreatest: {
      const Value value = get(from, slot.cell);
      if (!value.is_null()) add_one(into, slot, &value, {});
      return;
    }
    case Kernel::kAll:
      return keep_all(at, static_cast<std::uint8_t>(*other));
    case Kernel::kAny:
      return keep_any(at, static_cast<std::uint8_t>(*other));
    case Kernel::kMoments:
      return add_moments(at, load_moments(other));
    case Kernel::kFirst:
    case Kernel::kLast:
      if (has_place(other)) keep_by_place(into, slot, get(from, slot.cell), load_place(other));
      return;
    case Kernel::kArgLeast:
    case Kernel::kArgGreatest:
      if (!has_place(other)) return;
      return keep_by_value(into, slot, get(from, slot.cell), get(from, slot.second),
                           load_place(other));
    case Kernel::kSketch:
      return into.extras->sketches[slot.sketch]->merge(*from.extras->sketches[slot.sketch]);
  }
}

void Aggregates::put(StateRef state, const Cell& cell, const Value& value) {
  std::byte* const at = state.block + cell.at;
  store_le(at, static_cast<std::uint8_t>(value.tag()));
  if (cell.text >= 0) {
    auto& text = state.extras->texts[static_cast<std::size_t>(cell.text)];
    if (value.is_null()) {
      text.clear();
    } else {
      text.assign(value.as_text());
    }
    return;
  }
  store_le(at + 1, value.tag() == Tag::kDecimal ? value.scale() : std::uint8_t{0});
  store_value(at + 2, value);
}

Value Aggregates::get(const StateRef& state, const Cell& cell) {
  const std::byte* const at = state.block + cell.at;
  const auto tag = static_cast<Tag>(load_le<std::uint8_t>(at));
  if (cell.text < 0) return load_value(tag, load_le<std::uint8_t>(at + 1), at + 2);
  if (tag == Tag::kNull) return Value::null();
  return Value::text(state.extras->texts[static_cast<std::size_t>(cell.text)]);
}

void Aggregates::encode(const StateRef& state, ByteWriter& out) const {
  out.le(kPacked);
  pack_block({state.block, block_bytes_}, out);
  for (std::size_t i = 0; i < texts_; ++i) out.text(state.extras->texts[i]);
}

bool Aggregates::decode(Bytes bytes, StateRef into) const {
  ByteReader in(bytes);
  const auto format = in.le<std::uint8_t>();
  if (format == kPacked) {
    if (!unpack_block(in, into.block, block_bytes_)) return false;
  } else {
    const Bytes block = in.take(block_bytes_);
    if (format != kPlain || !in.ok()) return false;
    std::memcpy(into.block, block.data(), block_bytes_);
  }
  for (std::size_t i = 0; i < texts_; ++i) into.extras->texts[i].assign(in.text());
  return in.at_end();
}

std::uint64_t Aggregates::rows(const StateRef& state) noexcept {
  return load_le<std::uint64_t>(state.block);
}
std::int64_t Aggregates::last_time(const StateRef& state) noexcept {
  return load_le<std::int64_t>(state.block + kLastTimeAt);
}
void Aggregates::set_last_time(StateRef state, std::int64_t micros) noexcept {
  store_le(state.block + kLastTimeAt, micros);
}

}  // namespace runnel::storage::views
