#include "tools/backup/repository.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "tools/transfer/compressed_file.h"

namespace runnel::tools {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kTitle = "runnel backup repository\n";
constexpr std::string_view kFormatLine = "format 1\n";
constexpr std::string_view kManifest = ".jsonl";

storage::FileSystem& files() {
  return storage::FileSystem::posix();
}

std::string list_text(const std::vector<std::string>& ids) {
  std::string text = std::string(kTitle) + std::string(kFormatLine);
  for (const std::string& id : ids) text += "backup " + id + "\n";
  return text + "check " + xxh3_of(text) + "\n";
}

/// The ids that REPOSITORY names. kMalformed, kFormatTooNew.
Result<std::vector<std::string>> parse_list(std::string_view text) {
  std::string_view rest = text;
  const auto skip = [&](std::string_view expected) {
    const bool there = rest.starts_with(expected);
    if (there) rest.remove_prefix(expected.size());
    return there;
  };
  if (skip(kTitle) && rest.starts_with("format ") && !rest.starts_with(kFormatLine)) {
    return fail(ErrorCode::kFormatTooNew, "it was written by a newer version; use that one");
  }
  std::vector<std::string> ids;
  if (skip(kFormatLine)) {
    while (skip("backup ")) {
      const std::size_t end = std::min(rest.find('\n'), rest.size());
      ids.emplace_back(rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }
  if (text == list_text(ids)) return ids;
  return fail(ErrorCode::kMalformed, "it is damaged");
}

Result<std::vector<std::string>> names_in(const std::string& path) {
  RUNNEL_TRY_ASSIGN(const auto entries, files().list(path));
  std::vector<std::string> names;
  for (const auto& entry : entries) names.push_back(entry.name);
  std::sort(names.begin(), names.end());
  return names;
}

/// Holds a descriptor, and with it its lock.
class HeldFile {
 public:
  explicit HeldFile(int fd) : fd_(fd) {}
  ~HeldFile() {
    if (fd_ >= 0) ::close(fd_);
  }
  HeldFile(const HeldFile&) = delete;
  HeldFile& operator=(const HeldFile&) = delete;
  [[nodiscard]] int fd() const { return fd_; }

 private:
  const int fd_;
};

/// Of a directory without REPOSITORY: whether it has no backup either, as a first one that was cut
/// off may leave it.
bool is_empty(const std::string& path) {
  for (const char* part : {"/backups", "/data"}) {
    if (!files().is_directory(path + part)) continue;
    const auto names = names_in(path + part);
    if (!names || !names->empty()) return false;
  }
  return true;
}

}  // namespace

Result<Repository> Repository::open(const std::string& path) {
  const auto text = files().read_file(path + "/REPOSITORY");
  if (text) {
    const auto list = parse_list(*text);
    if (!list && list.error().code() == ErrorCode::kFormatTooNew) {
      return fail(list.error().within(path + "/REPOSITORY"));
    }
  } else if (text.error().code() != ErrorCode::kNotFound) {
    return fail(text.error());
  } else if (!files().is_directory(path + "/backups") || is_empty(path)) {
    return fail(ErrorCode::kNotFound,
                path + " holds no backups; `runnel backup create " + path + "` makes one");
  }
  return Repository(path);
}

Result<Repository> Repository::open_or_create(const std::string& path) {
  const auto text = files().read_file(path + "/REPOSITORY");
  if (text) {
    if (const auto list = parse_list(*text); !list) {
      const auto code =
          list.error().code() == ErrorCode::kMalformed ? ErrorCode::kCorrupt : list.error().code();
      return fail(code, path + "/REPOSITORY: " + list.error().message() +
                            "; back up to another directory (`runnel backup restore` still reads "
                            "this one)");
    }
    return Repository(path);
  }
  if (text.error().code() != ErrorCode::kNotFound) return fail(text.error());
  if (files().exists(path)) {
    const auto names = names_in(path);
    if (!names) return fail(names.error());
    // What a first start that was cut off may leave behind.
    for (const std::string& name : *names) {
      if (name == "REPOSITORY.tmp" || name == "LOCK") continue;
      if ((name == "backups" || name == "data") && names_in(path + "/" + name)->empty()) continue;
      return fail(ErrorCode::kInvalidArgument,
                  path + " holds something else ('" + name +
                      "'); name a directory that is empty or not there");
    }
  }
  RUNNEL_TRY(make_directories(path + "/backups"));
  RUNNEL_TRY(make_directories(path + "/data"));
  const Repository repository(path);
  RUNNEL_TRY_ASSIGN(const auto held, repository.lock(true));
  RUNNEL_TRY(repository.write_list({}));
  return repository;
}

Result<std::shared_ptr<void>> Repository::lock(bool alone) const {
  const std::string path = path_ + "/LOCK";
  const int mode = alone ? O_RDWR | O_CREAT : O_RDONLY;
  auto file = std::make_shared<HeldFile>(::open(path.c_str(), mode | O_CLOEXEC, 0600));
  if (file->fd() < 0) {
    // A copy that nobody can write to may have none.
    if (!alone) return std::shared_ptr<void>(std::move(file));
    return fail(file_error("write to", path));
  }
  if (::flock(file->fd(), (alone ? LOCK_EX : LOCK_SH) | LOCK_NB) == 0) {
    return std::shared_ptr<void>(std::move(file));
  }
  return fail(ErrorCode::kLocked, "another `runnel backup` uses " + path_ + "; try again later");
}

Result<std::shared_ptr<void>> Repository::lock_for_reading() const {
  return lock(false);
}

Status Repository::write_list(const std::vector<std::string>& ids) const {
  return files().replace_file(path_ + "/REPOSITORY", as_bytes(list_text(ids)));
}

Result<Repository::Contents> Repository::contents() const {
  Contents contents;
  RUNNEL_TRY_ASSIGN(auto names, names_in(path_ + "/backups"));
  std::erase_if(names, [](const std::string& name) { return !name.ends_with(kManifest); });
  for (std::string& name : names) name.resize(name.size() - kManifest.size());
  const auto text = files().read_file(path_ + "/REPOSITORY");
  const auto list =
      text ? parse_list(*text) : text.map([](const auto&) { return std::vector<std::string>(); });
  if (list) {
    contents.listed = *list;
  } else {
    contents.problems.push_back(path_ + "/REPOSITORY: " + list.error().message());
    contents.listed = names;
    contents.list_is_whole = false;
  }
  for (const std::string& id : contents.listed) {
    const std::string path = path_ + "/backups/" + id + std::string(kManifest);
    const auto manifest = files().read_file(path);
    auto backup = manifest ? parse_backup(*manifest) : tl::unexpected<Error>(manifest.error());
    if (backup && backup->id != id) {
      backup = fail(ErrorCode::kMalformed, "it is the list of backup " + backup->id);
    }
    if (backup) {
      contents.backups.push_back(std::move(*backup));
    } else if (manifest) {
      contents.problems.push_back(path + ": " + backup.error().message());
    } else {
      contents.problems.push_back(manifest.error().message());
    }
  }
  return contents;
}

Status Repository::check_list(const Contents& known) const {
  if (known.list_is_whole) return {};
  return fail(ErrorCode::kCorrupt, known.problems.front() +
                                       "; nothing was changed, for in which order its backups were "
                                       "made stands there alone: back up to another directory "
                                       "(`runnel backup restore --id` still reads this one)");
}

std::string Repository::part_path(const std::string& name, std::uint64_t from,
                                  const BackupPart& part) const {
  return path_ + "/data/" + name + "." + std::to_string(from) + "-" + part.xxh3;
}

std::set<std::string> Repository::needed(const std::vector<Backup>& backups) const {
  std::set<std::string> paths;
  for (const Backup& backup : backups) {
    for (const BackupFile& file : backup.files) {
      std::uint64_t at = 0;
      for (const BackupPart& part : file.parts) {
        paths.insert(part_path(file.name, at, part));
        at += part.bytes;
      }
    }
  }
  return paths;
}

Result<std::vector<std::string>> Repository::stored() const {
  std::vector<std::string> paths;
  std::error_code failed;
  for (fs::recursive_directory_iterator at(path_ + "/data", failed), end; !failed && at != end;
       at.increment(failed)) {
    if (at->is_regular_file(failed)) paths.push_back(at->path());
    if (failed) break;
  }
  if (failed) {
    return fail(ErrorCode::kIo, "cannot list " + path_ + "/data: " + failed.message());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

Result<std::uint64_t> Repository::sweep(const std::vector<Backup>& backups) const {
  const std::set<std::string> kept = needed(backups);
  RUNNEL_TRY_ASSIGN(const auto all, stored());
  std::uint64_t freed = 0;
  for (const std::string& path : all) {
    if (kept.contains(path)) continue;
    std::error_code unknown;
    const auto bytes = fs::file_size(path, unknown);
    RUNNEL_TRY(files().remove(path));
    if (!unknown) freed += bytes;
  }
  return freed;
}

Result<std::uint64_t> Repository::removable(const std::string& id) const {
  RUNNEL_TRY_ASSIGN(Contents all, contents());
  const auto gone = std::find_if(all.backups.begin(), all.backups.end(),
                                 [&](const Backup& b) { return b.id == id; });
  if (gone == all.backups.end() || all.problems.size() != 0) {
    const bool known = std::find(all.listed.begin(), all.listed.end(), id) != all.listed.end();
    if (known) return 0;
    return fail(ErrorCode::kNotFound,
                "there is no backup " + id + " in " + path_ + "; `runnel backup list` shows them");
  }
  const Backup backup = *gone;
  all.backups.erase(gone);
  const auto kept = needed(all.backups);
  std::uint64_t bytes = 0;
  for (const BackupFile& file : backup.files) {
    std::uint64_t at = 0;
    for (const BackupPart& part : file.parts) {
      if (!kept.contains(part_path(file.name, at, part))) bytes += part.bytes;
      at += part.bytes;
    }
  }
  return bytes;
}

Result<std::uint64_t> Repository::remove(const std::string& id) {
  RUNNEL_TRY_ASSIGN(const auto held, lock(true));
  RUNNEL_TRY_ASSIGN(Contents before, contents());
  RUNNEL_TRY(check_list(before));
  if (std::erase(before.listed, id) == 0) {
    return fail(ErrorCode::kNotFound,
                "there is no backup " + id + " in " + path_ + "; `runnel backup list` shows them");
  }
  RUNNEL_TRY(write_list(before.listed));
  const std::string manifest = path_ + "/backups/" + id + std::string(kManifest);
  if (files().exists(manifest)) RUNNEL_TRY(files().remove(manifest));
  RUNNEL_TRY_ASSIGN(const Contents left, contents());
  if (!left.problems.empty()) return 0;  // nobody knows what those need
  return sweep(left.backups);
}

}  // namespace runnel::tools
