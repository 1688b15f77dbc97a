// runnel group list | describe | seek | delete
#include <algorithm>
#include <map>
#include <memory>

#include "tools/cli.h"
#include "tools/group_seek.h"
#include "tools/places.h"
#include "tools/text/json.h"
#include "tools/text/table.h"

namespace runnel::tools {
namespace {

struct GroupArguments {
  std::string broker;
  std::string output;
  std::string group;
  std::string to;
  std::vector<std::string> topics;
  bool execute = false;
  std::int64_t fail_over = -1;
};
using Arguments = std::shared_ptr<GroupArguments>;

/// Where a group stands in one partition.
struct Standing {
  TopicPartition target;
  std::int64_t committed = kNoPosition;
  std::int64_t end = 0;
  std::string member;
  /// What is left to read; with nothing committed, everything.
  [[nodiscard]] std::int64_t lag() const { return std::max<std::int64_t>(0, end - from()); }
  [[nodiscard]] std::int64_t from() const { return committed == kNoPosition ? start : committed; }
  std::int64_t start = 0;
};

/// Bounds of all partitions of the topics that a group has offsets in or members on. Topics that
/// are gone are left out.
Result<std::vector<Standing>> standings(Client& client, const GroupState& group) {
  std::map<TopicPartition, Standing> found;
  RUNNEL_TRY_ASSIGN(const auto offsets, settle(client.admin().group_offsets(group.group).get()));
  for (const GroupOffset& offset : offsets) found[offset.target].committed = offset.offset;
  for (const GroupMember& member : group.members) {
    for (const TopicPartition& partition : member.assignment) {
      found[partition].member = member.client_name + "/" + member.member_id;
    }
  }
  std::map<std::string, std::vector<Bounds>> bounds;
  std::vector<Standing> out;
  for (auto& [target, standing] : found) {
    if (!bounds.contains(target.topic)) {
      auto topic = bounds_of(client, target.topic);
      if (!topic && topic.error().code() != ErrorCode::kUnknownTopic) return fail(topic.error());
      bounds[target.topic] = topic ? std::move(*topic) : std::vector<Bounds>();
    }
    for (const Bounds& b : bounds[target.topic]) {
      if (b.target != target) continue;
      standing.target = target;
      standing.start = b.start;
      standing.end = b.end;
      out.push_back(std::move(standing));
    }
  }
  return out;
}

Result<ExitCode> list(const GroupArguments& arguments) {
  RUNNEL_TRY_ASSIGN(auto client, connect_to(arguments.broker));
  RUNNEL_TRY_ASSIGN(const auto groups, settle(client.admin().list_groups().get()));
  if (arguments.output == "json") {
    std::string out = "[";
    for (std::size_t i = 0; i < groups.size(); ++i) {
      out += (i > 0 ? ",\n{" : "\n{") + std::string("\"group\":") + json_string(groups[i].group) +
             ",\"state\":" + json_string(groups[i].state) + "}";
    }
    RUNNEL_TRY(write_out(out + "\n]\n"));
    return ExitCode::kOk;
  }
  std::vector<std::vector<std::string>> rows{{"GROUP", "STATE"}};
  for (const GroupState& group : groups) rows.push_back({group.group, group.state});
  RUNNEL_TRY(write_out(format_table(rows)));
  return ExitCode::kOk;
}

std::string standings_json(const GroupState& group, const std::vector<Standing>& rows) {
  std::string out = "{\"group\":" + json_string(group.group) +
                    ",\"state\":" + json_string(group.state) + ",\"partitions\":[";
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Standing& row = rows[i];
    out += (i > 0 ? ",\n{" : "\n{") + std::string("\"topic\":") + json_string(row.target.topic) +
           ",\"partition\":" + std::to_string(row.target.partition) + ",\"committed\":" +
           (row.committed == kNoPosition ? "null" : std::to_string(row.committed)) +
           ",\"end\":" + std::to_string(row.end) + ",\"lag\":" + std::to_string(row.lag()) +
           ",\"member\":" + json_string(row.member) + "}";
  }
  return out + "\n]}\n";
}

Result<ExitCode> describe(const GroupArguments& arguments) {
  RUNNEL_TRY_ASSIGN(auto client, connect_to(arguments.broker));
  RUNNEL_TRY_ASSIGN(const auto group, settle(client.admin().describe_group(arguments.group).get()));
  RUNNEL_TRY_ASSIGN(const auto rows, standings(client, group));
  std::int64_t total = 0;
  for (const Standing& row : rows) total += row.lag();
  if (arguments.output == "json") {
    RUNNEL_TRY(write_out(standings_json(group, rows)));
  } else {
    std::vector<std::vector<std::string>> table{
        {"TOPIC", "PARTITION", "CURRENT-OFFSET", "LOG-END-OFFSET", "LAG", "MEMBER"}};
    for (const Standing& row : rows) {
      table.push_back({row.target.topic, std::to_string(row.target.partition),
                       offset_text(row.committed), std::to_string(row.end),
                       std::to_string(row.lag()), row.member.empty() ? "-" : row.member});
    }
    RUNNEL_TRY(write_out("group    " + group.group + "\nstate    " + group.state + "\nmembers  " +
                         std::to_string(group.members.size()) + "\ntotal lag  " +
                         std::to_string(total) + "\n" + format_table(table)));
  }
  const bool lagging = arguments.fail_over >= 0 && total > arguments.fail_over;
  return lagging ? ExitCode::kLagging : ExitCode::kOk;
}

Result<ExitCode> seek(const GroupArguments& arguments) {
  RUNNEL_TRY_ASSIGN(const protocol::Place place, protocol::parse_place(arguments.to, now_millis()));
  RUNNEL_TRY_ASSIGN(auto client, connect_to(arguments.broker));
  return seek_group(client, {arguments.group, arguments.topics, place, arguments.execute});
}

Result<ExitCode> remove(const GroupArguments& arguments) {
  RUNNEL_TRY_ASSIGN(auto client, connect_to(arguments.broker));
  RUNNEL_TRY(settle(client.admin().delete_group(arguments.group).get()));
  RUNNEL_TRY(write_out("deleted group " + arguments.group + "\n"));
  return ExitCode::kOk;
}

void add_name(CLI::App& command, const Arguments& arguments) {
  command.add_option("group", arguments->group, "Group")->required()->type_name("GROUP");
}

}  // namespace

