// Out of the log: finding the records with a key, and rewriting the batches that hold them.
#include <algorithm>

#include "protocol/record_batch/batch_filter.h"
#include "storage/log/batch_walker.h"
#include "storage/log/eraser.h"

namespace runnel::storage {
namespace {

using protocol::BatchView;
using protocol::FilteredBatch;

/// Records that are found before they are removed, which bounds the memory.
constexpr std::size_t kRecordsAtOnce = 100'000;
/// Entries that are looked up at once.
constexpr std::size_t kEntriesAtOnce = 4096;
/// Dedup keys that are looked at, and erased, at once.
constexpr std::size_t kDedupPerScan = 65'536;
constexpr std::size_t kDedupPerCommit = 4096;
/// Ranges that can't be read and are remembered one by one.
constexpr std::size_t kMostSkipped = 10'000;

bool has_key(const protocol::Record& record, const KeyHash& key) {
  return record.key && hash_key(*record.key, key.seed) == key;
}

/// The offsets of such records in [from, end), in order.
Status find_records(Bytes batches, const KeyHash& key, Offset from, Offset end,
                    std::vector<Offset>& to) {
  Status status;
  for_each_batch(batches, [&](const BatchView& batch, Bytes bytes) {
    if (!status || batch.is_control()) return;
    const auto look = [&]() -> Status {
      RUNNEL_TRY_ASSIGN(auto records, protocol::RecordReader::open(bytes));
      while (true) {
        RUNNEL_TRY_ASSIGN(const auto record, records.next());
        if (!record) return {};
        const bool meant = record->offset >= from && record->offset < end;
        if (meant && has_key(*record, key)) to.push_back(record->offset);
      }
    };
    status = look();
  });
  return status;
}

void add_range(Erasure& to, PartitionIndex partition, Offset first, Offset last) {
  if (to.ranges.size() == kMaxErasedRanges) {
    to.ranges_cut = true;
  } else {
    to.ranges.push_back({partition, first, last});
  }
}

/// Notes a record that goes; `follows`: no record of the log lies between it and the one before.
void note_removed(Erasure& to, std::size_t part, Offset offset, bool follows) {
  Erasure::Part& p = to.parts[part];
  ++p.records;
  if (follows && !to.ranges.empty() && to.ranges.back().partition == p.index) {
    to.ranges.back().last = offset;
  } else {
    add_range(to, p.index, offset, offset);
  }
}

}  // namespace

Status Eraser::remove(ErasureRecord& record, Progress& progress, const Help& help) {
  if (!progress.begun) {
    for (std::size_t part = 0; part < record.shown.parts.size(); ++part) {
      const Offset end = record.shown.parts[part].end;
      if (record.rewritten[part] < end) {
        progress.todo.push_back({part, record.rewritten[part], end});
      }
    }
    progress.begun = true;
  } else if (progress.todo.empty() && progress.found.empty()) {  // perhaps it can be read now
    progress.todo.assign(progress.skipped.begin(), progress.skipped.end());
    progress.skipped.clear();
    progress.why.clear();
  }
  const auto is_through = [&] { return progress.todo.empty() && progress.found.empty(); };
  while (!is_over() && !is_through()) {
    switch (progress.step) {
      case Progress::Step::kLook:
        RUNNEL_TRY(look(record, progress, help));
        break;
      case Progress::Step::kForgetGuards:
        RUNNEL_TRY(forget_guards(record, progress, help));
        break;
      case Progress::Step::kRewrite:
        RUNNEL_TRY(rewrite(record, progress, help));
        break;
    }
  }
  if (is_through() && progress.skipped.empty()) return finish_removal(record, progress);
  RUNNEL_TRY(save_progress(record, progress));
  if (!is_through()) return {};
  const std::size_t more = progress.skipped.size() - 1;
  return fail(ErrorCode::kCorrupt,
              progress.why + (more == 0 ? "" : "; " + std::to_string(more) + " more such places") +
                  "; all else was looked through");
}

Status Eraser::save_progress(ErasureRecord& record, const Progress& progress) {
  std::vector<Offset> through;
  for (const Erasure::Part& part : record.shown.parts) through.push_back(part.end);
  const auto not_yet = [&](std::size_t part, Offset from) {
    through[part] = std::min(through[part], from);
  };
  for (const Range& range : progress.todo) not_yet(range.part, range.from);
  for (const Range& range : progress.skipped) not_yet(range.part, range.from);
  if (!progress.found.empty()) not_yet(progress.part, progress.found.front());
  if (through == record.rewritten) return {};
  ErasureRecord next = record;
  next.rewritten = std::move(through);
  RUNNEL_TRY(save(next));
  record = std::move(next);
  return {};
}

Status Eraser::finish_removal(ErasureRecord& record, Progress& progress) {
  ErasureRecord next = record;
  next.shown.removed = environment_.clock.now();
  for (std::size_t part = 0; part < next.rewritten.size(); ++part) {
    next.rewritten[part] = next.shown.parts[part].end;
  }
  std::sort(next.shown.ranges.begin(), next.shown.ranges.end(),
            [](const ErasedRange& a, const ErasedRange& b) {
              return std::pair(a.partition, a.first) < std::pair(b.partition, b.first);
            });
  Committer::Exclusive work;
  work.build = [&](const JournalPoint&) -> Result<Mutations> {
    if (next.dedup_first != 0) {  // the segment that names them is not written any more
      next.dedup_last = environment_.journal.current_segment();
      environment_.journal.leave_segment();
    }
    Mutations m;
    m.put(Family::kMeta, keys::erasure(next.shown.id), encode(next));
    return m;
  };
  work.applied = [&] { show(next); };
  RUNNEL_TRY(environment_.committer.run(std::move(work)));
  record = std::move(next);
  // What is moved from here on holds no such record; what was moved before may.
  environment_.data.leave_current();
  progress = {};
  progress.data_end = newest_data();
  return {};
}

PartitionRef Eraser::partition_of(const ErasureRecord& record, std::size_t part) const {
  const auto topic = environment_.topics.find(record.topic_id);
  if (!topic) return nullptr;
  const PartitionIndex index = record.shown.parts[part].index;
  return (*topic)->partitions.at(static_cast<std::size_t>(index.value()));
}

Status Eraser::look(const ErasureRecord& record, Progress& progress, const Help& help) {
  Range& range = progress.todo.front();
  progress.part = range.part;
  const PartitionRef partition = partition_of(record, range.part);
  std::vector<IndexEntry> entries;
  if (partition) {
    const Offset at = std::max(range.from, partition->view().start.offset);
    RUNNEL_TRY(
        environment_.reader.for_each_entry(*partition, at, range.to, [&](const IndexEntry& e) {
          entries.push_back(e);
          return entries.size() < kEntriesAtOnce;
        }));
  }
  if (entries.empty()) range.from = range.to;
  const auto look_at = [&](const IndexEntry& entry) -> Status {
    RUNNEL_TRY_ASSIGN(const Buffer batches, environment_.reader.read_checked(entry));
    return find_records(batches.bytes(), record.key, range.from, range.to, progress.found);
  };
  for (const IndexEntry& entry : entries) {
    if (is_over() || progress.found.size() >= kRecordsAtOnce) break;
    const Offset next = std::min(entry.last + 1, range.to);
    if (entry.bytes != 0) {
      const std::size_t before = progress.found.size();
      if (const Status s = look_at(entry); !s) {
        progress.found.resize(before);
        skip(progress, {range.part, std::max(range.from, entry.base), next},
             s.error().within(partition->name()));
      }
    }
    range.from = next;
    RUNNEL_TRY(pace(entry.bytes, help));
  }
  if (range.from >= range.to) progress.todo.pop_front();
  const bool part_ends = progress.todo.empty() || progress.todo.front().part != progress.part;
  const bool enough = progress.found.size() >= kRecordsAtOnce;
  if (progress.found.empty() || !(part_ends || enough)) return {};
  std::sort(progress.found.begin(), progress.found.end());  // ranges that were tried again may mix
  progress.step = Progress::Step::kForgetGuards;
  return {};
}

void Eraser::skip(Progress& progress, const Range& range, const Error& why) {
  if (progress.skipped.empty()) progress.why = why.message();
  // Where there are too many the last one reaches over what lies between.
  const bool joined =
      !progress.skipped.empty() && progress.skipped.back().part == range.part &&
      progress.skipped.back().from <= range.from &&
      (progress.skipped.back().to == range.from || progress.skipped.size() >= kMostSkipped);
  if (joined) {
    progress.skipped.back().to = std::max(progress.skipped.back().to, range.to);
  } else {
    progress.skipped.push_back(range);
  }
}

Status Eraser::forget_guards(ErasureRecord& record, Progress& progress, const Help& help) {
  const PartitionRef partition = partition_of(record, progress.part);
  std::vector<std::string> guards;
  std::size_t seen = 0;
  std::uint64_t bytes = 0;
  Status status;
  const auto take = [&](std::string_view key, std::string_view value) {
    const auto guarded = decode_dedup(value);
    if (!guarded) {
      status = fail(guarded.error());
      return false;
    }
    const bool is_meant =
        guarded->partition == partition->id() &&
        std::binary_search(progress.found.begin(), progress.found.end(), guarded->offset);
    if (is_meant) guards.emplace_back(key);
    bytes += key.size() + value.size();
    progress.guards_from.assign(key).push_back('\0');  // the next key is not before it
    return ++seen < kDedupPerScan;
  };
  if (partition) {
    RUNNEL_TRY(
        environment_.index.scan(Family::kDedup, std::string(progress.guards_from), "", take));
  }
  RUNNEL_TRY(status);
  RUNNEL_TRY(erase_guards(record, guards));
  if (seen < kDedupPerScan) {
    progress.guards_from.clear();
    progress.step = Progress::Step::kRewrite;
  }
  return pace(bytes, help);
}

Status Eraser::erase_guards(ErasureRecord& record, const std::vector<std::string>& guards) {
  for (std::size_t at = 0; at < guards.size(); at += kDedupPerCommit) {
    const std::size_t end = std::min(guards.size(), at + kDedupPerCommit);
    Committer::Exclusive work;
    work.build = [&](const JournalPoint&) -> Result<Mutations> {
      // The commit that erases them names them: its segment goes as the others do.
      const std::uint32_t segment = environment_.journal.current_segment();
      if (record.dedup_first == 0) record.dedup_first = segment;
      record.dedup_last = segment + 1;  // where it does not fit
      Mutations m;
      for (std::size_t i = at; i < end; ++i) m.erase(Family::kDedup, guards[i]);
      record.shown.dedup_keys += end - at;
      m.put(Family::kMeta, keys::erasure(record.shown.id), encode(record));
      return m;
    };
    work.applied = [&] { show(record); };
    RUNNEL_TRY(environment_.committer.run(std::move(work)));
  }
  return {};
}

Status Eraser::rewrite(ErasureRecord& record, Progress& progress, const Help& help) {
  constexpr int kAttempts = 5;  // the log may be trimmed in the way
  const PartitionRef partition = partition_of(record, progress.part);
  for (int attempt = 1; partition && progress.rewritten < progress.found.size();) {
    if (is_over()) return {};
    const Partition::View view = partition->view();
    if (view.deleted) break;
    // Since it was found the entry may have been moved, or trimmed up to within its batch.
    const Offset offset = progress.found[progress.rewritten];
    const Offset at = std::max(offset, view.start.offset);
    std::optional<IndexEntry> entry;
    RUNNEL_TRY(environment_.reader.for_each_entry(*partition, at, at + 1, [&](const IndexEntry& e) {
      entry = e;
      return false;
    }));
    if (!entry || entry->bytes == 0 || entry->base > offset) {
      ++progress.rewritten;
      continue;
    }
    const auto batches = environment_.reader.read_checked(*entry);
    if (batches) {
      const Status status = rewrite_entry(record, progress.part, partition, view, *entry, *batches);
      const bool overtaken = !status && status.error().code() == ErrorCode::kPreconditionFailed;
      if (!status && !(overtaken && attempt++ < kAttempts)) return status;
      if (overtaken) continue;
    } else {  // it could be when it was found
      const Offset end = record.shown.parts[progress.part].end;
      skip(progress, {progress.part, offset, std::min(entry->last + 1, end)},
           batches.error().within(partition->name()));
    }
    attempt = 1;
    const auto behind = std::upper_bound(progress.found.begin(), progress.found.end(), entry->last);
    progress.rewritten = static_cast<std::size_t>(behind - progress.found.begin());
    RUNNEL_TRY(pace(2 * std::uint64_t{entry->bytes}, help));
  }
  progress.found.clear();
  progress.rewritten = 0;
  progress.step = Progress::Step::kLook;
  return {};
}

Status Eraser::rewrite_entry(ErasureRecord& record, std::size_t part, const PartitionRef& partition,
                             const Partition::View& view, const IndexEntry& entry,
                             const Buffer& batches) {
  MoveBuilder builder(partition, view);
  ErasureRecord next = record;
  const Offset end = record.shown.parts[part].end;
  std::uint64_t live = 0;
  bool follows = false;
  for (std::size_t at = 0; at < batches.size();) {
    const BatchView batch(batches.bytes().subspan(at));
    const Buffer bytes = batches.slice(at, batch.total_bytes());
    const std::uint64_t before = entry.bytes_before + at;
    at += bytes.size();
    if (batch.last_offset() < view.start.offset) continue;
    live += bytes.size();
    if (batch.is_control()) {
      builder.add(bytes, before);
      follows = false;
      continue;
    }
    const auto keep = [&](const protocol::Record& r) {
      const bool goes = r.offset < end && has_key(r, record.key);
      if (goes) note_removed(next.shown, part, r.offset, follows);
      follows = goes;
      return !goes;
    };
    RUNNEL_TRY_ASSIGN(FilteredBatch left, protocol::filter_batch(bytes.bytes(), keep));
    if (left.outcome == FilteredBatch::Outcome::kEmpty) continue;
    const bool whole = left.outcome == FilteredBatch::Outcome::kUnchanged;
    builder.add(whole ? bytes : std::move(left.bytes), before);
  }
  if (next.shown.records() == record.shown.records()) return {};  // compaction was faster
  builder.replace(entry, live);
  RUNNEL_TRY_ASSIGN(Move move, builder.finish(environment_.data));
  Mutations with;
  with.put(Family::kMeta, keys::erasure(next.shown.id), encode(next));
  std::vector<Move> moves;
  moves.push_back(std::move(move));
  RUNNEL_TRY(environment_.mover.commit(std::move(moves), std::move(with)));
  record = std::move(next);
  show(record);
  return {};
}

}  // namespace runnel::storage
