// One statement run and shown: what `runnel sql` and `runnel view` share.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "runnel/client.h"
#include "tools/cli.h"
#include "tools/text/answer_text.h"
#include "tools/text/sql_text.h"

namespace runnel::tools {

struct SqlSettings {
  AnswerFormat format = AnswerFormat::kTable;
  std::chrono::milliseconds timeout{30'000};
  std::vector<ViewPosition> wait;  ///< before each statement
  bool timing = false;
};

/// Adds -o table|json|ndjson|csv, --timeout and --wait.
struct SqlFlags {
  std::string broker;
  std::string output = "table";
  std::string timeout = "30s";
  std::vector<std::string> wait;
};
void add_sql_options(CLI::App& command, SqlFlags& flags);
[[nodiscard]] Result<SqlSettings> settings_of(const SqlFlags& flags);

/// Columns of the terminal that standard output is; 0: it is none.
[[nodiscard]] std::size_t terminal_width() noexcept;

/// Waits for the answer, or until Ctrl-C: kCancelled.
template <class T>
[[nodiscard]] Result<T> await(Pending<T> pending) {
  const int before = interrupts();
  for (;;) {
    Outcome<T> outcome = pending.get_for(std::chrono::milliseconds(50));
    if (outcome || !(outcome.error().errc() == Errc::timeout && !pending.ready())) {
      return settle(std::move(outcome));
    }
    if (interrupts() > before) {
      return fail(ErrorCode::kCancelled,
                  "stopped; a statement that changes something may still be done");
    }
  }
}

/// Prints what the statement answered: its rows to standard output, notices to standard error.
/// SUBSCRIBE is followed until Ctrl-C. Errors have the line and a caret below them.
[[nodiscard]] Status run_statement(Client& client, const SqlPiece& statement,
                                   const SqlSettings& settings);
[[nodiscard]] Status show_answer(const ViewAnswer& answer, const SqlSettings& settings);
/// Follows a view until Ctrl-C, or until `most` rows were told (0: no bound).
[[nodiscard]] Status follow_view(Client& client, ViewSubscribeOptions options,
                                 const SqlSettings& settings, std::uint64_t most);

}  // namespace runnel::tools
