// Data segments: files of record batches that were moved out of the journal, by compaction or by
// the cleaner. docs/formats/segment.md has a page on them.
//
// File DIR/segments/NNNNNNNNNN.log, integers little-endian:
//   offset size field
//        0    4 magic "RNLD"
//        4    2 version 1
//        6    2 zero
//        8    4 number
//       12    4 zero
//       16   16 store id
//       32    8 created              milliseconds since the epoch
//       40    8 checksum             xxh3-64 of bytes 0..39
//       48   16 zero
//       64      record batches, those of one partition together
// What counts in it is what the index points to. Bytes are written and synced before the index
// learns of them and are never written over; what nothing points to is what a crash left behind.
// In positions a data segment's number has its highest bit set.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/base/error.h"
#include "protocol/base/strong.h"
#include "protocol/base/thread_annotations.h"
#include "protocol/base/uuid.h"
#include "storage/env/clock.h"
#include "storage/env/file_system.h"
#include "storage/segments/journal.h"
#include "storage/segments/position.h"

namespace runnel::storage {

/// "0000000012.log" for the number with or without its highest bit.
[[nodiscard]] std::string data_segment_file_name(std::uint32_t number);
/// The number in such a name, its highest bit set; nothing for any other name.
[[nodiscard]] std::optional<std::uint32_t> parse_data_segment_file_name(std::string_view name);

/// Checksum of the first 21 bytes of each batch: what the batches' own checksums leave out, and
/// those. `before` is what the batches before them gave. `batches` holds whole batches with right
/// lengths.
[[nodiscard]] std::uint64_t heads_checksum(Bytes batches, std::uint64_t before = 0) noexcept;

struct DataSegmentOptions {
  std::string directory;
  std::uint64_t segment_bytes = 0;  ///< a new segment begins where one would be larger
  Uuid store;
  FileSystem* file_system = nullptr;
  Clock* clock = nullptr;
};

/// Numbers in and out have their highest bit set. Looking is thread safe; write() and what follows
/// it belong to one thread.
class DataSegments {
 public:
  /// Lists what is there. Errors: kIo, kCorrupt for a segment of another store.
  [[nodiscard]] static Result<std::unique_ptr<DataSegments>> open(DataSegmentOptions options);

  /// kNotFound if it is not there. Holding it keeps it readable.
  [[nodiscard]] Result<std::shared_ptr<const File>> file(std::uint32_t number) const;
  [[nodiscard]] std::vector<SegmentInfo> segments() const;
  /// Those that hold something durable, with the bytes up to which all of it is.
  [[nodiscard]] std::vector<SegmentInfo> durable_segments() const;
  [[nodiscard]] std::uint64_t disk_bytes() const;
  [[nodiscard]] std::uint64_t written_bytes() const noexcept { return written_; }

  /// Numbers up to this one are not given out any more: the index has known them.
  void skip_to(std::uint32_t number);
  /// Writes `bytes` one behind the other into one segment, a new one where they do not fit; gives
  /// where they begin. Not durable before sync(). Errors: kIo, kLowSpace; what was written then is
  /// never pointed to.
  [[nodiscard]] Result<Position> write(std::span<const Bytes> parts);
  /// Makes what was written durable, the files' names included.
  [[nodiscard]] Status sync();
  /// True for the segment that write() goes on with.
  [[nodiscard]] bool is_current(std::uint32_t number) const noexcept {
    return current_ && number == current_number_;
  }
  /// write() begins a new segment next time.
  void leave_current() noexcept {
    current_.reset();
    dirty_ = false;  // or a sync for the next one would find none
  }
  /// Deletes it; who holds its file goes on reading it. Where that fails it stays known.
  [[nodiscard]] Status remove(std::uint32_t number);

 private:
  struct Segment {
    std::shared_ptr<File> file;
    std::uint64_t bytes = 0;
    std::uint64_t durable = 0;  ///< of `bytes`
  };

  explicit DataSegments(DataSegmentOptions options) : options_(std::move(options)) {}
  [[nodiscard]] Status load();
  [[nodiscard]] Status begin_segment();
  [[nodiscard]] std::string path(std::uint32_t number) const {
    return options_.directory + "/" + data_segment_file_name(number);
  }

  const DataSegmentOptions options_;
  std::atomic<std::uint64_t> written_{0};
  std::uint32_t last_number_ = kDataSegmentBit;  ///< given out
  std::shared_ptr<File> current_;                ///< none before the first write
  std::uint32_t current_number_ = 0;
  std::uint64_t end_ = 0;  ///< of what was written into it
  bool name_is_new_ = false;
  bool dirty_ = false;

  mutable Mutex mutex_;
  std::map<std::uint32_t, Segment> segments_ RUNNEL_GUARDED_BY(mutex_);
};

}  // namespace runnel::storage
