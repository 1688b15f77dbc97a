#include "tools/cli.h"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <utility>

#include "protocol/text/units.h"
#include "tools/text/address.h"

namespace runnel::tools {
namespace {

/// Long enough for a broker on this machine to answer; short enough to hear that there is none.
constexpr std::chrono::milliseconds kFirstTry{1000};

std::atomic<int> interrupts_seen{0};
std::atomic<int> interrupts_taken{1};
static_assert(std::atomic<int>::is_always_lock_free, "changed in a signal handler");

void on_interrupt(int) {
  if (++interrupts_seen < interrupts_taken) return;
  // The next one is not ours: somebody wants out now.
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
}

}  // namespace

ExitCode exit_code_for(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::kOk:
      return ExitCode::kOk;
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kInvalidConfig:
    case ErrorCode::kInvalidTopicName:
      return ExitCode::kUsage;
    case ErrorCode::kDisconnected:
    case ErrorCode::kVersionMismatch:
      return ExitCode::kNoConnection;
    case ErrorCode::kNotFound:
    case ErrorCode::kUnknownTopic:
    case ErrorCode::kUnknownPartition:
    case ErrorCode::kUnknownGroup:
      return ExitCode::kNotFound;
    case ErrorCode::kCorrupt:
    case ErrorCode::kMalformed:
    case ErrorCode::kFormatTooNew:
      return ExitCode::kDamaged;
    case ErrorCode::kLocked:
      return ExitCode::kLocked;
    case ErrorCode::kTimeout:
      return ExitCode::kTimeout;
    case ErrorCode::kLowSpace:
    case ErrorCode::kOverloaded:
    case ErrorCode::kShuttingDown:
    case ErrorCode::kRebalancing:
      return ExitCode::kTryAgain;
    case ErrorCode::kTopicExists:
    case ErrorCode::kGroupNotEmpty:
    case ErrorCode::kRecordTooLarge:
    case ErrorCode::kPreconditionFailed:
    case ErrorCode::kFenced:
    case ErrorCode::kDedupConflict:
    case ErrorCode::kPartialDuplicate:
    case ErrorCode::kOffsetOutOfRange:
    case ErrorCode::kTooManyPartitions:
    case ErrorCode::kUnauthorized:
    case ErrorCode::kUnsupported:
      return ExitCode::kRefused;
    default:
      return ExitCode::kFailed;
  }
}

std::string_view program_version() noexcept {
  return RUNNEL_VERSION;
}

void add_broker_option(CLI::App& command, std::string& address) {
  command.add_option("-b,--broker", address, "Broker to talk to")
      ->envname("RUNNEL_BROKER")
      ->default_str(std::string(kDefaultBroker))
      ->type_name("HOST:PORT");
}

void add_output_option(CLI::App& command, std::string& output) {
  command.add_option("-o,--output", output, "table or json")
      ->check(CLI::IsMember({"table", "json"}))
      ->default_str("table")
      ->type_name("KIND");
}

Result<Client> connect_to(const std::string& address) {
  const std::string broker = address.empty() ? std::string(kDefaultBroker) : address;
  RUNNEL_TRY(check_broker_address(broker));
  ClientOptions options;
  options.client_name = "runnel-cli";
  const auto patience = std::exchange(options.connect_timeout, kFirstTry);
  auto client = connect(broker, options);
  const bool nobody =
      !client && client.error().errc() == Errc::disconnected &&
      client.error().message().find(std::strerror(ECONNREFUSED)) != std::string::npos;
  if (nobody) {
    return fail(ErrorCode::kDisconnected,
                "no broker listens at " + broker +
                    "; start one with `runnel serve`, or `runnel dev` to try things, or name "
                    "another one with -b HOST:PORT or RUNNEL_BROKER");
  }
  // Waiting longer does not give a name an address.
  const bool nameless =
      !client && client.error().message().find("cannot be resolved") != std::string::npos;
  if (nameless) {
    return fail(ErrorCode::kDisconnected, client.error().message() +
                                              "; name the broker's machine with -b HOST:PORT or "
                                              "RUNNEL_BROKER");
  }
  if (!client && client.error().errc() == Errc::disconnected) {
    note(client.error().message() + "; waiting up to " + protocol::format_duration(patience) +
         " longer");
    options.connect_timeout = patience;
    client = connect(broker, options);
  }
  return settle(std::move(client));
}

