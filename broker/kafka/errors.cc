#include "broker/kafka/errors.h"

#include <cstddef>
#include <iterator>

namespace runnel::broker {
namespace {

using protocol::kafka::KafkaError;

struct Row {
  ErrorCode ours;
  KafkaError theirs;
};

/// What Kafka's clients do on an error decides, more than its name: storage that is full or broken
/// for a while is kKafkaStorageError and a broker that is going down kCoordinatorLoadInProgress,
/// because clients try both again.
constexpr Row kRows[] = {
    {ErrorCode::kOk, KafkaError::kNone},
    {ErrorCode::kInternal, KafkaError::kUnknownServerError},
    {ErrorCode::kInvalidArgument, KafkaError::kInvalidRequest},
    {ErrorCode::kMalformed, KafkaError::kInvalidRecord},
    {ErrorCode::kUnsupported, KafkaError::kUnsupportedForMessageFormat},
    {ErrorCode::kCorrupt, KafkaError::kCorruptMessage},
    {ErrorCode::kIo, KafkaError::kKafkaStorageError},
    {ErrorCode::kLowSpace, KafkaError::kKafkaStorageError},
    {ErrorCode::kLocked, KafkaError::kUnknownServerError},
    {ErrorCode::kFormatTooNew, KafkaError::kUnknownServerError},
    {ErrorCode::kUnknownTopic, KafkaError::kUnknownTopicOrPartition},
    {ErrorCode::kUnknownPartition, KafkaError::kUnknownTopicOrPartition},
    {ErrorCode::kTopicExists, KafkaError::kTopicAlreadyExists},
    {ErrorCode::kInvalidTopicName, KafkaError::kInvalidTopicException},
    {ErrorCode::kInvalidConfig, KafkaError::kInvalidConfig},
    {ErrorCode::kOffsetOutOfRange, KafkaError::kOffsetOutOfRange},
    {ErrorCode::kRecordTooLarge, KafkaError::kMessageTooLarge},
    {ErrorCode::kOutOfOrderSequence, KafkaError::kOutOfOrderSequenceNumber},
    {ErrorCode::kInvalidProducerEpoch, KafkaError::kInvalidProducerEpoch},
    {ErrorCode::kUnknownProducer, KafkaError::kUnknownProducerId},
    {ErrorCode::kPreconditionFailed, KafkaError::kInvalidRequest},
    {ErrorCode::kFenced, KafkaError::kFencedInstanceId},
    {ErrorCode::kDedupConflict, KafkaError::kInvalidRequest},
    {ErrorCode::kPartialDuplicate, KafkaError::kInvalidRequest},
    {ErrorCode::kUnknownGroup, KafkaError::kGroupIdNotFound},
    {ErrorCode::kUnknownMember, KafkaError::kUnknownMemberId},
    {ErrorCode::kStaleGeneration, KafkaError::kIllegalGeneration},
    {ErrorCode::kRebalancing, KafkaError::kRebalanceInProgress},
    {ErrorCode::kGroupNotEmpty, KafkaError::kNonEmptyGroup},
    {ErrorCode::kOverloaded, KafkaError::kKafkaStorageError},
    {ErrorCode::kShuttingDown, KafkaError::kCoordinatorLoadInProgress},
    {ErrorCode::kTimeout, KafkaError::kRequestTimedOut},
    {ErrorCode::kDisconnected, KafkaError::kCoordinatorLoadInProgress},
    {ErrorCode::kUnknownRequest, KafkaError::kUnsupportedVersion},
    {ErrorCode::kVersionMismatch, KafkaError::kUnsupportedVersion},
    {ErrorCode::kUnauthorized, KafkaError::kTopicAuthorizationFailed},
    {ErrorCode::kTooManyPartitions, KafkaError::kInvalidPartitions},
    {ErrorCode::kCancelled, KafkaError::kCoordinatorLoadInProgress},
    {ErrorCode::kNotFound, KafkaError::kInvalidRequest},
    {ErrorCode::kNotAvailable, KafkaError::kCoordinatorLoadInProgress},
    {ErrorCode::kInvalidGroupId, KafkaError::kInvalidGroupId},
    {ErrorCode::kMemberIdRequired, KafkaError::kMemberIdRequired},
    {ErrorCode::kInconsistentGroupProtocol, KafkaError::kInconsistentGroupProtocol},
    {ErrorCode::kFencedInstanceId, KafkaError::kFencedInstanceId},
    {ErrorCode::kUnreleasedInstanceId, KafkaError::kUnreleasedInstanceId},
    {ErrorCode::kGroupMaxSizeReached, KafkaError::kGroupMaxSizeReached},
    {ErrorCode::kInvalidSessionTimeout, KafkaError::kInvalidSessionTimeout},
    {ErrorCode::kIllegalGeneration, KafkaError::kIllegalGeneration},
    {ErrorCode::kFencedMemberEpoch, KafkaError::kFencedMemberEpoch},
    {ErrorCode::kStaleMemberEpoch, KafkaError::kStaleMemberEpoch},
    {ErrorCode::kUnsupportedAssignor, KafkaError::kUnsupportedAssignor},
    {ErrorCode::kInvalidRegularExpression, KafkaError::kInvalidRegularExpression},
    {ErrorCode::kInvalidTxnState, KafkaError::kInvalidTxnState},
    {ErrorCode::kConcurrentTransactions, KafkaError::kConcurrentTransactions},
    {ErrorCode::kProducerFenced, KafkaError::kProducerFenced},
    {ErrorCode::kTransactionAbortable, KafkaError::kTransactionAbortable},
    {ErrorCode::kInvalidProducerIdMapping, KafkaError::kInvalidProducerIdMapping},
    {ErrorCode::kInvalidTxnTimeout, KafkaError::kInvalidTransactionTimeout},
    {ErrorCode::kTransactionalIdNotFound, KafkaError::kTransactionalIdNotFound},
    {ErrorCode::kUnstableOffsetCommit, KafkaError::kUnstableOffsetCommit},
};

constexpr bool rows_are_in_order() {
  for (std::size_t i = 0; i < std::size(kRows); ++i) {
    if (static_cast<std::size_t>(kRows[i].ours) != i) return false;
  }
  return true;
}
static_assert(rows_are_in_order(), "kRows is indexed by the error's number");

}  // namespace

KafkaError kafka_error(ErrorCode code) noexcept {
  const auto i = static_cast<std::size_t>(code);
  return i < std::size(kRows) ? kRows[i].theirs : KafkaError::kUnknownServerError;
}

}  // namespace runnel::broker
