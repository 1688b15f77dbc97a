#include "tools/sql/shell.h"

#include <editline/readline.h>
#include <clocale>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>

#include "tools/text/address.h"

namespace runnel::tools {
namespace {

constexpr int kHistoryLines = 1000;

constexpr const char* kKeywords[] = {
    "ALTER",        "AND",      "AS",        "ASC",          "AVG",        "BETWEEN",
    "BIGINT",       "BOOLEAN",  "BY",        "CASCADE",      "CASE",       "CAST",
    "COALESCE",     "COUNT",    "CREATE",    "CUMULATE",     "DATE",       "DECIMAL",
    "DESC",         "DESCRIBE", "DISTINCT",  "DLQ",          "DOUBLE",     "DROP",
    "ELSE",         "END",      "ERROR",     "EXISTS",       "EXPLAIN",    "EXTRACT",
    "FALSE",        "FILTER",   "FORMAT",    "FROM",         "GROUP BY",   "HAVING",
    "HOP",          "IF",       "IN",        "INSERT INTO",  "INTERVAL",   "IS",
    "JOIN",         "JSON",     "KEY",       "LEFT",         "LIKE",       "LIMIT",
    "MATERIALIZED", "MAX",      "MIN",       "NOT",          "NULL",       "OFFSET",
    "ON",           "OR",       "ORDER BY",  "PATH",         "PAUSE",      "PRIMARY",
    "PROGRESS",     "REPLACE",  "RESUME",    "SELECT",       "SESSION",    "SET",
    "SHOW",         "SKIP",     "SNAPSHOT",  "SOURCE",       "SOURCES",    "STREAMS",
    "SUBSCRIBE",    "SUM",      "TABLE",     "TABLES",       "THEN",       "TIMESTAMPTZ",
    "TO",           "TOPIC",    "TRUE",      "TUMBLE",       "VARCHAR",    "VERIFY",
    "VIEW",         "VIEWS",    "WATERMARK", "WHEN",         "WHERE",      "WITH",
    "date_trunc",   "first",    "last",      "window_start", "window_end",
};

constexpr std::string_view kHelp =
    "A statement ends with a semicolon, wherever the line does.\n"
    "  \\d              what is defined\n"
    "  \\d NAME         columns, options and state of one\n"
    "  \\format KIND    table, json, ndjson or csv\n"
    "  \\timing         show how long each statement took, or not\n"
    "  \\q              leave (or Ctrl-D)\n"
    "  Tab completes keywords and names; Ctrl-C drops the line, or ends a statement.\n";

/// What Tab offers; the library calls plain functions.
std::vector<std::string>& offered() {
  static std::vector<std::string> words;
  return words;
}

/// Whether `word` begins with `typed`, whatever the case.
bool begins(const std::string& word, const char* typed, std::size_t size) {
  return word.size() >= size && ::strncasecmp(word.c_str(), typed, size) == 0;
}

char* next_word(const char* typed, int state) {
  static std::size_t place = 0;
  if (state == 0) place = 0;
  const std::size_t size = std::strlen(typed);
  while (place < offered().size()) {
    const std::string& word = offered()[place++];
    if (!begins(word, typed, size)) continue;
    // Keywords in the case that was begun with.
    std::string shown = word;
    const bool lower = size > 0 && std::islower(static_cast<unsigned char>(typed[0])) != 0;
    if (lower) {
      for (char& c : shown) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
    return ::strdup(shown.c_str());
  }
  return nullptr;
}

char** complete(const char* typed, int, int) {
  rl_attempted_completion_over = 1;  // no file names
  return rl_completion_matches(typed, next_word);
}

void learn_names(Client& client) {
  std::vector<std::string>& words = offered();
  words.assign(std::begin(kKeywords), std::end(kKeywords));
  if (const auto all = client.views().query("SHOW ALL").get_for(std::chrono::seconds(2))) {
    for (std::size_t i = 0; i < all->rows.size(); ++i) {
      words.emplace_back(all->rows[i].text(0).value_or(""));
    }
  }
  if (const auto topics = client.admin().list_topics().get_for(std::chrono::seconds(2))) {
    for (const TopicState& topic : *topics) words.push_back(topic.name);
  }
}

/// Where the history is kept; empty: nowhere.
std::string history_file() {
  if (const char* given = std::getenv("RUNNEL_HISTORY")) return given;
  const char* state = std::getenv("XDG_STATE_HOME");
  const char* home = std::getenv("HOME");
  if (state == nullptr && home == nullptr) return "";
  const std::filesystem::path directory =
      (state != nullptr ? std::filesystem::path(state)
                        : std::filesystem::path(home) / ".local" / "state") /
      "runnel";
  std::error_code ignored;  // without the directory there is no history
  std::filesystem::create_directories(directory, ignored);
  return (directory / "sql_history").string();
}

/// Ctrl-C ends the library's waiting for a line instead of the program.
void take_interrupts() {
  watch_interrupts(1 << 30);
  struct sigaction action {};
  if (::sigaction(SIGINT, nullptr, &action) != 0) return;
  action.sa_flags &= ~SA_RESTART;
  static_cast<void>(::sigaction(SIGINT, &action, nullptr));
}

class Shell {
 public:
  Shell(Client& client, SqlSettings settings, const std::string& broker)
      : client_(client), settings_(std::move(settings)), broker_(broker) {}

  Result<ExitCode> run() {
    for (;;) {
      const int before = interrupts();
      const std::unique_ptr<char, decltype(&std::free)> line(
          ::readline(splitter_.in_statement() ? "   ...> " : "runnel> "), std::free);
      if (interrupts() > before) {
        RUNNEL_TRY(write_out("\n"));
        splitter_ = {};
        entry_.clear();
        continue;
      }
      if (line == nullptr) {
        RUNNEL_TRY(write_out("\n"));
        return ExitCode::kOk;
      }
      RUNNEL_TRY_ASSIGN(const bool going_on, take(line.get()));
      if (!going_on) return ExitCode::kOk;
    }
  }

 private:
  /// False: leave.
  Result<bool> take(std::string_view line) {
    if (!splitter_.in_statement() && line.starts_with('\\')) {
      remember(std::string(line));
      return command(line);
    }
    entry_ += (entry_.empty() ? "" : "\n") + std::string(line);
    const std::vector<SqlPiece> statements = splitter_.add(std::string(line) + "\n");
    if (!splitter_.in_statement()) {
      remember(std::exchange(entry_, {}));
      splitter_ = {};
    }
    for (SqlPiece statement : statements) {
      // Places are told as in the statement: what was typed before is not on the screen's first
      // line any more.
      statement.line = statement.column = 1;
      RUNNEL_TRY_ASSIGN(const bool going_on, run_one(statement));
      if (going_on) continue;
      // Who stopped one wants none of those behind it.
      splitter_ = {};
      entry_.clear();
      break;
    }
    return true;
  }

  /// False: it was stopped.
  Result<bool> run_one(const SqlPiece& statement) {
    const Status status = run_statement(client_, statement, settings_);
    const bool stopped = !status && status.error().code() == ErrorCode::kCancelled;
    if (!status) {
      if (status.error().code() == ErrorCode::kIo) return fail(status.error());
      note(status.error().message());
    }
    if (stopped) end_work();
    const std::string word = first_word(statement.text);
    if (word == "CREATE" || word == "DROP") learn_names(client_);
    return !stopped;
  }

  /// A query ends with its connection: the shell goes on with another one.
  void end_work() {
    auto anew = connect_to(broker_);
    if (anew) {
      client_ = *std::move(anew);
    } else {
      note("what was stopped may still be at work in the broker: " + anew.error().message());
    }
  }

  Result<bool> command(std::string_view line) {
    const std::size_t end = std::min(line.find(' '), line.size());
    const std::string_view name = line.substr(0, end);
    std::string rest(line.substr(end));
    rest.erase(0, std::min(rest.find_first_not_of(' '), rest.size()));
    rest.erase(rest.find_last_not_of(" ;") + 1);
    if (name == "\\q") return false;
    if (name == "\\?") {
      RUNNEL_TRY(write_out(kHelp));
    } else if (name == "\\d") {
      const std::string sql = rest.empty() ? "SHOW ALL" : "DESCRIBE " + rest;
      RUNNEL_TRY(run_one({sql, 1, 1}).map([](bool) {}));
    } else if (name == "\\timing") {
      settings_.timing = !settings_.timing;
      RUNNEL_TRY(write_out(settings_.timing ? "Timing is on.\n" : "Timing is off.\n"));
    } else if (name == "\\format" && answer_format_named(rest)) {
      settings_.format = *answer_format_named(rest);
    } else {
      note("there is no command " + printable(line) + "; \\? shows those that there are");
    }
    return true;
  }

  void remember(const std::string& entry) {
    if (entry.find_first_not_of(" \n") != std::string::npos) ::add_history(entry.c_str());
  }

  Client& client_;
  SqlSettings settings_;
  const std::string broker_;  ///< where to connect to; empty: the default
  SqlSplitter splitter_;
  std::string entry_;  ///< for the history
};

}  // namespace

Result<ExitCode> run_shell(Client& client, SqlSettings settings, const std::string& broker) {
  std::setlocale(LC_CTYPE, "");
  ::rl_readline_name = "runnel";
  ::rl_initialize();
  ::using_history();
  ::stifle_history(kHistoryLines);
  const std::string file = history_file();
  if (!file.empty()) ::read_history(file.c_str());
  learn_names(client);
  ::rl_attempted_completion_function = complete;
  take_interrupts();
  const std::string place = broker.empty() ? std::string(kDefaultBroker) : broker;
  RUNNEL_TRY(write_out("runnel " + std::string(program_version()) + ", " + place +
                       ". \\? for help, \\q to leave.\n"));
  auto result = Shell(client, std::move(settings), broker).run();
  if (!file.empty()) {
    ::write_history(file.c_str());
    std::error_code ignored;  // statements may hold what others should not read
    std::filesystem::permissions(
        file, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write, ignored);
  }
  return result;
}

}  // namespace runnel::tools
