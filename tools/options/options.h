// The one option table of the server. --help, docs/reference/configuration.md, the check of config
// files, the RUNNEL_* names and `runnel config explain` are all made from it.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/base/error.h"

namespace runnel::tools {

enum class OptionType {
  kText,      ///< any text that is not empty
  kAddress,   ///< HOST:PORT
  kSize,      ///< parse_size
  kDuration,  ///< parse_duration
  kCount,     ///< a whole number
  kSwitch,    ///< true or false; a bare flag means true
  kChoice,    ///< one of `choices`
  /// NAME=VALUE. Places add to each other, a later one wins name by name.
  kAssignment,
};

struct OptionRow {
  std::string_view name;  ///< the flag without "--", and the key in a config file
  OptionType type;
  std::uint64_t min;  ///< of sizes (bytes), durations (milliseconds) and counts
  std::uint64_t max;
  std::string_view choices;        ///< for kChoice, separated by '|'
  std::string_view default_value;  ///< as a user would write it; see also default_text
  std::string_view default_text;   ///< shown instead of a default that depends on the machine
  std::string_view text;
  bool repeatable;
  bool reloadable;  ///< SIGHUP rereads it from the config file
};

[[nodiscard]] std::span<const OptionRow> option_table();
/// nullptr: there is none.
[[nodiscard]] const OptionRow* find_option(std::string_view name);
/// "size", "duration", ...
[[nodiscard]] std::string_view type_name(OptionType type);
/// "bytes", "time" or "".
[[nodiscard]] std::string_view unit_name(OptionType type);
/// "64MiB to 1GiB", "auto, io_uring or epoll", or "".
[[nodiscard]] std::string range_text(const OptionRow& row);
/// "segment-bytes" -> "RUNNEL_SEGMENT_BYTES".
[[nodiscard]] std::string environment_name(const OptionRow& row);

/// ok, or kInvalidArgument: which option, what is wrong with the value, what would be right.
[[nodiscard]] Status check_value(const OptionRow& row, std::string_view value);
/// For a name that is in no row: "unknown KIND 'x'; did you mean 'y'?".
[[nodiscard]] Error unknown_option(std::string_view kind, std::string_view name);

/// The page docs/reference/configuration.md, whole.
[[nodiscard]] std::string reference_page();

}  // namespace runnel::tools
