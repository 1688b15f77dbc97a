// runnel export: a topic's records as files, chunk by chunk, without gap or overlap.
#include <map>
#include <memory>
#include <optional>

#include "protocol/text/units.h"
#include "tools/cli.h"
#include "tools/places.h"
#include "tools/text/progress.h"
#include "tools/transfer/export_directory.h"

namespace runnel::tools {
namespace {

constexpr std::chrono::milliseconds kPollWait{200};
constexpr std::int64_t kLookForPartitionsMillis = 10'000;

struct ExportArguments {
  std::string broker;
  std::string topic;
  std::string out;
  std::string format = "csv";
  std::string columns;
  std::string compression = "none";
  std::string every;
  std::string chunk;
  std::string from = "start";
  bool exit_at_end = false;
  bool skip_lost = false;
};

struct Limits {
  std::int64_t every_millis = 0;  ///< 0: none
  std::uint64_t chunk_bytes = 0;  ///< 0: none
};

Result<Limits> limits_of(const ExportArguments& arguments) {
  Limits limits;
  if (!arguments.every.empty()) {
    const auto every = protocol::parse_duration(arguments.every);
    if (!every) return fail(every.error().within("--every"));
    limits.every_millis = every->count();
    if (limits.every_millis < 1000) {
      return fail(ErrorCode::kInvalidArgument, "--every is at least 1s");
    }
  }
  if (!arguments.chunk.empty()) {
    const auto chunk = protocol::parse_size(arguments.chunk);
    if (!chunk) return fail(chunk.error().within("--chunk"));
    limits.chunk_bytes = *chunk;
    if (limits.chunk_bytes < 1024) {
      return fail(ErrorCode::kInvalidArgument, "--chunk is at least 1KiB");
    }
  }
  if (limits.every_millis == 0 && limits.chunk_bytes == 0 && !arguments.exit_at_end) {
    return fail(ErrorCode::kInvalidArgument,
                "say when a file is complete: --every 5m, --chunk 100MiB, or -e for one file a "
                "partition with what is there now");
  }
  return limits;
}

Result<ExportPlan> plan_of(const ExportArguments& arguments, const Client& client,
                           const TopicState& topic) {
  ExportPlan plan;
  plan.topic = arguments.topic;
  plan.topic_id = topic.id;
  plan.cluster = client.server().cluster_id;
  RUNNEL_TRY_ASSIGN(plan.format, export_format_named(arguments.format));
  RUNNEL_TRY_ASSIGN(plan.codec, file_codec_named(arguments.compression));
  if (plan.format != ExportFormat::kCsv) {
    if (arguments.columns.empty()) return plan;
    return fail(ErrorCode::kInvalidArgument, "--columns is for --format csv");
  }
  RUNNEL_TRY_ASSIGN(plan.columns, parse_columns(arguments.columns));
  return plan;
}

class Exporter {
 public:
  Exporter(Client& client, const ExportArguments& arguments, Limits limits,
           ExportDirectory& directory)
      : client_(client),
        arguments_(arguments),
        limits_(limits),
        directory_(directory),
        watch_(client, arguments.broker),
        consumer_(client.consumer(options())) {}

  /// False: it was interrupted before the end that it was to reach.
  [[nodiscard]] bool complete() const { return !arguments_.exit_at_end || at_end(); }

  /// Whatever ends it, what was read whole is published.
  Status run() {
    const Status status = read();
    const Status published = directory_.publish_all();
    return status ? published : status;
  }

 private:
  static ConsumerOptions options() {
    ConsumerOptions out;
    out.reset = Reset::fail;
    return out;
  }

  Status read() {
    RUNNEL_TRY(look_for_partitions());
    Progress progress("exported", total_, "records");
    while (!interrupted() && !at_end()) {
      auto batch = settle(consumer_.poll(kPollWait).get());
      watch_.look();
      if (!batch && batch.error().code() == ErrorCode::kOffsetOutOfRange) {
        RUNNEL_TRY(start_over());
        continue;
      }
      if (!batch) return fail(batch.error());
      for (const Record& record : *batch) RUNNEL_TRY(take(record));
      progress.update(done_);
      pass_ends();
      RUNNEL_TRY(publish_in_time());
      if (!arguments_.exit_at_end && now_millis() >= look_again_) {
        RUNNEL_TRY(look_for_partitions());
      }
    }
    return {};
  }

