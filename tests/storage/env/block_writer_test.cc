// What is appended past the page cache is what is read back: through the page cache, at any time,
// on the machine's own file system and on the simulated one.
#include "storage/env/block_writer.h"

#include <gtest/gtest.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <random>
#include <thread>

#include "tests/support/sim_file_system.h"

namespace runnel::storage {
namespace {

constexpr std::uint64_t kFileBytes = 8u << 20;

class BlockWriterTest : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    std::string directory = "/data";
    if (GetParam()) {
      directory = std::filesystem::temp_directory_path() / "runnel-blocks-XXXXXX";
      ASSERT_NE(::mkdtemp(directory.data()), nullptr);
      remove_ = directory;
      fs_ = &FileSystem::posix();
    } else {
      ASSERT_TRUE(sim_.create_directory(directory));
    }
    path_ = directory + "/a";
    auto file = fs_->open(path_, {.write = true, .create = true});
    ASSERT_TRUE(file);
    file_ = *file;
    ASSERT_TRUE(file_->allocate(kFileBytes));
    content_.resize(kFileBytes);
    for (char& c : content_) c = static_cast<char>(random_());
    auto direct = fs_->open(path_, {.write = true, .direct = true});
    ASSERT_TRUE(direct);
    if ((*direct)->block_bytes() == 1) GTEST_SKIP() << "no direct writes in " << directory;
    go_on_at(0);
  }
  void TearDown() override {
    if (!remove_.empty()) std::filesystem::remove_all(remove_);
  }
  void go_on_at(std::uint64_t end) {
    writer_.reset();
    auto direct = fs_->open(path_, {.write = true, .direct = true});
    ASSERT_TRUE(direct);
    auto writer = BlockWriter::open(*direct, end);
    ASSERT_TRUE(writer) << writer.error().to_string();
    writer_ = std::move(*writer);
  }
  /// The next `bytes` of content_, in several parts.
  void append(std::size_t bytes) {
    std::vector<iovec> parts{{nullptr, 0}};
    char* at = content_.data() + writer_->end();
    const std::uint64_t end = writer_->end() + bytes;
    for (std::size_t left = bytes; left != 0;) {
      const std::size_t part = std::min<std::size_t>(left, 1 + random_() % bytes);
      parts.push_back({at, part});
      at += part;
      left -= part;
    }
    ASSERT_TRUE(writer_->append(parts));
    ASSERT_EQ(writer_->end(), end);
  }
  void expect_content(std::uint64_t from, std::uint64_t to) {
    std::string seen(to - from, '?');
    ASSERT_TRUE(file_->read_exactly(from, std::as_writable_bytes(std::span(seen))));
    EXPECT_TRUE(seen == content_.substr(from, to - from)) << from << " to " << to;
  }

  std::mt19937 random_{7};
  SimFileSystem sim_{1};
  FileSystem* fs_ = &sim_;
  std::string path_;
  std::string remove_;
  std::shared_ptr<File> file_;  ///< through the page cache
  std::unique_ptr<BlockWriter> writer_;
  std::string content_;
};

INSTANTIATE_TEST_SUITE_P(All, BlockWriterTest, ::testing::Values(true, false),
                         [](const auto& test) { return test.param ? "posix" : "simulated"; });

