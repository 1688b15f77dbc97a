#include <unistd.h>

#include "bench/floor/files.h"
#include "bench/floor/floor.h"

namespace runnel::bench {
namespace {

/// A record of 1 KiB with what a log keeps beside it.
constexpr std::size_t kWriteBytes = 1228;

}  // namespace

Result<Figures> floor_fdatasync(const FloorPlan& plan) {
  const std::string data = filler(kWriteBytes);
  RUNNEL_TRY_ASSIGN(const auto file, ScratchFile::make(plan.directory, plan.count * data.size()));
  Histogram nanos;
  Stopwatch watch;
  for (std::uint64_t i = 0; i < plan.count; ++i) {
    const auto start = SteadyClock::now();
    const auto at = static_cast<off_t>(i * data.size());
    if (::pwrite(file.descriptor(), data.data(), data.size(), at) !=
        static_cast<ssize_t>(data.size())) {
      return system_error("pwrite");
    }
    RUNNEL_TRY(file.sync());
    nanos.record(nanos_since(start));
  }
  watch.stop();
  Figures figures;
  figures.add("bench", "floor-fdatasync");
  figures.add("durability", "synced");
  figures.add("write_bytes", std::uint64_t{kWriteBytes});
  figures.add("count", plan.count);
  figures.add("per_second", static_cast<double>(plan.count) / watch.seconds());
  figures.add_latency(nanos);
  return figures;
}

}  // namespace runnel::bench
