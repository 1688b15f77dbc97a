// runnel consume | tail: reads records and prints them.
#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "protocol/base/thread_annotations.h"
#include "tools/cli.h"
#include "tools/places.h"
#include "tools/text/record_format.h"

namespace runnel::tools {
namespace {

constexpr std::chrono::milliseconds kPollWait{200};
constexpr std::int64_t kCommitEveryMillis = 1000;
constexpr std::int64_t kLookAtGroupMillis = 1000;

struct ConsumeArguments {
  std::string broker;
  std::vector<std::string> topics;
  std::vector<std::int32_t> partitions;
  std::string group;
  std::string from;
  std::string to;
  std::string format;
  std::string output;
  bool exit_at_end = false;
  std::uint64_t count = 0;  ///< 0: no bound
};

/// Prints records until the count is reached.
class Printer {
 public:
  Printer(RecordWriter writer, std::uint64_t count) : writer_(std::move(writer)), limit_(count) {}
  void add(const Record& record) {
    writer_.add(shown(record), out_);
    ++printed_;
  }
  [[nodiscard]] bool full() const { return limit_ > 0 && printed_ >= limit_; }
  Status flush() {
    if (out_.empty()) return {};
    const Status status = write_out(out_);
    out_.clear();
    return status;
  }
  Status finish() {
    writer_.finish(out_);
    return flush();
  }

 private:
  RecordWriter writer_;
  std::uint64_t limit_;
  std::uint64_t printed_ = 0;
  std::string out_;
};

using OpenPartitions = std::map<TopicPartition, std::optional<std::int64_t>>;  // and their ends

/// What a damaged batch leaves to read: `open` without the partitions that `consumer` stopped at.
/// Their names go to `damaged`. The failure, if it is of another kind.
Status go_on_without(const Consumer& consumer, const Error& failure, OpenPartitions& open,
                     std::string& damaged) {
  std::string stopped;
  for (const TopicPartition& target : consumer.paused()) {
    if (open.erase(target) == 0) continue;
    stopped +=
        (stopped.empty() ? "" : ", ") + target.topic + "[" + std::to_string(target.partition) + "]";
  }
  if (failure.code() != ErrorCode::kCorrupt || stopped.empty()) return fail(failure);
  note(failure.message() + " (-p and --from name the place)");
  damaged += (damaged.empty() ? "" : ", ") + stopped;
  return {};
}

/// Ended from outside before what was asked for was read: whoever takes the output must not think
/// that it is all.
bool finite_and_cut(const ConsumeArguments& arguments, const Printer& printer) {
  const bool finite = arguments.exit_at_end || arguments.count != 0 || !arguments.to.empty();
  return finite && interrupted() && !printer.full();
}

/// Reads partitions of one's own choice.
Result<ExitCode> consume_alone(Client& client, const ConsumeArguments& arguments,
                               Printer& printer) {
  RUNNEL_TRY_ASSIGN(const auto spans,
                    spans_of(client, {arguments.topics, arguments.partitions, arguments.from,
                                      arguments.to, arguments.exit_at_end}));
  OpenPartitions open;
  std::string damaged;
  std::vector<std::pair<TopicPartition, Position>> assignment;
  for (const Span& span : spans) {
    if (span.to && span.from >= *span.to) continue;
    open.emplace(span.target, span.to);
    assignment.emplace_back(span.target, Position::at(span.from));
  }
  if (open.empty()) return ExitCode::kOk;
  ConsumerOptions options;
  options.reset = Reset::fail;
  Consumer consumer = client.consumer(options);
  ConnectionWatch watch(client, arguments.broker);
  RUNNEL_TRY(settle(consumer.assign(std::move(assignment)).get()));
  while (!open.empty() && !printer.full() && !interrupted()) {
    const auto batch = settle(consumer.poll(kPollWait).get());
    watch.look();
    if (!batch) {
      RUNNEL_TRY(go_on_without(consumer, batch.error(), open, damaged));
      continue;
    }
    for (const Record& record : *batch) {
      const auto end = open.find({std::string(record.topic), record.partition});
      if (end == open.end() || printer.full()) continue;
      const bool past = end->second && record.offset >= *end->second;
      if (!past) printer.add(record);
      if (end->second && record.offset + 1 >= *end->second) {
        consumer.pause({end->first});
        open.erase(end);
      }
    }
    RUNNEL_TRY(printer.flush());
    // The end may lie in a gap of the offsets, where no record says so.
    std::erase_if(open, [&](const auto& entry) {
      return entry.second && consumer.position(entry.first) >= *entry.second;
    });
  }
  if (!open.empty() && finite_and_cut(arguments, printer)) return ExitCode::kInterrupted;
  if (damaged.empty()) return ExitCode::kOk;
  return fail(ErrorCode::kCorrupt, "read no further than the damage in " + damaged);
}

/// Commits what was printed, and nothing that was not.
class GroupReader {
 public:
  GroupReader(Client& client, const ConsumeArguments& arguments, Printer& printer)
      : client_(client),
        arguments_(arguments),
        printer_(printer),
        watch_(client, arguments.broker),
        consumer_(client.consumer(options(arguments, given_back_))) {}

