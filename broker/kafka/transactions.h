// What the handlers of transactions share.
#pragma once

#include "broker/kafka/groups.h"

namespace runnel::broker {

/// What a producer should be told about its transaction. `knows_fenced`: the request's version is
/// one that knows PRODUCER_FENCED; before, it was told like an old epoch. What storage cannot do at
/// the moment is the coordinator's trouble.
[[nodiscard]] kafka::KafkaError transaction_error(ErrorCode code, bool knows_fenced) noexcept;
/// Of Produce and TxnOffsetCommit, which know TRANSACTION_ABORTABLE from one version on, and never
/// PRODUCER_FENCED.
[[nodiscard]] kafka::KafkaError participation_error(ErrorCode code, bool knows_abortable) noexcept;

}  // namespace runnel::broker
