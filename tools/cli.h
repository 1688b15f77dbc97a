// What the subcommands share: how they are registered, end, reach a broker and fail.
#pragma once

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "protocol/base/error.h"
#include "runnel/client.h"
#include "tools/text/record.h"

namespace runnel::tools {

/// Exit codes; docs/reference/exit-codes.md is the page. Scripts rely on them: never renumbered.
enum class ExitCode : int {
  kOk = 0,
  kFailed = 1,         ///< anything without a code of its own
  kUsage = 2,          ///< the command line or the configuration is wrong
  kRejected = 3,       ///< done, but some rows of the input were turned away
  kNoConnection = 4,   ///< no broker answered, or the connection was lost
  kNotFound = 5,       ///< no such topic, partition, group or file
  kDamaged = 6,        ///< stored data fails its checksum
  kLocked = 7,         ///< another process has the data directory
  kTimeout = 8,        ///< no answer in time; the outcome is not known
  kRefused = 9,        ///< the broker said no: exists already, not empty, fenced, too large ...
  kTryAgain = 10,      ///< the broker cannot just now: disk full, overloaded, shutting down
  kLagging = 11,       ///< `group describe --fail-over`: the lag is over the limit
  kStorage = 12,       ///< `serve`: a write or sync failed; nothing was acknowledged after it
  kInterrupted = 130,  ///< Ctrl-C or SIGTERM before the end of what was to be done
};
[[nodiscard]] ExitCode exit_code_for(ErrorCode code) noexcept;

/// What the command line asked for. Its error is printed and becomes the exit code.
using Action = std::function<Result<ExitCode>()>;

/// Where a subcommand leaves its action when it was chosen.
struct Cli {
  CLI::App app{"An event broker in one binary.", "runnel"};
  Action action;
};

// One function a command file: adds the subcommand to `cli`.
void add_serve(Cli& cli);
void add_dev(Cli& cli);
void add_topic(Cli& cli);
void add_produce(Cli& cli);
void add_consume(Cli& cli);
void add_group(Cli& cli);
void add_stats(Cli& cli);
void add_top(Cli& cli);
void add_replay(Cli& cli);
void add_backup(Cli& cli);
void add_erase(Cli& cli);
void add_check(Cli& cli);
void add_repair(Cli& cli);
void add_export(Cli& cli);
void add_import(Cli& cli);
void add_sql(Cli& cli);
void add_view(Cli& cli);
void add_hook(Cli& cli);
void add_config(Cli& cli);
void add_bench(Cli& cli);
void add_version(Cli& cli);
void add_completion(Cli& cli);

/// The version of this program, e.g. "0.1.0".
[[nodiscard]] std::string_view program_version() noexcept;

/// Adds -b/--broker (RUNNEL_BROKER, 127.0.0.1:9092).
void add_broker_option(CLI::App& command, std::string& address);
/// Adds a command to `parent` that calls `work`.
template <class Arguments>
CLI::App* add_command(Cli& cli, CLI::App& parent, const char* name, const char* text,
                      const std::shared_ptr<Arguments>& arguments,
                      Result<ExitCode> (*work)(const Arguments&)) {
  CLI::App* command = parent.add_subcommand(name, text);
  command->callback(
      [&cli, arguments, work] { cli.action = [arguments, work] { return work(*arguments); }; });
  return command;
}
/// One that asks the broker that `arguments->broker` names.
template <class Arguments>
CLI::App* add_broker_command(Cli& cli, CLI::App& parent, const char* name, const char* text,
                             const std::shared_ptr<Arguments>& arguments,
                             Result<ExitCode> (*work)(const Arguments&)) {
  CLI::App* command = add_command(cli, parent, name, text, arguments, work);
  add_broker_option(*command, arguments->broker);
  return command;
}
/// Connects to `address`, empty for the default. kDisconnected within a second, with what to do, if
/// nobody listens there; a broker that is only slow gets longer. kInvalidArgument.
[[nodiscard]] Result<Client> connect_to(const std::string& address);

/// Takes whole numbers from `least` on.
[[nodiscard]] CLI::Validator at_least(std::int64_t least);
[[nodiscard]] CLI::Validator between(std::int64_t least, std::int64_t most);

/// One line on standard error: "runnel: TEXT".
void note(const std::string& text);

/// Says on standard error when a command that waits has lost the broker, and when it is back.
class ConnectionWatch {
 public:
  /// `client` has to stay alive.
  ConnectionWatch(const Client& client, const std::string& address);
  /// To be called now and then.
  void look();

 private:
  const Client& client_;
  const std::string address_;
  bool lost_ = false;
};

/// Adds --format-like `-o` with "table" (default) and "json".
void add_output_option(CLI::App& command, std::string& output);

/// The client library's outcomes in the form the tools use.
[[nodiscard]] Error to_error(const Failure& failure);
template <class T>
[[nodiscard]] Result<T> settle(Outcome<T> outcome) {
  if (!outcome) return fail(to_error(outcome.error()));
  if constexpr (std::is_void_v<T>) {
    return {};
  } else {
    return std::move(outcome).value();
  }
}

/// "gzip", "snappy", "lz4", "zstd"; anything else is none.
[[nodiscard]] Compression compression_named(std::string_view name) noexcept;
/// What is printed of `record`, as views of the batch it came from.
[[nodiscard]] ShownRecord shown(const Record& record);

/// The topic's state, or kUnknownTopic with how to create it.
[[nodiscard]] Result<TopicState> describe_topic(Client& client, const std::string& topic);

/// kUnknownTopic: there is no such topic, with the nearest name of one that is there, or `advice`.
[[nodiscard]] Error no_topic(Client& client, const std::string& topic, const std::string& advice);

/// From now on the first `taken` SIGINT or SIGTERM are only counted; the one after them ends the
/// process as usual.
void watch_interrupts(int taken = 1);
[[nodiscard]] int interrupts() noexcept;
[[nodiscard]] inline bool interrupted() noexcept {
  return interrupts() > 0;
}

/// Milliseconds since 1970.
[[nodiscard]] std::int64_t now_millis();

/// Writes to standard output; kIo if that fails (a full disk behind a redirection).
[[nodiscard]] Status write_out(std::string_view text);

}  // namespace runnel::tools
