// Random streams against an oracle; the same state whatever the batches, the cache, the restarts
// and the failures; and a crash at every write.
#include <gtest/gtest.h>

#include "storage/views/engine/key_encoding.h"
#include "tests/storage/views/engine/oracle.h"
#include "tests/support/seeds.h"

namespace runnel::storage::views {
namespace {

using sql::WindowKind;

std::size_t below(Random& random, std::size_t limit) {
  return static_cast<std::size_t>(random.next() % limit);
}
bool one_in(Random& random, std::size_t n) {
  return below(random, n) == 0;
}

/// Around the night in which clocks in Paris go back.
constexpr std::int64_t kNight = 1'792'886'400 * kSecond;  // 2026-10-25T00:00:00Z

ViewPlan random_view(Random& random) {
  const std::string zone = one_in(random, 2) ? "Europe/Paris" : "UTC";
  const WindowPlan windows[] = {
      {},
      window(WindowKind::kTumble, hours(1), {}, zone),
      window(WindowKind::kTumble, days(1), {}, zone),
      window(WindowKind::kHop, hours(3), hours(1), zone),
      window(WindowKind::kSession, minutes(20)),
  };
  ViewPlan plan = donations_view(windows[below(random, std::size(windows))]);
  plan.aggregates = oracle_aggregates();
  show_everything(plan);
  if (one_in(random, 3)) plan.filter = column_program(kPaid);
  if (!one_in(random, 3)) {
    plan.source.watermark = {kTime, static_cast<std::int64_t>(below(random, 120)) * kMinute};
  }
  plan.options.late = static_cast<LatePolicy>(below(random, 3));
  if (one_in(random, 2)) {
    plan.options.retention_micros = static_cast<std::int64_t>(below(random, 10)) * kHour;
  }
  if (one_in(random, 4)) plan.options.max_groups = 1 + below(random, 10);
  return plan;
}

std::vector<Donation> random_stream(Random& random, std::size_t count) {
  std::vector<Donation> stream;
  std::int64_t offsets[3] = {0, 0, 0};
  std::int64_t now = kNight - 12 * kHour;
  for (std::size_t i = 0; i < count; ++i) {
    Donation d;
    d.partition = static_cast<std::uint32_t>(below(random, 3));
    offsets[d.partition] += one_in(random, 10) ? 2 : 1;  // some offsets have no record
    d.offset = offsets[d.partition];
    now += static_cast<std::int64_t>(below(random, 2 * 36 * 60 / count + 2)) * kMinute;
    std::int64_t time = now;
    if (one_in(random, 3)) time -= static_cast<std::int64_t>(below(random, 240)) * kMinute;
    if (one_in(random, 3)) time += static_cast<std::int64_t>(below(random, 59)) * kSecond;
    if (one_in(random, 5)) time = time / kHour * kHour - (one_in(random, 2) ? 1 : 0);  // edges
    if (!one_in(random, 25)) d.time = time;
    if (one_in(random, 25)) d.error = RowError::kNotJson;
    if (!one_in(random, 9)) d.campaign = std::string(1, static_cast<char>('a' + below(random, 4)));
    if (!one_in(random, 9)) d.cents = static_cast<std::int64_t>(below(random, 100'000)) - 1000;
    if (!one_in(random, 9)) d.points = static_cast<std::int64_t>(below(random, 9));
    if (!one_in(random, 9)) d.paid = one_in(random, 2);
    // Fractions of a power of two: sums are exact, whatever their order.
    d.rate = static_cast<double>(below(random, 1000)) / 8;
    stream.push_back(d);
  }
  return stream;
}

/// Folds all of it in random batches, with restarts, little memory and writes that fail.
void fold_roughly(Random& random, const ViewPlan& plan, MemoryStore& store,
                  const std::vector<Donation>& stream) {
  const std::size_t cache_bytes = one_in(random, 2) ? 1000 : 1u << 20;
  auto fold = open_fold(plan, store, cache_bytes);
  std::size_t next = 0;
  std::size_t written = 0;
  while (written < stream.size()) {
    const std::size_t batch = 1 + below(random, one_in(random, 3) ? 50 : 5);
    for (std::size_t i = 0; i < batch && next < stream.size(); ++i) {
      ASSERT_TRUE(add(*fold, plan, stream[next++]));
    }
    if (one_in(random, 10)) {
      fold->discard();
      next = written;  // each partition goes on from its cursor: what is older is passed over
    } else if (one_in(random, 10)) {
      store.applies_left = 0;
      ASSERT_FALSE(commit(*fold, store));
      store.applies_left = ~std::uint64_t{0};
      next = written;
    } else {
      ASSERT_TRUE(commit(*fold, store));
      written = next;
    }
    if (one_in(random, 6)) {
      fold = open_fold(plan, store, cache_bytes);
      next = one_in(random, 2) ? 0 : written;
    }
  }
}

void expect_same(const Counters& got, const Counters& expected) {
  EXPECT_EQ(got.records, expected.records);
  EXPECT_EQ(got.applied, expected.applied);
  EXPECT_EQ(got.filtered, expected.filtered);
  EXPECT_EQ(got.late, expected.late);
  EXPECT_EQ(got.errors, expected.errors);
}

TEST(FoldModel, AnswersAreTheOracles) {
  for_each_seed(1, 400, [](std::uint64_t seed) {
    SeededRandom random(seed);
    const ViewPlan plan = random_view(random);
    const auto stream = random_stream(random, 1 + below(random, 200));
    MemoryStore store;
    fold_roughly(random, plan, store, stream);
    Oracle oracle(plan);
    for (const Donation& d : stream) oracle.add(d);
    EXPECT_EQ(rows_of(plan, store), oracle.rows());
    expect_same(totals_of(plan, store), oracle.totals());
  });
}

TEST(FoldModel, TheStateIsTheSameWhateverTheBatches) {
  for_each_seed(1000, 300, [](std::uint64_t seed) {
    SeededRandom random(seed);
    ViewPlan plan = random_view(random);
    plan.aggregates.push_back(aggregate(AggregateKind::kApproxCountDistinct, kAmount));
    plan.aggregates.push_back(aggregate(AggregateKind::kApproxPercentile, kRate));
    plan.aggregates.push_back(aggregate(AggregateKind::kTopK, kPoints));
    plan.aggregates.push_back(aggregate(AggregateKind::kVarPop, kRate));
    const auto stream = random_stream(random, 1 + below(random, 200));
    MemoryStore at_once;
    fold_all(plan, at_once, stream);
    MemoryStore one_by_one;
    for (const Donation& d : stream) fold_all(plan, one_by_one, {d});
    EXPECT_EQ(one_by_one.of_the_log(), at_once.of_the_log());
    MemoryStore roughly;
    fold_roughly(random, plan, roughly, stream);
    EXPECT_EQ(roughly.of_the_log(), at_once.of_the_log());
  });
}

/// Windows whose groups go while records of their time still come: what expired may be opened
/// again.
TEST(FoldModel, WhatExpiresAmongLateRecordsIsTheSameWhateverTheBatches) {
  for_each_seed(1500, 400, [](std::uint64_t seed) {
    SeededRandom random(seed);
    const bool session = one_in(random, 2);
    ViewPlan plan = donations_view(session ? window(WindowKind::kSession, minutes(10))
                                           : window(WindowKind::kCumulate, hours(1), minutes(10)));
    if (!session && one_in(random, 2)) plan.keys.pop_back();  // by window_start alone
    plan.aggregates = oracle_aggregates();
    plan.aggregates.push_back(aggregate(AggregateKind::kApproxCountDistinct, kAmount));
    if (session) plan.aggregates.pop_back();
    show_everything(plan);
    plan.source.watermark = {kTime, static_cast<std::int64_t>(below(random, 5)) * kMinute};
    plan.options.late = LatePolicy::kUpdate;
    plan.options.retention_micros = static_cast<std::int64_t>(below(random, 10)) * kMinute;
    auto stream = random_stream(random, 100);
    std::int64_t now = kNight;
    for (Donation& d : stream) {
      now += static_cast<std::int64_t>(below(random, 5)) * kMinute;
      d.time = now - static_cast<std::int64_t>(below(random, 30)) * kMinute;
    }
    MemoryStore at_once;
    fold_all(plan, at_once, stream);
    MemoryStore one_by_one;
    for (const Donation& d : stream) fold_all(plan, one_by_one, {d});
    EXPECT_EQ(one_by_one.of_the_log(), at_once.of_the_log());
    MemoryStore roughly;
    fold_roughly(random, plan, roughly, stream);
    EXPECT_EQ(roughly.of_the_log(), at_once.of_the_log());
    if (!session) return;  // of those that cumulate the oracle knows nothing
    Oracle oracle(plan);
    for (const Donation& d : stream) oracle.add(d);
    EXPECT_EQ(rows_of(plan, at_once), oracle.rows());
  });
}

/// The view's rows by group, as subscribers know groups.
std::map<std::string, Rows> groups_of(const ViewPlan& plan, const StateReader& store) {
  std::map<std::string, Rows> groups;
  const auto reader = ViewReader::open(plan, kView, store);
  EXPECT_TRUE(reader);
  EXPECT_TRUE((*reader)->read({}, [&](const ReadRow& row) {
    std::string text;
    for (const Value& value : row.outputs) text += to_string(value) + " | ";
    groups[std::string(row.key)].insert(text);
    return true;
  }));
  return groups;
}

/// Retention hides a row of one partition when another's time has gone on: that is a change, too.
TEST(FoldModel, WhateverBecomesOfARowIsAChange) {
  for_each_seed(2500, 200, [](std::uint64_t seed) {
    SeededRandom random(seed);
    ViewPlan plan = random_view(random);
    plan.options.retention_micros = static_cast<std::int64_t>(below(random, 5)) * kHour;
    const auto stream = random_stream(random, 100);
    const std::size_t cache_bytes = one_in(random, 2) ? 1000 : 1u << 20;
    MemoryStore store;
    auto fold = open_fold(plan, store, cache_bytes, 10'000);
    std::uint64_t sequence = 0;
    for (const Donation& d : stream) {
      const auto before = groups_of(plan, store);
      ASSERT_TRUE(add(*fold, plan, d));
      if (one_in(random, 3)) continue;
      ASSERT_TRUE(commit(*fold, store));
      std::set<std::string> changed;
      const std::string prefix = key_prefix(kView, Space::kChanges);
      ASSERT_TRUE(store.scan(prefix, behind_prefix(prefix), [&](std::string_view key, auto) {
        const auto number = load_be<std::uint64_t>(key.data() + prefix.size());
        if (number > sequence) changed.emplace(key.substr(prefix.size() + sizeof number));
        return true;
      }));
      sequence = fold->sequence();
      const auto after = groups_of(plan, store);
      const auto check = [&](const auto& some, const auto& others) {
        for (const auto& [key, rows] : some) {
          const auto other = others.find(key);
          if (other != others.end() && other->second == rows) continue;
          EXPECT_TRUE(changed.contains(key)) << *rows.begin();
        }
      };
      check(before, after);
      check(after, before);
      if (one_in(random, 8)) fold = open_fold(plan, store, cache_bytes, 10'000);
    }
  });
}

TEST(FoldModel, ADoublesSumDoesNotDependOnTheBatches) {
  for_each_seed(2000, 50, [](std::uint64_t seed) {
    SeededRandom random(seed);
    ViewPlan plan = donations_view();
    plan.aggregates = {aggregate(AggregateKind::kSum, kRate),
                       aggregate(AggregateKind::kVarSamp, kRate)};
    auto stream = random_stream(random, 60);
    for (Donation& d : stream) {
      d.rate = static_cast<double>(random.next()) / (1.0 + static_cast<double>(below(random, 1e6)));
    }
    MemoryStore at_once;
    fold_all(plan, at_once, stream);
    MemoryStore roughly;
    fold_roughly(random, plan, roughly, stream);
    EXPECT_EQ(roughly.of_the_log(), at_once.of_the_log());
  });
}

TEST(FoldModel, AfterACrashAtAnyWriteTheStateIsThatOfALogPrefix) {
  for_each_seed(3000, 25, [](std::uint64_t seed) {
    SeededRandom random(seed);
    const ViewPlan plan = random_view(random);
    const auto stream = random_stream(random, 40);
    const std::size_t batch = 1 + below(random, 4);
    MemoryStore whole;
    fold_all(plan, whole, stream);
    for (std::uint64_t crash = 0; crash <= stream.size() / batch; ++crash) {
      MemoryStore store;
      store.applies_left = crash;
      {
        const auto fold = open_fold(plan, store, 500);
        bool alive = true;
        for (std::size_t i = 0; alive && i < stream.size(); ++i) {
          ASSERT_TRUE(add(*fold, plan, stream[i]));
          if ((i + 1) % batch == 0) alive = commit(*fold, store).has_value();
        }
      }
      MemoryStore prefix;
      fold_all(plan, prefix,
               {stream.begin(), stream.begin() + static_cast<std::ptrdiff_t>(
                                                     std::min(stream.size(), crash * batch))});
      ASSERT_EQ(store.of_the_log(), prefix.of_the_log()) << crash;
      store.applies_left = ~std::uint64_t{0};
      fold_all(plan, store, stream);
      ASSERT_EQ(store.of_the_log(), whole.of_the_log()) << crash;
    }
  });
}

}  // namespace
}  // namespace runnel::storage::views
