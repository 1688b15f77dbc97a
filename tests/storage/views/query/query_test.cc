// What the answer says besides its rows, limits, point queries, and that VERIFY sees a difference.
#include "storage/views/query/query.h"

#include <algorithm>
#include <set>

#include "storage/views/engine/key_encoding.h"
#include "storage/views/engine/state_keys.h"
#include "storage/views/query/group_finder.h"
#include "storage/views/service/snapshot_pool.h"
#include "storage/views/sql/parser.h"
#include "tests/storage/views/query/script.h"

namespace runnel::storage::views {
namespace {

class QueryTest : public testing::Test {
 protected:
  void SetUp() override {
    session.create_topic("gifts", 2);
    run("CREATE SOURCE gifts (id BIGINT, campaign VARCHAR, amount DECIMAL(12,2)) ON TOPIC 'gifts'");
    run("CREATE MATERIALIZED VIEW totals AS SELECT campaign, COUNT(*) AS n, SUM(amount) AS total "
        "FROM gifts GROUP BY campaign");
    for (std::int32_t partition = 0; partition < 2; ++partition) {
      std::vector<SqlSession::Line> lines;
      for (int i = 0; i < 3000; ++i) {
        lines.push_back({std::nullopt, "{\"id\":" + std::to_string(i) + ",\"campaign\":\"c" +
                                           std::to_string(i % 100) + "\",\"amount\":0.01}"});
      }
      session.append("gifts", partition, 1'767'225'600'000, lines);
    }
  }

  Answer run(const std::string& sql, const QueryLimits& limits = {}) {
    auto answers = session.execute(sql, limits);
    EXPECT_TRUE(answers) << sql << ": " << answers.error().to_string();
    return answers && !answers->empty() ? std::move(answers->back()) : Answer();
  }
  Error error_of(const std::string& sql, const QueryLimits& limits) {
    auto answers = session.execute(sql, limits);
    EXPECT_FALSE(answers) << sql;
    return answers ? Error(ErrorCode::kOk, "") : answers.error();
  }
  static std::string rows_of(const Answer& answer) {
    std::string text;
    for (std::size_t i = 0; i < answer.rows.size(); ++i) text += shown_row(answer.rows[i]) + "\n";
    return text;
  }

