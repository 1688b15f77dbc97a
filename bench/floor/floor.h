// Floors: the work a broker cannot avoid, with nothing around it. A figure of Runnel means
// something beside the figure of its floor from the same machine in the same run.
#pragma once

#include <cstdint>
#include <string>

#include "bench/measure.h"

namespace runnel::bench {

/// Writers' and the syncer's cadence, the same as the store's committer has.
inline constexpr std::uint64_t kGroupBytes = 4u << 20;
inline constexpr std::uint64_t kMaxUnsyncedBytes = 64u << 20;

struct FloorPlan {
  std::string directory = ".";  ///< where files are made, and removed afterwards
  std::string address;          ///< HOST:PORT of a server that is measured
  std::uint64_t bytes = 2'000'000'000;
  std::uint32_t block_bytes = 64u << 10;
  unsigned connections = 8;
  unsigned depth = 4;          ///< blocks in flight on a connection
  std::uint64_t count = 5000;  ///< of single writes
  std::uint32_t record_bytes = 1024;
  std::string command = "XADD";  ///< Redis: XADD or SET
  int pid = 0;                   ///< of the server, for its memory
};

/// One sequential writer of block_bytes blocks in groups; a second thread syncs a group while the
/// next one is written.
[[nodiscard]] Result<Figures> floor_ingest(const FloorPlan& plan);
/// Receives framed blocks over loopback, writes them, answers each once it is synced.
[[nodiscard]] Result<Figures> floor_receive(const FloorPlan& plan);
/// Sends a file that is in memory to clients over loopback with sendfile.
[[nodiscard]] Result<Figures> floor_sendfile(const FloorPlan& plan);
/// One small write and one fdatasync after the other.
[[nodiscard]] Result<Figures> floor_fdatasync(const FloorPlan& plan);
/// Memory of a Runnel broker for each connection that has said hello and is idle.
[[nodiscard]] Result<Figures> measure_idle(const FloorPlan& plan);

}  // namespace runnel::bench
