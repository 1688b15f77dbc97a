#include "tools/bench/process.h"

#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string>

namespace runnel::tools {

std::optional<ProcessUse> process_use(int pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  // The name in parentheses may hold anything; fields are counted behind it, from state (3) on.
  const std::size_t close = line.rfind(')');
  if (close == std::string::npos) return std::nullopt;
  std::istringstream fields(line.substr(close + 1));
  std::string field;
  std::uint64_t ticks = 0;
  ProcessUse use;
  for (int number = 3; fields >> field; ++number) {
    if (number == 14 || number == 15) ticks += std::stoull(field);  // utime, stime
    if (number == 24) {                                             // rss, in pages
      use.resident_bytes = std::stoull(field) * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
      use.cpu_seconds = static_cast<double>(ticks) / static_cast<double>(sysconf(_SC_CLK_TCK));
      return use;
    }
  }
  return std::nullopt;
}

}  // namespace runnel::tools