  Result<ExitCode> run() {
    bool complete = false;
    while (!printer_.full() && !interrupted()) {
      RUNNEL_TRY_ASSIGN(complete, at_end());
      if (complete) break;
      const auto batch = settle(consumer_.poll(kPollWait).get());
      watch_.look();
      drop_given_back();
      if (!batch) {
        RUNNEL_TRY(commit(/*last=*/true));  // what was printed
        return fail(batch.error());
      }
      take(*batch);
      RUNNEL_TRY(printer_.flush());
      if (now_millis() - committed_at_ >= kCommitEveryMillis) RUNNEL_TRY(commit());
    }
    RUNNEL_TRY(commit(/*last=*/true));
    RUNNEL_TRY(settle(consumer_.close()));
    const bool cut = !complete && finite_and_cut(arguments_, printer_);
    return cut ? ExitCode::kInterrupted : ExitCode::kOk;
  }

 private:
  /// Partitions that were given back or lost since the last look. The I/O thread adds to it.
  class GivenBack {
   public:
    void add(const Partitions& partitions) {
      MutexLock lock(mutex_);
      partitions_.insert(partitions.begin(), partitions.end());
    }
    std::set<TopicPartition> take() {
      MutexLock lock(mutex_);
      return std::exchange(partitions_, {});
    }

   private:
    Mutex mutex_;
    std::set<TopicPartition> partitions_ RUNNEL_GUARDED_BY(mutex_);
  };

  static ConsumerOptions options(const ConsumeArguments& arguments,
                                 const std::shared_ptr<GivenBack>& given_back) {
    ConsumerOptions out;
    out.on_revoked = [given_back](const Partitions& gone) { given_back->add(gone); };
    out.on_lost = out.on_revoked;
    out.group = arguments.group;
    out.topics = arguments.topics;
    out.reset = arguments.from == "end" ? Reset::latest : Reset::earliest;
    out.report_ends = arguments.exit_at_end;
    return out;
  }

  void take(const Batch& batch) {
    for (const Record& record : batch) {
      if (printer_.full()) return;
      printer_.add(record);
      const TopicPartition target{std::string(record.topic), record.partition};
      next_[target] = record.offset + 1;
      ended_.erase(target);
    }
    ended_.insert(batch.ends().begin(), batch.ends().end());
  }

  Result<bool> at_end() {
    if (!arguments_.exit_at_end) return false;
    const Partitions assigned = consumer_.assignment();
    if (assigned.empty()) return others_hold_all();
    return std::all_of(assigned.begin(), assigned.end(),
                       [&](const auto& p) { return ended_.contains(p); });
  }

  /// Where each partition is another member's there is nothing to wait for.
  Result<bool> others_hold_all() {
    const std::string self = consumer_.membership().member_id;
    if (self.empty() || now_millis() - looked_at_ < kLookAtGroupMillis) return false;
    looked_at_ = now_millis();
    // What fails here for a moment is for poll() to tell, if it lasts.
    const auto group = settle(client_.admin().describe_group(arguments_.group).get());
    if (!group) return false;
    std::set<TopicPartition> held;
    for (const GroupMember& member : group->members) {
      if (member.member_id == self) continue;
      held.insert(member.assignment.begin(), member.assignment.end());
    }
    for (const std::string& topic : arguments_.topics) {
      const auto bounds = bounds_of(client_, topic);
      if (!bounds) return false;
      for (const Bounds& one : *bounds) {
        if (!held.contains(one.target)) return false;
      }
    }
    note("other members of group " + arguments_.group +
         " hold every partition: nothing is left to read");
    return true;
  }

  /// Another member reads on there: what this one had not committed is no longer its to commit.
  void drop_given_back() {
    for (const TopicPartition& target : given_back_->take()) next_.erase(target);
  }

