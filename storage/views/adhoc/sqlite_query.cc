#include "storage/views/adhoc/sqlite_query.h"

#include <sqlite3.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>

#include "storage/views/adhoc/decimal_guard.h"
#include "storage/views/adhoc/sqlite_functions.h"
#include "storage/views/adhoc/sqlite_types.h"
#include "storage/views/sql/token.h"
#include "storage/views/types/decimal.h"

namespace runnel::storage::views {
namespace {

/// Of LIKE and GLOB, which look neither at the time nor at who waits while they take the product of
/// both lengths.
constexpr int kMostPatternBytes = 1000;
constexpr int kStepsBetweenChecks = 1000;
/// Of a question that waits for another one to end.
constexpr std::chrono::milliseconds kWaitBetweenChecks{50};

struct CloseDatabase {
  void operator()(sqlite3* database) const { sqlite3_close(database); }
};
struct FinalizeStatement {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Database = std::unique_ptr<sqlite3, CloseDatabase>;
using Prepared = std::unique_ptr<sqlite3_stmt, FinalizeStatement>;

bool is_cancelled(const AdhocLimits& limits) {
  return limits.cancelled != nullptr && limits.cancelled->load();
}

Error cancelled_error() {
  return Error(ErrorCode::kCancelled, "nobody waits for the answer any more");
}

/// Above it SQLite's allocations fail. Of the whole process: one question at a time has one.
class HeapLimit {
 public:
  explicit HeapLimit(sqlite3_int64 bytes) : before_(sqlite3_hard_heap_limit64(bytes)) {}
  ~HeapLimit() { sqlite3_hard_heap_limit64(before_); }
  HeapLimit(const HeapLimit&) = delete;
  HeapLimit& operator=(const HeapLimit&) = delete;

