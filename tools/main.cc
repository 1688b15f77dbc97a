// runnel: the broker and its command line.
#include <cstdio>

#include "tools/cli.h"

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
  add_check(cli);
  add_config(cli);
  add_bench(cli);
  add_version(cli);
  add_completion(cli);
}

int run(Cli& cli) {
  const auto result = cli.action();
  if (result) return static_cast<int>(*result);
  std::fprintf(stderr, "runnel: %s\n", result.error().message().c_str());
  return static_cast<int>(runnel::tools::exit_code_for(result.error().code()));
}

}  // namespace

int main(int argc, char** argv) {
  Cli cli;
  cli.app.require_subcommand(1);
  cli.app.set_version_flag("--version", std::string(runnel::tools::program_version()));
  cli.app.get_formatter()->column_width(34);
  cli.app.footer("Exit codes: docs/reference/exit-codes.md");
  add_commands(cli);
  try {
    cli.app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const bool asked_for_text = error.get_exit_code() == 0;  // --help, --version
    cli.app.exit(error);
    return static_cast<int>(asked_for_text ? ExitCode::kOk : ExitCode::kUsage);
  }
  return run(cli);
}
