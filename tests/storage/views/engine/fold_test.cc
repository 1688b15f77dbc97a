// What becomes of records: one case at a time.
#include "storage/views/engine/fold.h"

#include <gtest/gtest.h>

#include "storage/views/plan/max_ahead.h"
#include "tests/storage/views/engine/fold_fixture.h"

namespace runnel::storage::views {
namespace {

using Kind = AggregateKind;
using sql::WindowKind;

ViewPlan totals_view(WindowPlan window = {}) {
  ViewPlan plan = donations_view(std::move(window));
  plan.aggregates = {aggregate(Kind::kCountRows), aggregate(Kind::kSum, kAmount)};
  show_everything(plan);
  return plan;
}
Donation gift(std::int64_t offset, std::string campaign, std::int64_t cents, std::int64_t time = 0,
              std::uint32_t partition = 0) {
  Donation d;
  d.partition = partition;
  d.offset = offset;
  d.campaign = std::move(campaign);
  d.cents = cents;
  d.time = time;
  return d;
}

TEST(Fold, CountsAndSumsByGroupOverPartitions) {
  const ViewPlan plan = totals_view();
  MemoryStore store;
  fold_all(plan, store,
           {gift(0, "sea", 1000), gift(1, "sky", 250), gift(0, "sea", 5, 0, 3), gift(2, "sea", 1)});
  EXPECT_EQ(rows_of(plan, store), (Rows{"sea | 3 | 10.06", "sky | 1 | 2.50"}));
  EXPECT_EQ(totals_of(plan, store).applied, 4u);
}

TEST(Fold, ARecordIsFoldedOnceHoweverOftenItComes) {
  const ViewPlan plan = totals_view();
  MemoryStore store;
  fold_all(plan, store, {gift(0, "sea", 1000), gift(1, "sea", 250)});
  fold_all(plan, store, {gift(0, "sea", 1000), gift(1, "sea", 250), gift(2, "sea", 1)});
  EXPECT_EQ(rows_of(plan, store), Rows{"sea | 3 | 12.51"});
  EXPECT_EQ(totals_of(plan, store).records, 3u);
}

TEST(Fold, OffsetsWithoutRecordsArePassed) {
  const ViewPlan plan = totals_view();
  MemoryStore store;
  const auto fold = open_fold(plan, store);
  ASSERT_TRUE(fold->advance(0, 17));
  ASSERT_TRUE(commit(*fold, store));
  EXPECT_EQ(open_fold(plan, store)->cursor(0)->next, 17);
  ASSERT_TRUE(fold->advance(0, 3)) << "never back";
  EXPECT_EQ(fold->cursor(0)->next, 17);
}

TEST(Fold, WhereLeavesOutAndNullIsNotTrue) {
  ViewPlan plan = totals_view();
  plan.filter = column_program(kPaid);
  MemoryStore store;
  Donation paid = gift(0, "sea", 1);
  paid.paid = true;
  Donation unpaid = gift(1, "sea", 1);
  unpaid.paid = false;
  fold_all(plan, store, {paid, unpaid, gift(2, "sea", 1)});
  EXPECT_EQ(rows_of(plan, store), Rows{"sea | 1 | 0.01"});
  EXPECT_EQ(totals_of(plan, store).filtered, 2u);
}

TEST(Fold, BadRecordsAreDeadLettersAndNothingStops) {
  ViewPlan plan = totals_view();
  plan.aggregates[1].argument = shares_program();
  plan.aggregates[1].result = {TypeKind::kDecimal, 38, 0};
  MemoryStore store;
  Donation broken = gift(0, "sea", 1);
  broken.error = RowError::kNotJson;
  Donation zero = gift(1, "sea", 1);
  zero.points = 0;
  Donation four = gift(2, "sea", 1);
  four.points = 4;
  fold_all(plan, store, {broken, zero, four});
  EXPECT_EQ(rows_of(plan, store), Rows{"sea | 1 | 250"}) << "the count of the failed one neither";
  EXPECT_EQ(totals_of(plan, store).errors, 2u);
  EXPECT_EQ(store.count(kView, Space::kDeadLetters), 2u);
  const std::string& letter =
      store.entries.lower_bound(key_prefix(kView, Space::kDeadLetters))->second;
  EXPECT_TRUE(letter.starts_with(std::string("\x01\x08not_json\0", 11)));
  EXPECT_TRUE(letter.ends_with("\x01\x01k\x03raw"));

  plan.source.on_error = sql::OnError::kSkip;
  MemoryStore skipping;
  fold_all(plan, skipping, {broken, zero, four});
  EXPECT_EQ(totals_of(plan, skipping).errors, 2u);
  EXPECT_EQ(skipping.count(kView, Space::kDeadLetters), 0u);

  plan.source.on_error = sql::OnError::kNull;
  MemoryStore lenient;
  fold_all(plan, lenient, {broken, zero, four});
  EXPECT_EQ(rows_of(plan, lenient), Rows{"sea | 2 | 250"});
}

TEST(Fold, WhatIsNotWrittenIsKnown) {
  ViewPlan plan = totals_view();
  plan.aggregates = {aggregate(Kind::kMax, kCampaign)};
  plan.keys = {key_of(kPoints)};
  show_everything(plan);
  MemoryStore store;
  const auto fold = open_fold(plan, store);
  const auto before = fold->unwritten_bytes();
  ASSERT_TRUE(add(*fold, plan, gift(0, std::string(100'000, 'x'), 1)));
  EXPECT_GT(fold->unwritten_bytes(), before + 100'000) << "of one group";
  ASSERT_TRUE(commit(*fold, store));
  EXPECT_EQ(fold->unwritten_bytes(), 0u);
  Donation broken = gift(1, "sea", 1);
  broken.error = RowError::kNotJson;
  ASSERT_TRUE(add(*fold, plan, broken));
  EXPECT_GT(fold->unwritten_bytes(), 0u) << "dead letters are held as well";
}

TEST(Fold, LettersAreLeftOutWhereNobodyReadsThem) {
  const ViewPlan plan = totals_view();
  MemoryStore store;
  FoldOptions options;
  options.id = kView;
  options.keep_letters = false;
  const auto fold = ViewFold::open(plan, options, store);
  ASSERT_TRUE(fold);
  Donation broken = gift(0, "sea", 1);
  broken.error = RowError::kNotJson;
  ASSERT_TRUE(add(**fold, plan, broken));
  ASSERT_TRUE(commit(**fold, store));
  EXPECT_EQ(store.count(kView, Space::kDeadLetters), 0u);
  EXPECT_EQ(totals_of(plan, store).errors, 1u);
}

TEST(Fold, AWindowNeedsATime) {
  const ViewPlan plan = totals_view(window(WindowKind::kTumble, hours(1)));
  MemoryStore store;
  Donation timeless = gift(0, "sea", 1);
  timeless.time.reset();
  fold_all(plan, store, {timeless, gift(1, "sea", 1, kHour)});
  EXPECT_EQ(rows_of(plan, store),
            Rows{"sea | 1970-01-01T01:00:00Z | 1970-01-01T02:00:00Z | 1 | 0.01"});
  EXPECT_EQ(totals_of(plan, store).errors, 1u);
}

TEST(Fold, AWindowsEdges) {
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

TEST(Fold, LateRecordsUpdateAreLeftOutOrBecomeDeadLetters) {
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

TEST(Fold, LatenessIsThePartitionsOwn) {
  ViewPlan plan = totals_view(window(WindowKind::kTumble, hours(1)));
  plan.source.watermark = {kTime, 0};
  plan.options.late = LatePolicy::kDrop;
  MemoryStore store;
  fold_all(plan, store, {gift(0, "sea", 1, 9 * kHour), gift(0, "sea", 2, kHour, 1)});
  EXPECT_EQ(totals_of(plan, store).late, 0u);
}

TEST(Fold, OneLateWindowOfSeveral) {
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

TEST(Fold, WithoutAWindowARecordsOwnMomentCounts) {
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

TEST(Fold, OldWindowsGoAndStayAway) {
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

TEST(Fold, AWindowThatOnePartitionLetGoIsGone) {
  ViewPlan plan = totals_view(window(WindowKind::kTumble, hours(1)));
  plan.options.retention_micros = kHour;
  MemoryStore store;
  fold_all(plan, store,
           {gift(0, "sea", 1, 0), gift(0, "sea", 2, 0, 1), gift(1, "sea", 4, 5 * kHour)});
  EXPECT_EQ(rows_of(plan, store),
            Rows{"sea | 1970-01-01T05:00:00Z | 1970-01-01T06:00:00Z | 1 | 0.04"})
      << "half a sum is no sum";
}

TEST(Fold, ATimeFarAheadOfItsRecordIsAnErrorAndMovesNothing) {
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

TEST(Fold, ARecordWithoutATimestampIsHeldToTheGreatestBeforeIt) {
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

TEST(Fold, RecordsWithoutTimestampsAreFoundAgainAfterARestart) {
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

TEST(Fold, ARetentionBeyondAllTimesKeepsEverything) {
  ViewPlan plan = totals_view(window(WindowKind::kTumble, hours(1)));
  plan.source.watermark = {kTime, 100'000'000 * kDay};
  plan.options.retention_micros = 100'000'000 * kDay;
  MemoryStore store;
  fold_all(plan, store, {gift(0, "sea", 1, 0)});
  EXPECT_EQ(rows_of(plan, store).size(), 1u);
}

TEST(Fold, WindowsThatCumulateInOneGroupGoTogether) {
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

TEST(Fold, NoMoreGroupsThanAllowedAndEveryOneCounted) {
  ViewPlan plan = totals_view();
  plan.options.max_groups = 2;
  MemoryStore store;
  fold_all(plan, store, {gift(0, "a", 1), gift(1, "b", 1), gift(2, "c", 1), gift(3, "a", 1)});
  EXPECT_EQ(rows_of(plan, store), (Rows{"a | 2 | 0.02", "b | 1 | 0.01"}));
  const Counters totals = totals_of(plan, store);
  EXPECT_EQ(totals.errors, 1u);
  EXPECT_EQ(totals.overflows, 1u);
  EXPECT_EQ(store.count(kView, Space::kDeadLetters), 1u);
}

TEST(Fold, AKeyMayNotBeEndless) {
  const ViewPlan plan = totals_view();
  MemoryStore store;
  fold_all(plan, store, {gift(0, std::string(10'000, 'x'), 1), gift(1, "a", 1)});
  EXPECT_EQ(rows_of(plan, store), Rows{"a | 1 | 0.01"});
  EXPECT_EQ(totals_of(plan, store).errors, 1u);
}

TEST(Fold, SessionsGrowAndJoin) {
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

TEST(Fold, ASessionThatExpiredMayComeBack) {
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

TEST(Fold, SessionsWhoseListWasForgottenAreReadAgain) {
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

TEST(Fold, RangesReadWhatTheySay) {
  const ViewPlan plan = totals_view(window(WindowKind::kTumble, hours(1)));
  MemoryStore store;
  std::vector<Donation> all;
  for (std::int64_t hour = 0; hour < 10; ++hour) {
    all.push_back(gift(2 * hour, "a", hour, hour * kHour));
    all.push_back(gift(2 * hour + 1, "ab", hour, hour * kHour));
  }
  fold_all(plan, store, all);
  EXPECT_EQ(rows_of(plan, store).size(), 20u);
  EXPECT_EQ(rows_of(plan, store, {{Value::text("a")}, {}, {}}).size(), 10u);
  EXPECT_EQ(rows_of(plan, store,
                    {{Value::text("a")}, Value::timestamp(2 * kHour), Value::timestamp(4 * kHour)}),
            (Rows{"a | 1970-01-01T02:00:00Z | 1970-01-01T03:00:00Z | 1 | 0.02",
                  "a | 1970-01-01T03:00:00Z | 1970-01-01T04:00:00Z | 1 | 0.03"}));
  EXPECT_EQ(rows_of(plan, store,
                    {{Value::text("a")}, Value::timestamp(9 * kHour), Value::timestamp(9 * kHour)}),
            Rows{});
  EXPECT_EQ(rows_of(plan, store, {{}, Value::text("ab"), {}}).size(), 10u);
  EXPECT_EQ(rows_of(plan, store, {{Value::text("b")}, {}, {}}), Rows{});
}

TEST(Fold, HavingHidesGroups) {
  ViewPlan plan = donations_view();
  plan.aggregates = {aggregate(Kind::kCountRows), aggregate(Kind::kBoolOr, kPaid)};
  plan.having = column_program(2, {TypeKind::kBoolean, 0, 0});
  show_everything(plan);
  MemoryStore store;
  Donation paid = gift(0, "sea", 1);
  paid.paid = true;
  fold_all(plan, store, {paid, gift(1, "sky", 1)});
  EXPECT_EQ(rows_of(plan, store), Rows{"sea | 1 | true"});
}

TEST(Fold, AViewWithoutGroupsHasOneRowFromTheBeginning) {
  ViewPlan plan = totals_view();
  plan.keys.clear();
  show_everything(plan);
  MemoryStore store;
  EXPECT_EQ(rows_of(plan, store), Rows{"0 | NULL"});
  fold_all(plan, store, {gift(0, "sea", 3)});
  EXPECT_EQ(rows_of(plan, store), Rows{"1 | 0.03"});
}

/// Whoever comes too late for a window finds it in the store.
TEST(Fold, WindowsThatAreOverAreNotKeptInMemory) {
  ViewPlan plan = totals_view(window(WindowKind::kHop, hours(2), hours(1)));
  plan.source.watermark = {kTime, 5 * kMinute};
  plan.options.max_groups = 1'000'000;
  constexpr std::int64_t kLast = 100;
  std::vector<Donation> stream;
  const auto give = [&](std::int64_t hour, int campaign) {
    stream.push_back(gift(static_cast<std::int64_t>(stream.size()), std::to_string(campaign), 100,
                          hour * kHour));
  };
  for (std::int64_t hour = 0; hour <= kLast; ++hour) {
    for (int campaign = 0; campaign < 500; ++campaign) give(hour, campaign);
  }
  for (const std::int64_t hour : {std::int64_t{0}, kLast / 2, kLast - 2}) give(hour, 7);
  MemoryStore store;
  const auto fold = open_fold(plan, store);
  for (const Donation& d : stream) {
    ASSERT_TRUE(add(*fold, plan, d));
    if (d.offset % 500 != 0) continue;
    ASSERT_TRUE(commit(*fold, store));
    EXPECT_LT(fold->memory_bytes(), 4u << 20) << d.offset;
  }
  ASSERT_TRUE(commit(*fold, store));
  MemoryStore at_once;
  fold_all(plan, at_once, stream);
  EXPECT_EQ(store.of_the_log(), at_once.of_the_log());
}

TEST(Fold, WhatCouldNotBeWrittenIsFoldedAgain) {
  const ViewPlan plan = totals_view();
  MemoryStore store;
  const auto fold = open_fold(plan, store);
  ASSERT_TRUE(add(*fold, plan, gift(0, "sea", 1)));
  ASSERT_TRUE(commit(*fold, store));
  ASSERT_TRUE(add(*fold, plan, gift(1, "sea", 2)));
  store.applies_left = 0;
  ASSERT_FALSE(commit(*fold, store));
  EXPECT_EQ(fold->cursor(0)->next, 1);
  store.applies_left = 9;
  ASSERT_TRUE(add(*fold, plan, gift(1, "sea", 2)));
  ASSERT_TRUE(commit(*fold, store));
  EXPECT_EQ(rows_of(plan, store), Rows{"sea | 2 | 0.03"});
}

TEST(Fold, AStoreThatCannotBeReadIsAnErrorNotAZero) {
  const ViewPlan plan = totals_view();
  MemoryStore store;
  fold_all(plan, store, {gift(0, "sea", 1)});
  const auto fold = open_fold(plan, store);
  store.fail_reads = true;
  EXPECT_FALSE(add(*fold, plan, gift(1, "sea", 2)));
  fold->discard();
  store.fail_reads = false;
  ASSERT_TRUE(add(*fold, plan, gift(1, "sea", 2)));
  ASSERT_TRUE(commit(*fold, store));
  EXPECT_EQ(rows_of(plan, store), Rows{"sea | 2 | 0.03"});
}

TEST(Fold, ChangesNameTheGroupsOfEachWrite) {
  const ViewPlan plan = totals_view();
  MemoryStore store;
  FoldOptions options;
  options.id = kView;
  options.keep_changes = 3;
  auto fold = std::move(*ViewFold::open(plan, options, store));
  const auto write = [&](std::vector<Donation> all) {
    for (const Donation& d : all) ASSERT_TRUE(add(*fold, plan, d));
    ASSERT_TRUE(commit(*fold, store));
  };
  write({gift(0, "a", 1), gift(1, "a", 1), gift(0, "a", 1, 0, 1), gift(2, "b", 1)});
  EXPECT_EQ(fold->sequence(), 1u);
  EXPECT_EQ(store.count(kView, Space::kChanges), 2u) << "a and b";
  write({gift(3, "c", 1)});
  EXPECT_EQ(store.count(kView, Space::kChanges), 3u);
  fold = std::move(*ViewFold::open(plan, options, store));
  EXPECT_EQ(fold->sequence(), 2u);
  write({gift(4, "d", 1)});
  EXPECT_EQ(store.count(kView, Space::kChanges), 2u) << "c and d: the first write is forgotten";
  auto reader = std::move(*ViewReader::open(plan, kView, store));
  EXPECT_EQ(reader->sequence(), 3u);
  write({gift(5, "a", 1), gift(6, "b", 1), gift(7, "c", 1), gift(8, "d", 1)});
  EXPECT_EQ(store.count(kView, Space::kChanges), 0u) << "more than are kept at once";
  write({gift(9, "a", 1)});
  EXPECT_EQ(fold->sequence(), 5u);
  EXPECT_EQ(store.count(kView, Space::kChanges), 1u);
}

}  // namespace
}  // namespace runnel::storage::views
