// Damage that one reader finds comes into memory by that. Whoever it was, the next fetch does not
// take it for sound.
#include "tests/storage/log/erasure_fixture.h"

namespace runnel::storage {
namespace {

using std::chrono::hours;

class KnownDamageTest : public ErasureTest {
 protected:
  static constexpr std::uint64_t kBatch = 100'000;

  /// Twenty batches, the first ones of them in a segment that is written no more; the second one
  /// changes on the disk.
  void fill_and_damage() {
    create("t", 1, {{"retention.ms", "-1"}});
    for (int i = 0; i < 20; ++i) {
      clock.advance(std::chrono::seconds(1));
      put("t", {{"bob", std::to_string(i) + std::string(kBatch, 'x')}});
    }
    ASSERT_TRUE(store->run_maintenance());
    ASSERT_TRUE(fs.flip_bit("data/segments/0000000001.wal", kBatch + kBatch / 2));
    ASSERT_FALSE(error_at(1)) << "all is in memory, where nobody looks again";
  }
  std::optional<Error> error_at(std::int64_t offset) {
    return store->fetch_and_wait({{{ref("t"), Offset(offset)}}})[0].head.error;
  }
  void expect_known() {
    const auto error = error_at(1);
    ASSERT_TRUE(error) << "served as if nothing had been found";
    EXPECT_EQ(error->code(), ErrorCode::kCorrupt);
    EXPECT_FALSE(error_at(0));
    EXPECT_FALSE(error_at(2));
  }
};

TEST_F(KnownDamageTest, ByTheScrubber) {
  fill_and_damage();
  clock.advance(hours(24 * 8));
  ASSERT_TRUE(store->run_maintenance());
  ASSERT_EQ(store->stats().scrub_damages, 1U);
  expect_known();
}

TEST_F(KnownDamageTest, ByWhoLooksForATime) {
  fill_and_damage();
  OffsetQuery query;
  query.kind = OffsetQuery::Kind::kTime;
  query.time = Timestamp(clock.now().value() - 18'000);
  const auto found = store->find_offset(ref("t"), query);
  ASSERT_FALSE(found) << found->offset.value();
  EXPECT_EQ(found.error().code(), ErrorCode::kCorrupt);
  expect_known();
}

TEST_F(KnownDamageTest, ByAnErasure) {
  fill_and_damage();
  erase("e", "t");
  for (int i = 0; i < 10 && receipt("e").problem.empty(); ++i) maintain();
  ASSERT_FALSE(receipt("e").problem.empty());
  expect_known();
}

}  // namespace
}  // namespace runnel::storage
