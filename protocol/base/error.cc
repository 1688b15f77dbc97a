#include "protocol/base/error.h"

namespace runnel {
namespace {

struct Row {
  ErrorCode code;
  std::string_view name;
  ErrorAction action;
};

constexpr Row kRows[] = {
    {ErrorCode::kOk, "ok", ErrorAction::kPermanent},
    {ErrorCode::kInternal, "internal", ErrorAction::kMaybePersisted},
    {ErrorCode::kInvalidArgument, "invalid_argument", ErrorAction::kPermanent},
    {ErrorCode::kMalformed, "malformed", ErrorAction::kPermanent},
    {ErrorCode::kUnsupported, "unsupported", ErrorAction::kPermanent},
    {ErrorCode::kCorrupt, "corrupt", ErrorAction::kPermanent},
    {ErrorCode::kIo, "io", ErrorAction::kMaybePersisted},
    {ErrorCode::kLowSpace, "low_space", ErrorAction::kRetry},
    {ErrorCode::kLocked, "locked", ErrorAction::kPermanent},
    {ErrorCode::kFormatTooNew, "format_too_new", ErrorAction::kPermanent},
    {ErrorCode::kUnknownTopic, "unknown_topic", ErrorAction::kRefresh},
    {ErrorCode::kUnknownPartition, "unknown_partition", ErrorAction::kRefresh},
    {ErrorCode::kTopicExists, "topic_exists", ErrorAction::kPermanent},
    {ErrorCode::kInvalidTopicName, "invalid_topic_name", ErrorAction::kPermanent},
    {ErrorCode::kInvalidConfig, "invalid_config", ErrorAction::kPermanent},
    {ErrorCode::kOffsetOutOfRange, "offset_out_of_range", ErrorAction::kPermanent},
    {ErrorCode::kRecordTooLarge, "record_too_large", ErrorAction::kPermanent},
    {ErrorCode::kOutOfOrderSequence, "out_of_order_sequence", ErrorAction::kPermanent},
    {ErrorCode::kInvalidProducerEpoch, "invalid_producer_epoch", ErrorAction::kPermanent},
    {ErrorCode::kUnknownProducer, "unknown_producer", ErrorAction::kRefresh},
    {ErrorCode::kPreconditionFailed, "precondition_failed", ErrorAction::kPermanent},
    {ErrorCode::kFenced, "fenced", ErrorAction::kPermanent},
    {ErrorCode::kDedupConflict, "dedup_conflict", ErrorAction::kPermanent},
    {ErrorCode::kPartialDuplicate, "partial_duplicate", ErrorAction::kPermanent},
    {ErrorCode::kUnknownGroup, "unknown_group", ErrorAction::kPermanent},
    {ErrorCode::kUnknownMember, "unknown_member", ErrorAction::kRefresh},
    {ErrorCode::kStaleGeneration, "stale_generation", ErrorAction::kRefresh},
    {ErrorCode::kRebalancing, "rebalancing", ErrorAction::kRefresh},
    {ErrorCode::kGroupNotEmpty, "group_not_empty", ErrorAction::kPermanent},
    {ErrorCode::kOverloaded, "overloaded", ErrorAction::kRetry},
    {ErrorCode::kShuttingDown, "shutting_down", ErrorAction::kRetry},
    {ErrorCode::kTimeout, "timeout", ErrorAction::kMaybePersisted},
    {ErrorCode::kDisconnected, "disconnected", ErrorAction::kMaybePersisted},
    {ErrorCode::kUnknownRequest, "unknown_request", ErrorAction::kPermanent},
    {ErrorCode::kVersionMismatch, "version_mismatch", ErrorAction::kPermanent},
    {ErrorCode::kUnauthorized, "unauthorized", ErrorAction::kPermanent},
    {ErrorCode::kTooManyPartitions, "too_many_partitions", ErrorAction::kPermanent},
    {ErrorCode::kCancelled, "cancelled", ErrorAction::kRetry},
    {ErrorCode::kNotFound, "not_found", ErrorAction::kPermanent},
    {ErrorCode::kNotAvailable, "not_available", ErrorAction::kRetry},
    {ErrorCode::kInvalidGroupId, "invalid_group_id", ErrorAction::kPermanent},
    {ErrorCode::kMemberIdRequired, "member_id_required", ErrorAction::kRefresh},
    {ErrorCode::kInconsistentGroupProtocol, "inconsistent_group_protocol", ErrorAction::kPermanent},
    {ErrorCode::kFencedInstanceId, "fenced_instance_id", ErrorAction::kPermanent},
    {ErrorCode::kUnreleasedInstanceId, "unreleased_instance_id", ErrorAction::kPermanent},
    {ErrorCode::kGroupMaxSizeReached, "group_max_size_reached", ErrorAction::kPermanent},
    {ErrorCode::kInvalidSessionTimeout, "invalid_session_timeout", ErrorAction::kPermanent},
    {ErrorCode::kIllegalGeneration, "illegal_generation", ErrorAction::kRefresh},
    {ErrorCode::kFencedMemberEpoch, "fenced_member_epoch", ErrorAction::kRefresh},
    {ErrorCode::kStaleMemberEpoch, "stale_member_epoch", ErrorAction::kRefresh},
    {ErrorCode::kUnsupportedAssignor, "unsupported_assignor", ErrorAction::kPermanent},
    {ErrorCode::kInvalidRegularExpression, "invalid_regular_expression", ErrorAction::kPermanent},
    {ErrorCode::kInvalidTxnState, "invalid_txn_state", ErrorAction::kPermanent},
    {ErrorCode::kConcurrentTransactions, "concurrent_transactions", ErrorAction::kRetry},
    {ErrorCode::kProducerFenced, "producer_fenced", ErrorAction::kPermanent},
    {ErrorCode::kTransactionAbortable, "transaction_abortable", ErrorAction::kPermanent},
    {ErrorCode::kInvalidProducerIdMapping, "invalid_producer_id_mapping", ErrorAction::kPermanent},
    {ErrorCode::kInvalidTxnTimeout, "invalid_txn_timeout", ErrorAction::kPermanent},
    {ErrorCode::kTransactionalIdNotFound, "transactional_id_not_found", ErrorAction::kPermanent},
    {ErrorCode::kUnstableOffsetCommit, "unstable_offset_commit", ErrorAction::kRetry},
};

constexpr bool rows_are_in_order() {
  for (std::size_t i = 0; i < std::size(kRows); ++i) {
    if (static_cast<std::size_t>(kRows[i].code) != i) return false;
  }
  return true;
}
static_assert(rows_are_in_order(), "kRows is indexed by the error's number");

}  // namespace

std::string_view name_of(ErrorCode code) noexcept {
  const auto i = static_cast<std::size_t>(code);
  return i < std::size(kRows) ? kRows[i].name : "unknown";
}

std::string_view name_of(ErrorAction action) noexcept {
  switch (action) {
    case ErrorAction::kRetry:
      return "retry";
    case ErrorAction::kRefresh:
      return "refresh";
    case ErrorAction::kPermanent:
      return "permanent";
    case ErrorAction::kMaybePersisted:
      return "maybe_persisted";
  }
  return "unknown";
}

ErrorAction action_of(ErrorCode code) noexcept {
  const auto i = static_cast<std::size_t>(code);
  return i < std::size(kRows) ? kRows[i].action : ErrorAction::kPermanent;
}

std::string Error::to_string() const {
  return std::string(name_of(code_)) + ": " + message_;
}

Error Error::within(std::string_view context) const {
  return Error(code_, std::string(context) + ": " + message_);
}

}  // namespace runnel
