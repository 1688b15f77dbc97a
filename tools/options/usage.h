// What is wrong with a command line, said together with what would be right.
#pragma once

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <string>
#include <vector>

namespace runnel::tools {

/// The lines for standard error, without the last line's end. `app` has parsed `arguments` (those
/// behind the program's name) and threw `error`. Names the word that is wrong and the nearest right
/// one; flags that people know from Kafka's tools are answered with what does it here.
[[nodiscard]] std::string usage_error(const CLI::App& app, const CLI::ParseError& error,
                                      const std::vector<std::string>& arguments);

}  // namespace runnel::tools
