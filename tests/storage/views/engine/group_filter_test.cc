// What is not in memory and was never there is known without asking the store, and nothing that is
// there is ever taken for absent.
#include "storage/views/engine/group_filter.h"

#include "tests/storage/views/engine/fold_fixture.h"

namespace runnel::storage::views {
namespace {

using Kind = AggregateKind;

constexpr std::size_t kLittle = 1u << 20;  // of memory: some thousand groups
constexpr std::int64_t kGroups = 20'000;

/// Counts the lookups that find nothing.
class AskedStore final : public StateReader {
 public:
  explicit AskedStore(const StateReader& store) : store_(store) {}
  [[nodiscard]] Result<bool> get(std::string_view key, std::string& value) const override {
    auto found = store_.get(key, value);
    if (found && !*found && key[kKeyPrefixBytes - 1] == char(Space::kGroups)) ++absent;
    return found;
  }
  [[nodiscard]] Status scan(std::string_view begin, std::string_view end,
                            const Visit& visit) const override {
    return store_.scan(begin, end, visit);
  }
  mutable std::uint64_t absent = 0;

 private:
  const StateReader& store_;
};

ViewPlan view_by_points(bool with_sketch) {
  ViewPlan plan = donations_view();
  plan.keys = {key_of(kPoints)};
  plan.aggregates = {aggregate(Kind::kCountRows)};
  if (with_sketch) plan.aggregates.push_back(aggregate(Kind::kCountDistinct, kCampaign));
  plan.options.max_groups = 10 * kGroups;
  show_everything(plan);
  return plan;
}

/// One donation of each group from `begin` to before `end`, written now and then.
void give(ViewFold& fold, MemoryStore& store, const ViewPlan& plan, std::int64_t begin,
          std::int64_t end, std::int64_t& offset) {
  for (std::int64_t points = begin; points < end; ++points) {
    Donation d;
    d.offset = offset++;
    d.points = points;
    d.campaign = "sea";
    ASSERT_TRUE(add(fold, plan, d));
    if (points % 500 == 0) {
      ASSERT_TRUE(commit(fold, store));
    }
  }
  ASSERT_TRUE(commit(fold, store));
}

void expect_each(const ViewPlan& plan, const MemoryStore& store, std::int64_t groups,
                 const std::string& counts) {
  const Rows rows = rows_of(plan, store);
  ASSERT_EQ(rows.size(), static_cast<std::size_t>(groups));
  for (std::int64_t i = 0; i < groups; ++i) {
    ASSERT_TRUE(rows.contains(std::to_string(i) + counts)) << i;
  }
}

TEST(GroupFilter, KnowsNothingWhileItIsOffAndNeverForgets) {
  GroupFilter filter;
  EXPECT_TRUE(filter.may_have(1));
  filter.add(1);
  filter.reset(63);
  EXPECT_FALSE(filter.is_on());
  filter.reset(40'000);
  EXPECT_EQ(filter.bytes(), 40'000u);
  const auto hash = [](std::uint64_t i) {
    return GroupCache::hash_of({reinterpret_cast<const char*>(&i), sizeof i});
  };
  for (std::uint64_t i = 0; i < 32'000; ++i) filter.add(hash(i));
  std::uint64_t mistaken = 0;
  for (std::uint64_t i = 0; i < 32'000; ++i) ASSERT_TRUE(filter.may_have(hash(i)));
  for (std::uint64_t i = 32'000; i < 132'000; ++i) mistaken += filter.may_have(hash(i)) ? 1 : 0;
  EXPECT_LT(mistaken, 2'000u) << "of 100,000, with 10 bits a group";
}

class FoldFilterTest : public ::testing::TestWithParam<bool> {};

TEST_P(FoldFilterTest, GroupsThatNeverWereAreNotLookedUp) {
  const ViewPlan plan = view_by_points(GetParam());
  const std::string twice = GetParam() ? " | 2 | 1" : " | 2";
  MemoryStore store;
  const AskedStore asked(store);
  std::int64_t offset = 0;
  {
    const auto fold = open_fold(plan, asked, kLittle);
    give(*fold, store, plan, 0, kGroups, offset);
    EXPECT_LT(asked.absent, kGroups / 5);
    EXPECT_LE(fold->memory_bytes(), kLittle);
    fold->discard();
    give(*fold, store, plan, 0, kGroups, offset);  // those that are there are found
    expect_each(plan, store, kGroups, twice);
  }
  // After a restart it is learnt, once it would have been of use.
  const auto fold = open_fold(plan, asked, kLittle);
  asked.absent = 0;
  give(*fold, store, plan, kGroups, 3 * kGroups, offset);
  EXPECT_GT(asked.absent, 0u);
  EXPECT_LT(asked.absent, kGroups);
  give(*fold, store, plan, kGroups, 3 * kGroups, offset);
  EXPECT_EQ(fold->cursor(0)->groups, static_cast<std::uint64_t>(3 * kGroups));
  expect_each(plan, store, 3 * kGroups, twice);
}

INSTANTIATE_TEST_SUITE_P(WithAndWithoutSketches, FoldFilterTest, ::testing::Bool());

}  // namespace
}  // namespace runnel::storage::views
