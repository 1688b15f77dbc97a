// The same random records and the same random questions to the views' SQL and to SQLite: the same
// rows. Money is DECIMAL here and whole cents there.
#include <sqlite3.h>

#include <algorithm>
#include <random>

#include "tests/storage/views/query/script.h"
#include "tests/support/seeds.h"

namespace runnel::storage::views {
namespace {

constexpr int kRecords = 400;
constexpr int kQueries = 300;
constexpr std::uint64_t kSeeds = 3;

struct Database {
  Database() { EXPECT_EQ(sqlite3_open(":memory:", &handle), SQLITE_OK); }
  ~Database() { sqlite3_close(handle); }
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  void run(const std::string& sql) {
    char* error = nullptr;
    ASSERT_EQ(sqlite3_exec(handle, sql.c_str(), nullptr, nullptr, &error), SQLITE_OK)
        << sql << ": " << error;
  }
  /// `types` as letters_of(): cents of a D column become a decimal, 0 and 1 of a B a boolean.
  std::vector<std::string> query(const std::string& sql, const std::string& types) {
    std::vector<std::string> rows;
    sqlite3_stmt* statement = nullptr;
    EXPECT_EQ(sqlite3_prepare_v2(handle, sql.c_str(), -1, &statement, nullptr), SQLITE_OK)
        << sql << ": " << sqlite3_errmsg(handle);
    if (statement == nullptr) return rows;
    while (sqlite3_step(statement) == SQLITE_ROW) {
      std::string row;
      for (int i = 0; i < sqlite3_column_count(statement); ++i) {
        if (i > 0) row += " | ";
        row += cell(statement, i, i < static_cast<int>(types.size()) ? types[i] : '?');
      }
      rows.push_back(row);
    }
    sqlite3_finalize(statement);
    return rows;
  }

  sqlite3* handle = nullptr;

 private:
  static std::string cell(sqlite3_stmt* statement, int i, char type) {
    if (sqlite3_column_type(statement, i) == SQLITE_NULL) return "NULL";
    const std::string text(reinterpret_cast<const char*>(sqlite3_column_text(statement, i)));
    if (type == 'B') return text == "0" ? "false" : "true";
    if (text.empty()) return "(empty)";
    if (type != 'D') return text;
    const bool negative = text.starts_with('-');
    std::string digits = negative ? text.substr(1) : text;
    if (digits.size() < 3) digits.insert(0, 3 - digits.size(), '0');
    digits.insert(digits.size() - 2, ".");
    return (negative ? "-" : "") + digits;
  }
};

/// A column or an expression in both languages; `kind`: I, D (money), T, B.
struct Term {
  std::string ours;
  std::string theirs;
  char kind = 'I';
};

class Questions {
 public:
  explicit Questions(std::uint64_t seed) : random_(seed) {}

  int below(int n) { return static_cast<int>(random_() % static_cast<std::uint64_t>(n)); }
  bool chance(int percent) { return below(100) < percent; }
  template <class List>
  const auto& one_of(const List& list) {
    return list[static_cast<std::size_t>(below(static_cast<int>(list.size())))];
  }

