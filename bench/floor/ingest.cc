#include <unistd.h>

#include "bench/floor/floor.h"
#include "bench/floor/group_writer.h"

namespace runnel::bench {
namespace {

/// As much as a store's producers have outstanding, so that caches help no more than they do there.
constexpr std::uint64_t kSourceBytes = 32u << 20;

}  // namespace

Result<Figures> floor_ingest(const FloorPlan& plan) {
  const std::uint64_t groups = std::max<std::uint64_t>(1, plan.bytes / kGroupBytes);
  RUNNEL_TRY_ASSIGN(const auto file, ScratchFile::make(plan.directory, groups * kGroupBytes));
  std::string source = filler(kSourceBytes);
  Stopwatch watch;
  GroupWriter writer(file);
  std::vector<iovec> parts(kGroupBytes / plan.block_bytes);
  std::uint64_t at = 0;
  for (std::uint64_t i = 0; i < groups; ++i) {
    for (iovec& part : parts) {
      part = {source.data() + at, plan.block_bytes};
      at = at + 2 * plan.block_bytes <= kSourceBytes ? at + plan.block_bytes : 0;
    }
    RUNNEL_TRY(writer.write(parts));
  }
  RUNNEL_TRY(writer.finish());
  watch.stop();
  const std::uint64_t bytes = groups * parts.size() * plan.block_bytes;
  Figures figures;
  figures.add("bench", "floor-ingest");
  figures.add("durability", "synced");
  figures.add("block_bytes", std::uint64_t{plan.block_bytes});
  figures.add_throughput(bytes, watch.seconds());
  figures.add_cpu(bytes, watch.cpu_seconds());
  figures.add("syncs", writer.syncs());
  return figures;
}

}  // namespace runnel::bench
