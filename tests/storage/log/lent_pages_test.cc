// What was handed to a socket or pipe by sendfile are the file's own pages. They must stay as they
// are however late they are read, also when their segment is dead and removed by then.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <future>
#include <string>

#include "protocol/record_batch/record_batch.h"
#include "storage/env/manual_clock.h"
#include "storage/store.h"

namespace runnel::storage {
namespace {

constexpr std::size_t kLent = 32u << 10;  // fits into any pipe
constexpr std::uint64_t kSegmentBytes = 1u << 20;

class LentPages : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = std::filesystem::temp_directory_path() / "runnel-lent-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    directory = name;
    StoreOptions options;
    options.directory = directory + "/data";
    options.memory_bytes = 64u << 20;
    options.segment_bytes = kSegmentBytes;
    options.low_space_bytes = 0;
    options.ballast_bytes = 0;
    options.background = false;
    options.clock = &clock;
    auto opened = Store::open(options);
    ASSERT_TRUE(opened) << opened.error().to_string();
    store = std::move(*opened);
    ASSERT_EQ(::pipe(pipe_ends), 0);
  }
  void TearDown() override {
    store.reset();
    for (const int end : pipe_ends) ::close(end);
    std::filesystem::remove_all(directory);
  }
  PartitionRef create(const std::string& topic) {
    EXPECT_TRUE(store->create_topic({topic, 1, {{"retention.ms", "-1"}}}));
    return *store->partition(topic, PartitionIndex(0));
  }
  void append(const PartitionRef& partition, char letter, std::uint64_t bytes) {
    for (std::uint64_t done = 0; done < bytes; done += 60'000) {
      protocol::BatchBuilder builder;
      builder.add({Timestamp(1), std::nullopt, std::string(60'000, letter), {}});
      CommitRequest request;
      request.appends.push_back({partition, *builder.finish(), {}, std::nullopt});
      ASSERT_TRUE(store->commit_and_wait(std::move(request)).result);
    }
  }

  ManualClock clock;
  std::string directory;
  std::unique_ptr<Store> store;
  int pipe_ends[2] = {-1, -1};
};

TEST_F(LentPages, StayAsTheyWereWhenTheirSegmentIsDeadAndWritingGoesOn) {
  const PartitionRef x = create("x");
  append(x, 'x', 2 * kSegmentBytes);
  std::string expected(kLent, 0);
  {
    std::promise<FetchResult> promise;
    FetchRequest fetch;
    fetch.items.push_back({x, Offset(0), 1u << 20});
    store->fetch(std::move(fetch), [&](FetchResult r) { promise.set_value(std::move(r)); });
    const FetchResult result = promise.get_future().get();
    ASSERT_FALSE(result[0].slices.empty());
    const FileSlice& slice = result[0].slices[0];
    ASSERT_GE(slice.length, kLent);
    ASSERT_TRUE(
        slice.file->read_exactly(slice.position, std::as_writable_bytes(std::span(expected))));
    auto position = static_cast<off_t>(slice.position);
    ASSERT_EQ(::sendfile(pipe_ends[1], slice.file->descriptor(), &position, kLent),
              static_cast<ssize_t>(kLent));
  }
  // Nobody holds the slice any more, as after a session's last sendfile.
  ASSERT_TRUE(store->delete_topic("x"));
  const PartitionRef y = create("y");
  for (int i = 0; i < 4; ++i) {
    append(y, 'y', kSegmentBytes);
    clock.advance(std::chrono::seconds(10));  // a checkpoint is due: behind it segments can go
    ASSERT_TRUE(store->run_maintenance());
  }
  std::string seen(kLent, 0);
  for (std::size_t got = 0; got < kLent;) {
    const ssize_t n = ::read(pipe_ends[0], seen.data() + got, kLent - got);
    ASSERT_GT(n, 0);
    got += static_cast<std::size_t>(n);
  }
  EXPECT_TRUE(seen == expected) << "pages that were lent were written over";
}

}  // namespace
}  // namespace runnel::storage