  Term number(int depth) {
    static const std::vector<Term> kColumns{{"n", "n", 'I'}, {"m", "m", 'I'}};
    if (depth == 0 || chance(40)) {
      if (chance(70)) return one_of(kColumns);
      const std::string literal = std::to_string(below(20) - 5);
      // By itself it would be a column's number in ORDER BY.
      return {"(" + literal + " + 0)", "(" + literal + " + 0)", 'I'};
    }
    const Term a = number(depth - 1);
    const Term b = number(depth - 1);
    switch (below(5)) {
      case 0:
        return {"COALESCE(" + a.ours + ", " + b.ours + ")",
                "COALESCE(" + a.theirs + ", " + b.theirs + ")", 'I'};
      case 1: {
        const Term c = condition(depth - 1);
        return {"CASE WHEN " + c.ours + " THEN " + a.ours + " ELSE " + b.ours + " END",
                "CASE WHEN " + c.theirs + " THEN " + a.theirs + " ELSE " + b.theirs + " END", 'I'};
      }
      case 2:
        return {"LENGTH(t)", "LENGTH(t)", 'I'};
      default: {
        const std::string op = one_of(std::vector<std::string>{" + ", " - ", " * "});
        return {"(" + a.ours + op + b.ours + ")", "(" + a.theirs + op + b.theirs + ")", 'I'};
      }
    }
  }
  Term money(int depth) {
    if (depth == 0 || chance(50)) return {"amount", "amount", 'D'};
    const Term a = money(depth - 1);
    if (chance(30)) {
      const std::string factor = std::to_string(below(5) - 1);
      return {"(" + a.ours + " * (" + factor + "))", "(" + a.theirs + " * (" + factor + "))", 'D'};
    }
    const Term b = money(depth - 1);
    const std::string op = chance(50) ? " + " : " - ";
    return {"(" + a.ours + op + b.ours + ")", "(" + a.theirs + op + b.theirs + ")", 'D'};
  }
  Term text() {
    switch (below(4)) {
      case 0:
        return {"UPPER(t)", "UPPER(t)", 'T'};
      case 1:
        return {"(t || '-' || k)", "(t || '-' || k)", 'T'};
      default:
        return chance(50) ? Term{"t", "t", 'T'} : Term{"k", "k", 'T'};
    }
  }
  Term condition(int depth) {
    if (depth > 0 && chance(40)) {
      const Term a = condition(depth - 1);
      if (chance(25)) return {"(NOT " + a.ours + ")", "(NOT " + a.theirs + ")", 'B'};
      const Term b = condition(depth - 1);
      const std::string op = chance(50) ? " AND " : " OR ";
      return {"(" + a.ours + op + b.ours + ")", "(" + a.theirs + op + b.theirs + ")", 'B'};
    }
    const std::string op =
        one_of(std::vector<std::string>{" = ", " <> ", " < ", " <= ", " > ", " >= "});
    switch (below(8)) {
      case 0: {
        const std::string cents = std::to_string(below(2000));
        return {"(amount" + op + "CAST(" + cents + " AS DECIMAL(12,2)) / 100)",
                "(amount" + op + cents + ")", 'B'};
      }
      case 1: {
        const std::string word = "'" + one_of(words()) + "'";
        return {"(t" + op + word + ")", "(t" + op + word + ")", 'B'};
      }
      case 2: {
        const std::string column = one_of(std::vector<std::string>{"n", "m", "t", "k", "amount"});
        const std::string test = chance(50) ? " IS NULL)" : " IS NOT NULL)";
        return {"(" + column + test, "(" + column + test, 'B'};
      }
      case 3: {
        const std::string list = "(" + std::to_string(below(10)) + ", " +
                                 std::to_string(below(10)) + (chance(20) ? ", NULL)" : ")");
        const std::string in = chance(50) ? " IN " : " NOT IN ";
        return {"(n" + in + list + ")", "(n" + in + list + ")", 'B'};
      }
      case 4: {
        const std::string range =
            " BETWEEN " + std::to_string(below(5)) + " AND " + std::to_string(below(15)) + ")";
        return {"(m" + range, "(m" + range, 'B'};
      }
      case 5:
        return {"flag", "flag", 'B'};
      default: {
        const Term a = number(depth > 0 ? depth - 1 : 0);
        const Term b = number(0);
        return {"(" + a.ours + op + b.ours + ")", "(" + a.theirs + op + b.theirs + ")", 'B'};
      }
    }
  }
  Term value() {
    switch (below(4)) {
      case 0:
        return number(2);
      case 1:
        return money(2);
      case 2:
        return text();
      default:
        return condition(1);
    }
  }
  Term aggregate() {
    const auto filter = [&](Term made) {
      if (!chance(25)) return made;
      const Term c = condition(1);
      return Term{made.ours + " FILTER (WHERE " + c.ours + ")",
                  made.theirs + " FILTER (WHERE " + c.theirs + ")", made.kind};
    };
    const Term of = chance(50) ? number(1) : money(1);
    const auto call = [&](const std::string& name, const Term& argument, char kind) {
      return filter({name + argument.ours + ")", name + argument.theirs + ")", kind});
    };
    switch (below(8)) {
      case 0:
        return filter({"COUNT(*)", "COUNT(*)", 'I'});
      case 1:
        return call("COUNT(", value(), 'I');
      case 2:
        return call("COUNT(DISTINCT ", chance(50) ? text() : of, 'I');
      case 3:
        return call("MIN(", chance(30) ? text() : of, 0);
      case 4:
        return call("MAX(", chance(30) ? text() : of, 0);
      case 5:
        return call("SUM(DISTINCT ", of, of.kind);
      default:
        return call("SUM(", of, of.kind);
    }
  }
  static const std::vector<std::string>& words() {
    static const std::vector<std::string> kWords{"", "a", "b", "ab", "sea", "Sea", "zz"};
    return kWords;
  }

