// WITH (changelog_topic = '...'): every change of a row is in the topic once, whatever crashes.
#include "storage/views/service/changelog.h"

#include <random>

#include "tests/storage/views/service/service_fixture.h"
#include "tests/support/format_page.h"
#include "tests/support/seeds.h"

namespace runnel::storage::views {
namespace {

class ChangelogTest : public ServiceFixture {
 protected:
  struct Told {
    std::string key;
    std::optional<std::string> value;
    std::map<std::string, std::string> headers;
  };
  std::vector<Told> told(const std::string& topic = "out") {
    std::vector<Told> all;
    const auto info = store->describe_topic(topic);
    if (!info) return all;
    for (const PartitionInfo& one : info->partitions) {
      const PartitionRef partition = ref(topic, one.index.value());
      for (Offset at = one.log_start; at < one.high_watermark;) {
        const auto fetched = store->fetch_and_wait({{{partition, at, 1u << 20}}});
        for (Bytes rest = fetched[0].batches.bytes(); !rest.empty();) {
          const auto size = protocol::validate_batch(rest, protocol::Depth::kRecords);
          EXPECT_TRUE(size);
          auto reader = protocol::RecordReader::open(rest.first(*size));
          for (auto r = reader->next(); r && *r; r = reader->next()) {
            Told record{std::string((*r)->key.value_or("?")), std::nullopt, {}};
            if ((*r)->value) record.value = *(*r)->value;
            for (const auto& header : (*r)->headers) {
              record.headers[std::string(header.key)] = header.value.value_or("");
            }
            all.push_back(std::move(record));
          }
          rest = rest.subspan(*size);
        }
        at = fetched[0].head.next;
      }
    }
    return all;
  }
  /// "key value" of each record, "key -" of a tombstone; the order of one key stays.
  std::vector<std::string> texts(std::size_t from = 0) {
    std::vector<std::string> all;
    for (const Told& one : told()) all.push_back(one.key + " " + one.value.value_or("-"));
    all.erase(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(std::min(from, all.size())));
    return all;
  }
  /// The newest value of each key.
  std::map<std::string, std::string> newest() {
    std::map<std::string, std::string> rows;
    for (const Told& one : told()) {
      rows.erase(one.key);
      if (one.value) rows[one.key] = *one.value;
    }
    return rows;
  }
  void create_view(const std::string& options = "changelog_topic = 'out'",
                   const std::string& having = "") {
    create_source();
    run("CREATE MATERIALIZED VIEW totals WITH (" + options +
        ") AS SELECT campaign, COUNT(*) AS n, SUM(amount) AS total FROM donations GROUP BY "
        "campaign" +
        having);
  }
  static std::string row(const std::string& campaign, int n, const std::string& total) {
    return "{\"campaign\":\"" + campaign + "\",\"n\":" + std::to_string(n) + ",\"total\":" + total +
           "}";
  }
};

TEST_F(ChangelogTest, EachChangeIsARecord) {
  give({donation("sea", 100), donation("sky", 200)});
  create_view();
  wait_until([&] { return told().size() == 2; });
  EXPECT_EQ(newest(),
            (std::map<std::string, std::string>{{R"({"campaign":"sea"})", row("sea", 1, "1.00")},
                                                {R"({"campaign":"sky"})", row("sky", 1, "2.00")}}));
  give({donation("sea", 50)}, 1);
  catch_up();
  const auto all = told();
  ASSERT_EQ(all.size(), 3u) << "what did not change is not told again";
  for (const Told& one : all) {
    EXPECT_EQ(one.headers, (std::map<std::string, std::string>{{"runnel.generation", "1"}}));
  }
  EXPECT_EQ(newest()[R"({"campaign":"sea"})"], row("sea", 2, "1.50"));
  const auto topic = store->describe_topic("out");
  ASSERT_TRUE(topic);
  EXPECT_EQ(topic->partitions.size(), 2u);
  EXPECT_EQ(topic->configs, (ConfigMap{{"cleanup.policy", "compact"}}));
  restart();
  give({"nonsense"});
  catch_up();
  EXPECT_EQ(told().size(), 3u);
}

TEST_F(ChangelogTest, RowsThatGoLeaveATombstone) {
  create_view("changelog_topic = 'out'", " HAVING SUM(amount) < 3");
  give({donation("sea", 100), donation("big", 900)});
  catch_up();
  EXPECT_EQ(texts(), std::vector<std::string>{R"({"campaign":"sea"} )" + row("sea", 1, "1.00")})
      << "a row that never was leaves nothing";
  give({donation("sea", 200), donation("big", 100)});
  catch_up();
  EXPECT_EQ(texts(1), std::vector<std::string>{R"({"campaign":"sea"} -)"});
  give({donation("sea", 5)});
  catch_up();
  EXPECT_EQ(told().size(), 2u);
}

TEST_F(ChangelogTest, AViewWithoutGroupsHasOneRow) {
  create_source();
  run("CREATE MATERIALIZED VIEW n WITH (changelog_topic = 'out') AS SELECT COUNT(*) AS n FROM "
      "donations");
  wait_until([&] { return told().size() == 1; });
  give({donation("sea", 100), donation("sky", 100)});
  catch_up();
  EXPECT_EQ(texts(), (std::vector<std::string>{R"({} {"n":0})", R"({} {"n":2})"}));
}

TEST_F(ChangelogTest, WindowsThatExpireAreRemoved) {
  const auto at = [](const std::string& campaign, const std::string& time) {
    return R"({"campaign":")" + campaign + R"(","at":"2026-01-01T)" + time + R"(Z"})";
  };
  run("CREATE SOURCE donations (campaign VARCHAR, at TIMESTAMPTZ, WATERMARK FOR at AS at) ON TOPIC "
      "'donations'");
  run("CREATE MATERIALIZED VIEW hours WITH (changelog_topic = 'out', retention = '2 hours', "
      // The records of this fixture have timestamps of 2023.
      "max_ahead = '9999 days') AS "
      "SELECT campaign, window_start AS hour, COUNT(*) AS n FROM TUMBLE(donations, at, INTERVAL "
      "'1 hour') GROUP BY campaign, window_start");
  give({at("sea", "00:10:00")}, 1);
  give({at("sea", "00:20:00"), at("sky", "01:10:00")}, 0);
  catch_up();
  EXPECT_EQ(newest().size(), 2u);
  // The time of partition 0 hides what partition 1 has of that hour as well.
  give({at("sea", "03:05:00")}, 0);
  catch_up();
  const std::string gone = R"({"campaign":"sea","hour":"2026-01-01T00:00:00Z"})";
  EXPECT_FALSE(newest().contains(gone));
  EXPECT_EQ(newest().size(), 2u);
  const std::size_t count = told().size();
  give({at("sea", "03:06:00")}, 1);
  catch_up();
  EXPECT_EQ(told().size(), count + 1) << "it went before, and is not removed again";
  EXPECT_EQ(newest().size(), 2u);
}

TEST_F(ChangelogTest, ASessionThatGrowsStaysOne) {
  const auto at = [](const std::string& time) {
    return R"({"campaign":"sea","at":"2026-01-01T)" + time + R"(Z"})";
  };
  create_source();
  run("CREATE MATERIALIZED VIEW visits WITH (changelog_topic = 'out') AS SELECT campaign, "
      "window_start AS s, window_end AS e, COUNT(*) AS n FROM SESSION(donations, at, INTERVAL '10 "
      "minutes') GROUP BY campaign, window_start, window_end");
  give({at("10:00:00"), at("10:30:00")});
  catch_up();
  EXPECT_EQ(newest().size(), 2u);
  give({at("10:05:00")});
  catch_up();
  const auto key = [](const std::string& time) {
    return R"({"campaign":"sea","s":"2026-01-01T)" + time + R"(Z"})";
  };
  EXPECT_EQ(newest().size(), 2u);
  EXPECT_NE(newest()[key("10:00:00")].find(R"("n":2)"), std::string::npos);
  EXPECT_EQ(told().size(), 3u);
  // One that begins earlier swallows both.
  give({at("10:14:00"), at("10:23:00"), at("09:55:00")}, 1);
  catch_up();
  EXPECT_EQ(newest().size(), 1u);
  EXPECT_NE(newest()[key("09:55:00")].find(R"("n":6)"), std::string::npos);
}

TEST_F(ChangelogTest, WhatCantBeComputedSaysSo) {
  create_source();
  run("CREATE MATERIALIZED VIEW odd WITH (changelog_topic = 'out') AS SELECT campaign, 1 / "
      "(COUNT(*) - 1) AS x FROM donations GROUP BY campaign");
  give({donation("sea", 100)});
  catch_up();
  ASSERT_EQ(told().size(), 1u);
  EXPECT_EQ(told()[0].value, R"({"campaign":"sea","x":null})");
  EXPECT_EQ(told()[0].headers["runnel.error"], "division_by_zero");
}

TEST_F(ChangelogTest, AReplacedViewTakesTheTopicOver) {
  give({donation("sea", 100), donation("sky", 900)});
  create_view();
  wait_until([&] { return told().size() == 2; });
  run("CREATE OR REPLACE MATERIALIZED VIEW totals WITH (changelog_topic = 'out') AS SELECT "
      "campaign, COUNT(*) AS n FROM donations WHERE amount < 5 GROUP BY campaign");
  wait_until([&] { return told().size() == 4; });
  EXPECT_EQ(newest(), (std::map<std::string, std::string>{
                          {R"({"campaign":"sea"})", R"({"campaign":"sea","n":1})"}}));
  std::vector<std::string> of_sky;
  for (const Told& one : told()) {
    if (one.key == R"({"campaign":"sky"})") of_sky.push_back(one.headers.at("runnel.generation"));
  }
  EXPECT_EQ(of_sky, (std::vector<std::string>{"1", "1"})) << "its row, and that it is gone";
  // Other group columns: other keys.
  run("CREATE OR REPLACE MATERIALIZED VIEW totals WITH (changelog_topic = 'out') AS SELECT "
      "campaign AS c, COUNT(*) AS n FROM donations GROUP BY campaign");
  wait_until([&] { return newest().contains(R"({"c":"sky"})"); });
  EXPECT_EQ(newest(),
            (std::map<std::string, std::string>{{R"({"c":"sea"})", R"({"c":"sea","n":1})"},
                                                {R"({"c":"sky"})", R"({"c":"sky","n":1})"}}));
  run("DROP MATERIALIZED VIEW totals");
  EXPECT_TRUE(store->read_state(kChangelogsPrefix)->empty());
}

TEST_F(ChangelogTest, WhatMakesNoSenseIsRefused) {
  create_view();
  give({donation("sea", 1)});
  catch_up();
  const std::string view = "CREATE MATERIALIZED VIEW more WITH (changelog_topic = '";
  const std::string query = "') AS SELECT COUNT(*) AS n FROM donations";
  EXPECT_NE(refused(view + "out" + query).find("is written by totals"), std::string::npos);
  EXPECT_NE(refused(view + "donations" + query).find("would be read by it again"),
            std::string::npos);
  create("full");
  give({"x"}, 0, "full");
  EXPECT_NE(refused(view + "full" + query).find("has records already"), std::string::npos);
  EXPECT_NE(refused("CREATE MATERIALIZED VIEW more WITH (changelog_topic = 'x') AS SELECT "
                    "COUNT(*) AS n FROM totals")
                .find("has no changes of its own"),
            std::string::npos);
  EXPECT_NE(refused(view + "a b" + query).find("a b"), std::string::npos);
  EXPECT_NE(refused("ALTER MATERIALIZED VIEW totals SET (changelog_topic = 'y')")
                .find("set when the view is created"),
            std::string::npos);
  // By way of another view: what totals writes must not come back to it.
  run("CREATE SOURCE rows (campaign VARCHAR) ON TOPIC 'out'");
  EXPECT_NE(refused("INSERT INTO 'x.y' SELECT campaign FROM rows").find("x.y"), std::string::npos);
  EXPECT_NE(refused("INSERT INTO out SELECT campaign FROM donations").find("out"),
            std::string::npos);
}

TEST_F(ChangelogTest, ADeletedTopicIsLoudAndFilledAnew) {
  create_view();
  give({donation("sea", 1), donation("sky", 1)});
  catch_up();
  ASSERT_TRUE(store->delete_topic("out"));
  give({donation("sea", 1)});
  const ViewStatus failed = wait_for("totals", ViewState::kFailed);
  EXPECT_NE(failed.problem.find("can't be written to the topic out"), std::string::npos)
      << failed.problem;
  run("ALTER MATERIALIZED VIEW totals RESUME");
  catch_up("totals");
  EXPECT_EQ(newest(),
            (std::map<std::string, std::string>{{R"({"campaign":"sea"})", row("sea", 2, "0.02")},
                                                {R"({"campaign":"sky"})", row("sky", 1, "0.01")}}));
}

// ---------------------------------------------------------------- crashes
/// Counts only grow, so each record of a key has to say more than the one before it: what is told
/// twice, or what falls back, shows. What is lost shows in the end.
class ChangelogCrashTest : public ChangelogTest {
 protected:
  void create_counts() {
    create_source();
    run("CREATE MATERIALIZED VIEW counts WITH (changelog_topic = 'out') AS SELECT campaign, "
        "COUNT(*) AS n FROM donations GROUP BY campaign");
  }
  /// It may fail: the power may be gone.
  void give_counted(const std::vector<std::string>& campaigns, int partition) {
    std::vector<std::string> batch;
    for (const std::string& campaign : campaigns) batch.push_back(donation(campaign, 1));
    static_cast<void>(append("donations", make_batch(std::move(batch)), partition));
  }
  /// By what the log has: what was not acknowledged may be there all the same.
  void recount() {
    counts.clear();
    for (int partition = 0; partition < 2; ++partition) {
      for (const std::string& value : values("donations", Offset(0), partition)) {
        ++counts[value.substr(13, value.find('"', 13) - 13)];
      }
    }
  }
  void expect_exact(const std::string& when) {
    std::map<std::string, int> last;
    for (const Told& one : told()) {
      ASSERT_TRUE(one.value) << when << ": " << one.key;
      const int n = std::stoi(one.value->substr(one.value->find("\"n\":") + 4));
      ASSERT_GT(n, last[one.key]) << when << ": " << one.key;
      last[one.key] = n;
    }
    ASSERT_EQ(last.size(), counts.size()) << when;
    for (const auto& [campaign, n] : counts) {
      ASSERT_EQ(last["{\"campaign\":\"" + campaign + "\"}"], n) << when << ": " << campaign;
    }
  }
  void recover() {
    service.reset();
    store.reset();
    fs.clear_fault();
    fs.boot();
    open();
    open_service();
  }

