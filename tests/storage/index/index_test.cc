// The index: seeks over runs of keys, and scans that may not wait for a disk.
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

TEST(Index, AScanThatMayNotWaitReadsNoDisk) {
  SimFileSystem fs(1);
  IndexOptions options;
  options.directory = "index";
  options.file_system = &fs;
  auto opened = Index::open(std::move(options));
  ASSERT_TRUE(opened) << opened.error().to_string();
  Index& index = **opened;
  constexpr int kKeys = 1000;
  const auto key = [](int i) { return std::to_string(10'000 + i); };
  Mutations all;
  for (int i = 0; i < kKeys; ++i) all.put(Family::kIndex, key(i), std::string(100, 'v'));
  ASSERT_TRUE(index.apply(all));

  std::vector<std::string> seen;
  const auto visit = [&](std::string_view k, std::string_view) {
    seen.emplace_back(k);
    return true;
  };
  /// Whether all was in memory; what was seen is right in any case.
  const auto in_memory = [&](bool from_floor) {
    seen.clear();
    const auto before = fs.counters().bytes_read;
    const auto whole =
        from_floor
            ? index.scan_from_floor(Family::kIndex, "", key(0), "2", Index::Reads::kMemory, visit)
            : index.scan(Family::kIndex, "", "2", Index::Reads::kMemory, visit);
    EXPECT_TRUE(whole) << whole.error().to_string();
    EXPECT_EQ(fs.counters().bytes_read, before);
    for (std::size_t i = 0; i < seen.size(); ++i) EXPECT_EQ(seen[i], key(static_cast<int>(i)));
    EXPECT_EQ(whole.value_or(false), seen.size() == kKeys);
    return whole.value_or(false);
  };
  for (const bool from_floor : {false, true}) EXPECT_TRUE(in_memory(from_floor));
  ASSERT_TRUE(index.flush());
  for (const bool from_floor : {false, true}) EXPECT_FALSE(in_memory(from_floor));
  EXPECT_TRUE(seen.empty());
  ASSERT_TRUE(index.scan(Family::kIndex, key(0), key(kKeys / 2), visit));
  for (const bool from_floor : {false, true}) EXPECT_FALSE(in_memory(from_floor));
  EXPECT_GE(seen.size(), std::size_t{kKeys / 2}) << "so far it is there";
  ASSERT_TRUE(index.scan(Family::kIndex, "", "2", visit));
  for (const bool from_floor : {false, true}) EXPECT_TRUE(in_memory(from_floor));
}

}  // namespace
}  // namespace runnel::storage
