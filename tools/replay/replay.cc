// runnel replay: a range of the log once more, into a topic, a command or standard output, at a set
// rate; or a group's offsets moved back to it.
#include <memory>
#include <thread>

#include "tools/cli.h"
#include "tools/group_seek.h"
#include "tools/places.h"
#include "tools/replay/session.h"
#include "tools/replay/sink.h"
#include "tools/text/progress.h"
#include "tools/text/record_format.h"
#include "tools/text/table.h"
#include "tools/text/units.h"
#include "tools/text/where.h"
#include "tools/transfer/pace.h"

namespace runnel::tools {
namespace {

constexpr std::chrono::milliseconds kPollWait{200};
constexpr std::chrono::milliseconds kNap{100};
constexpr std::int64_t kCommitEveryMillis = 1000;

struct ReplayArguments {
  std::string broker;
  std::string topic;
  std::vector<std::int32_t> partitions;
  std::string from = "start";
  std::string to;
  std::string into = "stdout";
  std::vector<std::string> where;
  std::string rate;
  std::string name;
  std::string format;
  std::string output;
  bool by_key = false;
  bool dry_run = false;
  bool execute = false;
};

/// What `--into` says.
struct Target {
  enum class Kind { kStandardOutput, kTopic, kGroup, kCommand };
  Kind kind = Kind::kStandardOutput;
  std::string name;
};

Target target_of(const std::string& into) {
  if (into == "stdout") return {};
  if (into.starts_with("topic:")) return {Target::Kind::kTopic, into.substr(6)};
  if (into.starts_with("group:")) return {Target::Kind::kGroup, into.substr(6)};
  if (into.starts_with("exec:")) return {Target::Kind::kCommand, into.substr(5)};
  return {Target::Kind::kTopic, into};
}

/// What makes two runs the same replay.
std::string plan_text(const ReplayArguments& arguments) {
  std::string text = arguments.topic + '\n' + arguments.from + '\n' + arguments.to + '\n' +
                     arguments.into + '\n' + (arguments.by_key ? "by key" : "");
  for (const std::int32_t partition : arguments.partitions)
    text += '\n' + std::to_string(partition);
  for (const std::string& condition : arguments.where) text += '\n' + condition;
  return text;
}

Result<std::uint64_t> max_message_bytes(const TopicState& topic) {
  constexpr std::uint64_t kDefault = 1'048'588;  // Kafka's and ours
  for (const auto& [name, value] : topic.configs) {
    if (name != "max.message.bytes") continue;
    RUNNEL_TRY_ASSIGN(const std::int64_t bytes, parse_integer(value));
    return static_cast<std::uint64_t>(bytes);
  }
  return kDefault;
}

Result<std::unique_ptr<ReplaySink>> into_topic(Client& client, const ReplayArguments& arguments,
                                               const std::string& name) {
  if (name == arguments.topic) {
    return fail(ErrorCode::kInvalidArgument,
                "topic " + name + " would be replayed into itself; name another topic");
  }
  RUNNEL_TRY_ASSIGN(const auto source, describe_topic(client, arguments.topic));
  RUNNEL_TRY_ASSIGN(const auto topic, describe_topic(client, name));
  if (!arguments.by_key && topic.partitions.size() < source.partitions.size()) {
    return fail(ErrorCode::kInvalidArgument,
                "topic " + arguments.topic + " has " + std::to_string(source.partitions.size()) +
                    " partitions and " + name + " only " + std::to_string(topic.partitions.size()) +
                    "; add partitions with `runnel topic alter`, or let the keys decide with "
                    "--by-key");
  }
  const std::string mark = arguments.name.empty()
                               ? arguments.topic + "-" + std::to_string(now_millis())
                               : arguments.name;
  RUNNEL_TRY_ASSIGN(const std::uint64_t largest, max_message_bytes(topic));
  return topic_sink(
      {name, static_cast<std::int32_t>(topic.partitions.size()), arguments.by_key, largest, mark});
}

Result<std::unique_ptr<ReplaySink>> sink_of(Client& client, const ReplayArguments& arguments) {
  const Target target = target_of(arguments.into);
  const bool prints = target.kind == Target::Kind::kStandardOutput;
  if (!prints && (!arguments.format.empty() || !arguments.output.empty())) {
    return fail(ErrorCode::kInvalidArgument, "-f and -o are for --into stdout");
  }
  if (target.kind == Target::Kind::kTopic) return into_topic(client, arguments, target.name);
  if (target.kind == Target::Kind::kCommand) return command_sink(target.name);
  RUNNEL_TRY_ASSIGN(auto writer, make_writer(arguments.format, arguments.output));
  return print_sink(std::move(writer));
}

class Replay {
 public:
  Replay(Client& client, const ReplayArguments& arguments, ReplaySession& session, Where where,
         Pace pace, ReplaySink& sink)
      : session_(session),
        where_(std::move(where)),
        pace_(pace),
        sink_(sink),
        watch_(client, arguments.broker),
        consumer_(client.consumer(options())) {}

