// What a fact finds in a table, whatever the order in which the table was read.
#include "storage/views/worker/table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "storage/views/engine/cursor.h"
#include "storage/views/engine/key_encoding.h"

namespace runnel::storage::views {
namespace {

constexpr Type kText{TypeKind::kVarchar, 0, 0};

SourcePlan campaigns() {
  SourcePlan plan;
  plan.table = true;
  plan.columns = {{"campaign", kText, "$.campaign", {}, false},
                  {"title", kText, "$.title", {}, false}};
  plan.primary_key = {0};
  return plan;
}

class TableTest : public ::testing::Test {
 protected:
  bool put(const std::string& campaign, const std::string& title, Table::Place place,
           const std::string& record_key = "") {
    const std::vector<Value> row{Value::text(campaign), Value::text(title)};
    return table.apply(record_key.empty() ? campaign : record_key, row, place);
  }
  void remove(const std::string& record_key, Table::Place place) {
    EXPECT_TRUE(table.apply(record_key, {}, place));
  }
  std::string title(const std::string& campaign, std::int64_t time) {
    std::string key;
    encode_key(kText, Value::text(campaign), key);
    const auto row = table.find(key, time);
    return row.empty() ? "none" : std::string(row[1].as_text());
  }

  SourcePlan plan = campaigns();
  Table table{plan};
};

TEST_F(TableTest, ARowHoldsFromItsTimeOn) {
  ASSERT_TRUE(put("sea", "Sea", {100, 0, 0}));
  ASSERT_TRUE(put("sea", "The Sea", {200, 0, 1}));
  EXPECT_EQ(title("sea", 199), "Sea");
  EXPECT_EQ(title("sea", 200), "The Sea");
  EXPECT_EQ(title("sea", 1'000), "The Sea");
  EXPECT_EQ(title("sky", 200), "none");
}

TEST_F(TableTest, BeforeTheFirstRowTheFirstRowHolds) {
  ASSERT_TRUE(put("sea", "Sea", {100, 0, 0}));
  EXPECT_EQ(title("sea", 99), "Sea");
  EXPECT_EQ(title("sea", kNoTime), "Sea");
}

TEST_F(TableTest, ATombstoneEndsTheRowOfItsKey) {
  ASSERT_TRUE(put("sea", "Sea", {100, 0, 0}, "id-1"));
  remove("id-1", {200, 0, 1});
  EXPECT_EQ(title("sea", 150), "Sea");
  EXPECT_EQ(title("sea", 200), "none");
  remove("id-2", {300, 0, 2});  // nobody knows it
  ASSERT_TRUE(put("sea", "Again", {400, 0, 3}, "id-1"));
  EXPECT_EQ(title("sea", 400), "Again");
}

TEST_F(TableTest, ARowThatGetsAnotherPrimaryKeyLeavesTheOldOne) {
  ASSERT_TRUE(put("sea", "Sea", {100, 0, 0}, "id-1"));
  ASSERT_TRUE(put("ocean", "Ocean", {200, 0, 1}, "id-1"));
  EXPECT_EQ(title("sea", 200), "none");
  EXPECT_EQ(title("ocean", 200), "Ocean");
}

TEST_F(TableTest, RecordsWithoutAKeyLeaveEachOtherAlone) {
  const auto keyless = [&](const std::string& campaign, const std::string& title,
                           Table::Place place) {
    const std::vector<Value> row{Value::text(campaign), Value::text(title)};
    return table.apply(std::nullopt, row, place);
  };
  ASSERT_TRUE(keyless("sea", "Sea", {100, 0, 0}));
  ASSERT_TRUE(keyless("sky", "Sky", {200, 0, 1}));
  ASSERT_TRUE(table.apply(std::nullopt, {}, {250, 0, 2}));  // of nothing
  ASSERT_TRUE(keyless("sky", "The Sky", {300, 0, 3}));
  EXPECT_EQ(title("sea", 300), "Sea");
  EXPECT_EQ(title("sky", 299), "Sky");
  EXPECT_EQ(title("sky", 300), "The Sky");
}

TEST_F(TableTest, OfOneKeyTheLaterOffsetHoldsWhateverItsTimestamp) {
  ASSERT_TRUE(put("sea", "first", {500, 0, 0}));
  ASSERT_TRUE(put("sea", "second", {300, 0, 1}));  // a clock that was set back
  EXPECT_EQ(title("sea", 400), "first") << "it is the oldest there is";
  EXPECT_EQ(title("sea", 500), "second");
}

TEST_F(TableTest, ARowWithoutItsWholePrimaryKeyIsNone) {
  const std::vector<Value> row{Value::null(), Value::text("nobody")};
  EXPECT_FALSE(table.apply("k", row, {1, 0, 0}));
}

TEST_F(TableTest, TheOrderInWhichPartitionsAreReadDoesNotMatter) {
  const auto seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  struct Record {
    std::string campaign;
    std::string key;
    std::string title;
    Table::Place place;
  };
  std::vector<std::vector<Record>> partitions(3);
  for (std::uint32_t p = 0; p < partitions.size(); ++p) {
    for (std::int64_t offset = 0; offset < 50; ++offset) {
      const std::string campaign(1, static_cast<char>('a' + random() % 4));
      const auto time = static_cast<std::int64_t>(random() % 100);
      partitions[p].push_back({campaign,
                               "k" + std::to_string(random() % 5),
                               random() % 4 == 0 ? "" : std::to_string(random() % 1'000),
                               {time, p, offset}});
    }
  }
  const auto answers = [&](bool by_turns) {
    Table read(plan);
    for (std::size_t n = 0; n < 150; ++n) {
      const std::size_t p = by_turns ? n % 3 : 2 - n / 50;
      const Record& record = partitions[p][by_turns ? n / 3 : n % 50];
      const std::vector<Value> row{Value::text(record.campaign), Value::text(record.title)};
      read.apply(record.key, record.title.empty() ? std::span<const Value>() : row, record.place);
    }
    std::string all;
    for (char campaign = 'a'; campaign < 'e'; ++campaign) {
      std::string key;
      encode_key(kText, Value::text(std::string(1, campaign)), key);
      for (std::int64_t time = -1; time < 100; ++time) {
        const auto row = read.find(key, time);
        all += row.empty() ? "-," : std::string(row[1].as_text()) + ",";
      }
    }
    return all;
  };
  EXPECT_EQ(answers(true), answers(false));
}

}  // namespace
}  // namespace runnel::storage::views
