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

  /// Reads the segment's frames from `offset` on; where the cut is, or nothing.
  Result<std::optional<std::uint64_t>> look_into(std::uint32_t segment, std::uint64_t offset);
  Result<bool> passes(const FrameView& frame);
  void note_topic(const Mutations::Change& change);
  /// True if the batches reach a limit.
  Result<bool> note_append(PartitionId partition, Bytes batches);
  [[nodiscard]] std::string path(std::uint32_t segment) const {
    return options_.segments + "/" + segment_file_name(segment);
  }

  FileSystem& fs_;
  const CutOptions& options_;
  std::vector<Watched> watched_;
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

Result<std::optional<std::uint64_t>> Cut::look_into(std::uint32_t segment, std::uint64_t offset) {
  RUNNEL_TRY_ASSIGN(const auto file, fs_.open(path(segment), {}));
  RUNNEL_TRY_ASSIGN(const std::uint64_t size, file->size());
  FrameReader reader(file, segment, size, options_.frame_seed);
  while (offset < size) {
    RUNNEL_TRY_ASSIGN(const auto frame, reader.frame(offset));
    if (!frame) break;
    auto cut = passes(*frame);
    if (!cut) {
      return fail(cut.error().within("the commit at " + frame->header.position.to_string()));
    }
    if (*cut) return std::optional(offset);
    report_.last = frame->header.time;
    ++report_.commits;
    offset += frame->header.total_bytes();
  }
  return std::optional<std::uint64_t>();
}

Result<CutReport> Cut::run() {
  const auto from = std::max(options_.from, Position{1, std::uint32_t{kSegmentHeaderBytes}});
  std::uint64_t offset = from.offset;
  for (std::uint32_t segment = from.segment; fs_.exists(path(segment)); ++segment) {
    if (report_.reached) {
      RUNNEL_TRY(fs_.remove(path(segment)));
    } else {
      RUNNEL_TRY_ASSIGN(const auto cut, look_into(segment, offset));
      if (cut) RUNNEL_TRY(blank_from(fs_, path(segment), *cut));
      report_.reached = cut.has_value();
    }
    offset = kSegmentHeaderBytes;
  }
  if (report_.reached) RUNNEL_TRY(fs_.sync_directory(options_.segments));
  for (const Watched& w : watched_) report_.ends.push_back(w.end);
  return report_;
}

}  // namespace

Result<CutReport> cut_journal(FileSystem& fs, const CutOptions& options) {
  return Cut(fs, options).run();
}

}  // namespace runnel::storage
