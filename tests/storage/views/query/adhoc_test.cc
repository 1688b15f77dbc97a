// What SQLite answers is held to its time and memory, and reaches nothing else.
#include <sqlite3.h>

#include <future>

#include "tests/storage/views/query/script.h"

namespace runnel::storage::views {
namespace {

class AdhocTest : public testing::Test {
 protected:
  void SetUp() override {
    session.create_topic("gifts", 1);
    ASSERT_TRUE(session.execute("CREATE SOURCE gifts (id BIGINT, name VARCHAR) ON TOPIC 'gifts'"));
    std::vector<SqlSession::Line> lines;
    for (int i = 0; i < 2000; ++i) {
      lines.push_back({std::nullopt, "{\"id\":" + std::to_string(i) + ",\"name\":\"" +
                                         std::string(100, 'x') + "\"}"});
    }
    session.append("gifts", 0, 1'767'225'600'000, lines);
  }
  ErrorCode code_of(const std::string& sql, const QueryLimits& limits) {
    const auto answers = session.execute(sql, limits);
    return answers ? ErrorCode::kOk : answers.error().code();
  }

  SqlSession session;
};

TEST_F(AdhocTest, AnEndlessQuestionEnds) {
  QueryLimits limits;
  limits.deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(200);
  EXPECT_EQ(code_of("WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT "
                    "COUNT(*) FROM c",
                    limits),
            ErrorCode::kTimeout);
  limits.deadline = std::chrono::steady_clock::now() - std::chrono::seconds(1);
  EXPECT_EQ(code_of("SELECT * FROM (SELECT id FROM gifts)", limits), ErrorCode::kTimeout);
}

TEST_F(AdhocTest, WhatNobodyWaitsForEnds) {
  const auto gone = std::make_shared<std::atomic<bool>>(false);
  QueryLimits limits;
  limits.cancelled = gone;
  const std::string endless =
      "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT COUNT(*) FROM c";
  auto first = std::async(std::launch::async, [&] { return code_of(endless, limits); });
  // One at a time: whoever has no time for waiting knows that the other one is at work.
  QueryLimits hurried;
  do {
    hurried.deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(1);
  } while (code_of("SELECT * FROM (SELECT 1)", hurried) == ErrorCode::kOk);
  auto second = std::async(std::launch::async, [&] { return code_of(endless, limits); });
  gone->store(true);
  EXPECT_EQ(first.get(), ErrorCode::kCancelled);
  EXPECT_EQ(second.get(), ErrorCode::kCancelled);
}

TEST_F(AdhocTest, MemoryAndRowsAreBounded) {
  QueryLimits limits;
  limits.max_bytes = 1 << 20;
  const std::string pairs =
      "SELECT a.name || b.name AS n FROM (SELECT name FROM gifts) a, (SELECT name FROM gifts) b ";
  EXPECT_EQ(code_of(pairs + "ORDER BY n", limits), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of("WITH RECURSIVE c(x) AS (SELECT 1 UNION SELECT x + 1 FROM c) SELECT x FROM c "
                    "LIMIT 1 OFFSET 100000000",
                    limits),
            ErrorCode::kInvalidArgument);
  limits.max_rows = 1999;
  EXPECT_EQ(code_of("SELECT * FROM (SELECT id FROM gifts)", limits), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of("SELECT * FROM (SELECT id FROM gifts) LIMIT 1999", limits), ErrorCode::kOk);
}

TEST_F(AdhocTest, AllocationsOfOneStepAreBounded) {
  QueryLimits limits;
  limits.max_bytes = 8 << 20;
  const auto before = sqlite3_memory_highwater(1);
  EXPECT_EQ(
      code_of("WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 120) "
              "SELECT COUNT(*) FROM (SELECT hex(zeroblob(499999)) || n AS x FROM c ORDER BY x "
              "LIMIT -1 OFFSET 1)",
              limits),
      ErrorCode::kInvalidArgument);
  EXPECT_LE(sqlite3_memory_highwater(0), before + (8 << 20));
  EXPECT_EQ(code_of("SELECT 1 UNION SELECT 2", limits), ErrorCode::kOk);
}

/// Each takes minutes where texts are searched in the product of their lengths.
TEST_F(AdhocTest, SearchesEnd) {
  const std::string text = "replace(hex(zeroblob(500000)), '0', 'a')";
  const std::string part = "replace(hex(zeroblob(250000)), '0', 'a') || 'b'";
  const auto answer = [&](const std::string& expression) {
    const auto answers = session.execute("SELECT " + expression + " UNION SELECT " + expression);
    return answers ? to_string(answers->front().rows[0][0]) : answers.error().message();
  };
  EXPECT_EQ(answer("instr(" + text + ", " + part + ")"), "0");
  EXPECT_EQ(answer("length(replace(" + text + ", " + part + ", 'c'))"), "1000000");
  EXPECT_NE(answer("length(trim(" + text + ", " + part + "))").find("1000 bytes at most"),
            std::string::npos);
  EXPECT_NE(answer(text + " LIKE '%' || " + part).find("pattern too complex"), std::string::npos);
  EXPECT_EQ(answer("replace('žaža', 'ža', 'b')"), "bb");
  EXPECT_EQ(answer("instr('žaž', 'až')"), "2");
  EXPECT_EQ(answer("instr('a', NULL)"), "NULL");
  EXPECT_EQ(answer("trim('  a ') || ltrim('xya', 'yx') || rtrim('ažž', 'ž')"), "aaa");
}

TEST_F(AdhocTest, OnlySelectsAreAnswered) {
  for (const std::string sql :
       {"WITH x AS (SELECT 1) DELETE FROM gifts", "WITH x AS (SELECT 1) INSERT INTO gifts SELECT 1",
        "WITH x AS (SELECT 1) UPDATE gifts SET id = 1",
        "SELECT * FROM (SELECT * FROM sqlite_schema)",
        "SELECT * FROM (SELECT * FROM pragma_database_list)",
        "SELECT load_extension('x') FROM (SELECT 1)"}) {
    EXPECT_NE(code_of(sql, {}), ErrorCode::kOk) << sql;
  }
}

TEST_F(AdhocTest, TheAnswerSaysHowFarItSaw) {
  const auto answers = session.execute("SELECT COUNT(*) FROM (SELECT id FROM gifts)");
  ASSERT_TRUE(answers) << answers.error().to_string();
  EXPECT_EQ(answers->front().positions,
            (std::vector<Position>{{"gifts", PartitionIndex(0), Offset(2000)}}));
}

}  // namespace
}  // namespace runnel::storage::views
