// CreateTopics, DeleteTopics, CreatePartitions, DeleteRecords. All of them wait for the disk.
#include <map>
#include <unordered_map>

#include "broker/kafka/answer_room.h"
#include "broker/kafka/describe_configs.h"
#include "broker/kafka/errors.h"
#include "broker/kafka/handlers.h"
#include "broker/kafka/named_before.h"
#include "broker/kafka/partitions.h"
#include "broker/kafka/steps.h"
#include "protocol/kafka/create_partitions.h"
#include "protocol/kafka/create_topics.h"
#include "protocol/kafka/delete_records.h"
#include "protocol/kafka/delete_topics.h"

namespace runnel::broker {
namespace {

using kafka::KafkaError;

/// What is wrong with a part of a request.
struct Refusal {
  KafkaError error = KafkaError::kNone;
  std::string message;
};
Refusal refusal_of(const Error& error) {
  return {kafka_error(error), error.message()};
}

template <class Answer>
void refuse(Answer& answer, Refusal refusal) {
  answer.error = refusal.error;
  answer.error_message = std::move(refusal.message);
}

Refusal topic_named_twice() {
  return {KafkaError::kInvalidRequest, named_twice("the topic")};
}

// ---------------------------------------------------------------- create
using CreateTopic = kafka::CreateTopicsRequest::Topic;

/// Every partition is on this node, once; assignments and factors must say just that.
Refusal check_assignments(const CreateTopic& topic, std::int32_t node) {
  if (topic.partitions != -1 || topic.replication_factor != -1) {
    return {KafkaError::kInvalidRequest,
            "give either assignments or a number of partitions and replicas, not both"};
  }
  std::vector<bool> seen(topic.assignments.size());
  for (const auto& a : topic.assignments) {
    const auto index = static_cast<std::size_t>(a.index.value());
    if (a.index < PartitionIndex(0) || index >= seen.size() || seen[index]) {
      return {KafkaError::kInvalidReplicaAssignment, "partitions are numbered from 0, each once"};
    }
    seen[index] = true;
    if (a.broker_ids != std::vector<std::int32_t>{node}) {
      return {KafkaError::kInvalidReplicaAssignment,
              "there is one broker here, number " + std::to_string(node)};
    }
  }
  return {};
}

Refusal check_counts(const CreateTopic& topic) {
  if (topic.replication_factor == 0 || topic.replication_factor < -1) {
    return {KafkaError::kInvalidReplicationFactor, "the replication factor must be larger than 0"};
  }
  if (topic.partitions == 0 || topic.partitions < -1) {
    return {KafkaError::kInvalidPartitions, "the number of partitions must be larger than 0"};
  }
  if (topic.replication_factor > 1) {
    return {KafkaError::kInvalidReplicationFactor,
            "replication factor " + std::to_string(topic.replication_factor) +
                " is larger than the one broker that is here"};
  }
  return {};
}

Result<storage::ConfigMap> configs_of(const CreateTopic& topic) {
  storage::ConfigMap configs;
  for (const auto& config : topic.configs) {
    if (!config.value) {
      return fail(ErrorCode::kInvalidConfig, "config '" + config.name + "' has no value");
    }
    configs[config.name] = topic_config_value(config.name, *config.value);
  }
  return configs;
}

Result<storage::TopicSpec> spec_of(const CallRef& call, const CreateTopic& topic) {
  storage::TopicSpec spec;
  spec.name = topic.name;
  spec.partitions = topic.partitions;
  if (!topic.assignments.empty()) {
    spec.partitions = static_cast<std::int32_t>(topic.assignments.size());
  } else if (topic.partitions == -1) {
    spec.partitions = call->service().options().default_partitions;
  }
  RUNNEL_TRY_ASSIGN(spec.configs, configs_of(topic));
  return spec;
}

/// In the order in which Kafka finds fault: clients are told the same of several mistakes.
Refusal check(const CallRef& call, const CreateTopic& topic) {
  if (const Status name = storage::validate_topic_name(topic.name); !name) {
    return refusal_of(name.error());
  }
  if (call->store().describe_topic(topic.name)) {
    return {KafkaError::kTopicAlreadyExists, "topic '" + topic.name + "' already exists"};
  }
  const auto configs = configs_of(topic);
  if (!configs) return refusal_of(configs.error());
  if (const Status valid = storage::validate_topic_configs(*configs); !valid) {
    return refusal_of(valid.error());
  }
  if (!topic.assignments.empty()) {
    return check_assignments(topic, call->service().options().node_id);
  }
  return check_counts(topic);
}

/// All configs of a topic are a few hundred times as long as its name in the request. Where there
/// is no room for them the topic is made all the same, and clients hear why they are not told.
void tell_configs(const CallRef& call, const storage::ConfigMap& configs, AnswerRoom& room,
                  kafka::CreateTopicsResponse::Topic& answer) {
  for (const storage::TopicConfigRow& row : storage::topic_config_table()) {
    EffectiveConfig config = effective_config(call->service().configs(), configs, row);
    const std::uint64_t bytes =
        sizeof(kafka::CreateTopicsResponse::Config) + row.name.size() + config.value.size();
    if (!room.take(bytes)) {
      answer.configs.reset();
      answer.config_error = KafkaError::kPolicyViolation;
      return;
    }
    answer.configs->push_back({std::string(row.name), std::move(config.value), false,
                               static_cast<std::int8_t>(config.source), false});
  }
}

void create(const CallRef& call, const kafka::CreateTopicsRequest& request,
            const CreateTopic& topic, AnswerRoom& room,
            kafka::CreateTopicsResponse::Topic& answer) {
  answer.configs.emplace();
  if (Refusal refusal = check(call, topic); refusal.error != KafkaError::kNone) {
    return refuse(answer, std::move(refusal));
  }
  auto spec = spec_of(call, topic);
  if (!spec) return refuse(answer, refusal_of(spec.error()));
  const std::int32_t partitions = spec->partitions;
  if (request.validate_only) {
    const Status valid = call->store().validate_topic(*spec);
    if (!valid) return refuse(answer, refusal_of(valid.error()));
  } else {
    const auto made = call->store().create_topic(*spec);
    if (!made) return refuse(answer, refusal_of(made.error()));
    answer.topic_id = made->id;
  }
  answer.partitions = partitions;
  answer.replication_factor = 1;
  tell_configs(call, spec->configs, room, answer);
}

void answer_topic(const CallRef& call, const kafka::CreateTopicsRequest& request,
                  const CreateTopic& topic, bool twice, AnswerRoom& room,
                  kafka::CreateTopicsResponse::Topic& answer) {
  if (!twice) return create(call, request, topic, room, answer);
  answer.configs.emplace();
  refuse(answer, topic_named_twice());
}

// ---------------------------------------------------------------- delete
/// From this version on clients know the error for brokers that delete nothing.
constexpr std::int16_t kFirstWithDeletionDisabled = 3;

using DeleteTopic = kafka::DeleteTopicsRequest::Topic;
/// What a topic is counted by: its id if it has one, else its name.
using DeleteKey = std::pair<std::string, Uuid>;

DeleteKey key_of(const CallRef& call, const DeleteTopic& topic) {
  if (!topic.name || topic.topic_id != Uuid()) return {topic.name.value_or(""), topic.topic_id};
  const auto info = call->store().describe_topic(*topic.name);
  return info ? DeleteKey{"", info->id} : DeleteKey{*topic.name, {}};
}

/// By name or by id: whoever gives both or neither is refused, each entry for itself.
bool is_named(const DeleteTopic& topic) {
  return topic.name.has_value() != (topic.topic_id != Uuid());
}

void remove(const CallRef& call, const std::string& name,
            kafka::DeleteTopicsResponse::Topic& answer) {
  if (!call->service().options().delete_topics) {
    const bool known = call->version() >= kFirstWithDeletionDisabled;
    return refuse(answer, {known ? KafkaError::kTopicDeletionDisabled : KafkaError::kInvalidRequest,
                           "delete.topic.enable is false"});
  }
  const auto info = call->store().describe_topic(name);
  if (info) answer.topic_id = info->id;
  if (const Status done = call->store().delete_topic(name); !done) {
    refuse(answer, refusal_of(done.error()));
  }
}

void remove_by_name_or_id(const CallRef& call, const DeleteTopic& topic,
                          kafka::DeleteTopicsResponse::Topic& answer) {
  if (!is_named(topic)) {
    return refuse(answer, {KafkaError::kInvalidRequest, "give either a topic's name or its id"});
  }
  if (topic.name) return remove(call, *topic.name, answer);
  const auto name = call->store().topic_name(topic.topic_id);
  if (!name) {
    answer.error = KafkaError::kUnknownTopicId;
    return;
  }
  answer.name = *name;
  remove(call, *name, answer);
}

/// Answers for each topic once, in order, when it has seen how often each is named.
class TopicsToDelete {
 public:
  TopicsToDelete(Call&, kafka::DeleteTopicsRequest request) : request_(std::move(request)) {
    for (std::string& name : request_.names) {  // of versions that know no ids
      request_.topics.emplace_back().name = std::move(name);
    }
  }
  [[nodiscard]] bool next(const CallRef& call) {
    if (keys_.size() < request_.topics.size()) {
      count(call, request_.topics[keys_.size()]);
      return true;
    }
    if (next_ == keys_.size()) return false;
    answer(call, request_.topics[next_], keys_[next_]);
    ++next_;
    return true;
  }

