// The journal: write-ahead segments in order, one writer, one syncer, any number of readers.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/base/buffer.h"
#include "protocol/base/error.h"
#include "protocol/base/thread_annotations.h"
#include "protocol/base/uuid.h"
#include "storage/env/clock.h"
#include "storage/env/file_system.h"
#include "storage/segments/frame.h"
#include "storage/segments/position.h"

namespace runnel::storage {

struct JournalOptions {
  std::string directory;  ///< holds <number>.wal
  std::string anchor_path;
  std::uint64_t segment_bytes = 256u << 20;
  Uuid store;
  std::uint64_t frame_seed = 0;  ///< the store's secret; see seal_frame
  FileSystem* file_system = nullptr;
  Clock* clock = nullptr;
  /// See ensure_room().
  std::uint64_t keep_free_bytes = 0;
  /// How much of the newest journal the machine's page cache may hold; see release_cold_pages().
  /// 0: it is written past the page cache, where the file system can do that.
  std::uint64_t page_cache_bytes = std::numeric_limits<std::uint64_t>::max();
  /// Gets a sentence for the operator, once, where the file system can't do that. May be empty.
  std::function<void(std::string_view)> warn = {};
};

/// Where reading starts: a frame boundary together with what the next frame must continue.
struct JournalPoint {
  Position position;           ///< of the next frame
  std::uint64_t sequence = 0;  ///< of the last frame before
  std::uint64_t checksum = 0;  ///< of the last frame before
};

/// A frame as replay shows it. Views live during the call only.
struct FrameView {
  FrameHeader header;
  Bytes operations;
  Bytes payload;
  /// Batches whose own checksum does not hold, by their places in the file. Empty unless asked for:
  /// a frame with such a batch does not count otherwise.
  std::vector<FileRange> damaged = {};

  /// Whether the batch at this place in the file is one of them.
  [[nodiscard]] bool is_damaged(std::uint64_t position) const {
    return std::any_of(damaged.begin(), damaged.end(),
                       [&](const FileRange& r) { return r.from == position; });
  }
};

struct ReplayReport {
  std::uint64_t frames = 0;
  std::uint64_t bytes = 0;
  bool torn_tail = false;  ///< frames that were never durable were cut off at `end`
  JournalPoint end;        ///< where writing goes on
};

/// What a writer hands over for one frame. Nothing is copied.
struct FrameContent {
  Bytes operations;
  std::span<const Bytes> payload;
  std::uint32_t operation_count = 0;
  std::uint32_t batch_count = 0;
};

struct SegmentInfo {
  std::uint32_t number = 0;
  std::uint64_t bytes = 0;  ///< size of the file
};

/// Life: open() -> replay() once -> append()/sync()... -> close(). Thread safety is stated per
/// method; append and roll belong to the committer, sync to the syncer.
class Journal {
 public:
  /// Lists the segments; creates nothing yet. Errors: kIo, kCorrupt for a segment of another store.
  [[nodiscard]] static Result<std::unique_ptr<Journal>> open(JournalOptions options);
  ~Journal();

  /// Reads frames from `from` (default-constructed: the very beginning), verifies each, calls
  /// `apply`, and leaves the journal ready to append at the end. The first bad frame is a torn tail
  /// only if neither the anchor nor any later frame says that something at or after it was durable;
  /// otherwise kCorrupt, naming segment, position, both witnesses and what to do. `from` itself
  /// must have been durable: a journal that ends before it is refused as well.
  [[nodiscard]] Result<ReplayReport> replay(const JournalPoint& from,
                                            const std::function<Status(const FrameView&)>& apply);

