#include "tools/sql/run_statement.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <charconv>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>

#include "protocol/text/units.h"
#include "tools/text/json.h"

namespace runnel::tools {
namespace {

/// Changes that were told and are not printed yet.
constexpr std::size_t kMostWaiting = 16;

/// TOPIC/PARTITION:NEXT
Result<ViewPosition> parse_position(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  const std::size_t slash = colon == std::string::npos ? colon : text.rfind('/', colon);
  if (slash != std::string::npos && slash > 0) {
    const auto partition =
        protocol::parse_integer(std::string_view(text).substr(slash + 1, colon - slash - 1));
    const auto next = protocol::parse_integer(std::string_view(text).substr(colon + 1));
    if (partition && next && *partition >= 0 && *partition <= 0x7fffffff && *next >= 0) {
      return ViewPosition{{text.substr(0, slash), static_cast<std::int32_t>(*partition)}, *next};
    }
  }
  return fail(ErrorCode::kInvalidArgument,
              "--wait: '" + text +
                  "' is not TOPIC/PARTITION:NEXT, such as orders/0:17 for every "
                  "record before offset 17");
}

TextAnswer text_answer(const ViewRows& rows) {
  TextAnswer out;
  for (const ViewColumn& column : rows.columns()) out.columns.push_back({column.name, column.type});
  out.rows.reserve(rows.size());
  for (std::size_t r = 0; r < rows.size(); ++r) {
    TextRow& row = out.rows.emplace_back();
    for (std::size_t c = 0; c < out.columns.size(); ++c) row.push_back(rows[r].text(c));
  }
  return out;
}

std::string_view name_of(RowChange change) {
  switch (change) {
    case RowChange::deleted:
      return "deleted";
    case RowChange::replaced:
      return "replaced";
    case RowChange::added:
      return "added";
  }
  return "";
}

/// What was told, from the client's thread to the one that prints.
class Told {
 public:
  void put(Outcome<ViewChange> change) {
    std::unique_lock lock(mutex_);
    // Holding up the client's thread holds up the credit: the broker sends no more than it gave.
    room_.wait(lock, [this] { return changes_.size() < kMostWaiting || closed_; });
    if (closed_) return;
    changes_.push_back(std::move(change));
    news_.notify_one();
  }
  std::optional<Outcome<ViewChange>> take() {
    std::unique_lock lock(mutex_);
    const auto patience = std::chrono::milliseconds(50);
    if (!news_.wait_for(lock, patience, [this] { return !changes_.empty(); })) return std::nullopt;
    auto change = std::move(changes_.front());
    changes_.pop_front();
    room_.notify_one();
    return change;
  }
  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    room_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable news_, room_;
  std::deque<Outcome<ViewChange>> changes_;
  bool closed_ = false;
};

/// Prints a change's rows, at most `left` of them.
class ChangePrinter {
 public:
  explicit ChangePrinter(AnswerFormat format) : format_(format) {}

  std::string text_of_change(const ViewChange& change, std::uint64_t left) {
    TextAnswer told = text_answer(change.rows);
    told.rows.resize(std::min<std::uint64_t>(told.rows.size(), left));
    std::string out;
    if (change.kind == ViewChange::Kind::reset) out += reset_line();
    if (change.kind == ViewChange::Kind::progress && !change.positions.empty()) {
      out += progress_line(change);
    }
    if (format_ != AnswerFormat::kJsonLines && format_ != AnswerFormat::kJson) {
      told.columns.insert(told.columns.begin(), {"change", "VARCHAR"});
      for (std::size_t r = 0; r < told.rows.size(); ++r) {
        told.rows[r].insert(told.rows[r].begin(), name_of(change.marks[r].change));
      }
      if (told.rows.empty()) return out;
      std::string table =
          text_of(told, format_, format_ == AnswerFormat::kTable ? terminal_width() : 0);
      if (format_ == AnswerFormat::kCsv && std::exchange(headed_, true)) {
        table.erase(0, table.find('\n') + 1);
      }
      return out + table;
    }
    for (std::size_t r = 0; r < told.rows.size(); ++r) {
      out += "{\"change\":\"" + std::string(name_of(change.marks[r].change)) +
             "\",\"generation\":" + std::to_string(change.generation) +
             ",\"sequence\":" + std::to_string(change.sequence) +
             ",\"row\":" + json_object_of(told.columns, told.rows[r]) + "}\n";
    }
    return out;
  }

