// The offline check: every frame, every batch, every record, every block of the index.
#include "protocol/record_batch/control_record.h"
#include "protocol/record_batch/record_batch.h"
#include "storage/commit/operations.h"
#include "storage/index/index.h"
#include "storage/log/batch_walker.h"
#include "storage/log/directory.h"
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
  } else {
    verified = fail(index.error());
  }
  if (!verified) report.damages.push_back({"index", 0, 0, verified.error().message()});
  return report;
}

}  // namespace runnel::storage
