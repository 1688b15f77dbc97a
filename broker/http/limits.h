// What one HTTP connection or request may take. Beyond it the answer says which limit it was.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace runnel::broker::http {

inline constexpr std::size_t kMaxHeaderBytes = 32u << 10;  ///< request line and headers, trailers
inline constexpr std::size_t kMaxTargetBytes = 8u << 10;
inline constexpr std::size_t kMaxHeaders = 100;
inline constexpr std::size_t kMaxQueryParameters = 64;
/// Of one request; besides, a quarter of the memory for requests is the most.
inline constexpr std::uint64_t kMaxBodyBytes = 32u << 20;
/// A refused request's body is read to its end up to this, so that the connection can go on.
inline constexpr std::uint64_t kMaxSkippedBodyBytes = 256u << 10;
/// What a request is charged with besides its body.
inline constexpr std::uint64_t kRequestCharge = 4u << 10;
/// Bodies up to this size get through, one at a time, when there is no memory.
inline constexpr std::uint64_t kSmallBodyBytes = 16u << 10;
/// Requests of one connection that were read and not answered yet.
inline constexpr std::size_t kMaxPipelined = 32;
inline constexpr std::size_t kMaxRequestIdBytes = 128;
/// What waits for records waits no longer.
inline constexpr std::chrono::seconds kMaxWait{60};

inline constexpr std::size_t kMaxAppendRecords = 10'000;  ///< of one request
/// Bodies above this are taken apart by a worker, not by the loop thread.
inline constexpr std::size_t kMaxInlineBodyBytes = 256u << 10;
inline constexpr std::size_t kMaxInlineCsvBytes = 16u << 10;  ///< they may grow
/// Batches are built up to this, unless the topic allows less or one record is larger.
inline constexpr std::size_t kBatchBytes = 1u << 20;
inline constexpr std::int64_t kMaxReadRecords = 10'000;     ///< of one answer
inline constexpr std::size_t kMaxReadBytes = 4u << 20;      ///< of one answer, or one record
inline constexpr std::uint32_t kReadPieceBytes = 1u << 20;  ///< read at a time
inline constexpr std::size_t kMaxReadPartitions = 64;       ///< that one reader follows
/// Bytes of records that are looked at for one answer, and time spent on it.
inline constexpr std::uint64_t kMaxLookedAtBytes = 64u << 20;
inline constexpr std::chrono::milliseconds kMaxReadTime{500};

/// What a waiting read or an event stream is charged with, and each of its partitions: places in
/// lists, its scan. All waiting requests of all protocols together have a quarter of the memory.
inline constexpr std::uint64_t kStandingCharge = 4u << 10;
inline constexpr std::uint64_t kStandingPartitionCharge = 256;

/// A query: SQL, or a page of a view's rows.
inline constexpr std::chrono::minutes kMaxQueryTime{5};
inline constexpr std::chrono::seconds kUsualQueryTime{30};
inline constexpr std::int64_t kMaxQueryRows = 1'000'000;    ///< of one answer of SQL
inline constexpr std::uint64_t kMaxQueryBytes = 48u << 20;  ///< its rows and their text
inline constexpr std::int64_t kMaxPageRows = 100'000;       ///< of a page of a view
/// Memory that a page of a view's rows takes for each row that it may have, within these.
inline constexpr std::uint64_t kPageRowBytes = 4u << 10;
inline constexpr std::uint64_t kMinPageBytes = 256u << 10;
inline constexpr std::uint64_t kMinSortedBytes = 16u << 20;  ///< of a page that has to be sorted

/// Between two signs of life of an event stream that has nothing to tell.
inline constexpr std::chrono::seconds kHeartbeat{15};
/// An event stream whose reader takes nothing for so long is cut.
inline constexpr std::chrono::seconds kMaxStreamStall{30};
inline constexpr std::uint32_t kStreamPieceBytes = 256u << 10;  ///< read, and formatted, at a time

/// Between two events of a view, so that a thousand changes a second are ten events.
inline constexpr std::chrono::milliseconds kPushInterval{100};
/// Rows of one event that all subscribers of a view share; of more each reads for itself.
inline constexpr std::size_t kMaxPushEventBytes = 1u << 20;

/// Series of /metrics that name partitions or groups; the rest is left out and counted.
inline constexpr std::size_t kMaxPartitionSeries = 10'000;
inline constexpr std::size_t kMaxGroupSeries = 10'000;
inline constexpr std::size_t kMaxListed = 10'000;  ///< topics or groups in one answer

}  // namespace runnel::broker::http
