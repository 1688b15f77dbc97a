// Metadata, DescribeCluster and FindCoordinator: this one node, whatever is asked.
#include <algorithm>
#include <set>

#include "broker/kafka/errors.h"
#include "broker/kafka/handlers.h"
#include "broker/kafka/named_before.h"
#include "broker/kafka/partitions.h"
#include "broker/kafka/steps.h"
#include "protocol/kafka/describe_cluster.h"
#include "protocol/kafka/find_coordinator.h"
#include "protocol/kafka/metadata.h"

namespace runnel::broker {
namespace {

using kafka::KafkaError;
using kafka::MetadataRequest;
using kafka::MetadataResponse;

constexpr LeaderEpoch kLeaderEpoch{0};  // one node leads everything, always
/// What a client may do with a cluster where nobody is refused anything: bits of Kafka's operation
/// numbers.
constexpr std::int32_t kAllClusterOperations = 0b1'1111'1010'0000;
/// From this version on a request says itself whether topics may be created.
constexpr std::int16_t kFirstWithAutoCreation = 4;
/// From this version on topics may be asked for by id. Two versions before have the field, empty.
constexpr std::int16_t kFirstWithTopicIds = 12;
/// Topics that one request creates; who asks again for the others gets them too. More than these
/// are not looked up in one go.
constexpr std::size_t kMaxAtOnce = 1000;
/// From this version on FindCoordinator asks for several keys at once.
constexpr std::int16_t kFirstWithManyKeys = 4;

MetadataResponse::Topic described(Call& call, const storage::TopicInfo& info,
                                  bool with_operations) {
  MetadataResponse::Topic topic;
  topic.name = info.name;
  topic.topic_id = info.id;
  if (with_operations) topic.authorized_operations = kAllTopicOperations;
  const std::int32_t node = call.service().options().node_id;
  topic.partitions.reserve(info.partitions.size());
  for (const storage::PartitionInfo& p : info.partitions) {
    MetadataResponse::Partition partition;
    partition.index = p.index;
    partition.leader_id = node;
    partition.leader_epoch = kLeaderEpoch;
    partition.replica_nodes = {node};
    partition.isr_nodes = {node};
    topic.partitions.push_back(std::move(partition));
  }
  return topic;
}

MetadataResponse::Topic refused(std::optional<std::string> name, Uuid id, KafkaError error) {
  MetadataResponse::Topic topic;
  topic.name = std::move(name);
  topic.topic_id = id;
  topic.error = error;
  return topic;
}

MetadataResponse::Topic by_id(Call& call, const MetadataRequest::Topic& asked,
                              bool with_operations) {
  const auto name = call.store().topic_name(asked.topic_id);
  if (name) {
    const auto info = call.store().describe_topic(*name);
    if (info && info->id == asked.topic_id) return described(call, *info, with_operations);
  }
  return refused(std::nullopt, asked.topic_id, KafkaError::kUnknownTopicId);
}

MetadataResponse begin_response(Call& call, const MetadataRequest& request) {
  MetadataResponse response;
  const Endpoint at = call.advertised();
  response.brokers.push_back({call.service().options().node_id, at.host, at.port, std::nullopt});
  response.cluster_id = call.store().id().to_string();
  response.controller_id = call.service().options().node_id;
  if (request.include_cluster_authorized_operations) {
    response.cluster_authorized_operations = kAllClusterOperations;
  }
  return response;
}

/// A request that has any id is about those only.
bool has_ids(const MetadataRequest& request) {
  return request.topics && std::any_of(request.topics->begin(), request.topics->end(),
                                       [](const auto& t) { return t.topic_id != Uuid(); });
}

/// An answer in the making, topic by topic. `create`: topics that are not there are made, which
/// blocks.
class Answer {
 public:
  Answer(Call& call, MetadataRequest request, bool create)
      : response(begin_response(call, request)),
        request_(std::move(request)),
        by_ids_(has_ids(request_)),
        may_create_(create ? kMaxAtOnce : 0) {}

  /// Answers for the next topic; false if there is none.
  [[nodiscard]] bool next(const CallRef& call) {
    if (next_ == request_.topics->size()) return false;
    const MetadataRequest::Topic& asked = (*request_.topics)[next_++];
    if (by_ids_) {
      if (asked.topic_id != Uuid() && !named_before_({{}, asked.topic_id})) {
        response.topics.push_back(by_id(*call, asked, with_operations()));
      }
    } else if (!named_before_({*asked.name, {}})) {
      add(*call, *asked.name);
    }
    return true;
  }
  [[nodiscard]] std::size_t asked() const { return request_.topics->size(); }
  void add_all(Call& call) {
    for (const std::string& name : call.store().topic_names()) {
      const auto info = call.store().describe_topic(name);
      if (info) response.topics.push_back(described(call, *info, with_operations()));
    }
  }

  MetadataResponse response;

