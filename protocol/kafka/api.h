// Kafka's APIs: key, name and versions, one table row each.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace runnel::protocol::kafka {

/// On the wire; the numbers are Kafka's.
enum class ApiKey : std::int16_t {
  kProduce = 0,
  kFetch = 1,
  kListOffsets = 2,
  kMetadata = 3,
  kOffsetCommit = 8,
  kOffsetFetch = 9,
  kFindCoordinator = 10,
  kJoinGroup = 11,
  kHeartbeat = 12,
  kLeaveGroup = 13,
  kSyncGroup = 14,
  kDescribeGroups = 15,
  kListGroups = 16,
  kSaslHandshake = 17,
  kApiVersions = 18,
  kCreateTopics = 19,
  kDeleteTopics = 20,
  kDeleteRecords = 21,
  kInitProducerId = 22,
  kOffsetForLeaderEpoch = 23,
  kAddPartitionsToTxn = 24,
  kAddOffsetsToTxn = 25,
  kEndTxn = 26,
  kWriteTxnMarkers = 27,
  kTxnOffsetCommit = 28,
  kDescribeAcls = 29,
  kCreateAcls = 30,
  kDeleteAcls = 31,
  kDescribeConfigs = 32,
  kAlterConfigs = 33,
  kAlterReplicaLogDirs = 34,
  kDescribeLogDirs = 35,
  kSaslAuthenticate = 36,
  kCreatePartitions = 37,
  kDeleteGroups = 42,
  kElectLeaders = 43,
  kIncrementalAlterConfigs = 44,
  kAlterPartitionReassignments = 45,
  kListPartitionReassignments = 46,
  kOffsetDelete = 47,
  kDescribeClientQuotas = 48,
  kAlterClientQuotas = 49,
  kDescribeUserScramCredentials = 50,
  kAlterUserScramCredentials = 51,
  kDescribeCluster = 60,
  kDescribeProducers = 61,
  kDescribeTransactions = 65,
  kListTransactions = 66,
  kConsumerGroupHeartbeat = 68,
  kConsumerGroupDescribe = 69,
  kDescribeTopicPartitions = 75,
};

/// In ApiInfo::first_flexible: no version of the API is flexible.
inline constexpr std::int16_t kNeverFlexible = INT16_MAX;

/// What protocol/kafka can read and write. Which of these versions clients are told of is the
/// broker's choice.
struct ApiInfo {
  ApiKey key;
  std::string_view name;
  std::int16_t min_version;
  std::int16_t max_version;
  std::int16_t first_flexible;  ///< from this version on: compact lengths and tagged fields

  [[nodiscard]] constexpr bool has(std::int16_t version) const noexcept {
    return version >= min_version && version <= max_version;
  }
  [[nodiscard]] constexpr bool is_flexible(std::int16_t version) const noexcept {
    return version >= first_flexible;
  }
};

/// All rows, by ascending key.
[[nodiscard]] std::span<const ApiInfo> apis() noexcept;
/// Null if the key is not known here.
[[nodiscard]] const ApiInfo* find_api(std::int16_t key) noexcept;
/// Of a key that is in the enum.
[[nodiscard]] const ApiInfo& api_info(ApiKey key) noexcept;
/// "Produce"; "unknown API" for a key that is not known here.
[[nodiscard]] std::string_view name_of(ApiKey key) noexcept;

}  // namespace runnel::protocol::kafka
