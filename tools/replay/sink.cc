#include "tools/replay/sink.h"

#include <sys/wait.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "tools/cli.h"

namespace runnel::tools {
namespace {

/// One write takes records of about so many bytes, or so many records.
constexpr std::size_t kWriteBytes = 1u << 20;
constexpr std::size_t kWriteRecords = 5'000;

class TopicSink final : public ReplaySink {
 public:
  explicit TopicSink(TopicSinkOptions options) : options_(std::move(options)) {}

  Status take(std::span<const ShownRecord> records, ReplaySession& session) override {
    Transaction write;
    std::size_t bytes = 0;
    std::size_t count = 0;
    for (const ShownRecord& record : records) {
      add(record, session.name(), write);
      session.pass({std::string(record.topic), record.partition}, record.offset + 1);
      bytes += record.value.value_or("").size() + record.key.value_or("").size();
      if (++count < kWriteRecords && bytes < kWriteBytes) continue;
      RUNNEL_TRY(session.commit(std::exchange(write, Transaction())));
      bytes = count = 0;
    }
    if (count == 0) return {};
    return session.commit(std::move(write));
  }

 private:
  void add(const ShownRecord& record, const std::string& name, Transaction& write) {
    headers_.clear();
    for (const auto& [key, value] : record.headers) {
      // Replayed before: the newest mark counts.
      if (!key.starts_with("runnel.replay")) headers_.push_back({key, value});
    }
    const std::string origin = std::string(record.topic) + "/" + std::to_string(record.partition) +
                               "/" + std::to_string(record.offset);
    headers_.push_back({"runnel.replay", name});
    headers_.push_back({"runnel.replay.origin", origin});
    Message message;
    message.topic = options_.topic;
    message.key = record.key;
    message.value = record.value;
    message.headers = headers_;
    message.timestamp = Time(std::chrono::milliseconds(record.timestamp));
    message.partition = options_.by_key && record.key
                            ? partition_for_key(*record.key, options_.partitions)
                            : record.partition % options_.partitions;
    write.add(message);
  }

  const TopicSinkOptions options_;
  std::vector<Header> headers_;
};

class PrintSink final : public ReplaySink {
 public:
  explicit PrintSink(RecordWriter writer) : writer_(std::move(writer)) {}

  Status take(std::span<const ShownRecord> records, ReplaySession& session) override {
    out_.clear();
    for (const ShownRecord& record : records) writer_.add(record, out_);
    if (!out_.empty()) RUNNEL_TRY(write_out(out_));
    for (const ShownRecord& record : records) {
      session.pass({std::string(record.topic), record.partition}, record.offset + 1);
    }
    return {};
  }

  Status finish() override {
    out_.clear();
    writer_.finish(out_);
    return out_.empty() ? Status() : write_out(out_);
  }

 private:
  RecordWriter writer_;
  std::string out_;
};

class CommandSink final : public ReplaySink {
 public:
  explicit CommandSink(std::string command) : command_(std::move(command)) {}

  Status take(std::span<const ShownRecord> records, ReplaySession& session) override {
    ::setenv("RUNNEL_REPLAY", session.name().c_str(), 1);
    for (const ShownRecord& record : records) {
      if (interrupted()) return {};
      RUNNEL_TRY(run(record));
      session.pass({std::string(record.topic), record.partition}, record.offset + 1);
      RUNNEL_TRY(session.commit());
    }
    return {};
  }

 private:
  Status run(const ShownRecord& record) const {
    std::string json;
    append_json(record, json);
    json += '\n';
    const auto restore = std::signal(SIGPIPE, SIG_IGN);  // a command need not read its input
    FILE* const child = ::popen(command_.c_str(), "we");
    if (child == nullptr) return fail(ErrorCode::kIo, "cannot start '" + command_ + "'");
    std::fwrite(json.data(), 1, json.size(), child);
    const int ended = ::pclose(child);
    std::signal(SIGPIPE, restore);
    if (ended == 0) return {};
    const std::string how = WIFEXITED(ended) ? "exit code " + std::to_string(WEXITSTATUS(ended))
                                             : "signal " + std::to_string(WTERMSIG(ended));
    return fail(ErrorCode::kIo,
                "'" + command_ + "' ended with " + how + " at " + std::string(record.topic) + "[" +
                    std::to_string(record.partition) + "] offset " + std::to_string(record.offset) +
                    "; the replay goes on there when it is run again");
  }

  const std::string command_;
};

}  // namespace

std::unique_ptr<ReplaySink> topic_sink(TopicSinkOptions options) {
  return std::make_unique<TopicSink>(std::move(options));
}
std::unique_ptr<ReplaySink> print_sink(RecordWriter writer) {
  return std::make_unique<PrintSink>(std::move(writer));
}
std::unique_ptr<ReplaySink> command_sink(std::string command) {
  return std::make_unique<CommandSink>(std::move(command));
}

}  // namespace runnel::tools
