// Statistics, each figure with its unit and what it means.
#include <unistd.h>

#include <algorithm>
#include <iterator>

#include "broker/native/native_session.h"
#include "storage/stats.h"

namespace runnel::broker {

namespace {

using Rows = std::vector<native::Statistic>;

/// What is written, read and kept.
Rows store_statistics(const storage::StoreStats& s) {
  return {
      {"store.appended_bytes", s.appended_bytes, "bytes", "record batches accepted"},
      {"store.appended_records", s.appended_records, "records", "records accepted"},
      {"store.appended_batches", s.appended_batches, "batches", "record batches accepted"},
      {"store.written_bytes", s.written_bytes, "bytes",
       "written to segments, frames included; over appended_bytes it is write amplification"},
      {"store.commits", s.commits, "frames", "atomic commits written"},
      {"store.syncs", s.syncs, "calls", "fdatasync calls; commits per sync is the group size"},
      {"store.sync_micros", s.sync_micros, "microseconds",
       "all those calls took; over syncs it is their mean"},
      {"store.sync_p50_micros", s.sync_p50_micros, "microseconds",
       "half of the last 1,024 calls took this or less"},
      {"store.sync_p99_micros", s.sync_p99_micros, "microseconds",
       "99 % of the last 1,024 calls took this or less; a rise means a disk that is busy or ill"},
      {"store.sync_max_micros", s.sync_max_micros, "microseconds",
       "the longest of the last 1,024 calls"},
      {"store.fetches", s.fetches, "requests", "fetches answered"},
      {"store.fetched_bytes", s.fetched_bytes, "bytes", "record batches given to fetches"},
      {"store.fetched_cached_bytes", s.fetched_cached_bytes, "bytes",
       "of them: given without waiting for the disk; over fetched_bytes it is the cache's share"},
      {"store.waiting_fetches", s.waiting_fetches, "requests", "fetches that wait for records now"},
      {"store.duplicates", s.duplicates, "batches",
       "appends recognised as repeats; a rise means that clients retry"},
      {"store.producers_evicted", s.producers_evicted, "producers",
       "idempotent ones, one a partition, forgotten for new ones after 10 minutes of silence"},
      {"store.producers_refused", s.producers_refused, "requests",
       "of new idempotent producers told to try again, as all that are known wrote lately"},
      {"store.segments", s.segments, "files", "write-ahead segments on disk now"},
      {"store.segment_bytes", s.segment_bytes, "bytes", "size of the segments on disk now"},
      {"store.cleaner_read_bytes", s.cleaner_read_bytes, "bytes", "read by compaction and cleaner"},
      {"store.cleaner_written_bytes", s.cleaner_written_bytes, "bytes",
       "written by them to data segments; a part of written_bytes"},
      {"store.compacted_bytes", s.compacted_bytes, "bytes", "removed by compaction"},
      {"store.cleaner_debt_bytes", s.cleaner_debt_bytes, "bytes",
       "due to be compacted or moved when last looked; a rise means that they fall behind"},
      {"store.cleaner_rate", s.cleaner_rate, "bytes/s",
       "read and written in the last round that did something"},
      {"store.scrubbed_bytes", s.scrubbed_bytes, "bytes", "read and verified by the scrubber"},
      {"store.scrub_damages", s.scrub_damages, "places",
       "that the scrubber found damaged; the log names each"},
      {"store.scrub_passes", s.scrub_passes, "passes", "of the scrubber over all that is cold"},
      {"store.scrub_pass_ended", static_cast<std::uint64_t>(s.scrub_pass_ended.value()),
       "milliseconds",
       "since the epoch, when the last pass ended, also before this start; 0: never"},
      {"store.lost_ranges", s.lost_ranges, "ranges",
       "of offsets that a repair took out; reading them answers corrupt until they are deleted"},
      {"store.lost_offsets", s.lost_offsets, "offsets", "in those ranges"},
      {"store.snapshots", s.snapshots, "snapshots",
       "held for backups now; each keeps the space of what is deleted meanwhile"},
      {"store.topics", s.topics, "topics", "topics now"},
      {"store.partitions", s.partitions, "partitions", "partitions now"},
      {"store.memory_held_bytes", s.memory_held_bytes, "bytes", "held by requests in flight now"},
      {"store.memory_limit_bytes", s.memory_limit_bytes, "bytes",
       "what requests in flight may hold: half of --memory"},
      {"store.free_bytes", s.free_bytes, "bytes", "free on the file system when last looked at"},
      {"store.low_space", s.low_space ? 1u : 0u, "flag",
       "1 while producers are rejected because the disk is almost full"},
      {"store.recovered_frames", s.recovered_frames, "frames", "replayed at this start"},
      {"store.recovery_micros", s.recovery_micros, "microseconds", "time the replay took"},
  };
}

/// All views and streams together; /metrics has each one's.
Rows view_statistics(const storage::views::ViewService& service) {
  using storage::views::ViewState;
  storage::views::Counters sum;
  std::uint64_t states[4] = {};
  std::uint64_t skipped = 0, lag = 0, groups = 0, bytes = 0, watchers = 0;
  std::chrono::milliseconds behind{0};
  for (const storage::views::ViewStatus& view : service.status()) {
    ++states[static_cast<std::size_t>(view.state)];
    sum += view.totals;
    skipped += view.skipped;
    lag += view.lag;
    groups += view.groups;
    bytes += view.state_bytes;
    watchers += view.watchers;
    behind = std::max(behind, view.behind);
  }
  const auto in_state = [&](ViewState state) { return states[static_cast<std::size_t>(state)]; };
  return {
      {"views.running", in_state(ViewState::kRunning), "views", "views and streams that run now"},
      {"views.building", in_state(ViewState::kBuilding), "views", "that are being built now"},
      {"views.paused", in_state(ViewState::kPaused), "views", "that are paused now"},
      {"views.failed", in_state(ViewState::kFailed), "views",
       "that are not current because they failed; `runnel view list` says why"},
      {"views.lag", lag, "records", "that views have still to read now"},
      {"views.behind_micros", static_cast<std::uint64_t>(behind.count()) * 1'000, "microseconds",
       "for which the slowest running view has not been current, to within a second, now"},
      {"views.records", sum.records, "records", "read by all views together now"},
      {"views.applied", sum.applied, "records", "of them: that are in a view now"},
      {"views.filtered", sum.filtered, "records", "of them: left out by WHERE now"},
      {"views.late", sum.late, "records", "of them: left out because they came too late, now"},
      {"views.errors", sum.errors, "records", "of them: that could not be used now"},
      {"views.skipped", skipped, "offsets", "removed from logs before a view read them, now"},
      {"views.groups", groups, "groups", "that views have state of now"},
      {"views.state_bytes", bytes, "bytes", "of views' state on disk and in memory, roughly, now"},
      {"views.watchers", watchers, "subscribers", "that are told of changes now"},
  };
}

/// What arrives in the native protocol, and what becomes of it.
Rows native_statistics(const NativeCounters& n) {
  const auto count = [](const NativeCounters::Count& c) {
    return c.load(std::memory_order_relaxed);
  };
  return {
      {"native.sessions", count(n.sessions), "connections", "native connections now"},
      {"native.requests", count(n.requests), "requests", "frames received"},
      {"native.failures", count(n.failures), "requests", "requests answered with a failure"},
      {"native.malformed", count(n.malformed), "connections",
       "closed because of bytes that are no valid request; a rise means a foreign client"},
      {"native.appends", count(n.appends), "requests", "appends handed to the store"},
      {"native.append_bytes", count(n.append_bytes), "bytes", "record batches handed to the store"},
      {"native.fetches", count(n.fetches), "requests", "fetches started, renewals included"},
      {"native.deliveries", count(n.deliveries), "frames", "pushed to subscriptions"},
      {"native.sent_record_bytes", count(n.sent_record_bytes), "bytes",
       "record batches sent or queued"},
      {"native.memory_waits", count(n.memory_waits), "requests",
       "had to wait for memory; a rise means that the memory limit holds producers back"},
      {"native.too_large", count(n.too_large), "requests",
       "refused because they exceed a quarter of the memory limit"},
      {"native.slow_frames", count(n.slow_frames), "connections",
       "closed because a request that had begun to arrive did not go on"},
  };
}

}  // namespace

std::vector<native::Statistic> NativeService::statistics() const {
  Rows all = {
      {"process.id", static_cast<std::uint64_t>(::getpid()), "number", "the broker's process"}};
  const auto add = [&](Rows more) { std::move(more.begin(), more.end(), std::back_inserter(all)); };
  add(store_statistics(store_.stats()));
  add(native_statistics(counters_));
  if (options_.views != nullptr) add(view_statistics(*options_.views));
  if (options_.more_statistics) add(options_.more_statistics());
  return all;
}

void NativeSession::handle(std::uint64_t id, const native::Statistics&) {
  run_blocking(id, [&service = service_] { return native::StatisticsReply{service.statistics()}; });
}

}  // namespace runnel::broker
