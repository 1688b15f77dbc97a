// What a backup removes when it is done with a snapshot, and what it never touches.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tools/backup/held_snapshot.h"

namespace runnel::tools {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class HeldSnapshots : public testing::Test {
 protected:
  HeldSnapshots() {
    std::string pattern = fs::temp_directory_path() / "runnel-held-XXXXXX";
    root_ = ::mkdtemp(pattern.data());
    fs::create_directories(directory() + "/segments");
    fs::create_directories(directory() + "/index");
    for (const char* const name :
         {"LOCK", "SNAPSHOT", "FORMAT", "segments/0000000001.wal", "index/CURRENT"}) {
      touch(directory() + "/" + name);
    }
    snapshot_.files = {
        {"FORMAT", 1, 1}, {"segments/0000000001.wal", 1, 1}, {"index/CURRENT", 1, 1}};
  }
  ~HeldSnapshots() override { fs::remove_all(root_); }

  static void touch(const std::string& path) { std::ofstream(path) << "x"; }
  [[nodiscard]] std::string directory() const { return root_ + "/data/snapshots/123"; }
  [[nodiscard]] std::size_t files() const {
    std::size_t count = 0;
    for (const auto& item : fs::recursive_directory_iterator(root_)) {
      if (item.is_regular_file()) ++count;
    }
    return count;
  }

  std::string root_;
  storage::Snapshot snapshot_;
};

TEST_F(HeldSnapshots, GoWholeWhenTheyAreDoneWith) {
  auto held = HeldSnapshot::hold(directory());
  ASSERT_TRUE(held) << held.error().message();
  ASSERT_TRUE((*held)->take_over(snapshot_));
  EXPECT_EQ(files(), 5U);
  held->reset();
  EXPECT_FALSE(fs::exists(directory()));
  EXPECT_TRUE(fs::exists(root_ + "/data/snapshots"));
}

TEST_F(HeldSnapshots, LoseNothingBeforeTheyAreKnownToBeOnes) {
  HeldSnapshot::hold(directory())->reset();
  EXPECT_EQ(files(), 5U);
}

TEST_F(HeldSnapshots, LoseOnlyWhatIsNamed) {
  touch(directory() + "/index/another");
  touch(directory() + "/own");
  auto held = HeldSnapshot::hold(directory());
  ASSERT_TRUE((*held)->take_over(snapshot_));
  held->reset();
  EXPECT_EQ(files(), 2U);
}

/// A directory of backups or of data has a LOCK as well.
TEST_F(HeldSnapshots, AreNothingElse) {
  for (const std::string name :
       {"/data", "/data/snapshots", "/data/snapshots/12a", "/backups/123"}) {
    fs::create_directories(root_ + name);
    touch(root_ + name + "/LOCK");
    const auto held = HeldSnapshot::hold(root_ + name);
    ASSERT_FALSE(held) << name;
    EXPECT_EQ(held.error().code(), ErrorCode::kInvalidArgument) << name;
    EXPECT_THAT(held.error().message(), HasSubstr("Nothing was touched"));
    EXPECT_TRUE(fs::exists(root_ + name + "/LOCK"));
  }
  fs::create_directories(root_ + "/data/snapshots/7");
  EXPECT_EQ(HeldSnapshot::hold(root_ + "/data/snapshots/7").error().code(), ErrorCode::kIo);
  EXPECT_FALSE(fs::exists(root_ + "/data/snapshots/7/LOCK"));
}

TEST_F(HeldSnapshots, LeadNowhereElse) {
  fs::create_directories(root_ + "/precious");
  touch(root_ + "/precious/0000000001.wal");
  fs::remove_all(directory() + "/segments");
  fs::create_directory_symlink(root_ + "/precious", directory() + "/segments");
  {
    auto held = HeldSnapshot::hold(directory());
    EXPECT_EQ((*held)->take_over(snapshot_).error().code(), ErrorCode::kMalformed);
  }
  fs::remove(directory() + "/segments");
  fs::create_directory(directory() + "/segments");
  fs::create_symlink(root_ + "/precious/0000000001.wal", directory() + "/segments/0000000001.wal");
  {
    auto held = HeldSnapshot::hold(directory());
    EXPECT_EQ((*held)->take_over(snapshot_).error().code(), ErrorCode::kMalformed);
  }
  for (const char* const name : {"own", "segments", "other/x", "segments/a/b", "LOCK"}) {
    snapshot_.files = {{name, 1, 1}};
    auto held = HeldSnapshot::hold(directory());
    EXPECT_EQ((*held)->take_over(snapshot_).error().code(), ErrorCode::kMalformed) << name;
  }
  EXPECT_TRUE(fs::exists(root_ + "/precious/0000000001.wal"));
  EXPECT_TRUE(fs::exists(directory() + "/FORMAT"));
}

TEST_F(HeldSnapshots, AreLeftToWhoeverRemovesThem) {
  const int fd = ::open((directory() + "/LOCK").c_str(), O_RDWR);
  ASSERT_EQ(::flock(fd, LOCK_EX), 0);
  const auto held = HeldSnapshot::hold(directory());
  ASSERT_FALSE(held);
  EXPECT_THAT(held.error().message(), HasSubstr("is being removed"));
  EXPECT_EQ(files(), 5U);
  ::close(fd);
}

}  // namespace
}  // namespace runnel::tools