  // ---- committer thread
  /// Writes one frame (one gathered write), rolling to a new segment where it does not fit. A frame
  /// larger than a segment gets a segment of its own size. Returns the sealed header.
  /// Errors: kRecordTooLarge for more than kMaxSegmentBytes and kLowSpace where there is no room
  /// for another segment: nothing was written, the journal goes on. After any other error nothing
  /// more may be appended.
  [[nodiscard]] Result<FrameHeader> append(const FrameContent& content, Timestamp now);
  /// True if a frame of `frame_bytes` fits into the current segment. Any thread.
  [[nodiscard]] bool has_room(std::uint64_t frame_bytes) const;
  /// Makes sure that a frame of `frame_bytes` can be appended without asking the disk for more
  /// room: afterwards append() can't fail for low space. Where a segment has to be made for it,
  /// records leave JournalOptions::keep_free_bytes of the disk free, and changes that come without
  /// (offsets, state) half of that: the index needs as much again. What makes room may take all.
  /// Errors: kLowSpace, kRecordTooLarge, kIo.
  enum class RoomFor { kRecords, kChanges, kMakingRoom };
  [[nodiscard]] Status ensure_room(std::uint64_t frame_bytes, RoomFor purpose);
  /// The next frame begins a new segment, so that the current one can be cleaned.
  void leave_segment();
  /// End of what was written; where the next frame goes if it fits.
  [[nodiscard]] JournalPoint end() const;
  /// Bytes a frame of this content would take.
  [[nodiscard]] static std::uint64_t frame_bytes(const FrameContent& content);
  /// Makes the next segment's file ahead of time, unless space is short; any thread. If that fails,
  /// append tries again and reports it.
  void prepare_next();

  // ---- syncer thread
  /// Syncs every frame that was appended before the call; returns the position that is now durable.
  /// After an error the journal must be abandoned.
  [[nodiscard]] Result<Position> sync();
  /// Rewrites the anchor with the durable position (in two alternating slots). Called in the
  /// background, at most ~20 ms behind; any one thread at a time.
  [[nodiscard]] Status write_anchor();

  /// Asks the machine to forget its copies of what was written longest ago, so that it holds about
  /// `page_cache_bytes` of what this process wrote; what was written past them is left to its
  /// readers. Quick where there is nothing to do. Called in the background; any one thread at a
  /// time.
  void release_cold_pages();

  // ---- any thread
  [[nodiscard]] Position durable() const noexcept;
  /// The file of a segment; kNotFound if it was removed. Holding it keeps it readable.
  [[nodiscard]] Result<std::shared_ptr<const File>> segment(std::uint32_t number) const;
  [[nodiscard]] std::vector<SegmentInfo> segments() const;
  /// When the segment was rolled from, or later if the one after it was removed: no frame in it is
  /// younger. Nothing for the segment being written.
  [[nodiscard]] std::optional<Timestamp> closed_at(std::uint32_t number) const;
  /// True once half of the current segment is used: time to prepare the next.
  [[nodiscard]] bool half_full() const;
  /// The segment being written; it can't be removed.
  [[nodiscard]] std::uint32_t current_segment() const;
  /// Deletes a dead segment; who holds its file goes on reading it. It must lie before the point
  /// that the next replay starts from. Errors: kNotFound, kInvalidArgument for a segment that is
  /// not wholly durable, kIo: it stays known then.
  [[nodiscard]] Status remove_segment(std::uint32_t number);
  /// Bytes of all segment files.
  [[nodiscard]] std::uint64_t disk_bytes() const;
  [[nodiscard]] std::uint64_t written_bytes() const noexcept;
  [[nodiscard]] std::uint64_t syncs() const noexcept;

 private:
  Journal();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Walks all segments of a directory offline and reports each frame and each damaged range.
struct JournalDamage {
  Position position;
  std::uint64_t length = 0;
  std::string what;
};
[[nodiscard]] Result<std::vector<JournalDamage>> scan_journal(
    FileSystem& fs, const std::string& directory, const std::string& anchor_path,
    std::uint64_t frame_seed, const std::function<Status(const FrameView&)>& on_frame,
    const std::function<void(std::uint64_t done, std::uint64_t total)>& progress);

}  // namespace runnel::storage
