// What becomes of records: one case at a time.
#include "storage/views/engine/fold.h"

#include <gtest/gtest.h>

#include "tests/storage/views/engine/gifts.h"

namespace runnel::storage::views {
namespace {

using Kind = AggregateKind;
using sql::WindowKind;

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
