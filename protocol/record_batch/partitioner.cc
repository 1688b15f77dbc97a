#include "protocol/record_batch/partitioner.h"

#include "protocol/base/bytes.h"

namespace runnel::protocol {

std::int32_t murmur2(std::string_view key) noexcept {
  constexpr std::uint32_t kMultiplier = 0x5bd1e995;
  const auto* p = reinterpret_cast<const std::byte*>(key.data());
  const auto at = [&p](std::size_t i) { return std::to_integer<std::uint32_t>(p[i]); };
  auto left = static_cast<std::uint32_t>(key.size());
  std::uint32_t h = 0x9747b28cU ^ left;
  for (; left >= 4; left -= 4, p += 4) {
    auto k = load_le<std::uint32_t>(p) * kMultiplier;
    k ^= k >> 24;
    h = (h * kMultiplier) ^ (k * kMultiplier);
  }
  if (left == 3) h ^= at(2) << 16;
  if (left >= 2) h ^= at(1) << 8;
  if (left >= 1) h = (h ^ at(0)) * kMultiplier;
  h = (h ^ (h >> 13)) * kMultiplier;
  return static_cast<std::int32_t>(h ^ (h >> 15));
}

std::int32_t partition_for_key(std::string_view key, std::int32_t count) noexcept {
  return (murmur2(key) & 0x7fffffff) % count;
}

}  // namespace runnel::protocol
