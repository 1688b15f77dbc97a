// What webhooks may be.
#pragma once

#include <chrono>
#include <cstddef>

namespace runnel::broker::hooks {

inline constexpr std::size_t kMaxHooks = 1000;  ///< all are kept in memory
inline constexpr std::size_t kMaxHookNameBytes = 100;
inline constexpr std::size_t kMaxSecrets = 4;  ///< of one hook: the one in use, and others' turns
inline constexpr std::size_t kMaxSecretBytes = 256;
inline constexpr std::size_t kMinSecretBytes = 8;  ///< shorter ones are guessed
inline constexpr std::size_t kMaxPlaceBytes = 512;
inline constexpr std::size_t kMaxKeptHeaders = 16;
inline constexpr std::size_t kMaxHeaderNameBytes = 100;
/// How far the time of a signature may lie from the broker's clock.
inline constexpr std::chrono::seconds kUsualTolerance{300};
inline constexpr std::chrono::seconds kMaxTolerance{24 * 3600};

}  // namespace runnel::broker::hooks
