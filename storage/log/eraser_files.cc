// The last copies: segments from before the erasure, read as they are.
#include <algorithm>

#include "storage/log/batch_walker.h"
#include "storage/log/eraser.h"
#include "storage/segments/frame_reader.h"

namespace runnel::storage {
namespace {

constexpr std::size_t kWindowBytes = 4u << 20;
constexpr std::uint64_t kDataHeaderBytes = 64;

/// Looks for a key in what a segment file holds. What can't be read counts as found: it is not
/// known to be clean.
class KeySearch {
 public:
  KeySearch(const File& file, std::uint64_t bytes, const KeyHash& key)
      : file_(file), bytes_(bytes), key_(key) {}

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
  [[nodiscard]] Result<bool> in_batches(std::uint64_t at) const {
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
      at += size;
    }
    return false;
  }
  /// Anything but zeros from `at` on.
  [[nodiscard]] Result<bool> in_rest(std::uint64_t at) const {
    RUNNEL_TRY_ASSIGN(const auto ranges, file_.data_ranges());
    std::vector<std::byte> window;
    for (const FileRange& range : ranges) {
      for (std::uint64_t from = std::max(range.from, at); from < range.to; from += window.size()) {
        window.resize(std::min<std::uint64_t>(kWindowBytes, range.to - from));
        RUNNEL_TRY(file_.read_exactly(from, window));
        const bool zeros = std::all_of(window.begin(), window.end(),
                                       [](std::byte b) { return b == std::byte{0}; });
        if (!zeros) return true;
      }
    }
    return false;
  }

 private:
  const File& file_;
  const std::uint64_t bytes_;
  const KeyHash& key_;
};

}  // namespace

Result<bool> Eraser::holds_key(std::uint32_t segment, const KeyHash& key) const {
  if (is_data_segment(segment)) {
    RUNNEL_TRY_ASSIGN(const auto file, environment_.data.file(segment));
    RUNNEL_TRY_ASSIGN(const std::uint64_t bytes, file->size());
    return KeySearch(*file, bytes, key).in_batches(kDataHeaderBytes);
  }
  RUNNEL_TRY_ASSIGN(const auto file, environment_.journal.segment(segment));
  RUNNEL_TRY_ASSIGN(const std::uint64_t bytes, file->size());
  const KeySearch search(*file, bytes, key);
  FrameReader reader(file, segment, bytes, environment_.frame_seed);
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
    offset += frame->header.total_bytes();
  }
}

Status Eraser::clear_files(ErasureRecord& record, const Help& help) {
  const auto data_end = data_end_.find(record.shown.id);
  if (data_end == data_end_.end()) {  // another process removed the records
    std::uint32_t newest = kDataSegmentBit;
    for (const SegmentInfo& s : environment_.data.segments()) newest = std::max(newest, s.number);
    environment_.data.leave_current();
    data_end_[record.shown.id] = newest;
  }
  const std::uint32_t last_data = data_end_[record.shown.id];
  const auto names_guards = [&](std::uint32_t n) {
    return record.dedup_first != 0 && n >= record.dedup_first && n <= record.dedup_last;
  };
  std::vector<SegmentInfo> old;
  for (const SegmentInfo& s : environment_.journal.segments()) {
    if (s.number <= record.journal_end || names_guards(s.number)) old.push_back(s);
  }
  for (const SegmentInfo& s : environment_.data.segments()) {
    if (s.number <= last_data) old.push_back(s);
  }
  std::set<std::uint32_t>& clean = clean_[record.shown.id];
  std::vector<std::uint32_t> to_empty;
  record.shown.segments_left = 0;
  for (const SegmentInfo& s : old) {
    if (clean.contains(s.number)) continue;
    const bool is_dead = environment_.segments.is_dead(s.number);
    if (!is_dead && !names_guards(s.number)) {
      const auto holds = holds_key(s.number, record.key);
      if (!holds && holds.error().code() == ErrorCode::kNotFound) continue;  // gone meanwhile
      if (!holds) return fail(holds.error());
      RUNNEL_TRY(help.pace(s.bytes));
      if (!*holds) {
        clean.insert(s.number);
        continue;
      }
    }
    ++record.shown.segments_left;
    if (!is_dead) to_empty.push_back(s.number);
  }
  if (record.shown.segments_left != 0) {
    return to_empty.empty() ? Status() : help.empty(to_empty);
  }
  // What is held for a backup may be links to files that are gone.
  const auto held = environment_.file_system.list(environment_.snapshots);
  if (!held && held.error().code() != ErrorCode::kNotFound) return fail(held.error());
  if (held && !held->empty()) {
    record.shown.segments_left = held->size();
    return {};
  }
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
  clean_.erase(record.shown.id);
  data_end_.erase(record.shown.id);
  return {};
}

}  // namespace runnel::storage
