// Repair: the check says what is damaged; replay goes over it as far as it can be read; what the
// index then points to and can't be read becomes lost ranges; and the journal goes on in a segment
// of its own, so that no start has to read what is damaged.
#include <algorithm>
#include <set>
#include <utility>

#include "storage/commit/stager.h"
#include "storage/index/index.h"
#include "storage/index/manifest_tail.h"
#include "storage/log/check_held.h"
#include "storage/log/directory.h"
#include "storage/log/mending.h"
#include "storage/log/quarantine.h"
#include "storage/log/recovery.h"
#include "storage/repair.h"
#include "storage/segments/anchor.h"
#include "storage/segments/data_segments.h"
#include "storage/segments/journal.h"
#include "storage/segments/segment_files.h"

namespace runnel::storage {
namespace {

constexpr std::string_view kIndexName = "index";
/// More producer ids than commits that can't be read can have given out.
constexpr std::uint64_t kProducerIdsLost = 1ULL << 32;

class Repair {
 public:
  Repair(const std::string& directory, FileSystem& fs, const DirectoryFormat& format,
         const RepairOptions& options, RepairReport& report)
      : directory_(directory),
        paths_(directory),
        fs_(fs),
        format_(format),
        options_(options),
        report_(report),
        files_(fs, paths_.segments, kMinSegmentBytes) {}

  Status run();

 private:
  Status list();
  /// What the check found, as what goes into quarantine.
  void take_damages();
  [[nodiscard]] bool index_is_damaged() const;
  [[nodiscard]] Error no_index() const;
  /// Makes room for a new one, built from the segments.
  Status give_up_index();
  Status open_index();
  Status replay(Recovery& recovery);
  Status mend(const Recovery& recovery);
  /// The quarantined ranges that a lost range belongs to.
  void attribute(const Mending::Loss& loss, const Recovery& recovery);
  Status forget_dedup_keys(Mutations& to) const;
  /// Where a commit that made a topic can't be read, records and producers of partitions that no
  /// topic has are left: they go, and no number of theirs is given out again.
  Status forget_unknown(const Recovery& recovery, Mutations& to);
  Status save(Mutations mutations);
  /// A segment that was cut short gets its length back, without which no start reads on.
  Status restore_lengths();
  Result<JournalPoint> begin_segment();

