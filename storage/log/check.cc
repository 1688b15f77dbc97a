// The offline check: every frame, every batch, every record, every block of the index; then what a
// start would do, in memory alone; then whether all that the index promises was found.
#include <limits>
#include <map>
#include <set>
#include <utility>

#include "protocol/record_batch/control_record.h"
#include "protocol/record_batch/record_batch.h"
#include "storage/check.h"
#include "storage/commit/operations.h"
#include "storage/commit/stager.h"
#include "storage/index/index.h"
#include "storage/index/manifest_tail.h"
#include "storage/log/check_held.h"
#include "storage/log/damaged_records.h"
#include "storage/log/directory.h"
#include "storage/log/entry_check.h"
#include "storage/log/quarantine.h"
#include "storage/log/recovery.h"
#include "storage/segments/anchor.h"
#include "storage/segments/data_segments.h"
#include "storage/segments/journal.h"
#include "storage/segments/one_segment.h"
#include "storage/segments/segment_files.h"
#include "storage/store.h"

namespace runnel::storage {
namespace {

class Check {
 public:
  Check(const DirectoryPaths& paths, FileSystem& fs, std::uint64_t frame_seed, CheckReport& report)
      : paths_(paths),
        fs_(fs),
        frame_seed_(frame_seed),
        report_(report),
        open_(fs, paths.segments) {}

  /// Errors: what cannot be read at all. What is damaged stands in the report.
  Status run(const std::function<void(std::uint64_t, std::uint64_t)>& progress);

 private:
  /// A partition's records in one segment.
  struct Found {
    Offset first;
    Offset last;
  };

  void damage(std::string file, std::uint64_t at, std::uint64_t length, std::string what) {
    report_.damages.push_back({std::move(file), at, length, std::move(what)});
  }
  void damage_in(std::uint32_t segment, std::uint64_t at, std::uint64_t length, std::string what) {
    damage(segment_name(segment), at, length, std::move(what));
  }
  void open_index();
  Status list_segments();
  /// Looks into one frame whose checksum holds: its batches must be whole as well.
  void look_into(const FrameView& frame);
  void note_records(const FrameView& frame);
  /// Does with a frame what a start would do with it.
  void replay(const FrameView& frame);
  /// The journal goes on to where somebody knew of synced bytes.
  Status check_end();
  Status check_spans();
  /// What lies in data segments is only known to the index.
  Status check_moved(const Partition& partition);
  [[nodiscard]] Status check_moved_entry(const Partition& partition, const IndexEntry& entry);
  Status check_span(const Partition& partition, const Span& span);
  /// Reads all that the partition has in the span's segment.
  Result<bool> all_sound(const Partition& partition, const Span& span);
  Result<std::shared_ptr<File>> open_segment(std::uint32_t number);
  /// What a repair put aside is no damage any more, as long as no record lies there.
  Status leave_out_quarantined();
  Result<bool> is_settled(const Damage& damage, const std::vector<Quarantined>& quarantined);

  const DirectoryPaths& paths_;
  FileSystem& fs_;
  const std::uint64_t frame_seed_;
  CheckReport& report_;
  std::set<std::uint32_t> segments_;
  std::map<std::pair<std::uint32_t, PartitionId>, Found> found_;
  OneSegment open_;
  std::map<std::uint32_t, std::size_t> missing_;  // segment -> its place in the report's damages

