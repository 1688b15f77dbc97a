// One SQL value at run time. Its type is known where it came from; the tag says how it is stored.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "protocol/base/assert.h"

namespace runnel::storage::views {

__extension__ typedef __int128 Int128;
__extension__ typedef unsigned __int128 Uint128;

enum class Tag : std::uint8_t {
  kNull = 0,
  kBoolean = 1,
  kBigint = 2,
  kDouble = 3,
  kDecimal = 4,    ///< an integer times 10^-scale
  kText = 5,       ///< VARCHAR, and JSON as the text that it is
  kTimestamp = 6,  ///< microseconds since 1970-01-01T00:00:00Z
  kDate = 7,       ///< days since 1970-01-01
};

/// 24 bytes, copied like an integer, never allocates. Text points into memory that somebody else
/// owns: the record, the decoder's buffer, an Arena, a Program. Whoever made the value says how
/// long it lives. Thread safety: as an integer's.
class Value {
 public:
  constexpr Value() noexcept = default;  ///< NULL

  [[nodiscard]] static Value null() noexcept { return {}; }
  [[nodiscard]] static Value boolean(bool v) noexcept { return {Tag::kBoolean, v ? 1u : 0u}; }
  [[nodiscard]] static Value bigint(std::int64_t v) noexcept {
    return {Tag::kBigint, static_cast<std::uint64_t>(v)};
  }
  [[nodiscard]] static Value number(double v) noexcept {
    return {Tag::kDouble, std::bit_cast<std::uint64_t>(v)};
  }
  /// `unscaled` times 10^-`scale`; at most 38 digits, scale 0 to 38.
  [[nodiscard]] static Value decimal(Int128 unscaled, std::uint8_t scale) noexcept {
    Value made{Tag::kDecimal, static_cast<std::uint64_t>(static_cast<Uint128>(unscaled))};
    made.high_ = static_cast<std::uint64_t>(static_cast<Uint128>(unscaled) >> 64);
    made.scale_ = scale;
    return made;
  }
  [[nodiscard]] static Value text(std::string_view v) noexcept {
    Value made{Tag::kText, std::bit_cast<std::uintptr_t>(v.data())};
    made.high_ = v.size();
    return made;
  }
  [[nodiscard]] static Value timestamp(std::int64_t micros) noexcept {
    return {Tag::kTimestamp, static_cast<std::uint64_t>(micros)};
  }
  [[nodiscard]] static Value date(std::int32_t days) noexcept {
    return {Tag::kDate, static_cast<std::uint64_t>(static_cast<std::int64_t>(days))};
  }

  [[nodiscard]] Tag tag() const noexcept { return tag_; }
  [[nodiscard]] bool is_null() const noexcept { return tag_ == Tag::kNull; }
  /// TRUE, and not NULL: what WHERE, HAVING and FILTER let through.
  [[nodiscard]] bool is_true() const noexcept { return tag_ == Tag::kBoolean && low_ != 0; }

  [[nodiscard]] bool as_boolean() const noexcept { return checked(Tag::kBoolean).low_ != 0; }
  [[nodiscard]] std::int64_t as_bigint() const noexcept {
    return static_cast<std::int64_t>(checked(Tag::kBigint).low_);
  }
  [[nodiscard]] double as_double() const noexcept {
    return std::bit_cast<double>(checked(Tag::kDouble).low_);
  }
  /// Times 10^-scale().
  [[nodiscard]] Int128 as_decimal() const noexcept {
    return static_cast<Int128>((static_cast<Uint128>(checked(Tag::kDecimal).high_) << 64) | low_);
  }
  [[nodiscard]] std::uint8_t scale() const noexcept { return scale_; }
  [[nodiscard]] std::string_view as_text() const noexcept {
    return {std::bit_cast<const char*>(checked(Tag::kText).low_), high_};
  }
  [[nodiscard]] std::int64_t as_timestamp() const noexcept {
    return static_cast<std::int64_t>(checked(Tag::kTimestamp).low_);
  }
  [[nodiscard]] std::int32_t as_date() const noexcept {
    return static_cast<std::int32_t>(checked(Tag::kDate).low_);
  }

 private:
  constexpr Value(Tag tag, std::uint64_t low) noexcept : low_(low), tag_(tag) {}
  const Value& checked(Tag tag) const noexcept {
    RUNNEL_ASSERT(tag_ == tag);
    return *this;
  }

  std::uint64_t low_ = 0;   ///< the value, or where the text is, or a decimal's low half
  std::uint64_t high_ = 0;  ///< the text's bytes, or a decimal's high half
  Tag tag_ = Tag::kNull;
  std::uint8_t scale_ = 0;
};
static_assert(sizeof(Value) == 24);

/// A total order: less than 0, 0 or greater than 0. Decimals by what they are worth, whatever their
/// scale (1.0 equals 1.00); of doubles NaN is the greatest and -0 equals 0; text by its bytes;
/// FALSE before TRUE; NULL behind everything and equal to itself. Values of different tags are
/// ordered by tag: whoever compares BIGINT with DECIMAL casts first.
[[nodiscard]] int compare(const Value& a, const Value& b) noexcept;
[[nodiscard]] inline bool operator==(const Value& a, const Value& b) noexcept {
  return compare(a, b) == 0;
}
/// Equal values have equal hashes. Not stable across versions: never stored.
[[nodiscard]] std::uint64_t hash_of(const Value& value) noexcept;

/// As SQL shows it without quotes: "NULL", "true", "12.30", "2026-01-31T10:00:00Z" (with a
/// fraction if there is one), "2026-01-31", the text itself; doubles shortest that reads back.
[[nodiscard]] std::string to_string(const Value& value);

}  // namespace runnel::storage::views
