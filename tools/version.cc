// runnel version
#include "protocol/native/messages.h"
#include "tools/cli.h"

namespace runnel::tools {

void add_version(Cli& cli) {
  CLI::App* command = cli.app.add_subcommand("version", "Show the program's version");
  command->callback([&cli] {
    cli.action = []() -> Result<ExitCode> {
      RUNNEL_TRY(write_out("runnel " + std::string(program_version()) + ", native protocol " +
                           std::to_string(protocol::native::kVersionMin) + " to " +
                           std::to_string(protocol::native::kVersionMax) + "\n"));
      return ExitCode::kOk;
    };
  });
}

}  // namespace runnel::tools
