// What a process used, from /proc.
#pragma once

#include <cstdint>
#include <optional>

namespace runnel::tools {

struct ProcessUse {
  double cpu_seconds = 0;  ///< user and system, since its start
  std::uint64_t resident_bytes = 0;
};
/// nullopt: there is no such process, or it is not ours to look at.
[[nodiscard]] std::optional<ProcessUse> process_use(int pid);

}  // namespace runnel::tools
