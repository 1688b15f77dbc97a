// Transactions by id, and all of them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/kafka/errors.h"
#include "protocol/kafka/fields.h"

namespace runnel::protocol::kafka {

struct DescribeTransactionsRequest : RequestOf<ApiKey::kDescribeTransactions> {
  std::vector<std::string> transactional_ids;
  void describe(Fields& f);
};

struct DescribeTransactionsResponse : ResponseOf<ApiKey::kDescribeTransactions> {
  struct Topic {
    std::string name;
    std::vector<PartitionIndex> partitions;
    void describe(Fields& f);
  };
  struct Transaction {
    KafkaError error = KafkaError::kNone;
    std::string transactional_id;
    std::string state;  ///< "Ongoing", "CompleteCommit", ...
    std::int32_t timeout_ms = 0;
    Timestamp start_time;
    ProducerId producer_id;
    ProducerEpoch producer_epoch;
    std::vector<Topic> topics;
    void describe(Fields& f);
  };
  std::int32_t throttle_time_ms = 0;
  std::vector<Transaction> transactions;
  void describe(Fields& f);
};

struct ListTransactionsRequest : RequestOf<ApiKey::kListTransactions> {
  std::vector<std::string> state_filters;  ///< empty: all
  std::vector<ProducerId> producer_id_filters;
  std::int64_t duration_filter_ms = -1;  ///< those older; -1: all
  std::optional<std::string> transactional_id_pattern;
  void describe(Fields& f);
};

struct ListTransactionsResponse : ResponseOf<ApiKey::kListTransactions> {
  struct Transaction {
    std::string transactional_id;
    ProducerId producer_id;
    std::string state;
    void describe(Fields& f);
  };
  std::int32_t throttle_time_ms = 0;
  KafkaError error = KafkaError::kNone;
  std::vector<std::string> unknown_state_filters;
  std::vector<Transaction> transactions;
  void describe(Fields& f);
};

}  // namespace runnel::protocol::kafka
