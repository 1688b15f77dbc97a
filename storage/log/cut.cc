#include "storage/log/cut.h"

#include <algorithm>

#include "protocol/record_batch/record_batch.h"
#include "storage/commit/operations.h"
#include "storage/log/records.h"
#include "storage/segments/frame_reader.h"
#include "storage/segments/segment_files.h"

namespace runnel::storage {
namespace {

/// Makes the file zeros from `offset` on.
Status blank_from(FileSystem& fs, const std::string& path, std::uint64_t offset) {
  RUNNEL_TRY_ASSIGN(const auto file, fs.open(path, {.write = true}));
  RUNNEL_TRY_ASSIGN(const std::uint64_t size, file->size());
  RUNNEL_TRY(file->truncate(offset));
  RUNNEL_TRY(file->allocate(size));
  return file->sync();
}

class Cut {
 public:
  Cut(FileSystem& fs, const CutOptions& options) : fs_(fs), options_(options) {
    for (const OffsetLimit& limit : options.limits) {
      Watched watched{limit, {}, {}};
      for (const SnapshotPartition& p : options.partitions) {
        if (p.topic != limit.topic || p.index != limit.partition) continue;
        watched.id = p.id;
        watched.end = p.end;
      }
      watched_.push_back(watched);
    }
  }

  Result<CutReport> run();

 private:
  struct Watched {
    OffsetLimit limit;
    std::optional<PartitionId> id;
    std::optional<Offset> end;
  };

  /// Goes through the segment's frames, as far as each continues the one before.
  Status read(std::uint32_t segment);
  Status begin(std::uint32_t segment, FrameReader& reader);
  Status take(const FrameView& frame);
  /// Nothing behind the cut counts any more.
  [[nodiscard]] bool is_done() const { return cut_ && !options_.time; }
  Result<bool> passes(const FrameView& frame);
  void note_topic(const Mutations::Change& change);
  /// True if the batches reach a limit.
  Result<bool> note_append(PartitionId partition, Bytes batches);
  [[nodiscard]] std::string path(std::uint32_t segment) const {
    return options_.segments + "/" + segment_file_name(segment);
  }

  Status cut_off(Position cut);

  FileSystem& fs_;
  const CutOptions& options_;
  const Position from_ = std::max(options_.from, Position{1, std::uint32_t{kSegmentHeaderBytes}});
  std::vector<Watched> watched_;
  std::optional<std::uint64_t> previous_;  ///< checksum of the frame that was read last
  std::optional<Position> cut_;
  CutReport report_;
};

void Cut::note_topic(const Mutations::Change& change) {
  if (change.kind != Mutations::Kind::kPut || change.family != Family::kMeta) return;
  if (!change.key.starts_with(keys::kTopics)) return;
  const auto topic = decode_topic(change.value);
  if (!topic) return;
  for (Watched& w : watched_) {
    if (change.key != keys::topic(w.limit.topic)) continue;
    const auto index = static_cast<std::size_t>(w.limit.partition.value());
    if (index >= topic->partitions.size() || w.id == topic->partitions[index]) continue;
    w.id = topic->partitions[index];
    w.end = Offset(0);
  }
}

Result<bool> Cut::note_append(PartitionId partition, Bytes batches) {
  for (Watched& w : watched_) {
    if (w.id != partition) continue;
    for (Bytes rest = batches; !rest.empty();) {
      RUNNEL_TRY_ASSIGN(const std::size_t bytes,
                        protocol::validate_batch(rest, protocol::Depth::kHeader));
      const Offset last = protocol::BatchView(rest).last_offset();
      if (last >= w.limit.offset) return true;
      w.end = last + 1;
      rest = rest.subspan(bytes);
    }
  }
  return false;
}

Result<bool> Cut::passes(const FrameView& frame) {
  if (options_.time && frame.header.time > *options_.time) return true;
  if (watched_.empty()) return false;
  ByteReader operations(frame.operations);
  Bytes payload = frame.payload;
  while (operations.remaining() != 0) {
    RUNNEL_TRY_ASSIGN(const Operation operation, decode_operation(operations));
    if (const auto* change = std::get_if<Mutations::Change>(&operation)) {
      note_topic(*change);
      continue;
    }
    const auto& append = std::get<AppendOperation>(operation);
    if (append.bytes > payload.size()) {
      return fail(ErrorCode::kMalformed, "it announces more record bytes than it holds");
    }
    RUNNEL_TRY_ASSIGN(const bool reached,
                      note_append(append.partition, payload.first(append.bytes)));
    if (reached) return true;
    payload = payload.subspan(append.bytes);
  }
  return false;
}

Status Cut::take(const FrameView& frame) {
  const FrameHeader& header = frame.header;
  if (cut_) {
    if (options_.time && header.time <= *options_.time) ++report_.set_back;
    return {};
  }
  const auto passed = passes(frame);
  if (!passed) {
    return fail(passed.error().within("the commit at " + header.position.to_string()));
  }
  if (*passed) {
    cut_ = header.position;
    return {};
  }
  report_.last = header.time;
  ++report_.commits;
  report_.end = header.position;
  report_.end.offset += static_cast<std::uint32_t>(header.total_bytes());
  return {};
}

Status Cut::begin(std::uint32_t segment, FrameReader& reader) {
  RUNNEL_TRY_ASSIGN(const auto header, reader.header());
  if (!header || cut_) return {};
  if (previous_ && header->previous_checksum != *previous_) {
    return fail(ErrorCode::kCorrupt, "commits behind " + report_.end.to_string() + " and before " +
                                         segment_name(segment) + " can't be read");
  }
  previous_ = header->previous_checksum;
  return {};
}

Status Cut::read(std::uint32_t segment) {
  RUNNEL_TRY_ASSIGN(const auto file, fs_.open(path(segment), {}));
  RUNNEL_TRY_ASSIGN(const std::uint64_t size, file->size());
  FrameReader reader(file, segment, size, options_.frame_seed);
  RUNNEL_TRY(begin(segment, reader));
  for (std::uint64_t offset = kSegmentHeaderBytes; offset < size && !is_done();) {
    const bool before = segment == from_.segment && offset < from_.offset;
    RUNNEL_TRY_ASSIGN(const auto frame, reader.frame(offset));
    if (!frame || (previous_ && frame->header.previous_checksum != *previous_)) {
      if (!before) break;
      // A repair left a place like that: nobody needs what lies there.
      previous_.reset();
      offset = from_.offset;
      continue;
    }
    if (!before) RUNNEL_TRY(take(*frame));
    previous_ = frame->header.checksum;
    offset += frame->header.total_bytes();
  }
  return {};
}

Status Cut::cut_off(Position cut) {
  report_.reached = true;
  RUNNEL_TRY(blank_from(fs_, path(cut.segment), cut.offset));
  for (std::uint32_t segment = cut.segment + 1; fs_.exists(path(segment)); ++segment) {
    RUNNEL_TRY(fs_.remove(path(segment)));
  }
  return fs_.sync_directory(options_.segments);
}

Result<CutReport> Cut::run() {
  report_.end = from_;
  for (std::uint32_t segment = from_.segment; fs_.exists(path(segment)) && !is_done(); ++segment) {
    RUNNEL_TRY(read(segment));
  }
  if (cut_) RUNNEL_TRY(cut_off(*cut_));
  for (const Watched& w : watched_) report_.ends.push_back(w.end);
  return report_;
}

}  // namespace

Result<CutReport> cut_journal(FileSystem& fs, const CutOptions& options) {
  return Cut(fs, options).run();
}

}  // namespace runnel::storage
