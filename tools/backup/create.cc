#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "protocol/text/time.h"
#include "tools/backup/repository.h"
#include "tools/transfer/compressed_file.h"

namespace runnel::tools {
namespace {

namespace fs = std::filesystem;

/// One backup being made.
class Creation {
 public:
  Creation(const Repository& repository, const std::vector<Backup>& known,
           const std::vector<std::string>& stored, const storage::Snapshot& source,
           const BackupProgress& progress)
      : repository_(repository),
        known_(known),
        stored_(stored.begin(), stored.end()),
        source_(source),
        progress_(progress) {
    for (const storage::SnapshotFile& file : source.files) {
      const BackupFile* before = newest(file.name);
      total_ += file.bytes - std::min(file.bytes, before == nullptr ? 0 : before->bytes());
    }
  }

  Status add(const storage::SnapshotFile& file, Backup& to);
  /// Makes the names of what was added durable.
  Status sync_names();

 private:
  /// Of the newest backup that has it.
  [[nodiscard]] const BackupFile* newest(const std::string& name) const {
    for (auto backup = known_.rbegin(); backup != known_.rend(); ++backup) {
      if (const BackupFile* file = backup->file(name)) return file;
    }
    return nullptr;
  }
  /// Takes over what is in the repository already; where the rest begins.
  Result<std::uint64_t> take_known(const storage::File& in, const BackupFile& before,
                                   std::uint64_t bytes, BackupFile& to) const;
  Status store(const Stretch& rest, BackupFile& to, std::uint64_t& added);
  [[nodiscard]] bool is_stored(const std::string& path, std::uint64_t bytes) const {
    std::error_code unknown;
    return stored_.contains(path) && fs::file_size(path, unknown) == bytes && !unknown;
  }

  const Repository& repository_;
  const std::vector<Backup>& known_;
  std::set<std::string> stored_;
  const storage::Snapshot& source_;
  const BackupProgress& progress_;
  std::set<std::string> folders_;
  std::uint64_t total_ = 0;
  std::uint64_t done_ = 0;
};

void nothing(std::uint64_t) {}

Result<std::uint64_t> Creation::take_known(const storage::File& in, const BackupFile& before,
                                           std::uint64_t bytes, BackupFile& to) const {
  std::uint64_t at = 0;
  for (const BackupPart& part : before.parts) {
    const bool fits = part.bytes <= bytes - at;
    if (!fits || !is_stored(repository_.part_path(to.name, at, part), part.bytes)) break;
    // A file that was written to since then is looked through: what counted of it may have changed
    // with a repair, or be that of a store that went another way from an older backup.
    if (before.modified != to.modified) {
      RUNNEL_TRY_ASSIGN(const std::string now,
                        copy_stretch({&in, at, part.bytes}, nullptr, 0, nothing));
      if (now != part.xxh3) break;
    }
    to.parts.push_back(part);
    at += part.bytes;
  }
  return at;
}

Status Creation::store(const Stretch& rest, BackupFile& to, std::uint64_t& added) {
  const Did did = [this](std::uint64_t bytes) { progress_(done_ += bytes, total_); };
  BackupPart part{rest.bytes, {}};
  // What a backup that did not get to its end has copied already.
  const std::string like = repository_.part_path(to.name, rest.from, part);
  const auto near = stored_.lower_bound(like);
  if (near != stored_.end() && near->starts_with(like)) {
    RUNNEL_TRY_ASSIGN(part.xxh3, copy_stretch(rest, nullptr, 0, nothing));
    if (is_stored(repository_.part_path(to.name, rest.from, part), part.bytes)) {
      did(part.bytes);
      // Whether it got to sync the name as well is not known.
      folders_.insert(fs::path(like).parent_path());
      to.parts.push_back(std::move(part));
      return {};
    }
  }
  const std::string incoming = repository_.path() + "/data/incoming";
  RUNNEL_TRY_ASSIGN(const auto out,
                    storage::FileSystem::posix().open(
                        incoming, {.write = true, .create = true, .truncate = true}));
  const auto copied = copy_stretch(rest, out.get(), 0, did);
  if (!copied) {
    // A full disk: what was copied of it is of no use.
    std::error_code none;
    fs::remove(incoming, none);
    return fail(copied.error());
  }
  part.xxh3 = *copied;
  const std::string path = repository_.part_path(to.name, rest.from, part);
  RUNNEL_TRY(make_directories(fs::path(path).parent_path()));
  RUNNEL_TRY(storage::FileSystem::posix().rename(incoming, path));
  folders_.insert(fs::path(path).parent_path());
  stored_.insert(path);
  added += part.bytes;
  to.parts.push_back(std::move(part));
  return {};
}

Status Creation::add(const storage::SnapshotFile& file, Backup& to) {
  const std::string path = source_.directory + "/" + file.name;
  BackupFile added;
  added.name = file.name;
  added.size = file.size;
  RUNNEL_TRY_ASSIGN(added.modified, modified_nanos(path));
  RUNNEL_TRY_ASSIGN(const auto in, storage::FileSystem::posix().open(path, {}));
  std::uint64_t at = 0;
  if (const BackupFile* before = newest(file.name)) {
    RUNNEL_TRY_ASSIGN(at, take_known(*in, *before, file.bytes, added));
  }
  if (at < file.bytes) RUNNEL_TRY(store({in.get(), at, file.bytes - at}, added, to.added));
  to.files.push_back(std::move(added));
  return {};
}

Status Creation::sync_names() {
  for (const std::string& folder : folders_) {
    RUNNEL_TRY(sync_path(folder));
    RUNNEL_TRY(sync_path(fs::path(folder).parent_path()));
  }
  return {};
}

std::string new_id(std::int64_t taken, const std::vector<std::string>& known) {
  const std::string time = protocol::format_time(taken, "%Y%m%dT%H%M%SZ");
  std::string id = time;
  for (int i = 2; std::find(known.begin(), known.end(), id) != known.end(); ++i) {
    id = time + "-" + std::to_string(i);
  }
  return id;
}

}  // namespace

Result<Backup> Repository::create(const storage::Snapshot& source, const std::string& store,
                                  const BackupProgress& progress) {
  RUNNEL_TRY_ASSIGN(const auto held, lock(true));
  RUNNEL_TRY_ASSIGN(Contents known, contents());
  RUNNEL_TRY(check_list(known));
  for (const Backup& other : known.backups) {
    if (other.store == store) continue;
    return fail(ErrorCode::kInvalidArgument, path_ + " holds backups of store " + other.store +
                                                 ", this is " + store + "; name another directory");
  }
  Backup backup;
  backup.store = store;
  backup.taken = source.taken.value();
  backup.id = new_id(backup.taken, known.listed);
  backup.partitions = source.partitions;
  RUNNEL_TRY_ASSIGN(const auto there, stored());
  Creation creation(*this, known.backups, there, source, progress);
  for (const storage::SnapshotFile& file : source.files) RUNNEL_TRY(creation.add(file, backup));
  RUNNEL_TRY(creation.sync_names());
  RUNNEL_TRY(storage::FileSystem::posix().replace_file(path_ + "/backups/" + backup.id + ".jsonl",
                                                       as_bytes(backup_text(backup))));
  known.listed.push_back(backup.id);
  RUNNEL_TRY(write_list(known.listed));
  if (known.problems.empty()) {
    // What backups left behind that did not get to their end. Of the others what was read above
    // counts: one that could not be read once more would look like one that needs nothing.
    known.backups.push_back(backup);
    RUNNEL_TRY(sweep(known.backups));
  }
  return backup;
}

}  // namespace runnel::tools
