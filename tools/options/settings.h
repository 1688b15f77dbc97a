// The server's settings: each option's value and where it came from.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/base/error.h"

namespace runnel::tools {

/// Where values may come from; a later place wins over an earlier one.
struct SettingSources {
  std::string file_name;                           ///< for messages; empty: no file
  std::string file_text;                           ///< TOML
  std::map<std::string, std::string> environment;  ///< RUNNEL_* only; see runnel_environment()
  std::map<std::string, std::vector<std::string>> flags;
  std::uint64_t machine_memory_bytes = 0;  ///< for the default of `memory`; 0: ask the system
};

/// An option that takes NAME=VALUE has one for each name, in the order of names.
struct Setting {
  std::vector<std::string> values;  ///< checked; several only for repeatable options
  std::string source;  ///< "default", "file.toml line 3", "RUNNEL_MEMORY" or "--memory"
  std::vector<std::string> sources = {};  ///< of NAME=VALUE: where each of the values came from
};

/// Every option of the table with its value. Immutable once resolved.
class Settings {
 public:
  /// Errors name the place, the key and what would be right; the first one found is returned.
  [[nodiscard]] static Result<Settings> resolve(const SettingSources& sources);

  /// Name to setting, in the order of names. `name` below has to be in the option table.
  [[nodiscard]] const std::map<std::string, Setting, std::less<>>& all() const { return values_; }
  [[nodiscard]] const Setting& setting(std::string_view name) const;
  [[nodiscard]] const std::string& text(std::string_view name) const;
  [[nodiscard]] const std::vector<std::string>& list(std::string_view name) const;
  [[nodiscard]] std::uint64_t bytes(std::string_view name) const;
  [[nodiscard]] std::chrono::milliseconds duration(std::string_view name) const;
  [[nodiscard]] std::uint64_t count(std::string_view name) const;
  [[nodiscard]] bool enabled(std::string_view name) const;

 private:
  std::map<std::string, Setting, std::less<>> values_;
};

/// The variables of this process that begin with RUNNEL_.
[[nodiscard]] std::map<std::string, std::string> runnel_environment();
/// Reads a whole file. kNotFound, kInvalidArgument for a directory, kIo.
[[nodiscard]] Result<std::string> read_text_file(const std::string& path);

/// Parses and checks a config file's text alone. The same errors as Settings::resolve.
[[nodiscard]] Status check_config_text(const std::string& file_name, const std::string& text);

}  // namespace runnel::tools
