#include "storage/index/manifest_tail.h"

#include <gtest/gtest.h>

#include "storage/index/index.h"
#include "tests/support/sim_file_system.h"

namespace runnel::storage {
namespace {

class ManifestTail : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(fs.create_directory("db"));
    open();
    Mutations m;
    m.put(Family::kMeta, "k", "v");
    ASSERT_TRUE(index->apply(m));
    ASSERT_TRUE(index->flush());
    index.reset();
    auto current = fs.read_file("db/CURRENT");
    ASSERT_TRUE(current);
    current->pop_back();
    path = "db/" + *current;
    ASSERT_TRUE(fs.read_file(path));
    size = fs.read_file(path)->size();
  }
  Status open() {
    IndexOptions options;
    options.directory = "db";
    options.file_system = &fs;
    RUNNEL_TRY_ASSIGN(index, Index::open(std::move(options)));
    return {};
  }
  void append(std::string bytes) {
    const auto file = fs.open(path, {.write = true});
    ASSERT_TRUE(file);
    ASSERT_TRUE((*file)->write(size, as_bytes(bytes)));
  }

  SimFileSystem fs{1};
  std::unique_ptr<Index> index;
  std::string path;
  std::uint64_t size = 0;
};

TEST_F(ManifestTail, ASoundFileIsLeftAlone) {
  EXPECT_FALSE(cut_torn_manifest_tail(fs, "db").value());
  EXPECT_FALSE(cut_torn_manifest_tail(fs, "nowhere").value());
}

TEST_F(ManifestTail, AnUnfinishedRecordIsCutOffAndTheIndexOpens) {
  // A header that announces five bytes, and five bytes that are not what was summed.
  append(std::string("\x01\x02\x03\x04\x05\x00\x01garba", 12));
  EXPECT_TRUE(has_torn_manifest_tail(fs, "db").value());
  ASSERT_TRUE(cut_torn_manifest_tail(fs, "db").value());
  EXPECT_FALSE(has_torn_manifest_tail(fs, "db").value());
  EXPECT_EQ(fs.read_file(path)->size(), size);
  ASSERT_TRUE(open());
  EXPECT_EQ(index->get(Family::kMeta, "k")->value(), "v");
}

TEST_F(ManifestTail, RocksDbAloneWouldRefuseIt) {
  // The reason for all this: opening read-only does not mend, and fails.
  append(std::string("\x01\x02\x03\x04\x05\x00\x01garba", 12));
  IndexOptions options;
  options.directory = "db";
  options.file_system = &fs;
  options.read_only = true;
  EXPECT_FALSE(Index::open(std::move(options)));
}

TEST_F(ManifestTail, DamageBeforeGoodRecordsIsNotATornTail) {
  ASSERT_TRUE(fs.flip_bit(path, 20));
  const auto before = fs.read_file(path);
  EXPECT_FALSE(cut_torn_manifest_tail(fs, "db").value());
  EXPECT_EQ(*fs.read_file(path), *before);
  EXPECT_FALSE(open());
}

}  // namespace
}  // namespace runnel::storage
