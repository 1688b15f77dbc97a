// runnel sql: statements from the command line, files, a pipe or a terminal.
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <iostream>
#include <memory>

#include "tools/sql/run_statement.h"
#include "tools/sql/shell.h"

namespace runnel::tools {
namespace {

struct SqlArguments {
  SqlFlags flags;
  std::vector<std::string> commands;
  std::vector<std::string> files;
  bool timing = false;
};

/// An error of a script says whose it is.
Status run_pieces(Client& client, const std::vector<SqlPiece>& pieces, const SqlSettings& settings,
                  const std::string& name) {
  for (const SqlPiece& piece : pieces) {
    const Status status = run_statement(client, piece, settings);
    if (status) continue;
    if (name.empty()) return status;
    return fail(status.error().code(), name + ": " + status.error().message());
  }
  return {};
}

/// Each statement is run as soon as it is complete.
Status run_stream(Client& client, std::istream& in, const SqlSettings& settings,
                  const std::string& name) {
  SqlSplitter splitter;
  std::string line;
  while (std::getline(in, line)) {
    RUNNEL_TRY(run_pieces(client, splitter.add(line + "\n"), settings, name));
  }
  const SqlPiece rest = splitter.rest();
  if (rest.text.empty()) return {};
  return run_pieces(client, {rest}, settings, name);
}

Status run_file(Client& client, const std::string& name, const SqlSettings& settings) {
  if (name == "-") return run_stream(client, std::cin, settings, "standard input");
  std::ifstream file(name);
  if (!file) return fail(ErrorCode::kNotFound, "cannot open " + name);
  return run_stream(client, file, settings, name);
}

Result<ExitCode> run(const SqlArguments& arguments) {
  RUNNEL_TRY_ASSIGN(SqlSettings settings, settings_of(arguments.flags));
  settings.timing = arguments.timing;
  RUNNEL_TRY_ASSIGN(auto client, connect_to(arguments.flags.broker));
  const bool given = !arguments.commands.empty() || !arguments.files.empty();
  if (!given && ::isatty(STDIN_FILENO) == 1) {
    return run_shell(client, std::move(settings), arguments.flags.broker);
  }
  watch_interrupts(2);
  for (const std::string& text : arguments.commands) {
    SqlSplitter splitter;
    std::vector<SqlPiece> pieces = splitter.add(text);
    if (SqlPiece rest = splitter.rest(); !rest.text.empty()) pieces.push_back(std::move(rest));
    if (pieces.empty()) return fail(ErrorCode::kInvalidArgument, "-c: there is no statement");
    RUNNEL_TRY(run_pieces(client, pieces, settings, ""));
  }
  for (const std::string& name : arguments.files) RUNNEL_TRY(run_file(client, name, settings));
  if (!given) RUNNEL_TRY(run_stream(client, std::cin, settings, "standard input"));
  return ExitCode::kOk;
}

}  // namespace

void add_sql(Cli& cli) {
  const auto arguments = std::make_shared<SqlArguments>();
  CLI::App* command = cli.app.add_subcommand(
      "sql", "Run SQL: from -c, files, a pipe, or typed at a terminal with history and completion");
  add_sql_options(*command, arguments->flags);
  command->add_option("-c,--command", arguments->commands, "Run these statements")
      ->allow_extra_args(false)
      ->type_name("SQL");
  command->add_option("-f,--file", arguments->files, "Run a file's statements; - is standard input")
      ->allow_extra_args(false)
      ->type_name("FILE");
  command->add_flag("--timing", arguments->timing, "Show how long each statement took");
  command->callback([&cli, arguments] { cli.action = [arguments] { return run(*arguments); }; });
}

}  // namespace runnel::tools
