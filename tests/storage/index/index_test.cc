// The index: seeks over runs of keys.
#include "storage/index/index.h"

#include <gtest/gtest.h>

#include "tests/support/sim_file_system.h"

namespace runnel::storage {
namespace {

TEST(Index, TheLastOfEachRunOfKeysIsFound) {
  SimFileSystem fs(1);
  IndexOptions options;
  options.directory = "index";
  options.file_system = &fs;
  auto opened = Index::open(std::move(options));
  ASSERT_TRUE(opened) << opened.error().to_string();
  Index& index = **opened;
  const auto lasts = [&](std::string_view prefix) {
    std::vector<std::string> found;
    const auto scanned = index.scan_last_of_each(Family::kIndex, prefix, 2, [&](auto key, auto) {
      found.emplace_back(key);
      return found.size() < 4;
    });
    EXPECT_TRUE(scanned);
    return found;
  };
  using Keys = std::vector<std::string>;
  EXPECT_EQ(lasts("c"), Keys{});
  Mutations some;
  for (const char* key : {"bz9", "ca1", "ca2", "ca22", "cc0", "cd1", "cd3", "da1"}) {
    some.put(Family::kIndex, key, "");
  }
  ASSERT_TRUE(index.apply(some));
  EXPECT_EQ(lasts("c"), (Keys{"ca22", "cc0", "cd3"}));
  EXPECT_EQ(lasts("d"), Keys{"da1"});
  EXPECT_EQ(lasts("e"), Keys{});
  Mutations ends;
  ends.put(Family::kIndex, "c\xff\xff", "");
  ends.put(Family::kIndex,
           "\xff\xff"
           "1",
           "");
  ends.put(Family::kIndex,
           "\xff\xff"
           "2",
           "");
  ASSERT_TRUE(index.apply(ends));
  EXPECT_EQ(lasts("c"), (Keys{"ca22", "cc0", "cd3", "c\xff\xff"}));
  EXPECT_EQ(lasts("\xff"), Keys{"\xff\xff"
                                "2"});
  ASSERT_TRUE(index.flush());
  EXPECT_EQ(lasts(""), (Keys{"bz9", "ca22", "cc0", "cd3"})) << "the visitor ends it";
}

}  // namespace
}  // namespace runnel::storage
