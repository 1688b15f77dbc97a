// What is kept of changes, and of whom.
#include "storage/views/worker/row_history.h"

#include <gtest/gtest.h>

#include "tests/storage/views/engine/fold_fixture.h"

namespace runnel::storage::views {
namespace {

/// Steps of equal size, from 1 on.
std::vector<RowStepRef> make_steps(std::size_t count) {
  ViewPlan plan = donations_view();
  plan.aggregates = {aggregate(AggregateKind::kCountRows)};
  show_everything(plan);
  MemoryStore store;
  FoldOptions options;
  options.id = kView;
  options.keep_changes = 1000;
  const auto fold = std::move(*ViewFold::open(plan, options, store));
  std::vector<RowStepRef> steps;
  for (std::size_t i = 0; i < count; ++i) {
    Donation donation;
    donation.offset = static_cast<std::int64_t>(i);
    donation.campaign = "sea";
    EXPECT_TRUE(add(*fold, plan, donation));
    EXPECT_TRUE(commit(*fold, store));
    auto step = RowStep::read(plan, kView, store, fold->sequence(), 1u << 20);
    EXPECT_TRUE(step && *step != nullptr);
    steps.push_back(*step);
  }
  return steps;
}

TEST(RowHistory, AQuietViewKeepsItsShareBesideABusyOne) {
  const std::vector<RowStepRef> steps = make_steps(40);
  const std::size_t size = steps[0]->bytes();
  ASSERT_EQ(steps[39]->bytes(), size);
  const auto room = std::make_shared<HistoryRoom>(16 * size);
  const auto busy = std::make_shared<RowHistory>(room, 100 * size);
  const auto quiet = std::make_shared<RowHistory>(room, 100 * size);
  const RowFollower of_busy(busy);
  const RowFollower of_quiet(quiet);
  for (const RowStepRef& step : steps) busy->add(step);
  EXPECT_TRUE(of_busy.behind(39 - 8).lost);
  EXPECT_NE(of_busy.behind(40 - 8).step, nullptr) << "what nobody else has it may have";
  for (std::size_t i = 0; i < 20; ++i) quiet->add(steps[i]);
  EXPECT_TRUE(of_quiet.behind(19 - 4).lost);
  EXPECT_NE(of_quiet.behind(20 - 4).step, nullptr) << "a half of the half";
  busy->tidy();
  EXPECT_TRUE(of_busy.behind(39 - 4).lost) << "it gives back what is above its share";
  EXPECT_NE(of_busy.behind(40 - 4).step, nullptr);
  busy->skip(41);
  for (std::size_t i = 20; i < 40; ++i) quiet->add(steps[i]);
  EXPECT_NE(of_quiet.behind(40 - 8).step, nullptr) << "who has nothing takes no room";
}

}  // namespace
}  // namespace runnel::storage::views
