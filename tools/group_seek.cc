#include "tools/group_seek.h"

#include <algorithm>

#include "tools/text/table.h"

namespace runnel::tools {
namespace {

/// The partitions that a seek moves: of the topics named, or else of those the group has offsets
/// in.
Result<std::vector<Bounds>> partitions_to_move(Client& client, const GroupSeek& seek,
                                               const std::vector<GroupOffset>& offsets) {
  std::vector<std::string> topics = seek.topics;
  if (topics.empty()) {
    for (const GroupOffset& offset : offsets) topics.push_back(offset.target.topic);
    std::sort(topics.begin(), topics.end());
    topics.erase(std::unique(topics.begin(), topics.end()), topics.end());
  }
  if (topics.empty()) {
    return fail(ErrorCode::kNotFound, "group '" + seek.group +
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

}  // namespace

std::string offset_text(std::int64_t offset) {
  return offset == kNoPosition ? "-" : std::to_string(offset);
}

Result<ExitCode> seek_group(Client& client, const GroupSeek& seek) {
  const protocol::Place& place = seek.to;
  RUNNEL_TRY_ASSIGN(const auto committed, settle(client.admin().group_offsets(seek.group).get()));
  RUNNEL_TRY_ASSIGN(const auto partitions, partitions_to_move(client, seek, committed));
  RUNNEL_TRY_ASSIGN(const auto targets, offsets_at(client, partitions, place));
  std::vector<std::vector<std::string>> rows{
      {"TOPIC", "PARTITION", "BEFORE", "AFTER", "TO-READ-BEFORE", "TO-READ-AFTER"}};
  std::vector<GroupOffset> changes;
  for (std::size_t i = 0; i < partitions.size(); ++i) {
    const Bounds& bounds = partitions[i];
    const std::int64_t after = std::clamp(targets[i], bounds.start, bounds.end);
    if (place.kind == protocol::Place::Kind::kOffset && after != place.value) {
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
  RUNNEL_TRY(check_empty(client, seek.group));
  if (!seek.execute) {
    RUNNEL_TRY(write_out("Dry run: nothing was changed. Add --execute to set these offsets.\n"));
    return ExitCode::kOk;
  }
  RUNNEL_TRY(settle(client.admin().seek_group(seek.group, std::move(changes)).get()));
  RUNNEL_TRY(write_out("Offsets of group " + seek.group + " were set.\n"));
  return ExitCode::kOk;
}

}  // namespace runnel::tools
