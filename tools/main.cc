// runnel: the broker and its command line.
#include <cstdio>

#include "tools/cli.h"
#include "tools/options/usage.h"

// jemalloc reads this at its start: few arenas and early return of memory, for a small footprint.
extern "C" __attribute__((visibility("default"))) const char* malloc_conf;
const char* malloc_conf = "narenas:4,dirty_decay_ms:2000,muzzy_decay_ms:0";

namespace {

using runnel::tools::Cli;
using runnel::tools::ExitCode;

void add_commands(Cli& cli) {
  using namespace runnel::tools;
  add_serve(cli);
  add_dev(cli);
  add_topic(cli);
  add_produce(cli);
  add_consume(cli);
  add_group(cli);
  add_stats(cli);
  add_top(cli);
  add_export(cli);
  add_import(cli);
  add_replay(cli);
  add_backup(cli);
  add_erase(cli);
  add_check(cli);
  add_repair(cli);
  add_sql(cli);
  add_view(cli);
  add_hook(cli);
  add_config(cli);
  add_bench(cli);
  add_version(cli);
  add_completion(cli);
}

int run(Cli& cli) {
  const auto result = cli.action();
  if (result) return static_cast<int>(*result);
  runnel::tools::note(result.error().message());
  return static_cast<int>(runnel::tools::exit_code_for(result.error().code()));
}

}  // namespace

int main(int argc, char** argv) {
  Cli cli;
  cli.app.require_subcommand(1);
  cli.app.set_version_flag("--version", std::string(runnel::tools::program_version()));
  cli.app.get_formatter()->column_width(34);
  cli.app.footer(
      "Exit codes: 0 done, 1 failed, 2 usage, 3 rows rejected, 4 no connection, 5 not found,\n"
      "6 damaged, 7 locked, 8 timeout, 9 refused, 10 try again, 11 lagging, 12 storage failed,\n"
      "130 interrupted");
  add_commands(cli);
  try {
    cli.app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {  // --help, --version
      cli.app.exit(error);
      return static_cast<int>(ExitCode::kOk);
    }
    const std::string text = runnel::tools::usage_error(cli.app, error, {argv + 1, argv + argc});
    std::fprintf(stderr, "%s\n", text.c_str());
    return static_cast<int>(ExitCode::kUsage);
  }
  return run(cli);
}
