#include "tools/options/settings.h"

#include <unistd.h>

#include <toml++/toml.h>
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "protocol/base/assert.h"
#include "protocol/text/units.h"
#include "tools/options/options.h"

namespace runnel::tools {
namespace {

using SettingMap = std::map<std::string, Setting, std::less<>>;

constexpr std::string_view kPrefix = "RUNNEL_";
constexpr std::uint64_t kMiB = 1ULL << 20;
constexpr std::uint64_t kMostPageCache = 1ULL << 50;

/// Variables that are no server options: those of the command line, of ./dev and of the tests.
constexpr std::string_view kForeign[] = {
    "RUNNEL_BROKER",  "RUNNEL_CONFIG",  "RUNNEL_JOBS",         "RUNNEL_REPLACE_BOOST",
    "RUNNEL_SEED",    "RUNNEL_KILLS",   "RUNNEL_SOAK_MINUTES", "RUNNEL_POWER_CUTS",
    "RUNNEL_FAULTS",  "RUNNEL_DAMAGES", "RUNNEL_MODELS",       "RUNNEL_MODEL_STEPS",
    "RUNNEL_REPAIRS",
};

/// These, and what Kubernetes sets by itself for a service that is called "runnel".
bool is_foreign_variable(std::string_view name) {
  return std::find(std::begin(kForeign), std::end(kForeign), name) != std::end(kForeign) ||
         name.starts_with("RUNNEL_SERVICE_") || name.starts_with("RUNNEL_PORT") ||
         name.starts_with("RUNNEL_TEST_") || name.starts_with("RUNNEL_KAFKA_");
}

tl::unexpected<Error> unknown_variable(const std::string& name) {
  std::vector<std::string> known;
  for (const OptionRow& row : option_table()) {
    known.push_back(environment_name(row).substr(kPrefix.size()));
  }
  const std::vector<std::string_view> views(known.begin(), known.end());
  // Without what all of them begin with, which would make any two of them look alike.
  const std::string_view near =
      protocol::nearest(std::string_view(name).substr(kPrefix.size()), views);
  return fail(
      ErrorCode::kInvalidArgument,
      "unknown environment variable " + name +
          (near.empty() ? "; `runnel config reference` lists them all"
                        : "; did you mean " + std::string(kPrefix) + std::string(near) + "?"));
}

/// A quarter of RAM within the bounds; whole MiB, so that it reads well.
std::string quarter_of(std::uint64_t machine_bytes, std::uint64_t least, std::uint64_t most) {
  if (machine_bytes == 0) {
    machine_bytes = static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES)) *
                    static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  }
  return protocol::format_size(std::clamp(machine_bytes / 4 / kMiB * kMiB, least, most));
}

/// check_value(), the error with its source.
Status check_from(const OptionRow& row, const std::string& value, const std::string& source) {
  const auto status = check_value(row, value);
  if (status) return {};
  // A flag or variable names the option already.
  const bool named = source == "--" + std::string(row.name) || source == environment_name(row);
  const std::string& why = status.error().message();
  const std::size_t skipped = named ? row.name.size() + 2 : 0;  // "name: "
  return fail(Error(status.error().code(), why.substr(skipped)).within(source));
}

/// Adds NAME=VALUE to those from weaker places; the same name there gives way.
Status put_assignments(SettingMap& map, const OptionRow& row,
                       const std::vector<std::string>& values, const std::string& source) {
  std::map<std::string, std::pair<std::string, std::string>> by_name;  // value and source
  Setting& setting = map[std::string(row.name)];
  for (std::size_t i = 0; i < setting.values.size(); ++i) {
    const std::string name = setting.values[i].substr(0, setting.values[i].find('='));
    by_name[name] = {setting.values[i], setting.sources[i]};
  }
  for (const std::string& value : values) {
    RUNNEL_TRY(check_from(row, value, source));
    const std::string name = value.substr(0, value.find('='));
    const auto before = by_name.find(name);
    if (before != by_name.end() && before->second.second == source) {
      return fail(ErrorCode::kInvalidArgument, source + ": " + name + " was given more than once");
    }
    by_name[name] = {value, source};
  }
  setting = {};
  for (const auto& [name, entry] : by_name) {
    setting.values.push_back(entry.first);
    setting.sources.push_back(entry.second);
    const bool known =
        ("," + setting.source + ",").find("," + entry.second + ",") != std::string::npos;
    if (!known) setting.source += (setting.source.empty() ? "" : ",") + entry.second;
  }
  if (setting.source.empty()) setting.source = source;
  return {};
}

