#include "tools/server_options.h"

#include "tools/options/options.h"

namespace runnel::tools {
namespace {

std::string flag_help(const OptionRow& row) {
  std::string text(row.text);
  const std::string range = range_text(row);
  if (!range.empty()) text += " (" + range + ")";
  text += row.default_text.empty() ? " [" + std::string(row.default_value) + "]"
                                   : " [" + std::string(row.default_text) + "]";
  return text;
}

}  // namespace

void add_server_options(CLI::App& command, ServerFlags& flags) {
  command.add_option("--config", flags.config_file, "TOML file with options")
      ->envname("RUNNEL_CONFIG")
      ->type_name("FILE");
  for (const OptionRow& row : option_table()) {
    const std::string name(row.name);
    if (row.type == OptionType::kSwitch) {
      command.add_flag_callback(
          "--" + name, [&flags, name] { flags.values[name] = {"true"}; }, flag_help(row));
      continue;
    }
    CLI::Option* option = nullptr;
    if (row.repeatable) {
      option = command
                   .add_option_function<std::vector<std::string>>(
                       "--" + name, [&flags, name](const auto& v) { flags.values[name] = v; },
                       flag_help(row))
                   ->allow_extra_args(false);
    } else {
      option = command.add_option_function<std::string>(
          "--" + name, [&flags, name](const auto& v) { flags.values[name] = {v}; }, flag_help(row));
    }
    option->type_name(std::string(type_name(row.type)));
  }
}

Result<Settings> resolve_settings(const ServerFlags& flags) {
  SettingSources sources;
  sources.flags = flags.values;
  sources.environment = runnel_environment();
  if (!flags.config_file.empty()) {
    sources.file_name = flags.config_file;
    RUNNEL_TRY_ASSIGN(sources.file_text, read_text_file(flags.config_file));
  }
  return Settings::resolve(sources);
}

}  // namespace runnel::tools
