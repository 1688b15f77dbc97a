// runnel topic create | list | describe | alter | delete
#include <algorithm>
#include <memory>
#include <optional>

#include "protocol/text/time.h"
#include "protocol/text/units.h"
#include "tools/cli.h"
#include "tools/text/json.h"
#include "tools/text/table.h"
#include "tools/topic_configs.h"

namespace runnel::tools {
namespace {

struct TopicArguments {
  std::string broker;
  std::string output;
  std::vector<std::string> names;
  std::int32_t partitions = 0;  ///< 0: not given
  std::vector<std::string> configs;
  std::vector<std::string> unset;
  std::string retention;
  bool if_not_exists = false;
};
using Arguments = std::shared_ptr<TopicArguments>;

/// The key=value pairs of -c, and --retention as what it is short for.
Result<std::vector<TopicConfig>> configs_of(const TopicArguments& arguments) {
  std::vector<TopicConfig> out;
  for (const std::string& pair : arguments.configs) {
    const std::size_t equals = pair.find('=');
    if (equals == std::string::npos || equals == 0) {
      return fail(ErrorCode::kInvalidArgument,
                  "-c '" + pair + "' is not KEY=VALUE, such as retention.ms=604800000");
    }
    out.emplace_back(pair.substr(0, equals), pair.substr(equals + 1));
  }
  if (arguments.retention == "forever") {
    out.emplace_back("retention.ms", "-1");
  } else if (!arguments.retention.empty()) {
    RUNNEL_TRY_ASSIGN(const auto retention, protocol::parse_duration(arguments.retention));
    out.emplace_back("retention.ms", std::to_string(retention.count()));
  }
  return out;
}

std::uint64_t record_count(const TopicState& topic) {
  std::uint64_t count = 0;
  for (const PartitionState& p : topic.partitions) {
    count += static_cast<std::uint64_t>(p.high_watermark - p.log_start);
  }
  return count;
}

std::uint64_t byte_count(const TopicState& topic) {
  std::uint64_t bytes = 0;
  for (const PartitionState& p : topic.partitions) bytes += p.bytes;
  return bytes;
}

std::string newest_text(const PartitionState& partition) {
  return partition.newest ? protocol::format_time(partition.newest->time_since_epoch().count())
                          : "--";
}

std::string topic_json(const TopicState& topic) {
  std::string out = "{\"name\":" + json_string(topic.name) + ",\"id\":" + json_string(topic.id) +
                    ",\"configs\":{";
  for (std::size_t i = 0; i < topic.configs.size(); ++i) {
    out += (i > 0 ? "," : "") + json_string(topic.configs[i].first) + ":" +
           json_string(topic.configs[i].second);
  }
  out += "},\"partitions\":[";
  for (std::size_t i = 0; i < topic.partitions.size(); ++i) {
    const PartitionState& p = topic.partitions[i];
    out += (i > 0 ? ",{" : "{") + std::string("\"partition\":") + std::to_string(p.partition) +
           ",\"start\":" + std::to_string(p.log_start) +
           ",\"end\":" + std::to_string(p.high_watermark) +
           ",\"bytes\":" + std::to_string(p.bytes) + "}";
  }
  return out + "]}";
}

std::string topics_json(const std::vector<TopicState>& topics) {
  std::string out = "[";
  for (std::size_t i = 0; i < topics.size(); ++i) {
    out += (i > 0 ? ",\n" : "\n") + topic_json(topics[i]);
  }
  return out + (topics.empty() ? "]\n" : "\n]\n");
}

std::string partitions_text(std::size_t count) {
  return std::to_string(count) + (count == 1 ? " partition" : " partitions");
}

/// What --if-not-exists found; what was asked for and does not hold is said.
Status report_existing(Client& client, const TopicSpec& spec) {
  RUNNEL_TRY_ASSIGN(const auto topic, describe_topic(client, spec.name));
  const std::size_t count = topic.partitions.size();
  const bool other_count =
      spec.partitions > 0 && static_cast<std::size_t>(spec.partitions) != count;
  const bool other_configs =
      std::any_of(spec.configs.begin(), spec.configs.end(), [&](const TopicConfig& config) {
        return std::find(topic.configs.begin(), topic.configs.end(), config) == topic.configs.end();
      });
  if (other_count || other_configs) {
    note("topic " + spec.name + " was left as it is: its " +
         (other_count ? "number of partitions differs" : "configs differ") +
         " from what was asked for; `runnel topic alter` changes it");
  }
  return write_out("topic " + spec.name + " exists already, with " + partitions_text(count) + "\n");
}

Result<ExitCode> create(const TopicArguments& arguments) {
  RUNNEL_TRY_ASSIGN(const auto configs, configs_of(arguments));
  RUNNEL_TRY_ASSIGN(auto client, connect_to(arguments.broker));
  for (const std::string& name : arguments.names) {
    TopicSpec spec;
    spec.name = name;
    spec.partitions = std::max(1, arguments.partitions);
    spec.configs = configs;
    const auto topic = settle(client.admin().create_topic(spec).get());
    if (topic) {
      RUNNEL_TRY(write_out("created topic " + name + " with " +
                           partitions_text(topic->partitions.size()) + "\n"));
    } else if (arguments.if_not_exists && topic.error().code() == ErrorCode::kTopicExists) {
      spec.partitions = arguments.partitions;
      RUNNEL_TRY(report_existing(client, spec));
    } else if (topic.error().code() == ErrorCode::kTopicExists) {
      return fail(ErrorCode::kTopicExists,
                  topic.error().message() + "; with --if-not-exists that is fine");
    } else {
      return fail(explain_refusal(topic.error(), configs));
    }
  }
  return ExitCode::kOk;
}

Result<ExitCode> list(const TopicArguments& arguments) {
  RUNNEL_TRY_ASSIGN(auto client, connect_to(arguments.broker));
  RUNNEL_TRY_ASSIGN(const auto topics, settle(client.admin().list_topics().get()));
  if (arguments.output == "json") {
    RUNNEL_TRY(write_out(topics_json(topics)));
    return ExitCode::kOk;
  }
  std::vector<std::vector<std::string>> rows{{"TOPIC", "PARTITIONS", "RECORDS", "SIZE"}};
  for (const TopicState& topic : topics) {
    rows.push_back({topic.name, std::to_string(topic.partitions.size()),
                    std::to_string(record_count(topic)),
                    protocol::human_size(static_cast<double>(byte_count(topic)))});
  }
  RUNNEL_TRY(write_out(format_table(rows)));
  return ExitCode::kOk;
}

std::string description(const TopicState& topic) {
  std::string out = "topic       " + topic.name + "\nid          " + topic.id + "\n";
  if (topic.created) {
    out += "created     " + protocol::format_time(topic.created->time_since_epoch().count()) + "\n";
  }
  out += topic_config_lines(topic.configs);
  std::vector<std::vector<std::string>> rows{
      {"PARTITION", "START", "END", "RECORDS", "BYTES", "NEWEST"}};
  for (const PartitionState& p : topic.partitions) {
    rows.push_back(
        {std::to_string(p.partition), std::to_string(p.log_start), std::to_string(p.high_watermark),
         std::to_string(p.high_watermark - p.log_start), std::to_string(p.bytes), newest_text(p)});
  }
  return out + format_table(rows);
}

Result<ExitCode> describe(const TopicArguments& arguments) {
  RUNNEL_TRY_ASSIGN(auto client, connect_to(arguments.broker));
  std::vector<TopicState> topics;
  for (const std::string& name : arguments.names) {
    RUNNEL_TRY_ASSIGN(auto topic, describe_topic(client, name));
    topics.push_back(std::move(topic));
  }
  if (arguments.output == "json") {
    RUNNEL_TRY(write_out(topics_json(topics)));
    return ExitCode::kOk;
  }
  for (const TopicState& topic : topics) RUNNEL_TRY(write_out(description(topic)));
  return ExitCode::kOk;
}

Result<ExitCode> alter(const TopicArguments& arguments) {
  TopicChange change;
  RUNNEL_TRY_ASSIGN(change.set, configs_of(arguments));
  change.unset = arguments.unset;
  change.partitions = arguments.partitions;
  if (change.set.empty() && change.unset.empty() && change.partitions == 0) {
    return fail(ErrorCode::kInvalidArgument,
                "nothing to alter; give -c KEY=VALUE, --unset KEY, --retention or -p");
  }
  RUNNEL_TRY_ASSIGN(auto client, connect_to(arguments.broker));
  for (const std::string& name : arguments.names) {
    change.name = name;
    if (const auto altered = settle(client.admin().alter_topic(change).get()); !altered) {
      return fail(explain_refusal(altered.error(), change.set));
    }
    RUNNEL_TRY(write_out("altered topic " + name + "\n"));
  }
  return ExitCode::kOk;
}

Result<ExitCode> remove(const TopicArguments& arguments) {
  RUNNEL_TRY_ASSIGN(auto client, connect_to(arguments.broker));
  std::optional<Error> failure;
  for (const std::string& name : arguments.names) {
    const auto deleted = settle(client.admin().delete_topic(name).get());
    if (deleted) {
      RUNNEL_TRY(write_out("deleted topic " + name + "\n"));
      continue;
    }
    // The other topics are to go all the same.
    if (failure) note(failure->message());
    failure = deleted.error().code() == ErrorCode::kUnknownTopic
                  ? no_topic(client, name, "`runnel topic list` shows those there are")
                  : deleted.error();
  }
  if (failure) return fail(*failure);
  return ExitCode::kOk;
}

/// A subcommand that runs `work`.
void add_names(CLI::App& command, const Arguments& arguments) {
  command.add_option("topic", arguments->names, "Topics")->required()->type_name("TOPIC");
}

void add_config_options(CLI::App& command, const Arguments& arguments) {
  command
      .add_option("-c,--config", arguments->configs,
                  "Topic config, by Kafka's names; `runnel config reference --topics` lists them")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  command
      .add_option("--retention", arguments->retention,
                  "How long records are kept: 12h, 30d, forever; default of a new topic: 7d")
      ->type_name("DURATION");
}

}  // namespace

void add_topic(Cli& cli) {
  CLI::App* topic = cli.app.add_subcommand("topic", "Create, look at and delete topics");
  topic->require_subcommand(1);

  auto arguments = std::make_shared<TopicArguments>();
  CLI::App* command = add_broker_command(cli, *topic, "create", "Create topics", arguments, create);
  add_names(*command, arguments);
  add_config_options(*command, arguments);
  command->add_option("-p,--partitions", arguments->partitions, "Partitions of each")
      ->check(between(1, 100'000))
      ->default_str("1")
      ->type_name("N");
  command->add_flag("--if-not-exists", arguments->if_not_exists,
                    "A topic that is there already is fine");

  arguments = std::make_shared<TopicArguments>();
  command = add_broker_command(cli, *topic, "list", "List all topics", arguments, list);
  add_output_option(*command, arguments->output);

  arguments = std::make_shared<TopicArguments>();
  command = add_broker_command(cli, *topic, "describe", "Show partitions and configs", arguments,
                               describe);
  add_names(*command, arguments);
  add_output_option(*command, arguments->output);

  arguments = std::make_shared<TopicArguments>();
  command =
      add_broker_command(cli, *topic, "alter", "Change configs, add partitions", arguments, alter);
  add_names(*command, arguments);
  add_config_options(*command, arguments);
  command->add_option("--unset", arguments->unset, "Config to set back to its default")
      ->type_name("KEY")
      ->allow_extra_args(false);
  command->add_option("-p,--partitions", arguments->partitions, "New number of partitions")
      ->check(between(1, 100'000))
      ->type_name("N");

  arguments = std::make_shared<TopicArguments>();
  command = add_broker_command(cli, *topic, "delete", "Delete topics and all their records",
                               arguments, remove);
  add_names(*command, arguments);
}

}  // namespace runnel::tools