TEST_P(BlockWriterTest, WhatIsAppendedIsReadAtEveryStepAndAfterGoingOn) {
  for (int i = 0; i < 150; ++i) {
    const std::uint64_t before = writer_->end();
    const std::size_t sizes[] = {1, 64, 4096, 1 + random_() % 8192, 1 + random_() % 60'000};
    ASSERT_NO_FATAL_FAILURE(append(sizes[random_() % 5]));
    ASSERT_TRUE(file_->sync());
    // From the block before: it was written again.
    expect_content(before - std::min<std::uint64_t>(before, 5000), writer_->end());
    if (i % 20 != 19) continue;
    ASSERT_NO_FATAL_FAILURE(go_on_at(writer_->end()));
  }
  expect_content(0, writer_->end());
  std::string behind(4096 - writer_->end() % 4096, '?');
  ASSERT_TRUE(file_->read_exactly(writer_->end(), std::as_writable_bytes(std::span(behind))));
  EXPECT_EQ(behind, std::string(behind.size(), '\0'));
  EXPECT_EQ(file_->size().value(), kFileBytes);
}

TEST_P(BlockWriterTest, MoreThanItsMemoryAtOnce) {
  ASSERT_NO_FATAL_FAILURE(append(77));
  ASSERT_NO_FATAL_FAILURE(append(3 * BlockWriter::kBytes + 100));
  ASSERT_NO_FATAL_FAILURE(append(BlockWriter::kBytes - writer_->end() % BlockWriter::kBytes));
  EXPECT_EQ(writer_->end() % BlockWriter::kBytes, 0u);
  ASSERT_NO_FATAL_FAILURE(append(5));
  expect_content(0, writer_->end());
}

TEST_P(BlockWriterTest, AFileThatEndsBeforeIsRefused) {
  ASSERT_TRUE(file_->truncate(5000));
  auto direct = fs_->open(path_, {.write = true, .direct = true});
  ASSERT_TRUE(direct);
  EXPECT_EQ(BlockWriter::open(*direct, 5001).error().code(), ErrorCode::kCorrupt);
  EXPECT_TRUE(BlockWriter::open(*direct, 5000));
}

// Those who read through the page cache have the page that the end lies in there, and it is written
// again behind it: at every sync, all that is durable must be what was appended.
TEST_P(BlockWriterTest, ReadersThatFollowSeeWhatIsDurable) {
  if (!GetParam()) GTEST_SKIP() << "about the page cache";
  std::atomic<std::uint64_t> durable{0};
  std::atomic<bool> done{false};
  std::atomic<int> wrong{0};
  std::atomic<std::uint64_t> looks{0};
  const auto follow = [&](bool sends) {
    int ends[2] = {-1, -1};
    ASSERT_EQ(::pipe(ends), 0);
    std::string seen(32u << 10, '?');
    while (!done && wrong == 0) {
      const std::uint64_t to = durable;
      const std::uint64_t bytes = std::min<std::uint64_t>(to, seen.size());
      const MutableBytes into(reinterpret_cast<std::byte*>(seen.data()), bytes);
      auto from = static_cast<off_t>(to - bytes);
      if (sends) {
        std::size_t got = 0;
        if (bytes != 0) {
          ASSERT_EQ(::sendfile(ends[1], file_->descriptor(), &from, bytes),
                    static_cast<ssize_t>(bytes));
        }
        while (got < bytes) {
          const ssize_t n = ::read(ends[0], seen.data() + got, bytes - got);
          ASSERT_GT(n, 0);
          got += static_cast<std::size_t>(n);
        }
      } else {
        ASSERT_TRUE(file_->read_exactly(to - bytes, into));
      }
      if (content_.compare(to - bytes, bytes, seen, 0, bytes) != 0) ++wrong;
      ++looks;
    }
    for (const int end : ends) ::close(end);
  };
  std::thread reads([&] { follow(false); });
  std::thread sends([&] { follow(true); });
  while (writer_->end() + 20'000 < kFileBytes && !HasFailure()) {
    append(random_() % 3 == 0 ? 1 + random_() % 20'000 : 1 + random_() % 500);
    EXPECT_TRUE(file_->sync());
    durable = writer_->end();
    const std::uint64_t before = looks;
    while (random_() % 4 == 0 && looks == before && wrong == 0) std::this_thread::yield();
  }
  done = true;
  reads.join();
  sends.join();
  EXPECT_EQ(wrong, 0);
  expect_content(0, writer_->end());
}

TEST(DirectFiles, AFileSystemThatCannotIsWrittenToAsEver) {
  auto file = FileSystem::posix().open("/proc/self/oom_score_adj", {.write = true, .direct = true});
  if (!file) GTEST_SKIP() << file.error().to_string();
  EXPECT_EQ((*file)->block_bytes(), 1u);
}

TEST(DirectFiles, UnalignedWritesFailInTheSimulationAsTheyMay) {
  SimFileSystem sim(1);
  ASSERT_TRUE(sim.create_directory("/data"));
  auto file = sim.open("/data/a", {.write = true, .create = true, .direct = true});
  ASSERT_TRUE(file);
  EXPECT_FALSE((*file)->write(0, as_bytes("short")));
}

}  // namespace
}  // namespace runnel::storage
