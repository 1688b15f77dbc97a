#include "protocol/kafka/api.h"

#include <array>
#include <iterator>

#include "protocol/base/assert.h"

namespace runnel::protocol::kafka {
namespace {

constexpr std::int16_t kNone = kNeverFlexible;

constexpr ApiInfo kApis[] = {
    {ApiKey::kProduce, "Produce", 0, 13, 9},
    {ApiKey::kFetch, "Fetch", 4, 18, 12},
    {ApiKey::kListOffsets, "ListOffsets", 1, 11, 6},
    {ApiKey::kMetadata, "Metadata", 0, 13, 9},
    {ApiKey::kOffsetCommit, "OffsetCommit", 2, 10, 8},
    {ApiKey::kOffsetFetch, "OffsetFetch", 1, 10, 6},
    {ApiKey::kFindCoordinator, "FindCoordinator", 0, 6, 3},
    {ApiKey::kJoinGroup, "JoinGroup", 0, 9, 6},
    {ApiKey::kHeartbeat, "Heartbeat", 0, 4, 4},
    {ApiKey::kLeaveGroup, "LeaveGroup", 0, 5, 4},
    {ApiKey::kSyncGroup, "SyncGroup", 0, 5, 4},
    {ApiKey::kDescribeGroups, "DescribeGroups", 0, 6, 5},
    {ApiKey::kListGroups, "ListGroups", 0, 5, 3},
    {ApiKey::kSaslHandshake, "SaslHandshake", 0, 1, kNone},
    {ApiKey::kApiVersions, "ApiVersions", 0, 4, 3},
    {ApiKey::kCreateTopics, "CreateTopics", 0, 7, 5},
    {ApiKey::kDeleteTopics, "DeleteTopics", 0, 6, 4},
    {ApiKey::kDeleteRecords, "DeleteRecords", 0, 2, 2},
    {ApiKey::kInitProducerId, "InitProducerId", 0, 5, 2},
    {ApiKey::kOffsetForLeaderEpoch, "OffsetForLeaderEpoch", 2, 4, 4},
    {ApiKey::kAddPartitionsToTxn, "AddPartitionsToTxn", 0, 5, 3},
    {ApiKey::kAddOffsetsToTxn, "AddOffsetsToTxn", 0, 4, 3},
    {ApiKey::kEndTxn, "EndTxn", 0, 5, 3},
    {ApiKey::kWriteTxnMarkers, "WriteTxnMarkers", 1, 2, 1},
    {ApiKey::kTxnOffsetCommit, "TxnOffsetCommit", 0, 5, 3},
    {ApiKey::kDescribeAcls, "DescribeAcls", 0, 3, 2},
    {ApiKey::kCreateAcls, "CreateAcls", 0, 3, 2},
    {ApiKey::kDeleteAcls, "DeleteAcls", 0, 3, 2},
    {ApiKey::kDescribeConfigs, "DescribeConfigs", 0, 4, 4},
    {ApiKey::kAlterConfigs, "AlterConfigs", 0, 2, 2},
    {ApiKey::kAlterReplicaLogDirs, "AlterReplicaLogDirs", 1, 2, 2},
    {ApiKey::kDescribeLogDirs, "DescribeLogDirs", 1, 5, 2},
    {ApiKey::kSaslAuthenticate, "SaslAuthenticate", 0, 2, 2},
    {ApiKey::kCreatePartitions, "CreatePartitions", 0, 3, 2},
    {ApiKey::kDeleteGroups, "DeleteGroups", 0, 2, 2},
    {ApiKey::kElectLeaders, "ElectLeaders", 0, 2, 2},
    {ApiKey::kIncrementalAlterConfigs, "IncrementalAlterConfigs", 0, 1, 1},
    {ApiKey::kAlterPartitionReassignments, "AlterPartitionReassignments", 0, 1, 0},
    {ApiKey::kListPartitionReassignments, "ListPartitionReassignments", 0, 0, 0},
    {ApiKey::kOffsetDelete, "OffsetDelete", 0, 0, kNone},
    {ApiKey::kDescribeClientQuotas, "DescribeClientQuotas", 0, 1, 1},
    {ApiKey::kAlterClientQuotas, "AlterClientQuotas", 0, 1, 1},
    {ApiKey::kDescribeUserScramCredentials, "DescribeUserScramCredentials", 0, 0, 0},
    {ApiKey::kAlterUserScramCredentials, "AlterUserScramCredentials", 0, 0, 0},
    {ApiKey::kDescribeCluster, "DescribeCluster", 0, 2, 0},
    {ApiKey::kDescribeProducers, "DescribeProducers", 0, 0, 0},
    {ApiKey::kDescribeTransactions, "DescribeTransactions", 0, 0, 0},
    {ApiKey::kListTransactions, "ListTransactions", 0, 2, 0},
    {ApiKey::kConsumerGroupHeartbeat, "ConsumerGroupHeartbeat", 0, 1, 0},
    {ApiKey::kConsumerGroupDescribe, "ConsumerGroupDescribe", 0, 1, 0},
    {ApiKey::kDescribeTopicPartitions, "DescribeTopicPartitions", 0, 0, 0},
};

/// One more than the highest key.
constexpr std::size_t kKeys = static_cast<std::size_t>(std::end(kApis)[-1].key) + 1;

/// By key: place in kApis, or -1.
constexpr auto kPlaces = [] {
  std::array<std::int8_t, kKeys> places{};
  places.fill(-1);
  std::int8_t place = 0;
  for (const ApiInfo& api : kApis) places[static_cast<std::size_t>(api.key)] = place++;
  return places;
}();

}  // namespace

std::span<const ApiInfo> apis() noexcept {
  return kApis;
}

const ApiInfo* find_api(std::int16_t key) noexcept {
  if (key < 0 || static_cast<std::size_t>(key) >= kKeys) return nullptr;
  const int place = kPlaces[static_cast<std::size_t>(key)];
  return place < 0 ? nullptr : &kApis[place];
}

const ApiInfo& api_info(ApiKey key) noexcept {
  const ApiInfo* const api = find_api(static_cast<std::int16_t>(key));
  RUNNEL_ASSERT(api != nullptr);
  return *api;
}

std::string_view name_of(ApiKey key) noexcept {
  const ApiInfo* const api = find_api(static_cast<std::int16_t>(key));
  return api == nullptr ? "unknown API" : api->name;
}

}  // namespace runnel::protocol::kafka
