// Moving a group's committed offsets, after showing what that would change.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tools/cli.h"
#include "tools/places.h"

namespace runnel::tools {

struct GroupSeek {
  std::string group;
  std::vector<std::string> topics;  ///< empty: those the group has offsets in
  protocol::Place to;
  bool execute = false;  ///< false: only shows it
};
/// Prints what is to read before and after, and moves the offsets if it is to be done.
/// kGroupNotEmpty: members would go on from where they are. kNotFound.
[[nodiscard]] Result<ExitCode> seek_group(Client& client, const GroupSeek& seek);

/// "-" for kNoPosition.
[[nodiscard]] std::string offset_text(std::int64_t offset);

}  // namespace runnel::tools
