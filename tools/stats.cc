// runnel stats: the broker's counters.
#include <memory>

#include "tools/cli.h"
#include "tools/text/json.h"
#include "tools/text/table.h"

namespace runnel::tools {
namespace {

struct StatsArguments {
  std::string broker;
  std::string output;
  bool explain = false;
};

std::string as_json(const std::vector<Statistic>& statistics) {
  std::string out = "{";
  for (std::size_t i = 0; i < statistics.size(); ++i) {
    out += (i > 0 ? ",\n" : "\n") + json_string(statistics[i].name) + ":" +
           std::to_string(statistics[i].value);
  }
  return out + "\n}\n";
}

Result<ExitCode> run(const StatsArguments& arguments) {
  RUNNEL_TRY_ASSIGN(auto client, connect_to(arguments.broker));
  RUNNEL_TRY_ASSIGN(const auto statistics, settle(client.admin().statistics().get()));
  if (arguments.output == "json") {
    RUNNEL_TRY(write_out(as_json(statistics)));
    return ExitCode::kOk;
  }
  std::vector<std::vector<std::string>> rows{{"NAME", "VALUE", "UNIT"}};
  if (arguments.explain) rows.front().emplace_back("MEANING");
  for (const Statistic& statistic : statistics) {
    rows.push_back({statistic.name, std::to_string(statistic.value), statistic.unit});
    if (arguments.explain) rows.back().push_back(statistic.text);
  }
  RUNNEL_TRY(write_out(format_table(rows)));
  return ExitCode::kOk;
}

}  // namespace

void add_stats(Cli& cli) {
  const auto arguments = std::make_shared<StatsArguments>();
  CLI::App* command = cli.app.add_subcommand("stats", "Show the broker's counters");
  add_broker_option(*command, arguments->broker);
  add_output_option(*command, arguments->output);
  command->add_flag("--explain", arguments->explain, "Say what each one means");
  command->callback([&cli, arguments] { cli.action = [arguments] { return run(*arguments); }; });
}

}  // namespace runnel::tools