void add_group(Cli& cli) {
  CLI::App* group = cli.app.add_subcommand("group", "Look at and move consumer groups");
  group->require_subcommand(1);

  auto arguments = std::make_shared<GroupArguments>();
  CLI::App* command = add_broker_command(cli, *group, "list", "List all groups", arguments, list);
  add_output_option(*command, arguments->output);

  arguments = std::make_shared<GroupArguments>();
  command = add_broker_command(cli, *group, "describe", "Show members, offsets and lag", arguments,
                               describe);
  add_name(*command, arguments);
  add_output_option(*command, arguments->output);
  command
      ->add_option("--fail-over", arguments->fail_over,
                   "Exit with code 11 if the total lag is over N records")
      ->type_name("N");

  arguments = std::make_shared<GroupArguments>();
  command = add_broker_command(
      cli, *group, "seek", "Move committed offsets; shows what it would do first", arguments, seek);
  add_name(*command, arguments);
  command->add_option("--to", arguments->to, "start, end, an offset, a time or -2h")
      ->required()
      ->type_name("PLACE");
  command->add_option("--topic", arguments->topics, "Only this topic; may be repeated")
      ->type_name("TOPIC")
      ->allow_extra_args(false);
  command->add_flag("--execute", arguments->execute, "Do it");

  arguments = std::make_shared<GroupArguments>();
  command = add_broker_command(cli, *group, "delete", "Forget a group and its offsets", arguments,
                               remove);
  add_name(*command, arguments);
}

}  // namespace runnel::tools
