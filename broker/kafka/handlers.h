// One function an API, in a file of its own or with its siblings. Each answers its call once.
#pragma once

#include "broker/kafka/call.h"

namespace runnel::broker {

void handle_add_offsets_to_txn(const CallRef& call);
void handle_add_partitions_to_txn(const CallRef& call);
void handle_alter_configs(const CallRef& call);
void handle_alter_partition_reassignments(const CallRef& call);
void handle_alter_replica_log_dirs(const CallRef& call);
void handle_api_versions(const CallRef& call);
void handle_consumer_group_describe(const CallRef& call);
void handle_consumer_group_heartbeat(const CallRef& call);
void handle_create_acls(const CallRef& call);
void handle_create_partitions(const CallRef& call);
void handle_create_topics(const CallRef& call);
void handle_delete_acls(const CallRef& call);
void handle_delete_groups(const CallRef& call);
void handle_delete_records(const CallRef& call);
void handle_delete_topics(const CallRef& call);
void handle_describe_acls(const CallRef& call);
void handle_describe_client_quotas(const CallRef& call);
void handle_describe_cluster(const CallRef& call);
void handle_describe_configs(const CallRef& call);
void handle_describe_groups(const CallRef& call);
void handle_describe_log_dirs(const CallRef& call);
void handle_describe_producers(const CallRef& call);
void handle_describe_topic_partitions(const CallRef& call);
void handle_describe_transactions(const CallRef& call);
void handle_describe_user_scram_credentials(const CallRef& call);
void handle_elect_leaders(const CallRef& call);
void handle_end_txn(const CallRef& call);
void handle_fetch(const CallRef& call);
void handle_find_coordinator(const CallRef& call);
void handle_heartbeat(const CallRef& call);
void handle_incremental_alter_configs(const CallRef& call);
void handle_init_producer_id(const CallRef& call);
void handle_join_group(const CallRef& call);
void handle_leave_group(const CallRef& call);
void handle_list_groups(const CallRef& call);
void handle_list_offsets(const CallRef& call);
void handle_list_partition_reassignments(const CallRef& call);
void handle_list_transactions(const CallRef& call);
void handle_metadata(const CallRef& call);
void handle_offset_commit(const CallRef& call);
void handle_offset_delete(const CallRef& call);
void handle_offset_fetch(const CallRef& call);
void handle_offset_for_leader_epoch(const CallRef& call);
void handle_produce(const CallRef& call);
void handle_sync_group(const CallRef& call);
void handle_txn_offset_commit(const CallRef& call);
void handle_write_txn_markers(const CallRef& call);

/// An ApiVersions request of a version that is not known is answered in version 0, never refused:
/// the client learns from the answer which one to use.
void answer_unknown_api_versions(const CallRef& call);

}  // namespace runnel::broker
