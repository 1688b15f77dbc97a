#include "tools/replay/sink.h"

#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <map>

#include "tools/cli.h"

namespace runnel::tools {
namespace {

/// One write takes records of about so many bytes for each partition, or so many records in all.
constexpr std::size_t kWriteBytes = 512u << 10;
constexpr std::size_t kWriteRecords = 5'000;

/// Of a record in a batch, at most: lengths, deltas, attributes.
constexpr std::size_t kRecordOverhead = 40;
/// Of a header: two lengths.
constexpr std::size_t kHeaderOverhead = 10;

std::size_t size_of(const ShownRecord& record, std::size_t mark_bytes) {
  std::size_t size = kRecordOverhead + record.key.value_or("").size() +
                     record.value.value_or("").size() + mark_bytes;
  for (const auto& [key, value] : record.headers) {
    size += kHeaderOverhead + key.size() + value.value_or("").size();
  }
  return size;
}

class TopicSink final : public ReplaySink {
 public:
  explicit TopicSink(TopicSinkOptions options)
      : options_(std::move(options)),
        most_bytes_(std::min<std::size_t>(kWriteBytes, options_.max_message_bytes / 2)) {}

  Status take(std::span<const ShownRecord> records, ReplaySession& session) override {
    Transaction write;
    std::map<std::int32_t, std::size_t> bytes;  // of the batch for each partition
    std::size_t count = 0;
    // The headers that each record gets: their names, the mark, the origin.
    constexpr std::size_t kMarkBytes = 64;
    for (const ShownRecord& record : records) {
      const std::int32_t partition = partition_of(record);
      const std::size_t size =
          size_of(record, kMarkBytes + options_.mark.size() + record.topic.size());
      const bool full = count >= kWriteRecords || bytes[partition] + size > most_bytes_;
      if (count > 0 && full) {
        RUNNEL_TRY(session.commit(std::exchange(write, Transaction())));
        bytes.clear();
        count = 0;
      }
      add(record, partition, write);
      session.pass({std::string(record.topic), record.partition}, record.offset + 1);
      bytes[partition] += size;
      ++count;
    }
    if (count == 0) return {};
    return session.commit(std::move(write));
  }

 private:
  [[nodiscard]] std::int32_t partition_of(const ShownRecord& record) const {
    return options_.by_key && record.key ? partition_for_key(*record.key, options_.partitions)
                                         : record.partition % options_.partitions;
  }

  void add(const ShownRecord& record, std::int32_t partition, Transaction& write) {
    headers_.clear();
    for (const auto& [key, value] : record.headers) {
      // Replayed before: the newest mark counts.
      if (!key.starts_with("runnel.replay")) headers_.push_back({key, value});
    }
    const std::string origin = std::string(record.topic) + "/" + std::to_string(record.partition) +
                               "/" + std::to_string(record.offset);
    headers_.push_back({"runnel.replay", options_.mark});
    headers_.push_back({"runnel.replay.origin", origin});
    Message message;
    message.topic = options_.topic;
    message.key = record.key;
    message.value = record.value;
    message.headers = headers_;
    message.timestamp = Time(std::chrono::milliseconds(record.timestamp));
    message.partition = partition;
    write.add(message);
  }

  const TopicSinkOptions options_;
  const std::size_t most_bytes_;
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
    // A command need not read its input. A handler, unlike SIG_IGN, is not handed down to it.
    const auto restore = std::signal(SIGPIPE, [](int) {});
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