  kafka::DeleteTopicsResponse response;

 private:
  struct Named {
    int times = 0;
    bool answered = false;
    bool by_id = false;
    std::optional<std::string> name;
  };

  void count(const CallRef& call, const DeleteTopic& topic) {
    keys_.push_back(key_of(call, topic));
    if (!is_named(topic)) return;
    Named& named = named_[keys_.back()];
    ++named.times;
    if (!topic.name) named.by_id = true;
    if (!named.name) named.name = topic.name;
  }
  void answer(const CallRef& call, const DeleteTopic& topic, const DeleteKey& key) {
    Named* named = is_named(topic) ? &named_[key] : nullptr;
    if (named != nullptr && std::exchange(named->answered, true)) return;
    auto& to = response.topics.emplace_back();
    to.name = topic.name;
    to.topic_id = topic.topic_id;
    if (named == nullptr || named->times == 1) return remove_by_name_or_id(call, topic, to);
    to.name = named->name;
    if (named->by_id) to.topic_id = key.second;
    refuse(to, topic_named_twice());
  }

  kafka::DeleteTopicsRequest request_;
  std::vector<DeleteKey> keys_;  ///< of the topics, in their order
  std::map<DeleteKey, Named> named_;
  std::size_t next_ = 0;
};

// ---------------------------------------------------------------- partitions
void add_partitions(const CallRef& call, const kafka::CreatePartitionsRequest& request,
                    const kafka::CreatePartitionsRequest::Topic& topic,
                    kafka::CreatePartitionsResponse::Topic& answer) {
  const auto info = call->store().describe_topic(topic.name);
  if (!info) return refuse(answer, refusal_of(info.error()));
  const auto now = static_cast<std::int32_t>(info->partitions.size());
  if (topic.count <= now) {
    return refuse(answer, {KafkaError::kInvalidPartitions,
                           "the topic has " + std::to_string(now) + " partitions, " +
                               std::to_string(topic.count) + " is not an increase"});
  }
  if (topic.assignments) {
    if (topic.assignments->size() != static_cast<std::size_t>(topic.count - now)) {
      return refuse(answer, {KafkaError::kInvalidReplicaAssignment,
                             "give one assignment for each new partition"});
    }
    for (const auto& a : *topic.assignments) {
      if (a.broker_ids != std::vector<std::int32_t>{call->service().options().node_id}) {
        return refuse(answer, {KafkaError::kInvalidReplicaAssignment, "there is one broker here"});
      }
    }
  }
  if (request.validate_only) return;
  if (const Status done = call->store().add_partitions(topic.name, topic.count); !done) {
    refuse(answer, refusal_of(done.error()));
  }
}

void answer_topic(const CallRef& call, const kafka::CreatePartitionsRequest& request,
                  const kafka::CreatePartitionsRequest::Topic& topic, bool twice, AnswerRoom&,
                  kafka::CreatePartitionsResponse::Topic& answer) {
  if (!twice) return add_partitions(call, request, topic, answer);
  refuse(answer, topic_named_twice());
}

/// Answers for each topic once, in order, with answer_topic().
template <class Request, class Response>
class TopicByTopic {
 public:
  TopicByTopic(Call& call, Request request) : request_(std::move(request)), room_(call) {
    for (const auto& topic : request_.topics) ++times_[topic.name];
  }
  [[nodiscard]] bool next(const CallRef& call) {
    if (next_ == request_.topics.size()) return false;
    const auto& topic = request_.topics[next_++];
    const int count = std::exchange(times_[topic.name], 0);
    if (count == 0) return true;  // answered with its first
    auto& answer = response.topics.emplace_back();
    answer.name = topic.name;
    answer_topic(call, request_, topic, count > 1, room_, answer);
    return true;
  }

