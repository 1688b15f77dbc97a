#include "tools/replay/receivers.h"

#include <sys/wait.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "tools/cli.h"

namespace runnel::tools {
namespace {

/// Standard output is written to in pieces of about this size.
constexpr std::size_t kPrintBytes = 1u << 20;

}  // namespace

Status RecordPrinter::print(std::span<const Record> records) {
  out_.clear();
  for (const Record& record : records) {
    writer_.add(shown(record), out_);
    if (out_.size() < kPrintBytes) continue;
    RUNNEL_TRY(write_out(out_));
    out_.clear();
  }
  return out_.empty() ? Status() : write_out(out_);
}

Status RecordPrinter::finish() {
  out_.clear();
  writer_.finish(out_);
  return out_.empty() ? Status() : write_out(out_);
}

Status run_command(const std::string& command, const std::string& replay, const Record& record) {
  ::setenv("RUNNEL_REPLAY", replay.c_str(), 1);
  std::string json;
  append_json(shown(record), json);
  json += '\n';
  // A command need not read its input. A handler, unlike SIG_IGN, is not handed down to it.
  const auto restore = std::signal(SIGPIPE, [](int) {});
  FILE* const child = ::popen(command.c_str(), "we");
  if (child == nullptr) return fail(ErrorCode::kIo, "cannot start '" + command + "'");
  std::fwrite(json.data(), 1, json.size(), child);
  const int ended = ::pclose(child);
  std::signal(SIGPIPE, restore);
  if (ended == 0) return {};
  const std::string how = WIFEXITED(ended) ? "exit code " + std::to_string(WEXITSTATUS(ended))
                                           : "signal " + std::to_string(WTERMSIG(ended));
  return fail(ErrorCode::kIo,
              "'" + command + "' ended with " + how + " at " + std::string(record.topic) + "[" +
                  std::to_string(record.partition) + "] offset " + std::to_string(record.offset) +
                  "; the replay goes on there when it is run again");
}

}  // namespace runnel::tools