  SqlSession session;
};

TEST_F(QueryTest, TheAnswerSaysHowFarItSaw) {
  const Answer topic = run("SELECT COUNT(*) FROM gifts");
  EXPECT_EQ(topic.positions, (std::vector<Position>{{"gifts", PartitionIndex(0), Offset(3000)},
                                                    {"gifts", PartitionIndex(1), Offset(3000)}}));
  const Answer view = run("SELECT campaign, total, total * 2 AS twice FROM totals LIMIT 1");
  EXPECT_EQ(view.tag, "SELECT");
  EXPECT_EQ(view.positions, topic.positions);
  EXPECT_EQ(view.generation, 1);
  EXPECT_GT(view.sequence, 0u);
  ASSERT_EQ(view.columns.size(), 3u);
  EXPECT_EQ(view.columns[0].role, ColumnRole::kDimension);
  EXPECT_EQ(view.columns[1].role, ColumnRole::kMeasure);
  EXPECT_EQ(view.columns[2].role, ColumnRole::kPlain);
  EXPECT_EQ(run("SELECT 1").positions.size(), 0u);
}

TEST_F(QueryTest, WhatTakesTooLongEnds) {
  QueryLimits limits;
  limits.deadline = std::chrono::steady_clock::now() - std::chrono::seconds(1);
  EXPECT_EQ(error_of("SELECT * FROM gifts", limits).code(), ErrorCode::kTimeout);
  EXPECT_EQ(error_of("SELECT COUNT(*) FROM gifts", limits).code(), ErrorCode::kTimeout);
  EXPECT_EQ(error_of("SELECT * FROM totals", limits).code(), ErrorCode::kTimeout);
  EXPECT_EQ(error_of("VERIFY totals", limits).code(), ErrorCode::kTimeout);
}

TEST_F(QueryTest, WhatNobodyWaitsForEnds) {
  const auto gone = std::make_shared<std::atomic<bool>>(false);
  QueryLimits limits;
  limits.cancelled = gone;
  EXPECT_EQ(run("SELECT COUNT(*) FROM gifts", limits).rows.size(), 1u);
  gone->store(true);
  for (const std::string sql : {"SELECT * FROM gifts", "SELECT COUNT(*) FROM gifts",
                                "SELECT * FROM totals", "VERIFY totals"}) {
    EXPECT_EQ(error_of(sql, limits).code(), ErrorCode::kCancelled) << sql;
  }
}

TEST_F(QueryTest, TooManyRowsAreAnError) {
  QueryLimits limits;
  limits.max_rows = 5999;
  EXPECT_NE(error_of("SELECT id FROM gifts", limits).message().find("more than 5999 rows"),
            std::string::npos);
  EXPECT_NE(error_of("SELECT id FROM gifts ORDER BY id", limits).message().find("5999"),
            std::string::npos);
  EXPECT_EQ(run("SELECT id FROM gifts LIMIT 5999", limits).rows.size(), 5999u);
  EXPECT_EQ(run("SELECT id FROM gifts ORDER BY id DESC LIMIT 1", limits).rows.size(), 1u);
  limits.max_rows = 6000;
  EXPECT_EQ(run("SELECT id FROM gifts", limits).rows.size(), 6000u);
}

TEST_F(QueryTest, MemoryIsBounded) {
  QueryLimits limits;
  limits.max_bytes = 200'000;
  for (const std::string sql :
       {"SELECT * FROM gifts", "SELECT * FROM gifts ORDER BY id",
        "SELECT id, _partition, COUNT(*) FROM gifts GROUP BY id, _partition",
        "SELECT DISTINCT id, _partition FROM gifts",
        "SELECT COUNT(DISTINCT id * 10 + _partition) FROM gifts"}) {
    const Error error = error_of(sql, limits);
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument) << sql;
    EXPECT_NE(error.message().find("in memory"), std::string::npos) << error.message();
  }
  // What is not needed any more is not kept.
  EXPECT_EQ(
      rows_of(run("SELECT id, _partition FROM gifts ORDER BY id DESC, _partition LIMIT 3", limits)),
      "2999 | 0\n2999 | 1\n2998 | 0\n");
  EXPECT_EQ(rows_of(run("SELECT campaign, COUNT(*) FROM gifts GROUP BY campaign LIMIT 2", limits)),
            "c0 | 60\nc1 | 60\n");
}

TEST_F(QueryTest, TheFirstRowsOfManyAreTheFirst) {
  // More rows than are sorted at once, in an order that is not theirs.
  const Answer all = run("SELECT id, _partition FROM gifts ORDER BY id * 7919 % 3001, _partition");
  const Answer some = run(
      "SELECT id, _partition FROM gifts ORDER BY id * 7919 % 3001, _partition LIMIT 20 OFFSET 100");
  ASSERT_EQ(some.rows.size(), 20u);
  for (std::size_t i = 0; i < 20; ++i) {
    EXPECT_EQ(shown_row(some.rows[i]), shown_row(all.rows[i + 100])) << i;
  }
}

TEST_F(QueryTest, AGroupIsFoundByItsKey) {
  session.wait_applied();
  const ReadSnapshot snapshot = session.service().snapshot();
  const auto finder = GroupFinder::open(*snapshot.definitions->find("totals"), snapshot);
  ASSERT_TRUE(finder) << finder.error().to_string();
  auto found = (*finder)->find(std::vector{Value::text("c7")});
  ASSERT_TRUE(found) << found.error().to_string();
  EXPECT_EQ(rows_of(*found), "c7 | 60 | 0.60\n");
  EXPECT_EQ(found->positions.size(), 2u);
  found = (*finder)->find(std::vector{Value::text("c")});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->rows.size(), 0u);
  const auto wrong = (*finder)->find({});
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code(), ErrorCode::kInvalidArgument);
}

