// What `runnel top` shows: two looks at the broker, made into lines of text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace runnel::tools {

struct TopicLook {
  std::int32_t partitions = 0;
  std::uint64_t records = 0;  ///< kept now
  std::uint64_t written = 0;  ///< the sum of the partitions' end offsets
  std::uint64_t bytes = 0;
};
struct GroupLook {
  std::string state;
  std::uint64_t lag = 0;
};
/// The broker at one moment.
struct BrokerLook {
  double seconds = 0;  ///< of a clock that only goes forward
  std::map<std::string, std::uint64_t> statistics;
  std::map<std::string, TopicLook> topics;
  std::map<std::string, GroupLook> groups;
};

/// At most `height` lines of at most `width` columns; rates are those between the two looks. Topics
/// with the highest rate and groups with the greatest lag come first.
[[nodiscard]] std::vector<std::string> render_top(const BrokerLook& before, const BrokerLook& now,
                                                  const std::string& title, std::size_t width,
                                                  std::size_t height);

}  // namespace runnel::tools
