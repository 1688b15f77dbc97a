#include "broker/groups/consumer_protocol.h"

#include <algorithm>

#include "broker/groups/limits.h"
#include "protocol/base/bytes.h"

namespace runnel::broker {
namespace {

/// A count whose elements take at least `least` bytes each; fails if they cannot be there.
std::size_t count_of(ByteReader& in, std::size_t least, std::size_t limit) {
  const auto count = in.be<std::int32_t>();
  if (count < 0 || static_cast<std::size_t>(count) > in.remaining() / least ||
      static_cast<std::size_t>(count) > limit) {
    in.set_failed();
    return 0;
  }
  return static_cast<std::size_t>(count);
}

std::string_view name_of_topic(ByteReader& in) {
  const auto size = in.be<std::int16_t>();
  if (size <= 0) in.set_failed();
  return as_text(in.take(static_cast<std::size_t>(std::max<std::int16_t>(size, 0))));
}

}  // namespace

std::optional<std::vector<std::string_view>> parse_subscription(Bytes bytes) {
  ByteReader in(bytes);
  if (in.be<std::int16_t>() < 0) return std::nullopt;
  const std::size_t count = count_of(in, 2, kMaxParsedTopics);
  std::vector<std::string_view> topics;
  topics.reserve(count);
  for (std::size_t i = 0; i < count && in.ok(); ++i) topics.push_back(name_of_topic(in));
  if (!in.ok()) return std::nullopt;
  return topics;
}

std::optional<PartitionSet> parse_assignment(Bytes bytes) {
  PartitionSet set;
  if (bytes.empty()) return set;
  ByteReader in(bytes);
  if (in.be<std::int16_t>() < 0) return std::nullopt;
  std::size_t left = kMaxGroupPartitions;
  const std::size_t topics = count_of(in, 6, kMaxParsedTopics);
  for (std::size_t t = 0; t < topics && in.ok(); ++t) {
    const std::string topic(name_of_topic(in));
    const std::size_t partitions = count_of(in, 4, left);
    left -= partitions;
    if (partitions == 0) continue;
    auto& list = set[topic];
    for (std::size_t p = 0; p < partitions; ++p) list.push_back(in.be<std::int32_t>());
    std::sort(list.begin(), list.end());
    list.erase(std::unique(list.begin(), list.end()), list.end());
  }
  if (!in.ok()) return std::nullopt;
  return set;
}

}  // namespace runnel::broker
