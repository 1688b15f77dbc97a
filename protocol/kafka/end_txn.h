// A transaction is committed or aborted.
#pragma once

#include <cstdint>
#include <string>

#include "protocol/kafka/errors.h"
#include "protocol/kafka/fields.h"

namespace runnel::protocol::kafka {

struct EndTxnRequest : RequestOf<ApiKey::kEndTxn> {
  std::string transactional_id;
  ProducerId producer_id;
  ProducerEpoch producer_epoch;
  bool committed = false;
  void describe(Fields& f);
};

struct EndTxnResponse : ResponseOf<ApiKey::kEndTxn> {
  std::int32_t throttle_time_ms = 0;
  KafkaError error = KafkaError::kNone;
  ProducerId producer_id{-1};  ///< to go on with
  ProducerEpoch producer_epoch{-1};
  void describe(Fields& f);
};

}  // namespace runnel::protocol::kafka
