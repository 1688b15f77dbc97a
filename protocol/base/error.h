// Errors: what happened, why, what to do next. One list for storage, broker and native protocol.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace runnel {

/// What went wrong. Sent on the native wire: numbers are never changed or reused.
/// The table in error.cc gives each its name and its action.
enum class ErrorCode : std::uint16_t {
  kOk = 0,
  kInternal = 1,         ///< a broken invariant; a defect of Runnel
  kInvalidArgument = 2,  ///< the request makes no sense as it is
  kMalformed = 3,        ///< bytes that do not follow their format
  kUnsupported = 4,      ///< known, but not offered here
  kCorrupt = 5,          ///< stored bytes fail their checksum
  kIo = 6,               ///< the file system failed
  kLowSpace = 7,         ///< the disk is too full to accept records
  kLocked = 8,           ///< another process holds the data directory
  kFormatTooNew = 9,     ///< written by a newer version
  kUnknownTopic = 10,
  kUnknownPartition = 11,
  kTopicExists = 12,
  kInvalidTopicName = 13,
  kInvalidConfig = 14,
  kOffsetOutOfRange = 15,
  kRecordTooLarge = 16,
  kOutOfOrderSequence = 17,
  kInvalidProducerEpoch = 18,
  kUnknownProducer = 19,
  kPreconditionFailed = 20,  ///< expected next offset did not match
  kFenced = 21,              ///< a newer fencing token or member is known
  kDedupConflict = 22,       ///< same dedup key, other payload
  kPartialDuplicate = 23,    ///< some, not all, of the records are duplicates; nothing stored
  kUnknownGroup = 24,
  kUnknownMember = 25,
  kStaleGeneration = 26,
  kRebalancing = 27,
  kGroupNotEmpty = 28,
  kOverloaded = 29,  ///< memory limit reached; try again
  kShuttingDown = 30,
  kTimeout = 31,
  kDisconnected = 32,
  kUnknownRequest = 33,  ///< request kind not known to this version
  kVersionMismatch = 34,
  kUnauthorized = 35,
  kTooManyPartitions = 36,
  kCancelled = 37,
  kNotFound = 38,
  // Of groups that Kafka's clients use.
  kNotAvailable = 39,               ///< the group cannot be worked on at this moment
  kInvalidGroupId = 40,             ///< empty, too long or with bytes that no name has
  kMemberIdRequired = 41,           ///< join again with the member id of the answer
  kInconsistentGroupProtocol = 42,  ///< the group's members speak another protocol
  kFencedInstanceId = 43,           ///< the instance id belongs to another member by now
  kUnreleasedInstanceId = 44,       ///< the instance id's holder has not left
  kGroupMaxSizeReached = 45,
  kInvalidSessionTimeout = 46,
  kIllegalGeneration = 47,
  kFencedMemberEpoch = 48,  ///< not the member's epoch: give up everything, join again
  kStaleMemberEpoch = 49,   ///< a commit with an epoch that is over
  kUnsupportedAssignor = 50,
  kInvalidRegularExpression = 51,
  // Of transactions.
  kInvalidTxnState = 52,           ///< the transaction is not in a state that allows it
  kConcurrentTransactions = 53,    ///< the transaction before is being ended; try again
  kProducerFenced = 54,            ///< a newer producer has taken the transactional id
  kTransactionAbortable = 55,      ///< abort the transaction, then go on
  kInvalidProducerIdMapping = 56,  ///< the transactional id belongs to another producer id
  kInvalidTxnTimeout = 57,         ///< outside of what the broker allows
  kTransactionalIdNotFound = 58,
  kUnstableOffsetCommit = 59,  ///< a transaction that may change the offset is open; try again
};

/// What a caller should do about an error.
enum class ErrorAction : std::uint8_t {
  kRetry = 0,           ///< nothing was done; the same request may succeed later
  kRefresh = 1,         ///< reread metadata (topics, group), then retry
  kPermanent = 2,       ///< the same request will always fail
  kMaybePersisted = 3,  ///< the outcome is not known; retry only with an idempotent request
};

/// Stable lower_snake name, e.g. "offset_out_of_range"; "unknown" for numbers not in the list.
[[nodiscard]] std::string_view name_of(ErrorCode code) noexcept;
/// "retry", "refresh", "permanent" or "maybe_persisted".
[[nodiscard]] std::string_view name_of(ErrorAction action) noexcept;
[[nodiscard]] ErrorAction action_of(ErrorCode code) noexcept;

/// A failure. `message` is for people: what happened, why, and what to do next; no secrets.
class [[nodiscard]] Error {
 public:
  Error(ErrorCode code, std::string message) : code_(code), message_(std::move(message)) {}

  [[nodiscard]] ErrorCode code() const noexcept { return code_; }
  [[nodiscard]] ErrorAction action() const noexcept { return action_of(code_); }
  [[nodiscard]] const std::string& message() const noexcept { return message_; }
  /// "offset_out_of_range: offset 7 is ..."
  [[nodiscard]] std::string to_string() const;
  /// The same error with `context` and ": " before its message.
  [[nodiscard]] Error within(std::string_view context) const;

 private:
  ErrorCode code_;
  std::string message_;
};

template <class T>
using Result = tl::expected<T, Error>;
using Status = tl::expected<void, Error>;

[[nodiscard]] inline tl::unexpected<Error> fail(ErrorCode code, std::string message) {
  return tl::unexpected<Error>(Error(code, std::move(message)));
}
[[nodiscard]] inline tl::unexpected<Error> fail(Error error) {
  return tl::unexpected<Error>(std::move(error));
}

}  // namespace runnel

#define RUNNEL_CONCAT_INNER(a, b) a##b
#define RUNNEL_CONCAT(a, b) RUNNEL_CONCAT_INNER(a, b)
/// Returns the error of `expr` (a Result or Status) from the calling function, if it is one.
#define RUNNEL_TRY(expr)                                                              \
  do {                                                                                \
    auto&& runnel_try_result = (expr);                                                \
    if (!runnel_try_result)                                                           \
      return ::tl::unexpected<::runnel::Error>(std::move(runnel_try_result).error()); \
  } while (false)
/// RUNNEL_TRY_ASSIGN(auto x, expr): x is the value of `expr`, or its error is returned.
#define RUNNEL_TRY_ASSIGN(decl, expr) \
  RUNNEL_TRY_ASSIGN_IMPL(RUNNEL_CONCAT(runnel_try_value_, __LINE__), decl, expr)
#define RUNNEL_TRY_ASSIGN_IMPL(tmp, decl, expr)                               \
  auto tmp = (expr);                                                          \
  if (!tmp) return ::tl::unexpected<::runnel::Error>(std::move(tmp).error()); \
  decl = std::move(*tmp)
