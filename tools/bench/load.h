// The load of `runnel bench`: connections that append prebuilt batches or fetch, and what they saw.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "protocol/base/error.h"
#include "protocol/base/histogram.h"
#include "protocol/native/messages.h"

namespace runnel::tools {

struct LoadPlan {
  std::string address;
  std::string topic;
  std::int32_t partitions = 1;        ///< spread over the connections
  std::uint64_t records = 1'000'000;  ///< in all
  std::size_t record_bytes = 1024;    ///< of a record's value
  std::size_t batch_bytes = 64u << 10;
  unsigned connections = 1;
  unsigned depth = 1;  ///< requests in flight on a connection
  protocol::native::Durability durability = protocol::native::Durability::kSynced;
  /// Records a second in all; 0: closed loop, as fast as replies come. With a rate the loop is
  /// open: a latency counts from the moment its request was due, sent or not.
  double rate = 0;
};

struct LoadResult {
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;  ///< of record batches
  std::uint64_t requests = 0;
  double seconds = 0;  ///< from the first request to the last reply with records
  std::chrono::steady_clock::time_point last_reply{};  ///< with records; of fetches
  Histogram latency_nanos;                             ///< of requests
  /// The lowest level any reply named.
  protocol::native::Durability durability = protocol::native::Durability::kSynced;
};

/// Records of one batch of the plan, at least one and no more than a connection's share.
[[nodiscard]] std::uint64_t records_per_batch(const LoadPlan& plan);

/// Appends the plan's records. Returns when all replies are there; the first error ends it.
[[nodiscard]] Result<LoadResult> run_append(const LoadPlan& plan);

/// Wait for more at the end of the log, until `stop` is set.
struct Follow {
  const std::atomic<bool>* stop = nullptr;  ///< nullptr: end at the end
};

/// Fetches every partition from its start until `records` of the plan were read, in all.
[[nodiscard]] Result<LoadResult> run_fetch(const LoadPlan& plan, Follow follow = {});

}  // namespace runnel::tools
