#include "tools/cli.h"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>

namespace runnel::tools {
namespace {

std::atomic<bool> interrupt_seen{false};
static_assert(std::atomic<bool>::is_always_lock_free, "set in a signal handler");

void on_interrupt(int signal) {
  interrupt_seen.store(true);
  // The next one is not ours: somebody wants out now.
  std::signal(signal, SIG_DFL);
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
      ->default_str("127.0.0.1:9092")
      ->type_name("HOST:PORT");
}

void add_output_option(CLI::App& command, std::string& output) {
  command.add_option("-o,--output", output, "table or json")
      ->check(CLI::IsMember({"table", "json"}))
      ->default_str("table")
      ->type_name("KIND");
}

Result<Client> connect_to(const std::string& address) {
  ClientOptions options;
  options.client_name = "runnel-cli";
  return settle(connect(address.empty() ? "127.0.0.1:9092" : address, options));
}

Error to_error(const Failure& failure) {
  // Errc and ErrorCode are the same numbers: those of the wire.
  return {static_cast<ErrorCode>(failure.errc()), failure.message()};
}

Result<TopicState> describe_topic(Client& client, const std::string& topic) {
  RUNNEL_TRY_ASSIGN(auto topics, settle(client.admin().describe_topics({topic}).get()));
  if (topics.empty() || topics.front().error) {
    const bool unknown = topics.empty() || topics.front().error->errc() == Errc::unknown_topic;
    if (!unknown) return fail(to_error(*topics.front().error));
    return fail(ErrorCode::kUnknownTopic,
                "there is no topic '" + topic + "'; create it with: runnel topic create " + topic);
  }
  return std::move(topics.front());
}

void watch_interrupts() {
  std::signal(SIGINT, on_interrupt);
  std::signal(SIGTERM, on_interrupt);
}

bool interrupted() noexcept {
  return interrupt_seen.load();
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