Status put(SettingMap& map, const OptionRow& row, std::vector<std::string> values,
           std::string source) {
  if (row.type == OptionType::kAssignment) return put_assignments(map, row, values, source);
  if (values.empty() || (values.size() > 1 && !row.repeatable)) {
    return fail(ErrorCode::kInvalidArgument,
                source + ": " + std::string(row.name) +
                    (values.empty() ? " has no value" : " was given more than once"));
  }
  for (const std::string& value : values) RUNNEL_TRY(check_from(row, value, source));
  map.insert_or_assign(std::string(row.name), Setting{std::move(values), std::move(source)});
  return {};
}

/// A TOML scalar as the text a user would have given on the command line.
std::optional<std::string> scalar_text(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return std::to_string(number->get());
  if (const auto* boolean = node.as_boolean()) return boolean->get() ? "true" : "false";
  return std::nullopt;
}

Result<std::vector<std::string>> node_texts(const toml::node& node, const std::string& where) {
  std::vector<std::string> out;
  const auto* array = node.as_array();
  const auto add = [&](const toml::node& value) {
    const auto text = scalar_text(value);
    if (text) out.push_back(*text);
    return text.has_value();
  };
  bool fine = true;
  if (array == nullptr) {
    fine = add(node);
  } else {
    for (const toml::node& value : *array) fine = fine && add(value);
  }
  if (fine) return out;
  return fail(ErrorCode::kInvalidArgument,
              where + ": a value has to be text, a whole number, true, false or a list of these");
}

/// The table [kafka]: NAME=VALUE of each entry. TOML reads a.b = 1 as a table in a table.
Status put_kafka_table(SettingMap& map, const toml::table& table, const std::string& prefix,
                       const std::string& file) {
  const OptionRow* row = find_option("set");
  RUNNEL_ASSERT(row != nullptr);
  for (const auto& [key, node] : table) {
    const std::string name = prefix + std::string(key.str());
    if (const auto* inner = node.as_table()) {
      RUNNEL_TRY(put_kafka_table(map, *inner, name + ".", file));
      continue;
    }
    const std::string where = file + " line " + std::to_string(node.source().begin.line);
    RUNNEL_TRY_ASSIGN(const auto values, node_texts(node, where));
    std::string joined;
    for (const std::string& value : values) joined += (joined.empty() ? "" : ",") + value;
    RUNNEL_TRY(put(map, *row, {name + "=" + joined}, where));
  }
  return {};
}

Status put_file(SettingMap& map, const std::string& name, const std::string& text) {
  toml::table table;
  try {
    table = toml::parse(text, name);
  } catch (const toml::parse_error& error) {
    if (name.ends_with(".properties")) {
      return fail(ErrorCode::kInvalidArgument,
                  name +
                      " looks like Kafka's server.properties: here the file is TOML, with Kafka's "
                      "names in a table [kafka] and texts in quotes; see `runnel config "
                      "reference` and the guide \"Coming from Kafka\"");
    }
    return fail(ErrorCode::kInvalidArgument, name + " line " +
                                                 std::to_string(error.source().begin.line) +
                                                 ": not TOML: " + std::string(error.description()) +
                                                 "; sizes, times and texts are quoted: \"1GiB\"");
  }
  for (const auto& [key, node] : table) {
    const std::string where = name + " line " + std::to_string(node.source().begin.line);
    if (key.str() == "kafka" && node.is_table()) {
      RUNNEL_TRY(put_kafka_table(map, *node.as_table(), "", name));
      continue;
    }
    const OptionRow* row = find_option(key.str());
    if (row == nullptr) return fail(unknown_option("key", key.str()).within(where));
    RUNNEL_TRY_ASSIGN(auto values, node_texts(node, where));
    RUNNEL_TRY(put(map, *row, std::move(values), where));
  }
  return {};
}

std::vector<std::string> split_list(const std::string& text) {
  std::vector<std::string> out;
  std::istringstream in(text);
  for (std::string item; std::getline(in, item, ',');) out.push_back(item);
  if (out.empty()) out.emplace_back();
  return out;
}

