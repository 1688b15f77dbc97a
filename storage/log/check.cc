// The offline check: every frame, every batch, every record, every block of the index.
#include <limits>

#include "protocol/record_batch/control_record.h"
#include "protocol/record_batch/record_batch.h"
#include "storage/commit/operations.h"
#include "storage/index/index.h"
#include "storage/log/batch_walker.h"
#include "storage/log/directory.h"
#include "storage/log/records.h"
#include "storage/segments/journal.h"
#include "storage/store.h"

namespace runnel::storage {
namespace {

/// Looks into one frame whose checksum holds: its batches must be whole as well.
void check_frame(const FrameView& frame, CheckReport& report) {
  ++report.frames;
  report.bytes += frame.header.total_bytes();
  std::uint64_t at = frame.header.payload_position().offset;
  for (Bytes rest = frame.payload; !rest.empty();) {
    const auto size = protocol::validate_batch(rest, protocol::Depth::kRecords);
    if (!size) {
      report.damages.push_back({"segment " + std::to_string(frame.header.position.segment), at,
                                rest.size(), size.error().message()});
      return;
    }
    ++report.batches;
    const protocol::BatchView batch(rest);
    if (!batch.is_control()) {
      report.records += static_cast<std::uint64_t>(batch.record_count());
    } else if (const auto marker = protocol::read_end_txn_batch(rest.first(*size)); !marker) {
      report.damages.push_back({"segment " + std::to_string(frame.header.position.segment), at,
                                *size, "a control batch: " + marker.error().message()});
    }
    rest = rest.subspan(*size);
    at += *size;
  }
}

/// Whether the damage and the entry have bytes in common.
bool touches(const Damage& damage, const IndexEntry& entry) {
  return damage.file == "segment " + std::to_string(entry.position.segment) &&
         entry.position.offset < damage.position + damage.length &&
         damage.position < std::uint64_t{entry.position.offset} + entry.bytes;
}

Status name_records_of(const Index& index, const std::string& partition, PartitionId id,
                       CheckReport& report) {
  Status status;
  RUNNEL_TRY(index.scan(Family::kIndex, keys::index_entry(id, Offset(0)),
                        keys::index_entry(id, Offset(std::numeric_limits<std::int64_t>::max())),
                        [&](std::string_view key, std::string_view value) {
                          const auto entry = decode_index_entry(key, value);
                          if (!entry) status = fail(entry.error());
                          if (!entry) return false;
                          for (Damage& damage : report.damages) {
                            if (!touches(damage, *entry)) continue;
                            damage.records.push_back(partition + " offsets " +
                                                     std::to_string(entry->base.value()) + " to " +
                                                     std::to_string(entry->last.value()));
                          }
                          return true;
                        }));
  return status;
}

/// Says of each damage which records the index has there.
Status name_records(const Index& index, CheckReport& report) {
  Status status;
  RUNNEL_TRY(index.scan_prefix(
      Family::kMeta, keys::kTopics, [&](std::string_view key, std::string_view value) {
        const auto topic = decode_topic(value);
        if (!topic) status = fail(topic.error());
        if (!topic) return false;
        const std::string name(key.substr(keys::kTopics.size()));
        for (std::size_t i = 0; i < topic->partitions.size() && status; ++i) {
          status = name_records_of(index, name + "[" + std::to_string(i) + "]",
                                   topic->partitions[i], report);
        }
        return status.has_value();
      }));
  return status;
}

}  // namespace

Result<CheckReport> check_directory(
    const std::string& directory, FileSystem& fs,
    const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
  const DirectoryPaths paths(directory);
  const auto format = read_format(fs, directory);
  if (!format && format.error().code() == ErrorCode::kNotFound) {
    return fail(ErrorCode::kNotFound,
                directory + " holds no Runnel data (there is no FORMAT file)");
  }
  if (!format) return fail(format.error());
  RUNNEL_TRY_ASSIGN(const auto lock, fs.lock(paths.lock));

  if (!fs.exists(paths.segments)) {
    return fail(ErrorCode::kCorrupt, paths.segments + " is missing, and all records with it; put " +
                                         "the directory back from a backup");
  }
  CheckReport report;
  RUNNEL_TRY_ASSIGN(const auto damages, scan_journal(
                                            fs, paths.segments, paths.anchor, format->frame_seed,
                                            [&](const FrameView& frame) -> Status {
                                              check_frame(frame, report);
                                              return {};
                                            },
                                            progress));
  for (const JournalDamage& d : damages) {
    report.damages.push_back(
        {"segment " + std::to_string(d.position.segment), d.position.offset, d.length, d.what});
  }
  if (!fs.exists(paths.anchor)) {
    report.notes.emplace_back(
        "there is no anchor, the second witness of what is durable: what was lost behind the last "
        "frame cannot be told");
  }
  if (!fs.exists(paths.index + "/CURRENT")) {
    report.notes.emplace_back("the index is not there yet; it is built at the next start");
    return report;
  }
  IndexOptions options;
  options.directory = paths.index;
  options.file_system = &fs;
  options.read_only = true;
  auto index = Index::open(std::move(options));
  Status verified;
  if (index) {
    verified = (*index)->verify();
    if (verified && !report.damages.empty()) verified = name_records(**index, report);
  } else {
    verified = fail(index.error());
  }
  if (!verified) report.damages.push_back({"index", 0, 0, verified.error().message()});
  return report;
}

}  // namespace runnel::storage
