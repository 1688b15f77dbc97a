// Moving a partition's log start: delete-records and retention, exact to the batch.
#include <algorithm>
#include <utility>

#include "storage/log/batch_walker.h"
#include "storage/log/log_store.h"

namespace runnel::storage {
namespace {

/// Up to this many index entries are erased one by one; more become one range.
constexpr std::size_t kSingleErases = 64;

/// Erases what the index family holds in [begin, end).
Status erase_entries(const Index& index, const std::string& begin, const std::string& end,
                     Mutations& to) {
  std::vector<std::string> entries;
  RUNNEL_TRY(index.scan(Family::kIndex, begin, end, [&](std::string_view key, std::string_view) {
    entries.emplace_back(key);
    return entries.size() <= kSingleErases;
  }));
  if (entries.size() > kSingleErases) {
    to.erase_range(Family::kIndex, begin, end);
  } else {
    for (std::string& key : entries) to.erase(Family::kIndex, std::move(key));
  }
  return {};
}

}  // namespace

Result<LogStore::ByteCount> LogStore::count_bytes(const Partition::View& view,
                                                  const IndexEntry& first) const {
  if (view.cleaned.offset == Offset(0)) return ByteCount{first.bytes_before, false};
  // Compaction or an erasure took bytes out, so that what was appended before a place says nothing
  // of what is left behind it.
  ByteCount count{view.start.bytes, true};
  if (first.bytes == 0 || first.base >= view.start.offset) return count;
  RUNNEL_TRY_ASSIGN(const auto file, reader_->file_of(first));
  BatchWalker walker(*file, first.position.offset, first.bytes);
  while (true) {
    RUNNEL_TRY_ASSIGN(const auto step, walker.next());
    if (!step || step->last >= view.start.offset) return count;
    count.at -= step->bytes;
  }
}

Result<LogStore::Trim> LogStore::plan_trim(const PartitionRef& partition, Offset before) const {
  return Reader::again_if_moved(*partition, [&]() -> Result<Trim> {
    const Partition::View view = partition->view();
    if (view.deleted) return fail(topic_gone(*partition));
    Trim trim{partition, {before, view.bytes}, before, view.moves};
    if (before == view.high_watermark) return trim;
    RUNNEL_TRY_ASSIGN(const IndexEntry entry, reader_->entry_at(*partition, before));
    trim.kept_base = entry.base;
    RUNNEL_TRY_ASSIGN(trim.start.bytes, bytes_removed_before(*partition, view, entry));
    if (before == entry.base || entry.bytes == 0) return trim;
    RUNNEL_TRY_ASSIGN(const auto file, reader_->file_of(entry));
    BatchWalker walker(*file, entry.position.offset, entry.bytes);
    while (true) {
      RUNNEL_TRY_ASSIGN(const auto step, walker.next());
      if (!step || step->last >= before) break;
      trim.start.bytes += step->bytes;
    }
    return trim;
  });
}

Result<std::uint64_t> LogStore::bytes_removed_before(const Partition& partition,
                                                     const Partition::View& view,
                                                     const IndexEntry& entry) const {
  std::optional<ByteCount> count;
  Status status;
  RUNNEL_TRY(reader_->for_each_entry(
      partition, view.cleaned.offset == Offset(0) ? entry.base : view.start.offset, entry.base + 1,
      [&](const IndexEntry& e) {
        if (!count) {
          auto counted = count_bytes(view, e);
          if (!counted) status = fail(counted.error());
          if (!counted) return false;
          count = *counted;
        }
        if (e.base >= entry.base) return false;
        count->at += e.bytes;
        return true;
      }));
  RUNNEL_TRY(status);
  return count ? count->at : view.start.bytes;
}

Status LogStore::trim(std::vector<Trim> trims) {
  std::vector<std::uint32_t> freed;
  std::vector<PartitionRef> closed;  // their open span goes
  Committer::Exclusive work;
  work.build = [&](const JournalPoint&) -> Result<Mutations> {
    Mutations m;
    for (Trim& t : trims) {
      Partition& partition = *t.partition;
      const Partition::View view = partition.view();
      if (view.deleted || t.start.offset <= view.start.offset) {
        t.partition = nullptr;  // somebody else was faster
        continue;
      }
      if (t.moves != view.moves) {
        RUNNEL_TRY_ASSIGN(t, plan_trim(t.partition, t.start.offset));
      }
      const PartitionId id = partition.id();
      m.put(Family::kMeta, keys::log_start(id), encode(t.start));
      RUNNEL_TRY(erase_entries(*index_, keys::index_entry(id, Offset(0)),
                               keys::index_entry(id, t.kept_base), m));
      RUNNEL_TRY(erase_entries(*index_, keys::aborted(id, Offset(0)),
                               keys::aborted(id, t.start.offset), m));
      RUNNEL_TRY(erase_entries(*index_, keys::lost(id, Offset(0)), keys::lost(id, t.kept_base), m));
      Partition::View all = view;
      all.start = {};
      all.open_span = partition.writer().state.open_span;
      RUNNEL_TRY_ASSIGN(const auto spans, reader_->spans_of(partition, all));
      for (const Span& s : spans) {
        // Also in the segment being written: nobody would look at this partition again if it
        // stayed quiet from here on. If more of it follows there, a new span begins.
        if (s.last >= t.start.offset) continue;
        m.erase(Family::kIndex, keys::span(id, s.segment));
        freed.push_back(s.segment);
        if (all.open_span.segment == s.segment) closed.push_back(t.partition);
      }
    }
    return m;
  };
  work.applied = [&] {
    for (const PartitionRef& partition : closed) {
      partition->writer().state.open_span = {};
      partition->writer().dirty = true;
    }
    for (const Trim& t : trims) {
      if (t.partition) t.partition->set_start(t.start, t.partition->writer().state.open_span);
    }
    for (const std::uint32_t segment : freed) segments_.remove(segment);
  };
  return committer_->run(std::move(work));
}

Result<Offset> LogStore::delete_records(const PartitionRef& partition, Offset before) {
  const Partition::View view = partition->view();
  if (before == kNoOffset) before = view.high_watermark;  // as Kafka's tools ask for "everything"
  if (before < Offset(0) || before > view.high_watermark) {
    return fail(ErrorCode::kOffsetOutOfRange, "records of " + partition->name() +
                                                  " can be deleted up to offset " +
                                                  std::to_string(view.high_watermark.value()) +
                                                  ", not " + std::to_string(before.value()));
  }
  if (before <= view.start.offset) return view.start.offset;
  RUNNEL_TRY_ASSIGN(Trim planned, plan_trim(partition, before));
  std::vector<Trim> trims;
  trims.push_back(std::move(planned));
  RUNNEL_TRY(trim(std::move(trims)));
  return partition->view().start.offset;
}

Result<std::optional<LogStore::Trim>> LogStore::plan_retention(const PartitionRef& partition,
                                                               Timestamp now, bool by_age) const {
  const TopicConfig config = partition->config();
  const Partition::View view = partition->view();
  if (view.deleted || view.start.offset == view.high_watermark) return std::optional<Trim>();
  const bool by_time = by_age && config.retention_ms >= 0;
  const bool by_size = config.retention_bytes >= 0;
  if (!by_time && !by_size) return std::optional<Trim>();
  const Timestamp oldest_kept = now - config.retention_ms;
  // A batch without a timestamp is as old as its segment's last write.
  const auto time_of = [&](Timestamp max_timestamp, std::uint32_t segment) {
    if (max_timestamp != kNoTimestamp) return max_timestamp;
    return written_before(*partition, segment).value_or(now);
  };
  if (!by_size && partition->oldest.start == view.start.offset &&
      partition->oldest.max_timestamp >= oldest_kept) {
    return std::optional<Trim>();
  }
  // A prefix of the log goes: batches that are too old, or that stand before the bytes to keep.
  const auto goes = [&](Timestamp max_timestamp, std::uint64_t bytes_before) {
    if (by_time && max_timestamp < oldest_kept) return true;
    return by_size &&
           view.bytes - bytes_before > static_cast<std::uint64_t>(config.retention_bytes);
  };
  Trim trim{partition, view.start, view.start.offset, view.moves};
  std::optional<IndexEntry> boundary;
  std::optional<ByteCount> count;
  Status status;
  RUNNEL_TRY(reader_->for_each_entry(
      *partition, view.start.offset, view.high_watermark, [&](const IndexEntry& entry) {
        if (!count || !count->running) {
          auto counted = count_bytes(view, entry);
          if (!counted) status = fail(counted.error());
          if (!counted) return false;
          count = *counted;
        }
        if (entry.is_lost() && by_time && lost_before(*partition, entry.base, oldest_kept)) {
          trim.start = {entry.last + 1, count->at};
          trim.kept_base = trim.start.offset;
          return true;
        }
        if (entry.bytes == 0) return true;
        const std::uint64_t last_byte = count->at + entry.bytes - 1;
        if (goes(time_of(entry.max_timestamp, entry.position.segment), last_byte)) {
          count->at += entry.bytes;
          trim.start = {entry.last + 1, count->at};
          trim.kept_base = trim.start.offset;
          return true;
        }
        boundary = entry;
        return false;
      }));
  RUNNEL_TRY(status);
  if (boundary) {
    RUNNEL_TRY_ASSIGN(const auto file, reader_->file_of(*boundary));
    BatchWalker walker(*file, boundary->position.offset, boundary->bytes);
    std::uint64_t bytes_before = count->at;
    while (true) {
      RUNNEL_TRY_ASSIGN(const auto step, walker.next());
      if (!step) break;
      const bool trimmed_before = step->last < view.start.offset;
      const Timestamp time = time_of(step->max_timestamp, boundary->position.segment);
      if (!trimmed_before && !goes(time, bytes_before)) {
        partition->oldest = {trim.start.offset, time};
        break;
      }
      bytes_before += step->bytes;
      if (trimmed_before) continue;
      trim.start = {step->last + 1, bytes_before};
      trim.kept_base = boundary->base;
    }
  }
  if (trim.start.offset <= view.start.offset) return std::optional<Trim>();
  // Bytes were counted on entries from before and after the move: too much could go.
  if (by_size && partition->view().moves != view.moves) {
    return fail(ErrorCode::kPreconditionFailed, partition->name() + " was moved meanwhile");
  }
  return std::optional<Trim>(std::move(trim));
}

bool LogStore::lost_before(const Partition& partition, Offset first, Timestamp time) const {
  const std::string key = keys::lost(partition.id(), first);
  const auto value = index_->get(Family::kIndex, key);
  if (!value || !*value) return false;
  const auto lost = decode_lost(key, **value);
  return lost && lost->found < time;
}

std::optional<Timestamp> LogStore::written_before(const Partition& partition,
                                                  std::uint32_t segment) const {
  if (!is_data_segment(segment)) return journal_->closed_at(segment);
  const auto value = index_->get(Family::kIndex, keys::span(partition.id(), segment));
  if (!value || !*value) return std::nullopt;
  const auto span = decode_span(segment, **value);
  return span ? std::optional<Timestamp>(span->newest) : std::nullopt;
}

bool LogStore::age_check_is_due() {
  constexpr std::chrono::seconds kFirstAgeCheck{30};
  const auto now = options_.clock->monotonic();
  const std::chrono::nanoseconds interval = options_.age_check_interval;
  if (next_age_check_.count() == 0) {
    next_age_check_ = now + std::min<std::chrono::nanoseconds>(interval, kFirstAgeCheck);
  }
  if (now < next_age_check_ && !low_space_.load(std::memory_order_relaxed)) return false;
  next_age_check_ = now + interval;
  return true;
}

Status LogStore::apply_retention() {
  constexpr std::size_t kTrimsPerCommit = 1000;
  if (options_.topic_defaults_follow && !topic_defaults_known_.load(std::memory_order_acquire)) {
    return {};
  }
  bool doubted = false;
  const Timestamp now = retention_clock_.now(*options_.clock, doubted);
  if (doubted != std::exchange(clock_doubted_, doubted)) {
    log(LogLevel::kWarning,
        doubted
            ? "the clock is ahead of the time that is known to have passed; records, offsets and "
              "producers grow old by the latter, so that a wrong clock deletes nothing. Set the "
              "clock right; if it is right, because the machine was off for long, start the "
              "broker once with --trust-clock"
            : "retention follows the clock again");
  }
  const bool by_age = age_check_is_due();
  std::vector<Trim> trims;
  for (const auto& partition : topics_.all_partitions()) {
    auto planned =
        Reader::again_if_moved(*partition, [&] { return plan_retention(partition, now, by_age); });
    if (!planned) {
      log(LogLevel::kError,
          "retention of " + partition->name() + ": " + planned.error().to_string());
      continue;
    }
    if (!*planned) continue;
    trims.push_back(std::move(**planned));
    if (trims.size() == kTrimsPerCommit) {
      RUNNEL_TRY(trim(std::move(trims)));
      trims.clear();
    }
  }
  if (trims.empty()) return {};
  return trim(std::move(trims));
}

}  // namespace runnel::storage
