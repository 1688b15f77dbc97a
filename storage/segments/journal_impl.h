// What a Journal is made of; private to journal.cc and journal_replay.cc.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "protocol/base/thread_annotations.h"
#include "storage/env/block_writer.h"
#include "storage/segments/anchor.h"
#include "storage/segments/frame_reader.h"
#include "storage/segments/journal.h"
#include "storage/segments/segment_files.h"

namespace runnel::storage {

struct Journal::Impl {
  struct Segment {
    std::shared_ptr<File> file;
    std::uint64_t bytes = 0;
    Timestamp created;  // as its header says; when the segment before was left
  };
  /// Where the frames stopped, and what the bytes there looked like.
  struct Stop {
    Position at;  // offset 0: the segment's header itself
    std::string why;
    bool unfinished_frame = false;  // a frame that continues the chain began there
  };
  struct Witness {
    Position durable;
    Position found_at;  // of the frame that says so
  };

  explicit Impl(JournalOptions o)
      : options(std::move(o)),
        fs(*options.file_system),
        files(fs, options.directory, whole_blocks(options.segment_bytes)) {}

  // ---- opening (journal_replay.cc)
  Status load();
  Result<ReplayReport> replay(const JournalPoint& from,
                              const std::function<Status(const FrameView&)>& apply);
  /// Applies frames from report.end on, across segments, and moves it.
  Result<Stop> read_frames(const JournalPoint& from, ReplayReport& report,
                           const std::function<Status(const FrameView&)>& apply);
  /// The reader of a segment whose header is sound and continues `previous_checksum`, or nothing
  /// and why.
  Result<std::optional<FrameReader>> enter(std::uint32_t number,
                                           std::optional<std::uint64_t> previous_checksum,
                                           std::string& why);
  /// The greatest durable position any frame behind `stop` knows of; stops at the first that
  /// condemns.
  Result<Witness> later_frames_witness(const Stop& stop);
  Status refuse_damage(const Stop& stop, Position from);
  /// Drops the segments that hold nothing durable; true if one of them had been begun.
  Result<bool> drop_segments_after(const Stop& stop);
  Status settle(const Stop& stop, std::uint32_t sync_from, const JournalPoint& end);

  // ---- writing (journal.cc)
  /// From now on write() appends to this segment of `bytes`, from `at` on.
  Status begin_writing(std::uint32_t number, std::uint64_t bytes, std::uint64_t at);
  /// `position` is the end of what was written into `file`, the current segment or the next one.
  Status write(File& file, std::uint64_t position, std::span<iovec> parts);
  Status write_segment_header(File& file, std::uint32_t number, std::uint64_t bytes,
                              std::uint64_t previous_checksum, Timestamp now);
  Result<std::shared_ptr<File>> take_next(std::uint32_t number, std::uint64_t least);
  Result<std::shared_ptr<File>> roll(JournalPoint& at, std::uint64_t frame_bytes, Timestamp now);
  /// After a frame of `frame_bytes` was written that ends at `at`.
  Status write_zeros_ahead(File& file, Position at, std::uint64_t frame_bytes,
                           std::uint64_t segment_bytes);
  Status usable() const;
  /// The largest segment that leaves `keep` bytes of the disk free.
  Result<std::uint64_t> room(std::uint64_t keep) const;

  const JournalOptions options;
  FileSystem& fs;
  SegmentFiles files;
  std::optional<Anchor> opened_anchor;  // set by load, read by replay
  std::unique_ptr<AnchorWriter> anchor;
  std::atomic<bool> broken{false};
  std::atomic<bool> replayed{false};
  std::atomic<std::uint64_t> durable{0};  // packed; durable_point's, for readers without the lock
  std::atomic<std::uint64_t> written{0};
  std::unique_ptr<BlockWriter> blocks;  // append's alone; none: through the page cache
  std::atomic<bool> past_page_cache{false};
  bool told_why_not = false;       // append's alone
  Position zeroed;                 // end of the zeros written ahead; append's alone
  std::uint32_t small_frames = 0;  // written in a row; append's alone
  Position cold;  // pages before it were released, or lie in segments older than this process
  std::atomic<std::uint64_t> sync_count{0};

  // Taken before `mutex` where both are.
  mutable Mutex prepare_mutex;
  std::shared_ptr<File> prepared RUNNEL_GUARDED_BY(prepare_mutex);
  std::uint32_t next_number RUNNEL_GUARDED_BY(prepare_mutex) = 1;  // of the next file to be made

  mutable Mutex mutex;
  std::map<std::uint32_t, Segment> segments RUNNEL_GUARDED_BY(mutex);
  std::shared_ptr<File> current RUNNEL_GUARDED_BY(mutex);
  std::uint64_t capacity RUNNEL_GUARDED_BY(mutex) = 0;  // of the current segment, bytes
  JournalPoint end RUNNEL_GUARDED_BY(mutex);            // of what was written
  JournalPoint durable_point RUNNEL_GUARDED_BY(mutex);
  // Rolled from, perhaps with frames that no sync has covered yet; older first.
  std::vector<std::shared_ptr<File>> unsynced RUNNEL_GUARDED_BY(mutex);
};

}  // namespace runnel::storage