  /// Retention has passed the export: as after a start.
  Status start_over() {
    RUNNEL_TRY(directory_.publish_all());
    position_.clear();
    end_.clear();
    return look_for_partitions();
  }

  /// Begins with the topic's partitions, and again where more have come.
  Status look_for_partitions() {
    look_again_ = now_millis() + kLookForPartitionsMillis;
    RUNNEL_TRY_ASSIGN(const auto bounds, bounds_of(client_, arguments_.topic));
    if (bounds.size() == position_.size()) return {};
    RUNNEL_TRY(begin_new(bounds));
    std::vector<std::pair<TopicPartition, Position>> assignment;
    for (const Bounds& one : bounds) {
      const TopicPartition& target = one.target;
      if (!position_.contains(target.partition)) RUNNEL_TRY(go_on(one));
      assignment.emplace_back(target, Position::at(position_[target.partition]));
    }
    return settle(consumer_.assign(std::move(assignment)).get());
  }

  /// `--from` is for the first start alone; a partition that comes later is exported whole.
  Status begin_new(const std::vector<Bounds>& bounds) {
    const bool first = directory_.next().empty();
    RUNNEL_TRY_ASSIGN(const protocol::Place place,
                      protocol::parse_place(first ? arguments_.from : "start", now_millis()));
    RUNNEL_TRY_ASSIGN(const auto from, offsets_at(client_, bounds, place));
    std::map<std::int32_t, std::int64_t> begins;
    for (std::size_t i = 0; i < bounds.size(); ++i) {
      const std::int32_t partition = bounds[i].target.partition;
      if (directory_.next().contains(partition)) continue;
      // Whatever is gone of a new one was never there to be exported.
      begins[partition] = std::max(from[i], bounds[i].start);
    }
    return directory_.begin_at(begins);
  }

  Status go_on(const Bounds& bounds) {
    const std::int32_t partition = bounds.target.partition;
    const std::int64_t next = directory_.next().at(partition);
    if (next < bounds.start) RUNNEL_TRY(lost(bounds, next));
    if (next > bounds.end) {
      return fail(ErrorCode::kInvalidArgument,
                  name_of(partition) + " was exported up to offset " + std::to_string(next) +
                      " and ends at " + std::to_string(bounds.end) +
                      " now, as after a restore; name another directory");
    }
    const std::int64_t at = directory_.next().at(partition);
    position_[partition] = at;
    if (!arguments_.exit_at_end) return {};
    total_ += static_cast<std::uint64_t>(std::max<std::int64_t>(0, bounds.end - at));
    if (at < bounds.end) end_[partition] = bounds.end;
    return {};
  }

  Status lost(const Bounds& bounds, std::int64_t next) {
    const std::string what =
        "the records " + std::to_string(next) + " to " + std::to_string(bounds.start - 1) + " of " +
        name_of(bounds.target.partition) + " were removed before they were exported";
    if (!arguments_.skip_lost) {
      return fail(ErrorCode::kOffsetOutOfRange,
                  what + "; --skip-lost notes that in the manifest and goes on behind them");
    }
    note(what);
    return directory_.skip_to(bounds.target.partition, bounds.start);
  }

  Status take(const Record& record) {
    const auto end = end_.find(record.partition);
    if (arguments_.exit_at_end && (end == end_.end() || record.offset >= end->second)) return {};
    RUNNEL_TRY(directory_.add(shown(record)));
    position_[record.partition] = record.offset + 1;
    ++done_;
    if (limits_.chunk_bytes == 0) return {};
    if (directory_.open_bytes(record.partition) < limits_.chunk_bytes) return {};
    return directory_.publish(record.partition);
  }

  Status publish_in_time() {
    if (limits_.every_millis == 0) return {};
    const std::int64_t period = now_millis() / limits_.every_millis;
    if (period == std::exchange(period_, period)) return {};
    return directory_.publish_all();
  }

