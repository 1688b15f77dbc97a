// A record as the command line sees it, read or to be written.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace runnel::tools {

/// A consumed record. Views: whoever made it keeps the bytes.
struct ShownRecord {
  std::string_view topic;
  std::int32_t partition = 0;
  std::int64_t offset = 0;
  std::int64_t timestamp = -1;  ///< milliseconds since 1970, UTC
  std::optional<std::string_view> key;
  std::optional<std::string_view> value;
  std::vector<std::pair<std::string_view, std::optional<std::string_view>>> headers;
};

/// A row of input that became a record.
struct InputRecord {
  std::optional<std::string> key;
  std::optional<std::string> value;
  std::optional<std::int64_t> timestamp;  ///< milliseconds since 1970; empty: now
};

}  // namespace runnel::tools
