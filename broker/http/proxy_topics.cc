// The REST proxy v2: topics and partitions.
#include "broker/http/proxy_call.h"
#include "protocol/filter/json_text.h"

namespace runnel::broker::http {
namespace {

using protocol::json_string;

Reply<storage::TopicInfo> topic_of(const Call& call) {
  auto info = call.store().describe_topic(call.path("topic"));
  if (!info) return tl::unexpected<Refusal>(proxy_refusal(info.error(), false));
  return std::move(*info);
}

Reply<storage::PartitionInfo> partition_of(const Call& call) {
  RUNNEL_ANSWER_ASSIGN(const auto index, partition_in_path(call));
  RUNNEL_ANSWER_ASSIGN(const auto topic, topic_of(call));
  if (static_cast<std::size_t>(index) < topic.partitions.size()) {
    return topic.partitions[static_cast<std::size_t>(index)];
  }
  return refuse(ProxyCode::kPartitionNotFound, "Partition not found.");
}

std::string json_of(const storage::PartitionInfo& partition, std::int32_t node) {
  const std::string id = std::to_string(node);
  return "{\"partition\":" + std::to_string(partition.index.value()) + ",\"leader\":" + id +
         ",\"replicas\":[{\"broker\":" + id + ",\"leader\":true,\"in_sync\":true}]}";
}

std::string json_of(const std::vector<storage::PartitionInfo>& partitions, std::int32_t node) {
  std::string out = "[";
  for (const auto& each : partitions) out += (out.size() > 1 ? "," : "") + json_of(each, node);
  return out + "]";
}

void list(const CallRef& call) {
  answer_proxy(call, [](Call& within) -> Reply<std::string> {
    std::string out = "[";
    for (const std::string& name : within.store().topic_names()) {
      out += (out.size() > 1 ? "," : "") + json_string(name);
    }
    return out + "]";
  });
}

void describe(const CallRef& call) {
  answer_proxy(call, [](Call& within) -> Reply<std::string> {
    RUNNEL_ANSWER_ASSIGN(const auto topic, topic_of(within));
    std::string out = "{\"name\":" + json_string(topic.name) + ",\"configs\":{";
    for (const storage::TopicConfigRow& row : storage::topic_config_table()) {
      const auto set = topic.configs.find(row.name);
      if (out.back() != '{') out += ',';
      out += json_string(row.name) + ":" +
             json_string(set != topic.configs.end() ? set->second
                                                    : within.service().topic_default(row));
    }
    return out +
           "},\"partitions\":" + json_of(topic.partitions, within.service().options().node_id) +
           "}";
  });
}

void partitions(const CallRef& call) {
  answer_proxy(call, [](Call& within) -> Reply<std::string> {
    RUNNEL_ANSWER_ASSIGN(const auto topic, topic_of(within));
    return json_of(topic.partitions, within.service().options().node_id);
  });
}

void partition(const CallRef& call) {
  answer_proxy(call, [](Call& within) -> Reply<std::string> {
    RUNNEL_ANSWER_ASSIGN(const auto found, partition_of(within));
    return json_of(found, within.service().options().node_id);
  });
}

void offsets(const CallRef& call) {
  answer_proxy(call, [](Call& within) -> Reply<std::string> {
    RUNNEL_ANSWER_ASSIGN(const auto found, partition_of(within));
    return "{\"beginning_offset\":" + std::to_string(found.log_start.value()) +
           ",\"end_offset\":" + std::to_string(found.last_stable.value()) + "}";
  });
}

void brokers(const CallRef& call) {
  answer_proxy(call, [](Call& within) -> Reply<std::string> {
    return "{\"brokers\":[" + std::to_string(within.service().options().node_id) + "]}";
  });
}

}  // namespace

std::vector<Route> proxy_topic_routes() {
  using enum Method;
  return {
      proxy_route(kGet, "/brokers", brokers, "proxyListBrokers", "Numbers of the brokers: one",
                  "AnyObject"),
      proxy_route(kGet, "/topics", list, "proxyListTopics", "Names of the topics", "NameList"),
      proxy_route(kGet, "/topics/{topic}", describe, "proxyDescribeTopic",
                  "A topic with its configs and partitions", "AnyObject"),
      proxy_route(kGet, "/topics/{topic}/partitions", partitions, "proxyListPartitions",
                  "A topic's partitions", "ObjectList"),
      proxy_route(kGet, "/topics/{topic}/partitions/{partition}", partition,
                  "proxyDescribePartition", "A partition", "AnyObject"),
      proxy_route(kGet, "/topics/{topic}/partitions/{partition}/offsets", offsets,
                  "proxyPartitionOffsets", "Where a partition begins and ends", "AnyObject"),
  };
}

}  // namespace runnel::broker::http
