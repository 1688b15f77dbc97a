#include "broker/kafka/dispatch.h"

#include <algorithm>

#include "broker/kafka/handlers.h"

namespace runnel::broker {
namespace {

using kafka::ApiKey;

// Versions are limited where a newer one promises what is not done here.
constexpr KafkaApi kApis[] = {
    // 0 to 2 are answered with an error: librdkafka up to 2.11 drops compression if they are not
    // listed.
    {ApiKey::kProduce, 0, 13, handle_produce},
    {ApiKey::kFetch, 4, 17, handle_fetch},
    {ApiKey::kListOffsets, 1, 10, handle_list_offsets},
    {ApiKey::kMetadata, 0, 13, handle_metadata},
    {ApiKey::kOffsetCommit, 2, 10, handle_offset_commit},
    {ApiKey::kOffsetFetch, 1, 10, handle_offset_fetch},
    {ApiKey::kFindCoordinator, 0, 6, handle_find_coordinator},
    {ApiKey::kJoinGroup, 0, 9, handle_join_group},
    {ApiKey::kHeartbeat, 0, 4, handle_heartbeat},
    {ApiKey::kLeaveGroup, 0, 5, handle_leave_group},
    {ApiKey::kSyncGroup, 0, 5, handle_sync_group},
    {ApiKey::kDescribeGroups, 0, 6, handle_describe_groups},
    {ApiKey::kListGroups, 0, 5, handle_list_groups},
    {ApiKey::kApiVersions, 0, 4, handle_api_versions},
    {ApiKey::kCreateTopics, 0, 7, handle_create_topics},
    {ApiKey::kDeleteTopics, 0, 6, handle_delete_topics},
    {ApiKey::kDeleteRecords, 0, 2, handle_delete_records},
    {ApiKey::kInitProducerId, 0, 5, handle_init_producer_id},
    {ApiKey::kOffsetForLeaderEpoch, 2, 4, handle_offset_for_leader_epoch},
    // 4 and later are between brokers.
    {ApiKey::kAddPartitionsToTxn, 0, 3, handle_add_partitions_to_txn},
    {ApiKey::kAddOffsetsToTxn, 0, 4, handle_add_offsets_to_txn},
    {ApiKey::kEndTxn, 0, 5, handle_end_txn},
    {ApiKey::kWriteTxnMarkers, 1, 1, handle_write_txn_markers},
    {ApiKey::kTxnOffsetCommit, 0, 5, handle_txn_offset_commit},
    {ApiKey::kDescribeAcls, 0, 3, handle_describe_acls},
    {ApiKey::kCreateAcls, 0, 3, handle_create_acls},
    {ApiKey::kDeleteAcls, 0, 3, handle_delete_acls},
    {ApiKey::kDescribeConfigs, 0, 4, handle_describe_configs},
    {ApiKey::kAlterConfigs, 0, 2, handle_alter_configs},
    {ApiKey::kAlterReplicaLogDirs, 1, 2, handle_alter_replica_log_dirs},
    {ApiKey::kDescribeLogDirs, 1, 4, handle_describe_log_dirs},
    {ApiKey::kCreatePartitions, 0, 3, handle_create_partitions},
    {ApiKey::kDeleteGroups, 0, 2, handle_delete_groups},
    {ApiKey::kElectLeaders, 0, 2, handle_elect_leaders},
    {ApiKey::kIncrementalAlterConfigs, 0, 1, handle_incremental_alter_configs},
    {ApiKey::kAlterPartitionReassignments, 0, 0, handle_alter_partition_reassignments},
    {ApiKey::kListPartitionReassignments, 0, 0, handle_list_partition_reassignments},
    {ApiKey::kOffsetDelete, 0, 0, handle_offset_delete},
    {ApiKey::kDescribeClientQuotas, 0, 1, handle_describe_client_quotas},
    {ApiKey::kDescribeUserScramCredentials, 0, 0, handle_describe_user_scram_credentials},
    {ApiKey::kDescribeCluster, 0, 2, handle_describe_cluster},
    {ApiKey::kDescribeProducers, 0, 0, handle_describe_producers},
    {ApiKey::kDescribeTransactions, 0, 0, handle_describe_transactions},
    {ApiKey::kListTransactions, 0, 2, handle_list_transactions},
    {ApiKey::kConsumerGroupHeartbeat, 0, 1, handle_consumer_group_heartbeat},
    {ApiKey::kConsumerGroupDescribe, 0, 1, handle_consumer_group_describe},
    {ApiKey::kDescribeTopicPartitions, 0, 0, handle_describe_topic_partitions},
};
static_assert(std::is_sorted(std::begin(kApis), std::end(kApis),
                             [](const KafkaApi& a, const KafkaApi& b) { return a.key < b.key; }));

}  // namespace

std::span<const KafkaApi> kafka_apis() noexcept {
  return kApis;
}

const KafkaApi* find_kafka_api(kafka::ApiKey key) noexcept {
  const auto* const found =
      std::lower_bound(std::begin(kApis), std::end(kApis), key,
                       [](const KafkaApi& api, ApiKey wanted) { return api.key < wanted; });
  return found != std::end(kApis) && found->key == key ? found : nullptr;
}

}  // namespace runnel::broker
