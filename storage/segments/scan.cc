// The offline walk: everything that can be read, and everything between that cannot.
#include <algorithm>
#include <map>
#include <utility>

#include "storage/segments/anchor.h"
#include "storage/segments/frame_reader.h"
#include "storage/segments/journal.h"
#include "storage/segments/segment_files.h"

namespace runnel::storage {
namespace {

struct ScannedFile {
  std::shared_ptr<File> file;
  std::uint64_t bytes = 0;
};

class Scan {
 public:
  Scan(std::map<std::uint32_t, ScannedFile> files, Position durable, std::uint64_t frame_seed,
       const std::function<Status(const FrameView&)>& on_frame)
      : files_(std::move(files)), durable_(durable), seed_(frame_seed), on_frame_(on_frame) {}

  Status segment(std::uint32_t number, const ScannedFile& scanned);
  /// The journal's end against what the witnesses say of it.
  std::vector<JournalDamage> finish();

 private:
  /// The checksum that the segment after `number` continues; nothing if it has no header.
  Result<std::optional<std::uint64_t>> continued_by_next(std::uint32_t number) const;
  /// Somebody knows that something behind `at` was synced: the anchor, a frame that was read, or
  /// one in the segments from `first` on.
  Result<bool> durable_behind(Position at, std::uint32_t first) const;
  /// The frame at `offset`, with batches that are damaged only where it is known to have been
  /// synced: else they look like a write that was never finished.
  Result<std::optional<FrameView>> frame(FrameReader& reader, std::uint32_t number,
                                         std::uint64_t offset) const;
  void damage(Position at, std::uint64_t end, std::string what) {
    damages_.push_back({at, end > at.offset ? end - at.offset : 0, std::move(what)});
  }
  Status tail(FrameReader& reader, std::uint32_t number, std::uint64_t offset,
              const std::string& why);

