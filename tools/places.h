// Places in the log ("-2h", "end", ...) turned into offsets of partitions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/base/error.h"
#include "protocol/text/time.h"
#include "runnel/client.h"

namespace runnel::tools {

/// A partition's kept range: offsets from `start` up to, not including, `end`.
struct Bounds {
  TopicPartition target;
  std::int64_t start = 0;
  std::int64_t end = 0;
};

/// Bounds of the partitions of `topic`; `only` picks some, empty means all. kUnknownPartition.
[[nodiscard]] Result<std::vector<Bounds>> bounds_of(Client& client, const std::string& topic,
                                                    const std::vector<std::int32_t>& only = {});

/// The offset of `place` in each of `partitions`, in order. A time later than every record is the
/// end; everything is kept within the bounds, except offsets that were named: these come as given.
[[nodiscard]] Result<std::vector<std::int64_t>> offsets_at(Client& client,
                                                           const std::vector<Bounds>& partitions,
                                                           const protocol::Place& place);

/// What a command line says about the part of the log to read.
struct Reach {
  std::vector<std::string> topics;
  std::vector<std::int32_t> partitions;  ///< empty: all
  std::string from;                      ///< a place or a range
  std::string to;                        ///< a place, or empty
  bool up_to_now = false;                ///< ends where the log ends now, if not before
};
/// Where reading of a partition begins and, if it does, ends.
struct Span {
  TopicPartition target;
  std::int64_t from = 0;
  std::optional<std::int64_t> to;  ///< not itself read
};
/// `reach` as offsets of every partition; says on standard error which of them begin behind their
/// end and are left out. kInvalidArgument, kUnknownTopic, kUnknownPartition.
[[nodiscard]] Result<std::vector<Span>> spans_of(Client& client, const Reach& reach);

}  // namespace runnel::tools
