// The limits of consumer groups, in one place.
#pragma once

#include <chrono>
#include <cstddef>

namespace runnel::broker {

inline constexpr std::size_t kMaxGroups = 10'000;
inline constexpr std::size_t kMaxGroupMembers = 1'000;   ///< in one group
inline constexpr std::size_t kMaxGroupNameBytes = 249;   ///< with "group/" it is a state key
inline constexpr std::size_t kMaxMemberTextBytes = 255;  ///< member id, instance id, client name
inline constexpr std::size_t kMaxMemberTopics = 1'000;   ///< subscribed to by one member
inline constexpr std::size_t kMaxGroupPartitions = 100'000;  ///< in one group's assignment
inline constexpr std::chrono::milliseconds kMinSessionTimeout{1'000};
inline constexpr std::chrono::milliseconds kMaxSessionTimeout{30 * 60 * 1000};
/// What a member is told to wait between heartbeats: a tenth of its session timeout, bounded. The
/// shorter bound holds while partitions are on their way.
inline constexpr std::chrono::milliseconds kMaxHeartbeatInterval{3'000};
inline constexpr std::chrono::milliseconds kReconcilingInterval{200};
/// A member that was told to give up partitions and does not for this long is put out.
inline constexpr std::chrono::milliseconds kRevocationTimeout{5 * 60 * 1000};
/// A group without members and without offsets is forgotten after this long.
inline constexpr std::chrono::milliseconds kEmptyGroupLinger{60 * 1000};

static_assert(kMaxHeartbeatInterval * 3 < kMaxSessionTimeout);
static_assert(kReconcilingInterval * 3 < kMinSessionTimeout);

}  // namespace runnel::broker
