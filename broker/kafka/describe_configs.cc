// DescribeConfigs: topics, and this broker.
#include "broker/kafka/describe_configs.h"

#include <algorithm>
#include <set>

#include "broker/kafka/errors.h"
#include "broker/kafka/handlers.h"
#include "broker/kafka/named_before.h"

namespace runnel::broker {
namespace {

using kafka::ConfigResource;
using kafka::ConfigSource;
using kafka::DescribeConfigsRequest;
using kafka::DescribeConfigsResponse;
using kafka::KafkaError;

using Asked = DescribeConfigsRequest::Resource;
using Answer = DescribeConfigsResponse::Resource;
using Config = DescribeConfigsResponse::Config;

void refuse(Answer& answer, KafkaError error, std::string message) {
  answer.error = error;
  answer.error_message = std::move(message);
}

/// Which of a resource's configs, and how much about each.
class Wanted {
 public:
  Wanted(const DescribeConfigsRequest& request, const Asked& asked) : request_(request) {
    if (!asked.keys || asked.keys->empty()) return;
    names_.insert(asked.keys->begin(), asked.keys->end());
    all_ = false;
  }
  [[nodiscard]] bool has(std::string_view name) const { return all_ || names_.contains(name); }

  void add(Config config, const std::vector<ConfigOrigin>& origins, std::string_view text,
           Answer& to) const {
    config.is_default = config.source == ConfigSource::kDefault;
    if (request_.include_synonyms) {
      for (const ConfigOrigin& o : origins) config.synonyms.push_back({o.name, o.value, o.source});
    }
    if (request_.include_documentation) config.documentation = std::string(text);
    to.configs.push_back(std::move(config));
  }

 private:
  const DescribeConfigsRequest& request_;
  bool all_ = true;
  std::set<std::string, std::less<>> names_;
};

void describe_topic(Call& call, const Wanted& wanted, Answer& to) {
  if (const Status valid = storage::validate_topic_name(to.name); !valid) {
    return refuse(to, KafkaError::kInvalidTopicException, valid.error().message());
  }
  const auto info = call.store().describe_topic(to.name);
  if (!info) return refuse(to, kafka_error(info.error()), info.error().message());
  for (const storage::TopicConfigRow& row : storage::topic_config_table()) {
    if (!wanted.has(row.name)) continue;
    EffectiveConfig effective = effective_config(call.service().configs(), info->configs, row);
    Config config;
    config.name = row.name;
    config.value = std::move(effective.value);
    config.source = effective.source;
    config.type = config_type(row.type);
    wanted.add(std::move(config), effective.origins, row.text, to);
  }
}

/// What clients have set for every broker.
void describe_default_broker(Call& call, const Wanted& wanted, Answer& to) {
  const auto set = call.service().configs().dynamic(BrokerConfigs::Scope::kDefault);
  for (const auto& [name, value] : set) {
    if (!wanted.has(name)) continue;
    const BrokerConfigRow* row = find_broker_config(name);
    Config config;
    config.name = name;
    config.value = value;
    config.source = ConfigSource::kDynamicDefaultBroker;
    config.type = row->type;
    wanted.add(std::move(config), {{name, value, ConfigSource::kDynamicDefaultBroker}}, row->text,
               to);
  }
}

void describe_broker(Call& call, const Wanted& wanted, Answer& to) {
  if (to.name.empty()) return describe_default_broker(call, wanted, to);
  const std::string node = std::to_string(call.service().options().node_id);
  if (to.name != node) {
    return refuse(to, KafkaError::kInvalidRequest,
                  "this is broker " + node + ", there is no other; an empty name means every one");
  }
  for (const BrokerConfigRow& row : broker_config_table()) {
    if (!wanted.has(row.name)) continue;
    std::vector<ConfigOrigin> origins = call.service().configs().origins(row.name);
    if (row.name == "log.dirs") {
      origins = {{"log.dirs", call.service().options().log_directory, ConfigSource::kStaticBroker}};
    }
    Config config;
    config.name = row.name;
    config.read_only = row.change != ConfigChange::kAnyTime;
    config.source = ConfigSource::kDefault;
    config.type = row.type;
    // A value under another name is a synonym, not this config's value.
    const auto own = std::find_if(origins.begin(), origins.end(),
                                  [&](const ConfigOrigin& o) { return o.name == row.name; });
    const bool same = row.name == "node.id" || row.name == "broker.id";
    if (same || own != origins.end()) {
      const ConfigOrigin& holds = same ? origins.front() : *own;
      config.value = holds.value;
      config.source = holds.source;
    }
    wanted.add(std::move(config), origins, row.text, to);
  }
}

void describe(Call& call, const DescribeConfigsRequest& request, const Asked& asked, Answer& to) {
  const Wanted wanted(request, asked);
  switch (asked.type) {
    case ConfigResource::kTopic:
      return describe_topic(call, wanted, to);
    case ConfigResource::kBroker:
      return describe_broker(call, wanted, to);
    case ConfigResource::kBrokerLogger:
      if (asked.name == std::to_string(call.service().options().node_id)) return;  // none by name
      return refuse(to, KafkaError::kInvalidRequest, "there is no broker '" + asked.name + "'");
    default:
      return refuse(to, KafkaError::kInvalidRequest,
                    "resources of type " + std::to_string(static_cast<int>(asked.type)) +
                        " have no configs here; topics and brokers have");
  }
}

std::string_view without_blanks(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

}  // namespace

EffectiveConfig effective_config(const BrokerConfigs& configs, const storage::ConfigMap& set,
                                 const storage::TopicConfigRow& row) {
  EffectiveConfig effective{&row, {}, ConfigSource::kDefault, configs.topic_origins(row)};
  if (const auto own = set.find(row.name); own != set.end()) {
    effective.value = own->second;
    effective.source = ConfigSource::kTopic;
    effective.origins.insert(effective.origins.begin(),
                             {std::string(row.name), own->second, ConfigSource::kTopic});
    return effective;
  }
  effective.value = configs.topic_default(row);
  if (!effective.origins.empty()) effective.source = effective.origins.front().source;
  return effective;
}

std::string topic_config_value(std::string_view name, std::string_view value) {
  const storage::TopicConfigRow* row = storage::find_topic_config(name);
  if (row == nullptr) return std::string(value);
  if (row->type == "list") {
    std::string items;
    while (true) {
      const std::size_t comma = value.find(',');
      items += without_blanks(value.substr(0, comma));
      if (comma == std::string_view::npos) return items;
      items += ',';
      value.remove_prefix(comma + 1);
    }
  }
  std::string text(without_blanks(value));
  if (row->type == "boolean") {
    std::transform(text.begin(), text.end(), text.begin(), [](char c) {
      return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
  }
  return text;
}

void handle_describe_configs(const CallRef& call) {
  const auto request = call->decode<DescribeConfigsRequest>();
  if (!request) return;
  DescribeConfigsResponse response;
  NamedBefore<std::pair<ConfigResource, std::string_view>> named_before;
  for (const Asked& asked : request->resources) {
    Answer& to = response.resources.emplace_back();
    to.type = asked.type;
    to.name = asked.name;
    if (named_before({asked.type, asked.name})) {
      refuse(to, KafkaError::kInvalidRequest, named_twice("the resource"));
    } else {
      describe(*call, *request, asked, to);
    }
  }
  call->reply(response);
}

}  // namespace runnel::broker
