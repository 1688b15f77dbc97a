// Sizes, durations and near misses, as people write them on a command line or in a config file.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "protocol/base/error.h"

namespace runnel::protocol {

/// "4096", "64KiB", "256M", "1GiB": bytes. Suffixes are powers of 1024; the "iB" may be left out.
/// kInvalidArgument for anything else, decimal "MB" included, with what would be right.
[[nodiscard]] Result<std::uint64_t> parse_size(std::string_view text);
/// The shortest exact form: "256MiB", "1000B".
[[nodiscard]] std::string format_size(std::uint64_t bytes);
/// For people: "1.4 GiB", three digits at most.
[[nodiscard]] std::string human_size(double bytes);

/// "250ms", "10s", "5m", "2h", "7d", "1w", "1h30m"; a bare number is milliseconds.
[[nodiscard]] Result<std::chrono::milliseconds> parse_duration(std::string_view text);
/// The shortest exact form: "7d", "90s", "1500ms".
[[nodiscard]] std::string format_duration(std::chrono::milliseconds value);

/// A whole decimal number, sign allowed; all of `text` has to be it.
[[nodiscard]] Result<std::int64_t> parse_integer(std::string_view text);

/// The candidate that `word` was most likely meant to be, or empty if none is near: a third of its
/// letters may be wrong, at least one.
[[nodiscard]] std::string_view nearest(std::string_view word,
                                       std::span<const std::string_view> candidates);

}  // namespace runnel::protocol
