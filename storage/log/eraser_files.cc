// The last copies: segments from before the erasure, read as they are.
#include <algorithm>
#include <utility>

#include "storage/log/batch_walker.h"
#include "storage/log/eraser.h"
#include "storage/segments/frame_reader.h"
#include "storage/segments/segment_files.h"

namespace runnel::storage {
namespace {

constexpr std::size_t kWindowBytes = 4u << 20;
constexpr std::uint64_t kDataHeaderBytes = 64;

/// Whether the journal segment says which dedup keys were erased.
bool names_guards(const ErasureRecord& record, std::uint32_t segment) {
  return record.dedup_first != 0 && segment >= record.dedup_first && segment <= record.dedup_last;
}

/// Looks for a key in what a segment file holds. What can't be read counts as found: it is not
/// known to be clean.
class KeySearch {
 public:
  using Pace = std::function<Status(std::uint64_t bytes)>;
  KeySearch(const File& file, std::uint64_t bytes, const KeyHash& key, const Pace& pace)
      : file_(file), bytes_(bytes), key_(key), pace_(pace) {}

  /// So much was read; waits for its turn now and then.
  [[nodiscard]] Status read(std::uint64_t bytes) {
    unpaced_ += bytes;
    if (unpaced_ < kWindowBytes) return {};
    return pace_(std::exchange(unpaced_, 0));
  }

  [[nodiscard]] Result<bool> in_batch(Bytes batch) const {
    const auto size =
        protocol::validate_batch(batch, protocol::Depth::kHeader, protocol::Gaps::kAllowed);
    if (!size) return true;
    if (protocol::BatchView(batch).is_control()) return false;
    auto records = protocol::RecordReader::open(batch.first(*size));
    if (!records) return true;
    while (true) {
      const auto record = records->next();
      if (!record) return true;
      if (!*record) return false;
      if ((*record)->key && hash_key(*(*record)->key, key_.seed) == key_) return true;
    }
  }
  /// Batches from `at` on, to the end of the file.
  [[nodiscard]] Result<bool> in_batches(std::uint64_t at) {
    while (at < bytes_) {
      std::vector<std::byte> head(protocol::kBatchHeaderBytes);
      if (bytes_ - at < head.size()) return in_rest(at);
      RUNNEL_TRY(file_.read_exactly(at, head));
      const std::uint64_t size = protocol::BatchView(head).total_bytes();
      if (size < head.size() || size > protocol::kMaxBatchBytes || size > bytes_ - at) {
        return in_rest(at);
      }
      Buffer batch = Buffer::allocate(size);
      RUNNEL_TRY(file_.read_exactly(at, batch.mutable_bytes()));
      RUNNEL_TRY_ASSIGN(const bool found, in_batch(batch.bytes()));
      if (found) return true;
      RUNNEL_TRY(read(size));
      at += size;
    }
    return false;
  }
  /// Anything but zeros from `at` on.
  [[nodiscard]] Result<bool> in_rest(std::uint64_t at) {
    RUNNEL_TRY_ASSIGN(const auto ranges, file_.data_ranges());
    std::vector<std::byte> window;
    for (const FileRange& range : ranges) {
      for (std::uint64_t from = std::max(range.from, at); from < range.to; from += window.size()) {
        window.resize(std::min<std::uint64_t>(kWindowBytes, range.to - from));
        RUNNEL_TRY(file_.read_exactly(from, window));
        const bool zeros = std::all_of(window.begin(), window.end(),
                                       [](std::byte b) { return b == std::byte{0}; });
        if (!zeros) return true;
        RUNNEL_TRY(read(window.size()));
      }
    }
    return false;
  }

