// runnel replay: a range of the log once more, into a topic, a command or standard output, at a set
// rate; or a group's offsets moved back to it.
#include <memory>

#include "protocol/filter/record_filter.h"
#include "tools/cli.h"
#include "tools/group_seek.h"
#include "tools/places.h"
#include "tools/replay/receivers.h"
#include "tools/text/progress.h"
#include "tools/text/record_format.h"
#include "tools/text/table.h"
#include "tools/transfer/rate.h"

namespace runnel::tools {
namespace {

/// Without a rate a replay takes a small machine whole, and producers wait many times as long for
/// their answers. This leaves them about as they are, and still is 600,000 records of 100 B a
/// second.
constexpr std::string_view kDefaultRate = "64MiB/s";
constexpr std::string_view kNoRate = "max";

struct ReplayArguments {
  std::string broker;
  std::string topic;
  std::vector<std::int32_t> partitions;
  std::string from = "start";
  std::string to;
  std::string into = "stdout";
  std::vector<std::string> where;
  std::string rate;  ///< empty: kDefaultRate
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

Failure to_failure(const Error& error) {
  return Failure(static_cast<Errc>(error.code()), error.message());
}

/// Runs what was opened, to where `target` says.
Status run_into(Replay& replay, const ReplayArguments& arguments, const Target& target) {
  if (target.kind == Target::Kind::kTopic) return settle(replay.run());
  if (target.kind == Target::Kind::kCommand) {
    const auto command = [&](std::span<const Record> records) -> Outcome<void> {
      const Status done = run_command(target.name, arguments.name, records.front());
      return done ? Outcome<void>() : to_failure(done.error());
    };
    return settle(replay.run(command, Replay::Commit::every_record));
  }
  RUNNEL_TRY_ASSIGN(auto writer, make_writer(arguments.format, arguments.output));
  RecordPrinter printer(std::move(writer));
  const auto print = [&](std::span<const Record> records) -> Outcome<void> {
    const Status done = printer.print(records);
    return done ? Outcome<void>() : to_failure(done.error());
  };
  const Status status = settle(replay.run(print));
  const Status finished = printer.finish();
  return status ? finished : status;
}

/// What can be refused before anything is done.
Status check_target(Client& client, const ReplayArguments& arguments, const Target& target) {
  const bool prints = target.kind == Target::Kind::kStandardOutput;
  if (prints) {
    RUNNEL_TRY(make_writer(arguments.format, arguments.output));
  } else if (!arguments.format.empty() || !arguments.output.empty()) {
    return fail(ErrorCode::kInvalidArgument, "-f and -o are for --into stdout");
  }
  if (target.kind != Target::Kind::kTopic) return {};
  if (target.name == arguments.topic) {
    return fail(ErrorCode::kInvalidArgument,
                "topic " + target.name + " would be replayed into itself; name another topic");
  }
  RUNNEL_TRY(describe_topic(client, target.name));
  return {};
}

Result<ReplayOptions> options_of(const ReplayArguments& arguments, const Target& target) {
  ReplayOptions options;
  options.filter = arguments.where;
  options.name = arguments.name;
  options.plan = plan_text(arguments);
  options.go_on = [] { return !interrupted(); };
  if (target.kind == Target::Kind::kTopic) {
    options.into = ReplayTarget{target.name, arguments.by_key, ""};
  }
  if (arguments.rate != kNoRate) {
    const auto rate = parse_rate(arguments.rate.empty() ? kDefaultRate : arguments.rate);
    if (!rate) return fail(Error(rate.error()).within("--rate"));
    (rate->of_bytes ? options.bytes_per_second : options.records_per_second) = rate->per_second;
  }
  return options;
}

Result<ExitCode> show_plan(const std::vector<ReplayRange>& ranges) {
  std::vector<std::vector<std::string>> rows{{"TOPIC", "PARTITION", "FROM", "TO", "OFFSETS"}};
  for (const ReplayRange& range : ranges) {
    const std::int64_t to = std::max(range.from, range.to);
    rows.push_back({range.source.topic, std::to_string(range.source.partition),
                    std::to_string(range.from), std::to_string(to),
                    std::to_string(to - range.from)});
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
  RUNNEL_TRY_ASSIGN(const protocol::Place place,
                    protocol::parse_place(arguments.from, now_millis()));
  return seek_group(client, {group, {arguments.topic}, place, arguments.execute});
}

void tell_outcome(const Replay& replay, const std::string& name) {
  const ReplayProgress done = replay.progress();
  note("replayed " + std::to_string(done.records) + " records");
  if (done.unreadable > 0) {
    note(std::to_string(done.unreadable) +
         " records were left out: --where asks for a JSON path and they are no JSON, or for a "
         "regular expression and the text has more than 1 MiB");
  }
  if (!name.empty() && !done.complete) {
    note("to go on: the same command with --name " + name);
  }
}

/// Checks what the broker would refuse only when the first records are read.
Status check_arguments(const ReplayArguments& arguments) {
  if (const auto filter = protocol::RecordFilter::parse(arguments.where); !filter) {
    return fail(Error(filter.error()).within("--where"));
  }
  if (arguments.dry_run && !arguments.name.empty()) {
    return fail(ErrorCode::kInvalidArgument,
                "--dry-run shows what a replay from its beginning would read; leave --name away");
  }
  return {};
}

Result<ExitCode> run(const ReplayArguments& arguments) {
  RUNNEL_TRY(check_arguments(arguments));
  const Target target = target_of(arguments.into);
  RUNNEL_TRY_ASSIGN(ReplayOptions options, options_of(arguments, target));
  watch_interrupts();
  RUNNEL_TRY_ASSIGN(auto client, connect_to(arguments.broker));
  RUNNEL_TRY(describe_topic(client, arguments.topic));
  if (target.kind == Target::Kind::kGroup) return into_group(client, arguments, target.name);
  RUNNEL_TRY(check_target(client, arguments, target));
  RUNNEL_TRY_ASSIGN(
      const auto spans,
      spans_of(client,
               {{arguments.topic}, arguments.partitions, arguments.from, arguments.to, true}));
  for (const Span& span : spans) options.ranges.push_back({span.target, span.from, *span.to});
  if (arguments.dry_run) return show_plan(options.ranges);
  ConnectionWatch watch(client, arguments.broker);
  std::optional<Progress> progress;
  options.on_progress = [&](const ReplayProgress& done) {
    watch.look();
    if (!progress) progress.emplace("replayed", done.total, "offsets");
    progress->update(done.passed);
  };
  RUNNEL_TRY_ASSIGN(auto replay, settle(Replay::open(client, std::move(options))));
  if (!arguments.name.empty()) {
    note("replay " + arguments.name + (replay.resumed() ? " goes on" : " begins") + ": " +
         std::to_string(replay.progress().total) + " offsets to pass");
  }
  const Status status = run_into(replay, arguments, target);
  progress.reset();
  tell_outcome(replay, arguments.name);
  if (!status) return fail(status.error());
  return replay.progress().complete ? ExitCode::kOk : ExitCode::kInterrupted;
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
  command
      ->add_option("--rate", arguments->rate,
                   "At most, as 5k/s records or 20MiB/s of keys and values; max: no bound")
      ->default_str(std::string(kDefaultRate))
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