/// Commas separate NAME=VALUE; a piece without '=' belongs to the value before it.
std::vector<std::string> split_assignments(const std::string& text) {
  std::vector<std::string> out;
  for (std::string& piece : split_list(text)) {
    if (piece.find('=') == std::string::npos && !out.empty()) {
      out.back() += "," + piece;
    } else {
      out.push_back(std::move(piece));
    }
  }
  return out;
}

std::vector<std::string> values_of(const OptionRow& row, const std::string& text) {
  if (row.type == OptionType::kAssignment) return split_assignments(text);
  return row.repeatable ? split_list(text) : std::vector{text};
}

Status put_environment(SettingMap& map, const std::map<std::string, std::string>& environment) {
  for (const auto& [name, value] : environment) {
    if (is_foreign_variable(name)) continue;
    const auto table = option_table();
    const auto row = std::find_if(table.begin(), table.end(),
                                  [&](const OptionRow& r) { return environment_name(r) == name; });
    if (row == table.end()) return unknown_variable(name);
    RUNNEL_TRY(put(map, *row, values_of(*row, value), name));
  }
  return {};
}

}  // namespace

Result<Settings> Settings::resolve(const SettingSources& sources) {
  Settings settings;
  for (const OptionRow& row : option_table()) {
    std::string value(row.default_value);
    if (row.name == "memory") {
      value = quarter_of(sources.machine_memory_bytes, 64 * kMiB, 1024 * kMiB);
    }
    if (row.name == "page-cache") {
      value = quarter_of(sources.machine_memory_bytes, 256 * kMiB, kMostPageCache);
    }
    std::vector<std::string> values;
    if (row.type != OptionType::kAssignment) values.push_back(std::move(value));
    RUNNEL_TRY(put(settings.values_, row, std::move(values), "default"));
  }
  if (!sources.file_name.empty()) {
    RUNNEL_TRY(put_file(settings.values_, sources.file_name, sources.file_text));
  }
  RUNNEL_TRY(put_environment(settings.values_, sources.environment));
  for (const auto& [name, values] : sources.flags) {
    const OptionRow* row = find_option(name);
    if (row == nullptr) return fail(unknown_option("option", name));
    RUNNEL_TRY(put(settings.values_, *row, values, "--" + name));
  }
  return settings;
}

const Setting& Settings::setting(std::string_view name) const {
  const auto found = values_.find(name);
  RUNNEL_ASSERT(found != values_.end());
  return found->second;
}

const std::string& Settings::text(std::string_view name) const {
  return setting(name).values.front();
}

const std::vector<std::string>& Settings::list(std::string_view name) const {
  return setting(name).values;
}

std::uint64_t Settings::bytes(std::string_view name) const {
  const auto size = protocol::parse_size(text(name));
  RUNNEL_ASSERT(size.has_value());  // put() checked it
  return *size;
}

std::chrono::milliseconds Settings::duration(std::string_view name) const {
  const auto value = protocol::parse_duration(text(name));
  RUNNEL_ASSERT(value.has_value());
  return *value;
}

std::uint64_t Settings::count(std::string_view name) const {
  const auto value = protocol::parse_integer(text(name));
  RUNNEL_ASSERT(value.has_value() && *value >= 0);
  return static_cast<std::uint64_t>(*value);
}

bool Settings::enabled(std::string_view name) const {
  return text(name) == "true";
}

std::map<std::string, std::string> runnel_environment() {
  std::map<std::string, std::string> out;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view line(*entry);
    const std::size_t equals = line.find('=');
    if (!line.starts_with(kPrefix) || equals == std::string_view::npos) continue;
    out.emplace(line.substr(0, equals), line.substr(equals + 1));
  }
  return out;
}

Result<std::string> read_text_file(const std::string& path) {
  std::error_code ignored;  // whatever is wrong, opening it says what
  if (std::filesystem::is_directory(path, ignored)) {
    return fail(ErrorCode::kInvalidArgument, path + " is a directory; name a file");
  }
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    const int error = errno;
    return fail(error == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo,
                "cannot read " + path + ": " + std::strerror(error));
  }
  std::ostringstream out;
  out << in.rdbuf();
  if (in.bad()) return fail(ErrorCode::kIo, "cannot read " + path + ": " + std::strerror(errno));
  return std::move(out).str();
}

Status check_config_text(const std::string& file_name, const std::string& text) {
  SettingMap map;
  return put_file(map, file_name, text);
}

}  // namespace runnel::tools
