// A read-only index shows what is applied to it as an index would, and leaves the disk as it is.
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "storage/index/index.h"
#include "tests/support/seeds.h"
#include "tests/support/sim_file_system.h"

namespace runnel::storage {
namespace {

using Plain = std::map<std::string, std::string>;

std::unique_ptr<Index> open(SimFileSystem& fs, bool read_only) {
  IndexOptions options;
  options.directory = "index";
  options.file_system = &fs;
  options.read_only = read_only;
  auto index = Index::open(std::move(options));
  EXPECT_TRUE(index) << index.error().to_string();
  return index ? std::move(*index) : nullptr;
}

std::string random_key(std::mt19937_64& rng) {
  std::string key(1, static_cast<char>('a' + rng() % 3));
  key += static_cast<char>('0' + rng() % 3);
  key += static_cast<char>('A' + rng() % 8);
  return key;
}

/// Some changes, made to `plain` as well.
Mutations changes(std::mt19937_64& rng, Plain& plain) {
  Mutations m;
  for (std::uint64_t i = 0; i <= rng() % 6; ++i) {
    std::string key = random_key(rng);
    switch (rng() % 5) {
      case 0:
        m.erase(Family::kMeta, key);
        plain.erase(key);
        break;
      case 1: {
        std::string end = std::max(key, random_key(rng));
        m.erase_range(Family::kMeta, key, end);
        plain.erase(plain.lower_bound(key), plain.lower_bound(end));
        break;
      }
      default:
        plain[key] = std::to_string(rng());
        m.put(Family::kMeta, key, plain[key]);
    }
  }
  return m;
}

void compare(const Index& index, const Plain& plain) {
  for (const std::string prefix : {"a", "b", "b1", "c"}) {
    Plain found;
    ASSERT_TRUE(index.scan_prefix(Family::kMeta, prefix, [&](auto key, auto value) {
      found.emplace(key, value);
      return true;
    }));
    Plain expected;
    Plain lasts;
    for (const auto& [key, value] : plain) {
      if (!key.starts_with(prefix)) continue;
      expected[key] = value;
      if (!lasts.empty() && lasts.rbegin()->first.starts_with(key.substr(0, 2))) {
        lasts.erase(std::prev(lasts.end()));
      }
      lasts[key] = value;
    }
    ASSERT_EQ(found, expected);
    found.clear();
    ASSERT_TRUE(index.scan_last_of_each(Family::kMeta, prefix, 2, [&](auto key, auto value) {
      found.emplace(key, value);
      return true;
    }));
    ASSERT_EQ(found, lasts) << prefix;
  }
  for (const char* key : {"a0A", "b1C", "c2H"}) {
    const auto value = index.get(Family::kMeta, key);
    ASSERT_TRUE(value);
    ASSERT_EQ(value->has_value(), plain.contains(key));
    if (*value) {
      ASSERT_EQ(**value, plain.at(key));
    }
  }
}

TEST(ReadOnlyIndex, ShowsWhatIsAppliedAndWritesNothing) {
  for_each_seed(1, 30, [](std::uint64_t seed) {
    SimFileSystem fs(seed);
    std::mt19937_64 rng(seed);
    Plain stored;
    {
      const auto index = open(fs, false);
      ASSERT_NE(index, nullptr);
      for (int i = 0; i < 10; ++i) ASSERT_TRUE(index->apply(changes(rng, stored)));
      ASSERT_TRUE(index->flush());
    }
    const auto before = fs.counters().bytes_written;
    Plain shown = stored;
    {
      const auto index = open(fs, true);
      ASSERT_NE(index, nullptr);
      for (int i = 0; i < 20; ++i) {
        ASSERT_NO_FATAL_FAILURE(compare(*index, shown));
        ASSERT_TRUE(index->apply(changes(rng, shown)));
      }
      ASSERT_NO_FATAL_FAILURE(compare(*index, shown));
      EXPECT_FALSE(index->flush());
    }
    const auto again = open(fs, true);
    ASSERT_NE(again, nullptr);
    ASSERT_NO_FATAL_FAILURE(compare(*again, stored));
    EXPECT_EQ(fs.counters().bytes_written, before);
  });
}

}  // namespace
}  // namespace runnel::storage
