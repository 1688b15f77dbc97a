#include "broker/kafka/errors.h"

namespace runnel::broker {

using protocol::kafka::KafkaError;

KafkaError kafka_error(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::kOk:
      return KafkaError::kNone;
    case ErrorCode::kUnknownTopic:
    case ErrorCode::kUnknownPartition:
      return KafkaError::kUnknownTopicOrPartition;
    case ErrorCode::kTopicExists:
      return KafkaError::kTopicAlreadyExists;
    case ErrorCode::kInvalidTopicName:
      return KafkaError::kInvalidTopicException;
    case ErrorCode::kInvalidConfig:
      return KafkaError::kInvalidConfig;
    case ErrorCode::kTooManyPartitions:
      return KafkaError::kInvalidPartitions;
    case ErrorCode::kOffsetOutOfRange:
      return KafkaError::kOffsetOutOfRange;
    case ErrorCode::kRecordTooLarge:
      return KafkaError::kMessageTooLarge;
    case ErrorCode::kMalformed:
      return KafkaError::kInvalidRecord;
    case ErrorCode::kCorrupt:
      return KafkaError::kCorruptMessage;
    case ErrorCode::kUnsupported:
      return KafkaError::kUnsupportedForMessageFormat;
    case ErrorCode::kOutOfOrderSequence:
      return KafkaError::kOutOfOrderSequenceNumber;
    case ErrorCode::kInvalidProducerEpoch:
      return KafkaError::kInvalidProducerEpoch;
    case ErrorCode::kUnknownProducer:
      return KafkaError::kUnknownProducerId;
    case ErrorCode::kUnknownGroup:
      return KafkaError::kGroupIdNotFound;
    case ErrorCode::kUnknownMember:
      return KafkaError::kUnknownMemberId;
    case ErrorCode::kStaleGeneration:
    case ErrorCode::kIllegalGeneration:
      return KafkaError::kIllegalGeneration;
    case ErrorCode::kRebalancing:
      return KafkaError::kRebalanceInProgress;
    case ErrorCode::kGroupNotEmpty:
      return KafkaError::kNonEmptyGroup;
    case ErrorCode::kFenced:
    case ErrorCode::kFencedInstanceId:
      return KafkaError::kFencedInstanceId;
    case ErrorCode::kInvalidGroupId:
      return KafkaError::kInvalidGroupId;
    case ErrorCode::kMemberIdRequired:
      return KafkaError::kMemberIdRequired;
    case ErrorCode::kInconsistentGroupProtocol:
      return KafkaError::kInconsistentGroupProtocol;
    case ErrorCode::kUnreleasedInstanceId:
      return KafkaError::kUnreleasedInstanceId;
    case ErrorCode::kGroupMaxSizeReached:
      return KafkaError::kGroupMaxSizeReached;
    case ErrorCode::kInvalidSessionTimeout:
      return KafkaError::kInvalidSessionTimeout;
    case ErrorCode::kFencedMemberEpoch:
      return KafkaError::kFencedMemberEpoch;
    case ErrorCode::kStaleMemberEpoch:
      return KafkaError::kStaleMemberEpoch;
    case ErrorCode::kUnsupportedAssignor:
      return KafkaError::kUnsupportedAssignor;
    case ErrorCode::kInvalidRegularExpression:
      return KafkaError::kInvalidRegularExpression;
    case ErrorCode::kUnauthorized:
      return KafkaError::kTopicAuthorizationFailed;
    case ErrorCode::kTimeout:
      return KafkaError::kRequestTimedOut;
    case ErrorCode::kIo:
    case ErrorCode::kLowSpace:
    case ErrorCode::kOverloaded:
      return KafkaError::kKafkaStorageError;  // clients try again later
    case ErrorCode::kShuttingDown:
    case ErrorCode::kDisconnected:
    case ErrorCode::kCancelled:
    case ErrorCode::kNotAvailable:
      return KafkaError::kCoordinatorLoadInProgress;
    case ErrorCode::kUnknownRequest:
    case ErrorCode::kVersionMismatch:
      return KafkaError::kUnsupportedVersion;
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kPreconditionFailed:
    case ErrorCode::kDedupConflict:
    case ErrorCode::kPartialDuplicate:
    case ErrorCode::kNotFound:
      return KafkaError::kInvalidRequest;
    case ErrorCode::kInternal:
    case ErrorCode::kLocked:
    case ErrorCode::kFormatTooNew:
      break;
  }
  return KafkaError::kUnknownServerError;
}

}  // namespace runnel::broker
