// What every FileSystem must do, on the machine's own and on the simulated one.
#include "storage/env/file_system.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <climits>
#include <csignal>
#include <filesystem>

#include "tests/support/sim_file_system.h"

namespace runnel::storage {
namespace {

using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

/// A FileSystem and a directory on it that is empty.
class FileSystemTest : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    if (GetParam()) {
      std::string name = std::filesystem::temp_directory_path() / "runnel-env-XXXXXX";
      ASSERT_NE(::mkdtemp(name.data()), nullptr);
      dir_ = name;
      fs_ = &FileSystem::posix();
    } else {
      dir_ = "/data";
      fs_ = &sim_;
      ASSERT_TRUE(fs_->create_directory(dir_));
    }
  }
  void TearDown() override {
    if (GetParam()) std::filesystem::remove_all(dir_);
  }
  [[nodiscard]] std::string at(const std::string& name) const { return dir_ + "/" + name; }
  std::shared_ptr<File> create(const std::string& name) {
    auto file = fs_->open(at(name), {.write = true, .create = true});
    EXPECT_TRUE(file) << file.error().message();
    return file ? *file : nullptr;
  }
  std::string contents(const std::string& name) {
    auto text = fs_->read_file(at(name));
    return text ? *text : text.error().to_string();
  }

  SimFileSystem sim_{1};
  FileSystem* fs_ = nullptr;
  std::string dir_;
};

INSTANTIATE_TEST_SUITE_P(All, FileSystemTest, ::testing::Values(true, false),
                         [](const auto& test) { return test.param ? "posix" : "simulated"; });

TEST_P(FileSystemTest, WrittenBytesAreReadBack) {
  const auto file = create("a");
  ASSERT_TRUE(file->write(0, as_bytes("hello world")));
  ASSERT_TRUE(file->write(6, as_bytes("there")));
  EXPECT_EQ(contents("a"), "hello there");
  EXPECT_EQ(file->path(), at("a"));
  std::string into(8, '?');
  EXPECT_EQ(file->read(6, std::as_writable_bytes(std::span(into))).value(), 5u);
  EXPECT_EQ(into, "there???");
  EXPECT_EQ(file->read(100, std::as_writable_bytes(std::span(into))).value(), 0u);
}

TEST_P(FileSystemTest, MorePartsThanOneCallTakesAreAllWritten) {
  const auto file = create("a");
  const std::size_t count = 2 * IOV_MAX + 7;
  std::string expected;
  std::vector<std::string> pieces;
  for (std::size_t i = 0; i < count; ++i) pieces.push_back(i % 5 == 0 ? "" : std::to_string(i));
  std::vector<iovec> parts{{nullptr, 0}};
  for (std::string& piece : pieces) {
    parts.push_back({piece.data(), piece.size()});
    expected += piece;
  }
  ASSERT_TRUE(file->write(0, parts));
  EXPECT_EQ(contents("a"), expected);
  ASSERT_TRUE(file->write(0, Bytes{}));
}

TEST_P(FileSystemTest, AGapReadsAsZeros) {
  const auto file = create("a");
  ASSERT_TRUE(file->write(3, as_bytes("x")));
  EXPECT_EQ(contents("a"), std::string("\0\0\0x", 4));
}

TEST_P(FileSystemTest, ReadExactlyRefusesAShortFile) {
  const auto file = create("a");
  ASSERT_TRUE(file->write(0, as_bytes("abc")));
  std::string into(4, ' ');
  const auto status = file->read_exactly(0, std::as_writable_bytes(std::span(into)));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code(), ErrorCode::kCorrupt);
  EXPECT_THAT(status.error().message(), HasSubstr(at("a")));
  EXPECT_TRUE(file->read_exactly(0, std::as_writable_bytes(std::span(into).first(3))));
}

TEST_P(FileSystemTest, OpenModes) {
  const auto missing = fs_->open(at("a"), {});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code(), ErrorCode::kNotFound);
  EXPECT_THAT(missing.error().message(), HasSubstr(at("a")));
  ASSERT_TRUE(create("a")->write(0, as_bytes("abc")));
  EXPECT_EQ(contents("a"), "abc");
  const auto exclusive = fs_->open(at("a"), {.write = true, .create = true, .exclusive = true});
  ASSERT_FALSE(exclusive);
  EXPECT_EQ(exclusive.error().code(), ErrorCode::kIo);
  const auto reader = fs_->open(at("a"), {});
  ASSERT_TRUE(reader);
  EXPECT_FALSE((*reader)->write(0, as_bytes("x")));
  ASSERT_TRUE(fs_->open(at("a"), {.write = true, .truncate = true}));
  EXPECT_EQ(contents("a"), "");
  EXPECT_EQ(fs_->open(at("no/a"), {.write = true, .create = true}).error().code(),
            ErrorCode::kNotFound);
}

