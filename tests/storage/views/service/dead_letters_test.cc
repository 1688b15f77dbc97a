// What a view could not use is in its topic, once, whatever crashes.
#include "storage/views/worker/dead_letters.h"

#include "tests/storage/views/service/service_fixture.h"
#include "tests/support/format_page.h"

namespace runnel::storage::views {
namespace {

class DeadLettersTest : public ServiceFixture {
 protected:
  struct Letter {
    std::optional<std::string> key;
    std::optional<std::string> value;
    std::map<std::string, std::string> headers;
  };
  std::vector<Letter> letters(const std::string& topic = "__dlq.totals") {
    std::vector<Letter> all;
    const auto found = store->partition(topic, PartitionIndex(0));
    if (!found) return all;
    const PartitionRef partition = *found;
    Offset at(0);
    while (at < store->partition_info(partition).high_watermark) {
      const auto fetched = store->fetch_and_wait({{{partition, at, 1u << 20}}});
      for (Bytes rest = fetched[0].batches.bytes(); !rest.empty();) {
        const auto size = protocol::validate_batch(rest, protocol::Depth::kRecords);
        EXPECT_TRUE(size);
        auto reader = protocol::RecordReader::open(rest.first(*size));
        for (auto r = reader->next(); r && *r; r = reader->next()) {
          Letter letter;
          if ((*r)->key) letter.key = *(*r)->key;
          if ((*r)->value) letter.value = *(*r)->value;
          for (const auto& header : (*r)->headers) {
            letter.headers[std::string(header.key)] = header.value.value_or("");
          }
          all.push_back(std::move(letter));
        }
        rest = rest.subspan(*size);
      }
      at = fetched[0].head.next;
    }
    return all;
  }
  /// "partition/offset value" of each.
  std::vector<std::string> places() {
    std::vector<std::string> all;
    for (Letter& letter : letters()) {
      all.push_back(letter.headers["runnel.partition"] + "/" + letter.headers["runnel.offset"] +
                    " " + letter.value.value_or("-"));
    }
    std::sort(all.begin(), all.end());
    return all;
  }
};

TEST_F(DeadLettersTest, TheyHaveAllThatWasThere) {
  create_totals();
  give({donation("sea", 1)}, 1);
  protocol::BatchBuilder builder;
  builder.add({Timestamp(1'700'000'000'123), "k", R"({"campaign":"sea","amount":"much"})", {}});
  builder.add({Timestamp(5), std::nullopt, std::nullopt, {}});
  ASSERT_TRUE(append("donations", *builder.finish(), 1).result);
  catch_up();
  wait_until([&] { return !letters().empty(); });
  const auto all = letters();
  ASSERT_EQ(all.size(), 1u) << "a tombstone is no error";
  EXPECT_EQ(all[0].key, "k");
  EXPECT_EQ(all[0].value, R"({"campaign":"sea","amount":"much"})");
  EXPECT_EQ(all[0].headers,
            (std::map<std::string, std::string>{{"runnel.view", "totals"},
                                                {"runnel.generation", "1"},
                                                {"runnel.topic", "donations"},
                                                {"runnel.partition", "1"},
                                                {"runnel.offset", "1"},
                                                {"runnel.timestamp", "1700000000123"},
                                                {"runnel.error", "invalid_text"},
                                                {"runnel.path", "$.amount"}}));
  EXPECT_EQ(status("totals").totals.errors, 1u);
  EXPECT_EQ(status("totals").totals.filtered, 1u);
}

TEST_F(DeadLettersTest, EachIsThereOnceWhateverCrashes) {
  create_totals();
  std::vector<std::string> expected;
  for (int turn = 0; turn < 8; ++turn) {
    for (int i = 0; i < 6; ++i) {
      const std::string bad = std::to_string(turn) + "." + std::to_string(i);
      const int partition = i % 2;
      const Offset at = store->partition_info(ref("donations", partition)).high_watermark;
      give({donation("sea", 1), bad}, partition);
      expected.push_back(std::to_string(partition) + "/" + std::to_string(at.value() + 1) + " " +
                         bad);
      if (i % 3 == turn % 3) catch_up();
    }
    if (turn % 3 == 0) {
      kill();
    } else {
      cut_power(turn % 3 == 1 ? CutMode::kPrefix : CutMode::kDropAll);
    }
    catch_up();
    std::sort(expected.begin(), expected.end());
    wait_until([&] { return places().size() >= expected.size(); });
    ASSERT_EQ(places(), expected) << turn;
    ASSERT_EQ(status("totals").totals.errors, expected.size());
  }
  run("DROP MATERIALIZED VIEW totals");
  EXPECT_TRUE(store->read_state(kLettersPrefix)->empty());
}

TEST_F(DeadLettersTest, AnAlteredViewSendsNoneAgain) {
  create_totals();
  give({"bad", donation("sea", 1), "worse"});
  catch_up();
  wait_until([&] { return letters().size() >= 2; });
  const auto expect_no_more = [&](const std::vector<std::string>& expected) {
    wait_until([&] { return places().size() >= expected.size(); });
    EXPECT_EQ(places(), expected);
  };
  const Answer altered = run("ALTER MATERIALIZED VIEW totals SET (max_groups = '10')");
  ASSERT_FALSE(altered.notices.empty());
  EXPECT_NE(altered.notices[0].find("not sent again"), std::string::npos);
  wait_until([&] { return service->snapshot().definitions->find("totals")->id.generation == 2; });
  give({"worst"});
  catch_up("totals");
  expect_no_more({"0/0 bad", "0/2 worse", "0/3 worst"});
  EXPECT_EQ(status("totals").totals.errors, 3u) << "all are counted";

  // While a state that was lost is computed again nothing is kept beside it.
  service.reset();
  const auto files = fs.list("data/views");
  ASSERT_TRUE(files);
  for (const DirectoryEntry& file : *files) {
    ASSERT_TRUE(fs.remove("data/views/" + file.name));
  }
  ASSERT_TRUE(fs.remove_directory("data/views"));
  open_service();
  run("ALTER MATERIALIZED VIEW totals SET (max_groups = '20')");
  catch_up("totals");
  give({"again"}, 1);
  catch_up("totals");
  expect_no_more({"0/0 bad", "0/2 worse", "0/3 worst", "1/0 again"});

  // Another statement may refuse others for other reasons: its letters are its own.
  run("CREATE OR REPLACE MATERIALIZED VIEW totals AS SELECT COUNT(*) AS n FROM donations");
  wait_until([&] { return places().size() >= 8; });
}

TEST_F(DeadLettersTest, WhatIsTooLargeComesWithoutItsValue) {
  create_totals();
  ASSERT_TRUE(store->create_topic({"__dlq.totals", 1, {{"max.message.bytes", "1000"}}}));
  give({"bad", std::string(2000, 'x'), "worse"});
  catch_up();
  wait_until([&] { return letters().size() >= 3; });
  const auto all = letters();
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0].value, "bad");
  EXPECT_EQ(all[1].value, std::nullopt);
  EXPECT_EQ(all[1].headers.at("runnel.value"), "too large");
  EXPECT_EQ(all[1].headers.at("runnel.offset"), "1");
  EXPECT_EQ(all[2].value, "worse");
}