  const std::map<std::uint32_t, ScannedFile> files_;
  Position durable_;
  const std::uint64_t seed_;
  const std::function<Status(const FrameView&)>& on_frame_;
  std::vector<JournalDamage> damages_;
  Position end_;                     // behind the last whole frame
  bool ended_ = false;               // what lies in further segments was never durable
  std::uint64_t last_checksum_ = 0;  // of it
};

Result<std::optional<std::uint64_t>> Scan::continued_by_next(std::uint32_t number) const {
  const auto it = files_.find(number + 1);
  if (it == files_.end()) return std::optional<std::uint64_t>();
  FrameReader next(it->second.file, number + 1, it->second.bytes, seed_);
  RUNNEL_TRY_ASSIGN(const auto header, next.header());
  return header ? std::optional(header->previous_checksum) : std::nullopt;
}

Result<bool> Scan::durable_behind(Position at, std::uint32_t first) const {
  if (durable_ > at) return true;
  for (auto it = files_.lower_bound(first); it != files_.end(); ++it) {
    FrameReader reader(it->second.file, it->first, it->second.bytes, seed_);
    for (std::uint64_t offset = it->first == at.segment ? at.offset : kSegmentHeaderBytes;;) {
      RUNNEL_TRY_ASSIGN(const auto view, reader.find(offset));
      if (!view) break;
      const FrameHeader& frame = view->header;
      if (frame.durable <= frame.position && frame.durable > at) return true;
      offset = frame.position.offset + frame.total_bytes();
    }
  }
  return false;
}

Result<std::optional<FrameView>> Scan::frame(FrameReader& reader, std::uint32_t number,
                                             std::uint64_t offset) const {
  RUNNEL_TRY_ASSIGN(auto view, reader.frame(offset));
  if (!view || view->damaged.empty()) return view;
  const Position at{number, static_cast<std::uint32_t>(offset)};
  RUNNEL_TRY_ASSIGN(const bool synced, durable_behind(at, number));
  if (!synced) view.reset();
  return view;
}

Status Scan::segment(std::uint32_t number, const ScannedFile& scanned) {
  if (ended_) return {};
  FrameReader reader(scanned.file, number, scanned.bytes, seed_, DamagedBatches::kShown);
  RUNNEL_TRY_ASSIGN(const auto header, reader.header());
  const std::string header_why = reader.why();
  if (header && header->size > scanned.bytes) {
    damage({number, static_cast<std::uint32_t>(scanned.bytes)}, header->size,
           "the file was cut short");
  }
  std::optional<std::uint64_t> previous;  // checksum of the frame before, within this segment
  if (header) previous = header->previous_checksum;
  std::uint64_t offset = kSegmentHeaderBytes;
  bool any = false;
  while (true) {
    RUNNEL_TRY_ASSIGN(auto view, frame(reader, number, offset));
    std::string why = view                   ? "the frame does not continue the one before"
                      : reader.why().empty() ? "checksum mismatch"
                                             : reader.why();
    if (view && previous && view->header.previous_checksum != *previous) {
      // A stale frame behind the end, unless something durable was to follow.
      if (durable_ <= Position{number, static_cast<std::uint32_t>(offset)}) view.reset();
    }
    if (!view) {
      RUNNEL_TRY_ASSIGN(const auto next, reader.find(offset + kFrameAlignment));
      const bool resumes =
          next && next->header.durable > Position{number, static_cast<std::uint32_t>(offset)};
      const bool before_witness = next && durable_ > next->header.position;
      if (!resumes && !before_witness) {
        if (!header && any) damage({number, 0}, kSegmentHeaderBytes, header_why);
        if (!header && !any && durable_.segment > number)
          damage({number, 0}, scanned.bytes, header_why);
        return header || any ? tail(reader, number, offset, why) : Status();
      }
      const std::uint64_t resume_at = next->header.position.offset;
      damage({number, static_cast<std::uint32_t>(offset)}, resume_at, why);
      offset = resume_at;
      previous.reset();
      continue;
    }
    for (const FileRange& batch : view->damaged) {
      damage({number, static_cast<std::uint32_t>(batch.from)}, batch.to,
             "the checksum of a record batch does not match");
    }
    RUNNEL_TRY(on_frame_(*view));
    any = true;
    const FrameHeader& frame = view->header;
    durable_ = std::max(durable_, frame.durable <= frame.position ? frame.durable : Position{});
    offset += frame.total_bytes();
    previous = last_checksum_ = frame.checksum;
    end_ = {number, static_cast<std::uint32_t>(offset)};
  }
}

Status Scan::tail(FrameReader& reader, std::uint32_t number, std::uint64_t offset,
                  const std::string& why) {
  end_ = std::max(end_, Position{number, static_cast<std::uint32_t>(offset)});
  RUNNEL_TRY_ASSIGN(const auto continued, continued_by_next(number));
  if (!continued || *continued == last_checksum_) return {};
  // A power cut may keep the next segment's beginning and drop what was written before it.
  const Position at{number, static_cast<std::uint32_t>(offset)};
  RUNNEL_TRY_ASSIGN(const bool durable, durable_behind(at, number + 1));
  ended_ = !durable;
  if (durable) {
    damage(at, reader.file_size(), why + "; the next segment continues a frame that is not here");
  }
  return {};
}

std::vector<JournalDamage> Scan::finish() {
  if (durable_ > end_) {
    const auto it = files_.find(end_.segment);
    const bool known = std::any_of(damages_.begin(), damages_.end(),
                                   [&](const JournalDamage& d) { return d.position >= end_; });
    const std::uint64_t to = durable_.segment == end_.segment ? durable_.offset
                             : it == files_.end()             ? end_.offset
                                                              : it->second.bytes;
    if (!known)
      damage(
          end_, to,
          "everything before " + durable_.to_string() + " was durable, but the journal ends here");
  }
  return std::move(damages_);
}

}  // namespace

Result<std::vector<JournalDamage>> scan_journal(
    FileSystem& fs, const std::string& directory, const std::string& anchor_path,
    std::uint64_t frame_seed, const std::function<Status(const FrameView&)>& on_frame,
    const std::function<void(std::uint64_t done, std::uint64_t total)>& progress) {
  std::map<std::uint32_t, ScannedFile> files;
  std::uint64_t total = 0;
  RUNNEL_TRY_ASSIGN(const auto entries, fs.list(directory));
  for (const DirectoryEntry& entry : entries) {
    const auto number = parse_segment_file_name(entry.name);
    if (entry.is_directory || !number) continue;
    ScannedFile scanned;
    RUNNEL_TRY_ASSIGN(scanned.file, fs.open(directory + "/" + entry.name, {}));
    RUNNEL_TRY_ASSIGN(scanned.bytes, scanned.file->size());
    total += scanned.bytes;
    files[*number] = std::move(scanned);
  }
  RUNNEL_TRY_ASSIGN(const auto anchor, read_anchor(fs, anchor_path));
  Scan scan(files, anchor ? anchor->durable : Position{}, frame_seed, on_frame);
  std::uint64_t done = 0;
  for (const auto& [number, scanned] : files) {
    RUNNEL_TRY(scan.segment(number, scanned));
    done += scanned.bytes;
    if (progress) progress(done, total);
  }
  return scan.finish();
}

}  // namespace runnel::storage