  /// The end may lie in a gap of the offsets, where no record says so.
  void pass_ends() {
    std::erase_if(end_, [&](const auto& entry) {
      return consumer_.position({arguments_.topic, entry.first}) >= entry.second;
    });
  }

  [[nodiscard]] bool at_end() const { return arguments_.exit_at_end && end_.empty(); }
  [[nodiscard]] std::string name_of(std::int32_t partition) const {
    return arguments_.topic + "[" + std::to_string(partition) + "]";
  }

  Client& client_;
  const ExportArguments& arguments_;
  const Limits limits_;
  ExportDirectory& directory_;
  ConnectionWatch watch_;
  Consumer consumer_;
  std::map<std::int32_t, std::int64_t> position_;  ///< the next offset to read
  std::map<std::int32_t, std::int64_t> end_;       ///< of the partitions not yet at it, with -e
  std::uint64_t total_ = 0;
  std::uint64_t done_ = 0;
  std::int64_t look_again_ = 0;
  std::int64_t period_ = limits_.every_millis > 0 ? now_millis() / limits_.every_millis : 0;
};

Result<ExitCode> run(const ExportArguments& arguments) {
  RUNNEL_TRY_ASSIGN(const Limits limits, limits_of(arguments));
  watch_interrupts();
  RUNNEL_TRY_ASSIGN(auto client, connect_to(arguments.broker));
  RUNNEL_TRY_ASSIGN(const TopicState topic, describe_topic(client, arguments.topic));
  RUNNEL_TRY_ASSIGN(const ExportPlan plan, plan_of(arguments, client, topic));
  RUNNEL_TRY_ASSIGN(const auto directory, ExportDirectory::open(arguments.out, plan));
  Exporter exporter(client, arguments, limits, *directory);
  const Status status = exporter.run();
  note("exported " + std::to_string(directory->records()) + " records in " +
       std::to_string(directory->files()) + " files to " + arguments.out);
  if (directory->unreadable() > 0) {
    note(std::to_string(directory->unreadable()) +
         " of the records are no JSON: their cells of JSON paths are empty");
  }
  if (!status) return fail(status.error());
  return exporter.complete() ? ExitCode::kOk : ExitCode::kInterrupted;
}

}  // namespace

void add_export(Cli& cli) {
  const auto arguments = std::make_shared<ExportArguments>();
  CLI::App* command = cli.app.add_subcommand(
      "export", "Write a topic to files; stopped and started again it goes on where it was");
  add_broker_option(*command, arguments->broker);
  command->add_option("topic", arguments->topic, "Topic")->required()->type_name("TOPIC");
  command->add_option("--out", arguments->out, "Directory of the files and their manifest")
      ->required()
      ->type_name("DIR");
  command->add_option("--format", arguments->format, "What the files hold")
      ->check(CLI::IsMember({"csv", "jsonl", "batch"}))
      ->default_str("csv")
      ->type_name("FORMAT");
  command
      ->add_option("--columns", arguments->columns,
                   "Columns of CSV, comma-separated: partition, offset, timestamp, key, value, "
                   "headers, or JSON paths of the value as in amount=.amount [the first six]")
      ->type_name("COLUMNS");
  command->add_option("-z,--compression", arguments->compression, "Of the files")
      ->check(CLI::IsMember({"none", "gzip", "zstd"}))
      ->default_str("none")
      ->type_name("CODEC");
  command->add_option("--every", arguments->every, "Complete the files at each multiple of this")
      ->type_name("DURATION");
  command->add_option("--chunk", arguments->chunk, "Complete a file that is this large, unpacked")
      ->type_name("SIZE");
  command
      ->add_option("--from", arguments->from, "Where a partition's first file begins: as `consume`")
      ->default_str("start")
      ->type_name("PLACE");
  command->add_flag("-e,--exit", arguments->exit_at_end, "Stop at the end instead of waiting");
  command->add_flag("--skip-lost", arguments->skip_lost,
                    "Go on where retention was faster than the export, and note it");
  command->callback([&cli, arguments] { cli.action = [arguments] { return run(*arguments); }; });
}

}  // namespace runnel::tools