  std::map<std::string, int> counts;
};

TEST_F(ChangelogCrashTest, EachChangeIsThereOnceWhateverCrashes) {
  std::mt19937 dice(7);
  create_counts();
  for (int turn = 0; turn < 12; ++turn) {
    for (int i = 0; i < 8; ++i) {
      std::vector<std::string> campaigns;
      for (unsigned k = dice() % 4; k > 0; --k) {
        campaigns.push_back("c" + std::to_string(dice() % 5));
      }
      campaigns.push_back("all");
      give_counted(campaigns, i % 2);
      if (dice() % 3 == 0) catch_up("counts");
    }
    if (turn % 3 == 0) {
      kill();
    } else {
      cut_power(turn % 3 == 1 ? CutMode::kPrefix : CutMode::kDropAll);
    }
    catch_up("counts");
    recount();
    expect_exact("turn " + std::to_string(turn));
  }
}

/// The power goes before each write in turn: of the log, of the state, between the commits of a
/// change that takes several.
TEST_F(ChangelogCrashTest, AtEveryWrite) {
  create_counts();
  catch_up("counts");
  std::vector<std::string> many;
  for (int i = 0; i < 1'100; ++i) many.push_back("m" + std::to_string(i));
  int nth = 0;
  for (bool struck = true; struck; ++nth) {
    ASSERT_LT(nth, 500);
    Fault fault;
    fault.nth = static_cast<std::uint64_t>(nth) + 1;
    fault.kind = FaultKind::kPowerOff;
    fault.cut = nth % 2 == 0 ? CutMode::kDropAll : CutMode::kPrefix;
    fs.set_fault(fault);
    give_counted({"all", "c" + std::to_string(nth % 3)}, nth % 2);
    give_counted(many, 1 - nth % 2);
    wait_until([&] {
      return fs.fault_struck() ||
             applied("counts", "donations", std::chrono::milliseconds(0)).has_value();
    });
    service.reset();
    struck = fs.fault_struck();
    recover();
    catch_up("counts");
    recount();
    expect_exact("write " + std::to_string(nth + 1));
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(nth, 10) << "the sweep went nowhere";
}

TEST_F(ChangelogTest, TheFormatsPage) {
  ChangelogPlace place;
  for (std::size_t i = 0; i < place.topic.bytes.size(); ++i) {
    place.topic.bytes[i] = static_cast<std::uint8_t>(i);
  }
  place.told = SourceOffsets{{0, 300}, {1, 7}};
  place.next = SourceOffsets{{0, 400}, {1, 7}};
  place.after = "\x01sea";
  const std::string key = changelog_key({42, 3});
  EXPECT_EQ(to_hex(key) + to_hex(place.encode()),
            hex_of_page(RUNNEL_SOURCE_DIR "/docs/formats/changelogs.md", "changelog-place"));
  ChangelogPlace read;
  ASSERT_TRUE(read.decode(place.encode()));
  EXPECT_EQ(read.encode(), place.encode());
  for (std::size_t size = 0; size < place.encode().size(); ++size) {
    EXPECT_FALSE(read.decode(place.encode().substr(0, size))) << size;
  }
}

}  // namespace
}  // namespace runnel::storage::views
