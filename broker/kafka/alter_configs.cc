// AlterConfigs (all of a resource's configs at once) and IncrementalAlterConfigs (one by one).
#include <algorithm>
#include <map>
#include <unordered_map>

#include "broker/kafka/describe_configs.h"
#include "broker/kafka/errors.h"
#include "broker/kafka/handlers.h"
#include "protocol/kafka/alter_configs.h"

namespace runnel::broker {
namespace {

using kafka::ConfigOperation;
using kafka::ConfigResource;
using kafka::KafkaError;
using Changes = BrokerConfigs::Changes;
using Scope = BrokerConfigs::Scope;

struct Refusal {
  KafkaError error = KafkaError::kNone;
  std::string message;
};
using Outcome = std::optional<Refusal>;  ///< nothing: done

Refusal refusal_of(const Error& error) {
  return {kafka_error(error), error.message()};
}

/// What one request says about one config, in either API.
struct Operation {
  std::string_view name;
  ConfigOperation what = ConfigOperation::kSet;
  const std::optional<std::string>* value = nullptr;
};

/// One resource's part of a request.
struct Part {
  ConfigResource type = ConfigResource::kUnknown;
  std::string_view name;
  std::vector<Operation> operations;
  bool replaces_all = false;  ///< what is not named goes back to its default
  bool validate_only = false;
};

Outcome check_operations(const Part& part) {
  std::vector<std::string_view> names;
  for (const Operation& o : part.operations) {
    names.push_back(o.name);
    if (o.what != ConfigOperation::kDelete && !*o.value) {
      return Refusal{KafkaError::kInvalidRequest,
                     "config '" + std::string(o.name) + "' is set to null"};
    }
  }
  std::sort(names.begin(), names.end());
  if (std::adjacent_find(names.begin(), names.end()) == names.end()) return std::nullopt;
  return Refusal{KafkaError::kInvalidRequest, "a config stands in the request twice"};
}

std::vector<std::string> split_list(std::string_view text) {
  std::vector<std::string> items;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    if (comma > 0) items.emplace_back(text.substr(0, comma));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return items;
}

std::string appended_or_subtracted(ConfigOperation what, std::string_view from,
                                   std::string_view change) {
  std::vector<std::string> items = split_list(from);
  for (std::string& item : split_list(change)) {
    const auto found = std::find(items.begin(), items.end(), item);
    if (what == ConfigOperation::kSubtract) {
      if (found != items.end()) items.erase(found);
    } else if (found == items.end()) {
      items.push_back(std::move(item));
    }
  }
  std::string out;
  for (const std::string& item : items) out += (out.empty() ? "" : ",") + item;
  return out;
}

/// `current(name)` is what holds now; nothing if it is no list.
template <class Current>
Outcome check_kinds(const Part& part, Current current) {
  for (const Operation& o : part.operations) {
    const bool of_lists =
        o.what == ConfigOperation::kAppend || o.what == ConfigOperation::kSubtract;
    if (!of_lists || current(o.name)) continue;
    return Refusal{KafkaError::kInvalidConfig, "config '" + std::string(o.name) +
                                                   "' is no list: it can be set, not appended to"};
  }
  for (const Operation& o : part.operations) {
    if (o.what >= ConfigOperation::kSet && o.what <= ConfigOperation::kSubtract) continue;
    return Refusal{KafkaError::kInvalidRequest,
                   "unknown operation " + std::to_string(static_cast<int>(o.what))};
  }
  return std::nullopt;
}

/// What the operations come to. `current` as above.
template <class Current>
Outcome collect(const Part& part, const storage::ConfigMap& set, Current current, Changes& to) {
  if (auto refused = check_kinds(part, current)) return refused;
  if (part.replaces_all) {
    for (const auto& [name, value] : set) to[name] = std::nullopt;
  }
  for (const Operation& o : part.operations) {
    switch (o.what) {
      case ConfigOperation::kSet:
        to[std::string(o.name)] = **o.value;
        break;
      case ConfigOperation::kDelete:
        if (set.find(o.name) != set.end()) to[std::string(o.name)] = std::nullopt;
        break;
      case ConfigOperation::kAppend:
      case ConfigOperation::kSubtract: {
        to[std::string(o.name)] = appended_or_subtracted(o.what, *current(o.name), **o.value);
        break;
      }
    }
  }
  return std::nullopt;
}

// ---------------------------------------------------------------- topics
/// Finds fault in Kafka's order: whether the topic exists comes last.
Outcome alter_topic(Call& call, const Part& part) {
  const std::string name(part.name);
  if (auto refused = check_operations(part)) return refused;
  const auto info = call.store().describe_topic(name);
  const storage::ConfigMap set = info ? info->configs : storage::ConfigMap();
  const auto current = [&](std::string_view config) -> std::optional<std::string> {
    const storage::TopicConfigRow* row = storage::find_topic_config(config);
    if (row == nullptr || row->type != "list") return std::nullopt;
    return effective_config(call.service().configs(), set, *row).value;
  };
  Changes changes;
  if (auto refused = collect(part, set, current, changes)) return refused;
  if (name.empty()) {
    return Refusal{KafkaError::kInvalidRequest,
                   "there are no defaults of topics to alter; a "
                   "broker's configs are that"};
  }
  if (const Status valid = storage::validate_topic_name(name); !valid) {
    return Refusal{KafkaError::kInvalidTopicException, valid.error().message()};
  }
  storage::ConfigMap values;
  for (auto& [key, value] : changes) {
    if (!value) continue;
    value = topic_config_value(key, *value);
    values.emplace(key, *value);
  }
  if (const Status valid = storage::validate_topic_configs(values); !valid) {
    return refusal_of(valid.error());
  }
  if (!info) return refusal_of(info.error());
  if (part.validate_only || changes.empty()) return std::nullopt;
  const Status done = call.store().alter_topic(name, {changes.begin(), changes.end()});
  if (!done) return refusal_of(done.error());
  return std::nullopt;
}

// ---------------------------------------------------------------- brokers
Outcome check_broker_changes(const Changes& changes) {
  for (const auto& [name, value] : changes) {
    const BrokerConfigRow* row = find_broker_config(name);
    if (row != nullptr && row->change != ConfigChange::kAnyTime) {
      return Refusal{KafkaError::kInvalidRequest,
                     "config '" + name + "' can't be changed while the broker runs"};
    }
    if (!value) continue;
    if (const Status valid = check_broker_config(name, *value); !valid) {
      return Refusal{row == nullptr ? KafkaError::kInvalidConfig : KafkaError::kInvalidRequest,
                     valid.error().message()};
    }
  }
  return std::nullopt;
}

Outcome alter_broker(Call& call, const Part& part) {
  const std::string node = std::to_string(call.service().options().node_id);
  if (!part.name.empty() && part.name != node) {
    return Refusal{KafkaError::kInvalidRequest,
                   "this is broker " + node + ", there is no other; an empty name means every one"};
  }
  if (auto refused = check_operations(part)) return refused;
  BrokerConfigs& configs = call.service().configs();
  const Scope scope = part.name.empty() ? Scope::kDefault : Scope::kBroker;
  const auto current = [&](std::string_view config) -> std::optional<std::string> {
    const BrokerConfigRow* row = find_broker_config(config);
    if (row == nullptr || row->type != kafka::ConfigType::kList) return std::nullopt;
    const auto origins = configs.origins(config);
    return origins.empty() ? std::string() : origins.front().value;
  };
  Changes changes;
  if (auto refused = collect(part, configs.dynamic(scope), current, changes)) return refused;
  if (auto refused = check_broker_changes(changes)) return refused;
  if (part.validate_only) return std::nullopt;
  if (const Status done = configs.change(scope, changes); !done) return refusal_of(done.error());
  return std::nullopt;
}

/// There are none: what is told is what the first change would be refused for by a broker that
/// knows no logger of that name.
Outcome alter_loggers(Call& call, const Part& part) {
  if (part.replaces_all || part.name != std::to_string(call.service().options().node_id)) {
    return Refusal{KafkaError::kInvalidRequest, "there is no broker '" + std::string(part.name) +
                                                    "' whose loggers this request could alter"};
  }
  if (auto refused = check_operations(part)) return refused;
  if (part.operations.empty()) return std::nullopt;
  const ConfigOperation first = part.operations.front().what;
  if (first == ConfigOperation::kAppend || first == ConfigOperation::kSubtract) {
    return Refusal{KafkaError::kInvalidRequest,
                   "a logger's level is no list to append to or to subtract from"};
  }
  return Refusal{KafkaError::kInvalidConfig,
                 "there are no loggers to alter; the option log-level says what is logged"};
}

// ---------------------------------------------------------------- both APIs
Outcome alter(Call& call, const Part& part) {
  switch (part.type) {
    case ConfigResource::kTopic:
      return alter_topic(call, part);
    case ConfigResource::kBroker:
      return alter_broker(call, part);
    case ConfigResource::kBrokerLogger:
      return alter_loggers(call, part);
    default:
      return Refusal{KafkaError::kInvalidRequest,
                     "resources of type " + std::to_string(static_cast<int>(part.type)) +
                         " have no configs here; topics and brokers have"};
  }
}

Operation operation_of(const kafka::AlterConfigsRequest::Config& config) {
  return {config.name, ConfigOperation::kSet, &config.value};
}
Operation operation_of(const kafka::IncrementalAlterConfigsRequest::Config& config) {
  return {config.name, config.operation, &config.value};
}

/// Each resource by itself: one that is refused does not keep the others from their change.
template <class Response, class Request>
Response alter_all(Call& call, const Request& request, bool replaces_all) {
  std::map<std::pair<ConfigResource, std::string_view>, int> times;
  for (const auto& resource : request.resources) ++times[{resource.type, resource.name}];
  Response response;
  MutexLock lock(call.service().configs().altering());
  for (const auto& resource : request.resources) {
    auto& answer = response.resources.emplace_back();
    answer.type = resource.type;
    answer.name = resource.name;
    Outcome outcome;
    if (times[{resource.type, resource.name}] > 1) {
      outcome = Refusal{KafkaError::kInvalidRequest, "the resource stands in the request twice"};
    } else {
      Part part{resource.type, resource.name, {}, replaces_all, request.validate_only};
      for (const auto& config : resource.configs) part.operations.push_back(operation_of(config));
      outcome = alter(call, part);
    }
    if (!outcome) continue;
    answer.error = outcome->error;
    answer.error_message = std::move(outcome->message);
  }
  return response;
}

template <class Request, class Response>
void handle(const CallRef& call, bool replaces_all) {
  auto request = call->decode<Request>();
  if (!request) return;
  run_blocking(
      call,
      [call, replaces_all, request = std::move(*request)] {
        return alter_all<Response>(*call, request, replaces_all);
      },
      [call](const Response& response) { call->reply(response); });
}

}  // namespace

void handle_alter_configs(const CallRef& call) {
  handle<kafka::AlterConfigsRequest, kafka::AlterConfigsResponse>(call, true);
}

void handle_incremental_alter_configs(const CallRef& call) {
  handle<kafka::IncrementalAlterConfigsRequest, kafka::IncrementalAlterConfigsResponse>(call,
                                                                                        false);
}

}  // namespace runnel::broker
