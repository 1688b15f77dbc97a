// The limits of transactions, in one place.
#pragma once

#include <chrono>
#include <cstddef>

#include "storage/store.h"

namespace runnel::broker {

/// Remembered at the same time. An id is forgotten transactional.id.expiration.ms after its last
/// transaction; at this limit sooner, those first that are unused for the longest time.
inline constexpr std::size_t kMaxTransactionalIds = 50'000;
/// No id is forgotten for others that was used within this time.
inline constexpr std::chrono::milliseconds kIdRest{60'000};
/// After none could be forgotten, the next look for one.
inline constexpr std::chrono::milliseconds kFullIdsRetry{1'000};
inline constexpr std::size_t kMaxTransactionalIdBytes = 240;  ///< with "txn/" it is a state key
inline constexpr std::size_t kMaxTransactionPartitions = storage::kMaxTransactionMarkers;
inline constexpr std::size_t kMaxTransactionGroups = 100;  ///< in one transaction
/// Entries "txp/" of one transaction: a topic that is made anew takes part anew.
inline constexpr std::int32_t kMaxParticipantEntries = 2 * kMaxTransactionPartitions;
/// Positions of groups that wait for the end of one transaction, and the bytes that they take.
inline constexpr std::size_t kMaxPendingOffsets = 10'000;
inline constexpr std::size_t kMaxPendingOffsetBytes = 4u << 20;
/// In all open transactions together.
inline constexpr std::size_t kMaxOpenPartitions = 200'000;
inline constexpr std::size_t kMaxAllPendingOffsetBytes = 32u << 20;
/// What a pending position costs besides its texts.
inline constexpr std::size_t kPendingOffsetOverheadBytes = 192;
static_assert(kMaxPendingOffsets * (kPendingOffsetOverheadBytes + 200) <= kMaxPendingOffsetBytes,
              "as many positions as are promised, with names of ordinary length");
/// An end that cannot be stored is tried again after this long.
inline constexpr std::chrono::milliseconds kEndRetryInterval{1'000};
/// How often an end that met a topic being deleted is put together anew, before it counts as
/// failed.
inline constexpr int kEndAttempts = 3;
/// Ids forgotten in one step, so that a step stays short.
inline constexpr std::size_t kMaxForgottenAtOnce = 200;

static_assert(kMaxParticipantEntries <= 0xffff, "their keys have four digits");
static_assert(kMaxTransactionalIdBytes + 4 <= storage::kMaxNameBytes);

}  // namespace runnel::broker
