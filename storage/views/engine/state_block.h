// The pieces of a state's block: loaded, changed, stored. Private to the engine.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "protocol/base/bytes.h"
#include "storage/views/engine/aggregates.h"
#include "storage/views/engine/wide_sum.h"

namespace runnel::storage::views {

inline constexpr std::size_t kCountBytes = 8;
inline constexpr std::size_t kExactSumBytes = 8 + 24;
inline constexpr std::size_t kDoubleSumBytes = 8 + 8 + 8;
inline constexpr std::size_t kMomentsBytes = 8 + 8 + 8;
inline constexpr std::size_t kPlaceBytes = 1 + 8 + 4 + 8;
inline constexpr std::size_t kCellBytes = 2 + 16;
inline constexpr std::size_t kTextCellBytes = 1;
inline constexpr std::uint8_t kSeenFalse = 1;
inline constexpr std::uint8_t kSeenTrue = 2;

template <class T>
void add_to(std::byte* at, T more) noexcept {
  store_le(at, static_cast<T>(load_le<T>(at) + more));
}
[[nodiscard]] inline double load_double(const std::byte* at) noexcept {
  return load_le<double>(at);
}

// Exact sums: count u64, sum.
[[nodiscard]] inline WideSum load_wide(const std::byte* at) noexcept {
  return {static_cast<Uint128>(load_le<std::uint64_t>(at)) |
              static_cast<Uint128>(load_le<std::uint64_t>(at + 8)) << 64,
          load_le<std::int64_t>(at + 16)};
}
inline void store_wide(std::byte* at, const WideSum& sum) noexcept {
  store_le(at, static_cast<std::uint64_t>(sum.low));
  store_le(at + 8, static_cast<std::uint64_t>(sum.low >> 64));
  store_le(at + 16, sum.high);
}
inline void add_exact(std::byte* at, Int128 value) noexcept {
  add_to<std::uint64_t>(at, 1);
  WideSum sum = load_wide(at + 8);
  sum.add(value);
  store_wide(at + 8, sum);
}
inline void merge_exact(std::byte* at, const std::byte* other) noexcept {
  add_to<std::uint64_t>(at, load_le<std::uint64_t>(other));
  WideSum sum = load_wide(at + 8);
  sum.add(load_wide(other + 8));
  store_wide(at + 8, sum);
}

// Sums of DOUBLE: count u64, sum f64, what rounding lost f64 (Knuth's two-sum, which does not mind
// the order of its two operands).
inline void add_double(std::byte* at, std::uint64_t count, double value, double lost) noexcept {
  add_to(at, count);
  const double before = load_double(at + 8);
  const double sum = before + value;
  const double part = sum - before;
  const double error = (before - (sum - part)) + (value - part);
  store_le(at + 8, sum);
  store_le(at + 16, (load_double(at + 16) + lost) + error);
}
[[nodiscard]] inline double double_sum(const std::byte* at) noexcept {
  const double sum = load_double(at + 8);
  return std::isfinite(sum) ? sum + load_double(at + 16) : sum;
}

// BOOL_AND, BOOL_OR: nothing seen, FALSE or TRUE.
inline void keep_all(std::byte* at, std::uint8_t seen) noexcept {
  const auto before = load_le<std::uint8_t>(at);
  if (before == 0 || seen == kSeenFalse) store_le(at, seen == 0 ? before : seen);
}
inline void keep_any(std::byte* at, std::uint8_t seen) noexcept {
  if (seen > load_le<std::uint8_t>(at)) store_le(at, seen);
}

// Variances: Welford's and Chan's sums.
struct Moments {
  std::uint64_t count = 0;
  double mean = 0;
  double squares = 0;
};
[[nodiscard]] inline Moments load_moments(const std::byte* at) noexcept {
  return {load_le<std::uint64_t>(at), load_double(at + 8), load_double(at + 16)};
}
inline void add_moments(std::byte* at, const Moments& more) noexcept {
  const Moments before = load_moments(at);
  if (more.count == 0) return;
  Moments sum = more;
  if (before.count != 0) {
    const auto a = static_cast<double>(before.count);
    const auto b = static_cast<double>(more.count);
    const double apart = more.mean - before.mean;
    sum.count = before.count + more.count;
    sum.mean = (a * before.mean + b * more.mean) / (a + b);
    sum.squares = before.squares + more.squares + apart * apart * (a * b / (a + b));
  }
  store_le(at, sum.count);
  store_le(at + 8, sum.mean);
  store_le(at + 16, sum.squares);
}

// Places: seen u8, event time i64, partition u32, offset i64.
[[nodiscard]] inline bool has_place(const std::byte* at) noexcept {
  return load_le<std::uint8_t>(at) != 0;
}
[[nodiscard]] inline RecordPlace load_place(const std::byte* at) noexcept {
  return {load_le<std::int64_t>(at + 1), load_le<std::uint32_t>(at + 9),
          load_le<std::int64_t>(at + 13)};
}
inline void store_place(std::byte* at, const RecordPlace& place) noexcept {
  store_le(at, std::uint8_t{1});
  store_le(at + 1, place.event_time);
  store_le(at + 9, place.partition);
  store_le(at + 13, place.offset);
}
[[nodiscard]] inline bool comes_before(const RecordPlace& a, const RecordPlace& b) noexcept {
  return std::tie(a.event_time, a.partition, a.offset) <
         std::tie(b.event_time, b.partition, b.offset);
}

}  // namespace runnel::storage::views
