// runnel erase: every record of a topic with one key, out of the log and out of every file; and the
// receipts that say so.
#include <map>
#include <memory>
#include <thread>

#include "protocol/text/time.h"
#include "tools/cli.h"
#include "tools/places.h"
#include "tools/text/json.h"
#include "tools/text/table.h"

namespace runnel::tools {
namespace {

constexpr std::chrono::milliseconds kLookAgain{200};

struct EraseArguments {
  std::string broker;
  std::string topic;
  std::optional<std::string> key;
  std::string id;
  std::string receipt;
  std::string output;
  bool list = false;
  bool dry_run = false;
  bool wait = false;
};

std::string time_text(const std::optional<Time>& time) {
  return time ? protocol::format_time(time->time_since_epoch().count()) : "-";
}

std::string json_time(const std::optional<Time>& time) {
  return time ? json_string(time_text(time)) : "null";
}

std::string as_json(const ErasureState& erasure) {
  std::string out = R"({"id":)" + json_string(erasure.id) + R"(,"topic":)" +
                    json_string(erasure.topic) + R"(,"requested":)" + json_time(erasure.requested) +
                    R"(,"removed":)" + json_time(erasure.removed) + R"(,"gone":)" +
                    json_time(erasure.gone) + R"(,"records":)" + std::to_string(erasure.records) +
                    R"(,"dedup_keys":)" + std::to_string(erasure.dedup_keys) +
                    R"(,"segments_left":)" + std::to_string(erasure.segments_left) +
                    R"(,"problem":)" + json_string(erasure.problem);
  out += R"(,"partitions":[)";
  for (std::size_t i = 0; i < erasure.parts.size(); ++i) {
    const ErasureState::Part& part = erasure.parts[i];
    out += (i > 0 ? "," : "") + (R"({"partition":)" + std::to_string(part.partition)) +
           R"(,"before":)" + std::to_string(part.end) + R"(,"records":)" +
           std::to_string(part.records) + "}";
  }
  out += R"(],"ranges":[)";
  for (std::size_t i = 0; i < erasure.ranges.size(); ++i) {
    const ErasureState::Range& range = erasure.ranges[i];
    out += (i > 0 ? "," : "") + (R"({"partition":)" + std::to_string(range.partition)) +
           R"(,"first":)" + std::to_string(range.first) + R"(,"last":)" +
           std::to_string(range.last) + "}";
  }
  return out + R"(],"ranges_cut":)" + (erasure.ranges_cut ? "true" : "false") + "}";
}

Status show_receipt(const ErasureState& erasure, const std::string& output) {
  if (output == "json") return write_out(as_json(erasure) + "\n");
  std::string out = "erasure    " + erasure.id + "\ntopic      " + erasure.topic + "\nrequested  " +
                    time_text(erasure.requested) + "\nremoved    " + time_text(erasure.removed) +
                    "\ngone       " + time_text(erasure.gone) + "\nrecords    " +
                    std::to_string(erasure.records) + "\n";
  if (erasure.dedup_keys > 0) out += "dedup keys " + std::to_string(erasure.dedup_keys) + "\n";
  if (!erasure.gone && erasure.removed) {
    out += "files left " + std::to_string(erasure.segments_left) + "\n";
  }
  if (!erasure.problem.empty()) out += "problem    " + erasure.problem + "\n";
  for (const ErasureState::Part& part : erasure.parts) {
    if (part.records == 0) continue;
    out += erasure.topic + "[" + std::to_string(part.partition) +
           "]: " + std::to_string(part.records) + " records before offset " +
           std::to_string(part.end) + ", at";
    for (const ErasureState::Range& range : erasure.ranges) {
      if (range.partition != part.partition) continue;
      out += " " + std::to_string(range.first);
      if (range.last != range.first) out += "-" + std::to_string(range.last);
    }
    out += erasure.ranges_cut ? " and more\n" : "\n";
  }
  return write_out(out);
}

Result<ExitCode> show_list(Client& client, const EraseArguments& arguments) {
  RUNNEL_TRY_ASSIGN(const auto erasures, settle(client.admin().erasures().get()));
  if (arguments.output == "json") {
    std::string out = "[";
    for (std::size_t i = 0; i < erasures.size(); ++i) {
      out += (i > 0 ? ",\n" : "") + as_json(erasures[i]);
    }
    RUNNEL_TRY(write_out(out + "]\n"));
    return ExitCode::kOk;
  }
  std::vector<std::vector<std::string>> rows{
      {"ID", "TOPIC", "RECORDS", "REQUESTED", "REMOVED", "GONE"}};
  for (const ErasureState& e : erasures) {
    rows.push_back({e.id, e.topic, std::to_string(e.records), time_text(e.requested),
                    time_text(e.removed), time_text(e.gone)});
  }
  RUNNEL_TRY(write_out(format_table(rows)));
  return ExitCode::kOk;
}

/// Counts what would be erased.
Result<ExitCode> dry_run(Client& client, const EraseArguments& arguments) {
  RUNNEL_TRY_ASSIGN(const auto spans, spans_of(client, {{arguments.topic}, {}, "start", "", true}));
  ReplayOptions options;
  for (const Span& span : spans) options.ranges.push_back({span.target, span.from, *span.to});
  options.filter = {"key=" + *arguments.key};
  options.go_on = [] { return !interrupted(); };
  RUNNEL_TRY_ASSIGN(auto replay, settle(Replay::open(client, std::move(options))));
  std::map<std::int32_t, std::uint64_t> records;
  const auto count = [&](std::span<const Record> found) -> Outcome<void> {
    records[found.front().partition] += found.size();
    return {};
  };
  RUNNEL_TRY(settle(replay.run(count)));
  if (interrupted()) return ExitCode::kInterrupted;
  std::vector<std::vector<std::string>> rows{{"TOPIC", "PARTITION", "RECORDS"}};
  for (const auto& [partition, n] : records) {
    rows.push_back({arguments.topic, std::to_string(partition), std::to_string(n)});
  }
  RUNNEL_TRY(write_out(format_table(rows)));
  RUNNEL_TRY(write_out("Dry run: nothing was erased.\n"));
  return ExitCode::kOk;
}

Result<ErasureState> receipt_of(Client& client, const std::string& id) {
  RUNNEL_TRY_ASSIGN(auto found, settle(client.admin().erasures(id).get()));
  if (found.size() == 1) return std::move(found.front());
  return fail(ErrorCode::kNotFound, "there is no erasure " + id);
}

Result<ExitCode> wait_for(Client& client, const EraseArguments& arguments, const std::string& id) {
  std::string told;
  while (!interrupted()) {
    RUNNEL_TRY_ASSIGN(const ErasureState erasure, receipt_of(client, id));
    if (erasure.gone) {
      RUNNEL_TRY(show_receipt(erasure, arguments.output));
      return ExitCode::kOk;
    }
    const std::string state = !erasure.problem.empty() ? "waits: " + erasure.problem
                              : erasure.removed
                                  ? "removed; files that may hold copies are being emptied"
                                  : "looking through the log";
    if (state != told) note("erasure " + id + ": " + state);
    told = state;
    std::this_thread::sleep_for(kLookAgain);
  }
  note("erasure " + id + " goes on; `runnel erase --receipt " + id + "` shows how far it is");
  return ExitCode::kInterrupted;
}

Result<ExitCode> run(const EraseArguments& arguments) {
  const bool asks = arguments.list || !arguments.receipt.empty();
  if (asks == (!arguments.topic.empty() || arguments.key)) {
    return fail(ErrorCode::kInvalidArgument,
                "give either a TOPIC and --key, or --list, or --receipt ID");
  }
  if (!asks && (arguments.topic.empty() || !arguments.key)) {
    return fail(ErrorCode::kInvalidArgument, "give a TOPIC and the --key of its records");
  }
  watch_interrupts();
  RUNNEL_TRY_ASSIGN(auto client, connect_to(arguments.broker));
  if (arguments.list) return show_list(client, arguments);
  if (!arguments.receipt.empty()) {
    if (arguments.wait) return wait_for(client, arguments, arguments.receipt);
    RUNNEL_TRY_ASSIGN(const ErasureState erasure, receipt_of(client, arguments.receipt));
    RUNNEL_TRY(show_receipt(erasure, arguments.output));
    return ExitCode::kOk;
  }
  RUNNEL_TRY(describe_topic(client, arguments.topic));
  if (arguments.dry_run) return dry_run(client, arguments);
  RUNNEL_TRY_ASSIGN(
      const ErasureState begun,
      settle(client.admin().erase_key(arguments.topic, *arguments.key, arguments.id).get()));
  if (begun.gone) {
    note("erasure " + begun.id +
         " was finished before and nothing new was erased; its receipt says nothing of the key "
         "given now: for another key choose another --id");
  }
  if (arguments.wait) return wait_for(client, arguments, begun.id);
  RUNNEL_TRY(show_receipt(begun, arguments.output));
  return ExitCode::kOk;
}

}  // namespace

void add_erase(Cli& cli) {
  const auto arguments = std::make_shared<EraseArguments>();
  CLI::App* command = cli.app.add_subcommand(
      "erase", "Erase every record with one key from a topic and from the broker's files");
  add_broker_option(*command, arguments->broker);
  add_output_option(*command, arguments->output);
  command->add_option("topic", arguments->topic, "Topic")->type_name("TOPIC");
  command->add_option("--key", arguments->key, "Of the records")->type_name("K");
  command
      ->add_option("--id", arguments->id,
                   "Name of the receipt; the same one again erases nothing new, whatever the key "
                   "once it is finished [one is made]")
      ->type_name("ID");
  command->add_flag("--dry-run", arguments->dry_run, "Count the records only");
  command->add_flag("--wait", arguments->wait,
                    "Until the last copy is gone, then show the receipt");
  command->add_flag("--list", arguments->list, "Show all erasures");
  command->add_option("--receipt", arguments->receipt, "Show what became of an erasure")
      ->type_name("ID");
  command->callback([&cli, arguments] { cli.action = [arguments] { return run(*arguments); }; });
}

}  // namespace runnel::tools
