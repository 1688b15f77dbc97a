// Who should work on which partition: the server-side assignors. Pure functions.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "broker/groups/partition_set.h"

namespace runnel::broker {

/// Persisted and on the wire by name: "range" and "uniform".
enum class Assignor : std::uint8_t {
  kRange,    ///< each topic cut into contiguous shares in member order; not sticky
  kUniform,  ///< loads differ by one at most where subscriptions allow; moves as little as it can
};
[[nodiscard]] std::string_view name_of(Assignor assignor) noexcept;
/// An empty name is "uniform".
[[nodiscard]] std::optional<Assignor> assignor_named(std::string_view name) noexcept;

/// Views; the caller keeps what they point to.
struct AssignorMember {
  std::string_view key;  ///< instance id or member id: decides the order, unique
  const std::vector<std::string>* topics = nullptr;  ///< ascending, unique
  const PartitionSet* previous = nullptr;            ///< its share up to now
};
/// Topic -> number of partitions.
using PartitionCounts = std::map<std::string, std::int32_t, std::less<>>;

/// Each member's share, in the order of `members`. Every partition of a subscribed topic goes to
/// exactly one of its subscribers; the same input gives the same shares.
[[nodiscard]] std::vector<PartitionSet> assign(Assignor assignor,
                                               std::span<const AssignorMember> members,
                                               const PartitionCounts& counts);

}  // namespace runnel::broker