  bool has_index_ = false;
  std::unique_ptr<Index> index_;  // null: there is none that can be read
  Producers producers_{std::numeric_limits<std::size_t>::max()};
  std::optional<Recovery> recovery_;
  bool refused_ = false;  // a start would stop at a frame
  JournalPoint from_;     // where replay starts
  JournalPoint at_;       // behind the last frame that continues the chain from there
  Position witness_;      // durable, as frames say that do not continue it
};

void Check::open_index() {
  if (!fs_.exists(paths_.index + "/CURRENT")) {
    report_.notes.emplace_back("the index is not there yet; it is built at the next start");
    return;
  }
  has_index_ = true;
  if (has_torn_manifest_tail(fs_, paths_.index).value_or(false)) {
    report_.notes.emplace_back(
        "the index's last write was cut off by an unclean stop, which the next start mends; until "
        "then nobody can tell whether segments are missing");
    return;
  }
  IndexOptions options;
  options.directory = paths_.index;
  options.file_system = &fs_;
  options.read_only = true;
  const auto open = [&]() -> Status {
    RUNNEL_TRY_ASSIGN(index_, Index::open(std::move(options)));
    if (const Status whole = index_->verify(); !whole) {
      index_.reset();
      return whole;
    }
    recovery_.emplace(*index_, producers_);
    return recovery_->begin();
  };
  if (const Status opened = open(); !opened) {
    damage("index", 0, 0, opened.error().message());
    recovery_.reset();
  } else {
    from_ = recovery_->checkpoint();
  }
}

Status Check::list_segments() {
  if (!fs_.exists(paths_.segments)) {
    return fail(ErrorCode::kCorrupt, paths_.segments +
                                         " is missing, and all records with it; put " +
                                         "the directory back from a backup");
  }
  RUNNEL_TRY_ASSIGN(const auto entries, fs_.list(paths_.segments));
  for (const DirectoryEntry& entry : entries) {
    if (const auto number = parse_segment_file_name(entry.name)) segments_.insert(*number);
    const auto moved = parse_data_segment_file_name(entry.name);
    if (moved) segments_.insert(*moved);
  }
  return {};
}

void Check::look_into(const FrameView& frame) {
  ++report_.frames;
  report_.bytes += frame.header.total_bytes();
  std::uint64_t at = frame.header.payload_position().offset;
  const std::uint32_t segment = frame.header.position.segment;
  for (Bytes rest = frame.payload; !rest.empty();) {
    if (frame.is_damaged(at)) {  // said already
      const std::size_t size = protocol::BatchView(rest).total_bytes();
      rest = rest.subspan(size);
      at += size;
      continue;
    }
    const auto size = protocol::validate_batch(rest, protocol::Depth::kRecords);
    if (!size) return damage_in(segment, at, rest.size(), size.error().message());
    ++report_.batches;
    const protocol::BatchView batch(rest);
    if (!batch.is_control()) {
      report_.records += static_cast<std::uint64_t>(batch.record_count());
    } else if (const auto marker = protocol::read_end_txn_batch(rest.first(*size)); !marker) {
      damage_in(segment, at, *size, "a control batch: " + marker.error().message());
    }
    rest = rest.subspan(*size);
    at += *size;
  }
}

void Check::note_records(const FrameView& frame) {
  Bytes payload = frame.payload;
  for (ByteReader operations(frame.operations); operations.remaining() != 0;) {
    const auto operation = decode_operation(operations);
    if (!operation) {
      return damage_in(frame.header.position.segment, frame.header.position.offset,
                       frame.header.total_bytes(), operation.error().message());
    }
    const auto* append = std::get_if<AppendOperation>(&*operation);
    if (append == nullptr) continue;
    if (append->bytes > payload.size()) return;  // replay says it
    const auto key = std::pair(frame.header.position.segment, append->partition);
    for (Bytes rest = payload.first(append->bytes); !rest.empty();) {
      const auto size = protocol::validate_batch(rest, protocol::Depth::kHeader);
      if (!size) return;  // reported already
      const protocol::BatchView batch(rest);
      found_.try_emplace(key, Found{batch.base_offset(), {}}).first->second.last =
          batch.last_offset();
      rest = rest.subspan(*size);
    }
    payload = payload.subspan(append->bytes);
  }
}

void Check::replay(const FrameView& frame) {
  const FrameHeader& header = frame.header;
  if (header.position < from_.position) return;
  // A start would stop there; what is wrong was said already.
  refused_ = refused_ || !frame.damaged.empty();
  if (header.sequence != at_.sequence + 1 || header.previous_checksum != at_.checksum) {
    // No frame can know of durable bytes behind itself.
    if (header.durable <= header.position) witness_ = std::max(witness_, header.durable);
    return;
  }
  at_.position = header.position;
  at_.position.offset += static_cast<std::uint32_t>(header.total_bytes());
  at_.sequence = header.sequence;
  at_.checksum = header.checksum;
  if (!recovery_ || refused_) return;
  const Status applied = recovery_->apply(frame);
  if (applied) return;
  refused_ = true;
  damage_in(header.position.segment, header.position.offset, header.total_bytes(),
            "the store can't be started: " + applied.error().message());
}

Status Check::check_end() {
  if (has_index_ && !recovery_) return {};  // where the journal begins is not known
  RUNNEL_TRY_ASSIGN(const auto anchor, read_anchor(fs_, paths_.anchor));
  const Position known =
      std::max({witness_, from_.position, anchor ? anchor->durable : Position{}});
  Position end = at_.position;
  const bool went_on = at_.sequence != from_.sequence;
  if (!went_on && !segments_.contains(end.segment)) end.offset = 0;
  if (known <= end || !report_.damages.empty()) return {};
  std::uint32_t missing = end.segment;
  while (segments_.contains(missing)) ++missing;
  missing_.emplace(missing, report_.damages.size());
  damage_in(missing, 0, 0,
            "the file is missing: everything before " + known.to_string() +
                " was synced, but what is there ends at " + end.to_string());
  return {};
}

Status Check::check_span(const Partition& partition, const Span& span) {
  std::string records = partition.topic() + "[" + std::to_string(partition.index().value()) +
                        "] offsets " + std::to_string(span.first.value()) + " to " +
                        std::to_string(span.last.value());
  if (!segments_.contains(span.segment)) {
    const auto [it, is_new] = missing_.emplace(span.segment, report_.damages.size());
    if (is_new) {
      damage_in(span.segment, 0, 0,
                "the file is missing, but records that are not deleted lie in it");
    }
    report_.damages[it->second].records.push_back(std::move(records));
    return {};
  }
  if (is_data_segment(span.segment)) return {};  // check_moved() looks at what is in it
  const auto it = found_.find({span.segment, partition.id()});
  if (it != found_.end() && it->second.first <= span.first && it->second.last >= span.last)
    return {};
  // In frames that do not count, behind damage, batches may be sound all the same.
  RUNNEL_TRY_ASSIGN(const bool sound, all_sound(partition, span));
  if (sound) return {};
  damage_in(span.segment, 0, 0, "not all records that the index knows are there");
  report_.damages.back().records.push_back(std::move(records));
  return {};
}

Result<std::shared_ptr<File>> Check::open_segment(std::uint32_t number) {
  RUNNEL_TRY_ASSIGN(auto file, open_.open(number));
  if (file) return file;
  return fail(ErrorCode::kNotFound, "a segment of the directory has gone while it was checked");
}

Result<bool> Check::all_sound(const Partition& partition, const Span& span) {
  RUNNEL_TRY_ASSIGN(const auto file, open_segment(span.segment));
  Status status;
  RUNNEL_TRY(index_->scan(Family::kIndex, keys::index_entry(partition.id(), span.first),
                          keys::index_entry(partition.id(), span.last + 1),
                          [&](std::string_view key, std::string_view value) {
                            const auto entry = decode_index_entry(key, value);
                            if (!entry) status = fail(entry.error());
                            if (!entry) return false;
                            if (entry->bytes == 0 || entry->position.segment != span.segment)
                              return true;
                            const auto batches = read_entry(*entry, *file);
                            if (!batches) status = fail(batches.error());
                            return status.has_value();
                          }));
  return status.has_value();
}

Result<bool> Check::is_settled(const Damage& damage, const std::vector<Quarantined>& quarantined) {
  const auto segment = parse_segment_name(damage.file);
  if (!segment || !segments_.contains(*segment) || !recovery_ || refused_) return false;
  // Replay would need it.
  if (!is_data_segment(*segment) && *segment >= from_.position.segment) return false;
  const std::string file =
      "segments/" +
      (is_data_segment(*segment) ? data_segment_file_name(*segment) : segment_file_name(*segment));
  const bool known = std::any_of(quarantined.begin(), quarantined.end(), [&](const Quarantined& q) {
    return q.file == file && (q.length == 0 || damage.length == 0 ||
                              (q.position < damage.position + damage.length &&
                               damage.position < q.position + q.length));
  });
  if (!known) return false;
  RUNNEL_TRY_ASSIGN(const auto bytes, open_segment(*segment));
  Status status;
  RUNNEL_TRY(index_->scan_prefix(Family::kIndex, keys::kEntries,
                                 [&](std::string_view key, std::string_view value) {
                                   const auto entry = decode_index_entry(key, value);
                                   if (!entry) status = fail(entry.error());
                                   if (!entry) return false;
                                   if (entry->bytes == 0 || !touches(damage, *entry)) return true;
                                   const auto batches = read_entry(*entry, *bytes);
                                   if (!batches) status = fail(batches.error());
                                   return status.has_value();
                                 }));
  return status.has_value();
}

Status Check::leave_out_quarantined() {
  RUNNEL_TRY_ASSIGN(const auto quarantined,
                    read_quarantine(fs_, parent_directory(paths_.quarantine)));
  for (const Quarantined& q : quarantined) {
    std::string note = "quarantined: " + q.file;
    if (q.length != 0) {
      note += " at byte " + std::to_string(q.position) + ", " + std::to_string(q.length) + " bytes";
    }
    note += " (" + q.reason + ")";
    for (const LostRange& lost : q.lost) note += "; lost: " + lost.to_string();
    report_.notes.push_back(std::move(note));
  }
  if (quarantined.empty()) return {};
  std::vector<Damage> left;
  for (Damage& d : report_.damages) {
    RUNNEL_TRY_ASSIGN(const bool settled, is_settled(d, quarantined));
    if (!settled) left.push_back(std::move(d));
  }
  report_.damages = std::move(left);
  return {};
}

Status Check::check_moved_entry(const Partition& partition, const IndexEntry& entry) {
  const std::uint32_t number = entry.position.segment;
  if (!segments_.contains(number)) return {};  // said of its span already
  // That a file can't be opened says nothing about the records in it.
  RUNNEL_TRY_ASSIGN(const auto file, open_segment(number));
  const auto check = [&]() -> Status {
    RUNNEL_TRY_ASSIGN(const Buffer batches, read_entry(entry, *file));
    for (Bytes rest = batches.bytes(); !rest.empty();) {
      RUNNEL_TRY_ASSIGN(
          const std::size_t size,
          protocol::validate_batch(rest, protocol::Depth::kRecords, protocol::Gaps::kAllowed));
      const protocol::BatchView batch(rest);
      ++report_.batches;
      if (!batch.is_control()) {
        report_.records += static_cast<std::uint64_t>(batch.record_count());
      }
      rest = rest.subspan(size);
    }
    report_.bytes += entry.bytes;
    return {};
  };
  if (const Status sound = check(); !sound) {
    damage_in(number, entry.position.offset, entry.bytes,
              sound.error().within(partition.name()).message());
  }
  return {};
}

Status Check::check_moved(const Partition& partition) {
  Status status;
  const PartitionId id = partition.id();
  RUNNEL_TRY(index_->scan(
      Family::kIndex, keys::index_entry(id, Offset(0)), keys::index_entry(id + 1, Offset(0)),
      [&](std::string_view key, std::string_view value) {
        const auto entry = decode_index_entry(key, value);
        if (!entry) status = fail(entry.error());
        if (entry && entry->bytes != 0 && is_data_segment(entry->position.segment)) {
          status = check_moved_entry(partition, *entry);
        }
        return status.has_value();
      }));
  return status;
}

Status Check::check_spans() {
  if (!recovery_ || refused_) return {};
  Topics topics;
  SegmentLedger live;
  Stager stager(topics, *index_, live, producers_);
  std::vector<std::pair<PartitionRef, Span>> spans;
  const auto start = [&]() -> Status {
    RUNNEL_TRY(recovery_->finish());
    RUNNEL_TRY(recovery_->load(topics, live, stager));
    Status status;
    RUNNEL_TRY(index_->scan_prefix(
        Family::kIndex, keys::kSpans, [&](std::string_view key, std::string_view value) {
          const auto parsed = keys::parse_span(key);
          const PartitionRef partition = parsed ? topics.partition(parsed->partition) : nullptr;
          if (!partition) return true;
          const auto span = decode_span(parsed->segment, value);
          if (span) spans.emplace_back(partition, *span);
          if (!span) status = fail(span.error());
          return status.has_value();
        }));
    return status;
  };
  if (const Status started = start(); !started) {
    damage("index", 0, 0, "the store can't be started: " + started.error().message());
    return {};
  }
  for (const PartitionRef& partition : topics.all_partitions()) {
    const Span open = partition->view().open_span;
    if (open.segment != 0) spans.emplace_back(partition, open);
  }
  const auto look = [&]() -> Status {
    for (const auto& [partition, span] : spans) RUNNEL_TRY(check_span(*partition, span));
    for (const PartitionRef& partition : topics.all_partitions()) {
      RUNNEL_TRY(check_moved(*partition));
    }
    return {};
  };
  const Status looked = look();
  if (looked || looked.error().code() != ErrorCode::kCorrupt) return looked;
  damage("index", 0, 0, looked.error().message());
  return {};
}

Status Check::run(const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
  RUNNEL_TRY(list_segments());
  open_index();
  at_ = from_;
  if (at_.position == Position{}) {
    at_.position = {1, static_cast<std::uint32_t>(kSegmentHeaderBytes)};
  }
  RUNNEL_TRY_ASSIGN(const auto damages, scan_journal(
                                            fs_, paths_.segments, paths_.anchor, frame_seed_,
                                            [&](const FrameView& frame) -> Status {
                                              look_into(frame);
                                              note_records(frame);
                                              replay(frame);
                                              return {};
                                            },
                                            progress));
  for (const JournalDamage& d : damages) {
    damage_in(d.position.segment, d.position.offset, d.length, d.what);
  }
  RUNNEL_TRY(check_end());
  RUNNEL_TRY(check_spans());
  RUNNEL_TRY(leave_out_quarantined());
  if (index_ && !report_.damages.empty()) {
    if (const Status named = name_records(*index_, report_); !named) {
      damage("index", 0, 0, named.error().message());
    }
  }
  if (!fs_.exists(paths_.anchor)) {
    report_.notes.emplace_back(
        "there is no anchor, the second witness of what is durable: what was lost behind the last "
        "frame cannot be told");
  }
  return {};
}

/// Where nobody can write there is nothing to lock, and nothing to lock with.
Result<std::unique_ptr<FileLock>> lock_directory(FileSystem& fs, const DirectoryPaths& paths,
                                                 CheckReport& report) {
  auto lock = fs.lock(paths.lock);
  if (lock || lock.error().code() != ErrorCode::kIo) return lock;
  const auto space = fs.space(paths.segments);
  if (!space || !space->read_only) return lock;
  report.notes.emplace_back(
      "the directory is mounted read-only and was not locked; if a broker uses it by another way, "
      "what is said here may be wrong");
  return std::unique_ptr<FileLock>();
}

}  // namespace

Result<DirectoryFormat> read_format_of_data(FileSystem& fs, const std::string& directory) {
  auto format = read_format(fs, directory);
  if (format || format.error().code() != ErrorCode::kNotFound) return format;
  return fail(ErrorCode::kNotFound, directory + " holds no Runnel data (there is no FORMAT file)");
}

Result<CheckReport> check_held_directory(
    const std::string& directory, FileSystem& fs, const DirectoryFormat& format,
    const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
  CheckReport report;
  const DirectoryPaths paths(directory);
  RUNNEL_TRY(Check(paths, fs, format.frame_seed, report).run(progress));
  return report;
}

Result<CheckReport> check_directory(
    const std::string& directory, FileSystem& fs,
    const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
  RUNNEL_TRY_ASSIGN(const DirectoryFormat format, read_format_of_data(fs, directory));
  CheckReport locked;
  RUNNEL_TRY_ASSIGN(const auto lock, lock_directory(fs, DirectoryPaths(directory), locked));
  RUNNEL_TRY_ASSIGN(CheckReport report, check_held_directory(directory, fs, format, progress));
  report.notes.insert(report.notes.begin(), locked.notes.begin(), locked.notes.end());
  return report;
}

}  // namespace runnel::storage