  Status commit(bool last = false) {
    committed_at_ = now_millis();
    drop_given_back();
    if (next_.empty()) return {};
    std::vector<GroupOffset> offsets;
    for (const auto& [target, offset] : next_) {
      GroupOffset position;
      position.target = target;
      position.offset = offset;
      offsets.push_back(std::move(position));
    }
    const auto outcome = consumer_.commit(std::move(offsets)).get();
    if (outcome) {
      next_.clear();
      return {};
    }
    // The broker came back and has another epoch for this member, or the answer was lost: after the
    // next poll they are committed anew, as far as the partitions are still this member's.
    const bool passes = outcome.error().action() != runnel::Action::permanent ||
                        outcome.error().errc() == Errc::unknown_member;
    if (passes && !last) return {};
    return fail(to_error(outcome.error()));
  }

  Client& client_;
  const ConsumeArguments& arguments_;
  Printer& printer_;
  ConnectionWatch watch_;
  std::shared_ptr<GivenBack> given_back_ = std::make_shared<GivenBack>();  // before the consumer
  Consumer consumer_;
  std::map<TopicPartition, std::int64_t> next_;
  std::set<TopicPartition> ended_;
  std::int64_t committed_at_ = now_millis();
  std::int64_t looked_at_ = now_millis();
};

Result<ExitCode> run(const ConsumeArguments& arguments) {
  RUNNEL_TRY_ASSIGN(auto writer, make_writer(arguments.format, arguments.output));
  if (!arguments.group.empty() && (!arguments.partitions.empty() || !arguments.to.empty() ||
                                   (arguments.from != "start" && arguments.from != "end"))) {
    return fail(ErrorCode::kInvalidArgument,
                "with -g the group's committed offsets say where to read: -p and --to do not go "
                "with it, --from only as start or end, for partitions without a committed offset; "
                "`runnel group seek` moves a group");
  }
  watch_interrupts();
  RUNNEL_TRY_ASSIGN(auto client, connect_to(arguments.broker));
  for (const std::string& topic : arguments.topics) RUNNEL_TRY(describe_topic(client, topic));
  Printer printer(std::move(writer), arguments.count);
  auto result = arguments.group.empty() ? consume_alone(client, arguments, printer)
                                        : GroupReader(client, arguments, printer).run();
  const Status finished = printer.finish();
  if (result && !finished) return fail(finished.error());
  return result;
}

void add_common(CLI::App& command, ConsumeArguments& arguments) {
  add_broker_option(command, arguments.broker);
  command.add_option("topic", arguments.topics, "Topics")->required()->type_name("TOPIC");
  command.add_option("-p,--partition", arguments.partitions, "Only this one; may be repeated")
      ->type_name("N")
      ->allow_extra_args(false);
  command
      .add_option("-f,--format", arguments.format,
                  "Format of a record: %t topic %p partition %o offset %k key %v value "
                  "%T timestamp %d{strftime[%F]} %h headers; {hex} {base64} {json} [%v\\n]")
      ->type_name("FORMAT");
  command.add_option("-o,--output", arguments.output, "Instead of a format")
      ->check(CLI::IsMember({"json", "jsonl", "csv", "table"}))
      ->type_name("KIND");
}

}  // namespace

void add_consume(Cli& cli) {
  auto arguments = std::make_shared<ConsumeArguments>();
  arguments->from = "start";
  CLI::App* command = cli.app.add_subcommand("consume", "Read records of topics");
  add_common(*command, *arguments);
  command
      ->add_option("--from", arguments->from,
                   "start, end, an offset, -100, a time, -2h, or a range such as @-2h:-1h")
      ->default_str("start")
      ->type_name("PLACE");
  command->add_option("--to", arguments->to, "Stop there, before that record")->type_name("PLACE");
  command->add_flag("-e,--exit", arguments->exit_at_end, "Stop at the end instead of waiting");
  command->add_option("-n,--count", arguments->count, "Stop after so many records")
      ->check(at_least(1))
      ->type_name("N");
  command
      ->add_option("-g,--group", arguments->group,
                   "Read as a member of this group and commit what was printed")
      ->type_name("GROUP");
  command->callback([&cli, arguments] { cli.action = [arguments] { return run(*arguments); }; });

  arguments = std::make_shared<ConsumeArguments>();
  const auto last = std::make_shared<std::uint32_t>(10);
  command = cli.app.add_subcommand("tail", "Show the last records and follow");
  add_common(*command, *arguments);
  command->add_option("-n,--last", *last, "Records of each partition to begin with")
      ->check(at_least(0))
      ->default_str("10")
      ->type_name("N");
  command->callback([&cli, arguments, last] {
    arguments->from = "-" + std::to_string(*last);
    cli.action = [arguments] { return run(*arguments); };
  });
}

}  // namespace runnel::tools