CLI::Validator between(std::int64_t least, std::int64_t most) {
  const auto check = [least, most](const std::string& text) -> std::string {
    const auto number = protocol::parse_integer(text);
    if (number && *number >= least && *number <= most) return "";
    return "'" + text + "' is not a whole number from " + std::to_string(least) + " to " +
           std::to_string(most);
  };
  return {check, ""};
}

CLI::Validator at_least(std::int64_t least) {
  const auto check = [least](const std::string& text) -> std::string {
    const auto number = protocol::parse_integer(text);
    if (number && *number >= least) return "";
    return "'" + text + "' is not a whole number of at least " + std::to_string(least);
  };
  return {check, ""};
}

void note(const std::string& text) {
  std::fprintf(stderr, "runnel: %s\n", text.c_str());
}

ConnectionWatch::ConnectionWatch(const Client& client, const std::string& address)
    : client_(client), address_(address.empty() ? std::string(kDefaultBroker) : address) {}

void ConnectionWatch::look() {
  const bool lost = !client_.connected();
  if (lost == std::exchange(lost_, lost)) return;
  note(lost ? "lost the connection to " + address_ + ", reconnecting" : "connected again");
}

Error to_error(const Failure& failure) {
  // Errc and ErrorCode are the same numbers: those of the wire.
  return {static_cast<ErrorCode>(failure.errc()), failure.message()};
}

Error no_topic(Client& client, const std::string& topic, const std::string& advice) {
  std::vector<std::string_view> names;
  const auto topics = client.admin().list_topics().get();
  if (topics) {
    for (const TopicState& one : *topics) names.emplace_back(one.name);
  }
  const std::string_view near = protocol::nearest(topic, names);
  return {ErrorCode::kUnknownTopic,
          "there is no topic '" + topic + "'; " +
              (near.empty() ? advice : "did you mean '" + std::string(near) + "'? Else " + advice)};
}

Compression compression_named(std::string_view name) noexcept {
  if (name == "gzip") return Compression::gzip;
  if (name == "snappy") return Compression::snappy;
  if (name == "lz4") return Compression::lz4;
  return name == "zstd" ? Compression::zstd : Compression::none;
}

ShownRecord shown(const Record& record) {
  ShownRecord out;
  out.topic = record.topic;
  out.partition = record.partition;
  out.offset = record.offset;
  out.timestamp = record.timestamp.time_since_epoch().count();
  out.key = record.key;
  out.value = record.value;
  for (const Header& header : record.headers) out.headers.emplace_back(header.key, header.value);
  return out;
}

Result<TopicState> describe_topic(Client& client, const std::string& topic) {
  RUNNEL_TRY_ASSIGN(auto topics, settle(client.admin().describe_topics({topic}).get()));
  if (topics.empty() || topics.front().error) {
    const bool unknown = topics.empty() || topics.front().error->errc() == Errc::unknown_topic;
    if (!unknown) return fail(to_error(*topics.front().error));
    return fail(no_topic(client, topic, "create it with: runnel topic create " + topic));
  }
  return std::move(topics.front());
}

void watch_interrupts(int taken) {
  interrupts_taken.store(taken);
  std::signal(SIGINT, on_interrupt);
  std::signal(SIGTERM, on_interrupt);
}

int interrupts() noexcept {
  return interrupts_seen.load();
}

std::int64_t now_millis() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

Status write_out(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0) {
    return {};
  }
  return fail(ErrorCode::kIo,
              "cannot write to standard output: " + std::string(std::strerror(errno)));
}

}  // namespace runnel::tools
