// runnel serve: the broker.
#include <filesystem>
#include <memory>

#include "tools/broker_process.h"
#include "tools/cli.h"
#include "tools/options/options.h"
#include "tools/server_options.h"

namespace runnel::tools {
namespace {

/// SIGHUP: the file is read again; what is not reloadable stays as it was at the start.
void reload(const ServerFlags& flags, const Settings& started) {
  const auto settings = resolve_settings(flags);
  if (!settings) {
    log_error("reload: " + settings.error().message() + "; everything stays as it was");
    return;
  }
  set_log_level(settings->text("log-level"));
  std::string waiting;
  for (const OptionRow& row : option_table()) {
    if (row.reloadable || started.list(row.name) == settings->list(row.name)) continue;
    waiting += (waiting.empty() ? "" : ", ") + std::string(row.name);
  }
  log_info("reloaded the configuration" +
           (waiting.empty() ? "" : "; changed, but not before a restart: " + waiting));
}

Result<ExitCode> run(const ServerFlags& flags) {
  RUNNEL_TRY_ASSIGN(const auto settings, resolve_settings(flags));
  start_log(settings.text("log-level"));
  std::error_code error;
  const auto data = std::filesystem::absolute(settings.text("data"), error);
  log_info("runnel " + std::string(program_version()) + ", data in " +
           (error ? settings.text("data") : data.string()));
  RUNNEL_TRY_ASSIGN(auto broker, BrokerProcess::start(settings));
  broker->run([&] { reload(flags, settings); });
  RUNNEL_TRY(broker->close());
  log_info("closed cleanly");
  return ExitCode::kOk;
}

}  // namespace

void add_serve(Cli& cli) {
  const auto flags = std::make_shared<ServerFlags>();
  CLI::App* command = cli.app.add_subcommand("serve", "Run the broker");
  add_server_options(*command, *flags);
  command->callback([&cli, flags] { cli.action = [flags] { return run(*flags); }; });
}

}  // namespace runnel::tools