TEST_F(QueryTest, ManyGroupsAreFoundAsEachIs) {
  run("CREATE MATERIALIZED VIEW ids AS SELECT campaign, COUNT(DISTINCT id) AS n FROM gifts "
      "GROUP BY campaign");
  session.wait_applied();
  const ReadSnapshot snapshot = session.service().snapshot();
  for (const std::string view : {"totals", "ids"}) {
    SCOPED_TRACE(view);
    const auto finder = GroupFinder::open(*snapshot.definitions->find(view), snapshot);
    ASSERT_TRUE(finder) << finder.error().to_string();
    ASSERT_TRUE((*finder)->has_entries());
    std::set<std::string> keys;
    const auto add = [&](const Value& value) {
      std::string key;
      EXPECT_TRUE((*finder)->encode(std::span(&value, 1), key));
      keys.insert(std::move(key));
    };
    add(Value::null());
    add(Value::text("nobody"));
    for (int i = 0; i < 100; i += 3) add(Value::text("c" + std::to_string(i)));
    const std::vector<std::string_view> wanted(keys.begin(), keys.end());
    std::string many, one_by_one;
    std::size_t last = 0;
    ASSERT_TRUE((*finder)->find_each(wanted, [&](const GroupFinder::Found& found) {
      EXPECT_FALSE(found.error || found.bounded);
      EXPECT_LE(last, found.which);
      last = found.which;
      std::string key;
      EXPECT_TRUE((*finder)->encode(found.row.first(1), key));
      EXPECT_EQ(key, wanted[found.which]);
      many += shown_row(found.row) + "\n";
    }));
    for (const std::string& key : keys) {
      std::string_view rest = key;
      Arena arena;
      Value value;
      ASSERT_TRUE(decode_key({TypeKind::kVarchar, 0, 0}, rest, arena, value));
      const auto found = (*finder)->find(std::span(&value, 1));
      ASSERT_TRUE(found) << found.error().to_string();
      one_by_one += rows_of(*found);
    }
    EXPECT_EQ(many, one_by_one);
    EXPECT_EQ(std::count(many.begin(), many.end(), '\n'), 34);
    std::string none;
    EXPECT_FALSE((*finder)->encode({}, none));
  }
}

TEST_F(QueryTest, WhatWasMadeOfASnapshotIsKeptUntilSomethingIsWrittenOrDefined) {
  session.wait_applied();
  SnapshotPool<GroupFinders> pool(session.service());
  const GroupFinders* first = nullptr;
  const auto total = [&]() -> std::string {
    const auto finders = pool.borrow();
    first = first == nullptr ? &*finders : first;
    const auto finder = finders->of("totals");
    EXPECT_TRUE(finder) << finder.error().to_string();
    const auto found = (*finder)->find(std::vector{Value::text("c7")});
    EXPECT_TRUE(found) << found.error().to_string();
    return rows_of(*found);
  };
  EXPECT_EQ(total(), "c7 | 60 | 0.60\n");
  {
    const auto again = pool.borrow();
    EXPECT_EQ(&*again, first);
    EXPECT_NE(&*pool.borrow(), first) << "each has one user";
    EXPECT_FALSE(again->of("nope"));
  }
  const std::weak_ptr<const StateReader> before = session.service().snapshot().state;
  session.append("gifts", 0, 1'767'225'600'000, {{std::nullopt, R"({"id":1,"campaign":"c7"})"}});
  session.wait_applied();
  EXPECT_TRUE(before.expired()) << "what is idle keeps no old state";
  EXPECT_EQ(total(), "c7 | 61 | 0.60\n");
  run("DROP MATERIALIZED VIEW totals");
  const auto gone = pool.borrow()->of("totals");
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code(), ErrorCode::kNotFound);
}

TEST_F(QueryTest, AGroupOfAViewOfAViewIsFoundToo) {
  run("CREATE MATERIALIZED VIEW by_size AS SELECT n, COUNT(*) AS campaigns FROM totals GROUP BY n");
  session.wait_applied();
  const ReadSnapshot snapshot = session.service().snapshot();
  const auto found =
      find_group(*snapshot.definitions->find("by_size"), std::vector{Value::bigint(60)}, snapshot);
  ASSERT_TRUE(found) << found.error().to_string();
  EXPECT_EQ(rows_of(*found), "60 | 100\n");
  QueryLimits late;
  late.deadline = std::chrono::steady_clock::time_point::min();
  const auto timed_out = find_group(*snapshot.definitions->find("by_size"),
                                    std::vector{Value::bigint(60)}, snapshot, late);
  ASSERT_FALSE(timed_out) << "all groups of the other view are read for it";
  EXPECT_EQ(timed_out.error().code(), ErrorCode::kTimeout);
}

/// A state that takes more memory than there is.
class Endless final : public StateReader {
 public:
  [[nodiscard]] Result<bool> get(std::string_view, std::string&) const override {
    throw std::bad_alloc();
  }
  [[nodiscard]] Status scan(std::string_view, std::string_view, const Visit&) const override {
    throw std::bad_alloc();
  }
};

