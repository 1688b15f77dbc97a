#include "storage/segments/journal.h"

#include <algorithm>
#include <array>
#include <utility>

#include "protocol/base/assert.h"
#include "storage/segments/journal_impl.h"

namespace runnel::storage {
namespace {

constexpr std::array<std::byte, kFrameAlignment> kPadding{};

// A file system keeps preallocated blocks marked as unwritten, and the first write to one makes its
// sync write the file's own metadata as well: half as much again for a small frame. Zeros written
// ahead, many blocks at once, spare that. Large frames pay it once for many blocks anyway, and
// zeros would double what they write; so would those before a small frame among large ones.
constexpr std::uint64_t kSmallFrameBytes = 32u << 10;
constexpr std::uint32_t kSmallFramesInARow = 8;
constexpr std::uint64_t kZerosAhead = 256u << 10;

// Pages are released in steps of at least this.
constexpr std::uint64_t kReleaseStep = 16u << 20;

iovec part_of(Bytes bytes) {
  return {const_cast<std::byte*>(bytes.data()), bytes.size()};
}

std::uint64_t payload_bytes(const FrameContent& content) {
  std::uint64_t bytes = 0;
  for (const Bytes part : content.payload) bytes += part.size();
  return bytes;
}

Status check_frame_size(std::uint64_t bytes) {
  if (bytes <= kMaxSegmentBytes - kSegmentHeaderBytes) return {};
  return fail(ErrorCode::kRecordTooLarge, "a commit of " + std::to_string(bytes) +
                                              " bytes does not fit in a segment (at most " +
                                              std::to_string(kMaxSegmentBytes) +
                                              "); send less in one request");
}

/// Hands header, operations, payload and padding to `write`, all at once.
template <typename Write>
Status write_frame(const Write& write, const FrameHeader& header, const FrameHeaderBytes& head,
                   const FrameContent& content) {
  std::vector<iovec> parts;
  parts.reserve(content.payload.size() + 3);
  parts.push_back(part_of(head));
  parts.push_back(part_of(content.operations));
  for (const Bytes part : content.payload) parts.push_back(part_of(part));
  const std::uint64_t unpadded =
      kFrameHeaderBytes + std::uint64_t{header.operations_bytes} + header.payload_bytes;
  parts.push_back(part_of(Bytes(kPadding).first(header.total_bytes() - unpadded)));
  return write(header.position.offset, parts);
}

/// The smallest segment for a frame.
std::uint64_t least_segment(std::uint64_t frame_bytes) {
  return whole_blocks(std::max<std::uint64_t>(kMinSegmentBytes, kSegmentHeaderBytes + frame_bytes));
}

}  // namespace

Journal::Journal() = default;
Journal::~Journal() = default;

Result<std::unique_ptr<Journal>> Journal::open(JournalOptions options) {
  if (options.segment_bytes < kMinSegmentBytes || options.segment_bytes > kMaxSegmentBytes ||
      options.segment_bytes % kFrameAlignment != 0) {
    return fail(ErrorCode::kInvalidArgument,
                "segment size " + std::to_string(options.segment_bytes) +
                    " is not possible; choose a multiple of 8 between " +
                    std::to_string(kMinSegmentBytes) + " and " + std::to_string(kMaxSegmentBytes));
  }
  RUNNEL_ASSERT(options.file_system != nullptr && options.clock != nullptr);
  std::unique_ptr<Journal> journal(new Journal);
  journal->impl_ = std::make_unique<Impl>(std::move(options));
  RUNNEL_TRY(journal->impl_->load());
  return journal;
}

Result<ReplayReport> Journal::replay(const JournalPoint& from,
                                     const std::function<Status(const FrameView&)>& apply) {
  return impl_->replay(from, apply);
}

Status Journal::Impl::usable() const {
  RUNNEL_ASSERT(replayed.load(std::memory_order_acquire));
  if (!broken.load(std::memory_order_acquire)) return {};
  return fail(ErrorCode::kIo,
              "the journal in " + options.directory +
                  " failed earlier and takes nothing more; see the first error and restart");
}

Status Journal::Impl::begin_writing(std::uint32_t number, std::uint64_t bytes, std::uint64_t at) {
  blocks.reset();
  past_page_cache = false;
  if (options.page_cache_bytes != 0) return {};
  RUNNEL_TRY_ASSIGN(auto file, fs.open(files.path(number), {.write = true, .direct = true}));
  if (file->block_bytes() == 1) {
    if (!std::exchange(told_why_not, true) && options.warn) {
      options.warn("the file system of " + options.directory +
                   " can't be written to past the page cache, as page-cache 0 asks for: the log "
                   "goes through it, and its pages are released at once");
    }
    return {};
  }
  // The last block of a segment that an earlier version made may run past its end.
  if (bytes % file->block_bytes() != 0) return {};
  RUNNEL_TRY_ASSIGN(blocks, BlockWriter::open(std::move(file), at));
  past_page_cache = true;
  return {};
}

Status Journal::Impl::write(File& file, std::uint64_t position, std::span<iovec> parts) {
  if (!blocks) return file.write(position, parts);
  RUNNEL_ASSERT(blocks->end() == position);
  return blocks->append(parts);
}

Status Journal::Impl::write_segment_header(File& file, std::uint32_t number, std::uint64_t bytes,
                                           std::uint64_t previous_checksum, Timestamp now) {
  SegmentHeader header;
  header.number = number;
  header.size = static_cast<std::uint32_t>(bytes);
  header.store = options.store;
  header.created = now;
  header.previous_checksum = previous_checksum;
  const auto encoded = encode_segment_header(header);
  iovec part = part_of(encoded);
  return write(file, 0, std::span(&part, 1));
}

Result<std::shared_ptr<File>> Journal::Impl::take_next(std::uint32_t number, std::uint64_t least) {
  MutexLock lock(prepare_mutex);
  RUNNEL_ASSERT(number == next_number);
  std::shared_ptr<File> file = prepared;
  if (file) {
    RUNNEL_TRY_ASSIGN(const std::uint64_t size, file->size());
    if (size < least) {
      RUNNEL_TRY(file->allocate(least));
      RUNNEL_TRY(file->sync());
    }
  } else {
    RUNNEL_TRY_ASSIGN(file, files.make(number, least));
  }
  prepared.reset();
  ++next_number;
  return file;
}

void Journal::prepare_next() {
  if (!impl_->replayed.load(std::memory_order_acquire) || impl_->broken.load()) return;
  MutexLock lock(impl_->prepare_mutex);
  if (impl_->prepared) return;
  const auto room = impl_->room(impl_->options.keep_free_bytes);
  if (!room || *room < impl_->options.segment_bytes) return;
  // append makes the file itself if this failed, and reports what is wrong then.
  auto file = impl_->files.make(impl_->next_number, impl_->options.segment_bytes);
  if (file) impl_->prepared = std::move(*file);
}

/// Begins the next segment for a frame and moves `at` there. Nothing refers to it before append
/// has written the frame.
Result<std::shared_ptr<File>> Journal::Impl::roll(JournalPoint& at, std::uint64_t frame_bytes,
                                                  Timestamp now) {
  const std::uint32_t number = at.position.segment + 1;
  RUNNEL_ASSERT(number != 0);
  RUNNEL_TRY_ASSIGN(auto file, take_next(number, least_segment(frame_bytes)));
  RUNNEL_TRY_ASSIGN(const std::uint64_t bytes, file->size());
  Status begun = begin_writing(number, bytes, 0);
  if (begun) begun = write_segment_header(*file, number, bytes, at.checksum, now);
  if (!begun) {
    broken.store(true, std::memory_order_release);
    return fail(ErrorCode::kIo, begun.error().message());
  }
  at.position = {number, static_cast<std::uint32_t>(kSegmentHeaderBytes)};
  return file;
}

Status Journal::Impl::write_zeros_ahead(File& file, Position at, std::uint64_t frame_bytes,
                                        std::uint64_t segment_bytes) {
  // Never touched: costs no memory.
  alignas(kMaxBlockBytes) static constinit std::byte zeros[kZerosAhead]{};
  if (frame_bytes > kSmallFrameBytes) {
    small_frames = 0;
    return {};
  }
  if (++small_frames < kSmallFramesInARow) return {};
  if (zeroed.segment == at.segment && at.offset <= zeroed.offset) return {};
  File& to = blocks ? blocks->file() : file;
  const std::uint64_t block = to.block_bytes();
  const std::uint64_t from = (at.offset + block - 1) / block * block;
  const std::uint64_t bytes = std::min(kZerosAhead, segment_bytes - from);
  RUNNEL_TRY(to.write(from, Bytes(zeros, bytes)));
  zeroed = {at.segment, static_cast<std::uint32_t>(from + bytes)};
  written.fetch_add(bytes, std::memory_order_relaxed);
  return {};
}

Result<FrameHeader> Journal::append(const FrameContent& content, Timestamp now) {
  Impl& impl = *impl_;
  RUNNEL_TRY(impl.usable());
  const std::uint64_t bytes = frame_bytes(content);
  RUNNEL_TRY(check_frame_size(bytes));
  JournalPoint at;
  std::shared_ptr<File> file;
  std::uint64_t capacity = 0;
  {
    MutexLock lock(impl.mutex);
    at = impl.end;
    file = impl.current;
    capacity = impl.capacity;
  }
  const bool rolls = at.position.offset + bytes > capacity;
  if (rolls) {
    RUNNEL_TRY_ASSIGN(file, impl.roll(at, bytes, now));
    RUNNEL_TRY_ASSIGN(capacity, file->size());
  }

  FrameHeader header;
  header.operations_bytes = static_cast<std::uint32_t>(content.operations.size());
  header.payload_bytes = static_cast<std::uint32_t>(payload_bytes(content));
  header.sequence = at.sequence + 1;
  header.position = at.position;
  header.durable = durable();
  header.previous_checksum = at.checksum;
  header.time = now;
  header.operation_count = content.operation_count;
  header.batch_count = content.batch_count;
  const FrameHeaderBytes head =
      seal_frame(header, content.operations, content.payload, impl.options.frame_seed);
  RUNNEL_ASSERT(header.total_bytes() == bytes && at.position.offset + bytes <= capacity);
  const Position end{at.position.segment, at.position.offset + static_cast<std::uint32_t>(bytes)};
  const auto write = [&](std::uint64_t position, std::span<iovec> parts) {
    return impl.write(*file, position, parts);
  };
  Status status = write_frame(write, header, head, content);
  if (status) status = impl.write_zeros_ahead(*file, end, bytes, capacity);
  if (!status) {
    impl.broken.store(true, std::memory_order_release);
    // Not kLowSpace, even if it was: bytes may have landed, so this is not to be retried.
    return fail(ErrorCode::kIo, status.error().message());
  }
  impl.written.fetch_add(bytes, std::memory_order_relaxed);

  MutexLock lock(impl.mutex);
  if (rolls) {
    impl.unsynced.push_back(std::move(impl.current));
    impl.current = file;
    impl.capacity = capacity;
    impl.segments[at.position.segment] = {std::move(file), capacity, now};
  }
  impl.end.position = end;
  impl.end.sequence = header.sequence;
  impl.end.checksum = header.checksum;
  return header;
}

bool Journal::has_room(std::uint64_t frame_bytes) const {
  MutexLock lock(impl_->mutex);
  return impl_->end.position.offset + frame_bytes <= impl_->capacity;
}

Result<std::uint64_t> Journal::Impl::room(std::uint64_t keep) const {
  RUNNEL_TRY_ASSIGN(const SpaceInfo space, options.file_system->space(options.directory));
  return (space.available_bytes - std::min(space.available_bytes, keep)) / kSegmentGranule *
         kSegmentGranule;
}

Status Journal::ensure_room(std::uint64_t frame_bytes, RoomFor purpose) {
  Impl& impl = *impl_;
  RUNNEL_TRY(impl.usable());
  RUNNEL_TRY(check_frame_size(frame_bytes));
  {
    MutexLock lock(impl.mutex);
    if (impl.end.position.offset + frame_bytes <= impl.capacity) return {};
  }
  const std::uint64_t least = least_segment(frame_bytes);
  MutexLock lock(impl.prepare_mutex);
  if (!impl.prepared) {
    std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
    if (purpose != RoomFor::kMakingRoom) {
      const std::uint64_t keep = impl.options.keep_free_bytes;
      RUNNEL_TRY_ASSIGN(most, impl.room(purpose == RoomFor::kRecords ? keep : keep / 2));
    }
    if (most < least) {
      return fail(ErrorCode::kLowSpace,
                  "the disk is too full to take more than deletes; free some space or shorten "
                  "retention, then try again");
    }
    RUNNEL_TRY_ASSIGN(impl.prepared, impl.files.make(impl.next_number, least, most));
    return {};
  }
  RUNNEL_TRY_ASSIGN(const std::uint64_t size, impl.prepared->size());
  if (size >= least) return {};
  RUNNEL_TRY(impl.prepared->allocate(least));
  return impl.prepared->sync();
}

void Journal::leave_segment() {
  MutexLock lock(impl_->mutex);
  impl_->capacity = impl_->end.position.offset;
}

JournalPoint Journal::end() const {
  MutexLock lock(impl_->mutex);
  return impl_->end;
}

std::uint64_t Journal::frame_bytes(const FrameContent& content) {
  const std::uint64_t bytes =
      kFrameHeaderBytes + content.operations.size() + payload_bytes(content);
  return (bytes + kFrameAlignment - 1) / kFrameAlignment * kFrameAlignment;
}

Result<Position> Journal::sync() {
  Impl& impl = *impl_;
  RUNNEL_TRY(impl.usable());
  JournalPoint point;
  std::vector<std::shared_ptr<File>> dirty;
  {
    MutexLock lock(impl.mutex);
    point = impl.end;
    if (point.position == impl.durable_point.position) return point.position;
    dirty = std::move(impl.unsynced);
    impl.unsynced.clear();
    dirty.push_back(impl.current);
  }
  // Older segments first: a later frame on the disk then always has all earlier ones before it.
  for (const auto& file : dirty) {
    if (Status s = file->sync(); !s) {
      impl.broken.store(true, std::memory_order_release);
      return fail(s.error());
    }
  }
  impl.sync_count.fetch_add(1, std::memory_order_relaxed);
  {
    MutexLock lock(impl.mutex);
    impl.durable_point = point;
  }
  impl.durable.store(point.position.pack(), std::memory_order_release);
  return point.position;
}

Status Journal::write_anchor() {
  RUNNEL_ASSERT(impl_->replayed.load(std::memory_order_acquire));
  Anchor anchor;
  anchor.store = impl_->options.store;
  {
    MutexLock lock(impl_->mutex);
    anchor.durable = impl_->durable_point.position;
    anchor.sequence = impl_->durable_point.sequence;
  }
  return impl_->anchor->write(anchor);
}

Position Journal::durable() const noexcept {
  return Position::unpack(impl_->durable.load(std::memory_order_acquire));
}

Result<std::shared_ptr<const File>> Journal::segment(std::uint32_t number) const {
  MutexLock lock(impl_->mutex);
  const auto it = impl_->segments.find(number);
  if (it == impl_->segments.end()) {
    return fail(ErrorCode::kNotFound, "there is no segment " + std::to_string(number) + " in " +
                                          impl_->options.directory);
  }
  return std::shared_ptr<const File>(it->second.file);
}

std::vector<SegmentInfo> Journal::segments() const {
  MutexLock lock(impl_->mutex);
  std::vector<SegmentInfo> all;
  all.reserve(impl_->segments.size());
  for (const auto& [number, segment] : impl_->segments) all.push_back({number, segment.bytes});
  return all;
}

std::optional<Timestamp> Journal::closed_at(std::uint32_t number) const {
  MutexLock lock(impl_->mutex);
  const auto next = impl_->segments.upper_bound(number);
  if (next == impl_->segments.end()) return std::nullopt;
  return next->second.created;
}

std::uint32_t Journal::current_segment() const {
  MutexLock lock(impl_->mutex);
  return impl_->end.position.segment;
}

bool Journal::half_full() const {
  MutexLock lock(impl_->mutex);
  return impl_->end.position.offset >= impl_->capacity / 2;
}

void Journal::release_cold_pages() {
  if (impl_->past_page_cache.load(std::memory_order_relaxed)) return;
  struct Range {
    std::shared_ptr<File> file;
    std::uint64_t from = 0;
    std::uint64_t to = 0;
  };
  std::vector<Range> ranges;
  {
    MutexLock lock(impl_->mutex);
    const Position end = impl_->durable_point.position;
    if (impl_->cold.segment == 0) impl_->cold = {end.segment, 0};
    std::uint64_t newer = 0;  // bytes between what is looked at and the end
    std::uint64_t cold_bytes = 0;
    Position warm = impl_->cold;
    for (auto it = impl_->segments.upper_bound(end.segment); it != impl_->segments.begin();) {
      const auto& [number, segment] = *--it;
      if (number < impl_->cold.segment) break;
      const std::uint64_t to = number == end.segment ? end.offset : segment.bytes;
      const std::uint64_t from = number == impl_->cold.segment ? impl_->cold.offset : 0;
      const std::uint64_t kept = std::min(impl_->options.page_cache_bytes - newer, to);
      newer += kept;
      if (to - kept <= from) continue;
      if (ranges.empty()) warm = {number, static_cast<std::uint32_t>(to - kept)};
      ranges.push_back({segment.file, from, to - kept});
      cold_bytes += to - kept - from;
    }
    if (cold_bytes < kReleaseStep) return;
    impl_->cold = warm;
  }
  for (const Range& range : ranges) range.file->dont_need(range.from, range.to - range.from);
}

Status Journal::remove_segment(std::uint32_t number) {
  {
    MutexLock lock(impl_->mutex);
    if (!impl_->segments.contains(number)) {
      return fail(ErrorCode::kNotFound, "segment " + std::to_string(number) + " is not there");
    }
    if (number >= impl_->durable_point.position.segment) {
      return fail(ErrorCode::kInvalidArgument,
                  "segment " + std::to_string(number) + " is still being written or synced");
    }
  }
  // As long as the file is there it is known.
  const Status removed = impl_->files.remove(number);
  if (!removed && removed.error().code() != ErrorCode::kNotFound) return removed;
  // Closing the file frees its pages and blocks, which takes a while: not while others wait.
  std::shared_ptr<File> closed_last;
  MutexLock lock(impl_->mutex);
  const auto it = impl_->segments.find(number);
  closed_last = std::move(it->second.file);
  closed_last->free_slowly();
  impl_->segments.erase(it);
  return {};
}

std::uint64_t Journal::disk_bytes() const {
  std::uint64_t bytes = 0;
  {
    MutexLock lock(impl_->prepare_mutex);
    // Where space was short it is smaller than others. One whose size can't be asked counts as
    // full.
    if (impl_->prepared) bytes += impl_->prepared->size().value_or(impl_->options.segment_bytes);
  }
  MutexLock lock(impl_->mutex);
  for (const auto& [number, segment] : impl_->segments) bytes += segment.bytes;
  return bytes;
}

std::uint64_t Journal::written_bytes() const noexcept {
  return impl_->written.load();
}
std::uint64_t Journal::syncs() const noexcept {
  return impl_->sync_count.load();
}

}  // namespace runnel::storage
