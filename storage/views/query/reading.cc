#include "storage/views/query/reading.h"

#include <algorithm>
#include <chrono>

#include "storage/views/engine/cursor.h"

namespace runnel::storage::views {

Status Reading::check_time() {
  constexpr unsigned kCallsBetween = 256;
  if (calls_++ % kCallsBetween != 0) return {};
  if (limits.cancelled && limits.cancelled->load()) {
    return fail(ErrorCode::kCancelled, "nobody waits for the answer any more");
  }
  if (std::chrono::steady_clock::now() < limits.deadline) return {};
  return fail(ErrorCode::kTimeout,
              "the query did not end in its time; a narrower WHERE reads less, a view has its "
              "totals ready");
}

Status Reading::check_memory(std::size_t bytes) const {
  if (bytes <= limits.max_bytes) return {};
  constexpr std::size_t kMegabyte = 1u << 20;
  return fail(
      ErrorCode::kInvalidArgument,
      "the query would hold more than " +
          (limits.max_bytes >= kMegabyte ? std::to_string(limits.max_bytes / kMegabyte) + " MB"
                                         : std::to_string(limits.max_bytes) + " bytes") +
          " in memory; LIMIT, WHERE or fewer groups take less");
}

std::vector<Position> Reading::take_positions() {
  std::sort(positions.begin(), positions.end());
  positions.erase(std::unique(positions.begin(), positions.end(),
                              [](const Position& a, const Position& b) {
                                return a.topic == b.topic && a.partition == b.partition;
                              }),
                  positions.end());
  return std::move(positions);
}

Error row_error_at(std::optional<sql::Place> place, RowError error, const SourcePlan* source,
                   const RecordPlace& at) {
  std::string what(meaning_of(error));
  if (source != nullptr && !source->topic.empty()) {
    what += "; it is the record of " + source->topic + "-" + std::to_string(at.partition) +
            " at offset " + std::to_string(at.offset);
  }
  if (!place) return Error(ErrorCode::kInvalidArgument, what);
  return sql::error_at(*place, what);
}

}  // namespace runnel::storage::views