TEST_F(QueryTest, AQuestionWithoutMemoryFailsAndNothingElse) {
  session.wait_applied();
  ReadSnapshot snapshot = session.service().snapshot();
  snapshot.state = std::make_shared<Endless>();
  const auto found =
      find_group(*snapshot.definitions->find("totals"), std::vector{Value::text("c7")}, snapshot);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code(), ErrorCode::kOverloaded);
  const std::string sql = "SELECT * FROM totals";
  const auto statement = sql::parse_statement(sql);
  ASSERT_TRUE(statement);
  const auto rows = run_query(std::get<sql::Query>(*statement), sql, snapshot, {});
  ASSERT_FALSE(rows);
  EXPECT_EQ(rows.error().code(), ErrorCode::kOverloaded);
}

/// A state that is not what the log gives: one entry is left out, or another's value stands there.
class Damaged final : public StateReader {
 public:
  Damaged(std::shared_ptr<const StateReader> sound, std::string prefix, bool swap)
      : sound_(std::move(sound)), prefix_(std::move(prefix)), swap_(swap) {}
  Result<bool> get(std::string_view key, std::string& value) const override {
    return sound_->get(key, value);
  }
  Status scan(std::string_view begin, std::string_view end, const Visit& visit) const override {
    std::size_t number = 0;
    std::string first;
    return sound_->scan(begin, end, [&](std::string_view key, std::string_view value) {
      if (!key.starts_with(prefix_)) return visit(key, value);
      if (number++ == 0) first = value;
      if (number == 6 && !swap_) return true;
      if (number == 6) {
        std::string other(value);
        // The format, then a mask and the only byte that is not zero of each.
        other[2] = static_cast<char>(other[2] + 1);  // rows
        other[4] = static_cast<char>(other[4] + 1);  // COUNT(*)
        return visit(key, other);
      }
      return visit(key, value);
    });
  }

 private:
  std::shared_ptr<const StateReader> sound_;
  std::string prefix_;
  bool swap_;
};

TEST_F(QueryTest, VerifySeesWhatIsMissingAndWhatIsWrong) {
  session.wait_applied();
  ReadSnapshot snapshot = session.service().snapshot();
  const ViewId id = snapshot.definitions->find("totals")->id;
  const auto statement = sql::parse_statement("VERIFY totals");
  ASSERT_TRUE(statement);
  const auto& question = std::get<sql::Verify>(*statement);
  auto answer = verify(question, snapshot, {});
  ASSERT_TRUE(answer) << answer.error().to_string();
  EXPECT_EQ(rows_of(*answer), "6000 | 100 | 0\n");
  EXPECT_TRUE(answer->notices.empty());

  const auto sound = snapshot.state;
  snapshot.state = std::make_shared<Damaged>(sound, key_prefix(id, Space::kGroups), false);
  answer = verify(question, snapshot, {});
  ASSERT_TRUE(answer) << answer.error().to_string();
  EXPECT_EQ(rows_of(*answer), "6000 | 100 | 1\n");
  ASSERT_EQ(answer->notices.size(), 1u);
  EXPECT_NE(answer->notices[0].find("is 30 in the view, 60 by the log"), std::string::npos)
      << answer->notices[0];

  snapshot.state = std::make_shared<Damaged>(sound, key_prefix(id, Space::kGroups), true);
  answer = verify(question, snapshot, {});
  ASSERT_TRUE(answer) << answer.error().to_string();
  EXPECT_EQ(rows_of(*answer), "6000 | 100 | 1\n");
  EXPECT_NE(answer->notices[0].find("is 61 in the view, 60 by the log"), std::string::npos)
      << answer->notices[0];
}

TEST_F(QueryTest, RecordsThatAreGoneCantBeVerified) {
  session.wait_applied();
  auto partition = session.store().partition("gifts", PartitionIndex(0));
  ASSERT_TRUE(partition);
  ASSERT_TRUE(session.store().delete_records(*partition, Offset(10)));
  const Error error = error_of("VERIFY totals", {});
  EXPECT_EQ(error.code(), ErrorCode::kNotAvailable) << error.message();
  EXPECT_EQ(rows_of(run("SELECT COUNT(*) FROM gifts")), "5990\n");
}

}  // namespace
}  // namespace runnel::storage::views