 private:
  sqlite3_int64 before_;
};

std::string quoted(std::string_view name) {
  std::string text = "\"";
  for (const char c : name) {
    if (c == '"') text += '"';
    text += c;
  }
  return text += '"';
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

/// One question.
class Question {
 public:
  Question(std::string_view sql, AdhocRelations& relations, const AdhocLimits& limits)
      : sql_(sql), relations_(relations), limits_(limits) {}

  Result<AdhocAnswer> run(const AdhocRelations::Visit& visit) {
    at_start_ = sqlite3_memory_used();
    const HeapLimit limit(at_start_ + static_cast<sqlite3_int64>(limits_.max_bytes));
    RUNNEL_TRY(open());
    RUNNEL_TRY(create_tables());
    sqlite3_set_authorizer(database_.get(), authorize, this);
    RUNNEL_TRY_ASSIGN(Prepared statement, prepare());
    if (reads(TypeKind::kDecimal)) RUNNEL_TRY(check_decimals(sql_, functions_));
    if (joins_by_name_) read_all_columns();
    sqlite3_set_authorizer(database_.get(), nullptr, nullptr);
    statement.reset();
    RUNNEL_TRY(load());
    if (many_digits_ && reads_numbers()) {
      answer_.notices.push_back(
          "DECIMAL values of more than 15 digits are rounded where SQLite compares them with a "
          "column of BIGINT or DOUBLE");
    }
    sqlite3_set_authorizer(database_.get(), authorize, this);
    RUNNEL_TRY_ASSIGN(statement, prepare());
    describe(statement.get());
    RUNNEL_TRY(step(statement.get(), visit));
    return std::move(answer_);
  }

 private:
  struct Table {
    std::string name;
    std::vector<AdhocColumn> columns;
    bool named = false;
    std::set<std::size_t> read;
  };
  /// What an expression gave.
  struct Kinds {
    bool integers = false;
    bool numbers = false;
    bool texts = false;
    [[nodiscard]] TypeKind result() const {
      if (texts) return TypeKind::kVarchar;
      if (numbers) return TypeKind::kDouble;
      return integers ? TypeKind::kBigint : TypeKind::kVarchar;
    }
  };

  [[nodiscard]] tl::unexpected<Error> failed(int code) const {
    if (cancelled_) return fail(cancelled_error());
    if (timed_out_) {
      return fail(ErrorCode::kTimeout,
                  "the query did not end in its time; a narrower WHERE reads "
                  "less");
    }
    if (too_large_ || code == SQLITE_NOMEM || code == SQLITE_FULL) {
      return fail(ErrorCode::kInvalidArgument, "the query would hold more than " +
                                                   std::to_string(limits_.max_bytes) +
                                                   " bytes in memory; WHERE or LIMIT take less");
    }
    const std::string why = sqlite3_errmsg(database_.get());
    return fail(ErrorCode::kInvalidArgument,
                denied_.empty() ? "SQLite, which answers subqueries, WITH, UNION and OVER: " + why
                                : denied_);
  }

  static tl::unexpected<Error> too_long(const std::string& table, const std::string& column) {
    return fail(ErrorCode::kInvalidArgument,
                table + "." + column + " has a value of more than " +
                    std::to_string(kMostTextBytes) +
                    " bytes, the most where SQLite answers (subqueries, WITH, UNION, OVER); leave "
                    "the column out");
  }

  Status open() {
    sqlite3* handle = nullptr;
    const int opened = sqlite3_open_v2(
        ":memory:", &handle,
        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_MEMORY | SQLITE_OPEN_NOMUTEX,
        nullptr);
    database_.reset(handle);
    if (opened != SQLITE_OK) return failed(opened);
    sqlite3_limit(handle, SQLITE_LIMIT_LENGTH, kMostTextBytes);
    sqlite3_limit(handle, SQLITE_LIMIT_LIKE_PATTERN_LENGTH, kMostPatternBytes);
    sqlite3_limit(handle, SQLITE_LIMIT_ATTACHED, 0);
    sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
    // A name in double quotes that there is not is no text.
    sqlite3_db_config(handle, SQLITE_DBCONFIG_DQS_DML, 0, nullptr);
    const int added = add_functions(handle);
    if (added != SQLITE_OK) return failed(added);
    sqlite3_progress_handler(handle, kStepsBetweenChecks, go_on, this);
    return execute("PRAGMA temp_store = MEMORY");
  }

  Status execute(const std::string& sql) {
    const int done = sqlite3_exec(database_.get(), sql.c_str(), nullptr, nullptr, nullptr);
    if (done != SQLITE_OK) return failed(done);
    return {};
  }

  /// Of what the question's words name, and nothing else.
  Status create_tables() {
    RUNNEL_TRY_ASSIGN(const std::vector<sql::Token> tokens, sql::tokenize(sql_));
    std::set<std::string> words;
    for (const sql::Token& token : tokens) {
      const bool name =
          token.kind == sql::TokenKind::kName || token.kind == sql::TokenKind::kQuotedName;
      if (name) words.insert(token.text);
      joins_by_name_ = joins_by_name_ || (token.kind == sql::TokenKind::kName &&
                                          (token.text == "using" || token.text == "natural"));
    }
    for (const std::string& name : relations_.names()) {
      if (!words.contains(name)) continue;
      Table& table = tables_[lower(name)];
      table.name = name;
      table.columns = relations_.columns(name);
      std::string sql = "CREATE TABLE " + quoted(name) + " (";
      for (std::size_t i = 0; i < table.columns.size(); ++i) {
        sql += (i == 0 ? "" : ", ") + quoted(table.columns[i].name) + " " +
               sqlite_type_of(table.columns[i].type);
      }
      RUNNEL_TRY(execute(sql + ")"));
    }
    return {};
  }

  Result<Prepared> prepare() {
    sqlite3_stmt* statement = nullptr;
    const char* rest = nullptr;
    const int done = sqlite3_prepare_v2(database_.get(), sql_.data(), static_cast<int>(sql_.size()),
                                        &statement, &rest);
    Prepared made(statement);
    if (done != SQLITE_OK) return failed(done);
    if (statement == nullptr || sqlite3_stmt_readonly(statement) == 0) {
      return fail(ErrorCode::kInvalidArgument, "only a SELECT can be asked");
    }
    return made;
  }

  /// SQLite does not ask for the columns that USING and NATURAL compare, nor for a table of which
  /// these are all that is read.
  void read_all_columns() {
    for (auto& [key, table] : tables_) {
      table.named = true;
      for (std::size_t i = 0; i < table.columns.size(); ++i) table.read.insert(i);
    }
  }

  [[nodiscard]] bool reads(TypeKind kind) const {
    return std::any_of(tables_.begin(), tables_.end(), [&](const auto& one) {
      const Table& table = one.second;
      return std::any_of(table.read.begin(), table.read.end(), [&](std::size_t column) {
        return table.columns[column].type.kind == kind;
      });
    });
  }
  [[nodiscard]] bool reads_numbers() const {
    return reads(TypeKind::kBigint) || reads(TypeKind::kDouble);
  }

  Status load() {
    RUNNEL_TRY(execute("BEGIN"));
    for (auto& [key, table] : tables_) {
      if (table.named) RUNNEL_TRY(load_table(table));
    }
    return execute("COMMIT");
  }

  Status load_table(const Table& table) {
    std::string sql = "INSERT INTO " + quoted(table.name) + " VALUES (";
    for (std::size_t i = 0; i < table.columns.size(); ++i) sql += i == 0 ? "?" : ", ?";
    sql += ")";
    sqlite3_stmt* handle = nullptr;
    const int done = sqlite3_prepare_v2(database_.get(), sql.c_str(), -1, &handle, nullptr);
    const Prepared insert(handle);
    if (done != SQLITE_OK) return failed(done);
    const std::vector<std::size_t> wanted(table.read.begin(), table.read.end());
    const auto take = [&](std::span<const Value> row) -> Result<bool> {
      for (const std::size_t column : wanted) {
        const int bound = bind(handle, column, row[column]);
        if (bound == SQLITE_TOOBIG) return too_long(table.name, table.columns[column].name);
        if (bound != SQLITE_OK) return failed(bound);
      }
      const int stepped = sqlite3_step(handle);
      if (stepped != SQLITE_DONE) return failed(stepped);
      sqlite3_reset(handle);
      if (go_on(this) != 0) return failed(SQLITE_INTERRUPT);
      return true;
    };
    return relations_.read(table.name, wanted, take);
  }

  /// SQLite's code.
  int bind(sqlite3_stmt* statement, std::size_t column, const Value& value) {
    const int at = static_cast<int>(column) + 1;
    const auto text = [&](std::string_view of) {
      return sqlite3_bind_text64(statement, at, of.data(), of.size(), SQLITE_TRANSIENT,
                                 SQLITE_UTF8);
    };
    switch (value.tag()) {
      case Tag::kNull:
        break;
      case Tag::kBoolean:
        return sqlite3_bind_int(statement, at, value.as_boolean() ? 1 : 0);
      case Tag::kBigint:
        return sqlite3_bind_int64(statement, at, value.as_bigint());
      case Tag::kDouble:
        if (std::isnan(value.as_double()) && answer_.notices.empty()) {
          answer_.notices.push_back("NaN is NULL where SQLite answers");
        }
        return sqlite3_bind_double(statement, at, value.as_double());
      case Tag::kText:
        return text(value.as_text());
      case Tag::kTimestamp:
        return text(sqlite_time_text(value.as_timestamp()));
      case Tag::kDecimal: {
        constexpr unsigned kExactDigits = 15;
        many_digits_ = many_digits_ || !has_digits(value.as_decimal(), kExactDigits);
        return text(to_string(value));
      }
      case Tag::kDate:
        return text(to_string(value));
    }
    return sqlite3_bind_null(statement, at);
  }

  // ---- the answer
  /// Columns that are passed on keep their types.
  void describe(sqlite3_stmt* statement) {
    for (int i = 0; i < sqlite3_column_count(statement); ++i) {
      AdhocColumn column{sqlite3_column_name(statement, i), {TypeKind::kVarchar, 0, 0}};
      const char* const said = sqlite3_column_decltype(statement, i);
      const std::optional<Type> type = said == nullptr ? std::nullopt : type_of(said);
      known_.push_back(type.has_value());
      if (type) column.type = *type;
      answer_.columns.push_back(std::move(column));
    }
    kinds_.resize(answer_.columns.size());
  }
  [[nodiscard]] std::optional<Type> type_of(std::string_view said) const {
    const std::string_view name = said.starts_with("TEXT ") ? said.substr(5) : said;
    for (const auto& [key, table] : tables_) {
      for (const AdhocColumn& column : table.columns) {
        if (name_of(column.type) == name) return column.type;
      }
    }
    return std::nullopt;
  }

  Status step(sqlite3_stmt* statement, const AdhocRelations::Visit& visit) {
    std::vector<Value> row(answer_.columns.size());
    while (true) {
      const int stepped = sqlite3_step(statement);
      if (stepped == SQLITE_DONE) break;
      if (stepped != SQLITE_ROW) return failed(stepped);
      for (std::size_t i = 0; i < row.size(); ++i) RUNNEL_TRY(read(statement, i, row[i]));
      RUNNEL_TRY_ASSIGN(const bool going_on, visit(row));
      if (!going_on) break;
    }
    for (std::size_t i = 0; i < kinds_.size(); ++i) {
      if (!known_[i]) answer_.columns[i].type = {kinds_[i].result(), 0, 0};
    }
    return {};
  }

  Status read(sqlite3_stmt* statement, std::size_t i, Value& out) {
    const int at = static_cast<int>(i);
    out = Value::null();
    switch (sqlite3_column_type(statement, at)) {
      case SQLITE_NULL:
        return {};
      case SQLITE_INTEGER:
        kinds_[i].integers = true;
        out = Value::bigint(sqlite3_column_int64(statement, at));
        break;
      case SQLITE_FLOAT:
        kinds_[i].numbers = true;
        out = Value::number(sqlite3_column_double(statement, at));
        break;
      default: {
        kinds_[i].texts = true;
        const auto* const text = reinterpret_cast<const char*>(sqlite3_column_text(statement, at));
        if (text == nullptr) return failed(SQLITE_NOMEM);
        out = Value::text({text, static_cast<std::size_t>(sqlite3_column_bytes(statement, at))});
        break;
      }
    }
    return known_[i] ? from_sqlite(answer_.columns[i].type, out) : Status();
  }

  // ---- what SQLite asks
  static int go_on(void* self) {
    auto& question = *static_cast<Question*>(self);
    if (++question.checks_ % 64 == 1) {
      question.timed_out_ = std::chrono::steady_clock::now() >= question.limits_.deadline;
      question.cancelled_ = is_cancelled(question.limits_);
    }
    const auto held = static_cast<std::uint64_t>(
        std::max<sqlite3_int64>(0, sqlite3_memory_used() - question.at_start_));
    question.too_large_ = held > question.limits_.max_bytes;
    return question.timed_out_ || question.too_large_ || question.cancelled_ ? 1 : 0;
  }

  static int authorize(void* self, int action, const char* first, const char* second, const char*,
                       const char*) {
    auto& question = *static_cast<Question*>(self);
    switch (action) {
      case SQLITE_SELECT:
      case SQLITE_RECURSIVE:
        return SQLITE_OK;
      case SQLITE_READ:
        return question.may_read(first, second);
      case SQLITE_FUNCTION:
        question.functions_.insert(lower(second));
        if (lower(second) != "load_extension") return SQLITE_OK;
        break;
      default:
        break;
    }
    question.denied_ = "only SELECT over views, tables and sources is allowed";
    return SQLITE_DENY;
  }
  int may_read(const char* table, const char* column) {
    const auto found = tables_.find(lower(table));
    // A table of WITH or of a subquery has no columns of its own here.
    if (found == tables_.end()) {
      const bool own = lower(table).starts_with("sqlite_");
      if (own) denied_ = "there is no table '" + std::string(table) + "'";
      return own ? SQLITE_DENY : SQLITE_OK;
    }
    found->second.named = true;
    const std::vector<AdhocColumn>& columns = found->second.columns;
    for (std::size_t i = 0; i < columns.size(); ++i) {
      if (lower(columns[i].name) == lower(column)) found->second.read.insert(i);
    }
    return SQLITE_OK;
  }

  const std::string_view sql_;
  AdhocRelations& relations_;
  const AdhocLimits& limits_;
  Database database_;
  std::map<std::string, Table> tables_;  ///< by name in lower case
  std::set<std::string> functions_;
  std::string denied_;
  AdhocAnswer answer_;
  std::vector<bool> known_;
  std::vector<Kinds> kinds_;
  sqlite3_int64 at_start_ = 0;
  std::uint64_t checks_ = 0;
  bool timed_out_ = false;
  bool cancelled_ = false;
  bool too_large_ = false;
  bool joins_by_name_ = false;  ///< it may have USING or NATURAL
  bool many_digits_ = false;    ///< of a DECIMAL that was read
};

}  // namespace

Result<AdhocAnswer> run_sqlite(std::string_view sql, AdhocRelations& relations,
                               const AdhocLimits& limits, const AdhocRelations::Visit& visit) {
  // SQLite counts its memory for the whole process: one question at a time is held to a limit.
  static std::timed_mutex one_at_a_time;
  std::unique_lock lock(one_at_a_time, std::defer_lock);
  while (!lock.try_lock_for(kWaitBetweenChecks)) {
    if (is_cancelled(limits)) return fail(cancelled_error());
    if (std::chrono::steady_clock::now() < limits.deadline) continue;
    return fail(ErrorCode::kTimeout,
                "other questions of this kind took all of its time; ask again");
  }
  return Question(sql, relations, limits).run(visit);
}

}  // namespace runnel::storage::views
