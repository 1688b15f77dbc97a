// Removed files come back bit by bit, and nobody who still has something of one sees it.
#include "storage/env/slow_close.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "storage/env/file_system.h"

namespace runnel::storage {
namespace {

constexpr std::uint64_t kBytes = 4 * kFreedAtOnce + 5;

class SlowClose : public ::testing::Test {
 protected:
  void SetUp() override {
    // In the build tree: not every file system that holds temporary files knows leases.
    std::string name = std::filesystem::current_path() / "slow-close-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    directory_ = name;
    if (::sysconf(_SC_PAGESIZE) != 4096) GTEST_SKIP() << "all files are closed at once here";
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }
  [[nodiscard]] std::string at(const std::string& name) const { return directory_ + "/" + name; }
  std::shared_ptr<File> create(const std::string& name) {
    auto file = fs_.open(at(name), {.write = true, .create = true});
    EXPECT_TRUE(file.has_value());
    std::string content(kBytes, '\0');
    for (std::size_t i = 0; i < content.size(); ++i) content[i] = byte_at(i);
    EXPECT_TRUE((*file)->write(0, as_bytes(content)));
    EXPECT_TRUE((*file)->sync());
    return *file;
  }
  static char byte_at(std::uint64_t position) { return static_cast<char>(1 + position % 251); }
  /// Sees its size when nobody has it open any more.
  [[nodiscard]] int watch(const std::string& name) const {
    const int watcher = ::open(at(name).c_str(), O_PATH);
    EXPECT_GE(watcher, 0);
    return watcher;
  }
  static std::uint64_t size_of(int watcher) {
    struct stat info {};
    EXPECT_EQ(::fstat(watcher, &info), 0);
    return static_cast<std::uint64_t>(info.st_size);
  }
  static void wait_until_emptied(int watcher) {
    while (size_of(watcher) > kFreedAtOnce) std::this_thread::yield();
    ::close(watcher);
  }
  void remove(const std::string& name, std::shared_ptr<File> file) {
    ASSERT_TRUE(fs_.remove(at(name)));
    file->free_slowly();
  }
  /// Everything that was given to the thread before is done then.
  void wait_for_the_thread() {
    auto file = create("last");
    const int watcher = watch("last");
    remove("last", std::move(file));
    wait_until_emptied(watcher);
  }

  FileSystem& fs_ = FileSystem::posix();
  std::string directory_;
};

TEST_F(SlowClose, WhatASocketStillHoldsStaysAsItWas) {
  constexpr std::size_t kLent = 32u << 10;  // fits into any pipe
  auto file = create("a");
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const std::uint64_t from = 2 * kFreedAtOnce - kLent / 2;  // across a cut
  auto position = static_cast<off_t>(from);
  ASSERT_EQ(::sendfile(ends[1], file->descriptor(), &position, kLent), static_cast<ssize_t>(kLent));
  const int watcher = watch("a");
  remove("a", std::move(file));
  wait_until_emptied(watcher);
  std::string seen(kLent, '\0');
  for (std::size_t got = 0; got < kLent;) {
    const ssize_t n = ::read(ends[0], seen.data() + got, kLent - got);
    ASSERT_GT(n, 0);
    got += static_cast<std::size_t>(n);
  }
  for (std::size_t i = 0; i < kLent; ++i) ASSERT_EQ(seen[i], byte_at(from + i)) << i;
  for (const int end : ends) ::close(end);
}

TEST_F(SlowClose, WhoHasItOpenAnotherWayReadsOn) {
  auto file = create("a");
  const auto other = fs_.open(at("a"), {});
  ASSERT_TRUE(other.has_value());
  remove("a", std::move(file));
  wait_for_the_thread();
  EXPECT_EQ((*other)->size().value_or(0), kBytes);
}

TEST_F(SlowClose, AFileWithAnotherNameStaysWhole) {
  auto file = create("a");
  ASSERT_TRUE(fs_.link(at("a"), at("b")));
  remove("a", std::move(file));
  wait_for_the_thread();
  EXPECT_EQ(std::filesystem::file_size(at("b")), kBytes);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
/// Ends the process: 0 if the file was closed although there was no thread to be had.
[[noreturn]] void close_without_a_thread(std::shared_ptr<File> file, const std::string& own) {
  std::filesystem::remove_all(own);
  std::ifstream pages("/proc/self/statm");
  std::uint64_t used = 0;
  pages >> used;
  // A little for who allocates, far less than a thread's stack.
  const rlim_t most = used * 4096 + (256u << 10);
  const rlimit limit{most, most};
  if (::setrlimit(RLIMIT_AS, &limit) != 0) std::_Exit(3);
  const int descriptor = file->descriptor();
  file->free_slowly();
  file.reset();
  std::_Exit(::fcntl(descriptor, F_GETFD) == -1 ? 0 : 1);
}

TEST_F(SlowClose, WithoutAThreadItIsClosedAtOnce) {
  // In a process of its own, where no other test has begun the thread.
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  auto file = create("a");
  ASSERT_TRUE(fs_.remove(at("a")));
  EXPECT_EXIT(close_without_a_thread(std::move(file), directory_), ::testing::ExitedWithCode(0),
              "");
}
#endif

}  // namespace
}  // namespace runnel::storage
