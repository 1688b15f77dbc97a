// Aggregates against plain arithmetic, and the algebra that merging partitions relies on.
#include "storage/views/engine/aggregates.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cmath>

#include "storage/views/engine/wide_sum.h"
#include "tests/storage/views/engine/donations.h"
#include "tests/support/format_page.h"

namespace runnel::storage::views {
namespace {

using Kind = AggregateKind;

std::vector<AggregatePlan> exact_aggregates() {
  std::vector<AggregatePlan> plans{
      aggregate(Kind::kCountRows),
      aggregate(Kind::kCount, kAmount),
      aggregate(Kind::kSum, kAmount),
      aggregate(Kind::kSum, kPoints),
      aggregate(Kind::kAvg, kAmount),
      aggregate(Kind::kMin, kAmount),
      aggregate(Kind::kMax, kPoints),
      aggregate(Kind::kMin, kCampaign),
      aggregate(Kind::kMax, kCampaign),
      aggregate(Kind::kMin, kRate),
      aggregate(Kind::kBoolAnd, kPaid),
      aggregate(Kind::kBoolOr, kPaid),
      aggregate(Kind::kFirst, kCampaign),
      aggregate(Kind::kLast, kAmount),
      aggregate(Kind::kArgMin, kCampaign, kPoints),
      aggregate(Kind::kArgMax, kAmount, kPoints),
      aggregate(Kind::kCountDistinct, kCampaign),
      aggregate(Kind::kApproxCountDistinct, kPoints),
      aggregate(Kind::kApproxPercentile, kRate),
      aggregate(Kind::kTopK, kCampaign),
  };
  plans[18].parameter = 0.5;
  plans[19].parameter = 2;
  plans.push_back(aggregate(Kind::kSum, kPoints));
  plans.back().distinct = true;
  plans.push_back(aggregate(Kind::kSum, kAmount));
  plans.back().filter = column_program(kPaid);
  return plans;
}

class State {
 public:
  explicit State(const Aggregates& aggregates)
      : aggregates_(aggregates), block_(aggregates.block_bytes(), 'x') {
    aggregates_.initialize(ref());
  }
  State(const State&) = delete;
  [[nodiscard]] StateRef ref() { return {reinterpret_cast<std::byte*>(block_.data()), &extras_}; }
  void add(const Donation& d) {
    ViewPlan plan;
    plan.source = donations_source();
    std::vector<Value> values;
    const FoldRow row = row_of(d, plan, values);
    Arena arena;
    AggregateInputs inputs;
    ASSERT_EQ(aggregates_.evaluate(row.values, arena, false, inputs), RowError::kNone);
    aggregates_.add(ref(), inputs, {row.event_time, d.partition, d.offset});
  }
  [[nodiscard]] std::vector<std::string> results() {
    std::vector<std::string> all;
    Arena arena;
    for (std::size_t i = 0; i < aggregates_.size(); ++i) {
      Value value;
      const RowError error = aggregates_.finish(i, ref(), arena, value);
      all.push_back(error == RowError::kNone ? to_string(value) : std::string(name_of(error)));
    }
    return all;
  }

