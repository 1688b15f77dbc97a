// Views kept current from a real log: what is durable and committed, each record once, across
// crashes of the log, of the state and of both.
#include "storage/views/worker/topic_views.h"

#include <gtest/gtest.h>

#include "storage/index/rocksdb_state_store.h"
#include "storage/views/worker/view_worker.h"
#include "tests/storage/log/store_fixture.h"
#include "tests/storage/views/engine/fold_fixture.h"

namespace runnel::storage::views {
namespace {

using Kind = AggregateKind;

/// Records are "campaign cents"; anything else is none.
class PlainRows final : public RowMaker {
 public:
  explicit PlainRows(const ViewPlan& plan) : plan_(plan) {}
  Status prepare(Store&, const std::function<void(std::size_t, const Error&)>&) override {
    if (preparing) preparing();
    return {};
  }
  void begin(PartitionIndex, const protocol::Record& record) override {
    ++records;
    donation_ = Donation();
    donation_.offset = record.offset.value();
    donation_.time = record.timestamp.value() * 1000;
    text_ = record.value.value_or("");
    const std::size_t blank = text_.find(' ');
    if (blank == std::string::npos) {
      donation_.error = RowError::kNotJson;
      return;
    }
    donation_.campaign = text_.substr(0, blank);
    donation_.cents = std::stoll(text_.substr(blank));
  }
  FoldRow row(std::size_t view) override {
    if (making) making(view);
    FoldRow row = row_of(donation_, plan_, values_);
    row.raw = text_;
    return row;
  }
  std::uint64_t records = 0;
  std::function<void()> preparing;
  std::function<void(std::size_t view)> making;

 private:
  const ViewPlan& plan_;
  Donation donation_;
  std::string text_;
  std::vector<Value> values_;
};

ViewPlan totals_view() {
  ViewPlan plan = donations_view();
  plan.aggregates = {aggregate(Kind::kCountRows), aggregate(Kind::kSum, kAmount)};
  show_everything(plan);
  return plan;
}

/// Waits until partition 0 has been folded up to a goal.
class GoalOutput final : public ViewOutput {
 public:
  Status begin(const SourceOffsets&) override { return {}; }
  Offset limit(std::uint32_t) const override { return Offset(goal); }
  bool holds(const SourceOffsets& state) const override { return state.at(0) < goal; }
  Status pass(const StateReader& state, const StateWrites& writes) override {
    const std::string key = partition_key(kView, Space::kCursors, 0);
    std::string value;
    const auto found = state.get(key, value);
    EXPECT_TRUE(found);
    before.push_back(*found ? next_of(value) : 0);
    writes.for_each(
        [&](std::string_view put, std::string_view cursor) {
          if (put == key) after.push_back(next_of(cursor));
        },
        [](std::string_view) {});
    return outcome;
  }
  std::int64_t goal = 0;
  Status outcome;
  std::vector<std::int64_t> before;  ///< where the state was, and where it will be
  std::vector<std::int64_t> after;

 private:
  static std::int64_t next_of(std::string_view value) {
    Cursor cursor;
    EXPECT_TRUE(cursor.decode(as_bytes(value)));
    return cursor.next;
  }
};

class TopicViewsTest : public StoreTest {
 protected:
  void SetUp() override {
    StoreTest::SetUp();
    create("donations", 2);
    ASSERT_TRUE(fs.create_directory("data/views"));
    ASSERT_TRUE(fs.sync_directory("data"));
    open_views();
  }
  void TearDown() override { close_views(); }
  void open_views() {
    StateStoreOptions state_options;
    state_options.directory = "data/views";
    state_options.file_system = &fs;
    state_options.memory_bytes = 4u << 20;
    auto opened = open_state_store(std::move(state_options));
    ASSERT_TRUE(opened) << opened.error().to_string();
    state = std::move(*opened);
    FoldOptions first;
    first.id = kView;
    FoldOptions second;
    second.id = {8, 1};
    TopicViewsOptions topic;
    topic.topic = "donations";
    topic.fetch_bytes = fetch_bytes;
    std::vector<TopicView> both{{&plan, first}, {&plan, second}};
    first.keep_changes = 100;
    if (output != nullptr) both = {{&plan, first, {}, output, history}};
    auto made = TopicViews::open(*store, *state, rows, std::move(both), topic);
    ASSERT_TRUE(made) << made.error().to_string();
    views = std::move(*made);
  }
  void close_views() {
    views.reset();
    state.reset();
  }
  void catch_up() {
    while (true) {
      const auto more = views->round();
      ASSERT_TRUE(more) << more.error().to_string();
      if (!*more) return;
    }
  }
  void give(std::vector<std::string> values, int partition = 0) {
    ASSERT_TRUE(append("donations", make_batch(std::move(values)), partition).result);
  }

