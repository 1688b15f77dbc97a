#include "storage/log/eraser.h"

#include <algorithm>

#include "protocol/record_batch/batch_filter.h"
#include "storage/log/batch_walker.h"
#include "storage/log/entry_check.h"

namespace runnel::storage {
namespace {

using protocol::BatchView;
using protocol::FilteredBatch;

/// Records that are found before they are removed, which bounds the memory.
constexpr std::size_t kRecordsAtOnce = 100'000;
/// Entries that are looked up at once.
constexpr std::size_t kEntriesAtOnce = 4096;
constexpr std::size_t kDedupPerCommit = 4096;

bool has_key(const protocol::Record& record, const KeyHash& key) {
  return record.key && hash_key(*record.key, key.seed) == key;
}

/// The offsets of such records before `end`, in order.
Status find_records(Bytes batch, const KeyHash& key, Offset end, std::vector<Offset>& to) {
  RUNNEL_TRY_ASSIGN(auto records, protocol::RecordReader::open(batch));
  while (true) {
    RUNNEL_TRY_ASSIGN(const auto record, records.next());
    if (!record) return {};
    if (record->offset < end && has_key(*record, key)) to.push_back(record->offset);
  }
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

Status Eraser::load() {
  std::map<std::string, ErasureRecord> found;
  std::size_t pending = 0;
  Status status;
  const auto take = [&](std::string_view key, std::string_view value) {
    key.remove_prefix(keys::kErasures.size());
    auto record = decode_erasure(key, value);
    if (!record) {
      status = fail(record.error());
      return false;
    }
    if (record->shown.gone == kNoTimestamp) ++pending;
    found.emplace(key, *std::move(record));
    return true;
  };
  RUNNEL_TRY(environment_.index.scan_prefix(Family::kMeta, keys::kErasures, take));
  RUNNEL_TRY(status);
  MutexLock lock(mutex_);
  known_ = std::move(found);
  pending_ = pending;
  return {};
}

void Eraser::forget_some(Mutations& to, std::vector<std::string>& forgotten) const {
  if (known_.size() < kMaxErasures) return;
  const ErasureRecord* oldest = nullptr;
  for (const auto& [id, record] : known_) {
    if (record.shown.gone == kNoTimestamp) continue;
    if (!oldest || record.shown.gone < oldest->shown.gone) oldest = &record;
  }
  if (!oldest) return;
  to.erase(Family::kMeta, keys::erasure(oldest->shown.id));
  forgotten.push_back(oldest->shown.id);
}

Result<Erasure> Eraser::request(std::string_view id, std::string_view topic, std::string_view key) {
  if (id.empty() || id.size() > kMaxErasureIdBytes) {
    return fail(ErrorCode::kInvalidArgument, "an erasure's id has between 1 and " +
                                                 std::to_string(kMaxErasureIdBytes) + " bytes");
  }
  ErasureRecord record;
  std::vector<std::string> forgotten;
  bool known = false;
  Committer::Exclusive work;
  work.build = [&](const JournalPoint&) -> Result<Mutations> {
    MutexLock lock(mutex_);
    if (const auto it = known_.find(std::string(id)); it != known_.end()) {
      record = it->second;
      known = true;
      return Mutations();
    }
    if (pending_ >= kMaxPendingErasures) {
      return fail(ErrorCode::kOverloaded, std::to_string(kMaxPendingErasures) +
                                              " erasures are not finished yet; try again later");
    }
    RUNNEL_TRY_ASSIGN(const TopicRef found, environment_.topics.find(topic));
    record.shown.id = id;
    record.shown.topic = topic;
    record.shown.requested = environment_.clock.now();
    record.topic_id = found->record.id;
    record.key = hash_key(key, environment_.random.next());
    for (const PartitionRef& partition : found->partitions) {
      record.shown.parts.push_back({partition->index(), partition->writer().state.next});
      record.rewritten.push_back(Offset(0));
    }
    record.journal_end = environment_.journal.current_segment();
    environment_.journal.leave_segment();
    Mutations m;
    forget_some(m, forgotten);
    m.put(Family::kMeta, keys::erasure(id), encode(record));
    return m;
  };
  work.applied = [&] {
    if (known) return;
    MutexLock lock(mutex_);
    for (const std::string& old : forgotten) known_.erase(old);
    known_.emplace(record.shown.id, record);
    ++pending_;
  };
  RUNNEL_TRY(environment_.committer.run(std::move(work)));
  if (known && record.shown.topic != topic) {
    return fail(ErrorCode::kInvalidArgument,
                "erasure " + record.shown.id + " is one of topic " + record.shown.topic);
  }
  return record.shown;
}

std::vector<Erasure> Eraser::list() const {
  std::vector<Erasure> all;
  {
    MutexLock lock(mutex_);
    for (const auto& [id, record] : known_) all.push_back(record.shown);
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const Erasure& a, const Erasure& b) { return a.requested < b.requested; });
  return all;
}

void Eraser::show(const ErasureRecord& record) {
  MutexLock lock(mutex_);
  ErasureRecord& known = known_.at(record.shown.id);
  const bool finished = known.shown.gone == kNoTimestamp && record.shown.gone != kNoTimestamp;
  known = record;
  if (finished) --pending_;
}

Status Eraser::save(const ErasureRecord& record, Mutations with) {
  with.put(Family::kMeta, keys::erasure(record.shown.id), encode(record));
  Committer::Exclusive work;
  work.build = [&](const JournalPoint&) -> Result<Mutations> { return std::move(with); };
  work.applied = [&] { show(record); };
  return environment_.committer.run(std::move(work));
}

Status Eraser::work(const Help& help) {
  std::vector<ErasureRecord> pending;
  {
    MutexLock lock(mutex_);
    for (const auto& [id, record] : known_) {
      if (record.shown.gone == kNoTimestamp) pending.push_back(record);
    }
  }
  Status first;
  for (ErasureRecord& record : pending) {
    Status status;
    if (record.shown.removed == kNoTimestamp) status = remove(record, help);
    if (status) status = clear_files(record, help);
    record.shown.problem = status ? "" : status.error().message();
    show(record);
    if (!status && status.error().code() == ErrorCode::kShuttingDown) return status;
    if (!status && first) first = fail(status.error().within("erasure " + record.shown.id));
  }
  return first;
}

Status Eraser::remove(ErasureRecord& record, const Help& help) {
  // What is moved from here on holds no such record; what was moved before may.
  environment_.data.leave_current();
  std::uint32_t newest = kDataSegmentBit;
  for (const SegmentInfo& s : environment_.data.segments()) newest = std::max(newest, s.number);
  data_end_[record.shown.id] = newest;
  constexpr int kAttempts = 5;  // the log may be trimmed in the way
  for (std::size_t part = 0; part < record.shown.parts.size(); ++part) {
    for (int attempt = 1; record.rewritten[part] < record.shown.parts[part].end;) {
      RUNNEL_TRY_ASSIGN(const Found found, find(record, part, help));
      if (!found.offsets.empty()) RUNNEL_TRY(erase_dedup(record, found));
      const Status status = rewrite(record, part, found, help);
      const bool overtaken = !status && status.error().code() == ErrorCode::kPreconditionFailed;
      if (!status && !(overtaken && attempt++ < kAttempts)) return status;
    }
  }
  return finish_removal(record);
}

Status Eraser::finish_removal(ErasureRecord& record) {
  ErasureRecord next = record;
  next.shown.removed = environment_.clock.now();
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
  return {};
}

Result<Eraser::Found> Eraser::find(const ErasureRecord& record, std::size_t part,
                                   const Help& help) const {
  const Erasure::Part& what = record.shown.parts[part];
  Found found;
  found.end = what.end;
  const auto topic = environment_.topics.find(record.topic_id);
  if (!topic) return found;  // it was deleted: its segments are what is left
  found.partition = (*topic)->partitions.at(static_cast<std::size_t>(what.index.value()));
  const Offset start = found.partition->view().start.offset;
  for (Offset at = std::max(start, record.rewritten[part]); at < what.end;) {
    std::vector<IndexEntry> entries;
    RUNNEL_TRY(environment_.reader.for_each_entry(*found.partition, at, what.end,
                                                  [&](const IndexEntry& e) {
                                                    entries.push_back(e);
                                                    return entries.size() < kEntriesAtOnce;
                                                  }));
    if (entries.empty()) break;
    for (const IndexEntry& entry : entries) {
      at = entry.last + 1;
      if (entry.bytes == 0) continue;
      RUNNEL_TRY_ASSIGN(const auto file, environment_.reader.file_of(entry));
      RUNNEL_TRY_ASSIGN(const Buffer batches, read_entry(entry, *file));
      const std::size_t before = found.offsets.size();
      Status status;
      for_each_batch(batches.bytes(), [&](const BatchView& batch, Bytes bytes) {
        if (status && !batch.is_control()) {
          status = find_records(bytes, record.key, what.end, found.offsets);
        }
      });
      RUNNEL_TRY(status);
      if (found.offsets.size() != before) found.entries.push_back(entry);
      RUNNEL_TRY(help.pace(entry.bytes));
      if (found.offsets.size() < kRecordsAtOnce) continue;
      found.end = std::min(at, what.end);
      return found;
    }
  }
  return found;
}

Status Eraser::erase_dedup(ErasureRecord& record, const Found& found) {
  std::vector<std::string> guards;
  Status status;
  RUNNEL_TRY(environment_.index.scan_prefix(
      Family::kDedup, "", [&](std::string_view key, std::string_view value) {
        const auto guarded = decode_dedup(value);
        if (!guarded) {
          status = fail(guarded.error());
          return false;
        }
        const bool is_meant =
            guarded->partition == found.partition->id() &&
            std::binary_search(found.offsets.begin(), found.offsets.end(), guarded->offset);
        if (is_meant) guards.emplace_back(key);
        return true;
      }));
  RUNNEL_TRY(status);
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

Status Eraser::rewrite(ErasureRecord& record, std::size_t part, const Found& found,
                       const Help& help) {
  for (const IndexEntry& entry : found.entries) {
    RUNNEL_TRY(rewrite_entry(record, part, found, entry));
    RUNNEL_TRY(help.pace(2 * std::uint64_t{entry.bytes}));
  }
  record.rewritten[part] = found.end;
  show(record);
  return {};
}

Status Eraser::rewrite_entry(ErasureRecord& record, std::size_t part, const Found& found,
                             const IndexEntry& entry) {
  const Partition::View view = found.partition->view();
  if (view.deleted) return {};
  RUNNEL_TRY_ASSIGN(const auto file, environment_.reader.file_of(entry));
  RUNNEL_TRY_ASSIGN(const Buffer batches, read_entry(entry, *file));
  MoveBuilder builder(found.partition, view);
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
  builder.replace(entry, live);
  RUNNEL_TRY_ASSIGN(Move move, builder.finish(environment_.data));
  next.rewritten[part] = std::min(entry.last + 1, end);
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
