// The option table's flags on a CLI11 command, for `serve`, `dev` and `config explain`.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tools/cli.h"
#include "tools/options/settings.h"

namespace runnel::tools {

/// What was given on the command line.
struct ServerFlags {
  std::map<std::string, std::vector<std::string>> values;
  std::string config_file;
};

/// Adds --config and a flag for each row of the table. `flags` must outlive the parsing.
void add_server_options(CLI::App& command, ServerFlags& flags);

/// Flags over environment over file over defaults. Errors name the place.
[[nodiscard]] Result<Settings> resolve_settings(const ServerFlags& flags);

}  // namespace runnel::tools
