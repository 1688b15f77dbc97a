// runnel import: what `runnel export` wrote becomes records again, each once.
#include <atomic>
#include <memory>
#include <mutex>
#include <optional>

#include "protocol/text/units.h"
#include "tools/cli.h"
#include "tools/text/progress.h"
#include "tools/transfer/export_directory.h"

namespace runnel::tools {
namespace {

constexpr std::chrono::milliseconds kLookEvery{200};
/// Begins the source of the records' dedup keys; the ids of both topics follow, as the keys are the
/// whole store's.
constexpr std::string_view kDedupSource = "runnel-export:";

struct ImportArguments {
  std::string broker;
  std::string topic;
  std::string directory;
  std::string compression = "none";
  bool by_key = false;
};

/// What became of the records. Callbacks of the client report from its I/O thread.
class Tally {
 public:
  void take(const Outcome<Delivery>& outcome) {
    if (outcome) {
      ++(outcome->duplicate ? known_ : stored_);
      return;
    }
    const std::lock_guard lock(mutex_);
    if (!failure_) failure_ = to_error(outcome.error());
    failed_ = true;
  }
  [[nodiscard]] bool failed() const { return failed_; }
  [[nodiscard]] std::uint64_t stored() const { return stored_; }
  [[nodiscard]] std::uint64_t known() const { return known_; }
  [[nodiscard]] Status status() const {
    const std::lock_guard lock(mutex_);
    if (failure_) return fail(*failure_);
    return {};
  }

 private:
  std::atomic<std::uint64_t> stored_ = 0;
  std::atomic<std::uint64_t> known_ = 0;
  std::atomic<bool> failed_ = false;
  mutable std::mutex mutex_;
  std::optional<Error> failure_;
};

/// Every file is there and is what it was, before the first record is sent.
Status verify(const ImportArguments& arguments, const Manifest& manifest) {
  std::uint64_t total = 0;
  for (const ExportEntry& entry : manifest.entries) total += entry.sum.bytes;
  Progress progress("verified", total, "bytes");
  std::uint64_t done = 0;
  for (const ExportEntry& entry : manifest.entries) {
    if (entry.file.empty()) continue;
    const std::string path = arguments.directory + "/" + entry.file;
    RUNNEL_TRY_ASSIGN(const FileSum sum, sum_of(path));
    if (sum.bytes != entry.sum.bytes || sum.xxh3 != entry.sum.xxh3) {
      return fail(ErrorCode::kCorrupt, path + " is not what was exported: " +
                                           std::to_string(sum.bytes) + " bytes, XXH3 " + sum.xxh3 +
                                           " instead of " + std::to_string(entry.sum.bytes) + ", " +
                                           entry.sum.xxh3 + "; nothing was imported");
    }
    done += sum.bytes;
    progress.update(done);
  }
  return {};
}

class Importer {
 public:
  Importer(Client& client, const ImportArguments& arguments, const Manifest& manifest,
           const TopicState& topic, Producer producer, std::shared_ptr<Tally> tally)
      : arguments_(arguments),
        manifest_(manifest),
        producer_(std::move(producer)),
        tally_(std::move(tally)),
        watch_(client, arguments.broker),
        source_(std::string(kDedupSource) + manifest.plan.topic_id + ">" + topic.id) {}

  Status run() {
    std::uint64_t total = 0;
    for (const ExportEntry& entry : manifest_.entries) total += entry.records;
    Progress progress("imported", total, "records");
    for (const ExportEntry& entry : manifest_.entries) {
      if (entry.file.empty()) continue;
      const std::string path = arguments_.directory + "/" + entry.file;
      RUNNEL_TRY_ASSIGN(const auto in, open_compressed(path, manifest_.plan.codec));
      const Status status = decode_records(*in, manifest_.plan.format, manifest_.plan.columns,
                                           [&](const StoredRecord& record) {
                                             progress.update(++sent_);
                                             return send(entry.partition, record);
                                           });
      if (interrupted()) break;
      if (!status) return fail(Error(status.error()).within(path));
    }
    return finish();
  }

 private:
  Status send(std::int32_t partition, const StoredRecord& record) {
    std::vector<Header> headers;
    for (const auto& [key, value] : record.headers) headers.push_back({key, value});
    const std::string source_id = std::to_string(partition);
    const std::string data_id = std::to_string(record.offset);
    Message message;
    message.topic = arguments_.topic;
    message.key = record.key;
    message.value = record.value;
    message.headers = headers;
    if (!arguments_.by_key) message.partition = partition;
    message.timestamp = Time(std::chrono::milliseconds(record.timestamp));
    message.dedup = DedupKey{source_, source_id, data_id};
    while (!offer(message)) watch_.look();
    if (interrupted()) return fail(ErrorCode::kCancelled, "interrupted");
    return tally_->status();
  }