 private:
  const Aggregates& aggregates_;
  std::string block_;
  StateExtras extras_;
};

Donation any_donation(std::int64_t offset) {
  Donation d;
  d.offset = offset;
  d.partition = *rc::gen::inRange(0u, 3u);
  d.time = *rc::gen::inRange<std::int64_t>(0, 5);
  if (*rc::gen::inRange(0, 5) != 0) d.campaign = *rc::gen::element<std::string>("a", "b", "c");
  if (*rc::gen::inRange(0, 5) != 0) d.cents = *rc::gen::arbitrary<std::int32_t>();
  if (*rc::gen::inRange(0, 5) != 0) d.points = *rc::gen::inRange<std::int64_t>(-3, 3);
  if (*rc::gen::inRange(0, 5) != 0) d.paid = *rc::gen::arbitrary<bool>();
  d.rate = *rc::gen::inRange(-5, 5);
  return d;
}

TEST(Aggregates, MergingIsAssociativeAndCommutative) {
  const auto plans = exact_aggregates();
  const Aggregates aggregates(plans, Aggregates::Sessions::kNo, 2);
  EXPECT_TRUE(rc::check("partials merge in any order", [&] {
    std::vector<std::vector<Donation>> parts(3);
    std::int64_t offset = 0;
    for (auto& part : parts) {
      const int count = *rc::gen::inRange(0, 6);
      for (int i = 0; i < count; ++i) part.push_back(any_donation(offset++));
    }
    const auto merged = [&](std::vector<std::size_t> order, bool right_first) {
      std::vector<std::unique_ptr<State>> states;
      for (const std::size_t p : order) {
        states.push_back(std::make_unique<State>(aggregates));
        for (const Donation& d : parts[p]) states.back()->add(d);
      }
      if (right_first) {
        aggregates.merge(states[1]->ref(), states[2]->ref());
        aggregates.merge(states[0]->ref(), states[1]->ref());
      } else {
        aggregates.merge(states[0]->ref(), states[1]->ref());
        aggregates.merge(states[0]->ref(), states[2]->ref());
      }
      return states[0]->results();
    };
    const auto expected = merged({0, 1, 2}, false);
    RC_ASSERT(merged({0, 1, 2}, true) == expected);
    RC_ASSERT(merged({2, 1, 0}, false) == expected);
    RC_ASSERT(merged({1, 0, 2}, true) == expected);
  }));
}

TEST(Aggregates, AStateAndItsBytesAreTheSame) {
  const auto plans = exact_aggregates();
  const Aggregates aggregates(plans, Aggregates::Sessions::kYes, 100);
  EXPECT_TRUE(rc::check("states round-trip", [&] {
    State state(aggregates);
    const int count = *rc::gen::inRange(0, 20);
    for (int i = 0; i < count; ++i) state.add(any_donation(i));
    Aggregates::set_last_time(state.ref(), count);
    ByteWriter bytes;
    aggregates.encode(state.ref(), bytes);
    State loaded(aggregates);
    RC_ASSERT(aggregates.decode(bytes.bytes(), loaded.ref()));
    for (std::size_t i = 0; i < aggregates.sketches(); ++i) {
      ByteWriter chunk;
      const Sketch& sketch = *state.ref().extras->sketches[i];
      sketch.encode_chunk(0, chunk);
      RC_ASSERT(loaded.ref().extras->sketches[i]->load_chunk(chunk.bytes()));
    }
    RC_ASSERT(loaded.results() == state.results());
    RC_ASSERT(Aggregates::last_time(loaded.ref()) == count);
    State torn(aggregates);
    const std::size_t size = *rc::gen::inRange<std::size_t>(0, bytes.size());
    RC_ASSERT(!aggregates.decode(bytes.bytes().first(size), torn.ref()));
  }));
}

TEST(Aggregates, ResultsOfAFewDonations) {
  const auto plans = exact_aggregates();
  const Aggregates aggregates(plans, Aggregates::Sessions::kNo, 100);
  State state(aggregates);
  state.add({0, 10, {}, "b", 250, 5, 30, true, 1.5});
  state.add({0, 11, {}, "a", 1000, 7, 20, false, 2.5});
  state.add({1, 4, {}, "b", std::nullopt, 5, 30, std::nullopt, -1});
  state.add({0, 12, {}, std::nullopt, -75, std::nullopt, 25, true, 8});
  const std::vector<std::string> expected{
      "4",     "3",    "11.75", "17",   "3.91666667", "-0.75", "7", "a", "b",   "-1",
      "false", "true", "a",     "NULL", "b",          "10.00", "2", "2", "1.5", "[\"b\",\"a\"]",
      "12",    "1.75"};
  auto got = state.results();
  // A percentile is within its error.
  EXPECT_NEAR(std::stod(got[18]), 1.5, 1.5 / 128);
  got[18] = "1.5";
  EXPECT_EQ(got, expected);
}

TEST(Aggregates, NothingIsNull) {
  auto plans = exact_aggregates();
  plans.push_back(aggregate(Kind::kVarPop, kRate));
  plans.push_back(aggregate(Kind::kSum, kRate));
  const Aggregates aggregates(plans, Aggregates::Sessions::kNo, 100);
  State state(aggregates);
  const auto got = state.results();
  for (std::size_t i = 0; i < got.size(); ++i) {
    const bool counts = plans[i].kind == Kind::kCountRows || plans[i].kind == Kind::kCount ||
                        plans[i].kind == Kind::kCountDistinct ||
                        plans[i].kind == Kind::kApproxCountDistinct;
    EXPECT_EQ(got[i], counts ? "0" : plans[i].kind == Kind::kTopK ? "[]" : "NULL") << i;
  }
}

TEST(Aggregates, VariancesAsTheTextbookHasThem) {
  const std::vector<AggregatePlan> plans{
      aggregate(Kind::kVarPop, kRate), aggregate(Kind::kVarSamp, kRate),
      aggregate(Kind::kStddevPop, kRate), aggregate(Kind::kStddevSamp, kRate)};
  const Aggregates aggregates(plans, Aggregates::Sessions::kNo, 100);
  State a(aggregates);
  State b(aggregates);
  const double rates[] = {1e9 + 4, 1e9 + 7, 1e9 + 13, 1e9 + 16};
  for (int i = 0; i < 4; ++i) {
    Donation d;
    d.rate = rates[i];
    (i % 2 == 0 ? a : b).add(d);
  }
  aggregates.merge(a.ref(), b.ref());
  const double expected[] = {22.5, 30, std::sqrt(22.5), std::sqrt(30.0)};
  Arena arena;
  for (std::size_t i = 0; i < 4; ++i) {
    Value value;
    ASSERT_EQ(aggregates.finish(i, a.ref(), arena, value), RowError::kNone);
    EXPECT_NEAR(value.as_double(), expected[i], 1e-9) << i;
  }
}

TEST(Aggregates, ASumOfDoublesKeepsWhatRoundingLoses) {
  const std::vector<AggregatePlan> plans{aggregate(Kind::kSum, kRate)};
  const Aggregates aggregates(plans, Aggregates::Sessions::kNo, 100);
  State state(aggregates);
  for (const double rate : {1e16, 1.0, 1.0, 1.0, 1.0, -1e16}) {
    Donation d;
    d.rate = rate;
    state.add(d);
  }
  EXPECT_EQ(state.results()[0], "4");
  Donation endless;
  endless.rate = HUGE_VAL;
  state.add(endless);
  Arena arena;
  Value value;
  ASSERT_EQ(aggregates.finish(0, state.ref(), arena, value), RowError::kNone);
  EXPECT_EQ(value.as_double(), HUGE_VAL);
}

TEST(Aggregates, ASumThatDoesNotFitIsAnErrorUntilItFitsAgain) {
  auto plan = aggregate(Kind::kSum, kAmount);
  const Aggregates aggregates({&plan, 1}, Aggregates::Sessions::kNo, 100);
  State state(aggregates);
  const Int128 most = power_of_ten(38) - 1;
  const auto add = [&](Int128 unscaled) {
    AggregateInputs inputs;
    inputs.values = {Value::decimal(unscaled, 2)};
    aggregates.add(state.ref(), inputs, {});
  };
  add(most);
  EXPECT_EQ(state.results()[0], "999999999999999999999999999999999999.99");
  for (int i = 0; i < 5; ++i) add(most);
  EXPECT_EQ(state.results()[0], "out_of_range") << "no wrong number";
  for (int i = 0; i < 6; ++i) add(-most);
  EXPECT_EQ(state.results()[0], "0.00") << "and no number lost";
  add(-most);
  add(-1);
  EXPECT_EQ(state.results()[0], "out_of_range");
}

TEST(WideSum, DividesAsSchoolDoes) {
  EXPECT_TRUE(rc::check("quotients are rounded half away from zero", [] {
    const auto n = *rc::gen::arbitrary<std::int64_t>();
    const auto count =
        *rc::gen::oneOf(rc::gen::inRange<std::uint64_t>(1, 9), rc::gen::positive<std::uint64_t>());
    const auto digits = *rc::gen::inRange(0u, 8u);
    WideSum sum;
    sum.add(n);
    const Int128 scaled = static_cast<Int128>(n) * power_of_ten(digits);
    const auto divisor = static_cast<Int128>(count);
    Int128 quotient = scaled / divisor;
    const Int128 rest = scaled % divisor;
    if ((rest < 0 ? -rest : rest) * 2 >= divisor) quotient += n < 0 ? -1 : 1;
    RC_ASSERT(sum.divided(count, digits) == std::optional(quotient));
  }));
}

TEST(WideSum, AddsAcrossItsHalves) {
  WideSum sum;
  const Int128 greatest = static_cast<Int128>(~Uint128{0} >> 1);
  for (int i = 0; i < 1000; ++i) sum.add(greatest);
  EXPECT_FALSE(sum.narrow());
  WideSum other;
  for (int i = 0; i < 999; ++i) other.add(-greatest);
  other.add(-greatest + 42);
  sum.add(other);
  ASSERT_TRUE(sum.narrow());
  EXPECT_TRUE(*sum.narrow() == 42);
}

}  // namespace
}  // namespace runnel::storage::views
