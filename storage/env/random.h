// Randomness, injected: a failing test prints its seed and runs again the same.
#pragma once

#include <cstdint>

namespace runnel::storage {

/// Thread safe.
class Random {
 public:
  virtual ~Random() = default;
  /// 64 uniform bits.
  [[nodiscard]] virtual std::uint64_t next() = 0;

  /// The kernel's randomness. Never destroyed.
  [[nodiscard]] static Random& system();
};

}  // namespace runnel::storage
