// Consumer groups: who is in them, where they are, how far behind; moving them.
#include <algorithm>
#include <map>
#include <set>

#include "broker/http/call.h"
#include "broker/http/json_in.h"
#include "broker/http/limits.h"
#include "broker/http/record_scan.h"
#include "broker/http/routes.h"
#include "protocol/filter/json_text.h"

namespace runnel::broker::http {
namespace {

using protocol::json_string;
namespace native = protocol::native;

constexpr std::size_t kMaxMoved = 10'000;  ///< partitions, of one request

void list(const CallRef& call) {
  answer_blocking(call, [call]() -> Result<Response> {
    const std::string after(call->query("after").value_or(""));
    const auto limit = static_cast<std::size_t>(call->integer("limit", 1000));
    RUNNEL_TRY_ASSIGN(const auto reply, call->service().coordinator().list());
    std::string body = "{\"groups\":[";
    std::string next = "null";
    std::size_t count = 0;
    const std::string* last = nullptr;
    for (const native::GroupDescription& g : reply.groups) {
      if (g.group <= after) continue;
      if (count++ == limit) {
        next = json_string(*last);
        break;
      }
      if (body.back() != '[') body += ',';
      body += "{\"group\":" + json_string(g.group) + ",\"state\":" + json_string(g.state) + "}";
      last = &g.group;
    }
    return json(body + "],\"next\":" + next + "}\n");
  });
}

/// A group's place in one partition.
struct Standing {
  std::string topic;
  std::int32_t partition = 0;
  std::int64_t offset = -1;         ///< -1: none
  std::optional<std::int64_t> end;  ///< nullopt: the partition is gone
  std::string metadata;
  std::int64_t committed = -1;
};

std::optional<std::int64_t> end_of(const storage::Store& store, const std::string& topic,
                                   PartitionIndex partition) {
  const auto ref = store.partition(topic, partition);
  if (!ref) return std::nullopt;
  return store.partition_info(*ref).last_stable.value();
}

std::optional<std::int64_t> lag_of(const Standing& s) {
  if (!s.end || s.offset < 0) return std::nullopt;
  return std::max<std::int64_t>(0, *s.end - s.offset);
}

std::string or_null(const std::optional<std::int64_t>& value) {
  return value ? std::to_string(*value) : "null";
}

Result<std::vector<Standing>> standings_of(const storage::Store& store, const std::string& group) {
  RUNNEL_TRY_ASSIGN(auto offsets, store.committed_offsets(group));
  std::vector<Standing> out;
  for (storage::CommittedOffset& c : offsets) {
    const auto end = end_of(store, c.topic, c.partition);
    out.push_back({std::move(c.topic), c.partition.value(), c.offset.value(), end,
                   std::move(c.metadata), c.committed.value()});
  }
  return out;
}

std::string json_of(const std::vector<Standing>& standings) {
  std::string out = "[";
  for (const Standing& s : standings) {
    if (out.back() != '[') out += ',';
    out += "{\"topic\":" + json_string(s.topic) + ",\"partition\":" + std::to_string(s.partition) +
           ",\"offset\":" + std::to_string(s.offset) + ",\"end\":" + or_null(s.end) +
           ",\"lag\":" + or_null(lag_of(s)) + ",\"metadata\":" + json_string(s.metadata) +
           ",\"committed\":" + std::to_string(s.committed) + "}";
  }
  return out + "]";
}

std::string json_of(const native::GroupMember& member) {
  std::map<std::string, std::string> topics;
  for (const native::TopicPartition& p : member.assignment) {
    std::string& list = topics[p.topic];
    list += (list.empty() ? "" : ",") + std::to_string(p.partition.value());
  }
  std::string out = "{\"member\":" + json_string(member.member_id) +
                    ",\"instance\":" + json_string(member.instance_id) +
                    ",\"client\":" + json_string(member.client_name) +
                    ",\"host\":" + json_string(member.host) + ",\"assignment\":[";
  for (const auto& [topic, list] : topics) {
    if (out.back() != '[') out += ',';
    out += "{\"topic\":" + json_string(topic) + ",\"partitions\":[" + list + "]}";
  }
  return out + "]}";
}

void describe(const CallRef& call) {
  answer_blocking(call, [call]() -> Result<Response> {
    const std::string& group = call->path("group");
    RUNNEL_TRY_ASSIGN(const auto found, call->service().coordinator().describe(group));
    RUNNEL_TRY_ASSIGN(const auto standings, standings_of(call->store(), group));
    std::string body = "{\"group\":" + json_string(group) +
                       ",\"state\":" + json_string(found.state) + ",\"members\":[";
    for (const native::GroupMember& member : found.members) {
      if (body.back() != '[') body += ',';
      body += json_of(member);
    }
    std::int64_t lag = 0;
    for (const Standing& s : standings) lag += lag_of(s).value_or(0);
    return json(body + "],\"offsets\":" + json_of(standings) + ",\"lag\":" + std::to_string(lag) +
                "}\n");
  });
}

void remove(const CallRef& call) {
  answer_blocking(call, [call]() -> Result<Response> {
    RUNNEL_TRY(call->service().coordinator().remove(call->path("group")));
    return Response{204, {}, {}, {}};
  });
}

void offsets(const CallRef& call) {
  answer_blocking(call, [call]() -> Result<Response> {
    const std::string& group = call->path("group");
    RUNNEL_TRY(call->service().coordinator().describe(group));
    RUNNEL_TRY_ASSIGN(const auto standings, standings_of(call->store(), group));
    return json("{\"group\":" + json_string(group) + ",\"offsets\":" + json_of(standings) + "}\n");
  });
}

/// Where a group is in the partitions of one topic, or of all if it is empty.
Status append_lags(const storage::Store& store, const std::string& group, std::string_view topic,
                   std::size_t& count, std::size_t& omitted, std::string& out) {
  RUNNEL_TRY_ASSIGN(const auto standings, standings_of(store, group));
  for (const Standing& s : standings) {
    const auto lag = lag_of(s);
    if (!lag || (!topic.empty() && s.topic != topic)) continue;
    if (count == kMaxGroupSeries) {
      ++omitted;
      continue;
    }
    if (count++ > 0) out += ',';
    out += "{\"group\":" + json_string(group) + ",\"topic\":" + json_string(s.topic) +
           ",\"partition\":" + std::to_string(s.partition) +
           ",\"offset\":" + std::to_string(s.offset) + ",\"lag\":" + std::to_string(*lag) + "}";
  }
  return {};
}

void lags(const CallRef& call) {
  answer_blocking(call, [call]() -> Result<Response> {
    const std::string topic(call->query("topic").value_or(""));
    RUNNEL_TRY_ASSIGN(const auto groups, call->store().groups_with_offsets());
    std::string body = "{\"lags\":[";
    std::size_t count = 0;
    std::size_t omitted = 0;
    for (const std::string& group : groups) {
      RUNNEL_TRY(append_lags(call->store(), group, topic, count, omitted, body));
    }
    return json(body + "],\"omitted\":" + std::to_string(omitted) + "}\n");
  });
}

/// What a client wants moved.
struct Wish {
  std::string topic;
  std::optional<std::int32_t> partition;  ///< nullopt: all of them
  std::optional<protocol::Place> to;      ///< nullopt: what was committed is forgotten
};
struct Move {
  std::string topic;
  PartitionIndex partition;
  std::int64_t before = -1;
  std::int64_t after = -1;
  std::int64_t end = 0;
};
struct Wishes {
  std::vector<Wish> all;
  bool dry_run = false;
};

Status read_wish(JsonReader& in, std::int64_t now, Wish& wish) {
  bool said = false;
  const Status members = in.object("a place", [&](std::string_view name) -> Status {
    if (name == "topic") {
      RUNNEL_TRY_ASSIGN(wish.topic, in.text("topic"));
    } else if (name == "partition") {
      RUNNEL_TRY_ASSIGN(const auto index, in.integer("partition"));
      if (index < 0 || index >= storage::kMaxPartitionsPerTopic) {
        return fail(ErrorCode::kUnknownPartition, "there is no partition " + std::to_string(index));
      }
      wish.partition = static_cast<std::int32_t>(index);
    } else if (name == "to") {
      RUNNEL_TRY_ASSIGN(const auto text, in.text_or_null("to"));
      if (text) {
        RUNNEL_TRY_ASSIGN(wish.to, protocol::parse_place(*text, now));
      }
      said = true;
    } else {
      return in.unknown(name, "topic, partition, to");
    }
    return {};
  });
  RUNNEL_TRY(members);
  if (!wish.topic.empty() && said) return {};
  return fail(ErrorCode::kInvalidArgument,
              "a place needs topic and to (start, end, an offset, -2h, a time; null forgets)");
}

Result<Wishes> read_wishes(std::string_view body, std::int64_t now) {
  JsonReader in(body);
  Wishes out;
  const Status members = in.object("the body", [&](std::string_view name) -> Status {
    if (name == "dry_run") {
      RUNNEL_TRY_ASSIGN(out.dry_run, in.boolean("dry_run"));
      return {};
    }
    if (name != "offsets") return in.unknown(name, "offsets, dry_run");
    return in.array("offsets", [&] { return read_wish(in, now, out.all.emplace_back()); });
  });
  RUNNEL_TRY(members);
  RUNNEL_TRY(in.end());
  if (!out.all.empty() && out.all.size() <= kMaxMoved) return out;
  return fail(ErrorCode::kInvalidArgument,
              "offsets has to have 1 to " + std::to_string(kMaxMoved) + " places");
}

Result<Move> move_of(const storage::Store& store, const std::string& group, const Wish& wish,
                     PartitionIndex partition) {
  RUNNEL_TRY_ASSIGN(const auto ref, store.partition(wish.topic, partition));
  RUNNEL_TRY_ASSIGN(const auto before, store.committed_offset(group, wish.topic, partition));
  Move move{wish.topic, partition, before ? before->offset.value() : -1, -1,
            store.partition_info(ref).last_stable.value()};
  if (wish.to) {
    RUNNEL_TRY_ASSIGN(const Offset after, find_place(store, ref, *wish.to));
    move.after = after.value();
  }
  return move;
}

Result<std::vector<Move>> moves_of(Call& call, const Wishes& wishes) {
  std::vector<Move> out;
  std::set<std::pair<std::string, std::int32_t>> seen;
  for (const Wish& wish : wishes.all) {
    std::int32_t from = wish.partition.value_or(0);
    std::int32_t end = from + 1;
    if (!wish.partition) {
      RUNNEL_TRY_ASSIGN(end, call.service().partition_count(wish.topic));
    }
    for (; from < end; ++from) {
      if (!seen.emplace(wish.topic, from).second) {
        return fail(ErrorCode::kInvalidArgument,
                    "partition " + std::to_string(from) + " of " + wish.topic + " is named twice");
      }
      if (out.size() >= kMaxMoved) {
        return fail(ErrorCode::kTooManyPartitions,
                    "a request may move " + std::to_string(kMaxMoved) + " partitions");
      }
      RUNNEL_TRY_ASSIGN(auto move,
                        move_of(call.store(), call.path("group"), wish, PartitionIndex(from)));
      out.push_back(std::move(move));
    }
  }
  return out;
}

/// Who is in the group would not learn of it, and put its own place there again.
Status check_empty(Call& call) {
  const std::string& group = call.path("group");
  const Status allowed = call.service().coordinator().check_commit(group, {}, -1);
  if (allowed) return {};
  const auto code = allowed.error().code();
  if (code != ErrorCode::kUnknownMember && code != ErrorCode::kStaleGeneration) return allowed;
  std::string members;
  if (const auto found = call.service().coordinator().describe(group)) {
    for (std::size_t i = 0; i < found->members.size() && i < 5; ++i) {
      members +=
          (i == 0 ? ": " : ", ") + found->members[i].client_name + " at " + found->members[i].host;
    }
  }
  return fail(ErrorCode::kGroupNotEmpty,
              "the group has members" + members + ". Stop them, then move it");
}

Response moved(const std::string& group, const std::vector<Move>& moves, bool dry_run) {
  std::string body = "{\"group\":" + json_string(group) +
                     ",\"dry_run\":" + (dry_run ? "true" : "false") + ",\"offsets\":[";
  const auto lag = [](std::int64_t offset, std::int64_t end) {
    return offset < 0 ? std::string("null")
                      : std::to_string(std::max<std::int64_t>(0, end - offset));
  };
  for (const Move& m : moves) {
    if (body.back() != '[') body += ',';
    body += "{\"topic\":" + json_string(m.topic) +
            ",\"partition\":" + std::to_string(m.partition.value()) +
            ",\"before\":" + std::to_string(m.before) + ",\"after\":" + std::to_string(m.after) +
            ",\"lag_before\":" + lag(m.before, m.end) + ",\"lag_after\":" + lag(m.after, m.end) +
            "}";
  }
  return json(body + "]}\n");
}

void commit(const CallRef& call, std::vector<Move> moves) {
  storage::CommitRequest request;
  for (const Move& m : moves) {
    request.offsets.push_back(
        {call->path("group"), m.topic, m.partition, Offset(m.after), LeaderEpoch(-1), {}});
  }
  const NativeCommitter nobody{call->path("group"), {}, -1};
  const Status queued = call->service().coordinator().commit_as({&nobody, 1}, [&] {
    call->store().queue_commit(std::move(request), [call, moves = std::move(moves)](
                                                       const storage::CommitOutcome& outcome) {
      auto result = outcome.result ? Result<Response>(moved(call->path("group"), moves, false))
                                   : Result<Response>(fail(outcome.result.error()));
      call->on_loop([call, result = std::move(result)] { call->reply(result); });
    });
  });
  if (!queued) call->fail(queued.error());  // somebody has come in the meantime
}

void move(const CallRef& call) {
  auto wishes = read_wishes(call->request().body, call->service().clock().now().value());
  if (!wishes) return call->fail(wishes.error());
  const bool dry_run = wishes->dry_run;
  run_blocking(
      call,
      [call, wishes = std::move(*wishes)]() -> Result<std::vector<Move>> {
        if (call->path("group").size() > storage::kMaxNameBytes) {
          return fail(
              ErrorCode::kInvalidGroupId,
              "a group's name has at most " + std::to_string(storage::kMaxNameBytes) + " bytes");
        }
        RUNNEL_TRY(check_empty(*call));
        return moves_of(*call, wishes);
      },
      [call, dry_run](Result<std::vector<Move>> moves) {
        if (!moves) return call->fail(moves.error());
        if (dry_run) return call->reply(moved(call->path("group"), *moves, true));
        commit(call, std::move(*moves));
      });
}

}  // namespace

std::vector<Route> group_routes() {
  const std::string_view path = "/api/v1/groups/{group}";
  const std::string_view offsets_path = "/api/v1/groups/{group}/offsets";
  return {
      {.pattern = "/api/v1/groups",
       .handler = list,
       .id = "listGroups",
       .tag = "groups",
       .summary = "Consumer groups by name",
       .query = {{.name = "after", .text = "Only groups behind this name: `next` of a page."},
                 {.name = "limit",
                  .kind = Param::Kind::kInteger,
                  .text = "Most groups of the page; 1000 if left out.",
                  .min = 1,
                  .max = kMaxListed}},
       .answers = {{200, "A page of groups.", {{kJson, "GroupList"}}}}},
      {.pattern = "/api/v1/lags",
       .handler = lags,
       .id = "listLags",
       .tag = "groups",
       .summary = "Where all groups are, in one answer",
       .query = {{.name = "topic", .text = "Only in this topic."}},
       .answers = {{200, "Their places, by group.", {{kJson, "LagList"}}}}},
      {.pattern = path,
       .handler = describe,
       .id = "describeGroup",
       .tag = "groups",
       .summary = "A group's members, places and lag",
       .answers = {{200, "The group.", {{kJson, "Group"}}}}},
      {.method = Method::kDelete,
       .pattern = path,
       .handler = remove,
       .id = "deleteGroup",
       .tag = "groups",
       .summary = "Deletes a group without members, and its places",
       .answers = {{204, "It is gone."}}},
      {.pattern = offsets_path,
       .handler = offsets,
       .id = "getGroupOffsets",
       .tag = "groups",
       .summary = "Where a group is in each partition",
       .answers = {{200, "Its places.", {{kJson, "GroupOffsets"}}}}},
      {.method = Method::kPut,
       .pattern = offsets_path,
       .handler = move,
       .id = "setGroupOffsets",
       .tag = "groups",
       .summary = "Moves a group without members, or tells what that would do",
       .bodies = {{kJson, "GroupMoves"}},
       .answers = {{200, "Each partition before and after.", {{kJson, "GroupMoved"}}}}},
  };
}

}  // namespace runnel::broker::http