 private:
  [[nodiscard]] bool with_operations() const {
    return request_.include_topic_authorized_operations;
  }
  void add(Call& call, const std::string& name) {
    auto info = call.store().describe_topic(name);
    if (!info && info.error().code() == ErrorCode::kUnknownTopic && may_create_ > 0) {
      --may_create_;
      info = call.store().create_topic({name, call.service().options().default_partitions, {}});
      // Somebody else was quicker.
      if (!info && info.error().code() == ErrorCode::kTopicExists) {
        info = call.store().describe_topic(name);
      }
    }
    if (info) {
      response.topics.push_back(described(call, *info, with_operations()));
      return;
    }
    const Status valid = storage::validate_topic_name(name);
    response.topics.push_back(
        refused(name, {}, valid ? kafka_error(info.error()) : kafka_error(valid.error())));
    if (with_operations()) response.topics.back().authorized_operations = kAllTopicOperations;
  }

  const MetadataRequest request_;
  const bool by_ids_;
  std::size_t may_create_;
  std::size_t next_ = 0;
  NamedBefore<std::pair<std::string_view, Uuid>> named_before_;
};

/// Whether each topic is named as its version can: by name, from version 12 on by id instead.
bool names_topics(Call& call, const MetadataRequest& request) {
  if (!request.topics) return true;
  const bool by_ids = has_ids(request);
  if (by_ids) return call.version() >= kFirstWithTopicIds;
  return std::all_of(request.topics->begin(), request.topics->end(),
                     [](const auto& topic) { return topic.name.has_value(); });
}

MetadataResponse refused_whole(const MetadataRequest& request) {
  MetadataResponse response;
  std::set<std::string> seen;
  for (const auto& topic : *request.topics) {
    const std::string name = topic.name.value_or("");
    if (!seen.insert(name).second) continue;
    response.topics.push_back(refused(name, topic.topic_id, KafkaError::kInvalidRequest));
  }
  return response;
}

bool creates(Call& call, const MetadataRequest& request) {
  if (!call.service().options().auto_create_topics || !request.topics) return false;
  if (has_ids(request)) return false;
  if (call.version() >= kFirstWithAutoCreation && !request.allow_auto_topic_creation) return false;
  return std::any_of(request.topics->begin(), request.topics->end(), [&](const auto& topic) {
    return topic.name && storage::validate_topic_name(*topic.name) &&
           !call.store().describe_topic(*topic.name);
  });
}

}  // namespace

void handle_metadata(const CallRef& call) {
  auto request = call->decode<MetadataRequest>();
  if (!request) return;
  if (!names_topics(*call, *request)) return call->reply(refused_whole(*request));
  const bool all = !request->topics || (call->version() == 0 && request->topics->empty());
  const bool create = creates(*call, *request);
  const auto answer = std::make_shared<Answer>(*call, std::move(*request), create);
  const bool many = !all && answer->asked() > kMaxAtOnce;
  if (create || many) return run_in_steps(call, answer);
  if (all) {
    answer->add_all(*call);
  } else {
    while (answer->next(call)) continue;
  }
  call->reply(answer->response);
}

void handle_describe_cluster(const CallRef& call) {
  const auto request = call->decode<kafka::DescribeClusterRequest>();
  if (!request) return;
  kafka::DescribeClusterResponse response;
  if (request->endpoint_type != kafka::EndpointType::kBroker) {  // no controllers to list
    response.error = request->endpoint_type == kafka::EndpointType::kController
                         ? KafkaError::kMismatchedEndpointType
                         : KafkaError::kUnsupportedEndpointType;
    return call->reply(response);
  }
  response.cluster_id = call->store().id().to_string();
  const Endpoint at = call->advertised();
  const std::int32_t node = call->service().options().node_id;
  response.controller_id = node;
  response.brokers.push_back({node, at.host, at.port, std::nullopt, false});
  if (request->include_authorized_operations)
    response.authorized_operations = kAllClusterOperations;
  call->reply(response);
}

void handle_find_coordinator(const CallRef& call) {
  const auto request = call->decode<kafka::FindCoordinatorRequest>();
  if (!request) return;
  const Endpoint at = call->advertised();
  const std::int32_t node = call->service().options().node_id;
  const bool known = request->key_type == kafka::CoordinatorType::kGroup ||
                     request->key_type == kafka::CoordinatorType::kTransaction;
  const auto found = [&](std::string key) {
    kafka::FindCoordinatorResponse::Coordinator one;
    one.key = std::move(key);
    one.error = known ? KafkaError::kNone : KafkaError::kInvalidRequest;
    if (known) {
      one.node_id = node;
      one.host = at.host;
      one.port = at.port;
    }
    return one;
  };
  kafka::FindCoordinatorResponse response;
  if (call->version() >= kFirstWithManyKeys) {
    for (const std::string& key : request->keys) response.coordinators.push_back(found(key));
  } else {
    const auto one = found(request->key);
    response.error = one.error;
    response.node_id = one.node_id;
    response.host = one.host;
    response.port = one.port;
  }
  call->reply(response);
}

}  // namespace runnel::broker