 private:
  std::mt19937_64 random_;
};

struct Pair {
  std::string ours;
  std::string theirs;
  bool ordered = false;
};

Pair plain_query(Questions& q, const std::string& from) {
  Pair made{"SELECT ", "SELECT ", false};
  if (q.chance(20)) made = {"SELECT DISTINCT ", "SELECT DISTINCT ", false};
  const bool distinct = made.ours.size() > 8;
  std::vector<Term> columns;
  for (int i = q.below(3); i >= 0; --i) columns.push_back(q.value());
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const std::string name = (i > 0 ? ", " : "");
    made.ours += name + columns[i].ours + " AS c" + std::to_string(i);
    made.theirs += name + columns[i].theirs + " AS c" + std::to_string(i);
  }
  made.ours += " FROM " + from;
  made.theirs += " FROM " + from;
  if (q.chance(70)) {
    const Term c = q.condition(2);
    made.ours += " WHERE " + c.ours;
    made.theirs += " WHERE " + c.theirs;
  }
  if (!distinct && q.chance(50)) {
    // Every record has another id: the order is whole.
    const Term by = q.value();
    const std::string tail = std::string(q.chance(50) ? " DESC" : "") +
                             (q.chance(50) ? " NULLS FIRST" : " NULLS LAST") + ", id LIMIT " +
                             std::to_string(q.below(50)) + " OFFSET " + std::to_string(q.below(9));
    made.ours += " ORDER BY " + by.ours + tail;
    made.theirs += " ORDER BY " + by.theirs + tail;
    made.ordered = true;
  }
  return made;
}

Pair grouped_query(Questions& q, const std::string& from) {
  Pair made{"SELECT ", "SELECT ", false};
  std::vector<Term> keys;
  for (int i = q.below(3); i > 0; --i) keys.push_back(q.value());
  std::vector<Term> columns = keys;
  for (int i = q.below(3); i >= 0; --i) columns.push_back(q.aggregate());
  for (std::size_t i = 0; i < columns.size(); ++i) {
    made.ours += (i > 0 ? ", " : "") + columns[i].ours + " AS c" + std::to_string(i);
    made.theirs += (i > 0 ? ", " : "") + columns[i].theirs + " AS c" + std::to_string(i);
  }
  made.ours += " FROM " + from;
  made.theirs += " FROM " + from;
  if (q.chance(60)) {
    const Term c = q.condition(2);
    made.ours += " WHERE " + c.ours;
    made.theirs += " WHERE " + c.theirs;
  }
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const std::string word = i == 0 ? " GROUP BY " : ", ";
    made.ours += word + keys[i].ours;
    made.theirs += word + keys[i].theirs;
  }
  if (!keys.empty() && q.chance(40)) {
    const std::string bound = std::to_string(q.below(30));
    made.ours += " HAVING COUNT(*) > " + bound;
    made.theirs += " HAVING COUNT(*) > " + bound;
  }
  return made;
}

/// Two relations, of which `b` has a partner by one column or two.
Pair join_query(Questions& q, const std::string& other) {
  static const std::vector<std::string> kColumns{"k", "t", "n"};
  static const std::vector<std::string> kShown{"k", "t", "n", "m", "amount", "flag", "id"};
  const std::string by = q.one_of(kColumns);
  std::string on = q.chance(50) ? "a." + by + " = b." + by : "b." + by + " = a." + by;
  if (q.chance(50)) on += " AND a.m " + std::string(q.chance(50) ? "<" : "=") + " b.m";
  if (q.chance(30)) on += " AND b.n > " + std::to_string(q.below(8));
  const std::string from = " FROM facts a" + std::string(q.chance(50) ? " LEFT" : "") + " JOIN " +
                           other + " b ON " + on + " WHERE a.id < " + std::to_string(q.below(200));
  if (q.chance(50)) {
    const std::string shown = "SELECT a." + q.one_of(kShown) + " AS c0, b." + q.one_of(kShown) +
                              " AS c1, a.id AS c2" + from;
    return {shown, shown, false};
  }
  const std::string key = "b." + q.one_of(kColumns);
  const std::string sums = "SELECT " + key + " AS c0, COUNT(*) AS c1, SUM(a.amount) AS c2, " +
                           "SUM(b.amount) AS c3, COUNT(b.id) AS c4" + from + " GROUP BY " + key;
  return {sums, sums, false};
}