 private:
  [[nodiscard]] std::string reset_line() const {
    if (format_ == AnswerFormat::kTable)
      return "-- reset: these rows take the place of all before\n";
    return format_ == AnswerFormat::kCsv ? "" : "{\"change\":\"reset\"}\n";
  }
  [[nodiscard]] std::string progress_line(const ViewChange& change) const {
    if (format_ == AnswerFormat::kCsv) return "";
    std::string out =
        format_ == AnswerFormat::kTable ? "-- read up to" : "{\"change\":\"progress\",";
    if (format_ != AnswerFormat::kTable) {
      out += "\"sequence\":" + std::to_string(change.sequence) + ",\"positions\":[";
    }
    for (std::size_t i = 0; i < change.positions.size(); ++i) {
      const ViewPosition& p = change.positions[i];
      const std::string next = std::to_string(p.next);
      const std::string partition = std::to_string(p.target.partition);
      out += format_ == AnswerFormat::kTable
                 ? " " + p.target.topic + "/" + partition + ":" + next
                 : std::string(i > 0 ? "," : "") + "{\"topic\":" + json_string(p.target.topic) +
                       ",\"partition\":" + partition + ",\"next\":" + next + "}";
    }
    return out + (format_ == AnswerFormat::kTable ? "\n" : "]}\n");
  }

  const AnswerFormat format_;
  bool headed_ = false;
};

}  // namespace

void add_sql_options(CLI::App& command, SqlFlags& flags) {
  add_broker_option(command, flags.broker);
  command.add_option("-o,--output", flags.output, "table, json, ndjson or csv")
      ->check(CLI::IsMember({"table", "json", "ndjson", "csv"}))
      ->default_str("table")
      ->type_name("KIND");
  command.add_option("--timeout", flags.timeout, "Longest wait for an answer")
      ->default_str("30s")
      ->type_name("TIME");
  command
      .add_option("--wait", flags.wait,
                  "First wait until the views have every record before this position")
      ->type_name("TOPIC/PARTITION:NEXT");
}

Result<SqlSettings> settings_of(const SqlFlags& flags) {
  SqlSettings settings;
  settings.format = answer_format_named(flags.output).value_or(AnswerFormat::kTable);
  RUNNEL_TRY_ASSIGN(settings.timeout, protocol::parse_duration(flags.timeout));
  for (const std::string& text : flags.wait) {
    RUNNEL_TRY_ASSIGN(settings.wait.emplace_back(), parse_position(text));
  }
  return settings;
}

std::size_t terminal_width() noexcept {
  winsize window{};
  if (::isatty(STDOUT_FILENO) != 1) return 0;
  return ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0 ? window.ws_col : 0;
}

Status show_answer(const ViewAnswer& answer, const SqlSettings& settings) {
  if (answer.rows.columns().empty()) {
    // Programs that read rows are told of what has none on standard error.
    if (settings.format == AnswerFormat::kTable) {
      RUNNEL_TRY(write_out(answer.tag + "\n"));
    }
  } else {
    RUNNEL_TRY(write_out(text_of(text_answer(answer.rows), settings.format, terminal_width())));
  }
  for (const std::string& notice : answer.notices) note(notice);
  return {};
}

Status follow_view(Client& client, ViewSubscribeOptions options, const SqlSettings& settings,
                   std::uint64_t most) {
  const auto told = std::make_shared<Told>();
  RUNNEL_TRY_ASSIGN(auto subscription, await(client.views().subscribe(
                                           std::move(options), [told](Outcome<ViewChange> change) {
                                             told->put(std::move(change));
                                           })));
  ChangePrinter printer(settings.format);
  const int before = interrupts();
  Status status;
  std::uint64_t rows = 0;
  while (interrupts() == before && (most == 0 || rows < most) && status) {
    const auto change = told->take();
    if (!change) continue;
    if (!*change) {
      status = fail(to_error(change->error()));
      break;
    }
    const std::uint64_t left = most == 0 ? ~std::uint64_t{0} : most - rows;
    const std::string text = printer.text_of_change(**change, left);
    if (!text.empty()) status = write_out(text);
    rows += (*change)->marks.size();
  }
  told->close();
  subscription.stop();
  return status;
}

Status run_statement(Client& client, const SqlPiece& statement, const SqlSettings& settings) {
  const auto begun = std::chrono::steady_clock::now();
  const auto placed = [&](const Error& error) {
    return Error(error.code(), with_caret(error.message(), statement));
  };
  if (first_word(statement.text) == "SUBSCRIBE") {
    ViewSubscribeOptions options;
    options.statement = statement.text;
    const Status status = follow_view(client, std::move(options), settings, 0);
    return status ? Status() : fail(placed(status.error()));
  }
  ViewQueryOptions options;
  options.timeout = settings.timeout;
  options.wait = settings.wait;
  auto answers = await(client.views().sql(statement.text, std::move(options)));
  if (!answers) return fail(placed(answers.error()));
  for (const ViewAnswer& answer : *answers) RUNNEL_TRY(show_answer(answer, settings));
  if (settings.timing) {
    const auto took = std::chrono::duration_cast<std::chrono::microseconds>(
        std::chrono::steady_clock::now() - begun);
    char text[48];
    std::snprintf(text, sizeof text, "Time: %.3f ms\n", static_cast<double>(took.count()) / 1000);
    RUNNEL_TRY(write_out(text));
  }
  return {};
}

}  // namespace runnel::tools
