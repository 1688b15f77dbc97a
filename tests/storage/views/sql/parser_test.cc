#include "storage/views/sql/parser.h"

#include <gtest/gtest.h>

#include <random>

namespace runnel::storage::sql {
namespace {

std::string sql_of(std::string_view text) {
  const auto parsed = parse_expression(text);
  return parsed ? to_sql(**parsed) : parsed.error().message();
}

std::string error_of(std::string_view text) {
  const auto parsed = parse(text);
  return parsed ? "no error" : parsed.error().message();
}

template <class T>
T one(std::string_view text) {
  auto parsed = parse_statement(text);
  EXPECT_TRUE(parsed) << text << "\n" << parsed.error().message();
  if (!parsed || !std::holds_alternative<T>(*parsed)) {
    ADD_FAILURE() << "another statement than expected: " << text;
    return T{};
  }
  return std::get<T>(std::move(*parsed));
}

TEST(SqlExpression, OperatorsBindAsInPostgres) {
  const std::pair<const char*, const char*> kCases[] = {
      {"1 + 2 * 3", "(1 + (2 * 3))"},
      {"1 - 2 - 3", "((1 - 2) - 3)"},
      {"(1 - 2) - 3", "((1 - 2) - 3)"},
      {"1 - (2 - 3)", "(1 - (2 - 3))"},
      {"- 2 * 3", "((- 2) * 3)"},
      {"a or b and c", R"(("a" OR ("b" AND "c")))"},
      {"not a = 1 and b", R"(((NOT ("a" = 1)) AND "b"))"},
      {"a = 1 or not b", R"((("a" = 1) OR (NOT "b")))"},
      {"a || b = c", R"((("a" || "b") = "c"))"},
      {"a->'x'->>'y' = 'z'", R"(((("a" -> 'x') ->> 'y') = 'z'))"},
      {"x is not null and y is null", R"((("x" IS NOT NULL) AND ("y" IS NULL)))"},
      {"x not in (1, 2) or y in ('a')", R"((("x" NOT IN (1, 2)) OR ("y" IN ('a'))))"},
      {"x between 1 and 2 and y", R"((("x" BETWEEN 1 AND 2) AND "y"))"},
      {"x not between 1 + 1 and 2", R"(("x" NOT BETWEEN (1 + 1) AND 2))"},
      {"x not like 'a%' and y ilike 'b'", R"((("x" NOT LIKE 'a%') AND ("y" ILIKE 'b')))"},
      {"x::decimal(10,2) + 1", R"((CAST("x" AS DECIMAL(10,2)) + 1))"},
      {"-x::bigint", R"((- CAST("x" AS BIGINT)))"},
      {"x is true", R"(("x" IS NOT DISTINCT FROM true))"},
      {"x is not false", R"(("x" IS DISTINCT FROM false))"},
      {"a <> b or a != b", R"((("a" <> "b") OR ("a" <> "b")))"},
  };
  for (const auto& [text, expected] : kCases) EXPECT_EQ(sql_of(text), expected) << text;
}

TEST(SqlExpression, WhatIsWrittenOutParsesToTheSame) {
  const char* const kCases[] = {
      "case when a > 1 then 'x' when b then 'y' else null end",
      "case a when 1 then 2 end",
      "cast(a as double precision)",
      "try_cast(a as timestamptz)",
      "extract(year from ts) + extract('hour' from ts)",
      "count(*) filter (where amount > 12.30)",
      "count(distinct page)",
      "sum(amount) / 3 % 2",
      "date '2026-11-21'",
      "timestamp '2026-11-21 10:00:00+00'",
      "interval '5 minutes'",
      "interval '1' day",
      "interval '1 year 2 months 3 days 04:05:06'",
      "\"Strange \"\"name\"\"\".x",
      "'it''s'",
      "1e3 + .5 + 2.",
      "date_trunc('month', ts)",
      "a is distinct from b",
      "NULL",
      "Größe = 'ä'",
  };
  for (const char* const text : kCases) {
    const std::string once = sql_of(text);
    EXPECT_EQ(sql_of(once), once) << text;
    EXPECT_EQ(once.find("line "), std::string::npos) << once;
  }
}

TEST(SqlExpression, Intervals) {
  EXPECT_EQ(*parse_interval("90 seconds"), (Interval{0, 0, 90'000}));
  EXPECT_EQ(*parse_interval("1 week -2 days"), (Interval{0, 5, 0}));
  EXPECT_EQ(*parse_interval("1 quarter"), (Interval{3, 0, 0}));
  EXPECT_EQ(*parse_interval("1 day 01:30"), (Interval{0, 1, 5'400'000}));
  EXPECT_EQ(*parse_interval("-00:00:01"), (Interval{0, 0, -1000}));
  for (const char* const wrong :
       {"", " ", "5", "minutes", "5 lightyears", "1:61", "1 day 2", "99999999999999999999 days",
        "9223372036854775807 hours", "1.5 days", "1:2:3:4"}) {
    EXPECT_FALSE(parse_interval(wrong)) << wrong;
  }
}

TEST(SqlErrors, SayWhereAndWhat) {
  const std::pair<const char*, const char*> kCases[] = {
      {"SELEC 1",
       "line 1, column 1: expected a statement (SELECT, CREATE, INSERT, DROP, ALTER, "
       "SHOW, DESCRIBE, EXPLAIN, VERIFY, SUBSCRIBE), found selec; did you mean select?"},
      {"SELECT a\nFROM t\nWEHRE a", "line 3, column 7: expected a semicolon or the end, found a"},
      {"SELECT a FROM t WHERE",
       "line 1, column 22: expected a value, a column or a function, "
       "found the end"},
      {"SELECT a FROM t GRUOP BY a",
       "line 1, column 23: expected a semicolon or the end, found by"},
      {"CREATE SOURCE s (a BIGIN) ON TOPIC 't'",
       "line 1, column 20: expected a type (BOOLEAN, BIGINT, DOUBLE, DECIMAL(p,s), VARCHAR, "
       "TIMESTAMPTZ, DATE, JSON), found bigin; did you mean bigint?"},
      {"CREATE SOURCE s (a BIGINT, a BIGINT) ON TOPIC 't'",
       "line 1, column 28: the column a is there already"},
      {"CREATE VIEW v AS SELECT 1",
       "line 1, column 8: views are materialised here; write CREATE MATERIALIZED VIEW"},
      {"SELECT 'abc", "line 1, column 8: what begins here has no end: a closing ' is missing"},
      {"SELECT 1 /* never", "line 1, column 10: this comment has no end: */ is missing"},
      {"SELECT a ? b", "line 1, column 10: the character ? has no meaning here"},
      {"SELECT 1 < 2 < 3",
       "line 1, column 14: comparisons can't be chained; write a < b AND b < c"},
      {"SELECT x FROM TUMBLE(s, ts)",
       "line 1, column 15: it is TUMBLE(source, time, INTERVAL "
       "size)"},
      {"SELECT x FROM HOPP(s, ts)",
       "line 1, column 15: expected TUMBLE, HOP, SESSION, CUMULATE or a name without brackets, "
       "found hopp; did you mean hop?"},
      {"SELECT CAST(a AS TIMESTAMP)",
       "line 1, column 18: TIMESTAMP alone has no time zone; write TIMESTAMPTZ, an instant"},
      {"SELECT 12abc",
       "line 1, column 10: a number ends before a letter: put a blank between the two"},
      {"SELECT DECIMAL '1'::DECIMAL(40,2)",
       "line 1, column 16: expected a semicolon or the end, found '1'"},
      {"SELECT a::DECIMAL(40,2)",
       "line 1, column 11: DECIMAL has 1 to 38 digits, and at most as many behind the point"},
      {"SELECT a LIMIT 99999999999999999999", "line 1, column 16: this number is too large"},
      {"SELECT interval '5 lightyears'",
       "line 1, column 17: '5 lightyears' is no span of time; write one as '5 minutes', '1 day' or "
       "'1 hour 30 minutes' (milliseconds to years)"},
      {"SELECT \"\"", "line 1, column 8: a name can't be empty"},
      {"SELECT \xff", "line 1, column 8: the text is no valid UTF-8 here"},
      {"SUBSCRIBE v WITH (snapshot, snapshot)",
       "line 1, column 29: the option snapshot is there already"},
      {"EXPLAIN EXPLAIN SELECT 1",
       "line 1, column 9: expected a statement other than EXPLAIN, found explain"},
  };
  for (const auto& [text, expected] : kCases) EXPECT_EQ(error_of(text), expected) << text;
}

TEST(SqlErrors, ColumnsCountCharacters) {
  EXPECT_EQ(error_of("SELECT 'äöü' ?"), "line 1, column 14: the character ? has no meaning here");
}

TEST(SqlStatement, Sources) {
  const auto source = one<CreateSource>(R"(
      CREATE SOURCE donations (
        id VARCHAR NOT NULL,
        amount DECIMAL(12,2) PATH '$.money.amount' NOT NULL,
        at TIMESTAMPTZ,   -- when it was given
        WATERMARK FOR at AS at - INTERVAL '5 minutes'
      ) ON TOPIC 'donations' FORMAT JSON ON ERROR SKIP WITH (case_sensitive = 'false'))");
  EXPECT_EQ(source.name.text, "donations");
  ASSERT_EQ(source.columns.size(), 3u);
  EXPECT_TRUE(source.columns[0].not_null);
  EXPECT_EQ(source.columns[1].type, (Type{TypeKind::kDecimal, 12, 2}));
  EXPECT_EQ(source.columns[1].path, "$.money.amount");
  ASSERT_TRUE(source.watermark);
  EXPECT_EQ(source.watermark->delay, (Interval{0, 0, 300'000}));
  EXPECT_EQ(source.topic, "donations");
  EXPECT_EQ(source.on_error, OnError::kSkip);
  ASSERT_EQ(source.options.size(), 1u);

  const auto table = one<CreateSource>(
      "CREATE TABLE IF NOT EXISTS c (id VARCHAR PRIMARY KEY, name TEXT) ON TOPIC 'campaigns'");
  EXPECT_TRUE(table.table && table.if_not_exists);
  ASSERT_EQ(table.primary_key.size(), 1u);
  EXPECT_EQ(error_of("CREATE TABLE c (id VARCHAR) ON TOPIC 'campaigns'"),
            "line 1, column 14: a table needs a PRIMARY KEY (column, ...)");
}

TEST(SqlStatement, Views) {
  const auto view = one<CreateView>(R"(
      CREATE OR REPLACE MATERIALIZED VIEW hourly
        WITH (retention = '90 days', time_zone = 'Europe/Paris', max_groups = 1000000)
      AS SELECT campaign, window_start, COUNT(*) AS gifts,
                SUM(amount) FILTER (WHERE currency = 'AUD') total
         FROM TUMBLE(donations, at, INTERVAL '1 hour') d
         LEFT JOIN campaigns c ON d.campaign = c.id
         WHERE amount > 0 GROUP BY campaign, window_start HAVING COUNT(*) > 1)");
  EXPECT_TRUE(view.or_replace);
  ASSERT_EQ(view.options.size(), 3u);
  EXPECT_EQ(view.options[2].value, "1000000");
  ASSERT_TRUE(view.query.from);
  EXPECT_EQ(view.query.from->window, WindowKind::kTumble);
  EXPECT_EQ(view.query.from->alias->text, "d");
  ASSERT_EQ(view.query.joins.size(), 1u);
  EXPECT_TRUE(view.query.joins[0].left);
  ASSERT_EQ(view.query.items.size(), 4u);
  EXPECT_EQ(view.query.items[3].alias->text, "total");
  EXPECT_EQ(view.query.group_by.size(), 2u);
  EXPECT_TRUE(view.query.where && view.query.having);
}

TEST(SqlStatement, TheOthers) {
  EXPECT_EQ(
      one<CreateStream>("INSERT INTO 'big.gifts' SELECT * FROM d WHERE amount > 1000").topic.text,
      "big.gifts");
  EXPECT_TRUE(one<Drop>("DROP MATERIALIZED VIEW IF EXISTS v CASCADE").cascade);
  EXPECT_EQ(one<Drop>("drop source s").kind, ObjectKind::kSource);
  EXPECT_EQ(one<Alter>("ALTER MATERIALIZED VIEW v SET (retention = '1 day')").options.size(), 1u);
  EXPECT_EQ(one<Alter>("ALTER VIEW v RESUME").action, Alter::Action::kResume);
  EXPECT_EQ(one<Show>("SHOW SOURCES").kind, ObjectKind::kSource);
  EXPECT_TRUE(one<Show>("SHOW ALL").everything);
  EXPECT_EQ(one<Describe>("DESCRIBE v").name.text, "v");
  EXPECT_EQ(one<Verify>("VERIFY MATERIALIZED VIEW v").name.text, "v");
  const auto subscribe = one<Subscribe>("SUBSCRIBE TO v WHERE c = 'x' WITH (SNAPSHOT, PROGRESS)");
  EXPECT_TRUE(subscribe.where);
  EXPECT_EQ(subscribe.options.size(), 2u);
  const auto query = one<Query>(
      "SELECT DISTINCT a, b AS bb FROM v ORDER BY a DESC NULLS LAST, b LIMIT 10 OFFSET 5");
  EXPECT_TRUE(query.distinct && query.order_by[0].descending);
  EXPECT_EQ(query.order_by[0].nulls_first, false);
  EXPECT_EQ(query.limit, 10u);
  EXPECT_EQ(query.offset, 5u);
  EXPECT_TRUE(std::holds_alternative<CreateView>(
      *one<Explain>("EXPLAIN CREATE MATERIALIZED VIEW v AS SELECT 1").statement));
}

TEST(SqlStatement, AScriptKeepsEachStatementsText) {
  const auto all = parse(" ;SELECT 1 ;\n-- between\n SHOW ALL  -- last\n;;");
  ASSERT_TRUE(all) << all.error().message();
  ASSERT_EQ(all->size(), 2u);
  EXPECT_EQ((*all)[0].text, "SELECT 1");
  EXPECT_EQ((*all)[1].text.substr(0, 8), "SHOW ALL");
}

// ---------------------------------------------------------------- hostile texts
TEST(SqlHostile, DepthIsBounded) {
  const std::string open(10'000, '(');
  EXPECT_NE(error_of("SELECT " + open + "1").find("deep"), std::string::npos);
  std::string nots = "SELECT ";
  for (int i = 0; i < 10'000; ++i) nots += "NOT ";
  EXPECT_NE(error_of(nots + "a").find("deep"), std::string::npos);
  std::string minuses = "SELECT ";
  for (int i = 0; i < 10'000; ++i) minuses += "- ";
  EXPECT_NE(error_of(minuses + "1").find("deep"), std::string::npos);
}

TEST(SqlHostile, ChainsAreBounded) {
  std::string sum = "SELECT 1";
  for (int i = 0; i < 200'000; ++i) sum += "+1";
  EXPECT_NE(error_of(sum).find("at most 4000 operators"), std::string::npos);
  std::string list = "SELECT a IN (1";
  for (int i = 0; i < 20'000; ++i) list += ",1";
  EXPECT_EQ(error_of(list + ")"), "no error");
}

TEST(SqlHostile, EveryCutAndEveryMutationGivesAnAnswer) {
  const std::string text =
      "CREATE OR REPLACE MATERIALIZED VIEW v WITH (a = 'b') AS SELECT a, COUNT(DISTINCT b) FILTER "
      "(WHERE c NOT IN (1, 2.5)) x FROM HOP(s, ts, INTERVAL '1 hour', INTERVAL '1 day') AS h JOIN "
      "t ON h.k = t.k WHERE CASE a WHEN 1 THEN b ELSE c->>'d' END LIKE 'x%' GROUP BY 1 ORDER BY 1";
  ASSERT_TRUE(parse(text)) << error_of(text);
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto parsed = parse(text.substr(0, i));
    if (!parsed) {
      EXPECT_EQ(parsed.error().message().substr(0, 5), "line ");
    }
  }
  const std::uint32_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int i = 0; i < 20'000; ++i) {
    std::string mutated = text;
    for (int k = 0; k < 3; ++k) {
      const std::size_t at = random() % mutated.size();
      switch (random() % 3) {
        case 0:
          mutated[at] = static_cast<char>(random() % 256);
          break;
        case 1:
          mutated.erase(at, random() % 8);
          break;
        default:
          mutated.insert(at, text.substr(random() % text.size(), random() % 8));
      }
      if (mutated.empty()) mutated = ";";
    }
    const auto parsed = parse(mutated);
    if (!parsed) {
      EXPECT_EQ(parsed.error().code(), ErrorCode::kInvalidArgument);
    }
  }
}

}  // namespace
}  // namespace runnel::storage::sql
