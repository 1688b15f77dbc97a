#include "tools/topic_configs.h"

#include <algorithm>
#include <chrono>
#include <limits>

#include "protocol/text/units.h"
#include "storage/store.h"

namespace runnel::tools {
namespace {

/// "604800000 (1w)", "-1 (no limit)": what a number of a config amounts to.
std::string readable(std::string_view name, std::string_view value) {
  std::string out(value);
  const auto number = protocol::parse_integer(value);
  if (!number) return out;
  const bool limits = name.starts_with("retention.");
  if (*number < 0) return out + (limits ? " (no limit)" : "");
  if (*number == std::numeric_limits<std::int64_t>::max()) return out + " (never)";
  if (name.ends_with(".ms")) {
    const std::chrono::milliseconds span(*number);
    const auto days = std::chrono::duration_cast<std::chrono::days>(span);  // no weeks: "7d", "30d"
    return out + " (" +
           (*number > 0 && days == span ? std::to_string(days.count()) + "d"
                                        : protocol::format_duration(span)) +
           ")";
  }
  return name.ends_with(".bytes")
             ? out + " (" + protocol::human_size(static_cast<double>(*number)) + ")"
             : out;
}

const storage::TopicConfigRow* find_row(std::string_view name) {
  const auto table = storage::topic_config_table();
  const auto row = std::find_if(table.begin(), table.end(),
                                [&](const storage::TopicConfigRow& r) { return r.name == name; });
  return row == table.end() ? nullptr : &*row;
}

}  // namespace

std::string topic_reference_page() {
  std::string out =
      "# Topic configs\n\n"
      "Made by `runnel config reference --topics` from the program's table; do not edit.\n\n"
      "`runnel topic create orders -c retention.ms=3600000` sets them, `runnel topic alter` "
      "changes "
      "them and, with `--unset`, sets them back to their defaults; `runnel topic describe` shows "
      "what holds. `--retention 7d` (`12h`, `forever`) is short for `-c retention.ms`.\n\n"
      "**By default a record is deleted 7 days after its timestamp.** `--retention forever` keeps "
      "a topic's records until they are deleted by hand or the disk is full.\n\n"
      "| Config | Type | Default | Meaning |\n"
      "|---|---|---|---|\n";
  for (const storage::TopicConfigRow& row : storage::topic_config_table()) {
    out += "| `" + std::string(row.name) + "` | " + std::string(row.type) + " | " +
           readable(row.name, row.default_value) + " | " + std::string(row.text) + " |\n";
  }
  return out;
}

std::string topic_config_lines(const std::vector<TopicConfig>& set) {
  std::string out;
  for (const auto& [name, value] : set) out += name + " = " + readable(name, value) + "\n";
  for (const storage::TopicConfigRow& row : storage::topic_config_table()) {
    const bool is_set = std::any_of(set.begin(), set.end(),
                                    [&](const TopicConfig& c) { return c.first == row.name; });
    if (is_set || !storage::has_effect(row)) continue;
    out += std::string(row.name) + " = " + readable(row.name, row.default_value) + ", by default\n";
  }
  return out;
}

Error explain_refusal(Error refusal, const std::vector<TopicConfig>& configs) {
  if (refusal.code() != ErrorCode::kInvalidConfig) return refusal;
  std::vector<std::string_view> names;
  std::string all;
  for (const storage::TopicConfigRow& row : storage::topic_config_table()) {
    names.push_back(row.name);
    all += (all.empty() ? "" : ", ") + std::string(row.name);
  }
  for (const auto& [name, value] : configs) {
    if (find_row(name) != nullptr) continue;
    const std::string_view near = protocol::nearest(name, names);
    return Error(
        ErrorCode::kInvalidConfig,
        "unknown topic config '" + name + "'; " +
            (near.empty() ? "there are: " + all : "did you mean '" + std::string(near) + "'?"));
  }
  return refusal;
}

}  // namespace runnel::tools
