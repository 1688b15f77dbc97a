// The REST proxy v3: consumer groups, their members, and how far behind they are.
#include <algorithm>
#include <map>

#include "broker/http/proxy_call.h"
#include "broker/http/proxy_kinds.h"
#include "protocol/filter/json_text.h"

namespace runnel::broker::http {
namespace {

using protocol::json_string;
namespace native = protocol::native;

/// "PreparingRebalance" -> "PREPARING_REBALANCE".
std::string upper_snake(std::string_view name) {
  std::string out;
  for (const char c : name) {
    const bool upper = c >= 'A' && c <= 'Z';
    if (upper && !out.empty()) out += '_';
    out += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  }
  return out;
}

std::string group_path(const Call& call, std::string_view group) {
  return cluster_path(call) + "/consumer-groups/" + percent_encode(group);
}

/// `"cluster_id":...,"consumer_group_id":...`
std::string names_of(const Call& call, std::string_view group) {
  return ",\"cluster_id\":" + json_string(cluster_id(call)) +
         ",\"consumer_group_id\":" + json_string(group);
}

std::string json_of(const Call& call, const GroupListing& group, std::string_view assignor) {
  const std::string path = group_path(call, group.group);
  return thing(call, "KafkaConsumerGroup", path) + names_of(call, group.group) +
         ",\"is_simple\":" + (group.protocol_type.empty() ? "true" : "false") +
         ",\"partition_assignor\":" + json_string(assignor) + ",\"state\":\"" +
         upper_snake(group.state) + "\"" +
         related(call, "coordinator", cluster_path(call) + "/brokers/" + node_of(call)) +
         related(call, "consumer", path + "/consumers") +
         related(call, "lag_summary", path + "/lag-summary") + "}";
}

Reply<native::GroupDescription> description_of(const Call& call) {
  RUNNEL_ANSWER(check_cluster(call));
  auto found = call.service().coordinator().describe(call.path("group"));
  if (!found) return tl::unexpected<Refusal>(proxy_refusal(found.error(), true));
  return std::move(*found);
}

std::string json_of(const Call& call, const native::GroupMember& member) {
  const std::string& group = call.path("group");
  const std::string path =
      group_path(call, group) + "/consumers/" + percent_encode(member.member_id);
  return thing(call, "KafkaConsumer", path) + names_of(call, group) +
         ",\"consumer_id\":" + json_string(member.member_id) + ",\"instance_id\":" +
         (member.instance_id.empty() ? "null" : json_string(member.instance_id)) +
         ",\"client_id\":" + json_string(member.client_name) +
         related(call, "assignments", path + "/assignments") + "}";
}

/// A group's place in a partition, and whose that is.
struct Lag {
  std::string topic;
  std::int32_t partition = 0;
  std::int64_t offset = 0;
  std::int64_t end = 0;
  const native::GroupMember* member = nullptr;  ///< null: nobody's now
  [[nodiscard]] std::int64_t lag() const { return std::max<std::int64_t>(0, end - offset); }
};

/// `group` outlives them.
Reply<std::vector<Lag>> lags_of(const Call& call, const native::GroupDescription& group) {
  std::map<std::pair<std::string, std::int32_t>, const native::GroupMember*> owners;
  for (const auto& member : group.members) {
    for (const auto& p : member.assignment) owners[{p.topic, p.partition.value()}] = &member;
  }
  const auto offsets = call.store().committed_offsets(group.group);
  if (!offsets) return tl::unexpected<Refusal>(proxy_refusal(offsets.error(), true));
  std::vector<Lag> out;
  for (const auto& c : *offsets) {
    const auto ref = call.store().partition(c.topic, c.partition);
    if (!ref) continue;  // it is gone
    const auto owner = owners.find({c.topic, c.partition.value()});
    out.push_back({c.topic, c.partition.value(), c.offset.value(),
                   call.store().partition_info(*ref).last_stable.value(),
                   owner == owners.end() ? nullptr : owner->second});
  }
  return out;
}

/// `,"PREFIXconsumer_id":...` and so on.
std::string owner_of(const Lag& lag, std::string_view prefix) {
  const auto member = [&](std::string_view name, const std::string& text) {
    return ",\"" + std::string(prefix) + std::string(name) + "\":" + json_string(text);
  };
  const native::GroupMember none;
  const native::GroupMember& owner = lag.member != nullptr ? *lag.member : none;
  return member("consumer_id", owner.member_id) + ",\"" + std::string(prefix) +
         "instance_id\":" + (owner.instance_id.empty() ? "null" : json_string(owner.instance_id)) +
         member("client_id", owner.client_name);
}

std::string json_of(const Call& call, const Lag& lag) {
  const std::string& group = call.path("group");
  const std::string path = group_path(call, group) + "/lags/" + percent_encode(lag.topic) +
                           "/partitions/" + std::to_string(lag.partition);
  return thing(call, "KafkaConsumerLag", path) + names_of(call, group) +
         ",\"topic_name\":" + json_string(lag.topic) +
         ",\"partition_id\":" + std::to_string(lag.partition) +
         ",\"current_offset\":" + std::to_string(lag.offset) +
         ",\"log_end_offset\":" + std::to_string(lag.end) + owner_of(lag, "") +
         ",\"lag\":" + std::to_string(lag.lag()) + "}";
}

// ---------------------------------------------------------------- handlers
void groups(const CallRef& call) {
  answer_proxy(call, [](Call& within) -> Reply<std::string> {
    RUNNEL_ANSWER(check_cluster(within));
    const auto known = within.service().coordinator().list_all();
    if (!known) return tl::unexpected<Refusal>(proxy_refusal(known.error(), true));
    std::string all;
    for (const GroupListing& each : *known) {
      const auto more = within.service().coordinator().describe(each.group);
      all += (all.empty() ? "" : ",") + json_of(within, each, more ? more->assignor : "");
    }
    return list_of_things(within, "KafkaConsumerGroupList",
                          cluster_path(within) + "/consumer-groups", all);
  });
}

void group(const CallRef& call) {
  answer_proxy(call, [](Call& within) -> Reply<std::string> {
    RUNNEL_ANSWER_ASSIGN(const auto found, description_of(within));
    const auto known = within.service().coordinator().list_all();
    if (!known) return tl::unexpected<Refusal>(proxy_refusal(known.error(), true));
    const auto listing = std::find_if(known->begin(), known->end(), [&](const GroupListing& each) {
      return each.group == found.group;
    });
    if (listing == known->end()) return refuse(404, "the group has gone");
    return json_of(within, *listing, found.assignor);
  });
}

void consumers(const CallRef& call) {
  answer_proxy(call, [](Call& within) -> Reply<std::string> {
    RUNNEL_ANSWER_ASSIGN(const auto found, description_of(within));
    std::string all;
    for (const auto& each : found.members) {
      all += (all.empty() ? "" : ",") + json_of(within, each);
    }
    return list_of_things(within, "KafkaConsumerList",
                          group_path(within, found.group) + "/consumers", all);
  });
}

void lags(const CallRef& call) {
  answer_proxy(call, [](Call& within) -> Reply<std::string> {
    RUNNEL_ANSWER_ASSIGN(const auto found, description_of(within));
    RUNNEL_ANSWER_ASSIGN(const auto known, lags_of(within, found));
    std::string all;
    for (const Lag& each : known) all += (all.empty() ? "" : ",") + json_of(within, each);
    return list_of_things(within, "KafkaConsumerLagList", group_path(within, found.group) + "/lags",
                          all);
  });
}

void lag(const CallRef& call) {
  answer_proxy(call, [](Call& within) -> Reply<std::string> {
    RUNNEL_ANSWER_ASSIGN(const auto partition, partition_in_path(within));
    RUNNEL_ANSWER_ASSIGN(const auto found, description_of(within));
    RUNNEL_ANSWER_ASSIGN(const auto known, lags_of(within, found));
    for (const Lag& each : known) {
      if (each.topic == within.path("topic") && each.partition == partition) {
        return json_of(within, each);
      }
    }
    return refuse(404, "the group has committed nothing in this partition");
  });
}

void lag_summary(const CallRef& call) {
  answer_proxy(call, [](Call& within) -> Reply<std::string> {
    RUNNEL_ANSWER_ASSIGN(const auto found, description_of(within));
    RUNNEL_ANSWER_ASSIGN(const auto known, lags_of(within, found));
    if (known.empty()) return refuse(404, "the group has committed nothing");
    const auto most = std::max_element(
        known.begin(), known.end(), [](const Lag& a, const Lag& b) { return a.lag() < b.lag(); });
    std::int64_t total = 0;
    for (const Lag& each : known) total += each.lag();
    return thing(within, "KafkaConsumerGroupLagSummary",
                 group_path(within, found.group) + "/lag-summary") +
           names_of(within, found.group) + owner_of(*most, "max_lag_") +
           ",\"max_lag_topic_name\":" + json_string(most->topic) +
           ",\"max_lag_partition_id\":" + std::to_string(most->partition) +
           ",\"max_lag\":" + std::to_string(most->lag()) +
           ",\"total_lag\":" + std::to_string(total) + "}";
  });
}

}  // namespace

std::vector<Route> proxy_group_routes() {
  using enum Method;
  return {
      proxy_route(kGet, "/v3/clusters/{cluster}/consumer-groups", groups, "v3ListGroups",
                  "Consumer groups", "KafkaList"),
      proxy_route(kGet, "/v3/clusters/{cluster}/consumer-groups/{group}", group, "v3DescribeGroup",
                  "A consumer group", "KafkaThing"),
      proxy_route(kGet, "/v3/clusters/{cluster}/consumer-groups/{group}/consumers", consumers,
                  "v3ListConsumers", "A group's members", "KafkaList"),
      proxy_route(kGet, "/v3/clusters/{cluster}/consumer-groups/{group}/lags", lags, "v3ListLags",
                  "Where a group is in each partition", "KafkaList"),
      proxy_route(kGet,
                  "/v3/clusters/{cluster}/consumer-groups/{group}/lags/{topic}/partitions/"
                  "{partition}",
                  lag, "v3DescribeLag", "Where a group is in a partition", "KafkaThing"),
      proxy_route(kGet, "/v3/clusters/{cluster}/consumer-groups/{group}/lag-summary", lag_summary,
                  "v3LagSummary", "How far behind a group is", "KafkaThing"),
  };
}

}  // namespace runnel::broker::http
