// Every message there is, for what works on all of them.
#pragma once

#include <tuple>

#include "protocol/kafka/acls.h"
#include "protocol/kafka/add_offsets_to_txn.h"
#include "protocol/kafka/add_partitions_to_txn.h"
#include "protocol/kafka/alter_configs.h"
#include "protocol/kafka/api_versions.h"
#include "protocol/kafka/client_quotas.h"
#include "protocol/kafka/consumer_group_describe.h"
#include "protocol/kafka/consumer_group_heartbeat.h"
#include "protocol/kafka/create_partitions.h"
#include "protocol/kafka/create_topics.h"
#include "protocol/kafka/delete_groups.h"
#include "protocol/kafka/delete_records.h"
#include "protocol/kafka/delete_topics.h"
#include "protocol/kafka/describe_cluster.h"
#include "protocol/kafka/describe_configs.h"
#include "protocol/kafka/describe_groups.h"
#include "protocol/kafka/describe_producers.h"
#include "protocol/kafka/describe_topic_partitions.h"
#include "protocol/kafka/elect_leaders.h"
#include "protocol/kafka/end_txn.h"
#include "protocol/kafka/fetch.h"
#include "protocol/kafka/find_coordinator.h"
#include "protocol/kafka/heartbeat.h"
#include "protocol/kafka/init_producer_id.h"
#include "protocol/kafka/join_group.h"
#include "protocol/kafka/leave_group.h"
#include "protocol/kafka/list_groups.h"
#include "protocol/kafka/list_offsets.h"
#include "protocol/kafka/log_dirs.h"
#include "protocol/kafka/metadata.h"
#include "protocol/kafka/offset_commit.h"
#include "protocol/kafka/offset_delete.h"
#include "protocol/kafka/offset_fetch.h"
#include "protocol/kafka/offset_for_leader_epoch.h"
#include "protocol/kafka/produce.h"
#include "protocol/kafka/reassignments.h"
#include "protocol/kafka/sasl.h"
#include "protocol/kafka/scram_credentials.h"
#include "protocol/kafka/sync_group.h"
#include "protocol/kafka/transactions.h"
#include "protocol/kafka/txn_offset_commit.h"
#include "protocol/kafka/write_txn_markers.h"

namespace runnel::protocol::kafka {

/// A request and its response.
template <class Q, class R>
struct Exchange {
  using Request = Q;
  using Response = R;
  static_assert(Q::kApi == R::kApi && Q::kSide == Side::kRequest && R::kSide == Side::kResponse);
};

using Exchanges = std::tuple<
    Exchange<ProduceRequest, ProduceResponse>, Exchange<FetchRequest, FetchResponse>,
    Exchange<ListOffsetsRequest, ListOffsetsResponse>, Exchange<MetadataRequest, MetadataResponse>,
    Exchange<OffsetCommitRequest, OffsetCommitResponse>,
    Exchange<OffsetFetchRequest, OffsetFetchResponse>,
    Exchange<FindCoordinatorRequest, FindCoordinatorResponse>,
    Exchange<JoinGroupRequest, JoinGroupResponse>, Exchange<HeartbeatRequest, HeartbeatResponse>,
    Exchange<LeaveGroupRequest, LeaveGroupResponse>, Exchange<SyncGroupRequest, SyncGroupResponse>,
    Exchange<DescribeGroupsRequest, DescribeGroupsResponse>,
    Exchange<ListGroupsRequest, ListGroupsResponse>,
    Exchange<ApiVersionsRequest, ApiVersionsResponse>,
    Exchange<CreateTopicsRequest, CreateTopicsResponse>,
    Exchange<DeleteTopicsRequest, DeleteTopicsResponse>,
    Exchange<DeleteRecordsRequest, DeleteRecordsResponse>,
    Exchange<InitProducerIdRequest, InitProducerIdResponse>,
    Exchange<OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse>,
    Exchange<AddPartitionsToTxnRequest, AddPartitionsToTxnResponse>,
    Exchange<AddOffsetsToTxnRequest, AddOffsetsToTxnResponse>,
    Exchange<EndTxnRequest, EndTxnResponse>,
    Exchange<TxnOffsetCommitRequest, TxnOffsetCommitResponse>,
    Exchange<DescribeConfigsRequest, DescribeConfigsResponse>,
    Exchange<AlterConfigsRequest, AlterConfigsResponse>,
    Exchange<IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse>,
    Exchange<CreatePartitionsRequest, CreatePartitionsResponse>,
    Exchange<DeleteGroupsRequest, DeleteGroupsResponse>,
    Exchange<OffsetDeleteRequest, OffsetDeleteResponse>,
    Exchange<DescribeClusterRequest, DescribeClusterResponse>,
    Exchange<WriteTxnMarkersRequest, WriteTxnMarkersResponse>,
    Exchange<AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse>,
    Exchange<DescribeLogDirsRequest, DescribeLogDirsResponse>,
    Exchange<ElectLeadersRequest, ElectLeadersResponse>,
    Exchange<AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse>,
    Exchange<ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse>,
    Exchange<DescribeProducersRequest, DescribeProducersResponse>,
    Exchange<DescribeTransactionsRequest, DescribeTransactionsResponse>,
    Exchange<ListTransactionsRequest, ListTransactionsResponse>,
    Exchange<ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse>,
    Exchange<ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse>,
    Exchange<DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse>,
    Exchange<SaslHandshakeRequest, SaslHandshakeResponse>,
    Exchange<SaslAuthenticateRequest, SaslAuthenticateResponse>,
    Exchange<DescribeAclsRequest, DescribeAclsResponse>,
    Exchange<CreateAclsRequest, CreateAclsResponse>,
    Exchange<DeleteAclsRequest, DeleteAclsResponse>,
    Exchange<DescribeClientQuotasRequest, DescribeClientQuotasResponse>,
    Exchange<AlterClientQuotasRequest, AlterClientQuotasResponse>,
    Exchange<DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse>,
    Exchange<AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse>>;

/// Calls f.template operator()<E>() of every Exchange E.
template <class F>
void for_each_exchange(F f) {
  [&]<class... E>(std::tuple<E...>*) {
    (f.template operator()<E>(), ...);
  }(static_cast<Exchanges*>(nullptr));
}

}  // namespace runnel::protocol::kafka
