#include "storage/segments/space_guard.h"

#include <gtest/gtest.h>

#include "tests/support/sim_file_system.h"

namespace runnel::storage {
namespace {

constexpr std::uint64_t kMiB = 1u << 20;

class SpaceGuardTest : public ::testing::Test {
 protected:
  SpaceGuardTest() {
    EXPECT_TRUE(disk.create_directory("/data"));
    disk.set_capacity(1000 * kMiB);
  }
  std::unique_ptr<SpaceGuard> guard() {
    return std::make_unique<SpaceGuard>(
        SpaceGuardOptions{"/data", "/data/ballast", 100 * kMiB, 16 * kMiB, &disk});
  }
  /// Makes `free` bytes free by a file of other data.
  void leave_free(std::uint64_t free) {
    const std::uint64_t ballast = disk.exists("/data/ballast") ? 16 * kMiB : 0;
    auto file = disk.open("/data/other", {.write = true, .create = true});
    ASSERT_TRUE(file);
    ASSERT_TRUE((*file)->truncate(0));
    ASSERT_TRUE((*file)->truncate(1000 * kMiB - ballast - free));
  }
  SimFileSystem disk{1};
};

TEST_F(SpaceGuardTest, LowBelowTheMarkAndHealedWellAboveIt) {
  auto g = guard();
  ASSERT_TRUE(g->open());
  EXPECT_FALSE(g->low());
  EXPECT_TRUE(disk.exists("/data/ballast"));
  leave_free(99 * kMiB);
  EXPECT_TRUE(g->check());
  EXPECT_EQ(g->free_bytes(), 99 * kMiB);
  leave_free(120 * kMiB);
  EXPECT_TRUE(g->check()) << "between the marks nothing changes";
  leave_free(126 * kMiB);
  EXPECT_FALSE(g->check());
  leave_free(101 * kMiB);
  EXPECT_FALSE(g->check());
}

TEST_F(SpaceGuardTest, AFullDiskIsOpenedByDroppingTheBallast) {
  ASSERT_TRUE(guard()->open());
  leave_free(0);
  auto g = guard();
  ASSERT_TRUE(g->open());
  EXPECT_FALSE(disk.exists("/data/ballast"));
  EXPECT_TRUE(g->low());
  EXPECT_EQ(g->free_bytes(), 16 * kMiB);
  leave_free(130 * kMiB);
  EXPECT_FALSE(g->check());
  EXPECT_FALSE(disk.exists("/data/ballast")) << "with it the disk would be close to low again";
  leave_free(500 * kMiB);
  EXPECT_FALSE(g->check());
  EXPECT_TRUE(disk.exists("/data/ballast"));
}

}  // namespace
}  // namespace runnel::storage
