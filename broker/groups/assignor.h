// Who should work on which partition: the server-side assignors. Pure functions.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "broker/groups/partition_set.h"
#include "protocol/base/uuid.h"

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
/// A topic as it is now.
struct TopicShape {
  TopicShape() = default;
  TopicShape(std::int32_t count, Uuid which = {})  // NOLINT: a count says all but which one it is
      : partitions(std::max(count, 0)), id(which) {}

  std::int32_t partitions = 0;  ///< 0: there is no such topic
  Uuid id;                      ///< tells a topic from one that had its name before; zero: unknown

  friend bool operator==(const TopicShape&, const TopicShape&) = default;
};
using PartitionCounts = std::map<std::string, TopicShape, std::less<>>;

/// Each member's share, in the order of `members`. Every partition of a subscribed topic goes to
/// exactly one of its subscribers; the same input gives the same shares.
[[nodiscard]] std::vector<PartitionSet> assign(Assignor assignor,
                                               std::span<const AssignorMember> members,
                                               const PartitionCounts& counts);

}  // namespace runnel::broker
