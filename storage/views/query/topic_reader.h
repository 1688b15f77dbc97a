// The committed records of a topic; private to query/*.cc.
#pragma once

#include <functional>
#include <limits>
#include <string>

#include "protocol/record_batch/record_batch.h"
#include "storage/views/query/reading.h"

namespace runnel::storage::views {

/// Offsets [from, before).
struct OffsetRange {
  std::int64_t from = 0;
  std::int64_t before = std::numeric_limits<std::int64_t>::max();
};

/// Of use during the call alone. False: no more of them.
using RecordVisit =
    std::function<Result<bool>(PartitionIndex partition, const protocol::Record& record)>;

/// The records of each partition that the range has and that are before the last stable offset as
/// it is at the beginning. kUnknownTopic, kTimeout; kIo, kCorrupt.
[[nodiscard]] Status read_records(const TopicInfo& topic,
                                  const std::function<OffsetRange(PartitionIndex)>& range_of,
                                  Reading& reading, const RecordVisit& visit);

}  // namespace runnel::storage::views
