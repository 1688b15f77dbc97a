// The state store on RocksDB: atomic, in order, snapshots, and a power cut loses the end at most.
#include "storage/index/rocksdb_state_store.h"

#include <gtest/gtest.h>

#include <map>

#include "tests/support/seeds.h"
#include "tests/support/sim_file_system.h"

namespace runnel::storage {
namespace {

using Entries = std::map<std::string, std::string>;

std::unique_ptr<StateStore> open(SimFileSystem& fs) {
  if (!fs.exists("views")) {
    EXPECT_TRUE(fs.create_directory("views"));
    EXPECT_TRUE(fs.sync_directory("."));
  }
  StateStoreOptions options;
  options.directory = "views";
  options.file_system = &fs;
  options.memory_bytes = 1u << 20;
  auto store = open_state_store(std::move(options));
  EXPECT_TRUE(store) << store.error().to_string();
  return std::move(*store);
}

Entries all(const StateReader& reader) {
  Entries entries;
  EXPECT_TRUE(reader.scan("", "", [&](std::string_view key, std::string_view value) {
    entries.emplace(key, value);
    return true;
  }));
  return entries;
}

TEST(RocksdbStateStore, ReadsWhatWasWritten) {
  SimFileSystem fs(1);
  auto store = open(fs);
  StateWrites writes;
  writes.put("a", "1");
  writes.put("b", "2");
  writes.put("c", "");
  writes.erase("a");
  ASSERT_TRUE(store->apply(writes));
  std::string value;
  EXPECT_FALSE(*store->get("a", value));
  ASSERT_TRUE(*store->get("b", value));
  EXPECT_EQ(value, "2");
  EXPECT_EQ(all(*store), (Entries{{"b", "2"}, {"c", ""}}));
  std::vector<std::string> some;
  ASSERT_TRUE(store->scan("a", "c", [&](std::string_view key, std::string_view) {
    some.emplace_back(key);
    return true;
  }));
  EXPECT_EQ(some, std::vector<std::string>{"b"});
  const auto before = store->snapshot();
  ASSERT_TRUE(store->erase_range("b", "c"));
  EXPECT_EQ(all(*store), (Entries{{"c", ""}}));
  EXPECT_EQ(all(*before), (Entries{{"b", "2"}, {"c", ""}})) << "a snapshot stays as it was";
}

TEST(RocksdbStateStore, ASnapshotIsSharedUntilSomethingIsWritten) {
  SimFileSystem fs(1);
  auto store = open(fs);
  StateWrites writes;
  writes.put("a", "1");
  ASSERT_TRUE(store->apply(writes));
  std::weak_ptr<const StateReader> before = store->snapshot();
  EXPECT_EQ(before.lock(), store->snapshot());
  writes.put("a", "2");
  ASSERT_TRUE(store->apply(writes));
  EXPECT_TRUE(before.expired()) << "it would keep what was overwritten";
  EXPECT_EQ(all(*store->snapshot()), (Entries{{"a", "2"}}));
  const auto now = store->snapshot();
  ASSERT_TRUE(store->erase_range("a", "b"));
  EXPECT_NE(now, store->snapshot());
  EXPECT_EQ(all(*store->snapshot()), Entries());
}

TEST(RocksdbStateStore, LooksUpManyKeysAsItDoesOne) {
  SimFileSystem fs(2);
  auto store = open(fs);
  StateWrites writes;
  std::vector<std::string> keys;
  for (int i = 0; i < 100; ++i) {
    keys.push_back("key" + std::to_string(1000 + i));
    if (i % 3 != 0) writes.put(keys.back(), "value" + std::to_string(i));
    if (i == 50) {  // a part in files, a part in memory
      ASSERT_TRUE(store->apply(std::exchange(writes, {})));
      ASSERT_TRUE(store->flush());
    }
  }
  ASSERT_TRUE(store->apply(writes));
  const auto snapshot = store->snapshot();
  StateWrites later;
  later.erase(keys[1]);
  ASSERT_TRUE(store->apply(later));

  const std::vector<std::string_view> wanted(keys.begin(), keys.end());
  const auto found = [&](const StateReader& reader, std::size_t at_most) {
    Entries entries;
    EXPECT_TRUE(reader.get_each(wanted, [&](std::string_view key, std::string_view value) {
      EXPECT_TRUE(entries.empty() || entries.rbegin()->first < key);
      entries.emplace(key, value);
      return entries.size() < at_most;
    }));
    return entries;
  };
  Entries expected = all(*snapshot);
  EXPECT_EQ(found(*snapshot, 1000), expected);
  EXPECT_EQ(expected.erase(keys[1]), 1U);
  EXPECT_EQ(found(*store, 1000), expected);
  EXPECT_EQ(found(*store, 20).size(), 20U) << "ends where it is told to";
}

TEST(RocksdbStateStore, ClosingLosesNothing) {
  SimFileSystem fs(1);
  StateWrites writes;
  writes.put("a", "1");
  ASSERT_TRUE(open(fs)->apply(writes));
  EXPECT_EQ(all(*open(fs)), (Entries{{"a", "1"}}));
}

TEST(RocksdbStateStore, ASnapshotOutlivesTheStore) {
  SimFileSystem fs(1);
  auto store = open(fs);
  StateWrites writes;
  writes.put("a", "1");
  ASSERT_TRUE(store->apply(writes));
  const auto snapshot = store->snapshot();
  store.reset();
  EXPECT_EQ(all(*snapshot), (Entries{{"a", "1"}}));
}

/// Every write changes two keys together and a number that grows.
TEST(RocksdbStateStore, APowerCutLeavesAPrefixOfTheWrites) {
  for_each_seed(1, 30, [](std::uint64_t seed) {
    SeededRandom random(seed);
    SimFileSystem fs(seed);
    std::uint64_t written = 0;
    std::uint64_t flushed = 0;
    auto store = open(fs);
    for (int round = 0; round < 4; ++round) {
      const std::uint64_t writes = random.next() % 40;
      for (std::uint64_t i = 0; i < writes; ++i) {
        ++written;
        StateWrites batch;
        const std::string number = std::to_string(written);
        batch.put("cursor", number);
        batch.put("group" + std::to_string(written % 7), number);
        batch.put("filler" + number, std::string(2000, 'x'));
        ASSERT_TRUE(store->apply(batch));
        if (random.next() % 20 == 0) {
          ASSERT_TRUE(store->flush());
          flushed = written;
        }
      }
      fs.power_off(CutMode::kPrefix);
      store.reset();
      fs.boot();
      store = open(fs);
      Entries entries = all(*store);
      const std::uint64_t cursor =
          entries.contains("cursor") ? std::stoull(entries.at("cursor")) : 0;
      ASSERT_GE(cursor, flushed);
      ASSERT_LE(cursor, written);
      Entries expected;
      if (cursor > 0) expected["cursor"] = std::to_string(cursor);
      for (std::uint64_t n = 1; n <= cursor; ++n) {
        expected["group" + std::to_string(n % 7)] = std::to_string(n);
        expected["filler" + std::to_string(n)] = std::string(2000, 'x');
      }
      ASSERT_EQ(entries, expected);
      written = flushed = cursor;
    }
  });
}

}  // namespace
}  // namespace runnel::storage
