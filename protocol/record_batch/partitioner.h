// The partition that a key belongs to: every client of a topic has to choose the same one.
#pragma once

#include <cstdint>
#include <string_view>

namespace runnel::protocol {

/// Kafka's murmur2.
[[nodiscard]] std::int32_t murmur2(std::string_view key) noexcept;
/// What Kafka's clients choose of `count` partitions, which is at least 1.
[[nodiscard]] std::int32_t partition_for_key(std::string_view key, std::int32_t count) noexcept;

}  // namespace runnel::protocol
