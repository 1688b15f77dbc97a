// Snapshots: see storage/snapshot.h.
#include "storage/snapshot.h"

#include <algorithm>

#include "storage/log/log_store.h"
#include "storage/segments/segment_files.h"

namespace runnel::storage {
namespace {

/// Whoever asked for it has that long to lock it.
constexpr std::chrono::seconds kSnapshotPatience{60};
/// Each keeps the space of what is deleted meanwhile.
constexpr std::size_t kMostSnapshots = 4;

/// What is gone already was removed by whoever copied it.
Status unless_gone(Status removed) {
  if (!removed && removed.error().code() == ErrorCode::kNotFound) return {};
  return removed;
}

/// Perhaps the last name of a segment that is gone from the store.
Status remove_file(FileSystem& fs, const std::string& path) {
  const auto file = fs.open(path, {.write = true});
  RUNNEL_TRY(fs.remove(path));
  if (file) (*file)->free_slowly();  // else its space comes back at once
  return {};
}

/// The directory and what is in it, to any depth.
Status remove_tree(FileSystem& fs, const std::string& directory) {
  const auto entries = fs.list(directory);
  if (!entries) return unless_gone(fail(entries.error()));
  for (const DirectoryEntry& entry : *entries) {
    const std::string path = directory + "/" + entry.name;
    RUNNEL_TRY(unless_gone(entry.is_directory ? remove_tree(fs, path) : remove_file(fs, path)));
  }
  return unless_gone(fs.remove_directory(directory));
}

Result<std::uint64_t> size_of(FileSystem& fs, const std::string& path) {
  RUNNEL_TRY_ASSIGN(const auto file, fs.open(path, {}));
  return file->size();
}

}  // namespace

Result<Snapshot> LogStore::take_snapshot() {
  FileSystem& fs = *options_.file_system;
  if (low_space_) return fail(out_of_space());
  MutexLock lock(maintenance_mutex_);
  if (is_closed()) return fail(ErrorCode::kShuttingDown, "the store is being closed");
  RUNNEL_TRY(make_room_for_snapshot());
  RUNNEL_TRY(fs.create_directory(paths_.snapshots));
  // Never a name of an earlier run: somebody may still believe to read that one.
  const std::string name = std::to_string(options_.random->next());
  Snapshot snapshot;
  snapshot.directory = paths_.snapshots + "/" + name;
  const Status status = fill_snapshot(snapshot);
  if (!status) {
    if (const Status s = remove_tree(fs, snapshot.directory); !s) {
      log(LogLevel::kError, "what is left of a snapshot can't be removed: " + s.error().message());
    }
    return fail(status.error());
  }
  snapshots_[name] = options_.clock->monotonic();
  snapshots_held_ = snapshots_.size();
  return snapshot;
}

bool LogStore::is_closed() {
  MutexLock lock(background_mutex_);
  return closed_;
}

Status LogStore::fill_snapshot(Snapshot& snapshot) {
  FileSystem& fs = *options_.file_system;
  const std::string& to = snapshot.directory;
  // What the copy of the index points to, and the journal it is replayed from, stays until it is
  // linked: the one lock keeps the data segments, the other, which the caller has, the journal's.
  MutexLock lock(cleaner_->removals());
  RUNNEL_TRY(fs.create_directory(to));
  RUNNEL_TRY(fs.create_directory(to + "/segments"));
  RUNNEL_TRY(fs.open(to + "/LOCK", {.write = true, .create = true}));
  RUNNEL_TRY(checkpoint());  // little is left to replay then
  RUNNEL_TRY(index_->checkpoint(to + "/index"));
  // Only what is durable enters the index: the journal is at least as far by now.
  Position end;
  std::vector<SegmentInfo> data;
  Committer::Exclusive moment;
  moment.build = [&](const JournalPoint& at) {
    end = at.position;
    data = data_->durable_segments();
    // Here alone it parts the commits that are in from those that are not.
    snapshot.taken = options_.clock->now();
    for (const TopicRef& topic : topics_.all()) {
      for (const PartitionRef& p : topic->partitions) {
        const Partition::View view = p->view();
        snapshot.partitions.push_back(
            {p->id(), p->index(), view.start.offset, view.high_watermark, topic->name});
      }
    }
    return Result<Mutations>(Mutations());
  };
  moment.applied = [] {};
  RUNNEL_TRY(committer_->run(std::move(moment)));

  const auto link = [&](const std::string& name, std::uint64_t bytes, std::uint64_t size) {
    snapshot.files.push_back({name, bytes, size});
    return fs.link(options_.directory + "/" + name, to + "/" + name);
  };
  RUNNEL_TRY_ASSIGN(const std::uint64_t format_bytes, size_of(fs, paths_.format));
  RUNNEL_TRY(link("FORMAT", format_bytes, format_bytes));
  for (const SegmentInfo& segment : journal_->segments()) {
    if (segment.number > end.segment) continue;
    const std::uint64_t bytes = segment.number == end.segment ? end.offset : segment.bytes;
    RUNNEL_TRY(link("segments/" + segment_file_name(segment.number), bytes, segment.bytes));
  }
  for (const SegmentInfo& segment : data) {
    RUNNEL_TRY(
        link("segments/" + data_segment_file_name(segment.number), segment.bytes, segment.bytes));
  }
  RUNNEL_TRY_ASSIGN(const auto index, fs.list(to + "/index"));
  for (const DirectoryEntry& entry : index) {
    const std::string name = "index/" + entry.name;
    RUNNEL_TRY_ASSIGN(const std::uint64_t bytes, size_of(fs, to + "/" + name));
    snapshot.files.push_back({name, bytes, bytes});
  }
  return fs.replace_file(to + "/SNAPSHOT", as_bytes(snapshot_text(snapshot)));
}

Result<bool> LogStore::remove_if_unread(const std::string& snapshot) {
  FileSystem& fs = *options_.file_system;
  const std::string directory = paths_.snapshots + "/" + snapshot;
  if (!fs.exists(directory)) return true;
  const auto unread = fs.lock(directory + "/LOCK");
  if (!unread && unread.error().code() == ErrorCode::kLocked) return false;
  RUNNEL_TRY(remove_tree(fs, directory));
  return true;
}

/// Whoever only asks for snapshots must not keep others from theirs.
Status LogStore::make_room_for_snapshot() {
  if (snapshots_.size() < kMostSnapshots) return {};
  std::vector<std::pair<std::chrono::nanoseconds, std::string>> oldest_first;
  for (const auto& [name, taken] : snapshots_) oldest_first.emplace_back(taken, name);
  std::sort(oldest_first.begin(), oldest_first.end());
  for (const auto& [taken, name] : oldest_first) {
    RUNNEL_TRY_ASSIGN(const bool removed, remove_if_unread(name));
    if (!removed) continue;
    snapshots_.erase(name);
    snapshots_held_ = snapshots_.size();
    return {};
  }
  return fail(ErrorCode::kOverloaded, std::to_string(kMostSnapshots) +
                                          " backups are being made already; try again when one of "
                                          "them is done");
}

Status LogStore::remove_snapshots() {
  Status first;
  for (auto it = snapshots_.begin(); it != snapshots_.end();) {
    const bool fresh = options_.clock->monotonic() - it->second < kSnapshotPatience;
    const bool is_there = options_.file_system->exists(paths_.snapshots + "/" + it->first);
    const auto removed = fresh && is_there ? Result<bool>(false) : remove_if_unread(it->first);
    if (first && !removed) first = fail(removed.error());
    it = removed.value_or(false) ? snapshots_.erase(it) : std::next(it);
  }
  snapshots_held_ = snapshots_.size();
  return first;
}

Status LogStore::remove_old_snapshots() {
  FileSystem& fs = *options_.file_system;
  if (!fs.exists(paths_.snapshots)) return {};
  RUNNEL_TRY_ASSIGN(const auto entries, fs.list(paths_.snapshots));
  for (const DirectoryEntry& entry : entries) {
    RUNNEL_TRY(remove_tree(fs, paths_.snapshots + "/" + entry.name));
  }
  return {};
}

}  // namespace runnel::storage
