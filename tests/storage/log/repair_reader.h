// Reads all of a partition, and what of it answers that it is lost.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tests/storage/log/store_fixture.h"

namespace runnel::storage {

using Records = std::map<std::int64_t, std::string>;

/// What reading a partition gave: its records, and which offsets answered that they are lost.
struct Read {
  Records records;
  std::vector<std::pair<std::int64_t, std::int64_t>> lost;
  Offset start;
  Offset end;

  [[nodiscard]] bool is_lost(std::int64_t offset) const {
    return std::any_of(lost.begin(), lost.end(), [&](const auto& range) {
      return range.first <= offset && offset <= range.second;
    });
  }
};

/// The offset that an error names as the one where reading can go on.
inline Offset goes_on_at(const Error& error) {
  constexpr std::string_view kWords = "reading can go on at offset ";
  const std::size_t at = error.message().find(kWords);
  EXPECT_NE(at, std::string::npos) << error.to_string();
  if (at == std::string::npos) return kNoOffset;
  return Offset(std::stoll(error.message().substr(at + kWords.size())));
}

inline Read read_all(Store& store, const PartitionRef& partition) {
  Read out;
  const PartitionInfo info = store.partition_info(partition);
  out.start = info.log_start;
  out.end = info.high_watermark;
  for (Offset at = info.log_start; at < info.high_watermark;) {
    auto fetched = store.fetch_and_wait({{{partition, at, 64u << 10}}});
    if (const auto& error = fetched[0].head.error) {
      EXPECT_EQ(error->code(), ErrorCode::kCorrupt) << error->to_string();
      const Offset next = goes_on_at(*error);
      EXPECT_GT(next, at) << error->to_string();
      if (next <= at) break;
      out.lost.emplace_back(at.value(), next.value() - 1);
      at = next;
      continue;
    }
    for (Bytes rest = fetched[0].batches.bytes(); !rest.empty();) {
      const auto size =
          protocol::validate_batch(rest, protocol::Depth::kRecords, protocol::Gaps::kAllowed);
      EXPECT_TRUE(size) << size.error().to_string();
      if (!size) return out;
      auto reader = protocol::RecordReader::open(rest.first(*size));
      for (auto r = reader->next(); r && *r; r = reader->next()) {
        if ((*r)->offset < at) continue;
        out.records[(*r)->offset.value()] =
            std::string((*r)->key.value_or("")) + "=" + std::string((*r)->value.value_or(""));
      }
      rest = rest.subspan(*size);
    }
    EXPECT_GT(fetched[0].head.next, at);
    if (fetched[0].head.next <= at) break;
    at = fetched[0].head.next;
  }
  return out;
}

}  // namespace runnel::storage
