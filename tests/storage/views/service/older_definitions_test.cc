// Definitions that older versions stored, or that began where other rules held.
#include <algorithm>

#include "storage/views/service/definition_entry.h"
#include "tests/storage/views/service/first_format.h"
#include "tests/storage/views/service/service_fixture.h"

namespace runnel::storage::views {
namespace {

using OlderDefinitionsTest = ServiceFixture;

/// Has a stored definition of one version read otherwise, while nobody has it open.
void rewrite(Store& store, const std::string& name,
             const std::function<std::string(const StoredDefinition&)>& change) {
  const auto stored = store.read_state(kDefinitionPrefix);
  ASSERT_TRUE(stored);
  int found = 0;
  for (const auto& [key, value] : *stored) {
    StoredDefinition definition;
    if (!definition_number(key) || !definition.decode(value) || definition.name != name) continue;
    ++found;
    CommitRequest request;
    request.state.push_back({key, change(definition)});
    ASSERT_TRUE(store.commit_and_wait(std::move(request)).result);
  }
  EXPECT_EQ(found, 1);
}

TEST_F(OlderDefinitionsTest, OtherRulesOfATimeZoneAreTold) {
  create_source();
  const std::string view =
      "MATERIALIZED VIEW days WITH (time_zone = 'Europe/Paris') AS SELECT window_start, COUNT(*) "
      "AS "
      "n FROM TUMBLE(donations, at, INTERVAL '1 day') GROUP BY window_start";
  run("CREATE " + view);
  restart();
  EXPECT_EQ(status("days").notice, "");
  service.reset();
  // As if the machine's tzdata had been another one when the view began.
  rewrite(*store, "days", [](StoredDefinition definition) {
    std::string& rules = definition.versions[0].zone_rules;
    EXPECT_GT(rules.size(), 17u) << rules;
    rules = "1999z 0123456789abcdef";
    return definition.encode();
  });
  open_service();
  EXPECT_NE(status("days").notice.find("of tzdata 1999z"), std::string::npos);
  run("CREATE OR REPLACE " + view);
  wait_until([&] { return status("days").notice.empty(); });
}

TEST_F(OlderDefinitionsTest, ABoundThatCameLaterIsNoneOfAnOlderView) {
  run("CREATE SOURCE donations (campaign VARCHAR, at TIMESTAMPTZ, WATERMARK FOR at AS at) ON TOPIC "
      "'donations'");
  const auto view = [](const std::string& name) {
    return "CREATE MATERIALIZED VIEW " + name +
           " AS SELECT window_start, COUNT(*) AS n FROM TUMBLE(donations, at, INTERVAL '1 day') "
           "GROUP BY window_start";
  };
  run(view("older"));
  service.reset();
  rewrite(*store, "older", [](const StoredDefinition& definition) {
    return as_first_format(definition.encode(), definition.versions[0]);
  });
  open_service();
  run(view("newer"));
  give({R"({"campaign":"sea","at":"2999-03-05T00:00:00Z"})"});
  catch_up();
  EXPECT_NE(status("older").notice.find("SET (max_ahead = '1 day')"), std::string::npos)
      << status("older").notice;
  EXPECT_EQ(status("newer").notice, "");
  const auto told = [&] {
    const std::lock_guard lock(log_mutex);
    return std::count_if(warned.begin(), warned.end(), [](const std::string& line) {
      return line.find("view older: it has no max_ahead") != std::string::npos;
    });
  };
  EXPECT_EQ(told(), 1) << "once, whatever else is defined";
  const auto expect = [&] {
    EXPECT_EQ(status("older").totals.errors, 0u);
    EXPECT_EQ(rows("older").size(), 1u);
    EXPECT_EQ(status("newer").totals.errors, 1u);
  };
  expect();
  // Whatever is written of it from now on.
  run("ALTER MATERIALIZED VIEW older SET (max_groups = '10')");
  wait_until([&] { return service->snapshot().definitions->find("older")->id.generation == 2; });
  catch_up();
  restart();
  expect();
  EXPECT_NE(status("older").notice, "");
  run("ALTER MATERIALIZED VIEW older SET (max_ahead = '1 day')");
  wait_until([&] { return status("older").notice.empty(); });
  catch_up();
  EXPECT_EQ(status("older").totals.errors, 1u);
}

/// What was erased before a view began, it never had.
TEST_F(OlderDefinitionsTest, AnErasureOfBeforeIsNotMissed) {
  create_source();
  give_keyed();
  clock.advance(std::chrono::seconds(1));
  ASSERT_TRUE(store->erase_key("e1", "donations", "ann"));
  end_erasure("e1");
  clock.advance(std::chrono::seconds(1));
  run("CREATE MATERIALIZED VIEW a AS SELECT campaign, COUNT(*) AS n FROM donations GROUP BY "
      "campaign");
  catch_up();
  service.reset();
  rewrite(*store, "a", [](const StoredDefinition& definition) {
    return as_first_format(definition.encode(), definition.versions[0]);
  });
  open_service();
  for (const std::string& notice :
       run("ALTER MATERIALIZED VIEW a SET (max_groups = '40')").notices) {
    EXPECT_EQ(notice.find("no longer has"), std::string::npos) << notice;
  }
  EXPECT_EQ(run("ALTER MATERIALIZED VIEW a SET (time_zone = 'Europe/Paris')").tag,
            "ALTER MATERIALIZED VIEW");
  catch_up();
  EXPECT_EQ(rows("a"), Rows{"sea | 1"});
}

TEST_F(OlderDefinitionsTest, NamesOfDroppedViewsAreFoundWhereTheyStoodBefore) {
  CommitRequest request;
  request.state.push_back({std::string(kOldGonePrefix) + "totals", std::string("\x07\x00", 2)});
  ASSERT_TRUE(store->commit_and_wait(std::move(request)).result);
  service.reset();
  open_service();
  create_totals();
  EXPECT_EQ(service->snapshot().definitions->find("totals")->id.generation, 8);
}

TEST_F(OlderDefinitionsTest, NamesOfDroppedViewsAreMovedToWhereTheyBelong) {
  CommitRequest request;
  request.state.push_back({std::string(kOldGonePrefix) + "totals", std::string("\x07\x00", 2)});
  request.state.push_back({std::string(kOldGonePrefix), std::string("\x05\x00", 2)});
  ASSERT_TRUE(store->commit_and_wait(std::move(request)).result);
  service.reset();
  open_service();
  EXPECT_TRUE(store->read_state(kOldGonePrefix)->empty());
  EXPECT_EQ(*store->read_state(kGonePrefix),
            (StateEntries{{std::string(kGonePrefix), std::string("\x05\x00", 2)},
                          {std::string(kGonePrefix) + "totals", std::string("\x07\x00", 2)}}));
  service.reset();
  open_service();
  create_totals();
  EXPECT_EQ(service->snapshot().definitions->find("totals")->id.generation, 8);
  EXPECT_EQ(store->read_state(kGonePrefix)->size(), 1u) << "what is defined is not gone";
}

}  // namespace
}  // namespace runnel::storage::views
