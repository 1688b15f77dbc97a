// The simulated disk keeps what was synced, may lose the rest, and fails when told to.
#include "tests/support/sim_file_system.h"

#include <gtest/gtest.h>

#include "tests/support/seeds.h"

namespace runnel::storage {
namespace {

constexpr CutMode kModes[] = {CutMode::kDropAll, CutMode::kPrefix, CutMode::kSectors};

std::shared_ptr<File> create(SimFileSystem& disk, const std::string& path) {
  auto file = disk.open(path, {.write = true, .create = true});
  EXPECT_TRUE(file) << file.error().message();
  return file ? *file : nullptr;
}

/// A file whose bytes and name are durable.
std::shared_ptr<File> durable(SimFileSystem& disk, const std::string& path, std::string_view text) {
  auto file = create(disk, path);
  EXPECT_TRUE(file->write(0, as_bytes(text)));
  EXPECT_TRUE(file->sync());
  EXPECT_TRUE(disk.sync_directory(parent_directory(path)));
  return file;
}

TEST(SimPowerCut, SyncedSurvivesAndUnsyncedIsDropped) {
  SimFileSystem disk(1);
  const auto file = durable(disk, "/a", "kept");
  ASSERT_TRUE(file->write(4, as_bytes("lost")));
  ASSERT_TRUE(file->write(0, as_bytes("K")));
  EXPECT_EQ(disk.read_file("/a").value(), "Keptlost");
  disk.power_cut(CutMode::kDropAll);
  EXPECT_EQ(disk.read_file("/a").value(), "kept");
}

TEST(SimPowerCut, NamesNeedTheirDirectorySynced) {
  SimFileSystem disk(1);
  durable(disk, "/old", "old");
  ASSERT_TRUE(disk.rename("/old", "/renamed"));
  ASSERT_TRUE(create(disk, "/created")->sync());
  disk.power_cut(CutMode::kDropAll);
  EXPECT_EQ(disk.read_file("/old").value(), "old");
  EXPECT_FALSE(disk.exists("/renamed"));
  EXPECT_FALSE(disk.exists("/created"));
  ASSERT_TRUE(disk.remove("/old"));
  disk.power_cut(CutMode::kDropAll);
  EXPECT_TRUE(disk.exists("/old"));
  ASSERT_TRUE(disk.remove("/old"));
  ASSERT_TRUE(disk.sync_directory("/"));
  disk.power_cut(CutMode::kDropAll);
  EXPECT_FALSE(disk.exists("/old"));
}

TEST(SimPowerCut, ARenameBetweenDirectoriesIsAllOrNothing) {
  for_each_seed(1, 200, [](std::uint64_t seed) {
    SimFileSystem disk(seed);
    ASSERT_TRUE(disk.create_directory("/a"));
    ASSERT_TRUE(disk.create_directory("/b"));
    ASSERT_TRUE(disk.sync_directory("/"));
    durable(disk, "/a/f", "text");
    create(disk, "/b/other");
    ASSERT_TRUE(disk.rename("/a/f", "/b/f"));
    create(disk, "/a/later");
    disk.power_cut(CutMode::kPrefix);
    EXPECT_NE(disk.exists("/a/f"), disk.exists("/b/f"));
    if (disk.exists("/b/f")) {
      EXPECT_TRUE(disk.exists("/b/other"));
    }
    if (disk.exists("/a/later")) {
      EXPECT_TRUE(disk.exists("/b/f"));
    }
  });
}

TEST(SimPowerCut, ReplaceFileIsOldOrNew) {
  for (const CutMode mode : kModes) {
    for_each_seed(1, 100, [mode](std::uint64_t seed) {
      const std::string one(3000, '1');
      const std::string two(5000, '2');
      SimFileSystem disk(seed);
      ASSERT_TRUE(disk.replace_file("/f", as_bytes(one)));
      disk.set_fault({.nth = 1 + seed % 5, .kind = FaultKind::kPowerOff, .cut = mode});
      const bool done = disk.replace_file("/f", as_bytes(two)).has_value();
      disk.power_off(mode);
      disk.boot();
      const auto text = disk.read_file("/f");
      ASSERT_TRUE(text);
      EXPECT_TRUE(*text == two || (!done && *text == one));
    });
  }
}

/// Each byte of the file after a cut is what was synced or something written to it since.
TEST(SimPowerCut, OnlyUnsyncedWritesChangeAnything) {
  for (const CutMode mode : kModes) {
    for_each_seed(1, 150, [mode](std::uint64_t seed) {
      SimFileSystem disk(seed);
      SeededRandom random(seed);
      const auto file = durable(disk, "/f", std::string(6000, 's'));
      std::string touched(6000, ' ');
      for (char letter = 'a'; letter < 'k'; ++letter) {
        const std::uint64_t position = random.next() % 5000;
        const std::string piece(random.next() % 1000, letter);
        ASSERT_TRUE(file->write(position, as_bytes(piece)));
        for (std::size_t i = 0; i < piece.size(); ++i) touched[position + i] = letter;
      }
      disk.power_cut(mode);
      const std::string after = disk.read_file("/f").value();
      ASSERT_GE(after.size(), 6000u);
      for (std::size_t i = 0; i < 6000; ++i) {
        if (touched[i] == ' ' || mode == CutMode::kDropAll) {
          ASSERT_EQ(after[i], 's') << i;
        } else {
          ASSERT_TRUE(after[i] == 's' || (after[i] >= 'a' && after[i] <= touched[i])) << i;
        }
      }
    });
  }
}

TEST(SimPowerCut, APrefixIsAPrefixAndSectorsMayLeaveHoles) {
  bool torn = false;
  bool hole = false;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    for (const CutMode mode : {CutMode::kPrefix, CutMode::kSectors}) {
      SimFileSystem disk(seed);
      const auto file = durable(disk, "/f", "");
      for (int i = 0; i < 4; ++i) {
        ASSERT_TRUE(
            file->write(static_cast<std::uint64_t>(i) * 1024, as_bytes(std::string(1024, 'x'))));
      }
      disk.power_cut(mode);
      const std::string after = disk.read_file("/f").value();
      const std::size_t gap = after.find('\0');
      if (mode == CutMode::kPrefix) {
        EXPECT_EQ(gap, std::string::npos);
        torn = torn || after.size() % 1024 == 512;
      } else {
        hole = hole || (gap != std::string::npos && after.find('x', gap) != std::string::npos);
      }
    }
  }
  EXPECT_TRUE(torn);
  EXPECT_TRUE(hole);
}

TEST(SimPowerCut, ShrinkingIsDurableAfterSyncOnly) {
  SimFileSystem disk(1);
  const auto file = durable(disk, "/f", "123456");
  ASSERT_TRUE(file->truncate(2));
  disk.power_cut(CutMode::kDropAll);
  EXPECT_EQ(disk.read_file("/f").value(), "123456");
  for_each_seed(1, 100, [](std::uint64_t seed) {
    SimFileSystem other(seed);
    const auto again = durable(other, "/f", "123456");
    ASSERT_TRUE(again->truncate(2));
    ASSERT_TRUE(again->write(2, as_bytes("x")));
    other.power_cut(CutMode::kSectors);
    const std::string after = other.read_file("/f").value();
    EXPECT_TRUE(after == "123456" || after == "12" || after == "12x" ||
                after == std::string("12\0", 3))
        << after;
  });
}

TEST(SimPowerCut, OldFilesAndLocksAreDead) {
  SimFileSystem disk(1);
  const auto file = durable(disk, "/f", "x");
  auto lock = disk.lock("/LOCK");
  ASSERT_TRUE(lock);
  disk.power_cut(CutMode::kDropAll);
  std::byte into{};
  EXPECT_EQ(file->read(0, {&into, 1}).error().code(), ErrorCode::kIo);
  EXPECT_EQ(file->write(0, as_bytes("y")).error().code(), ErrorCode::kIo);
  EXPECT_EQ(file->sync().error().code(), ErrorCode::kIo);
  auto next = disk.lock("/LOCK");
  ASSERT_TRUE(next);
  lock->reset();  // the dead process's destructor frees nothing of the new one
  EXPECT_EQ(disk.lock("/LOCK").error().code(), ErrorCode::kLocked);
  disk.kill_process();
  EXPECT_TRUE(disk.lock("/LOCK"));
  EXPECT_EQ(disk.read_file("/f").value(), "x");
}

TEST(SimPowerCut, NothingWorksWithoutPower) {
  SimFileSystem disk(1);
  durable(disk, "/f", "x");
  disk.power_off(CutMode::kDropAll);
  EXPECT_EQ(disk.read_file("/f").error().code(), ErrorCode::kIo);
  EXPECT_EQ(disk.remove("/f").error().code(), ErrorCode::kIo);
  EXPECT_FALSE(disk.exists("/f"));
  disk.boot();
  EXPECT_EQ(disk.read_file("/f").value(), "x");
}

TEST(SimPowerCut, TheSameSeedGivesTheSameDisk) {
  const auto run = [](std::uint64_t seed) {
    SimFileSystem disk(seed);
    std::string all;
    for (int round = 0; round < 5; ++round) {
      for (int i = 0; i < 10; ++i) {
        const auto file = create(disk, "/f" + std::to_string(i));
        EXPECT_TRUE(file->write(0, as_bytes(std::string(2000, static_cast<char>('a' + round)))));
        if (i % 3 == 0) {
          EXPECT_TRUE(file->sync());
        }
      }
      disk.power_cut(kModes[round % 3]);
      for (const auto& info : disk.files()) all += info.path + *disk.read_file(info.path);
    }
    return all;
  };
  EXPECT_EQ(run(7), run(7));
  EXPECT_NE(run(7), run(8));
}

TEST(SimPowerCut, ALyingSyncKeepsNothing) {
  SimFileSystem disk(1);
  const auto file = durable(disk, "/f", "old");
  disk.set_lying_sync(true);
  ASSERT_TRUE(file->write(0, as_bytes("new")));
  ASSERT_TRUE(file->sync());
  ASSERT_TRUE(disk.rename("/f", "/g"));
  ASSERT_TRUE(disk.sync_directory("/"));
  disk.power_cut(CutMode::kDropAll);
  EXPECT_EQ(disk.read_file("/f").value(), "old");
}

TEST(SimFault, TheNthOperationFailsOnceOrEver) {
  SimFileSystem disk(1);
  const auto file = durable(disk, "/f", "");
  disk.set_fault({.nth = 2, .operations = static_cast<std::uint32_t>(SimOperation::kWrite)});
  EXPECT_TRUE(file->write(0, as_bytes("a")));
  EXPECT_TRUE(file->sync());
  EXPECT_FALSE(disk.fault_struck());
  EXPECT_EQ(file->write(1, as_bytes("b")).error().code(), ErrorCode::kIo);
  EXPECT_TRUE(disk.fault_struck());
  EXPECT_TRUE(file->write(1, as_bytes("c")));
  disk.set_fault({.kind = FaultKind::kLowSpace, .sticky = true, .path_contains = "/f"});
  EXPECT_TRUE(disk.create_directory("/d"));
  EXPECT_EQ(file->allocate(10).error().code(), ErrorCode::kLowSpace);
  EXPECT_EQ(file->write(0, as_bytes("d")).error().code(), ErrorCode::kLowSpace);
  disk.clear_fault();
  EXPECT_TRUE(file->write(2, as_bytes("e")));
  EXPECT_EQ(disk.read_file("/f").value(), "ace");
}

TEST(SimFault, AShortWriteLandsInPart) {
  for_each_seed(1, 20, [](std::uint64_t seed) {
    SimFileSystem disk(seed);
    const auto file = durable(disk, "/f", "");
    disk.set_fault({.kind = FaultKind::kShortWrite});
    EXPECT_EQ(file->write(0, as_bytes("abcdef")).error().code(), ErrorCode::kIo);
    const std::string after = disk.read_file("/f").value();
    EXPECT_EQ(after, std::string("abcdef").substr(0, after.size()));
  });
}

TEST(SimFault, AFailedSyncIsNotMendedByAnother) {
  SimFileSystem disk(1);
  const auto file = durable(disk, "/f", "old");
  ASSERT_TRUE(file->write(0, as_bytes("new")));
  disk.set_fault({.operations = static_cast<std::uint32_t>(SimOperation::kSync)});
  EXPECT_FALSE(file->sync());
  EXPECT_TRUE(file->sync());
  EXPECT_EQ(disk.read_file("/f").value(), "new");
  disk.power_cut(CutMode::kPrefix);
  EXPECT_EQ(disk.read_file("/f").value(), "old");
}

TEST(SimFault, AFullDiskTakesWhatFits) {
  SimFileSystem disk(1);
  disk.set_capacity(10);
  const auto file = create(disk, "/f");
  EXPECT_TRUE(file->write(0, as_bytes("12345678")));
  EXPECT_EQ(file->write(8, as_bytes("9abc")).error().code(), ErrorCode::kLowSpace);
  EXPECT_EQ(disk.read_file("/f").value(), "123456789a");
  EXPECT_TRUE(file->write(0, as_bytes("x")));
  EXPECT_EQ(disk.space("/").value().available_bytes, 0u);
  EXPECT_EQ(create(disk, "/g")->allocate(1).error().code(), ErrorCode::kLowSpace);
  ASSERT_TRUE(disk.remove("/f"));
  EXPECT_EQ(disk.space("/").value().available_bytes, 0u) << "still open";
  disk.kill_process();
  EXPECT_EQ(disk.space("/").value().available_bytes, 10u);
  EXPECT_TRUE(create(disk, "/g")->allocate(10));
}

TEST(SimDamage, BitsFlipFilesShrinkAndVanish) {
  SimFileSystem disk(1);
  durable(disk, "/f", "abc");
  EXPECT_TRUE(disk.flip_bit("/f", 1, 0));
  EXPECT_FALSE(disk.flip_bit("/f", 3));
  EXPECT_TRUE(disk.damage_truncate("/f", 2));
  disk.power_cut(CutMode::kDropAll);
  EXPECT_EQ(disk.read_file("/f").value(), "ac");
  EXPECT_TRUE(disk.damage_remove("/f"));
  EXPECT_FALSE(disk.damage_remove("/f"));
  disk.power_cut(CutMode::kDropAll);
  EXPECT_TRUE(disk.files().empty());
}

TEST(SimCounters, CountWritesAndSyncs) {
  SimFileSystem disk(1);
  durable(disk, "/f", "abc");
  const SimCounters counters = disk.counters();
  EXPECT_EQ(counters.bytes_written, 3u);
  EXPECT_EQ(counters.syncs, 1u);
  EXPECT_EQ(counters.directory_syncs, 1u);
  EXPECT_EQ(counters.operations, 4u);
}

}  // namespace
}  // namespace runnel::storage
