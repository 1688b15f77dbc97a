// A producer gets its id and epoch; an open transaction of its is aborted.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "protocol/kafka/errors.h"
#include "protocol/kafka/fields.h"

namespace runnel::protocol::kafka {

struct InitProducerIdRequest : RequestOf<ApiKey::kInitProducerId> {
  std::optional<std::string> transactional_id;
  std::int32_t transaction_timeout_ms = 0;
  ProducerId producer_id{-1};  ///< the one it has, if any
  ProducerEpoch producer_epoch{-1};
  void describe(Fields& f);
};

struct InitProducerIdResponse : ResponseOf<ApiKey::kInitProducerId> {
  std::int32_t throttle_time_ms = 0;
  KafkaError error = KafkaError::kNone;
  ProducerId producer_id{-1};
  ProducerEpoch producer_epoch{-1};
  void describe(Fields& f);
};

}  // namespace runnel::protocol::kafka
