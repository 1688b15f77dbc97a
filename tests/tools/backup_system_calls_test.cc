// That the names a backup needs are synced: fsync(2) is watched.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "tools/backup/repository.h"

namespace {
/// Directories and files that were synced; null: nobody looks.
std::set<std::string>* synced = nullptr;
}  // namespace

// Instead of the C library's.
extern "C" int fsync(int fd) {
  if (synced != nullptr) {
    std::error_code unknown;
    synced->insert(std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd), unknown));
  }
  return static_cast<int>(::syscall(SYS_fsync, fd));
}

namespace runnel::tools {
namespace {

namespace fs = std::filesystem;
using testing::IsSupersetOf;

class BackupNames : public testing::Test {
 protected:
  BackupNames() {
    std::string pattern = fs::temp_directory_path() / "runnel-names-XXXXXX";
    root_ = ::mkdtemp(pattern.data());
    root_ = fs::canonical(root_);
    fs::create_directories(root_ + "/source/segments");
    for (const char* const name : {"FORMAT", "segments/0000000001.wal"}) {
      std::ofstream(root_ + "/source/" + name) << "12345";
      snapshot_.files.push_back({name, 5, 5});
    }
    snapshot_.directory = root_ + "/source";
    synced = &synced_;
  }
  ~BackupNames() override {
    synced = nullptr;
    fs::remove_all(root_);
  }
  [[nodiscard]] Result<Backup> create() {
    RUNNEL_TRY_ASSIGN(auto repository, Repository::open_or_create(root_ + "/far/away/backups"));
    return repository.create(snapshot_, "store", [](std::uint64_t, std::uint64_t) {});
  }

  std::string root_;
  std::set<std::string> synced_;
  storage::Snapshot snapshot_;
};

TEST_F(BackupNames, AreDurableFromTheFirstDirectoryOn) {
  ASSERT_TRUE(create());
  const std::string backups = root_ + "/far/away/backups";
  EXPECT_THAT(synced_,
              IsSupersetOf({root_, root_ + "/far", root_ + "/far/away", backups,
                            backups + "/backups", backups + "/data", backups + "/data/segments"}));
}

/// Whoever was cut off may not have come to that.
TEST_F(BackupNames, OfStretchesThatWereFoundAreDurableToo) {
  snapshot_.files.push_back({"index/missing", 5, 5});
  ASSERT_FALSE(create());
  snapshot_.files.pop_back();
  synced_.clear();
  const auto again = create();
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(again->added, 0U);
  const std::string data = root_ + "/far/away/backups/data";
  EXPECT_THAT(synced_, IsSupersetOf({data, data + "/segments"}));
}

}  // namespace
}  // namespace runnel::tools
