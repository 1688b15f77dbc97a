// The kernels by what they do; compile.cc picks one by the types of its operands.
#pragma once

#include "storage/views/expr/node.h"

namespace runnel::storage::views {

// ---- leaves and logic (kernels_logic.cc)
RowError read_column(const Node&, Context&, Value&);
RowError read_constant(const Node&, Context&, Value&);
/// SQL's three values: FALSE AND NULL is FALSE, TRUE OR NULL is TRUE; stops at the first operand
/// that decides.
RowError logical_and(const Node&, Context&, Value&);
RowError logical_or(const Node&, Context&, Value&);
RowError logical_not(const Node&, Context&, Value&);
RowError is_null(const Node&, Context&, Value&);
RowError is_distinct(const Node&, Context&, Value&);
/// Children: the operand, then the list.
RowError in_list(const Node&, Context&, Value&);
/// Children: the operand, the least and the greatest; as operand >= least AND operand <= greatest.
RowError is_between(const Node&, Context&, Value&);
/// Children: condition and result in turns, then the result of ELSE.
RowError case_when(const Node&, Context&, Value&);
/// Children: the subject; what it may be equal to and the result in turns; the result of ELSE.
RowError case_equal(const Node&, Context&, Value&);
RowError coalesce(const Node&, Context&, Value&);
/// Children: the value; what it must not be; and, where they are not compared as they are, the
/// value as that one's type, over read_operand.
RowError null_if(const Node&, Context&, Value&);
/// The one value of the row that the node above made of its operand; no column.
RowError read_operand(const Node&, Context&, Value&);
RowError greatest(const Node&, Context&, Value&);
RowError least(const Node&, Context&, Value&);

/// Of operands of one tag.
enum class Comparison : std::uint8_t {
  kEqual,
  kNotEqual,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual
};
[[nodiscard]] Kernel comparison_kernel(Comparison comparison, TypeKind kind);

// ---- numbers (kernels_number.cc)
enum class Arithmetic : std::uint8_t { kAdd, kSubtract, kMultiply, kDivide, kModulo };
/// Of BIGINT, DOUBLE or DECIMAL, both operands alike; of DECIMAL + - and % of one scale.
[[nodiscard]] Kernel arithmetic_kernel(Arithmetic arithmetic, TypeKind kind);
[[nodiscard]] Kernel negate_kernel(TypeKind kind);
enum class Rounding : std::uint8_t { kRound, kTruncate, kFloor, kCeiling, kAbsolute, kSign };
/// Of DECIMAL: to the scale of the node's type, from its child's.
[[nodiscard]] Kernel rounding_kernel(Rounding rounding, TypeKind kind);
RowError square_root(const Node&, Context&, Value&);

// ---- casts (kernels_cast.cc)
/// nullptr: there is no such cast. Where both are the same type the value is its own cast.
[[nodiscard]] Kernel cast_kernel(const Type& from, const Type& to);

// ---- text (kernels_text.cc, kernels_text_parts.cc)
RowError concat_strict(const Node&, Context&, Value&);  ///< ||
RowError concat(const Node&, Context&, Value&);         ///< NULLs are left out
RowError concat_separated(const Node&, Context&, Value&);
RowError text_length(const Node&, Context&, Value&);
RowError text_bytes(const Node&, Context&, Value&);
RowError lower_text(const Node&, Context&, Value&);
RowError upper_text(const Node&, Context&, Value&);
RowError trim_both(const Node&, Context&, Value&);
RowError trim_left(const Node&, Context&, Value&);
RowError trim_right(const Node&, Context&, Value&);
RowError substring(const Node&, Context&, Value&);
RowError left_part(const Node&, Context&, Value&);
RowError right_part(const Node&, Context&, Value&);
RowError replace_text(const Node&, Context&, Value&);
RowError position_in(const Node&, Context&, Value&);  ///< strpos(text, part)
RowError starts_with(const Node&, Context&, Value&);
RowError ends_with(const Node&, Context&, Value&);
RowError contains_text(const Node&, Context&, Value&);
RowError split_part(const Node&, Context&, Value&);
RowError pad_left(const Node&, Context&, Value&);
RowError pad_right(const Node&, Context&, Value&);
RowError repeat_text(const Node&, Context&, Value&);
RowError reverse_text(const Node&, Context&, Value&);
RowError like(const Node&, Context&, Value&);

// ---- time (kernels_time.cc)
/// Of a TIMESTAMPTZ, and a DATE, with the node's interval, sign and zone.
RowError add_to_timestamp(const Node&, Context&, Value&);
RowError add_to_date(const Node&, Context&, Value&);
RowError add_days(const Node&, Context&, Value&);       ///< DATE + BIGINT
RowError subtract_days(const Node&, Context&, Value&);  ///< DATE - BIGINT
RowError days_between(const Node&, Context&, Value&);   ///< DATE - DATE
RowError date_trunc(const Node&, Context&, Value&);
RowError extract_time(const Node&, Context&, Value&);

// ---- JSON (kernels_json.cc)
RowError json_member(const Node&, Context&, Value&);       ///< -> 'key'
RowError json_member_text(const Node&, Context&, Value&);  ///< ->> 'key'
RowError json_element(const Node&, Context&, Value&);      ///< -> 0
RowError json_element_text(const Node&, Context&, Value&);
RowError json_array_length(const Node&, Context&, Value&);
RowError json_typeof(const Node&, Context&, Value&);

}  // namespace runnel::storage::views
