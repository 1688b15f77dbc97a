#include <algorithm>
#include <filesystem>

#include "protocol/text/units.h"
#include "tools/backup/repository.h"
#include "tools/transfer/compressed_file.h"

namespace runnel::tools {
namespace {

namespace fs = std::filesystem;

storage::FileSystem& files() {
  return storage::FileSystem::posix();
}

/// Files are put together in here, and moved to their places when all of them are there.
constexpr std::string_view kStage = "/restoring";

Status check_target(const std::string& to) {
  std::error_code failed;
  if (fs::exists(to, failed)) {
    if (!fs::is_directory(to, failed)) {
      return fail(ErrorCode::kInvalidArgument, to + " is no directory");
    }
    if (!fs::is_empty(to, failed)) {
      return fail(ErrorCode::kInvalidArgument,
                  to + " is not empty" +
                      (fs::exists(to + std::string(kStage), failed)
                           ? " (a restore into it was cut off; remove what is in it)"
                           : "") +
                      "; name a directory that is, or that is not there");
    }
  }
  return {};
}

Status check_room(const Backup& backup, const std::string& to) {
  std::uint64_t needed = 0;
  for (const BackupFile& file : backup.files) needed += std::max(file.size, file.bytes());
  RUNNEL_TRY_ASSIGN(const auto space, files().space(to));
  if (space.available_bytes >= needed) return {};
  return fail(ErrorCode::kLowSpace,
              "the backup takes " + protocol::human_size(static_cast<double>(needed)) +
                  ", and only " + protocol::human_size(static_cast<double>(space.available_bytes)) +
                  " are free where " + to + " is");
}

Status restore_file(const Repository& repository, const BackupFile& file, const std::string& path,
                    const Did& did) {
  RUNNEL_TRY(make_directories(fs::path(path).parent_path()));
  RUNNEL_TRY_ASSIGN(const auto out,
                    files().open(path, {.write = true, .create = true, .exclusive = true}));
  std::uint64_t at = 0;
  for (const BackupPart& part : file.parts) {
    const std::string from = repository.part_path(file.name, at, part);
    RUNNEL_TRY_ASSIGN(const auto in, files().open(from, {}));
    RUNNEL_TRY_ASSIGN(const std::string hash,
                      copy_stretch({in.get(), 0, part.bytes}, out.get(), at, did));
    if (hash != part.xxh3) {
      return fail(ErrorCode::kCorrupt,
                  from +
                      " is not what was backed up; `runnel backup verify` tells which backups "
                      "need it, restore another one");
    }
    at += part.bytes;
  }
  if (file.size > at) RUNNEL_TRY(out->allocate(file.size));
  return out->sync();
}

/// Moves all that is in the stage to `to`: FORMAT last, for without it the directory is none.
Status settle_in(const std::string& stage, const std::string& to) {
  for (const char* const name : {"/segments", "/index"}) {
    RUNNEL_TRY(make_directories(stage + name));
    RUNNEL_TRY(sync_path(stage + name));
    RUNNEL_TRY(files().rename(stage + name, to + name));
  }
  RUNNEL_TRY(files().sync_directory(to));
  RUNNEL_TRY(files().rename(stage + "/FORMAT", to + "/FORMAT"));
  std::error_code left;
  fs::remove_all(stage, left);
  RUNNEL_TRY(files().sync_directory(to));
  return files().sync_directory(storage::parent_directory(to));
}

}  // namespace

Status Repository::restore(const Backup& backup, const std::string& to, const Prepare& prepare,
                           const BackupProgress& progress) const {
  RUNNEL_TRY(check_target(to));
  std::error_code none;
  const bool made = !fs::exists(to, none);
  const std::string stage = to + std::string(kStage);
  const std::uint64_t total = backup.bytes();
  std::uint64_t done = 0;
  const Did did = [&](std::uint64_t bytes) { progress(done += bytes, total); };
  const auto restored = [&]() -> Status {
    RUNNEL_TRY(make_directories(stage));
    RUNNEL_TRY(check_room(backup, to));
    for (const BackupFile& file : backup.files) {
      RUNNEL_TRY(restore_file(*this, file, stage + "/" + file.name, did));
    }
    RUNNEL_TRY(prepare(stage));
    return settle_in(stage, to);
  }();
  if (restored) return {};
  for (const char* const name : {"/restoring", "/segments", "/index", "/FORMAT"}) {
    fs::remove_all(to + name, none);
  }
  if (made) fs::remove(to, none);
  return restored;
}

}  // namespace runnel::tools
