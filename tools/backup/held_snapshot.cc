#include "tools/backup/held_snapshot.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string_view>

namespace runnel::tools {
namespace {

constexpr int kDirectory = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

/// ".../snapshots/1234"
bool is_snapshot_path(const std::filesystem::path& path) {
  const std::string name = path.filename();
  return path.parent_path().filename() == "snapshots" && !name.empty() &&
         std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
}

Error unreachable(const std::string& directory) {
  return Error(ErrorCode::kIo, "cannot reach the broker's files in " + directory + ": " +
                                   std::strerror(errno) +
                                   "; run this on the broker's machine, as its user");
}

}  // namespace

HeldSnapshot::Descriptor::~Descriptor() {
  if (fd_ >= 0) ::close(fd_);
}

Result<std::unique_ptr<HeldSnapshot>> HeldSnapshot::hold(const std::string& directory) {
  if (!is_snapshot_path(directory)) {
    return fail(ErrorCode::kInvalidArgument,
                "who answers there says that its snapshot is " + directory +
                    ", which is no name of one; is it a broker? Nothing was touched");
  }
  Descriptor held(::open(directory.c_str(), kDirectory));
  if (held.get() < 0) return fail(unreachable(directory));
  Descriptor lock(::openat(held.get(), "LOCK", O_RDWR | O_NOFOLLOW | O_CLOEXEC));
  if (lock.get() < 0) return fail(unreachable(directory));
  if (::flock(lock.get(), LOCK_SH | LOCK_NB) != 0) {
    return fail(ErrorCode::kIo, directory + " is being removed; try again");
  }
  return std::unique_ptr<HeldSnapshot>(
      new HeldSnapshot(directory, std::move(held), std::move(lock)));
}

Status HeldSnapshot::check_file(int folder, const std::string& name) const {
  struct stat info {};
  // Gone with a start of the broker: whoever copies it says so.
  if (folder < 0) return {};
  if (::fstatat(folder, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return {};
    return fail(unreachable(path_ + "/" + name));
  }
  if (S_ISREG(info.st_mode)) return {};
  return fail(ErrorCode::kMalformed, path_ + ": " + name + " is no plain file");
}

Status HeldSnapshot::take_over(const storage::Snapshot& snapshot) {
  for (const char* const name : {"segments", "index"}) {
    Descriptor directory(::openat(directory_.get(), name, kDirectory));
    if (directory.get() < 0 && errno != ENOENT) {
      return fail(ErrorCode::kMalformed, path_ + ": " + name + " is no directory of its own");
    }
    folders_.push_back(Folder{name, std::move(directory), {}});
  }
  for (const storage::SnapshotFile& file : snapshot.files) {
    const std::size_t slash = file.name.find('/');
    const std::string_view folder = std::string_view(file.name).substr(0, slash);
    const auto in = std::find_if(folders_.begin(), folders_.end(),
                                 [&](const Folder& f) { return f.name == folder; });
    const bool beside = slash == std::string::npos;
    const std::string name = beside ? file.name : file.name.substr(slash + 1);
    if (beside ? name != "FORMAT"
               : in == folders_.end() || name.empty() || name.find('/') != std::string::npos) {
      return fail(ErrorCode::kMalformed,
                  path_ + "/SNAPSHOT names " + file.name + ", which no snapshot has");
    }
    RUNNEL_TRY(check_file(beside ? directory_.get() : in->directory.get(), name));
    (beside ? files_ : in->files).push_back(name);
  }
  taken_over_ = true;
  return {};
}

HeldSnapshot::~HeldSnapshot() {
  if (!taken_over_) return;
  // What stays is removed by the broker, which takes the lock for it: that goes last.
  for (const Folder& folder : folders_) {
    for (const std::string& name : folder.files) {
      ::unlinkat(folder.directory.get(), name.c_str(), 0);
    }
    ::unlinkat(directory_.get(), folder.name.c_str(), AT_REMOVEDIR);
  }
  files_.insert(files_.end(), {"SNAPSHOT", "LOCK"});
  for (const std::string& name : files_) ::unlinkat(directory_.get(), name.c_str(), 0);
  ::rmdir(path_.c_str());
}

}  // namespace runnel::tools
