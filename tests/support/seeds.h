// Random tests: a failure names its seed, and RUNNEL_SEED=<seed> runs just that one again.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "storage/env/random.h"

namespace runnel::storage {

/// How many operations a model test plays for each seed: RUNNEL_MODEL_STEPS, or `otherwise`.
inline int model_steps(int otherwise) {
  const char* said = std::getenv("RUNNEL_MODEL_STEPS");
  return said == nullptr ? otherwise : std::atoi(said);
}

/// Calls body(seed) for `count` seeds from `base` on, or once for the seed in RUNNEL_SEED. Stops
/// at the first failure.
template <class Body>
void for_each_seed(std::uint64_t base, std::uint64_t count, Body body) {
  if (const char* chosen = std::getenv("RUNNEL_SEED")) {
    base = std::strtoull(chosen, nullptr, 10);
    count = 1;
  }
  for (std::uint64_t seed = base; seed != base + count; ++seed) {
    SCOPED_TRACE("to repeat: RUNNEL_SEED=" + std::to_string(seed));
    body(seed);
    if (::testing::Test::HasFailure()) return;
  }
}

/// Repeatable randomness for what takes a Random. Thread safe; repeatable on one thread.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(std::uint64_t seed) : state_(seed) {}
  /// SplitMix64.
  std::uint64_t next() override {
    std::uint64_t z = state_.fetch_add(0x9e3779b97f4a7c15) + 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }

 private:
  std::atomic<std::uint64_t> state_;
};

}  // namespace runnel::storage
