// Group columns as bytes that order as the values do: BIGINT 2 before 10, NULL behind everything.
//
//   NULL                 ff
//   anything else        01, then
//     BOOLEAN              00 or 01
//     BIGINT, TIMESTAMPTZ  8 bytes big-endian, sign bit flipped
//     DATE                 4 bytes big-endian, sign bit flipped
//     DOUBLE               8 bytes big-endian; sign bit flipped if positive, all bits if negative;
//                          -0 as 0, NaN as ff..ff
//     DECIMAL              16 bytes big-endian at the column's scale, sign bit flipped
//     VARCHAR, JSON        the bytes, 00 written as 00 ff; ended by 00 01
//
// Each column ends by itself, so one tuple's bytes never begin another's.
// docs/formats/view-state.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "storage/views/plan/program.h"
#include "storage/views/types/arena.h"
#include "storage/views/types/value.h"

namespace runnel::storage::views {

/// Longest encoded tuple of a group's columns.
inline constexpr std::size_t kMaxGroupKeyBytes = 8192;

/// Appends `value`, which is NULL or of the kind `type` says; a decimal's scale is the type's or
/// fits it without loss.
void encode_key(const Type& type, const Value& value, std::string& out);

/// Takes one column from the front of `bytes`. Texts go to `arena`. False: not such bytes, or no
/// room in the arena.
[[nodiscard]] bool decode_key(const Type& type, std::string_view& bytes, Arena& arena, Value& out);
/// The same without the value: steps over it.
[[nodiscard]] bool skip_key(const Type& type, std::string_view& bytes);

/// A decimal as an integer times 10^-`scale`; digits that this loses are cut off.
[[nodiscard]] Int128 unscaled_at(const Value& value, std::uint8_t scale) noexcept;

/// An instant as it stands in keys without a column's marker: 8 bytes.
void append_ordered(std::int64_t number, std::string& out);
[[nodiscard]] std::int64_t load_ordered(const char* at) noexcept;

/// The least key behind all that begin with `prefix`; empty: there is none.
[[nodiscard]] std::string behind_prefix(std::string_view prefix);

}  // namespace runnel::storage::views
