// A group's offsets join a transaction.
#pragma once

#include <cstdint>
#include <string>

#include "protocol/kafka/errors.h"
#include "protocol/kafka/fields.h"

namespace runnel::protocol::kafka {

struct AddOffsetsToTxnRequest : RequestOf<ApiKey::kAddOffsetsToTxn> {
  std::string transactional_id;
  ProducerId producer_id;
  ProducerEpoch producer_epoch;
  std::string group_id;
  void describe(Fields& f);
};

struct AddOffsetsToTxnResponse : ResponseOf<ApiKey::kAddOffsetsToTxn> {
  std::int32_t throttle_time_ms = 0;
  KafkaError error = KafkaError::kNone;
  void describe(Fields& f);
};

}  // namespace runnel::protocol::kafka
