// Statements in, current views out; across restarts.
#include "storage/views/service/view_service.h"

#include <atomic>

#include "storage/index/rocksdb_state_store.h"
#include "tests/storage/views/service/service_fixture.h"

namespace runnel::storage::views {
namespace {

using ViewServiceTest = ServiceFixture;

TEST_F(ViewServiceTest, AViewHasWhatWasThereAndWhatComes) {
  give({donation("sea", 100), "nonsense"});
  give({donation("sky", 50)}, 1);
  create_totals();
  EXPECT_EQ(rows("totals"), (Rows{"sea | 1 | 1.00", "sky | 1 | 0.50"})) << "when CREATE answers";
  give({donation("sea", 1)}, 1);
  catch_up();
  EXPECT_EQ(rows("totals"), (Rows{"sea | 2 | 1.01", "sky | 1 | 0.50"}));
  const ViewStatus now = status("totals");
  EXPECT_EQ(now.state, ViewState::kRunning);
  EXPECT_EQ(now.totals.records, 4u);
  EXPECT_EQ(now.totals.errors, 1u);
  EXPECT_EQ(now.lag, 0u);
  EXPECT_EQ(now.applied, (std::vector<Position>{{"donations", PartitionIndex(0), Offset(2)},
                                                {"donations", PartitionIndex(1), Offset(2)}}));
}

TEST_F(ViewServiceTest, DefinitionsAndStateSurvive) {
  create_totals();
  give({donation("sea", 100)});
  catch_up();
  restart();
  EXPECT_EQ(rows("totals"), Rows{"sea | 1 | 1.00"}) << "not folded anew";
  give({donation("sea", 1)});
  catch_up();
  EXPECT_EQ(rows("totals"), Rows{"sea | 2 | 1.01"});
}

TEST_F(ViewServiceTest, WithoutViewsThereIsNoState) {
  create_source();
  restart();
  EXPECT_FALSE(fs.exists("data/views"));
  EXPECT_EQ(service->snapshot().state, nullptr);
  EXPECT_NE(service->snapshot().definitions->find("donations"), nullptr);
  EXPECT_TRUE(applied()) << "no view is behind";
}

TEST_F(ViewServiceTest, NamesAreTakenOnce) {
  create_totals();
  const std::string view = "VIEW totals AS SELECT COUNT(*) AS n FROM donations";
  EXPECT_EQ(refused("CREATE MATERIALIZED " + view),
            "line 1, column 26: there is a MATERIALIZED VIEW totals already; CREATE OR REPLACE "
            "replaces it");
  EXPECT_EQ(refused("CREATE SOURCE totals (a BIGINT) ON TOPIC 'donations'"),
            "line 1, column 15: totals is the name of a MATERIALIZED VIEW already");
  const Answer there =
      run("CREATE MATERIALIZED VIEW IF NOT EXISTS totals AS SELECT COUNT(*) AS n FROM donations");
  EXPECT_EQ(there.tag, "CREATE MATERIALIZED VIEW");
  EXPECT_EQ(there.notices, std::vector<std::string>{"totals is there already, and stays as it is"});
  EXPECT_EQ(service->snapshot().definitions->find("totals")->id.generation, 1);
}

TEST_F(ViewServiceTest, AnUnknownTopicIsRefusedWithTheNearestName) {
  EXPECT_EQ(refused("CREATE SOURCE s (a BIGINT) ON TOPIC 'donatons'"),
            "there is no topic 'donatons'; did you mean 'donations'?");
  EXPECT_EQ(refused("CREATE SOURCE s (a BIGINT) ON TOPIC 'qqqqqq'"),
            "there is no topic 'qqqqqq'; create it first");
}

TEST_F(ViewServiceTest, WhatIsReadIsNotDropped) {
  create_totals();
  run("CREATE MATERIALIZED VIEW all_of_it AS SELECT SUM(total) AS total FROM totals");
  EXPECT_EQ(refused("DROP SOURCE donations"),
            "line 1, column 13: donations is read by totals, all_of_it; drop what reads it first, "
            "or all of it with CASCADE");
  EXPECT_EQ(refused("DROP SOURCE totals"),
            "line 1, column 13: totals is a MATERIALIZED VIEW; DROP MATERIALIZED VIEW removes it");
  EXPECT_EQ(refused("DROP MATERIALIZED VIEW total"),
            "line 1, column 24: there is no materialized view 'total'; did you mean 'totals'?");
  EXPECT_EQ(run("DROP VIEW IF EXISTS total").notices,
            std::vector<std::string>{"there is no total"});
  EXPECT_EQ(run("DROP SOURCE donations CASCADE").notices,
            std::vector<std::string>{"dropped as well: totals, all_of_it"});
  EXPECT_TRUE(service->snapshot().definitions->all().empty());
  restart();
  EXPECT_TRUE(service->snapshot().definitions->all().empty());
}

std::size_t keys_of(const ReadSnapshot& snapshot, ViewId id) {
  std::size_t count = 0;
  const std::string prefix = generation_prefix(id);
  EXPECT_TRUE(snapshot.state->scan(prefix, {}, [&](std::string_view key, std::string_view) {
    if (!key.starts_with(prefix)) return false;
    ++count;
    return true;
  }));
  return count;
}

TEST_F(ViewServiceTest, ADroppedViewLeavesNothing) {
  create_totals();
  give({donation("sea", 100)});
  catch_up();
  const ReadSnapshot before = service->snapshot();
  const ViewId id = before.definitions->find("totals")->id;
  EXPECT_GT(keys_of(before, id), 0u);
  run("DROP MATERIALIZED VIEW totals");
  EXPECT_EQ(keys_of(service->snapshot(), id), 0u);
  EXPECT_EQ(rows("totals", before), Rows{"sea | 1 | 1.00"}) << "who began before goes on";
  EXPECT_TRUE(applied()) << "no view is behind";
  run("CREATE MATERIALIZED VIEW totals AS SELECT COUNT(*) AS n FROM donations");
  EXPECT_NE(service->snapshot().definitions->find("totals")->id.view, id.view)
      << "numbers are not used again";
}

TEST_F(ViewServiceTest, StateOfNobodyGoesAtTheStart) {
  create_totals();
  give({donation("sea", 100)});
  catch_up();
  const ViewId id = service->snapshot().definitions->find("totals")->id;
  const ViewId older{id.view, static_cast<std::uint16_t>(id.generation - 1)};
  service.reset();
  {
    StateStoreOptions options;
    options.directory = "data/views";
    options.file_system = &fs;
    const auto state = open_state_store(options);
    ASSERT_TRUE(state) << state.error().to_string();
    StateWrites writes;
    writes.put(generation_prefix(older) + "x", "x");
    writes.put(generation_prefix({id.view + 7, 1}) + "x", "x");
    ASSERT_TRUE((*state)->apply(writes));
    ASSERT_TRUE((*state)->flush());
  }
  open_service();
  EXPECT_EQ(keys_of(service->snapshot(), older), 0u);
  EXPECT_EQ(keys_of(service->snapshot(), {id.view + 7, 1}), 0u);
  EXPECT_EQ(rows("totals"), Rows{"sea | 1 | 1.00"});
}

TEST_F(ViewServiceTest, AReplacedViewIsReadUntilTheNewOneIsBuilt) {
  create_totals();
  std::vector<std::string> batch(1000, donation("sea", 1));
  for (int i = 0; i < 20; ++i) give(batch);
  catch_up();
  const Answer answer =
      run("CREATE OR REPLACE MATERIALIZED VIEW totals WITH (backfill_rate = '1') AS "
          "SELECT campaign, COUNT(*) AS n FROM donations GROUP BY campaign");
  EXPECT_EQ(answer.notices,
            std::vector<std::string>{"totals is built anew of what is in the log; until then it is "
                                     "read as it was"});
  EXPECT_EQ(rows("totals"), Rows{"sea | 20000 | 200.00"});
  EXPECT_EQ(service->snapshot().definitions->find("totals")->id.generation, 1);
  give({donation("sky", 5)}, 1);
  catch_up();
  EXPECT_EQ(rows("totals"), (Rows{"sea | 20000 | 200.00", "sky | 1 | 0.05"})) << "and current";

  // After a restart as well.
  restart();
  EXPECT_EQ(rows("totals").size(), 2u);
  EXPECT_EQ(service->snapshot().definitions->find("totals")->id.generation, 1);
  const ReadSnapshot before = service->snapshot();
  std::promise<void> swapped;
  std::atomic<bool> done{false};
  const auto watch = service->watch("totals", [&] {
    if (service->snapshot().definitions->find("totals")->id.generation == 2 &&
        !done.exchange(true)) {
      swapped.set_value();
    }
  });
  ASSERT_TRUE(watch);
  run("ALTER MATERIALIZED VIEW totals SET (backfill_rate = '100000000')");
  swapped.get_future().wait();
  EXPECT_EQ(rows("totals"), (Rows{"sea | 20000", "sky | 1"}));
  EXPECT_EQ(keys_of(service->snapshot(), before.definitions->find("totals")->id), 0u);
  EXPECT_EQ(rows("totals", before).size(), 2u) << "who began before goes on";
}

TEST_F(ViewServiceTest, AReplacedSourceHasItsViewsBuiltAnew) {
  give({R"({"campaign":"sea","amount":1,"gift":2})"});
  create_totals();
  EXPECT_EQ(rows("totals"), Rows{"sea | 1 | 1.00"});
  EXPECT_NE(
      refused("CREATE OR REPLACE SOURCE donations (amount DECIMAL(12,2)) ON TOPIC 'donations'")
          .find("totals reads donations and would no longer make sense"),
      std::string::npos);
  run("CREATE OR REPLACE SOURCE donations (campaign VARCHAR NOT NULL, amount DECIMAL(12,2) PATH "
      "'$.gift', at TIMESTAMPTZ) ON TOPIC 'donations'");
  EXPECT_EQ(rows("totals"), Rows{"sea | 1 | 2.00"});
  restart();
  catch_up();
  EXPECT_EQ(rows("totals"), Rows{"sea | 1 | 2.00"});
}

TEST_F(ViewServiceTest, AViewOfAViewIsComputedWhenItIsRead) {
  create_totals();
  run("CREATE MATERIALIZED VIEW all_of_it AS SELECT SUM(total) AS total FROM totals");
  const DefinitionRef over = service->snapshot().definitions->find("all_of_it");
  EXPECT_TRUE(over->over_view());
  EXPECT_FALSE(over->building);
  EXPECT_EQ(refused("CREATE OR REPLACE MATERIALIZED VIEW totals AS SELECT COUNT(*) AS n FROM "
                    "all_of_it"),
            "line 1, column 37: totals can't be computed from itself");
  EXPECT_NE(refused("CREATE OR REPLACE MATERIALIZED VIEW totals AS SELECT COUNT(*) AS n FROM "
                    "donations")
                .find("the view all_of_it reads totals and would no longer make sense"),
            std::string::npos);
  give({donation("sea", 1)});
  catch_up("all_of_it");
  restart();
  EXPECT_TRUE(service->snapshot().definitions->find("all_of_it")->over_view());
}

TEST_F(ViewServiceTest, LatestBeginsAtTheEnd) {
  give({donation("sea", 100)});
  create_source();
  run("CREATE MATERIALIZED VIEW n WITH (backfill = 'latest') AS SELECT COUNT(*) AS n FROM "
      "donations");
  give({donation("sea", 100)});
  catch_up("n");
  EXPECT_EQ(rows("n"), Rows{"1"});
  cut_power(CutMode::kDropAll);  // and stays there, whatever became of the state
  give({donation("sea", 100)});
  catch_up("n");
  EXPECT_EQ(rows("n"), Rows{"2"});
}

TEST_F(ViewServiceTest, WaitingEndsSomehow) {
  create_totals();
  give({donation("sea", 1)});
  const auto code = [&](const std::string& view, Offset offset,
                        std::chrono::milliseconds patience) {
    std::promise<Status> promise;
    service->when_applied(view, {{"donations", PartitionIndex(0), offset}},
                          std::chrono::steady_clock::now() + patience,
                          [&](Status status) { promise.set_value(std::move(status)); });
    const Status status = promise.get_future().get();
    return status ? ErrorCode::kOk : status.error().code();
  };
  constexpr std::chrono::milliseconds kSoon{20};
  constexpr std::chrono::milliseconds kLong{60'000};
  EXPECT_EQ(code("", Offset(1), kLong), ErrorCode::kOk);
  EXPECT_EQ(code("totals", Offset(1), kLong), ErrorCode::kOk);
  EXPECT_EQ(code("", Offset(2), kSoon), ErrorCode::kTimeout);
  EXPECT_EQ(code("total", Offset(1), kLong), ErrorCode::kNotFound);
  run("ALTER MATERIALIZED VIEW totals PAUSE");
  EXPECT_EQ(code("totals", Offset(1), kLong), ErrorCode::kNotAvailable);
  EXPECT_EQ(code("", Offset(2), kLong), ErrorCode::kOk) << "who is paused keeps nobody waiting";
  EXPECT_EQ(status("totals").state, ViewState::kPaused);
  run("ALTER MATERIALIZED VIEW totals RESUME");
  EXPECT_EQ(code("totals", Offset(1), kLong), ErrorCode::kOk);
  std::promise<Status> stopped;
  service->when_applied("totals", {{"donations", PartitionIndex(0), Offset(9)}},
                        std::chrono::steady_clock::now() + kLong,
                        [&](Status status) { stopped.set_value(std::move(status)); });
  service->stop();
  EXPECT_EQ(stopped.get_future().get().error().code(), ErrorCode::kShuttingDown);
  EXPECT_EQ(rows("totals"), Rows{"sea | 1 | 0.01"}) << "queries go on";
}

TEST_F(ViewServiceTest, TheAnswersOfARequestTogetherAreBounded) {
  std::string text;
  for (int i = 0; i < 20; ++i) text += "SELECT repeat('a', 1000000) AS x;";
  QueryLimits limits;
  EXPECT_TRUE(service->execute(text, limits));
  limits.max_bytes = 8u << 20;
  EXPECT_TRUE(service->execute("SELECT repeat('a', 1000000) AS x", limits));
  const auto answers = service->execute(text, limits);
  ASSERT_FALSE(answers);
  EXPECT_EQ(answers.error().code(), ErrorCode::kInvalidArgument);
}

/// As many as a request may have. Looking at each of them for each of them takes minutes.
TEST_F(ViewServiceTest, ManyPositionsHoldNobodyUp) {
  create_totals();
  constexpr int kWaits = 200;
  constexpr int kPositions = 10'000;
  std::vector<Position> positions(kPositions, {"donations", PartitionIndex(0), Offset(0)});
  positions[1].next = Offset(2);  // each partition's greatest is what counts
  positions[2].partition = PartitionIndex(1);
  std::promise<Status> done;
  std::atomic<int> left = kWaits;
  for (int i = 0; i < kWaits; ++i) {
    service->when_applied("", positions,
                          std::chrono::steady_clock::now() + std::chrono::minutes(60),
                          [&](Status status) {
                            EXPECT_TRUE(status);
                            if (--left == 0) done.set_value({});
                          });
  }
  give({donation("sea", 1)});
  catch_up();
  EXPECT_EQ(left, kWaits);
  give({donation("sea", 1)});
  EXPECT_TRUE(done.get_future().get());
}

TEST_F(ViewServiceTest, APausedViewCatchesUpLater) {
  create_totals();
  run("ALTER MATERIALIZED VIEW totals PAUSE");
  give({donation("sea", 1)});
  restart();
  EXPECT_EQ(status("totals").state, ViewState::kPaused);
  EXPECT_EQ(status("totals").lag, 1u);
  run("ALTER MATERIALIZED VIEW totals RESUME");
  catch_up("totals");
  EXPECT_EQ(rows("totals"), Rows{"sea | 1 | 0.01"});
}

TEST_F(ViewServiceTest, PartitionsThatAreAddedAreRead) {
  create_totals();
  ASSERT_TRUE(store->add_partitions("donations", 4));
  give({donation("sea", 1)}, 3);
  catch_up();
  EXPECT_EQ(rows("totals"), Rows{"sea | 1 | 0.01"});
}

TEST_F(ViewServiceTest, AWatchTellsOfItsViewUntilItIsGone) {
  create_totals();
  run("CREATE MATERIALIZED VIEW all_of_it AS SELECT SUM(total) AS total FROM totals");
  std::atomic<int> calls{0};
  std::promise<void> first;
  auto watch = service->watch("all_of_it", [&] {
    if (rows("totals").empty()) return;
    if (calls++ == 0) first.set_value();
  });
  ASSERT_TRUE(watch);
  give({donation("sea", 1)});
  first.get_future().wait();
  watch->reset();
  const int before = calls;
  give({donation("sea", 1)});
  catch_up();
  run("DROP MATERIALIZED VIEW all_of_it");
  EXPECT_EQ(calls, before);
  EXPECT_FALSE(service->watch("all_of_it", [] {}));
}

TEST_F(ViewServiceTest, OptionsThatChangeTheStateBuildItAnew) {
  give({R"({"campaign":"sea","amount":1,"at":"2026-03-01T23:30:00Z"})"});
  create_source();
  run("CREATE MATERIALIZED VIEW days AS SELECT campaign, window_start, COUNT(*) AS n FROM "
      "TUMBLE(donations, at, INTERVAL '1 day') GROUP BY campaign, window_start");
  EXPECT_EQ(rows("days"), Rows{"sea | 2026-03-01T00:00:00Z | 1"});
  run("ALTER MATERIALIZED VIEW days SET (late = 'drop', max_groups = '10')");
  EXPECT_EQ(service->snapshot().definitions->find("days")->id.generation, 2);
  EXPECT_EQ(service->snapshot().definitions->find("days")->view->options.max_groups, 10u);
  run("ALTER MATERIALIZED VIEW days SET (time_zone = 'Europe/Paris')");
  EXPECT_EQ(rows("days"), Rows{"sea | 2026-03-01T23:00:00Z | 1"});
  restart();
  EXPECT_EQ(service->snapshot().definitions->find("days")->id.generation, 3);
  EXPECT_EQ(service->snapshot().definitions->find("days")->view->options.late, LatePolicy::kDrop);
  EXPECT_EQ(refused("ALTER MATERIALIZED VIEW days SET (retention = 'long')").find("line 1"), 0u);

  ASSERT_TRUE(store->delete_records(ref("donations"), Offset(1)));
  EXPECT_NE(refused("ALTER MATERIALIZED VIEW days SET (time_zone = 'UTC')")
                .find("partition 0 begins at offset 1"),
            std::string::npos);
  EXPECT_EQ(rows("days").size(), 1u) << "what the log no longer has is not given up";
  const std::uint64_t sequence = status("days").sequence;
  const Answer kept = run("ALTER MATERIALIZED VIEW days SET (max_groups = '20')");
  EXPECT_EQ(service->snapshot().definitions->find("days")->id.generation, 3);
  EXPECT_NE(kept.notices.at(0).find("from now on"), std::string::npos);
  EXPECT_GT(status("days").sequence, sequence) << "subscribers begin anew";
  give({R"({"campaign":"sea","amount":1,"at":"2026-03-01T23:40:00Z"})"});
  catch_up();
  EXPECT_EQ(rows("days"), Rows{"sea | 2026-03-01T23:00:00Z | 2"});
}

TEST_F(ViewServiceTest, AViewGoesOnBehindTheLastOneOfItsNameWhateverHadItBetween) {
  create_source();
  const std::string view = "CREATE MATERIALIZED VIEW a AS SELECT COUNT(*) AS n FROM donations";
  run(view);
  EXPECT_EQ(service->snapshot().definitions->find("a")->id.generation, 1);
  run("DROP MATERIALIZED VIEW a");
  run("CREATE SOURCE a (campaign VARCHAR) ON TOPIC 'donations'");
  run("DROP SOURCE a");
  restart();
  run(view);
  EXPECT_EQ(service->snapshot().definitions->find("a")->id.generation, 2);
}

TEST_F(ViewServiceTest, WhatIsAlteredOfACompactedTopicHoldsFromNowOnAndStaysPaused) {
  create_source();
  give({donation("sea", 1), donation("sea", 2)});
  run("CREATE MATERIALIZED VIEW a AS SELECT campaign, COUNT(*) AS n FROM donations GROUP BY "
      "campaign");
  catch_up();
  run("ALTER MATERIALIZED VIEW a PAUSE");
  run("ALTER MATERIALIZED VIEW a SET (max_groups = '20')");
  EXPECT_EQ(status("a").state, ViewState::kPaused);
  run("ALTER MATERIALIZED VIEW a RESUME");
  catch_up();
  const int generation = service->snapshot().definitions->find("a")->id.generation;
  ASSERT_TRUE(store->alter_topic("donations", {{"cleanup.policy", "compact"}}));
  const Answer kept = run("ALTER MATERIALIZED VIEW a SET (max_groups = '30')");
  EXPECT_EQ(service->snapshot().definitions->find("a")->id.generation, generation);
  EXPECT_NE(kept.notices.at(0).find("compacted"), std::string::npos);
}

TEST_F(ViewServiceTest, ARuleThatCouldNotBeKeptIsNotSeenByAnybody) {
  create_totals();
  give({donation("sea", 1), donation("sea", 2)});
  catch_up();
  ASSERT_TRUE(store->delete_records(ref("donations"), Offset(1)));
  const std::uint64_t sequence = status("totals").sequence;
  fs.set_fault({1, FaultKind::kIo, true, kSimChanges, "segments/", {}});
  EXPECT_NE(refused("ALTER MATERIALIZED VIEW totals SET (max_groups = '20')"), "");
  EXPECT_TRUE(fs.fault_struck());
  EXPECT_EQ(status("totals").sequence, sequence) << "subscribers are not told of what is not";
  fs.clear_fault();
}

/// A record that was applied late is none by another rule: what VERIFY gives has to be the view.
TEST_F(ViewServiceTest, AnAlteredViewIsWhatTheLogGives) {
  run("CREATE SOURCE donations (campaign VARCHAR, at TIMESTAMPTZ, WATERMARK FOR at AS at) ON TOPIC "
      "'donations'");
  run("CREATE MATERIALIZED VIEW days WITH (max_ahead = '9999 days') AS SELECT window_start, "
      "COUNT(*) "
      "AS n FROM TUMBLE(donations, at, INTERVAL '1 day') GROUP BY window_start");
  give({R"({"campaign":"sea","at":"2026-03-05T00:00:00Z"})",
        R"({"campaign":"sea","at":"2026-03-01T00:00:00Z"})"});
  catch_up();
  EXPECT_EQ(rows("days").size(), 2u);
  run("ALTER MATERIALIZED VIEW days SET (late = 'drop')");
  wait_until([&] { return rows("days").size() == 1; });
  const Answer verified = run("VERIFY days");
  EXPECT_EQ(verified.rows[0][2].as_bigint(), 0);
}

TEST_F(ViewServiceTest, NoGenerationIsGivenTwiceToAName) {
  const auto generation = [&](const std::string& name) {
    return service->snapshot().definitions->find(name)->id.generation;
  };
  const std::string create = "CREATE MATERIALIZED VIEW totals AS SELECT COUNT(*) FROM donations";
  create_totals();
  EXPECT_EQ(generation("totals"), 1);
  run("DROP MATERIALIZED VIEW totals");
  restart();
  run(create);
  EXPECT_EQ(generation("totals"), 2) << "a place in the changes of the first is none in these";
  run("CREATE OR REPLACE MATERIALIZED VIEW totals AS SELECT MAX(amount) FROM donations");
  wait_until([&] { return generation("totals") == 3; });
  run("DROP SOURCE donations CASCADE");
  create_source();
  run(create);
  EXPECT_EQ(generation("totals"), 4);
  run("CREATE MATERIALIZED VIEW other AS SELECT COUNT(*) FROM donations");
  EXPECT_EQ(generation("other"), 1);
}

TEST_F(ViewServiceTest, WhatWasErasedOrLostIsNotForgottenByAnAlteration) {
  create_source();
  give_keyed();
  const std::string view =
      "MATERIALIZED VIEW a AS SELECT campaign, COUNT(*) AS n, MAX(at) AS last "
      "FROM donations GROUP BY campaign";
  const auto generation = [&] { return service->snapshot().definitions->find("a")->id.generation; };
  run("CREATE " + view);
  catch_up();
  clock.advance(std::chrono::seconds(1));
  ASSERT_TRUE(store->erase_key("e1", "donations", "ann"));
  const auto expect_kept = [&] {
    const Answer kept = run("ALTER MATERIALIZED VIEW a SET (max_groups = '30')");
    EXPECT_NE(kept.notices.at(0).find("from now on"), std::string::npos) << kept.notices.at(0);
    EXPECT_NE(kept.notices.at(0).find("erasure e1"), std::string::npos) << kept.notices.at(0);
    EXPECT_EQ(generation(), 1);
    EXPECT_NE(refused("ALTER MATERIALIZED VIEW a SET (time_zone = 'Europe/Paris')")
                  .find("no longer has all"),
              std::string::npos);
  };
  expect_kept();  // it goes on
  end_erasure("e1");
  expect_kept();
  EXPECT_EQ(rows("a").size(), 1u);
  restart();
  expect_kept();
  // One that never had them misses nothing.
  clock.advance(std::chrono::seconds(1));
  run("CREATE OR REPLACE " + view);
  wait_until([&] { return generation() == 2; });
  run("ALTER MATERIALIZED VIEW a SET (max_groups = '40')");
  wait_until([&] { return generation() == 3; });
}

}  // namespace
}  // namespace runnel::storage::views
