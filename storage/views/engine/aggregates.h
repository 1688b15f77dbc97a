// The aggregates of one view: the layout of a group's state, and what is done to it.
//
// A state is a block of fixed size, texts beside it, and sketches (sketch.h) beside those.
// docs/formats/view-state.md has the layout.
//
//   state  format u8 = 2, block packed (packed_block.h), or 1, block as it is; (text block)...
//   block  rows u64, [last event time of a session i64], then for each aggregate, little-endian:
//     COUNT                       count u64
//     SUM, AVG of exact numbers   count u64, sum 24 bytes (two's complement)
//     SUM, AVG of DOUBLE          count u64, sum f64, what rounding lost f64
//     MIN, MAX                    cell
//     BOOL_AND, BOOL_OR           0 nothing seen, 1 FALSE, 2 TRUE
//     VAR, STDDEV                 count u64, mean f64, squares of the distances from it f64
//     FIRST, LAST                 place, cell
//     ARG_MIN, ARG_MAX            place, cell of what is compared, cell
//     sketches                    nothing
//   place  seen u8, event time i64, partition u32, offset i64
//   cell   tag u8, scale u8, value 16 bytes; of a text only the tag: it is among the texts
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "protocol/base/error.h"
#include "storage/views/engine/sketch.h"
#include "storage/views/plan/plan.h"

namespace runnel::storage::views {

/// Where a record stands in time and in the log: what FIRST and LAST go by.
struct RecordPlace {
  std::int64_t event_time = 0;  ///< microseconds
  std::uint32_t partition = 0;
  std::int64_t offset = 0;
};

/// The parts of a state that have no fixed size.
struct StateExtras {
  std::vector<std::string> texts;
  std::vector<std::unique_ptr<Sketch>> sketches;
  [[nodiscard]] std::size_t memory_bytes() const;
};

/// A state that somebody else owns. `extras` is null where has_extras() is false.
struct StateRef {
  std::byte* block = nullptr;
  StateExtras* extras = nullptr;
};

/// What one record brings to the aggregates. Reused from record to record.
struct AggregateInputs {
  std::vector<Value> values;  ///< arguments
  std::vector<bool> passes;   ///< by aggregate: its FILTER lets the record through
};

/// Immutable, thread safe. The plans must outlive it.
class Aggregates {
 public:
  enum class Sessions : bool { kNo, kYes };
  Aggregates(std::span<const AggregatePlan> plans, Sessions sessions,
             std::size_t max_distinct_values);

  [[nodiscard]] std::size_t size() const noexcept { return slots_.size(); }
  [[nodiscard]] std::size_t block_bytes() const noexcept { return block_bytes_; }
  [[nodiscard]] bool has_extras() const noexcept { return texts_ + sketches_.size() > 0; }
  [[nodiscard]] std::size_t sketches() const noexcept { return sketches_.size(); }

  /// An empty state. `block` has block_bytes() of any content.
  void initialize(StateRef state) const;
  [[nodiscard]] StateExtras make_extras() const;

  /// Computes what `row` brings, before anything is changed: a record that fails leaves no trace.
  /// With `null_errors` a value that can't be computed is NULL.
  [[nodiscard]] RowError evaluate(std::span<const Value> row, Arena& arena, bool null_errors,
                                  AggregateInputs& out) const;
  /// Folds one record in.
  void add(StateRef state, const AggregateInputs& inputs, const RecordPlace& place) const;
  /// Adds `from`, which stays. Associative and commutative, except that sums and variances of
  /// DOUBLE are rounded.
  void merge(StateRef into, const StateRef& from) const;

  /// The state without its sketches' chunks.
  void encode(const StateRef& state, ByteWriter& out) const;
  /// Into an initialized state. False: not such bytes.
  [[nodiscard]] bool decode(Bytes bytes, StateRef into) const;

  [[nodiscard]] static std::uint64_t rows(const StateRef& state) noexcept;
  /// Of a session: the greatest event time.
  [[nodiscard]] static std::int64_t last_time(const StateRef& state) noexcept;
  static void set_last_time(StateRef state, std::int64_t micros) noexcept;

  /// The result of an aggregate. Texts point into the state or the arena. kOutOfRange: it does not
  /// fit its type; `out` is NULL then.
  [[nodiscard]] RowError finish(std::size_t aggregate, const StateRef& state, Arena& arena,
                                Value& out) const;
  /// Values that an aggregate's state had no room for: its result is a lower bound.
  [[nodiscard]] std::uint64_t overflow(const StateRef& state) const;

 private:
  enum class Kernel : std::uint8_t {
    kCountRows,
    kCount,
    kExactSum,
    kDoubleSum,
    kLeast,
    kGreatest,
    kAll,
    kAny,
    kMoments,
    kFirst,
    kLast,
    kArgLeast,
    kArgGreatest,
    kSketch,
  };
  struct Cell {
    std::uint32_t at = 0;    ///< in the block
    std::int32_t text = -1;  ///< index among the texts; -1: no text
  };
  struct Slot {
    Kernel kernel = Kernel::kCountRows;
    std::uint32_t at = 0;
    std::uint32_t input = 0;  ///< first of its values
    Cell cell;
    Cell second;
    std::uint32_t sketch = 0;
    const AggregatePlan* plan = nullptr;
  };

  [[nodiscard]] Slot slot_of(const AggregatePlan& plan);
  [[nodiscard]] Cell add_cell(const Type& type);
  [[nodiscard]] std::uint32_t reserve(std::size_t bytes);
  [[nodiscard]] std::unique_ptr<Sketch> make_sketch(const AggregatePlan& plan) const;
  void add_one(StateRef state, const Slot& slot, const Value* values,
               const RecordPlace& place) const;
  void merge_one(StateRef into, const StateRef& from, const Slot& slot) const;
  void keep_by_place(StateRef state, const Slot& slot, const Value& value,
                     const RecordPlace& place) const;
  void keep_by_value(StateRef state, const Slot& slot, const Value& value, const Value& by,
                     const RecordPlace& place) const;
  static void put(StateRef state, const Cell& cell, const Value& value);
  [[nodiscard]] static Value get(const StateRef& state, const Cell& cell);
  [[nodiscard]] RowError finish_distinct(const Slot& slot, const Sketch& sketch, Arena& arena,
                                         Value& out) const;
  [[nodiscard]] RowError finish_sketch(const Slot& slot, const Sketch& sketch, Arena& arena,
                                       Value& out) const;

  std::vector<Slot> slots_;
  std::vector<const AggregatePlan*> sketches_;
  std::size_t block_bytes_ = 0;
  std::size_t texts_ = 0;
  std::size_t inputs_ = 0;
  std::size_t max_distinct_values_;
  bool filters_ = false;
};

}  // namespace runnel::storage::views