  Status run() {
    const Status status = read();
    const Status finished = sink_.finish();
    if (!status) return fail(status.error());
    if (session_.has_name() && session_.behind()) RUNNEL_TRY(session_.commit());
    return finished;
  }

  [[nodiscard]] std::uint64_t replayed() const { return replayed_; }
  [[nodiscard]] std::uint64_t unreadable() const { return unreadable_; }
  [[nodiscard]] bool complete() const {
    return std::all_of(session_.left().begin(), session_.left().end(), at_end);
  }

 private:
  static ConsumerOptions options() {
    ConsumerOptions out;
    out.reset = Reset::fail;
    return out;
  }
  static bool at_end(const std::pair<const TopicPartition, Span>& entry) {
    return entry.second.from >= *entry.second.to;
  }

  Status read() {
    std::vector<std::pair<TopicPartition, Position>> assignment;
    for (const auto& [target, span] : session_.left()) {
      if (span.from < *span.to) assignment.emplace_back(target, Position::at(span.from));
    }
    if (assignment.empty()) return {};
    RUNNEL_TRY(settle(consumer_.assign(std::move(assignment)).get()));
    Progress progress("replayed", session_.total(), "offsets");
    while (!complete() && !interrupted()) {
      const auto batch = settle(consumer_.poll(kPollWait).get());
      watch_.look();
      if (!batch) return fail(batch.error());
      RUNNEL_TRY(replay(*batch));
      if (!interrupted()) pass_gaps();
      progress.update(passed_);
      const bool due = now_millis() - committed_at_ >= kCommitEveryMillis;
      if (due && session_.has_name() && session_.behind()) {
        RUNNEL_TRY(session_.commit());
        committed_at_ = now_millis();
      }
    }
    return {};
  }

  Status replay(const Batch& batch) {
    chosen_.clear();
    std::uint64_t bytes = 0;
    for (const Record& record : batch) {
      const auto& span = session_.left().at({std::string(record.topic), record.partition});
      if (record.offset < span.from || record.offset >= *span.to) continue;
      ShownRecord view = shown(record);
      const Where::Verdict verdict = where_.judge(view);
      if (verdict == Where::Verdict::kUnreadable) ++unreadable_;
      if (verdict != Where::Verdict::kHolds) continue;
      bytes += view.key.value_or("").size() + view.value.value_or("").size();
      chosen_.push_back(std::move(view));
    }
    // In slices, so that a low rate is even.
    const std::size_t slice = slice_of(chosen_.size(), bytes);
    for (std::size_t at = 0; at < chosen_.size() && !interrupted(); at += slice) {
      const auto part = std::span(chosen_).subspan(at, std::min(slice, chosen_.size() - at));
      RUNNEL_TRY(sink_.take(part, session_));
      replayed_ += part.size();
      std::uint64_t part_bytes = 0;
      for (const ShownRecord& record : part) {
        part_bytes += record.key.value_or("").size() + record.value.value_or("").size();
      }
      wait(pace_.spend(part.size(), part_bytes, std::chrono::steady_clock::now()));
    }
    return {};
  }

