// State and members of groups whose partitions the broker assigns.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/kafka/common.h"
#include "protocol/kafka/errors.h"
#include "protocol/kafka/fields.h"

namespace runnel::protocol::kafka {

struct ConsumerGroupDescribeRequest : RequestOf<ApiKey::kConsumerGroupDescribe> {
  std::vector<std::string> groups;
  bool include_authorized_operations = false;
  void describe(Fields& f);
};

struct ConsumerGroupDescribeResponse : ResponseOf<ApiKey::kConsumerGroupDescribe> {
  struct TopicPartitions {
    Uuid topic_id;
    std::string topic_name;
    std::vector<PartitionIndex> partitions;
    void describe(Fields& f);
  };
  struct Assignment {
    std::vector<TopicPartitions> topic_partitions;
    void describe(Fields& f);
  };
  struct Member {
    std::string member_id;
    std::optional<std::string> instance_id;
    std::optional<std::string> rack_id;
    std::int32_t member_epoch = 0;
    std::string client_id;
    std::string client_host;
    std::vector<std::string> subscribed_topic_names;
    std::optional<std::string> subscribed_topic_regex;
    Assignment assignment;
    Assignment target_assignment;
    std::int8_t member_type = -1;  ///< 0: classic, 1: consumer, -1: not known
    void describe(Fields& f);
  };
  struct Group {
    KafkaError error = KafkaError::kNone;
    std::optional<std::string> error_message;
    std::string group_id;
    std::string state;
    std::int32_t group_epoch = 0;
    std::int32_t assignment_epoch = 0;
    std::string assignor_name;
    std::vector<Member> members;
    std::int32_t authorized_operations = kOperationsNotAsked;
    void describe(Fields& f);
  };
  std::int32_t throttle_time_ms = 0;
  std::vector<Group> groups;
  void describe(Fields& f);
};

}  // namespace runnel::protocol::kafka
