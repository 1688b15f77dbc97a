// What becomes of records in windows: late ones, old ones, those of no time, sessions.
#include "storage/views/engine/fold.h"

#include <gtest/gtest.h>

#include "storage/views/plan/max_ahead.h"
#include "tests/storage/views/engine/gifts.h"

namespace runnel::storage::views {
namespace {

using sql::WindowKind;

TEST(FoldWindows, AWindowNeedsATime) {
  const ViewPlan plan = totals_view(window(WindowKind::kTumble, hours(1)));
  MemoryStore store;
  Donation timeless = gift(0, "sea", 1);
  timeless.time.reset();
  fold_all(plan, store, {timeless, gift(1, "sea", 1, kHour)});
  EXPECT_EQ(rows_of(plan, store),
            Rows{"sea | 1970-01-01T01:00:00Z | 1970-01-01T02:00:00Z | 1 | 0.01"});
  EXPECT_EQ(totals_of(plan, store).errors, 1u);
}

TEST(FoldWindows, AWindowsEdges) {
  const ViewPlan plan = totals_view(window(WindowKind::kTumble, hours(1)));
  MemoryStore store;
  fold_all(plan, store,
           {gift(0, "sea", 1, kHour - 1), gift(1, "sea", 2, kHour), gift(2, "sea", 4, kHour + 1)});
  EXPECT_EQ(rows_of(plan, store),
            (Rows{"sea | 1970-01-01T00:00:00Z | 1970-01-01T01:00:00Z | 1 | 0.01",
                  "sea | 1970-01-01T01:00:00Z | 1970-01-01T02:00:00Z | 2 | 0.06"}));
}

/// Hours; late by what is more than ten minutes behind. Both of the last are: to their windows the
/// watermark of 2:00 is exactly the end, or the moment before it.
std::vector<Donation> late_donations() {
  return {gift(0, "sea", 1, kHour), gift(1, "sea", 2, 2 * kHour + 10 * kMinute),
          gift(2, "sea", 4, 2 * kHour - 1), gift(3, "sea", 8, 2 * kHour)};
}

TEST(FoldWindows, LateRecordsUpdateAreLeftOutOrBecomeDeadLetters) {
  ViewPlan plan = totals_view(window(WindowKind::kTumble, hours(1)));
  plan.source.watermark = {kTime, 10 * kMinute};
  MemoryStore updating;
  fold_all(plan, updating, late_donations());
  EXPECT_EQ(rows_of(plan, updating),
            (Rows{"sea | 1970-01-01T01:00:00Z | 1970-01-01T02:00:00Z | 2 | 0.05",
                  "sea | 1970-01-01T02:00:00Z | 1970-01-01T03:00:00Z | 2 | 0.10"}));
  EXPECT_EQ(totals_of(plan, updating).late_updates, 1u);

  plan.options.late = LatePolicy::kDrop;
  MemoryStore dropping;
  fold_all(plan, dropping, late_donations());
  const Rows without{"sea | 1970-01-01T01:00:00Z | 1970-01-01T02:00:00Z | 1 | 0.01",
                     "sea | 1970-01-01T02:00:00Z | 1970-01-01T03:00:00Z | 2 | 0.10"};
  EXPECT_EQ(rows_of(plan, dropping), without);
  EXPECT_EQ(totals_of(plan, dropping).late, 1u);
  EXPECT_EQ(dropping.count(kView, Space::kDeadLetters), 0u);

  plan.options.late = LatePolicy::kDeadLetter;
  MemoryStore keeping;
  fold_all(plan, keeping, late_donations());
  EXPECT_EQ(rows_of(plan, keeping), without);
  EXPECT_EQ(totals_of(plan, keeping).late, 1u);
  EXPECT_EQ(keeping.count(kView, Space::kDeadLetters), 1u);
}

TEST(FoldWindows, LatenessIsThePartitionsOwn) {
  ViewPlan plan = totals_view(window(WindowKind::kTumble, hours(1)));
  plan.source.watermark = {kTime, 0};
  plan.options.late = LatePolicy::kDrop;
  MemoryStore store;
  fold_all(plan, store, {gift(0, "sea", 1, 9 * kHour), gift(0, "sea", 2, kHour, 1)});
  EXPECT_EQ(totals_of(plan, store).late, 0u);
}

TEST(FoldWindows, OneLateWindowOfSeveral) {
  ViewPlan plan = totals_view(window(WindowKind::kHop, hours(2), hours(1)));
  plan.source.watermark = {kTime, 0};
  plan.options.late = LatePolicy::kDrop;
  MemoryStore store;
  // The second belongs to [0, 2) and [1, 3): the first of them is over.
  fold_all(plan, store, {gift(0, "sea", 1, 2 * kHour), gift(1, "sea", 2, kHour)});
  const Counters totals = totals_of(plan, store);
  EXPECT_EQ(totals.applied, 2u);
  EXPECT_EQ(totals.late, 0u);
  EXPECT_EQ(totals.late_windows, 1u);
}

TEST(FoldWindows, WithoutAWindowARecordsOwnMomentCounts) {
  ViewPlan plan = totals_view();
  plan.source.watermark = {kTime, kMinute};
  plan.options.late = LatePolicy::kDrop;
  MemoryStore store;
  fold_all(plan, store,
           {gift(0, "sea", 1, kHour), gift(1, "sea", 2, kHour - kMinute),
            gift(2, "sea", 4, kHour - kMinute - 1)});
  EXPECT_EQ(rows_of(plan, store), Rows{"sea | 2 | 0.03"});
  EXPECT_EQ(totals_of(plan, store).late, 1u);
}

TEST(FoldWindows, OldWindowsGoAndStayAway) {
  ViewPlan plan = totals_view(window(WindowKind::kTumble, hours(1)));
  plan.options.retention_micros = 2 * kHour;
  MemoryStore store;
  fold_all(plan, store, {gift(0, "sea", 1, 0), gift(1, "sea", 2, kHour)});
  EXPECT_EQ(rows_of(plan, store).size(), 2u);
  const auto late = gift(3, "sea", 8, 30 * kMinute);
  fold_all(plan, store, {gift(2, "sea", 4, 3 * kHour), late});
  EXPECT_EQ(rows_of(plan, store),
            (Rows{"sea | 1970-01-01T01:00:00Z | 1970-01-01T02:00:00Z | 1 | 0.02",
                  "sea | 1970-01-01T03:00:00Z | 1970-01-01T04:00:00Z | 1 | 0.04"}));
  EXPECT_EQ(totals_of(plan, store).late, 1u) << "gone is gone, whatever the policy";
  EXPECT_EQ(store.count(kView, Space::kGroups), 2u);
  EXPECT_EQ(store.count(kView, Space::kExpiry), 2u);
  EXPECT_EQ(open_fold(plan, store)->cursor(0)->groups, 2u);
}

TEST(FoldWindows, AWindowThatOnePartitionLetGoIsGone) {
  ViewPlan plan = totals_view(window(WindowKind::kTumble, hours(1)));
  plan.options.retention_micros = kHour;
  MemoryStore store;
  fold_all(plan, store,
           {gift(0, "sea", 1, 0), gift(0, "sea", 2, 0, 1), gift(1, "sea", 4, 5 * kHour)});
  EXPECT_EQ(rows_of(plan, store),
            Rows{"sea | 1970-01-01T05:00:00Z | 1970-01-01T06:00:00Z | 1 | 0.04"})
      << "half a sum is no sum";
}

TEST(FoldWindows, ATimeFarAheadOfItsRecordIsAnErrorAndMovesNothing) {
  ViewPlan plan = totals_view(window(WindowKind::kTumble, hours(1)));
  plan.source.watermark = {kTime, 0};
  plan.source.columns[kTime].path_text = "$.at";
  plan.options.retention_micros = kDay;
  plan.options.max_ahead_micros = kHour;
  Donation far = gift(1, "sea", 2, 7000 * 365 * kDay);
  far.stamp = 0;
  Donation near = gift(2, "sea", 4, kHour);
  near.stamp = 0;
  MemoryStore store;
  fold_all(plan, store, {gift(0, "sea", 1, 0), far, near});
  EXPECT_EQ(rows_of(plan, store).size(), 2u);
  EXPECT_EQ(totals_of(plan, store).errors, 1u);
  EXPECT_EQ(open_fold(plan, store)->cursor(0)->max_time, kHour);
  const std::string letter = partition_key(kView, Space::kDeadLetters, 0);
  EXPECT_NE(store.entries.lower_bound(letter)->second.find("too_far_ahead"), std::string::npos);
  EXPECT_NE(store.entries.lower_bound(letter)->second.find("$.at"), std::string::npos);
}

TEST(FoldWindows, ARecordWithoutATimestampIsHeldToTheGreatestBeforeIt) {
  ViewPlan plan = totals_view(window(WindowKind::kTumble, hours(1)));
  plan.source.watermark = {kTime, 0};
  plan.options.retention_micros = kDay;
  plan.options.max_ahead_micros = kHour;
  Donation far = gift(1, "sea", 2, 7000 * 365 * kDay);
  far.stamp = -1;
  Donation near = gift(2, "sea", 4, kHour);
  near.stamp = -1;
  const std::vector<Donation> gifts{gift(0, "sea", 1, 0), far, near};
  MemoryStore at_once;
  fold_all(plan, at_once, gifts);
  EXPECT_EQ(rows_of(plan, at_once).size(), 2u);
  EXPECT_EQ(totals_of(plan, at_once).errors, 1u);
  MemoryStore one_by_one;
  for (const Donation& one : gifts) fold_all(plan, one_by_one, {one});
  EXPECT_EQ(one_by_one.of_the_log(), at_once.of_the_log()) << "wherever it is restarted";
  // Of a view without the bound nobody asks, and its cursor is of the first format.
  plan.options.max_ahead_micros = kNoMaxAhead;
  MemoryStore unbound;
  fold_all(plan, unbound, gifts);
  EXPECT_EQ(totals_of(plan, unbound).errors, 0u);
  EXPECT_EQ(open_fold(plan, unbound)->cursor(0)->max_stamp, -1);
}

TEST(FoldWindows, RecordsWithoutTimestampsAreFoundAgainAfterARestart) {
  ViewPlan plan = totals_view(window(WindowKind::kTumble, hours(1)));
  plan.source.watermark = {kTime, 0};
  std::vector<Donation> gifts{gift(0, "sea", 1, 0), gift(1, "sea", 2, 5 * kHour),
                              gift(2, "sea", 4, 5 * kHour), gift(3, "sea", 8, 5 * kHour)};
  for (Donation& one : gifts) one.stamp = -1;
  MemoryStore at_once;
  fold_all(plan, at_once, gifts);
  MemoryStore one_by_one;
  for (const Donation& one : gifts) fold_all(plan, one_by_one, {one});
  EXPECT_EQ(rows_of(plan, at_once).size(), 2u);
  EXPECT_EQ(rows_of(plan, one_by_one), rows_of(plan, at_once));
  EXPECT_EQ(one_by_one.of_the_log(), at_once.of_the_log());
}

TEST(FoldWindows, ARetentionBeyondAllTimesKeepsEverything) {
  ViewPlan plan = totals_view(window(WindowKind::kTumble, hours(1)));
  plan.source.watermark = {kTime, 100'000'000 * kDay};
  plan.options.retention_micros = 100'000'000 * kDay;
  MemoryStore store;
  fold_all(plan, store, {gift(0, "sea", 1, 0)});
  EXPECT_EQ(rows_of(plan, store).size(), 1u);
}

TEST(FoldWindows, WindowsThatCumulateInOneGroupGoTogether) {
  ViewPlan plan = totals_view(window(WindowKind::kCumulate, days(1), hours(1)));
  plan.keys.pop_back();  // GROUP BY campaign, window_start
  plan.options.retention_micros = kHour;
  show_everything(plan);
  const std::vector<Donation> gifts{gift(0, "sea", 1, 0), gift(1, "sea", 2, 3 * kHour),
                                    gift(2, "sea", 4, 3 * kHour + kMinute)};
  MemoryStore at_once;
  fold_all(plan, at_once, gifts);
  EXPECT_EQ(rows_of(plan, at_once), Rows{"sea | 1970-01-01T00:00:00Z | 66 | 1.50"})
      << "each counts in 24, 21 and 21 windows";
  MemoryStore one_by_one;
  for (const Donation& d : gifts) fold_all(plan, one_by_one, {d});
  EXPECT_EQ(one_by_one.of_the_log(), at_once.of_the_log());
  fold_all(plan, at_once, {gift(3, "sea", 8, 25 * kHour)});
  EXPECT_EQ(at_once.count(kView, Space::kGroups), 1u) << "the day before is over for an hour";
}

TEST(FoldWindows, SessionsGrowAndJoin) {
  const ViewPlan plan = totals_view(window(WindowKind::kSession, minutes(10)));
  MemoryStore store;
  const auto at = [](std::int64_t minute) { return minute * kMinute; };
  fold_all(plan, store,
           {gift(0, "sea", 1, at(0)), gift(1, "sea", 2, at(10)), gift(2, "sea", 4, at(19)),
            gift(3, "sky", 8, at(5))});
  EXPECT_EQ(rows_of(plan, store),
            (Rows{"sea | 1970-01-01T00:00:00Z | 1970-01-01T00:10:00Z | 1 | 0.01",
                  "sea | 1970-01-01T00:10:00Z | 1970-01-01T00:29:00Z | 2 | 0.06",
                  "sky | 1970-01-01T00:05:00Z | 1970-01-01T00:15:00Z | 1 | 0.08"}))
      << "ten minutes apart is apart";
  fold_all(plan, store, {gift(4, "sea", 16, at(9))});
  EXPECT_EQ(rows_of(plan, store),
            (Rows{"sea | 1970-01-01T00:00:00Z | 1970-01-01T00:29:00Z | 4 | 0.23",
                  "sky | 1970-01-01T00:05:00Z | 1970-01-01T00:15:00Z | 1 | 0.08"}));
  EXPECT_EQ(store.count(kView, Space::kGroups), 2u);
  // Another partition's events bridge as well.
  fold_all(plan, store, {gift(0, "sea", 32, at(28), 1), gift(1, "sea", 64, at(50), 1)});
  EXPECT_EQ(rows_of(plan, store, {{Value::text("sea")}, {}, {}}),
            (Rows{"sea | 1970-01-01T00:00:00Z | 1970-01-01T00:38:00Z | 5 | 0.55",
                  "sea | 1970-01-01T00:50:00Z | 1970-01-01T01:00:00Z | 1 | 0.64"}));
}

TEST(FoldWindows, ASessionThatExpiredMayComeBack) {
  ViewPlan plan = totals_view(window(WindowKind::kSession, {0, 0, 10'000}));
  plan.source.watermark = {kTime, 0};
  plan.options.retention_micros = kSecond;
  // 13 lets 0 go; 5 opens one behind it, and the next 0 leads that to the old start.
  const std::vector<Donation> gifts{gift(0, "sea", 1, 0), gift(1, "sky", 2, 13 * kSecond),
                                    gift(2, "sea", 4, 5 * kSecond), gift(3, "sea", 8, 0),
                                    gift(4, "sea", 16, 0)};
  MemoryStore at_once;
  fold_all(plan, at_once, gifts);
  EXPECT_EQ(rows_of(plan, at_once),
            (Rows{"sea | 1970-01-01T00:00:00Z | 1970-01-01T00:00:15Z | 3 | 0.28",
                  "sky | 1970-01-01T00:00:13Z | 1970-01-01T00:00:23Z | 1 | 0.02"}));
  MemoryStore one_by_one;
  for (const Donation& d : gifts) fold_all(plan, one_by_one, {d});
  EXPECT_EQ(one_by_one.of_the_log(), at_once.of_the_log());
}

TEST(FoldWindows, SessionsWhoseListWasForgottenAreReadAgain) {
  const ViewPlan plan = totals_view(window(WindowKind::kSession, minutes(10)));
  MemoryStore store;
  // Room for all groups, but not for the lists, which have a quarter of it.
  const auto fold = open_fold(plan, store, 16'000);
  for (std::int64_t i = 0; i < 50; ++i) {
    ASSERT_TRUE(add(*fold, plan, gift(i, "campaign " + std::to_string(i), 1)));
  }
  ASSERT_TRUE(commit(*fold, store));
  ASSERT_TRUE(add(*fold, plan, gift(50, "campaign 7", 1, kMinute)));
  ASSERT_TRUE(commit(*fold, store));
  EXPECT_EQ(rows_of(plan, store).size(), 50u);
  EXPECT_EQ(rows_of(plan, store, {{Value::text("campaign 7")}, {}, {}}),
            Rows{"campaign 7 | 1970-01-01T00:00:00Z | 1970-01-01T00:11:00Z | 2 | 0.02"});
}

}  // namespace
}  // namespace runnel::storage::views