  /// Records for about a nap's time.
  [[nodiscard]] std::size_t slice_of(std::size_t records, std::uint64_t bytes) const {
    if (pace_.per_second() <= 0 || records == 0) return std::max<std::size_t>(records, 1);
    double per_second = pace_.per_second();
    if (pace_.of_bytes()) {
      per_second *=
          static_cast<double>(records) / static_cast<double>(std::max<std::uint64_t>(bytes, 1));
    }
    return static_cast<std::size_t>(std::max(1.0, per_second / 10));
  }

  static void wait(std::chrono::nanoseconds time) {
    for (; time.count() > 0 && !interrupted(); time -= kNap) {
      std::this_thread::sleep_for(std::min<std::chrono::nanoseconds>(time, kNap));
    }
  }

  /// What the filter left out, and where offsets have gaps: passed, though no record says so.
  void pass_gaps() {
    std::uint64_t left = 0;
    std::vector<std::pair<TopicPartition, std::int64_t>> passed;
    for (const auto& [target, span] : session_.left()) {
      const std::int64_t next = std::min(consumer_.position(target), *span.to);
      if (next > span.from) passed.emplace_back(target, next);
      left += static_cast<std::uint64_t>(*span.to - std::max(next, span.from));
    }
    for (const auto& [target, next] : passed) session_.pass(target, next);
    passed_ = session_.total() - left;
  }