  Response response;

 private:
  const Request request_;
  AnswerRoom room_;
  std::unordered_map<std::string_view, int> times_;  // views of request_
  std::size_t next_ = 0;
};

// ---------------------------------------------------------------- records
void delete_records(const CallRef& call, const std::string& topic,
                    const kafka::DeleteRecordsRequest::Partition& asked,
                    kafka::DeleteRecordsResponse::Partition& answer) {
  answer.index = asked.index;
  const auto found = call->store().partition(topic, asked.index);
  if (!found) {
    answer.error = kafka_error(found.error());
    return;
  }
  const storage::PartitionInfo info = call->store().partition_info(*found);
  const Offset before = asked.offset == Offset(-1) ? info.high_watermark : asked.offset;
  if (before < Offset(0) || before > info.high_watermark) {
    answer.error = KafkaError::kOffsetOutOfRange;
    return;
  }
  if (before <= info.log_start) {  // they are gone already
    answer.low_watermark = info.log_start;
    return;
  }
  const auto start = call->store().delete_records(*found, before);
  if (start) {
    answer.low_watermark = *start;
  } else {
    answer.error = kafka_error(start.error());
  }
}

class RecordsToDelete {
 public:
  RecordsToDelete(Call&, kafka::DeleteRecordsRequest request) : request_(std::move(request)) {}
  [[nodiscard]] bool next(const CallRef& call) {
    if (topic_ == request_.topics.size()) return false;
    const auto& topic = request_.topics[topic_];
    if (partition_ == 0) response.topics.emplace_back().name = topic.name;
    if (partition_ < topic.partitions.size()) {
      auto& answer = response.topics.back().partitions.emplace_back();
      delete_records(call, topic.name, topic.partitions[partition_++], answer);
    }
    if (partition_ == topic.partitions.size()) {
      ++topic_;
      partition_ = 0;
    }
    return true;
  }

  kafka::DeleteRecordsResponse response;

 private:
  const kafka::DeleteRecordsRequest request_;
  std::size_t topic_ = 0;      ///< the next one is here ...
  std::size_t partition_ = 0;  ///< ... at this place
};

/// Decodes, and has `Work` do the request's parts.
template <class Request, class Work>
void step_by_step(const CallRef& call) {
  auto request = call->decode<Request>();
  if (!request) return;
  run_in_steps(call, std::make_shared<Work>(*call, std::move(*request)));
}

}  // namespace

void handle_create_topics(const CallRef& call) {
  using Request = kafka::CreateTopicsRequest;
  step_by_step<Request, TopicByTopic<Request, kafka::CreateTopicsResponse>>(call);
}

void handle_delete_topics(const CallRef& call) {
  step_by_step<kafka::DeleteTopicsRequest, TopicsToDelete>(call);
}

void handle_create_partitions(const CallRef& call) {
  using Request = kafka::CreatePartitionsRequest;
  step_by_step<Request, TopicByTopic<Request, kafka::CreatePartitionsResponse>>(call);
}

void handle_delete_records(const CallRef& call) {
  step_by_step<kafka::DeleteRecordsRequest, RecordsToDelete>(call);
}

}  // namespace runnel::broker