  /// False if the producer had no room in time.
  bool offer(const Message& message) {
    const auto no_room = std::make_shared<std::atomic<bool>>(false);
    const auto self = std::this_thread::get_id();
    producer_.send(message, [tally = tally_, no_room, self](const Outcome<Delivery>& outcome) {
      // Only a full buffer answers on the thread that sends, and before send() returns.
      if (!outcome && std::this_thread::get_id() == self) {
        *no_room = true;
      } else {
        tally->take(outcome);
      }
    });
    return !*no_room || interrupted() || tally_->failed();
  }

  Status finish() {
    auto flushed = producer_.flush_async();
    while (true) {
      const Outcome<void> outcome = flushed.get_for(kLookEvery);
      if (outcome || outcome.error().errc() != Errc::timeout) break;
      watch_.look();
    }
    return tally_->status();
  }

  const ImportArguments& arguments_;
  const Manifest& manifest_;
  Producer producer_;
  std::shared_ptr<Tally> tally_;
  ConnectionWatch watch_;
  const std::string source_;
  std::uint64_t sent_ = 0;
};

Status check_partitions(const ImportArguments& arguments, const Manifest& manifest,
                        const TopicState& topic) {
  if (arguments.by_key) return {};
  for (const ExportEntry& entry : manifest.entries) {
    if (static_cast<std::size_t>(entry.partition) < topic.partitions.size()) continue;
    return fail(ErrorCode::kInvalidArgument,
                "the export has a partition " + std::to_string(entry.partition) + " and topic " +
                    arguments.topic + " only " + std::to_string(topic.partitions.size()) +
                    "; add partitions with `runnel topic alter`, or let the keys decide with "
                    "--by-key");
  }
  return {};
}

/// Retention goes by the records' own timestamps: what is older goes soon after it has come.
void warn_of_retention(const Manifest& manifest, const TopicState& topic) {
  constexpr std::int64_t kDefaultMillis = 7LL * 24 * 3600 * 1000;
  std::int64_t kept = kDefaultMillis;
  for (const auto& [name, value] : topic.configs) {
    if (name != "retention.ms") continue;
    if (const auto millis = protocol::parse_integer(value)) kept = *millis;
  }
  if (kept < 0) return;
  std::uint64_t old = 0;
  for (const ExportEntry& entry : manifest.entries) {
    if (!entry.file.empty() && entry.first_time < now_millis() - kept) ++old;
  }
  if (old == 0) return;
  note(std::to_string(old) + " files hold records older than " +
       protocol::format_duration(std::chrono::milliseconds(kept)) + ", the retention of " +
       topic.name + (kept == kDefaultMillis ? " unless the broker's default is another" : "") +
       ": they are removed again soon. `runnel topic alter " + topic.name +
       " --retention ...` keeps them");
}

Result<ExitCode> run(const ImportArguments& arguments) {
  watch_interrupts();
  RUNNEL_TRY_ASSIGN(const Manifest manifest, read_manifest(arguments.directory));
  RUNNEL_TRY_ASSIGN(auto client, connect_to(arguments.broker));
  RUNNEL_TRY_ASSIGN(const TopicState topic, describe_topic(client, arguments.topic));
  RUNNEL_TRY(check_partitions(arguments, manifest, topic));
  RUNNEL_TRY(verify(arguments, manifest));
  warn_of_retention(manifest, topic);
  ProducerOptions options;
  options.compression = compression_named(arguments.compression);
  options.send_timeout = kLookEvery;  // Importer tries again
  const auto tally = std::make_shared<Tally>();
  const Status status =
      Importer(client, arguments, manifest, topic, client.producer(options), tally).run();
  note("imported " + std::to_string(tally->stored()) + " records; " +
       std::to_string(tally->known()) + " were there already");
  if (!status) return fail(status.error());
  return interrupted() ? ExitCode::kInterrupted : ExitCode::kOk;
}

}  // namespace

void add_import(Cli& cli) {
  const auto arguments = std::make_shared<ImportArguments>();
  CLI::App* command = cli.app.add_subcommand(
      "import", "Write exported records into a topic; repeated, it adds only what is missing");
  add_broker_option(*command, arguments->broker);
  command->add_option("topic", arguments->topic, "Topic to write to")
      ->required()
      ->type_name("TOPIC");
  command->add_option("directory", arguments->directory, "What `runnel export` wrote")
      ->required()
      ->type_name("DIR");
  command->add_flag("--by-key", arguments->by_key,
                    "Let keys choose the partitions instead of keeping them");
  command->add_option("-z,--compression", arguments->compression, "Of the batches")
      ->check(CLI::IsMember({"none", "gzip", "snappy", "lz4", "zstd"}))
      ->default_str("none")
      ->type_name("CODEC");
  command->callback([&cli, arguments] { cli.action = [arguments] { return run(*arguments); }; });
}

}  // namespace runnel::tools