TEST_F(DeadLettersTest, NobodyReadsItsOwn) {
  create("__dlq.own");
  create("__dlq.one");
  create("__dlq.other");
  run("CREATE SOURCE of_own (x BIGINT) ON TOPIC '__dlq.own'");
  run("CREATE SOURCE of_one (x BIGINT) ON TOPIC '__dlq.one'");
  run("CREATE SOURCE of_other (x BIGINT) ON TOPIC '__dlq.other'");
  const auto view = [](const std::string& name, const std::string& source) {
    return "CREATE MATERIALIZED VIEW " + name + " AS SELECT SUM(x) AS n FROM " + source;
  };
  EXPECT_EQ(refused(view("own", "of_own")),
            "line 1, column 26: dead letters of own go to __dlq.own, from which it would read them "
            "again, for ever");
  run(view("one", "of_other"));
  EXPECT_NE(refused(view("other", "of_one")), "") << "each would read those of the other";
  run(view("third", "of_one"));  // reads one's, and nobody reads its own
}

TEST_F(DeadLettersTest, TheFormatsPage) {
  const std::string key = position_prefix(kLettersPrefix, {42, 3}) + "7";
  ByteWriter value;
  value.le(std::uint8_t{1}).le(std::int64_t{300});
  EXPECT_EQ(to_hex(key) + to_hex(value.str()),
            hex_of_page(RUNNEL_SOURCE_DIR "/docs/formats/dead-letters.md", "letters-position"));
  EXPECT_EQ(position_owner(kLettersPrefix, key), (ViewId{42, 3}));
  EXPECT_EQ(position_owner(kLettersPrefix, "view-letters/0000002a.0003"), std::nullopt);
  EXPECT_EQ(dead_letter_topic("Größe 1"), "__dlq.Gr____e_1");
}

}  // namespace
}  // namespace runnel::storage::views