  std::shared_ptr<RowHistory> history =
      std::make_shared<RowHistory>(std::make_shared<HistoryRoom>(1u << 20), 1u << 20);
  const ViewPlan plan = totals_view();
  PlainRows rows{plan};
  std::uint32_t fetch_bytes = 200;
  ViewOutput* output = nullptr;
  std::unique_ptr<StateStore> state;
  std::unique_ptr<TopicViews> views;
};

TEST_F(TopicViewsTest, AViewWithoutMemoryStopsAndTheOthersGoOn) {
  give({"sea 100"});
  rows.making = [](std::size_t view) {
    if (view == 1) throw std::bad_alloc();
  };
  for (const std::size_t failed : {0u, 1u}) {
    const auto round = views->round();
    ASSERT_FALSE(round);
    EXPECT_EQ(round.error().code(), ErrorCode::kOverloaded);
    EXPECT_EQ(views->failures(), failed) << "the first time may pass";
  }
  EXPECT_EQ(views->failure(1)->code(), ErrorCode::kOverloaded);
  catch_up();
  EXPECT_EQ(rows_of(plan, *state), Rows{"sea | 1 | 1.00"});
}

TEST_F(TopicViewsTest, NoViewIsToBlameForMemoryThatAllWanted) {
  give({"sea 100"});
  catch_up();
  give({"sea 1"});
  rows.preparing = [] { throw std::bad_alloc(); };
  for (int i = 0; i < 4; ++i) {
    const auto round = views->round();
    ASSERT_FALSE(round);
    EXPECT_EQ(round.error().code(), ErrorCode::kOverloaded);
  }
  EXPECT_EQ(views->failures(), 0u);
  rows.preparing = nullptr;
  catch_up();
  EXPECT_EQ(rows_of(plan, *state), Rows{"sea | 2 | 1.01"});
}

TEST_F(TopicViewsTest, AWorkerWithoutMemoryGoesOn) {
  std::atomic<int> left{2};
  std::vector<std::string> reported;
  ViewWorkerOptions worker_options;
  worker_options.report = [&](const Error& e) { reported.push_back(e.to_string()); };
  worker_options.after_round = [&] {
    if (left-- > 0) throw std::bad_alloc();
    return true;
  };
  ViewWorker worker(*store, *views, worker_options);
  give({"sea 1"});
  ASSERT_TRUE(worker.wait_applied(0, Offset(1), std::chrono::seconds(30)));
  while (left >= 0) std::this_thread::yield();
  worker.stop();
  EXPECT_EQ(reported.size(), 2u);
}

TEST_F(TopicViewsTest, TheViewsHaveWhatTheLogHas) {
  give({"sea 100", "sky 50", "nonsense"});
  give({"sea 1"}, 1);
  catch_up();
  EXPECT_EQ(rows_of(plan, *state), (Rows{"sea | 2 | 1.01", "sky | 1 | 0.50"}));
  EXPECT_EQ(totals_of(plan, *state).errors, 1u);
  EXPECT_EQ(rows.records, 4u) << "each record was made a row once, for both views";
  EXPECT_EQ(views->applied(0), Offset(3));
  EXPECT_EQ(views->applied(1), Offset(1));
}

TEST_F(TopicViewsTest, ARoundTakesNothingThatCameAfterTheTablesWereRead) {
  give({"sea 100"});
  rows.preparing = [this] { give({"sea 1"}); };
  ASSERT_TRUE(views->round());
  rows.preparing = nullptr;
  EXPECT_EQ(rows_of(plan, *state), Rows{"sea | 1 | 1.00"});
  EXPECT_EQ(views->applied(0), Offset(1));
  catch_up();
  EXPECT_EQ(rows_of(plan, *state), Rows{"sea | 2 | 1.01"});
}

TEST_F(TopicViewsTest, AnAbortedTransactionNeverWas) {
  const auto producer = store->new_producer();
  ASSERT_TRUE(producer);
  const auto write = [&](std::string value, std::int32_t sequence, bool commit) {
    BatchSpec spec;
    spec.values = {std::move(value)};
    spec.producer = producer->id;
    spec.epoch = producer->epoch;
    spec.sequence = sequence;
    spec.transactional = true;
    ASSERT_TRUE(append("donations", make_batch(spec)).result);
    catch_up();
    EXPECT_EQ(views->applied(0).value(), 2 * sequence) << "not before its end";
    CommitRequest end;
    end.markers.push_back({ref("donations"), *producer, commit, 0});
    ASSERT_TRUE(store->commit_and_wait(std::move(end)).result);
    catch_up();
  };
  write("sea 100", 0, false);
  write("sea 7", 1, true);
  EXPECT_EQ(rows_of(plan, *state), Rows{"sea | 1 | 0.07"});
  EXPECT_EQ(views->applied(0), Offset(4));
}

TEST_F(TopicViewsTest, AfterAnyCrashTheStateIsThatOfTheLog) {
  std::int64_t count = 0;
  std::int64_t cents = 0;
  for (int turn = 0; turn < 12; ++turn) {
    for (int i = 0; i < 5; ++i) {
      give({"sea " + std::to_string(turn), "sea 3"}, i % 2);
      count += 2;
      cents += turn + 3;
      if (i == turn % 5) {
        ASSERT_TRUE(views->round());
      }
      if (i == turn % 3) {
        ASSERT_TRUE(state->flush());
      }
    }
    views.reset();
    if (turn % 3 == 0) {  // the process alone
      fs.kill_process();
    } else {
      fs.power_off(turn % 3 == 1 ? CutMode::kPrefix : CutMode::kDropAll);
    }
    state.reset();
    store.reset();
    if (turn % 3 != 0) fs.boot();
    open();
    open_views();
    catch_up();
    EXPECT_EQ(rows_of(plan, *state),
              Rows{"sea | " + std::to_string(count) + " | " + to_string(Value::decimal(cents, 2))});
    totals_of(plan, *state);
  }
}

TEST_F(TopicViewsTest, WhatCouldNotBeReadOrWrittenIsFoldedInTheNextRound) {
  give({"sea 100"});
  catch_up();
  give({"sea 1"});
  fs.set_fault({1, FaultKind::kIo, true, static_cast<std::uint32_t>(SimOperation::kRead), "", {}});
  EXPECT_FALSE(views->round());
  EXPECT_TRUE(fs.fault_struck());
  EXPECT_EQ(views->applied(0), Offset(1));
  fs.clear_fault();
  catch_up();
  EXPECT_EQ(rows_of(plan, *state), Rows{"sea | 2 | 1.01"});
}

TEST_F(TopicViewsTest, ADamagedStateStopsItsViewAlone) {
  give({"sea 100"});
  catch_up();
  close_views();
  open_views();
  StateWrites damage;
  for (const auto space : {Space::kGroups}) {
    ASSERT_TRUE(state->scan(key_prefix(kView, space), key_prefix({8, 1}, space),
                            [&](std::string_view key, std::string_view) {
                              damage.put(key, "?");
                              return false;
                            }));
  }
  ASSERT_TRUE(state->apply(damage));
  give({"sea 1"});
  catch_up();
  ASSERT_TRUE(views->failure(0));
  EXPECT_EQ(views->failure(0)->code(), ErrorCode::kCorrupt);
  EXPECT_FALSE(views->failure(1));
  EXPECT_EQ(views->applied(0), Offset(2)) << "of those that go on";
}

TEST_F(TopicViewsTest, TheWorkerFollowsTheLog) {
  std::vector<std::string> reported;
  ViewWorkerOptions worker_options;
  worker_options.report = [&](const Error& e) { reported.push_back(e.to_string()); };
  ViewWorker worker(*store, *views, worker_options);
  for (std::int64_t i = 1; i <= 50; ++i) {
    give({"sea 1"});
    ASSERT_TRUE(worker.wait_applied(0, Offset(i), std::chrono::seconds(30)));
    ASSERT_EQ(rows_of(plan, *state->snapshot()),
              Rows{"sea | " + std::to_string(i) + " | " + to_string(Value::decimal(i, 2))});
  }
  EXPECT_FALSE(worker.wait_applied(0, Offset(51), std::chrono::milliseconds(1)));
  worker.stop();
  EXPECT_FALSE(worker.wait_applied(0, Offset(51), std::chrono::seconds(30)));
  EXPECT_EQ(reported, std::vector<std::string>{});
}

TEST_F(TopicViewsTest, AnOutputSaysHowFarARoundGoesAndComesBeforeTheState) {
  GoalOutput goal;
  output = &goal;
  for (int i = 0; i < 40; ++i) give({"sea 1", "sky 1"});
  close_views();
  open_views();
  goal.goal = 31;  // in the middle of a batch, and many reads away
  catch_up();
  EXPECT_EQ(goal.before.front(), 0) << "nothing is written on the way";
  EXPECT_EQ(goal.after, std::vector<std::int64_t>{31});
  EXPECT_EQ(views->applied(0), Offset(31));
  // What it refuses is not written, and tried again.
  goal.goal = 35;
  goal.outcome = fail(ErrorCode::kLowSpace, "no room");
  EXPECT_FALSE(views->round());
  EXPECT_EQ(views->applied(0), Offset(31));
  goal.outcome = {};
  catch_up();
  EXPECT_EQ(views->applied(0), Offset(35));
  EXPECT_EQ(goal.before.back(), 35);
  // What it can't do ends the view.
  goal.goal = 40;
  goal.outcome = fail(ErrorCode::kInvalidArgument, "never");
  EXPECT_TRUE(views->round());
  ASSERT_TRUE(views->failure(0));
  EXPECT_NE(views->failure(0)->message().find("never"), std::string::npos);
}

TEST_F(TopicViewsTest, AChangeWhoseWriteFailedAtFirstIsToldOnceItIsWritten) {
  GoalOutput goal;
  output = &goal;
  close_views();
  open_views();
  const RowFollower follower(history);
  give({"sea 100", "sky 1"});
  goal.goal = 1;
  catch_up();
  ASSERT_NE(follower.behind(0).step, nullptr);
  for (const ErrorCode code : {ErrorCode::kLowSpace, ErrorCode::kIo}) {
    goal.goal = 2;
    goal.outcome = fail(code, "not now");
    EXPECT_FALSE(views->round());
    EXPECT_EQ(follower.behind(1).step, nullptr) << "what is not written was not";
    EXPECT_FALSE(follower.behind(1).lost);
    EXPECT_EQ(views->sequence(0), 1u);
  }
  goal.outcome = {};
  catch_up();
  const RowHistory::Next next = follower.behind(1);
  ASSERT_NE(next.step, nullptr);
  EXPECT_EQ(next.step->sequence(), 2u);
  EXPECT_EQ(views->sequence(0), 2u);
}

}  // namespace
}  // namespace runnel::storage::views
