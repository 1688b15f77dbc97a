// The limits of consumer groups, in one place.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace runnel::broker {

/// Kept in memory: groups with members, and those that had some lately. At the limit those that are
/// empty for the longest time are let go of: their positions stay.
inline constexpr std::size_t kMaxGroups = 10'000;
/// After no group could be let go of, the next look for one.
inline constexpr std::chrono::milliseconds kFullGroupsRetry{1'000};
inline constexpr std::size_t kMaxGroupMembers = 1'000;   ///< in one group
inline constexpr std::size_t kMaxGroupNameBytes = 249;   ///< with "group/" it is a state key
inline constexpr std::size_t kMaxMemberTextBytes = 255;  ///< member id, instance id, client name
inline constexpr std::size_t kMaxMemberTopics = 1'000;   ///< subscribed to by one member
/// In one group's assignment, asked when a member subscribes. Topics that grow later may bring a
/// group beyond it; the store has storage::kMaxPartitions in all.
inline constexpr std::size_t kMaxGroupPartitions = 100'000;
/// Topics subscribed to, summed over the members of a group: what sharing out and saving it costs.
inline constexpr std::size_t kMaxGroupSubscriptions = kMaxGroupMembers * kMaxMemberTopics;
/// What the members of one consumer group, and those of all, keep in memory: their texts and the
/// topics that they subscribe to. Members with the same subscription share one.
inline constexpr std::size_t kMaxConsumerGroupBytes = 16u << 20;
inline constexpr std::size_t kMaxConsumerBytes = 64u << 20;
/// What a topic costs in a list of topics, and again beside its partitions, besides its name.
inline constexpr std::size_t kTopicOverheadBytes = 64;
inline constexpr std::chrono::milliseconds kMinSessionTimeout{1'000};
inline constexpr std::chrono::milliseconds kMaxSessionTimeout{30 * 60 * 1000};
/// What a member is told to wait between heartbeats: a tenth of its session timeout, bounded. The
/// shorter bound holds while partitions are on their way.
inline constexpr std::chrono::milliseconds kMaxHeartbeatInterval{3'000};
inline constexpr std::chrono::milliseconds kReconcilingInterval{200};
/// A member that was told to give up partitions and does not for this long is put out, if it did
/// not name a time of its own.
inline constexpr std::chrono::milliseconds kRevocationTimeout{5 * 60 * 1000};
/// A group without members and without offsets is forgotten after this long.
inline constexpr std::chrono::milliseconds kEmptyGroupLinger{60 * 1000};

// Groups of Kafka's clients.
/// What a KIP-848 member is told to wait while its partitions are on their way.
inline constexpr std::chrono::milliseconds kConsumerReconcilingInterval{500};
inline constexpr std::size_t kMaxRegexBytes = 4'096;
inline constexpr std::int64_t kMaxRegexMemoryBytes = 1 << 20;  ///< of one compiled expression
/// Members and ids given to members that have not come back yet, in one classic group.
inline constexpr std::size_t kMaxClassicMembers = 10'000;
inline constexpr std::size_t kMaxMemberProtocols = 64;            ///< offered by one member
inline constexpr std::size_t kMaxMemberMetadataBytes = 1u << 20;  ///< over all its protocols
inline constexpr std::size_t kMaxClassicGroupBytes = 16u << 20;   ///< what one group keeps
inline constexpr std::size_t kMaxClassicBytes = 64u << 20;        ///< what all of them keep
/// What a member costs besides its texts.
inline constexpr std::size_t kMemberOverheadBytes = 512;
inline constexpr std::size_t kMaxClientIdBytes = 200;  ///< more is cut off in ids and descriptions
/// How late a rebalance may end because time is looked at in steps.
inline constexpr std::chrono::milliseconds kDeadlineStep{100};
/// A first join that waits longer than this is given up: its client has long gone.
inline constexpr std::chrono::milliseconds kNewMemberJoinTimeout{5 * 60 * 1000};

static_assert(kMaxHeartbeatInterval * 3 < kMaxSessionTimeout);
static_assert(kReconcilingInterval * 3 < kMinSessionTimeout);
static_assert(kMaxConsumerGroupBytes <= kMaxConsumerBytes);
static_assert(kMaxGroupMembers * kMemberOverheadBytes <= kMaxConsumerGroupBytes);
static_assert(kMaxMemberMetadataBytes <= kMaxClassicGroupBytes);
static_assert(kMaxClassicGroupBytes <= kMaxClassicBytes);
static_assert(kMaxClassicMembers * kMemberOverheadBytes <= kMaxClassicGroupBytes);

}  // namespace runnel::broker
