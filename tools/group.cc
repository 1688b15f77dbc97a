// runnel group list | describe | seek | delete
#include <algorithm>
#include <map>
#include <memory>

#include "tools/cli.h"
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

std::string offset_text(std::int64_t offset) {
  return offset == kNoPosition ? "-" : std::to_string(offset);
}

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

/// The partitions that a seek moves: of the topics named, or else of those the group has offsets
/// in.
Result<std::vector<Bounds>> partitions_to_move(Client& client, const GroupArguments& arguments,
                                               const std::vector<GroupOffset>& offsets) {
  std::vector<std::string> topics = arguments.topics;
  if (topics.empty()) {
    for (const GroupOffset& offset : offsets) topics.push_back(offset.target.topic);
    std::sort(topics.begin(), topics.end());
    topics.erase(std::unique(topics.begin(), topics.end()), topics.end());
  }
  if (topics.empty()) {
    return fail(ErrorCode::kNotFound, "group '" + arguments.group +
                                          "' has no offsets yet; name the topics to set them in "
                                          "with --topic");
  }
  std::vector<Bounds> out;
  for (const std::string& topic : topics) {
    RUNNEL_TRY_ASSIGN(const auto bounds, bounds_of(client, topic));
    out.insert(out.end(), bounds.begin(), bounds.end());
  }
  return out;
}

/// kGroupNotEmpty with who is in the way. A group that is not known yet has nobody in it; that its
/// name is new is said, for it may be a slip.
Status check_empty(Client& client, const std::string& name) {
  const auto group = settle(client.admin().describe_group(name).get());
  if (!group) {
    if (group.error().code() != ErrorCode::kUnknownGroup) return fail(group.error());
    note("there is no group '" + name + "' yet; setting offsets makes it");
    return {};
  }
  if (group->members.empty()) return {};
  std::string members;
  for (const GroupMember& member : group->members) {
    members += "\n  " + member.client_name + " at " + member.host + " (" + member.member_id + ")";
  }
  return fail(
      ErrorCode::kGroupNotEmpty,
      "the group has members that would go on from where they are; stop them first:" + members);
}

Result<ExitCode> seek(const GroupArguments& arguments) {
  RUNNEL_TRY_ASSIGN(const Place place, parse_place(arguments.to, now_millis()));
  RUNNEL_TRY_ASSIGN(auto client, connect_to(arguments.broker));
  RUNNEL_TRY_ASSIGN(const auto committed,
                    settle(client.admin().group_offsets(arguments.group).get()));
  RUNNEL_TRY_ASSIGN(const auto partitions, partitions_to_move(client, arguments, committed));
  RUNNEL_TRY_ASSIGN(const auto targets, offsets_at(client, partitions, place));
  std::vector<std::vector<std::string>> rows{
      {"TOPIC", "PARTITION", "BEFORE", "AFTER", "TO-READ-BEFORE", "TO-READ-AFTER"}};
  std::vector<GroupOffset> changes;
  for (std::size_t i = 0; i < partitions.size(); ++i) {
    const Bounds& bounds = partitions[i];
    const std::int64_t after = std::clamp(targets[i], bounds.start, bounds.end);
    if (place.kind == Place::Kind::kOffset && after != place.value) {
      note(bounds.target.topic + "[" + std::to_string(bounds.target.partition) +
           "] has the offsets " + std::to_string(bounds.start) + " to " +
           std::to_string(bounds.end) + ": " + std::to_string(place.value) + " becomes " +
           std::to_string(after));
    }
    const auto old = std::find_if(committed.begin(), committed.end(),
                                  [&](const GroupOffset& o) { return o.target == bounds.target; });
    const std::int64_t before = old == committed.end() ? kNoPosition : old->offset;
    const std::int64_t from = before == kNoPosition ? bounds.start : before;
    rows.push_back({bounds.target.topic, std::to_string(bounds.target.partition),
                    offset_text(before), std::to_string(after),
                    std::to_string(std::max<std::int64_t>(0, bounds.end - from)),
                    std::to_string(bounds.end - after)});
    GroupOffset change;
    change.target = bounds.target;
    change.offset = after;
    changes.push_back(std::move(change));
  }
  RUNNEL_TRY(write_out(format_table(rows)));
  RUNNEL_TRY(check_empty(client, arguments.group));
  if (!arguments.execute) {
    RUNNEL_TRY(write_out("Dry run: nothing was changed. Add --execute to set these offsets.\n"));
    return ExitCode::kOk;
  }
  RUNNEL_TRY(settle(client.admin().seek_group(arguments.group, std::move(changes)).get()));
  RUNNEL_TRY(write_out("Offsets of group " + arguments.group + " were set.\n"));
  return ExitCode::kOk;
}

Result<ExitCode> remove(const GroupArguments& arguments) {
  RUNNEL_TRY_ASSIGN(auto client, connect_to(arguments.broker));
  RUNNEL_TRY(settle(client.admin().delete_group(arguments.group).get()));
  RUNNEL_TRY(write_out("deleted group " + arguments.group + "\n"));
  return ExitCode::kOk;
}

CLI::App* subcommand(Cli& cli, CLI::App& parent, const char* name, const char* text,
                     const Arguments& arguments, Result<ExitCode> (*work)(const GroupArguments&)) {
  CLI::App* command = parent.add_subcommand(name, text);
  add_broker_option(*command, arguments->broker);
  command->callback(
      [&cli, arguments, work] { cli.action = [arguments, work] { return work(*arguments); }; });
  return command;
}

void add_name(CLI::App& command, const Arguments& arguments) {
  command.add_option("group", arguments->group, "Group")->required()->type_name("GROUP");
}

}  // namespace

void add_group(Cli& cli) {
  CLI::App* group = cli.app.add_subcommand("group", "Look at and move consumer groups");
  group->require_subcommand(1);

  auto arguments = std::make_shared<GroupArguments>();
  CLI::App* command = subcommand(cli, *group, "list", "List all groups", arguments, list);
  add_output_option(*command, arguments->output);

  arguments = std::make_shared<GroupArguments>();
  command =
      subcommand(cli, *group, "describe", "Show members, offsets and lag", arguments, describe);
  add_name(*command, arguments);
  add_output_option(*command, arguments->output);
  command
      ->add_option("--fail-over", arguments->fail_over,
                   "Exit with code 11 if the total lag is over N records")
      ->type_name("N");

  arguments = std::make_shared<GroupArguments>();
  command = subcommand(cli, *group, "seek", "Move committed offsets; shows what it would do first",
                       arguments, seek);
  add_name(*command, arguments);
  command->add_option("--to", arguments->to, "start, end, an offset, a time or -2h")
      ->required()
      ->type_name("PLACE");
  command->add_option("--topic", arguments->topics, "Only this topic; may be repeated")
      ->type_name("TOPIC")
      ->allow_extra_args(false);
  command->add_flag("--execute", arguments->execute, "Do it");

  arguments = std::make_shared<GroupArguments>();
  command = subcommand(cli, *group, "delete", "Forget a group and its offsets", arguments, remove);
  add_name(*command, arguments);
}

}  // namespace runnel::tools