TEST_P(FileSystemTest, AllocateGrowsAndNeverShrinks) {
  const auto file = create("a");
  ASSERT_TRUE(file->write(0, as_bytes("abc")));
  ASSERT_TRUE(file->allocate(8192));
  EXPECT_EQ(file->size().value(), 8192u);
  EXPECT_EQ(contents("a"), "abc" + std::string(8189, '\0'));
  ASSERT_TRUE(file->allocate(10));
  ASSERT_TRUE(file->allocate(0));
  EXPECT_EQ(file->size().value(), 8192u);
  ASSERT_TRUE(file->truncate(2));
  ASSERT_TRUE(file->truncate(4));
  EXPECT_EQ(contents("a"), std::string("ab\0\0", 4));
}

TEST_P(FileSystemTest, NamesAreRenamedLinkedAndRemoved) {
  ASSERT_TRUE(create("a")->write(0, as_bytes("A")));
  ASSERT_TRUE(create("b")->write(0, as_bytes("B")));
  ASSERT_TRUE(fs_->rename(at("a"), at("b")));
  EXPECT_FALSE(fs_->exists(at("a")));
  EXPECT_EQ(contents("b"), "A");
  ASSERT_TRUE(fs_->link(at("b"), at("c")));
  ASSERT_TRUE(fs_->remove(at("b")));
  EXPECT_EQ(contents("c"), "A");
  EXPECT_EQ(fs_->remove(at("b")).error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(fs_->rename(at("b"), at("d")).error().code(), ErrorCode::kNotFound);
  EXPECT_FALSE(fs_->link(at("b"), at("d")));
  ASSERT_TRUE(fs_->rename(at("c"), at("c")));
  EXPECT_EQ(contents("c"), "A");
  EXPECT_GT(fs_->modified(at("c")).value(), 1'600'000'000);
  EXPECT_EQ(fs_->modified(at("b")).error().code(), ErrorCode::kNotFound);
}

TEST_P(FileSystemTest, Directories) {
  ASSERT_TRUE(fs_->create_directory(at("d")));
  ASSERT_TRUE(fs_->create_directory(at("d")));
  create("d/f");
  create("g");
  EXPECT_FALSE(fs_->create_directory(at("g")));
  EXPECT_FALSE(fs_->create_directory(at("x/y")));
  std::vector<std::string> names;
  const auto entries = fs_->list(dir_);
  ASSERT_TRUE(entries);
  for (const auto& entry : *entries) {
    names.push_back(entry.name + (entry.is_directory ? "/" : ""));
  }
  EXPECT_THAT(names, UnorderedElementsAre("d/", "g"));
  EXPECT_EQ(fs_->list(at("x")).error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(fs_->list(at("g")).error().code(), ErrorCode::kNotFound);
  EXPECT_TRUE(fs_->is_directory(at("d")));
  EXPECT_FALSE(fs_->is_directory(at("g")));
  EXPECT_TRUE(fs_->sync_directory(at("d")));
  EXPECT_EQ(fs_->sync_directory(at("x")).error().code(), ErrorCode::kNotFound);
  EXPECT_FALSE(fs_->remove_directory(at("d")));
  ASSERT_TRUE(fs_->remove(at("d/f")));
  ASSERT_TRUE(fs_->remove_directory(at("d")));
  EXPECT_FALSE(fs_->exists(at("d")));
}

TEST_P(FileSystemTest, AFileIsReplacedWhole) {
  ASSERT_TRUE(fs_->replace_file(at("a"), as_bytes("one")));
  ASSERT_TRUE(fs_->replace_file(at("a"), as_bytes("2")));
  EXPECT_EQ(contents("a"), "2");
  EXPECT_FALSE(fs_->exists(at("a.tmp")));
  EXPECT_EQ(fs_->read_file(at("b")).error().code(), ErrorCode::kNotFound);
  EXPECT_FALSE(fs_->replace_file(at("no/a"), as_bytes("x")));
}

TEST_P(FileSystemTest, TheSecondToLockIsToldWhoHolds) {
  auto lock = fs_->lock(at("LOCK"));
  ASSERT_TRUE(lock) << lock.error().message();
  EXPECT_EQ(contents("LOCK"), std::to_string(::getpid()) + "\n");
  const auto second = fs_->lock(at("LOCK"));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), ErrorCode::kLocked);
  // Who it is when it is another process: the system test has two brokers.
  EXPECT_THAT(second.error().message(), HasSubstr("this process has it open already"));
  lock->reset();
  EXPECT_TRUE(fs_->lock(at("LOCK")));
}

TEST_P(FileSystemTest, SpaceSyncAndHints) {
  const auto file = create("a");
  ASSERT_TRUE(file->write(0, as_bytes(std::string(100'000, 'x'))));
  EXPECT_TRUE(file->sync());
  EXPECT_TRUE(file->resident(0, 100'000));
  EXPECT_TRUE(file->resident(99'999, 1'000'000));
  EXPECT_TRUE(file->resident(200'000, 5));
  file->will_need(0, 100'000);
  file->dont_need(0, 100'000);
  const auto space = fs_->space(dir_);
  ASSERT_TRUE(space);
  EXPECT_GT(space->available_bytes, 0u);
  EXPECT_LE(space->available_bytes, space->total_bytes);
  EXPECT_EQ(file->descriptor() >= 0, GetParam());
}

TEST_P(FileSystemTest, DataRangesHoldEveryWrittenByte) {
  constexpr std::uint64_t kMiB = 1u << 20;
  const auto file = create("a");
  ASSERT_TRUE(file->allocate(64 * kMiB));
  const std::string text(5'000, 'x');
  const std::uint64_t places[] = {0, 7 * kMiB + 123, 64 * kMiB - text.size()};
  for (const std::uint64_t at : places) ASSERT_TRUE(file->write(at, as_bytes(text)));
  const auto ranges = file->data_ranges();
  ASSERT_TRUE(ranges);
  std::uint64_t before = 0;
  for (const FileRange& range : *ranges) {
    EXPECT_GE(range.from, before);
    EXPECT_LT(range.from, range.to);
    before = range.to;
  }
  EXPECT_LE(before, 64 * kMiB);
  for (const std::uint64_t at : places) {
    EXPECT_TRUE(std::any_of(ranges->begin(), ranges->end(), [&](const FileRange& r) {
      return r.from <= at && at + text.size() <= r.to;
    })) << at;
  }
}

class PosixTest : public FileSystemTest {};
INSTANTIATE_TEST_SUITE_P(Posix, PosixTest, ::testing::Values(true));

TEST_P(PosixTest, AShortWriteIsContinuedAndThenReported) {
  const auto file = create("a");
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto previous = std::signal(SIGXFSZ, SIG_IGN);
  rlimit limit{.rlim_cur = 5, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  std::string head = "abc";
  std::string tail = "defgh";
  std::vector<iovec> parts{{head.data(), 3}, {tail.data(), 5}};
  const auto status = file->write(0, parts);
  const auto allocated = file->allocate(100);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, previous);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code(), ErrorCode::kIo);
  EXPECT_THAT(status.error().message(), HasSubstr("ulimit -f"));
  EXPECT_FALSE(allocated);
  EXPECT_EQ(contents("a"), "abcde");
}

TEST_P(PosixTest, AFullDeviceIsLowSpace) {
  const auto full = fs_->open("/dev/full", {.write = true});
  if (!full) GTEST_SKIP() << "no /dev/full here";
  const auto status = (*full)->write(0, as_bytes("x"));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code(), ErrorCode::kLowSpace);
  EXPECT_THAT(status.error().message(), HasSubstr("/dev/full"));
  EXPECT_THAT(status.error().message(), HasSubstr("free space"));
}

TEST(ParentDirectory, OfEveryKindOfPath) {
  EXPECT_EQ(parent_directory("a/b/c"), "a/b");
  EXPECT_EQ(parent_directory("/a"), "/");
  EXPECT_EQ(parent_directory("a"), ".");
}

}  // namespace
}  // namespace runnel::storage
