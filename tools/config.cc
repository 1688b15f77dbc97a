// runnel config check | explain | reference
#include <memory>

#include "broker/kafka/config_table.h"
#include "tools/cli.h"
#include "tools/kafka_settings.h"
#include "tools/options/options.h"
#include "tools/server_options.h"
#include "tools/text/table.h"
#include "tools/topic_configs.h"

namespace runnel::tools {
namespace {

Result<ExitCode> check(const std::string& file) {
  RUNNEL_TRY_ASSIGN(const auto text, read_text_file(file));
  RUNNEL_TRY(check_config_text(file, text));
  SettingSources sources;
  sources.file_name = file;
  sources.file_text = text;
  RUNNEL_TRY_ASSIGN(const auto settings, Settings::resolve(sources));
  RUNNEL_TRY(kafka_configs(settings));
  RUNNEL_TRY(advertised_listeners(settings));
  RUNNEL_TRY(write_out(file + " is fine\n"));
  return ExitCode::kOk;
}

Result<ExitCode> explain(const ServerFlags& flags) {
  RUNNEL_TRY_ASSIGN(const auto settings, resolve_settings(flags));
  RUNNEL_TRY(kafka_configs(settings));
  std::vector<std::vector<std::string>> rows{{"OPTION", "VALUE", "FROM"}};
  for (const auto& [name, setting] : settings.all()) {
    std::string value;
    for (const std::string& part : setting.values) value += (value.empty() ? "" : ", ") + part;
    rows.push_back({name, value, setting.source});
  }
  RUNNEL_TRY(write_out(format_table(rows)));
  return ExitCode::kOk;
}

}  // namespace

void add_config(Cli& cli) {
  CLI::App* config = cli.app.add_subcommand("config", "Check and explain the configuration");
  config->require_subcommand(1);

  const auto file = std::make_shared<std::string>();
  CLI::App* command = config->add_subcommand("check", "Check a configuration file");
  command->add_option("file", *file, "TOML file")->required()->type_name("FILE");
  command->callback([&cli, file] { cli.action = [file] { return check(*file); }; });

  const auto flags = std::make_shared<ServerFlags>();
  command = config->add_subcommand("explain", "Show every value and where it comes from");
  add_server_options(*command, *flags);
  command->callback([&cli, flags] { cli.action = [flags] { return explain(*flags); }; });

  const auto topics = std::make_shared<bool>(false);
  command = config->add_subcommand("reference", "Print the reference page of all options");
  command->add_flag("--topics", *topics, "The page of all topic configs instead");
  const auto broker = std::make_shared<bool>(false);
  command->add_flag("--broker", *broker, "The page of all broker configs instead");
  command->callback([&cli, topics, broker] {
    cli.action = [topics, broker]() -> Result<ExitCode> {
      RUNNEL_TRY(write_out(*topics   ? topic_reference_page()
                           : *broker ? broker::broker_config_page()
                                     : reference_page()));
      return ExitCode::kOk;
    };
  });
}

}  // namespace runnel::tools
