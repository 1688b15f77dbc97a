// Looking for frames reads no block that was reserved and never written.
#include "storage/segments/frame_reader.h"

#include <gtest/gtest.h>

#include "tests/storage/segments/journal_fixture.h"

namespace runnel::storage {
namespace {

/// A file of which only some ranges hold data, as it says at first. As on a real disk, what is read
/// counts as data from then on, and a bit more, because the kernel reads ahead.
class SparseFile final : public File {
 public:
  SparseFile(std::shared_ptr<File> file, std::vector<FileRange> data)
      : file_(std::move(file)), data_(std::move(data)) {}

  using File::write;
  Result<std::size_t> read(std::uint64_t position, MutableBytes into) const override {
    bytes_read_ += into.size();
    data_.push_back({position, position + into.size() + kReadWindowBytes});
    return file_->read(position, into);
  }
  Status write(std::uint64_t position, std::span<iovec> parts) override {
    return file_->write(position, parts);
  }
  Status sync() override { return file_->sync(); }
  Status allocate(std::uint64_t size) override { return file_->allocate(size); }
  Status truncate(std::uint64_t size) override { return file_->truncate(size); }
  Result<std::uint64_t> size() const override { return file_->size(); }
  bool resident(std::uint64_t, std::uint64_t) const override { return true; }
  Result<std::vector<FileRange>> data_ranges() const override { return data_; }
  void will_need(std::uint64_t, std::uint64_t) const override {}
  void dont_need(std::uint64_t, std::uint64_t) const override {}
  int descriptor() const noexcept override { return -1; }
  const std::string& path() const noexcept override { return file_->path(); }

  std::uint64_t bytes_read() const { return bytes_read_; }

 private:
  std::shared_ptr<File> file_;
  mutable std::vector<FileRange> data_;
  mutable std::uint64_t bytes_read_ = 0;
};

TEST(FrameReader, FindsFramesBehindHolesWithoutReadingTheHoles) {
  constexpr std::uint64_t kSize = 256u << 20;
  JournalBox box(1, kSize);
  ASSERT_TRUE(box.open().status);
  const auto first = box.append("a", "1");
  const auto second = box.append("b", "2");
  ASSERT_TRUE(first && second);
  auto file = box.disk.open(JournalBox::segment_path(1), {});
  ASSERT_TRUE(file);
  const std::uint64_t end = second->position.offset + second->total_bytes();
  const auto sparse =
      std::make_shared<SparseFile>(*file, std::vector<FileRange>{{0, first->position.offset + 1},
                                                                 {second->position.offset, end},
                                                                 {kSize / 2, kSize / 2 + 4096}});
  FrameReader reader(sparse, 1, kSize, box.options.frame_seed);
  std::uint64_t offset = kSegmentHeaderBytes;
  for (const auto* expected : {&*first, &*second}) {
    const auto found = reader.find(offset);
    ASSERT_TRUE(found && *found);
    EXPECT_EQ((*found)->header.position, expected->position);
    offset = expected->position.offset + expected->total_bytes();
  }
  const auto none = reader.find(offset);
  ASSERT_TRUE(none);
  EXPECT_FALSE(*none);
  EXPECT_LE(sparse->bytes_read(), 4 * kReadWindowBytes);
}

}  // namespace
}  // namespace runnel::storage
