#include "tools/options/options.h"

#include <algorithm>
#include <cctype>
#include <limits>

#include "protocol/text/units.h"

namespace runnel::tools {
namespace {

constexpr std::uint64_t kKiB = 1ULL << 10;
constexpr std::uint64_t kMiB = 1ULL << 20;
constexpr std::uint64_t kGiB = 1ULL << 30;
constexpr std::uint64_t kTiB = 1ULL << 40;
constexpr std::uint64_t kSecond = 1000;
constexpr std::uint64_t kHour = 3600 * kSecond;
constexpr std::uint64_t kDay = 24 * kHour;
constexpr bool kOnce = false, kRepeatable = true;
constexpr bool kAtStart = false, kReloadable = true;

using enum OptionType;

constexpr OptionRow kTable[] = {
    {"data", kText, 0, 0, "", "runnel-data", "",
     "Directory that holds everything the broker stores. Created if it is not there; one broker at "
     "a time.",
     kOnce, kAtStart},
    {"listen", kAddress, 0, 0, "", "127.0.0.1:9092", "",
     "Address to serve. Port 0 takes a free one. May be given several times.", kRepeatable,
     kAtStart},
    {"advertise", kText, 0, 0, "", "reached", "",
     "What Kafka's clients are told to connect to, as HOST:PORT; one for each --listen, in the "
     "same order. reached: the address they reached, which is right unless something between "
     "clients and broker translates addresses.",
     kRepeatable, kAtStart},
    {"http-host", kText, 0, 0, "", "localhost", "",
     "A name that HTTP requests may have as their Host besides addresses and localhost; * for any. "
     "It keeps pages of other sites from reaching the broker through their own name.",
     kRepeatable, kAtStart},
    {"http-origin", kText, 0, 0, "", "none", "",
     "An origin such as https://reports.example whose pages may use the broker over HTTP; * for "
     "any.",
     kRepeatable, kAtStart},
    {"webhook-allow", kText, 0, 0, "", "public", "",
     "Addresses that webhooks may call: public, any, none, an address, or a network such as "
     "10.1.0.0/16. Whoever defines a webhook makes the broker call a URL, so by default it calls "
     "nothing of its own network.",
     kRepeatable, kAtStart},
    {"webhook-ca", kText, 0, 0, "", "system", "",
     "A file of certificates (PEM): authorities that may vouch for receivers of webhooks, besides "
     "the system's. system: those alone.",
     kOnce, kAtStart},
    {"set", kAssignment, 0, 0, "", "", "nothing",
     "Sets a broker config under Kafka's name, such as num.partitions=3; a table [kafka] in the "
     "file does it too. `runnel config reference --broker` lists them.",
     kRepeatable, kAtStart},
    {"insecure-allow-remote", kSwitch, 0, 0, "", "false", "",
     "Allow addresses other than loopback although there is no authentication and no encryption: "
     "whoever reaches the port can read and write everything.",
     kOnce, kAtStart},
    {"net", kChoice, 0, 0, "auto|io_uring|epoll", "auto", "",
     "How the broker talks to sockets. auto takes io_uring where the kernel allows it and says so "
     "where it does not.",
     kOnce, kAtStart},
    {"loops", kCount, 0, 64, "", "0", "0: half the processors, at least one",
     "Network threads. Connections are spread over them.", kOnce, kAtStart},
    {"memory", kSize, 64 * kMiB, kTiB, "", "", "a quarter of RAM, 64MiB at least, 1GiB at most",
     "Bound on the memory for index, caches, tails and requests in flight. Over it, sockets are "
     "read later.",
     kOnce, kAtStart},
    {"view-memory", kSize, 16 * kMiB, kTiB, "", "160MiB", "",
     "Bound on the memory for materialised views, all of them together: groups at work, caches of "
     "their state. Nothing of it is used before the first view is made.",
     kOnce, kAtStart},
    {"page-cache", kSize, 0, 1024 * kTiB, "", "", "a quarter of RAM, 256MiB at least",
     "How much of the newest log the machine's page cache may hold. Older records are read from "
     "the disk, and the memory is left to others. 0: the log is written past the page cache, which "
     "makes writing cheaper and whoever reads what was just written wait for the disk.",
     kOnce, kAtStart},
    {"max-connections", kCount, 1, 1'000'000, "", "10000", "",
     "Open connections at most; further ones are closed at once.", kOnce, kAtStart},
    {"handshake-timeout", kDuration, kSecond, kHour, "", "10s", "",
     "How long a new connection may take from its first byte on to say which protocol it speaks; "
     "six times as long without any byte.",
     kOnce, kAtStart},
    {"idle-timeout", kDuration, kSecond, 30 * kDay, "", "10m", "",
     "A connection that sends nothing for this long is closed.", kOnce, kAtStart},
    {"drain-timeout", kDuration, 0, kHour, "", "10s", "",
     "At shutdown, how long requests in progress may take before their connections are cut.", kOnce,
     kAtStart},
    {"segment-bytes", kSize, kMiB, 2 * kGiB, "", "256MiB", "",
     "Size of a write-ahead segment. Space is given back a segment at a time.", kOnce, kAtStart},
    {"commit-group-bytes", kSize, 64 * kKiB, 64 * kMiB, "", "4MiB", "",
     "Most bytes that are written and synced as one group.", kOnce, kAtStart},
    {"low-space", kSize, 0, kTiB, "", "256MiB", "",
     "With less than this free on the disk, producers are turned away with an error to retry; "
     "reads, deletes and offset commits go on.",
     kOnce, kAtStart},
    {"cleaner-rate", kSize, 0, 1024 * kGiB, "", "64MiB", "",
     "What compaction and the cleaner read and write in a second at most, or eight times what "
     "producers "
     "append if that is more. 0: no limit.",
     kOnce, kAtStart},
    {"scrub-interval", kDuration, 0, 3650 * kDay, "", "7d", "",
     "In this time all stored records that nobody reads are read once, evenly and slowly, and "
     "their "
     "checksums verified. 0: never.",
     kOnce, kAtStart},
    {"trust-clock", kSwitch, 0, 0, "", "false", "",
     "The wall clock is right, however far it is from where the broker left it. For one start, "
     "after the machine was off for long: else records grow old by the time that is known to have "
     "passed.",
     kOnce, kAtStart},
    {"ballast", kSize, 0, kGiB, "", "16MiB", "",
     "Space set aside so that a broker on a full disk can still start and delete.", kOnce,
     kAtStart},
    {"check-compressed", kSwitch, 0, 0, "", "false", "",
     "Decompress what Kafka's producers compressed before it is accepted, and refuse what others "
     "could not read. Without it the head of the compressed bytes is looked at.",
     kOnce, kAtStart},
    {"maintenance-interval", kDuration, 10, kHour, "", "1s", "",
     "How often expiry, free space and retention by size are looked at; retention by age has the "
     "broker config log.retention.check.interval.ms.",
     kOnce, kAtStart},
    {"offsets-retention", kDuration, kSecond, 3650 * kDay, "", "7d", "",
     "How long the offsets of a consumer group are kept, counted from when the group became empty.",
     kOnce, kAtStart},
    {"producer-expiry", kDuration, kSecond, 24 * kDay, "", "1d", "",
     "How long the sequence of an idempotent producer is remembered after its last record.", kOnce,
     kAtStart},
    {"log-level", kChoice, 0, 0, "debug|info|warning|error", "info", "",
     "Least severe message that is logged, to standard error.", kOnce, kReloadable},
};

std::vector<std::string_view> split_choices(std::string_view choices) {
  std::vector<std::string_view> out;
  while (true) {
    const std::size_t bar = choices.find('|');
    out.push_back(choices.substr(0, bar));
    if (bar == std::string_view::npos) return out;
    choices.remove_prefix(bar + 1);
  }
}

std::string bound_text(const OptionRow& row, std::uint64_t value) {
  switch (row.type) {
    case kSize:
      return value == 0 ? "0" : protocol::format_size(value);
    case kDuration:
      return value == 0 ? "0" : protocol::format_duration(std::chrono::milliseconds(value));
    default:
      return std::to_string(value);
  }
}

tl::unexpected<Error> bad_value(const OptionRow& row, std::string_view why) {
  return fail(ErrorCode::kInvalidArgument, std::string(row.name) + ": " + std::string(why));
}

Status check_range(const OptionRow& row, std::uint64_t value, std::string_view text) {
  if (value >= row.min && value <= row.max) return {};
  return bad_value(row,
                   "'" + std::string(text) + "' is out of range; it has to be " + range_text(row));
}

Status check_address(const OptionRow& row, std::string_view value) {
  const std::size_t colon = value.rfind(':');
  const auto port = colon == std::string_view::npos
                        ? protocol::parse_integer("")
                        : protocol::parse_integer(value.substr(colon + 1));
  if (colon != 0 && port && *port >= 0 && *port <= 65535) return {};
  return bad_value(row, "'" + std::string(value) +
                            "' is not HOST:PORT with a port of 0 to 65535, such as 127.0.0.1:9092");
}

Status check_choice(const OptionRow& row, std::string_view value) {
  const auto choices = split_choices(row.choices);
  if (std::find(choices.begin(), choices.end(), value) != choices.end()) return {};
  return bad_value(row, "'" + std::string(value) + "' is none of " + range_text(row));
}

/// A negative number or one that does not fit is out of range rather than no number.
Status check_count(const OptionRow& row, std::string_view value) {
  const auto number = protocol::parse_integer(value);
  if (!number) return bad_value(row, number.error().message());
  if (*number < 0) return check_range(row, std::numeric_limits<std::uint64_t>::max(), value);
  return check_range(row, static_cast<std::uint64_t>(*number), value);
}

}  // namespace

std::span<const OptionRow> option_table() {
  return kTable;
}

const OptionRow* find_option(std::string_view name) {
  const auto* row = std::find_if(std::begin(kTable), std::end(kTable),
                                 [&](const OptionRow& r) { return r.name == name; });
  return row == std::end(kTable) ? nullptr : row;
}

std::string_view type_name(OptionType type) {
  switch (type) {
    case kText:
      return "text";
    case kAddress:
      return "address";
    case kSize:
      return "size";
    case kDuration:
      return "duration";
    case kCount:
      return "number";
    case kSwitch:
      return "switch";
    case kChoice:
      return "choice";
    case kAssignment:
      return "name=value";
  }
  return "";
}

std::string_view unit_name(OptionType type) {
  return type == kSize ? "bytes" : type == kDuration ? "time" : "";
}

std::string range_text(const OptionRow& row) {
  switch (row.type) {
    case kSize:
    case kDuration:
    case kCount:
      return bound_text(row, row.min) + " to " + bound_text(row, row.max);
    case kSwitch:
      return "true or false";
    case kChoice: {
      const auto choices = split_choices(row.choices);
      std::string out;
      for (std::size_t i = 0; i < choices.size(); ++i) {
        if (i > 0) out += i + 1 == choices.size() ? " or " : ", ";
        out += choices[i];
      }
      return out;
    }
    default:
      return "";
  }
}

std::string environment_name(const OptionRow& row) {
  std::string out = "RUNNEL_";
  for (const char c : row.name) {
    out += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return out;
}

Status check_value(const OptionRow& row, std::string_view value) {
  switch (row.type) {
    case kText:
      return value.empty() ? Status(bad_value(row, "it may not be empty")) : Status();
    case kAddress:
      return check_address(row, value);
    case kSize: {
      const auto size = protocol::parse_size(value);
      return size ? check_range(row, *size, value) : bad_value(row, size.error().message());
    }
    case kDuration: {
      const auto duration = protocol::parse_duration(value);
      if (!duration) return bad_value(row, duration.error().message());
      return check_range(row, static_cast<std::uint64_t>(duration->count()), value);
    }
    case kCount:
      return check_count(row, value);
    case kSwitch:
      if (value == "true" || value == "false") return {};
      return bad_value(row, "'" + std::string(value) + "' is neither true nor false");
    case kChoice:
      return check_choice(row, value);
    case kAssignment:
      if (value.find('=') != std::string_view::npos && value.front() != '=') return {};
      return bad_value(row, "'" + std::string(value) + "' is not NAME=VALUE");
  }
  return {};
}

Error unknown_option(std::string_view kind, std::string_view name) {
  std::vector<std::string_view> names;
  for (const OptionRow& row : kTable) names.push_back(row.name);
  const std::string_view near = protocol::nearest(name, names);
  std::string message = "unknown " + std::string(kind) + " '" + std::string(name) + "'";
  message += near.empty() ? "; `runnel config reference` lists them all"
                          : "; did you mean '" + std::string(near) + "'?";
  return Error(ErrorCode::kInvalidArgument, std::move(message));
}

std::string reference_page() {
  std::string out =
      "# Configuration\n\n"
      "Made by `runnel config reference` from the program's option table; do not edit.\n\n"
      "Each option of `runnel serve` can be set in three places; the later one wins:\n\n"
      "1. a TOML file, given with `--config FILE` or `RUNNEL_CONFIG`: `memory = \"256MiB\"`;\n"
      "2. the environment: `RUNNEL_MEMORY=256MiB` (lists are separated by commas);\n"
      "3. the command line: `--memory 256MiB`.\n\n"
      "`runnel config check FILE` checks a file, `runnel config explain` shows every value and "
      "where it came from. Sizes are bytes or powers of 1024 (`64KiB`, `2GiB`), durations are "
      "written `250ms`, `10s`, `5m`, `2h`, `7d`. Options marked *reloadable* are read again from "
      "the file on SIGHUP; the others need a restart.\n\n"
      "| Option | Type | Range | Default | Environment | Meaning |\n"
      "|---|---|---|---|---|---|\n";
  for (const OptionRow& row : kTable) {
    std::string type(type_name(row.type));
    if (!unit_name(row.type).empty()) type += " (" + std::string(unit_name(row.type)) + ")";
    const std::string default_text = row.default_text.empty()
                                         ? "`" + std::string(row.default_value) + "`"
                                         : std::string(row.default_text);
    std::string text(row.text);
    if (row.reloadable) text += " *Reloadable.*";
    out += "| `" + std::string(row.name) + "` | " + type + " | " + range_text(row) + " | " +
           default_text + " | `" + environment_name(row) + "` | " + text + " |\n";
  }
  return out;
}

}  // namespace runnel::tools
