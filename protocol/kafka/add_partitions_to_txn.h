// Partitions join a transaction. Until version 3 one transaction of a
// client's; from 4 on any number, between brokers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "protocol/kafka/errors.h"
#include "protocol/kafka/fields.h"

namespace runnel::protocol::kafka {

struct AddPartitionsToTxnRequest : RequestOf<ApiKey::kAddPartitionsToTxn> {
  struct Topic {
    std::string name;
    std::vector<PartitionIndex> partitions;
    void describe(Fields& f);
  };
  struct Transaction {
    std::string transactional_id;
    ProducerId producer_id;
    ProducerEpoch producer_epoch;
    bool verify_only = false;
    std::vector<Topic> topics;
    void describe(Fields& f);
  };
  std::vector<Transaction> transactions;
  std::string transactional_id;
  ProducerId producer_id;
  ProducerEpoch producer_epoch;
  std::vector<Topic> topics;
  void describe(Fields& f);
};

struct AddPartitionsToTxnResponse : ResponseOf<ApiKey::kAddPartitionsToTxn> {
  struct Partition {
    PartitionIndex index;
    KafkaError error = KafkaError::kNone;
    void describe(Fields& f);
  };
  struct Topic {
    std::string name;
    std::vector<Partition> partitions;
    void describe(Fields& f);
  };
  struct Transaction {
    std::string transactional_id;
    std::vector<Topic> topics;
    void describe(Fields& f);
  };
  std::int32_t throttle_time_ms = 0;
  KafkaError error = KafkaError::kNone;
  std::vector<Transaction> transactions;
  std::vector<Topic> topics;
  void describe(Fields& f);
};

}  // namespace runnel::protocol::kafka
