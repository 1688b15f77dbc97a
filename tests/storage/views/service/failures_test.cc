// A view that can't go on says so, stays so, and can be taken up again.
#include <random>

#include "storage/index/rocksdb_state_store.h"
#include "storage/views/service/definition_entry.h"
#include "tests/storage/views/service/service_fixture.h"

namespace runnel::storage::views {
namespace {

class ViewFailuresTest : public ServiceFixture {
 protected:
  /// Changes what the state has of a view while nobody has it open.
  void with_state(const std::function<void(StateStore&)>& change) {
    service.reset();
    StateStoreOptions options;
    options.directory = "data/views";
    options.file_system = &fs;
    const auto state = open_state_store(options);
    ASSERT_TRUE(state) << state.error().to_string();
    change(**state);
    ASSERT_TRUE((*state)->flush());
  }
  void expect_loud(const std::string& reason) {
    EXPECT_NE(status("totals").problem.find(reason), std::string::npos) << status("totals").problem;
    const std::lock_guard lock(log_mutex);
    ASSERT_FALSE(logged.empty());
    EXPECT_NE(logged.back().find(reason), std::string::npos) << logged.back();
    logged.clear();
  }
  void crash_again_and_again(std::uint64_t seed) {
    std::mt19937 dice(static_cast<std::mt19937::result_type>(seed));
    create_totals();
    run("CREATE MATERIALIZED VIEW n AS SELECT COUNT(*) AS n FROM donations WHERE amount > 0.04");
    std::map<std::string, std::pair<int, int>> oracle;
    int above = 0;
    for (int turn = 0; turn < 12; ++turn) {
      for (int i = 0; i < 8; ++i) {
        std::vector<std::string> batch;
        for (int k = static_cast<int>(dice() % 4); k >= 0; --k) {
          const std::string campaign = dice() % 2 == 0 ? "sea" : "sky";
          const int cents = static_cast<int>(dice() % 10);
          batch.push_back(donation(campaign, cents));
          ++oracle[campaign].first;
          oracle[campaign].second += cents;
          above += cents > 4 ? 1 : 0;
        }
        if (dice() % 4 == 0) batch.emplace_back("{");
        give(std::move(batch), i % 2);
        if (dice() % 5 == 0) catch_up();
      }
      if (turn == 5) {
        run("CREATE OR REPLACE MATERIALIZED VIEW n AS SELECT COUNT(*) AS n FROM donations WHERE "
            "amount > 0.04 AND campaign <> 'x'");
      }
      switch (dice() % 4) {
        case 0:
          restart();
          break;
        case 1:
          kill();
          break;
        default:
          cut_power(dice() % 2 == 0 ? CutMode::kPrefix : CutMode::kDropAll);
      }
      catch_up();
      Rows expected;
      for (const auto& [campaign, sums] : oracle) {
        expected.insert(campaign + " | " + std::to_string(sums.first) + " | " +
                        to_string(Value::decimal(sums.second, 2)));
      }
      EXPECT_EQ(rows("totals"), expected) << "turn " << turn;
      catch_up("n");
      EXPECT_EQ(rows("n"), Rows{std::to_string(above)}) << "turn " << turn;
    }
  }
};

TEST_F(ViewFailuresTest, RecordsThatWentBeforeTheyWereReadAreMissed) {
  create_totals();
  give({donation("sea", 1)});
  catch_up();
  run("ALTER MATERIALIZED VIEW totals PAUSE");
  give({donation("sea", 10), donation("sea", 20)});
  give({donation("sea", 100)});
  ASSERT_TRUE(store->delete_records(ref("donations"), Offset(3)));
  run("ALTER MATERIALIZED VIEW totals RESUME");
  wait_for("totals", ViewState::kFailed);
  const std::string reason = "partition 0: the records from offset 1 up to 2 were removed";
  expect_loud(reason);
  EXPECT_TRUE(applied()) << "who failed keeps nobody waiting";
  EXPECT_EQ(applied("totals").error().code(), ErrorCode::kNotAvailable);
  EXPECT_EQ(rows("totals"), Rows{"sea | 1 | 0.01"});
  restart();
  EXPECT_EQ(status("totals").state, ViewState::kFailed);
  expect_loud(reason);

  EXPECT_EQ(run("ALTER MATERIALIZED VIEW totals RESUME").notices,
            std::vector<std::string>{"partition 0: offsets 1 to 2 were removed from the log before "
                                     "they were read and are not in totals"});
  catch_up("totals");
  EXPECT_EQ(rows("totals"), Rows{"sea | 2 | 1.01"});
  restart();
  catch_up("totals");
  EXPECT_EQ(status("totals").state, ViewState::kRunning);
}

TEST_F(ViewFailuresTest, AnotherTopicOfTheSameNameIsAnother) {
  create_totals();
  give({donation("sea", 1), donation("sea", 1)});
  catch_up();
  ASSERT_TRUE(store->delete_topic("donations"));
  wait_for("totals", ViewState::kFailed);
  expect_loud("the topic donations was deleted");
  create("donations", 2);
  give({donation("sea", 1), donation("sea", 1), donation("sky", 5)});
  restart();
  run("ALTER MATERIALIZED VIEW totals RESUME");
  wait_for("totals", ViewState::kFailed);
  expect_loud("was deleted and made anew");
  EXPECT_EQ(rows("totals"), Rows{"sea | 2 | 0.02"}) << "nothing new over an old cursor";
  run("CREATE OR REPLACE MATERIALIZED VIEW totals AS SELECT campaign, COUNT(*) AS n FROM donations "
      "GROUP BY campaign");
  catch_up("totals");
  EXPECT_EQ(rows("totals"), (Rows{"sea | 2", "sky | 1"}));
}

TEST_F(ViewFailuresTest, DamagedStateIsComputedAnewOnRequest) {
  create_totals();
  run("CREATE MATERIALIZED VIEW n AS SELECT COUNT(*) AS n FROM donations");
  give({donation("sea", 1)});
  catch_up();
  const ViewId id = service->snapshot().definitions->find("totals")->id;
  with_state([&](StateStore& state) {
    StateWrites damage;
    const std::string prefix = key_prefix(id, Space::kGroups);
    ASSERT_TRUE(state.scan(prefix, {}, [&](std::string_view key, std::string_view) {
      if (key.starts_with(prefix)) damage.put(key, "?");
      return key.starts_with(prefix);
    }));
    ASSERT_FALSE(damage.empty());
    ASSERT_TRUE(state.apply(damage));
  });
  open_service();
  give({donation("sea", 2)});
  wait_for("totals", ViewState::kFailed);
  expect_loud("partition 0, offset 1");
  catch_up("n");
  EXPECT_EQ(rows("n"), Rows{"2"}) << "the others go on";
  EXPECT_EQ(run("ALTER MATERIALIZED VIEW totals RESUME").notices,
            std::vector<std::string>{"totals is computed anew from the log"});
  catch_up("totals");
  EXPECT_EQ(rows("totals"), Rows{"sea | 2 | 0.03"});
}

TEST_F(ViewFailuresTest, ADefinitionOfAnotherVersionIsNotLost) {
  create_totals();
  give({donation("sea", 1)});
  catch_up();
  const ViewId id = service->snapshot().definitions->find("totals")->id;
  service.reset();
  const StateEntries before = store->read_state(definition_key(id.view)).value();
  ASSERT_EQ(before.size(), 1u);
  const auto put = [&](const std::string& value) {
    CommitRequest request;
    request.state.push_back({definition_key(id.view), value});
    ASSERT_TRUE(store->commit_and_wait(std::move(request)).result);
  };
  std::string newer = before[0].second;
  newer[0] = 3;
  put(newer);
  open_service();
  EXPECT_EQ(status("totals").state, ViewState::kFailed);
  expect_loud("written by a newer version");
  EXPECT_EQ(applied("totals").error().code(), ErrorCode::kNotAvailable);
  EXPECT_NE(refused("ALTER MATERIALIZED VIEW totals RESUME").find("not understood"),
            std::string::npos);

  // One that is read, and means nothing here.
  service.reset();
  StoredDefinition strange;
  ASSERT_TRUE(strange.decode(before[0].second));
  strange.versions[0].sql = "CREATE MATERIALIZED VIEW totals AS SELECT NEW_THING(1) FROM donations";
  put(strange.encode());
  open_service();
  EXPECT_EQ(status("totals").state, ViewState::kFailed);
  expect_loud("this version of Runnel does not understand the definition");

  // Back in the version that wrote it, all is as it was.
  service.reset();
  put(before[0].second);
  open_service();
  EXPECT_EQ(rows("totals"), Rows{"sea | 1 | 0.01"}) << "the state was kept";
}

TEST_F(ViewFailuresTest, AfterAnyCrashTheStateIsThatOfTheLog) {
  for_each_seed(7, 1, [&](std::uint64_t seed) { crash_again_and_again(seed); });
}

}  // namespace
}  // namespace runnel::storage::views