  const std::string directory_;
  const DirectoryPaths paths_;
  FileSystem& fs_;
  const DirectoryFormat& format_;
  const RepairOptions& options_;
  RepairReport& report_;
  const SegmentFiles files_;
  std::uint32_t last_segment_ = 0;  // any that somebody knows of
  std::uint32_t first_segment_ = 0;
  std::uint32_t segment_count_ = 0;
  std::unique_ptr<Index> index_;
  Producers producers_{std::numeric_limits<std::size_t>::max()};
  Topics topics_;
  SegmentLedger live_;
  JournalPoint end_;                   // of what could be read
  bool commits_are_missing_ = false;   // between those that could
  std::vector<PartitionRef> changed_;  // their states are saved
};

Status Repair::list() {
  RUNNEL_TRY_ASSIGN(const auto entries, fs_.list(paths_.segments));
  for (const DirectoryEntry& entry : entries) {
    const auto number = parse_segment_file_name(entry.name);
    if (!number) continue;
    ++segment_count_;
    last_segment_ = std::max(last_segment_, *number);
    first_segment_ = first_segment_ == 0 ? *number : std::min(first_segment_, *number);
  }
  RUNNEL_TRY_ASSIGN(const auto anchor, read_anchor(fs_, paths_.anchor));
  if (anchor) last_segment_ = std::max(last_segment_, anchor->durable.segment);
  return {};
}

void Repair::take_damages() {
  for (const Damage& d : report_.found.damages) {
    Quarantined q{d.file, d.position, d.length, d.what, options_.clock->now(), {}};
    if (const auto segment = parse_segment_name(d.file)) {
      q.file = "segments/" + (is_data_segment(*segment) ? data_segment_file_name(*segment)
                                                        : segment_file_name(*segment));
    }
    report_.quarantined.push_back(std::move(q));
  }
}

bool Repair::index_is_damaged() const {
  return std::any_of(report_.found.damages.begin(), report_.found.damages.end(),
                     [](const Damage& d) { return d.file == kIndexName; });
}

Error Repair::no_index() const {
  return Error(ErrorCode::kCorrupt,
               "the index is damaged or missing, and only it knows what is older than segment " +
                   std::to_string(first_segment_) +
                   " or lies in a segment that is missing: it can't be built anew. Put the "
                   "directory back from a backup");
}

Status Repair::give_up_index() {
  const bool all_there = first_segment_ == 1 && segment_count_ == last_segment_;
  if (!all_there) return fail(no_index());
  report_.index_rebuilt = true;
  if (options_.dry_run) return {};
  for (Quarantined& q : report_.quarantined) {
    if (q.file != kIndexName) continue;
    RUNNEL_TRY(quarantine_index(fs_, directory_, q.found, q));
    break;
  }
  return {};
}

Status Repair::open_index() {
  IndexOptions options;
  options.directory = paths_.index;
  options.file_system = &fs_;
  options.read_only = options_.dry_run;
  options.dedup_alive = [](std::string_view) { return true; };
  RUNNEL_TRY_ASSIGN(index_, Index::open(std::move(options)));
  return {};
}

Status Repair::replay(Recovery& recovery) {
  RUNNEL_TRY(recovery.begin());
  const JournalPoint from = recovery.checkpoint();
  if (from.position == Position{} && first_segment_ != 1) return fail(no_index());
  end_ = from;
  last_segment_ = std::max(last_segment_, from.position.segment);
  std::uint64_t missing = 0;
  RUNNEL_TRY_ASSIGN(
      const auto ignored,
      scan_journal(fs_, paths_.segments, paths_.anchor, format_.frame_seed,
                   [&](const FrameView& frame) -> Status {
                     const FrameHeader& header = frame.header;
                     if (header.position < from.position || header.sequence <= end_.sequence)
                       return {};
                     missing += header.sequence - end_.sequence - 1;
                     RUNNEL_TRY(recovery.apply(frame));
                     end_.sequence = header.sequence;
                     end_.checksum = header.checksum;
                     end_.position = header.position;
                     end_.position.offset += static_cast<std::uint32_t>(header.total_bytes());
                     return {};
                   },
                   {}));
  static_cast<void>(ignored);  // the check said it
  commits_are_missing_ = missing != 0;
  if (missing != 0) {
    report_.notes.push_back(
        std::to_string(missing) +
        " commits can't be read. Records of theirs show as lost where later ones of the same "
        "partition follow; where none do, their offsets are given out again. Topics, configs, "
        "consumer offsets and trims that they changed are as they were before");
  }
  RUNNEL_TRY_ASSIGN(const auto anchor, read_anchor(fs_, paths_.anchor));
  if (anchor && anchor->durable > end_.position) {
    report_.notes.push_back("what was committed between " + end_.position.to_string() + " and " +
                            anchor->durable.to_string() + " can't be read and is not known");
  }
  return recovery.finish();
}

void Repair::attribute(const Mending::Loss& loss, const Recovery& recovery) {
  const LostRange& lost = loss.range;
  Quarantined* last = nullptr;
  Position last_at;
  bool placed = false;
  for (std::size_t i = 0; i < report_.found.damages.size(); ++i) {
    const Damage& damage = report_.found.damages[i];
    const auto segment = parse_segment_name(damage.file);
    if (!segment) continue;
    const bool here = std::any_of(loss.from.begin(), loss.from.end(),
                                  [&](const IndexEntry& e) { return touches(damage, e); });
    if (here) report_.quarantined[i].lost.push_back(lost);
    placed = placed || here;
    // Or in the damage that lies last before the frame that showed the gap.
    const Position at{*segment, static_cast<std::uint32_t>(damage.position)};
    for (const Recovery::Gap& gap : recovery.gaps()) {
      const bool same = gap.partition == loss.partition && gap.first <= lost.last &&
                        gap.last >= lost.first && !is_data_segment(*segment);
      if (!same || at > gap.before || (last != nullptr && at < last_at)) continue;
      last = &report_.quarantined[i];
      last_at = at;
    }
  }
  if (!placed && last != nullptr) last->lost.push_back(lost);
  report_.lost.push_back(lost);
}

Status Repair::forget_dedup_keys(Mutations& to) const {
  // Who sends such a record again is to be heard.
  Status status;
  RUNNEL_TRY(
      index_->scan(Family::kDedup, {}, {}, [&](std::string_view key, std::string_view value) {
        const auto record = decode_dedup(value);
        if (!record) status = fail(record.error());
        if (!record) return false;
        const PartitionRef partition = topics_.partition(record->partition);
        const bool lost =
            partition &&
            std::any_of(report_.lost.begin(), report_.lost.end(), [&](const LostRange& l) {
              return l.topic == partition->topic() && l.partition == partition->index() &&
                     l.first <= record->offset && record->offset <= l.last;
            });
        if (lost) to.erase(Family::kDedup, std::string(key));
        return true;
      }));
  return status;
}

Status Repair::forget_unknown(const Recovery& recovery, Mutations& to) {
  std::uint64_t greatest = recovery.greatest_partition().value();
  std::set<PartitionId> unknown;
  const auto look = [&](Family family, std::string_view prefix) {
    return index_->scan_prefix(family, prefix, [&](std::string_view key, std::string_view) {
      const auto partition = keys::partition_of(key);
      if (!partition) return true;
      greatest = std::max<std::uint64_t>(greatest, partition->value());
      if (topics_.partition(*partition)) return true;
      unknown.insert(*partition);
      to.erase(family, std::string(key));
      return true;
    });
  };
  for (const std::string_view prefix :
       {keys::kEntries, keys::kSpans, keys::kAborted, keys::kLost}) {
    RUNNEL_TRY(look(Family::kIndex, prefix));
  }
  for (const std::string_view prefix :
       {keys::kPartitionStates, keys::kLogStarts, keys::kCleanPoints, keys::kProducers}) {
    RUNNEL_TRY(look(Family::kMeta, prefix));
  }
  if (commits_are_missing_ && !unknown.empty()) {
    report_.notes.push_back("records of " + std::to_string(unknown.size()) +
                            " partitions are left out, for the commit that made their topic can't "
                            "be read, or they were deleted");
  }
  const auto raise = [&](std::string key, std::uint64_t least) -> Status {
    RUNNEL_TRY_ASSIGN(const auto value, index_->get(Family::kMeta, key));
    std::uint64_t next = 0;
    if (value) {
      RUNNEL_TRY_ASSIGN(next, decode_number(*value));
    }
    if (next < least) to.put(Family::kMeta, std::move(key), encode_number(least));
    return {};
  };
  RUNNEL_TRY(raise(keys::next_partition(), greatest + 1));
  // Which ids were given out in commits that can't be read, nobody knows.
  RUNNEL_TRY_ASSIGN(const auto next, index_->get(Family::kMeta, keys::next_producer()));
  std::uint64_t producers = static_cast<std::uint64_t>(producers_.greatest().value() + 1);
  if (next) {
    RUNNEL_TRY_ASSIGN(const std::uint64_t known, decode_number(*next));
    producers = std::max(producers, known);
  }
  return raise(keys::next_producer(), producers + kProducerIdsLost);
}

Status Repair::mend(const Recovery& recovery) {
  Mutations mutations;
  Mending mending(*index_, fs_, paths_.segments, report_.found.damages, options_.clock->now());
  for (const PartitionRef& partition : topics_.all_partitions()) {
    RUNNEL_TRY_ASSIGN(const auto losses, mending.mend(*partition, mutations));
    for (const Mending::Loss& loss : losses) attribute(loss, recovery);
    if (partition->writer().dirty) changed_.push_back(partition);
  }
  if (!report_.lost.empty()) RUNNEL_TRY(forget_dedup_keys(mutations));
  RUNNEL_TRY(forget_unknown(recovery, mutations));
  if (options_.dry_run) return {};
  for (Quarantined& q : report_.quarantined) {
    if (q.file != kIndexName) RUNNEL_TRY(put_into_quarantine(fs_, directory_, q));
  }
  RUNNEL_TRY(restore_lengths());
  return save(std::move(mutations));
}

Status Repair::restore_lengths() {
  RUNNEL_TRY_ASSIGN(const auto entries, fs_.list(paths_.segments));
  for (const DirectoryEntry& entry : entries) {
    const auto number = parse_segment_file_name(entry.name);
    if (!number) continue;
    RUNNEL_TRY_ASSIGN(const auto file,
                      fs_.open(paths_.segments + "/" + entry.name, {.write = true}));
    std::array<std::byte, kSegmentHeaderBytes> bytes{};
    RUNNEL_TRY_ASSIGN(const std::size_t got, file->read(0, bytes));
    const auto header = read_segment_header(Bytes(bytes).first(got));
    RUNNEL_TRY_ASSIGN(const std::uint64_t size, file->size());
    if (!header || header->number != *number || size >= header->size) continue;
    RUNNEL_TRY(file->allocate(header->size));
    RUNNEL_TRY(file->sync());
  }
  return {};
}

Result<JournalPoint> Repair::begin_segment() {
  const std::uint32_t number = last_segment_ + 1;
  RUNNEL_TRY_ASSIGN(const auto file, files_.make(number, kMinSegmentBytes));
  RUNNEL_TRY_ASSIGN(const std::uint64_t bytes, file->size());
  SegmentHeader header;
  header.number = number;
  header.size = static_cast<std::uint32_t>(bytes);
  header.store = format_.id;
  header.created = options_.clock->now();
  header.previous_checksum = end_.checksum;
  const auto encoded = encode_segment_header(header);
  RUNNEL_TRY(file->write(0, Bytes(encoded)));
  RUNNEL_TRY(file->sync());
  return JournalPoint{
      {number, static_cast<std::uint32_t>(kSegmentHeaderBytes)}, end_.sequence, end_.checksum};
}

Status Repair::save(Mutations mutations) {
  for (const PartitionRef& partition : changed_) {
    mutations.put(Family::kMeta, keys::partition_state(partition->id()),
                  encode(partition->writer().state));
  }
  for (const Producers::Change& c : producers_.unsaved(producers_.unsaved_count())) {
    std::string key = keys::producer(c.partition, c.producer);
    if (c.state == nullptr) {
      mutations.erase(Family::kMeta, std::move(key));
    } else {
      mutations.put(Family::kMeta, std::move(key), encode(*c.state));
    }
  }
  RUNNEL_TRY_ASSIGN(const JournalPoint begin, begin_segment());
  mutations.put(Family::kMeta, keys::checkpoint(), encode(begin));
  RUNNEL_TRY(index_->apply(mutations));
  return index_->flush();
}

Status Repair::run() {
  // As a start does it: what is behind such an end nobody can read.
  if (!options_.dry_run && fs_.exists(paths_.index + "/CURRENT")) {
    RUNNEL_TRY(cut_torn_manifest_tail(fs_, paths_.index));
  }
  RUNNEL_TRY_ASSIGN(report_.found,
                    check_held_directory(directory_, fs_, format_, options_.progress));
  if (report_.found.damages.empty()) return {};
  RUNNEL_TRY(list());
  take_damages();
  const bool has_index = fs_.exists(paths_.index + "/CURRENT");
  if (index_is_damaged() || !has_index) {
    RUNNEL_TRY(give_up_index());
    if (options_.dry_run) return {};  // what a new one would say is not known yet
  }
  RUNNEL_TRY(open_index());
  Recovery recovery(*index_, producers_, Replay::kOverGaps);
  RUNNEL_TRY(replay(recovery));
  Stager stager(topics_, *index_, live_, producers_);
  RUNNEL_TRY(recovery.load(topics_, live_, stager));
  return mend(recovery);
}

}  // namespace

Result<RepairReport> repair_directory(const std::string& directory, FileSystem& fs,
                                      const RepairOptions& options) {
  RUNNEL_TRY_ASSIGN(const DirectoryFormat format, read_format_of_data(fs, directory));
  RUNNEL_TRY_ASSIGN(const auto lock, fs.lock(DirectoryPaths(directory).lock));
  RepairReport report;
  RUNNEL_TRY(Repair(directory, fs, format, options, report).run());
  return report;
}

}  // namespace runnel::storage