  ReplaySession& session_;
  const Where where_;
  Pace pace_;
  ReplaySink& sink_;
  ConnectionWatch watch_;
  Consumer consumer_;
  std::vector<ShownRecord> chosen_;
  std::uint64_t replayed_ = 0;
  std::uint64_t unreadable_ = 0;
  std::uint64_t passed_ = 0;
  std::int64_t committed_at_ = now_millis();
};

Result<ExitCode> show_plan(const ReplaySession& session) {
  std::vector<std::vector<std::string>> rows{{"TOPIC", "PARTITION", "FROM", "TO", "OFFSETS"}};
  for (const auto& [target, span] : session.left()) {
    rows.push_back({target.topic, std::to_string(target.partition), std::to_string(span.from),
                    std::to_string(*span.to), std::to_string(*span.to - span.from)});
  }
  RUNNEL_TRY(write_out(format_table(rows)));
  RUNNEL_TRY(write_out("Dry run: nothing was replayed.\n"));
  return ExitCode::kOk;
}

Result<ExitCode> into_group(Client& client, const ReplayArguments& arguments,
                            const std::string& group) {
  if (!arguments.where.empty() || !arguments.to.empty() || !arguments.rate.empty() ||
      !arguments.partitions.empty()) {
    return fail(ErrorCode::kInvalidArgument,
                "--into group:G moves the group back, and its members read everything from there: "
                "--to, --where, --rate and -p do not go with it; use --into topic:T");
  }
  RUNNEL_TRY_ASSIGN(const Place place, parse_place(arguments.from, now_millis()));
  return seek_group(client, {group, {arguments.topic}, place, arguments.execute});
}

Result<ExitCode> run(const ReplayArguments& arguments) {
  RUNNEL_TRY_ASSIGN(auto where, Where::parse(arguments.where));
  if (arguments.dry_run && !arguments.name.empty()) {
    return fail(ErrorCode::kInvalidArgument,
                "--dry-run shows what a replay from its beginning would read; leave --name away");
  }
  Pace pace;
  if (!arguments.rate.empty()) {
    const auto parsed = Pace::parse(arguments.rate);
    if (!parsed) return fail(Error(parsed.error()).within("--rate"));
    pace = *parsed;
  }
  watch_interrupts();
  RUNNEL_TRY_ASSIGN(auto client, connect_to(arguments.broker));
  RUNNEL_TRY(describe_topic(client, arguments.topic));
  const Target target = target_of(arguments.into);
  if (target.kind == Target::Kind::kGroup) return into_group(client, arguments, target.name);
  RUNNEL_TRY_ASSIGN(const auto sink, sink_of(client, arguments));
  RUNNEL_TRY_ASSIGN(
      auto spans,
      spans_of(client,
               {{arguments.topic}, arguments.partitions, arguments.from, arguments.to, true}));
  if (arguments.dry_run) {
    ReplaySession session(client, "", "");
    RUNNEL_TRY(session.open(std::move(spans)));
    return show_plan(session);
  }
  ReplaySession session(client, arguments.name, plan_text(arguments));
  RUNNEL_TRY(session.open(std::move(spans)));
  if (session.has_name()) {
    note("replay " + session.name() + (session.resumed() ? " goes on" : " begins") + ": " +
         std::to_string(session.total()) + " offsets to pass");
  }
  Replay replay(client, arguments, session, std::move(where), pace, *sink);
  const Status status = replay.run();
  note("replayed " + std::to_string(replay.replayed()) + " records");
  if (replay.unreadable() > 0) {
    note(std::to_string(replay.unreadable()) +
         " records are no JSON, which --where asks for: they were left out");
  }
  if (session.has_name() && !replay.complete()) {
    note("to go on: the same command with --name " + session.name());
  }
  if (!status) return fail(status.error());
  return replay.complete() ? ExitCode::kOk : ExitCode::kInterrupted;
}

void add_target_options(CLI::App& command, ReplayArguments& arguments) {
  command
      .add_option("--into", arguments.into,
                  "stdout; a topic (or topic:T), exactly once; exec:COMMAND, run for each record "
                  "with its JSON on standard input; group:G, whose offsets are moved")
      ->default_str("stdout")
      ->type_name("TARGET");
  command.add_flag("--by-key", arguments.by_key,
                   "Into a topic: let keys choose the partitions instead of keeping them");
  command.add_flag("--execute", arguments.execute, "Into a group: do it; else it is only shown");
  command
      .add_option("-f,--format", arguments.format,
                  "Of standard output, as `consume` has it [%v\\n]")
      ->type_name("FORMAT");
  command.add_option("-o,--output", arguments.output, "Instead of a format")
      ->check(CLI::IsMember({"json", "jsonl", "csv", "table"}))
      ->type_name("KIND");
}

}  // namespace

void add_replay(Cli& cli) {
  const auto arguments = std::make_shared<ReplayArguments>();
  CLI::App* command = cli.app.add_subcommand(
      "replay", "Replay a range of a topic; live consumers and their offsets notice nothing");
  add_broker_option(*command, arguments->broker);
  command->add_option("topic", arguments->topic, "Topic")->required()->type_name("TOPIC");
  command->add_option("-p,--partition", arguments->partitions, "Only this one; may be repeated")
      ->type_name("N")
      ->allow_extra_args(false);
  command->add_option("--from", arguments->from, "A place or a range, as `consume` has it")
      ->default_str("start")
      ->type_name("PLACE");
  command
      ->add_option("--to", arguments->to, "Stop there, before that record [the end as it is now]")
      ->type_name("PLACE");
  command
      ->add_option("--where", arguments->where,
                   "Only records for which this holds: key=K, key~REGEX, header.NAME=V, "
                   ".json.path>=12.5; with = != ~ < <= > >=; may be repeated: all have to hold")
      ->type_name("CONDITION")
      ->allow_extra_args(false);
  command->add_option("--rate", arguments->rate, "At most, as 5k/s records or 20MiB/s")
      ->type_name("RATE");
  command
      ->add_option("--name", arguments->name,
                   "Keep how far it has come; the same command goes on there")
      ->type_name("NAME");
  command->add_flag("--dry-run", arguments->dry_run, "Show the ranges only");
  add_target_options(*command, *arguments);
  command->callback([&cli, arguments] { cli.action = [arguments] { return run(*arguments); }; });
}

}  // namespace runnel::tools