class Comparison {
 public:
  void fill(Questions& q) {
    session.create_topic("facts", 3);
    ASSERT_TRUE(session.execute(
        "CREATE SOURCE facts (id BIGINT, k VARCHAR, t VARCHAR, n BIGINT, m BIGINT, amount "
        "DECIMAL(12,2), flag BOOLEAN) ON TOPIC 'facts'"));
    database.run("CREATE TABLE facts (id INT, k TEXT, t TEXT, n INT, m INT, amount INT, flag INT)");
    std::vector<std::vector<SqlSession::Line>> lines(3);
    for (int id = 0; id < kRecords; ++id) {
      std::string json = "{\"id\":" + std::to_string(id);
      std::string row = std::to_string(id);
      const auto add = [&](const std::string& name, const std::string& ours,
                           const std::string& theirs) {
        const bool null = q.chance(15);
        if (!null || q.chance(50)) json += ",\"" + name + "\":" + (null ? "null" : ours);
        row += null ? ", NULL" : ", " + theirs;
      };
      const std::string k = "k" + std::to_string(q.below(6));
      const std::string t = q.one_of(Questions::words());
      add("k", "\"" + k + "\"", "'" + k + "'");
      add("t", "\"" + t + "\"", "'" + t + "'");
      const std::string n = std::to_string(q.below(12) - 2);
      add("n", n, n);
      const std::string m = std::to_string(q.below(1000));
      add("m", m, m);
      const int cents = q.below(2000) - 200;
      const std::string sign = cents < 0 ? "-" : "";
      const int whole = std::abs(cents);
      add("amount",
          sign + std::to_string(whole / 100) + "." + std::to_string(whole % 100 / 10) +
              std::to_string(whole % 10),
          std::to_string(cents));
      const bool flag = q.chance(50);
      add("flag", flag ? "true" : "false", flag ? "1" : "0");
      lines[static_cast<std::size_t>(q.below(3))].push_back({std::nullopt, json + "}"});
      database.run("INSERT INTO facts VALUES (" + row + ")");
    }
    for (std::int32_t p = 0; p < 3; ++p) {
      session.append("facts", p, 1'767'225'600'000, lines[static_cast<std::size_t>(p)]);
    }
  }

  void compare(const Pair& pair) {
    SCOPED_TRACE(pair.ours + "\n  as SQLite: " + pair.theirs);
    const auto answers = session.execute(pair.ours);
    ASSERT_TRUE(answers) << answers.error().to_string();
    const Answer& answer = answers->front();
    std::vector<std::string> rows;
    for (std::size_t i = 0; i < answer.rows.size(); ++i) rows.push_back(shown_row(answer.rows[i]));
    // A sum of BIGINT is a DECIMAL without digits behind the point, and no money.
    std::string types = letters_of(answer);
    for (std::size_t i = 0; i < types.size(); ++i) {
      if (types[i] == 'D' && answer.columns[i].type.scale == 0) types[i] = 'I';
    }
    std::vector<std::string> theirs = database.query(pair.theirs, types);
    if (!pair.ordered) {
      std::sort(rows.begin(), rows.end());
      std::sort(theirs.begin(), theirs.end());
    }
    EXPECT_EQ(rows, theirs);
    compared += rows.size();
  }

  SqlSession session;
  Database database;
  std::size_t compared = 0;  ///< rows
};

TEST(Differential, QueriesOverATopicAreSqlitesQueries) {
  for_each_seed(1, kSeeds, [](std::uint64_t seed) {
    Questions questions(seed);
    Comparison both;
    both.fill(questions);
    for (int i = 0; i < kQueries && !testing::Test::HasFailure(); ++i) {
      both.compare(questions.chance(50) ? plain_query(questions, "facts")
                                        : grouped_query(questions, "facts"));
    }
    EXPECT_GT(both.compared, 1000u);
  });
}

TEST(Differential, ViewsAndQueriesOverThemAreSqlitesViews) {
  for_each_seed(1, kSeeds, [](std::uint64_t seed) {
    Questions questions(seed);
    Comparison both;
    both.fill(questions);
    const std::string view =
        "SELECT k, n, COUNT(*) AS m, SUM(amount) AS amount, MAX(t) AS t, BOOLS AS flag, MIN(id) AS "
        "id FROM facts WHERE m > 100 GROUP BY k, n";
    const auto with = [&](const std::string& bools) {
      std::string sql = view;
      return sql.replace(sql.find("BOOLS"), 5, bools);
    };
    const auto made =
        both.session.execute("CREATE MATERIALIZED VIEW facts_by_k AS " + with("BOOL_OR(flag)"));
    ASSERT_TRUE(made) << made.error().to_string();
    both.database.run("CREATE VIEW facts_by_k AS " + with("MAX(flag)"));
    for (int i = 0; i < kQueries && !testing::Test::HasFailure(); ++i) {
      const int kind = questions.below(3);
      both.compare(kind == 0 ? plain_query(questions, "facts_by_k")
                   : kind == 1
                       ? grouped_query(questions, "facts_by_k")
                       : join_query(questions, questions.chance(50) ? "facts" : "facts_by_k"));
    }
    EXPECT_GT(both.compared, 1000u);
  });
}

}  // namespace
}  // namespace runnel::storage::views
