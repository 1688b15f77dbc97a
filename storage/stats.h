// What a store counts. Since it was opened, unless a field says otherwise.
#pragma once

#include <cstdint>

#include "protocol/base/strong.h"

namespace runnel::storage {

struct StoreStats {
  std::uint64_t appended_bytes = 0;  ///< record batches accepted since the start
  std::uint64_t appended_records = 0;
  std::uint64_t appended_batches = 0;
  std::uint64_t written_bytes = 0;  ///< to segments, frames included
  std::uint64_t commits = 0;        ///< frames
  std::uint64_t syncs = 0;
  std::uint64_t sync_micros = 0;      ///< they took in all
  std::uint64_t sync_p50_micros = 0;  ///< of the last 1,024 of them, as the next two
  std::uint64_t sync_p99_micros = 0;
  std::uint64_t sync_max_micros = 0;
  std::uint64_t fetches = 0;
  std::uint64_t fetched_bytes = 0;
  std::uint64_t fetched_cached_bytes = 0;  ///< of them: given without waiting for a disk
  std::uint64_t waiting_fetches = 0;
  std::uint64_t duplicates = 0;
  std::uint64_t producers_evicted = 0;  ///< states forgotten before their expiry, for new ones
  std::uint64_t producers_refused = 0;  ///< requests of new ones for which there was no room
  std::uint64_t segments = 0;
  std::uint64_t segment_bytes = 0;
  std::uint64_t cleaner_read_bytes = 0;
  std::uint64_t cleaner_written_bytes = 0;  ///< to data segments, by compaction and cleaner
  std::uint64_t compacted_bytes = 0;        ///< that compaction removed
  std::uint64_t cleaner_debt_bytes = 0;     ///< due to be read or moved, when last looked
  std::uint64_t cleaner_rate = 0;           ///< bytes a second, when it last did something
  std::uint64_t scrubbed_bytes = 0;         ///< verified by the scrubber since the start
  std::uint64_t scrub_damages = 0;          ///< places it found since the start
  std::uint64_t scrub_passes = 0;           ///< ended since the start
  Timestamp scrub_pass_ended{0};   ///< when the last pass ended, also before this start; 0: never
  std::uint64_t lost_ranges = 0;   ///< of offsets, that a repair took out and nobody deleted yet
  std::uint64_t lost_offsets = 0;  ///< in them
  std::uint64_t snapshots = 0;     ///< held for whoever copies them
  std::uint64_t topics = 0;
  std::uint64_t partitions = 0;
  std::uint64_t memory_held_bytes = 0;
  std::uint64_t memory_limit_bytes = 0;
  std::uint64_t free_bytes = 0;  ///< of the file system, when last looked at
  bool low_space = false;
  std::uint64_t recovered_frames = 0;  ///< replayed at this start
  std::uint64_t recovery_micros = 0;
};

}  // namespace runnel::storage