 private:
  const File& file_;
  const std::uint64_t bytes_;
  const KeyHash& key_;
  const Pace& pace_;
  std::uint64_t unpaced_ = 0;
};

}  // namespace

Result<bool> Eraser::holds_key(const SegmentInfo& segment, const KeyHash& key, const Help& help) {
  const KeySearch::Pace pace_it = [&](std::uint64_t bytes) { return pace(bytes, help); };
  if (is_data_segment(segment.number)) {
    RUNNEL_TRY_ASSIGN(const auto file, environment_.data.file(segment.number));
    RUNNEL_TRY_ASSIGN(const std::uint64_t bytes, file->size());
    return KeySearch(*file, bytes, key, pace_it).in_batches(kDataHeaderBytes);
  }
  RUNNEL_TRY_ASSIGN(const auto file, environment_.journal.segment(segment.number));
  RUNNEL_TRY_ASSIGN(const std::uint64_t bytes, file->size());
  KeySearch search(*file, bytes, key, pace_it);
  FrameReader reader(file, segment.number, bytes, environment_.frame_seed);
  RUNNEL_TRY_ASSIGN(const auto header, reader.header());
  if (!header) return search.in_rest(0);
  std::uint64_t offset = kSegmentHeaderBytes;
  while (true) {
    RUNNEL_TRY_ASSIGN(const auto frame, reader.frame(offset));
    if (!frame) return search.in_rest(offset);
    for (Bytes rest = frame->payload; !rest.empty();) {
      RUNNEL_TRY_ASSIGN(const bool found, search.in_batch(rest));
      if (found) return true;
      rest = rest.subspan(protocol::BatchView(rest).total_bytes());
    }
    RUNNEL_TRY(search.read(frame->header.total_bytes()));
    offset += frame->header.total_bytes();
  }
}

std::uint32_t Eraser::newest_data() const {
  std::uint32_t newest = kDataSegmentBit;
  for (const SegmentInfo& s : environment_.data.segments()) newest = std::max(newest, s.number);
  return newest;
}

bool Eraser::is_old(std::uint32_t segment, const ErasureRecord& record,
                    const Progress& progress) const {
  if (is_data_segment(segment)) return segment <= progress.data_end;
  return segment <= record.journal_end || names_guards(record, segment);
}

std::vector<SegmentInfo> Eraser::old_segments(const ErasureRecord& record,
                                              const Progress& progress) const {
  std::vector<SegmentInfo> old = environment_.journal.segments();
  const std::vector<SegmentInfo> data = environment_.data.segments();
  old.insert(old.end(), data.begin(), data.end());
  std::erase_if(old, [&](const SegmentInfo& s) { return !is_old(s.number, record, progress); });
  return old;
}

Status Eraser::clear_files(ErasureRecord& record, Progress& progress, const Help& help) {
  if (progress.data_end == 0) {  // another process removed the records
    environment_.data.leave_current();
    progress.data_end = newest_data();
  }
  std::vector<std::uint32_t> to_empty;
  record.shown.segments_left = 0;
  for (const SegmentInfo& s : old_segments(record, progress)) {
    if (progress.clean.contains(s.number)) continue;
    ++record.shown.segments_left;
    if (environment_.segments.is_dead(s.number)) continue;  // its file goes before long
    if (is_over() || progress.stuck.contains(s.number)) continue;
    if (!names_guards(record, s.number)) {
      const auto holds = holds_key(s, record.key, help);
      if (!holds && holds.error().code() == ErrorCode::kShuttingDown) return fail(holds.error());
      const bool went = !holds && holds.error().code() == ErrorCode::kNotFound;
      const bool is_clean = holds && !*holds;
      if (is_clean) progress.clean.insert(s.number);
      if (went || is_clean) {
        --record.shown.segments_left;
        continue;
      }
    }
    to_empty.push_back(s.number);
    spent_ += 2 * s.bytes;
  }
  if (!to_empty.empty()) {
    const Status emptied = help.empty(to_empty);
    if (!emptied && emptied.error().code() == ErrorCode::kShuttingDown) return emptied;
    if (emptied) return {};
    // The others have their turn first.
    progress.stuck.insert(to_empty.begin(), to_empty.end());
    progress.why_stuck = emptied.error().message();
    return {};
  }
  if (is_over()) return {};
  if (!progress.stuck.empty()) {
    progress.stuck.clear();
    return fail(ErrorCode::kCorrupt, progress.why_stuck);
  }
  if (record.shown.segments_left == 0) RUNNEL_TRY(count_other_files(record, progress));
  return record.shown.segments_left == 0 ? finish(record) : Status();
}

Status Eraser::count_other_files(ErasureRecord& record, const Progress& progress) const {
  FileSystem& fs = environment_.file_system;
  // The directory counts, not what is believed to be in it.
  RUNNEL_TRY_ASSIGN(const auto files, fs.list(environment_.segment_files));
  for (const DirectoryEntry& file : files) {
    auto number = parse_segment_file_name(file.name);
    if (!number) number = parse_data_segment_file_name(file.name);
    if (!number || !is_old(*number, record, progress)) continue;
    if (!progress.clean.contains(*number)) ++record.shown.segments_left;
  }
  // What is held for a backup may be links to files that are gone.
  const auto held = fs.list(environment_.snapshots);
  if (!held && held.error().code() != ErrorCode::kNotFound) return fail(held.error());
  if (held) record.shown.segments_left += held->size();
  if (record.shown.segments_left != 0) return {};
  // A power cut must not bring names back.
  RUNNEL_TRY(fs.sync_directory(environment_.segment_files));
  return held ? fs.sync_directory(environment_.snapshots) : Status();
}

Status Eraser::finish(ErasureRecord& record) {
  if (record.shown.dedup_keys != 0) {
    RUNNEL_TRY(environment_.index.flush());
    RUNNEL_TRY(environment_.index.compact(Family::kDedup));
  }
  ErasureRecord finished = record;
  finished.shown.gone = environment_.clock.now();
  finished.shown.problem.clear();
  finished.key = {};
  RUNNEL_TRY(save(finished));
  record = std::move(finished);
  return {};
}

}  // namespace runnel::storage
