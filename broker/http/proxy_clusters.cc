// The REST proxy v3: the cluster, topics, partitions, configs.
#include <algorithm>

#include "broker/http/proxy_call.h"
#include "broker/http/proxy_kinds.h"
#include "protocol/filter/json_text.h"

namespace runnel::broker::http {
namespace {

using protocol::json_string;

// ---------------------------------------------------------------- what there is
std::string cluster_of(const Call& call) {
  const std::string path = cluster_path(call);
  return thing(call, "KafkaCluster", path) + ",\"cluster_id\":" + json_string(cluster_id(call)) +
         related(call, "controller", path + "/brokers/" + node_of(call)) +
         related(call, "acls", path + "/acls") + related(call, "brokers", path + "/brokers") +
         related(call, "broker_configs", path + "/broker-configs") +
         related(call, "consumer_groups", path + "/consumer-groups") +
         related(call, "topics", path + "/topics") +
         related(call, "partition_reassignments", path + "/topics/-/partitions/-/reassignment") +
         "}";
}

std::string topic_json(const Call& call, const storage::TopicInfo& topic) {
  const std::string path = cluster_path(call) + "/topics/" + percent_encode(topic.name);
  return thing(call, "KafkaTopic", path) + ",\"cluster_id\":" + json_string(cluster_id(call)) +
         ",\"topic_name\":" + json_string(topic.name) +
         ",\"is_internal\":false,\"replication_factor\":1,\"partitions_count\":" +
         std::to_string(topic.partitions.size()) +
         related(call, "partitions", path + "/partitions") +
         related(call, "configs", path + "/configs") +
         related(call, "partition_reassignments", path + "/partitions/-/reassignment") +
         ",\"authorized_operations\":[]}";
}

std::string partition_json(const Call& call, const storage::PartitionInfo& partition) {
  const std::string number = std::to_string(partition.index.value());
  const std::string path = cluster_path(call) + "/topics/" + percent_encode(call.path("topic")) +
                           "/partitions/" + number;
  return thing(call, "KafkaPartition", path) + ",\"cluster_id\":" + json_string(cluster_id(call)) +
         ",\"topic_name\":" + json_string(call.path("topic")) + ",\"partition_id\":" + number +
         related(call, "leader", path + "/replicas/" + node_of(call)) +
         related(call, "replicas", path + "/replicas") +
         related(call, "reassignment", path + "/reassignment") + "}";
}

std::string config_json(const Call& call, const storage::TopicInfo& topic,
                        const storage::TopicConfigRow& row) {
  const auto set = topic.configs.find(row.name);
  const bool is_set = set != topic.configs.end();
  const std::string value = is_set ? set->second : call.service().topic_default(row);
  const std::string path = cluster_path(call) + "/topics/" + percent_encode(topic.name) +
                           "/configs/" + std::string(row.name);
  const std::string source = is_set                       ? "DYNAMIC_TOPIC_CONFIG"
                             : value != row.default_value ? "DYNAMIC_DEFAULT_BROKER_CONFIG"
                                                          : "DEFAULT_CONFIG";
  return thing(call, "KafkaTopicConfig", path) +
         ",\"cluster_id\":" + json_string(cluster_id(call)) +
         ",\"topic_name\":" + json_string(topic.name) + ",\"name\":" + json_string(row.name) +
         ",\"value\":" + json_string(value) + ",\"is_default\":" + (is_set ? "false" : "true") +
         ",\"is_read_only\":false,\"is_sensitive\":false,\"source\":\"" + source +
         "\",\"synonyms\":[{\"name\":" + json_string(row.name) +
         ",\"value\":" + json_string(value) + ",\"source\":\"" + source + "\"}]}";
}

Reply<storage::TopicInfo> topic_in(const Call& call) {
  RUNNEL_ANSWER(check_cluster(call));
  auto info = call.store().describe_topic(call.path("topic"));
  if (!info) return tl::unexpected<Refusal>(proxy_refusal(info.error(), true));
  return std::move(*info);
}

// ---------------------------------------------------------------- handlers
void clusters(const CallRef& call) {
  answer_proxy(call, [](Call& within) -> Reply<std::string> {
    return list_of_things(within, "KafkaClusterList", "/v3/clusters", cluster_of(within));
  });
}

void cluster(const CallRef& call) {
  answer_proxy(call, [](Call& within) -> Reply<std::string> {
    RUNNEL_ANSWER(check_cluster(within));
    return cluster_of(within);
  });
}

void topics(const CallRef& call) {
  answer_proxy(call, [](Call& within) -> Reply<std::string> {
    RUNNEL_ANSWER(check_cluster(within));
    std::string all;
    for (const std::string& name : within.store().topic_names()) {
      const auto info = within.store().describe_topic(name);
      if (!info) continue;  // deleted meanwhile
      all += (all.empty() ? "" : ",") + topic_json(within, *info);
    }
    return list_of_things(within, "KafkaTopicList", cluster_path(within) + "/topics", all);
  });
}

void topic(const CallRef& call) {
  answer_proxy(call, [](Call& within) -> Reply<std::string> {
    RUNNEL_ANSWER_ASSIGN(const auto info, topic_in(within));
    return topic_json(within, info);
  });
}

/// {"name":"retention.ms","value":"1"}
Status read_config(JsonReader& in, storage::ConfigMap& to) {
  std::string key;
  std::string value;
  const Status read = in.object("a config", [&](std::string_view name) -> Status {
    if (name == "name") {
      RUNNEL_TRY_ASSIGN(key, in.text("name"));
    } else if (name == "value") {
      RUNNEL_TRY_ASSIGN(value, in.text("value"));
    } else {
      return in.unknown(name, "name, value");
    }
    return {};
  });
  RUNNEL_TRY(read);
  to[key] = value;
  return {};
}

Status read_topic(std::string_view body, storage::TopicSpec& spec) {
  JsonReader in(body);
  const Status read = in.object("the body", [&](std::string_view name) -> Status {
    if (name == "topic_name") {
      RUNNEL_TRY_ASSIGN(spec.name, in.text("topic_name"));
    } else if (name == "partitions_count") {
      RUNNEL_TRY_ASSIGN(const auto count, in.integer("partitions_count"));
      if (count < 1 || count > storage::kMaxPartitionsPerTopic) {
        return fail(ErrorCode::kInvalidArgument,
                    "a topic can have 1 to " + std::to_string(storage::kMaxPartitionsPerTopic) +
                        " partitions");
      }
      spec.partitions = static_cast<std::int32_t>(count);
    } else if (name == "replication_factor") {
      RUNNEL_TRY_ASSIGN(const auto copies, in.integer("replication_factor"));
      if (copies == 1) return {};
      return fail(ErrorCode::kInvalidArgument,
                  "there is one broker, so the replication factor can only be 1");
    } else if (name == "configs") {
      return in.array("configs", [&] { return read_config(in, spec.configs); });
    } else {
      return in.unknown(name, "topic_name, partitions_count, replication_factor, configs");
    }
    return {};
  });
  RUNNEL_TRY(read);
  return in.end();
}

void create(const CallRef& call) {
  answer_proxy(
      call,
      [](Call& within) -> Reply<std::string> {
        RUNNEL_ANSWER(check_cluster(within));
        storage::TopicSpec spec;
        if (const Status read = read_topic(within.request().body, spec); !read) {
          return tl::unexpected<Refusal>(bad_body(read.error()));
        }
        const auto made = within.store().create_topic(spec);
        if (!made) return tl::unexpected<Refusal>(proxy_refusal(made.error(), true));
        return topic_json(within, *made);
      },
      201);
}

void remove(const CallRef& call) {
  answer_proxy(call, [](Call& within) -> Reply<std::string> {
    RUNNEL_ANSWER(check_cluster(within));
    const Status gone = within.store().delete_topic(within.path("topic"));
    if (!gone) return tl::unexpected<Refusal>(proxy_refusal(gone.error(), true));
    return std::string();
  });
}

void partitions(const CallRef& call) {
  answer_proxy(call, [](Call& within) -> Reply<std::string> {
    RUNNEL_ANSWER_ASSIGN(const auto info, topic_in(within));
    std::string all;
    for (const auto& each : info.partitions) {
      all += (all.empty() ? "" : ",") + partition_json(within, each);
    }
    return list_of_things(
        within, "KafkaPartitionList",
        cluster_path(within) + "/topics/" + percent_encode(info.name) + "/partitions", all);
  });
}

void partition(const CallRef& call) {
  answer_proxy(call, [](Call& within) -> Reply<std::string> {
    RUNNEL_ANSWER_ASSIGN(const auto index, partition_in_path(within));
    RUNNEL_ANSWER_ASSIGN(const auto info, topic_in(within));
    if (static_cast<std::size_t>(index) >= info.partitions.size()) {
      return refuse(ProxyCode::kNotHosted, "This server does not host this topic-partition.");
    }
    return partition_json(within, info.partitions[static_cast<std::size_t>(index)]);
  });
}

void configs(const CallRef& call) {
  answer_proxy(call, [](Call& within) -> Reply<std::string> {
    RUNNEL_ANSWER_ASSIGN(const auto info, topic_in(within));
    std::string all;
    for (const storage::TopicConfigRow& row : storage::topic_config_table()) {
      all += (all.empty() ? "" : ",") + config_json(within, info, row);
    }
    return list_of_things(
        within, "KafkaTopicConfigList",
        cluster_path(within) + "/topics/" + percent_encode(info.name) + "/configs", all);
  });
}

void config(const CallRef& call) {
  answer_proxy(call, [](Call& within) -> Reply<std::string> {
    RUNNEL_ANSWER_ASSIGN(const auto info, topic_in(within));
    const storage::TopicConfigRow* row = storage::find_topic_config(within.path("config"));
    if (row == nullptr) return refuse(404, "there is no topic config of this name");
    return config_json(within, info, *row);
  });
}

}  // namespace

std::vector<Route> proxy_cluster_routes() {
  using enum Method;
  std::vector<Route> out{
      proxy_route(kGet, "/v3/clusters", clusters, "v3ListClusters", "The clusters: one",
                  "KafkaList"),
      proxy_route(kGet, "/v3/clusters/{cluster}", cluster, "v3DescribeCluster", "The cluster",
                  "KafkaThing"),
      proxy_route(kGet, "/v3/clusters/{cluster}/topics", topics, "v3ListTopics", "Topics",
                  "KafkaList"),
      proxy_route(kPost, "/v3/clusters/{cluster}/topics", create, "v3CreateTopic",
                  "Creates a topic", "KafkaThing"),
      proxy_route(kGet, "/v3/clusters/{cluster}/topics/{topic}", topic, "v3DescribeTopic",
                  "A topic", "KafkaThing"),
      proxy_route(kDelete, "/v3/clusters/{cluster}/topics/{topic}", remove, "v3DeleteTopic",
                  "Deletes a topic with all its records", ""),
      proxy_route(kGet, "/v3/clusters/{cluster}/topics/{topic}/partitions", partitions,
                  "v3ListPartitions", "A topic's partitions", "KafkaList"),
      proxy_route(kGet, "/v3/clusters/{cluster}/topics/{topic}/partitions/{partition}", partition,
                  "v3DescribePartition", "A partition", "KafkaThing"),
      proxy_route(kGet, "/v3/clusters/{cluster}/topics/{topic}/configs", configs, "v3ListConfigs",
                  "A topic's configs, with the values that hold", "KafkaList"),
      proxy_route(kGet, "/v3/clusters/{cluster}/topics/{topic}/configs/{config}", config,
                  "v3DescribeConfig", "A topic's config", "KafkaThing"),
  };
  out[3].bodies = {{kJson, "ProxyNewTopic"}};
  out[3].answers.front().status = 201;
  return out;
}

}  // namespace runnel::broker::http
