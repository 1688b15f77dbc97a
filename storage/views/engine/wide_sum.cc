#include "storage/views/engine/wide_sum.h"

#include <array>

namespace runnel::storage::views {
namespace {

/// A magnitude of up to 384 bits, least 32 bits first: room for 192 bits times 10^38.
using Limbs = std::array<std::uint32_t, 12>;

Limbs magnitude(const WideSum& sum, bool& negative) {
  negative = sum.high < 0;
  Uint128 low = sum.low;
  auto high = static_cast<std::uint64_t>(sum.high);
  if (negative) {
    low = ~low + 1;
    high = ~high + (low == 0 ? 1 : 0);
  }
  Limbs limbs{};
  for (std::size_t i = 0; i < 4; ++i) limbs[i] = static_cast<std::uint32_t>(low >> (32 * i));
  limbs[4] = static_cast<std::uint32_t>(high);
  limbs[5] = static_cast<std::uint32_t>(high >> 32);
  return limbs;
}

void multiply_by_ten(Limbs& limbs) {
  std::uint64_t carry = 0;
  for (auto& limb : limbs) {
    carry += std::uint64_t{limb} * 10;
    limb = static_cast<std::uint32_t>(carry);
    carry >>= 32;
  }
}

/// Gives the remainder.
std::uint64_t divide(Limbs& limbs, std::uint64_t by) {
  Uint128 rest = 0;
  for (std::size_t i = limbs.size(); i-- > 0;) {
    rest = (rest << 32) | limbs[i];
    limbs[i] = static_cast<std::uint32_t>(rest / by);
    rest %= by;
  }
  return static_cast<std::uint64_t>(rest);
}

}  // namespace

std::optional<Int128> WideSum::divided(std::uint64_t count, unsigned digits) const noexcept {
  bool negative = false;
  Limbs limbs = magnitude(*this, negative);
  for (unsigned i = 0; i < digits; ++i) multiply_by_ten(limbs);
  const std::uint64_t rest = divide(limbs, count);
  for (std::size_t i = 4; i < limbs.size(); ++i) {
    if (limbs[i] != 0) return std::nullopt;
  }
  Uint128 value = 0;
  for (std::size_t i = 4; i-- > 0;) value = (value << 32) | limbs[i];
  constexpr auto kLimit = static_cast<Uint128>(power_of_ten(kMaxDigits));
  if (value >= kLimit) return std::nullopt;
  if (rest >= count - rest) ++value;
  if (value >= kLimit) return std::nullopt;
  return negative ? -static_cast<Int128>(value) : static_cast<Int128>(value);
}

}  // namespace runnel::storage::views
