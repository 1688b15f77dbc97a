// Opening a journal: which frames count, and whether a bad one is a torn tail or damage.
//
//   what stands at the stop                  witness beyond the stop   outcome
//   nothing, zeros, a stale or torn frame    none                      the journal ends there
//   the same, or a file missing or short     anchor, later frame or    refused: kCorrupt
//                                            the index's own position
// A segment's end is told by the next segment: its header names the checksum of the last frame.
#include <algorithm>
#include <utility>

#include "protocol/base/assert.h"
#include "storage/segments/journal_impl.h"

namespace runnel::storage {
namespace {

constexpr Position kFirstFrame{1, static_cast<std::uint32_t>(kSegmentHeaderBytes)};

bool is_beginning(const JournalPoint& from) {
  return from.position == Position{};
}

}  // namespace

Status Journal::Impl::load() {
  if (!fs.exists(options.directory)) {
    RUNNEL_TRY(fs.create_directory(options.directory));
    RUNNEL_TRY(fs.sync_directory(parent_directory(options.directory)));
  }
  RUNNEL_TRY_ASSIGN(const auto entries, fs.list(options.directory));
  MutexLock lock(mutex);
  for (const DirectoryEntry& entry : entries) {
    const auto number = parse_segment_file_name(entry.name);
    if (entry.is_directory || !number) continue;
    Segment segment;
    RUNNEL_TRY_ASSIGN(segment.file, fs.open(files.path(*number), {.write = true}));
    RUNNEL_TRY_ASSIGN(segment.bytes, segment.file->size());
    std::array<std::byte, kSegmentHeaderBytes> bytes{};
    RUNNEL_TRY_ASSIGN(const std::size_t got, segment.file->read(0, bytes));
    const auto header = read_segment_header(Bytes(bytes).first(got));
    if (header && header->store != options.store) {
      return fail(ErrorCode::kCorrupt, segment.file->path() + " belongs to store " +
                                           header->store.to_string() + ", not to this one (" +
                                           options.store.to_string() +
                                           "); move it back to where it came from");
    }
    if (header) segment.created = header->created;
    // Its size was durable before its header was written.
    if (header && header->number == *number && segment.bytes < header->size) {
      return fail(ErrorCode::kCorrupt, segment.file->path() + " was cut to " +
                                           std::to_string(segment.bytes) + " bytes, it had " +
                                           std::to_string(header->size) +
                                           "; put the whole file back from a backup");
    }
    segments[*number] = std::move(segment);
  }
  RUNNEL_TRY_ASSIGN(opened_anchor, read_anchor(fs, options.anchor_path));
  if (opened_anchor && opened_anchor->store != options.store) {
    return fail(ErrorCode::kCorrupt, options.anchor_path + " belongs to store " +
                                         opened_anchor->store.to_string() + ", not to this one (" +
                                         options.store.to_string() +
                                         "); put the right file back from a backup");
  }
  anchor = std::make_unique<AnchorWriter>(fs, options.anchor_path,
                                          opened_anchor ? opened_anchor->counter : 0);
  return {};
}

Result<std::optional<FrameReader>> Journal::Impl::enter(
    std::uint32_t number, std::optional<std::uint64_t> previous_checksum, std::string& why) {
  Segment segment;
  {
    MutexLock lock(mutex);
    const auto it = segments.find(number);
    if (it == segments.end()) {
      why = "the file is missing";
      return std::optional<FrameReader>();
    }
    segment = it->second;
  }
  std::optional<FrameReader> reader(std::in_place, segment.file, number, segment.bytes,
                                    options.frame_seed);
  RUNNEL_TRY_ASSIGN(const auto header, reader->header());
  if (!header) {
    why = reader->why();
    reader.reset();
  } else if (previous_checksum && header->previous_checksum != *previous_checksum) {
    why = "its header does not continue the segment before";
    reader.reset();
  }
  return reader;
}

Result<Journal::Impl::Stop> Journal::Impl::read_frames(
    const JournalPoint& from, ReplayReport& report,
    const std::function<Status(const FrameView&)>& apply) {
  JournalPoint& at = report.end;
  at = from;
  std::optional<std::uint64_t> chain;
  if (is_beginning(from)) {
    at = {.position = kFirstFrame, .sequence = 0, .checksum = 0};
    chain = 0;
  }
  Stop stop;
  RUNNEL_TRY_ASSIGN(auto reader, enter(at.position.segment, chain, stop.why));
  if (!reader) {
    stop.at = {at.position.segment, 0};
    // The index may have reached the very end of a segment that was dead and removed since.
    if (is_beginning(from)) return stop;
    std::string ignored;
    RUNNEL_TRY_ASSIGN(reader, enter(at.position.segment + 1, at.checksum, ignored));
    bool missing = false;
    {
      MutexLock lock(mutex);
      missing = !segments.contains(at.position.segment);
    }
    if (!missing || !reader) return stop;
    at.position = {at.position.segment + 1, kFirstFrame.offset};
  }
  if (at.position.offset > reader->file_size()) {
    stop.at = {at.position.segment, static_cast<std::uint32_t>(reader->file_size())};
    stop.why = "the file was cut short";
    return stop;
  }
  while (true) {
    RUNNEL_TRY_ASSIGN(const auto view, reader->frame(at.position.offset));
    const auto continues = [&](const FrameHeader& header) {
      return header.sequence == at.sequence + 1 && header.previous_checksum == at.checksum;
    };
    if (view && continues(view->header)) {
      RUNNEL_TRY(apply(*view));
      ++report.frames;
      report.bytes += view->header.total_bytes();
      at.position.offset += static_cast<std::uint32_t>(view->header.total_bytes());
      at.sequence = view->header.sequence;
      at.checksum = view->header.checksum;
      continue;
    }
    stop.at = at.position;
    stop.why = view ? "the frame there does not continue the one before" : reader->why();
    stop.unfinished_frame = !view && reader->refused() && continues(*reader->refused());
    std::string ignored;
    RUNNEL_TRY_ASSIGN(auto next, enter(at.position.segment + 1, at.checksum, ignored));
    if (!next) return stop;
    reader = std::move(next);
    at.position = {at.position.segment + 1, kFirstFrame.offset};
  }
}

Result<Journal::Impl::Witness> Journal::Impl::later_frames_witness(const Stop& stop) {
  std::map<std::uint32_t, Segment> later;
  {
    MutexLock lock(mutex);
    later.insert(segments.lower_bound(stop.at.segment), segments.end());
  }
  Witness witness;
  for (const auto& [number, segment] : later) {
    FrameReader reader(segment.file, number, segment.bytes, options.frame_seed);
    std::uint64_t offset = number == stop.at.segment
                               ? std::max<std::uint64_t>(stop.at.offset, kSegmentHeaderBytes)
                               : kSegmentHeaderBytes;
    while (true) {
      RUNNEL_TRY_ASSIGN(const auto found, reader.find(offset));
      if (!found) break;
      const FrameHeader& header = found->header;
      // No frame can know of durable bytes behind itself.
      if (header.durable > witness.durable && header.durable <= header.position) {
        witness = {header.durable, header.position};
      }
      if (witness.durable > stop.at) return witness;
      offset = header.position.offset + header.total_bytes();
    }
  }
  return witness;
}

Status Journal::Impl::refuse_damage(const Stop& stop, Position from) {
  const Position anchored = opened_anchor ? opened_anchor->durable : Position{};
  RUNNEL_TRY_ASSIGN(const Witness later, later_frames_witness(stop));
  if (std::max({anchored, later.durable, from}) <= stop.at) return {};
  std::string message = "the journal is damaged at " + stop.at.to_string() + " (" +
                        files.path(stop.at.segment) + "): " + stop.why +
                        ". This is not a torn last write, bytes after it were durable: the anchor ";
  message += opened_anchor ? "says everything before " + anchored.to_string() + " was synced"
                           : "is missing or unreadable";
  message += later.durable == Position{}
                 ? ", no later frame says more"
                 : ", the frame at " + later.found_at.to_string() + " says everything before " +
                       later.durable.to_string() + " was";
  if (from != Position{}) message += ", the index reflects everything before " + from.to_string();
  const std::string directory = parent_directory(options.anchor_path);
  message += ". Nothing was changed. Restore the directory from a backup; or let `runnel check " +
             directory + "` list what is damaged, and go on without it: `runnel repair " +
             directory + " --dry-run` says what would be lost, without --dry-run it is done";
  return fail(ErrorCode::kCorrupt, std::move(message));
}

Result<bool> Journal::Impl::drop_segments_after(const Stop& stop) {
  bool begun = false;
  std::vector<std::pair<std::uint32_t, Segment>> dropped;
  {
    MutexLock lock(mutex);
    auto it = segments.lower_bound(stop.at.segment);
    // A segment whose header is not there goes as well; it is made anew.
    if (stop.at.offset != 0 && it != segments.end() && it->first == stop.at.segment) ++it;
    dropped.assign(it, segments.end());
    segments.erase(it, segments.end());
  }
  for (const auto& [number, segment] : dropped) {
    {
      FrameReader reader(segment.file, number, segment.bytes, options.frame_seed);
      RUNNEL_TRY_ASSIGN(const auto header, reader.header());
      begun = begun || header.has_value();
    }
    RUNNEL_TRY(files.remove(number));
  }
  if (!dropped.empty()) RUNNEL_TRY(files.sync_directory());
  return begun;
}

Status Journal::Impl::settle(const Stop& stop, std::uint32_t sync_from, const JournalPoint& at) {
  if (stop.at.offset == 0) {
    RUNNEL_ASSERT(stop.at.segment == kFirstFrame.segment && at.position == kFirstFrame);
    RUNNEL_TRY_ASSIGN(auto file, files.make(kFirstFrame.segment, kMinSegmentBytes));
    RUNNEL_TRY_ASSIGN(const std::uint64_t bytes, file->size());
    const Timestamp now = options.clock->now();
    RUNNEL_TRY(begin_writing(kFirstFrame.segment, bytes, 0));
    RUNNEL_TRY(write_segment_header(*file, kFirstFrame.segment, bytes, 0, now));
    MutexLock lock(mutex);
    segments[kFirstFrame.segment] = {std::move(file), bytes, now};
  }
  // What was read may have come from the page cache of a machine that is still up: after kill -9
  // frames can be readable and not yet durable.
  std::vector<std::shared_ptr<File>> dirty;
  {
    MutexLock lock(mutex);
    for (auto it = segments.lower_bound(sync_from); it != segments.end(); ++it) {
      dirty.push_back(it->second.file);
    }
  }
  for (const auto& file : dirty) RUNNEL_TRY(file->sync());
  RUNNEL_TRY(files.sync_directory());
  if (stop.at.offset != 0) {
    std::uint64_t bytes = 0;
    {
      MutexLock lock(mutex);
      bytes = segments.at(at.position.segment).bytes;
    }
    RUNNEL_TRY(begin_writing(at.position.segment, bytes, at.position.offset));
  }
  {
    MutexLock lock(prepare_mutex);
    next_number = at.position.segment + 1;
  }
  {
    MutexLock lock(mutex);
    const Segment& last = segments.at(at.position.segment);
    current = last.file;
    capacity = last.bytes;
    end = at;
    durable_point = at;
  }
  durable.store(at.position.pack(), std::memory_order_release);
  replayed.store(true, std::memory_order_release);
  return {};
}

Result<ReplayReport> Journal::Impl::replay(const JournalPoint& from,
                                           const std::function<Status(const FrameView&)>& apply) {
  RUNNEL_ASSERT(!replayed.load());
  ReplayReport report;
  RUNNEL_TRY_ASSIGN(const Stop stop, read_frames(from, report, apply));
  RUNNEL_TRY(refuse_damage(stop, from.position));
  RUNNEL_TRY_ASSIGN(const bool dropped_begun, drop_segments_after(stop));
  report.torn_tail = dropped_begun || stop.unfinished_frame;
  const Position witnessed =
      std::max(from.position, opened_anchor ? opened_anchor->durable : Position{});
  RUNNEL_TRY(settle(stop, witnessed.segment, report.end));
  return report;
}

}  // namespace runnel::storage
