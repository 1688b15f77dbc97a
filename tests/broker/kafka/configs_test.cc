// Configs of topics and of the broker: described, altered, kept.
#include "broker/kafka/configs.h"

#include <fstream>
#include <regex>

#include "broker/kafka/advertised.h"
#include "protocol/kafka/alter_configs.h"
#include "protocol/kafka/create_topics.h"
#include "protocol/kafka/describe_configs.h"
#include "tests/broker/kafka/kafka_fixture.h"

namespace runnel::broker {
namespace {

using kafka::AlterConfigsRequest;
using kafka::AlterConfigsResponse;
using kafka::ConfigOperation;
using kafka::ConfigResource;
using kafka::ConfigSource;
using kafka::DescribeConfigsRequest;
using kafka::DescribeConfigsResponse;
using kafka::IncrementalAlterConfigsRequest;
using kafka::IncrementalAlterConfigsResponse;
using kafka::KafkaError;

constexpr std::int16_t kDescribe = 4;

class ConfigsTest : public ::testing::Test {
 protected:
  static KafkaOptions options() {
    KafkaOptions options;
    apply_configs({{"num.partitions", "3"}, {"log.retention.hours", "24"}}, options);
    options.log_directory = "/data";
    return options;
  }
  void SetUp() override { ASSERT_TRUE(world.service.start()); }

  DescribeConfigsResponse::Resource describe(
      ConfigResource type, const std::string& name,
      std::optional<std::vector<std::string>> keys = std::nullopt) {
    DescribeConfigsRequest request;
    request.resources.push_back({type, name, std::move(keys)});
    request.include_synonyms = request.include_documentation = true;
    auto response = client.call<DescribeConfigsResponse>(kDescribe, request);
    EXPECT_EQ(response.resources.size(), 1U);
    return response.resources.at(0);
  }
  DescribeConfigsResponse::Config config(ConfigResource type, const std::string& name,
                                         const std::string& key) {
    const auto found = describe(type, name, std::vector<std::string>{key});
    EXPECT_EQ(found.configs.size(), 1U) << key;
    return found.configs.empty() ? DescribeConfigsResponse::Config() : found.configs[0];
  }
  KafkaError alter(ConfigResource type, const std::string& name,
                   std::vector<IncrementalAlterConfigsRequest::Config> configs,
                   bool validate_only = false) {
    IncrementalAlterConfigsRequest request;
    request.resources.push_back({type, name, std::move(configs)});
    request.validate_only = validate_only;
    return client.call<IncrementalAlterConfigsResponse>(1, request).resources.at(0).error;
  }
  KafkaError set(ConfigResource type, const std::string& name, const std::string& key,
                 const std::string& value) {
    return alter(type, name, {{key, ConfigOperation::kSet, value}});
  }
  storage::ConfigMap topic() { return world.store.describe_topic("orders")->configs; }

  KafkaWorld world{options()};
  KafkaClient client = world.connect();
};

constexpr auto kTopic = ConfigResource::kTopic;
constexpr auto kBroker = ConfigResource::kBroker;

TEST_F(ConfigsTest, ATopicShowsEveryConfigWithItsSource) {
  const auto all = describe(kTopic, "orders");
  EXPECT_EQ(all.configs.size(), storage::topic_config_table().size());
  for (const auto& c : all.configs) {
    EXPECT_TRUE(c.value && c.documentation && !c.documentation->empty()) << c.name;
    EXPECT_FALSE(c.read_only || c.is_sensitive) << c.name;
  }
  const auto retention = config(kTopic, "orders", "retention.ms");
  EXPECT_EQ(retention.value, "86400000") << "24 hours, in its own unit";
  EXPECT_EQ(retention.source, ConfigSource::kStaticBroker);
  EXPECT_EQ(retention.type, kafka::ConfigType::kLong);
  ASSERT_EQ(retention.synonyms.size(), 2U);
  EXPECT_EQ(retention.synonyms[0].name, "log.retention.hours");
  EXPECT_EQ(retention.synonyms[1].source, ConfigSource::kDefault);
  EXPECT_EQ(describe(kTopic, "nope").error, KafkaError::kUnknownTopicOrPartition);
  EXPECT_EQ(describe(kTopic, "no pe").error, KafkaError::kInvalidTopicException);
}

TEST_F(ConfigsTest, ATopicsConfigsChangeOneByOne) {
  EXPECT_EQ(set(kTopic, "orders", "retention.ms", "1000"), KafkaError::kNone);
  EXPECT_EQ(config(kTopic, "orders", "retention.ms").source, ConfigSource::kTopic);
  EXPECT_EQ(alter(kTopic, "orders", {{"cleanup.policy", ConfigOperation::kAppend, "compact"}}),
            KafkaError::kNone);
  EXPECT_EQ(topic()["cleanup.policy"], "delete,compact");
  EXPECT_EQ(alter(kTopic, "orders", {{"cleanup.policy", ConfigOperation::kSubtract, "delete"}}),
            KafkaError::kNone);
  EXPECT_EQ(topic()["cleanup.policy"], "compact");
  EXPECT_EQ(alter(kTopic, "orders",
                  {{"retention.ms", ConfigOperation::kDelete, std::nullopt},
                   {"cleanup.policy", ConfigOperation::kDelete, std::nullopt},
                   {"nonsense", ConfigOperation::kDelete, std::nullopt}}),
            KafkaError::kNone);
  EXPECT_TRUE(topic().empty());
}

TEST_F(ConfigsTest, WhatIsWrongIsToldAsKafkaDoes) {
  const auto one = [&](const char* name, ConfigOperation what, std::optional<std::string> value) {
    return alter(kTopic, "orders", {{name, what, std::move(value)}});
  };
  EXPECT_EQ(one("nonsense", ConfigOperation::kSet, "1"), KafkaError::kInvalidConfig);
  EXPECT_EQ(one("retention.ms", ConfigOperation::kSet, "abc"), KafkaError::kInvalidConfig);
  EXPECT_EQ(one("retention.ms", ConfigOperation::kSet, std::nullopt), KafkaError::kInvalidRequest);
  EXPECT_EQ(one("retention.ms", ConfigOperation::kAppend, "1"), KafkaError::kInvalidConfig);
  const auto unknown = static_cast<ConfigOperation>(4);
  EXPECT_EQ(one("retention.ms", unknown, "1"), KafkaError::kInvalidRequest);
  EXPECT_EQ(alter(kTopic, "orders",
                  {{"retention.ms", unknown, "1"}, {"segment.ms", ConfigOperation::kAppend, "1"}}),
            KafkaError::kInvalidConfig)
      << "what is no list is found first";
  EXPECT_EQ(one("retention.ms", static_cast<ConfigOperation>(9), "1"), KafkaError::kInvalidRequest);
  EXPECT_EQ(alter(kTopic, "orders",
                  {{"retention.ms", ConfigOperation::kSet, "1"},
                   {"retention.ms", ConfigOperation::kSet, "2"}}),
            KafkaError::kInvalidRequest);
  EXPECT_EQ(set(kTopic, "nope", "retention.ms", "1"), KafkaError::kUnknownTopicOrPartition);
  EXPECT_EQ(set(kTopic, "", "retention.ms", "1"), KafkaError::kInvalidRequest);
  EXPECT_EQ(set(ConfigResource::kBrokerLogger, "1", "kafka", "INFO"), KafkaError::kInvalidConfig);
  EXPECT_EQ(
      alter(ConfigResource::kBrokerLogger, "1", {{"kafka", ConfigOperation::kAppend, "INFO"}}),
      KafkaError::kInvalidRequest);
  EXPECT_EQ(alter(ConfigResource::kBrokerLogger, "1", {}), KafkaError::kNone);
  EXPECT_EQ(
      alter(ConfigResource::kBrokerLogger, "1", {{"kafka", ConfigOperation::kSet, std::nullopt}}),
      KafkaError::kInvalidRequest);
  EXPECT_EQ(set(ConfigResource::kClientMetrics, "m", "x", "1"), KafkaError::kInvalidRequest);
  EXPECT_EQ(alter(kTopic, "orders", {{"retention.ms", ConfigOperation::kSet, "1"}}, true),
            KafkaError::kNone);
  EXPECT_TRUE(topic().empty()) << "nothing of all that may have been stored";

  IncrementalAlterConfigsRequest twice;
  for (int i = 0; i < 2; ++i) {
    twice.resources.push_back({kTopic, "orders", {{"retention.ms", ConfigOperation::kSet, "1"}}});
  }
  for (const auto& r : client.call<IncrementalAlterConfigsResponse>(1, twice).resources) {
    EXPECT_EQ(r.error, KafkaError::kInvalidRequest);
  }
}

TEST_F(ConfigsTest, TheOldWayReplacesEverything) {
  ASSERT_EQ(set(kTopic, "orders", "retention.ms", "1000"), KafkaError::kNone);
  AlterConfigsRequest request;
  request.resources.push_back({kTopic, "orders", {{"retention.bytes", "5"}}});
  EXPECT_EQ(client.call<AlterConfigsResponse>(2, request).resources.at(0).error, KafkaError::kNone);
  EXPECT_EQ(topic(), (storage::ConfigMap{{"retention.bytes", "5"}}));
}

TEST_F(ConfigsTest, TheBrokersConfigsRankAsKafkas) {
  EXPECT_EQ(set(kBroker, "", "log.retention.ms", "2000"), KafkaError::kNone);
  EXPECT_EQ(config(kTopic, "orders", "retention.ms").source, ConfigSource::kDynamicDefaultBroker);
  EXPECT_EQ(set(kBroker, "1", "log.retention.ms", "1000"), KafkaError::kNone);
  const auto retention = config(kTopic, "orders", "retention.ms");
  EXPECT_EQ(retention.value, "1000");
  EXPECT_EQ(retention.source, ConfigSource::kDynamicBroker);
  EXPECT_EQ(retention.synonyms.size(), 4U);
  EXPECT_EQ(world.store.topic_defaults(), (storage::ConfigMap{{"retention.ms", "1000"}}));
  EXPECT_EQ(describe(kBroker, "").configs.size(), 1U) << "only what was set for all";
  EXPECT_EQ(alter(kBroker, "1", {{"log.retention.ms", ConfigOperation::kDelete, std::nullopt}}),
            KafkaError::kNone);
  EXPECT_EQ(world.store.topic_defaults(), (storage::ConfigMap{{"retention.ms", "2000"}}));

  const auto partitions = config(kBroker, "1", "num.partitions");
  EXPECT_EQ(partitions.value, "3");
  EXPECT_TRUE(partitions.read_only);
  EXPECT_EQ(config(kBroker, "1", "log.retention.minutes").value, std::nullopt);
  EXPECT_EQ(config(kBroker, "1", "log.dirs").value, "/data");
}

TEST_F(ConfigsTest, WhatABrokerDoesNotTake) {
  EXPECT_EQ(set(kBroker, "1", "num.partitions", "9"), KafkaError::kInvalidRequest);
  EXPECT_EQ(set(kBroker, "1", "message.max.bytes", "x"), KafkaError::kInvalidRequest);
  EXPECT_EQ(set(kBroker, "1", "nonsense", "x"), KafkaError::kInvalidConfig);
  EXPECT_EQ(set(kBroker, "7", "message.max.bytes", "1"), KafkaError::kInvalidRequest);
  EXPECT_EQ(describe(kBroker, "7").error, KafkaError::kInvalidRequest);
  EXPECT_TRUE(world.store.read_state("kafka/config/").value().empty());
}

/// The entries of the example in docs/formats/broker-configs.md.
std::vector<std::pair<std::string, std::string>> documented_entries() {
  std::ifstream in(std::string(RUNNEL_SOURCE_DIR) + "/docs/formats/broker-configs.md");
  std::vector<std::pair<std::string, std::string>> entries;
  const std::regex pattern("(kafka/config/[a-z./]+) = (.*)");
  for (std::string line; std::getline(in, line);) {
    std::smatch match;
    if (std::regex_match(line, match, pattern)) entries.emplace_back(match[1], match[2]);
  }
  return entries;
}

TEST_F(ConfigsTest, TheStateIsAsDocumentedAndIsReadAgain) {
  ASSERT_EQ(set(kBroker, "1", "log.retention.ms", "3600000"), KafkaError::kNone);
  ASSERT_EQ(alter(kBroker, "",
                  {{"log.retention.ms", ConfigOperation::kSet, "7200000"},
                   {"message.max.bytes", ConfigOperation::kSet, "2000000"}}),
            KafkaError::kNone);
  const auto kept = world.store.read_state("kafka/config/").value();
  EXPECT_EQ(kept.size(), 3U);
  EXPECT_EQ(kept, documented_entries());

  storage::CommitRequest strange;
  strange.state.push_back({"kafka/config/broker/gone.config", "1"});
  strange.state.push_back({"kafka/config/broker/log.retention.bytes", "many"});
  ASSERT_TRUE(world.store.commit_and_wait(std::move(strange)).result);
  BrokerConfigs again(world.store, {});
  ASSERT_TRUE(again.load());
  EXPECT_EQ(again.origins("log.retention.ms").front().value, "3600000");
  EXPECT_EQ(again.dynamic(BrokerConfigs::Scope::kBroker).size(), 1U);
  EXPECT_EQ(world.store.topic_defaults(),
            (storage::ConfigMap{{"max.message.bytes", "2000000"}, {"retention.ms", "3600000"}}));
}

TEST_F(ConfigsTest, ANewTopicIsAnsweredWithItsConfigs) {
  kafka::CreateTopicsRequest request;
  request.topics.emplace_back();
  request.topics[0].name = "new";
  request.topics[0].partitions = -1;
  request.topics[0].replication_factor = -1;
  request.topics[0].configs = {{"retention.ms", "77"}};
  request.validate_only = true;
  const auto answer = client.call<kafka::CreateTopicsResponse>(7, request).topics.at(0);
  EXPECT_EQ(answer.error, KafkaError::kNone);
  EXPECT_EQ(answer.partitions, 3);
  ASSERT_TRUE(answer.configs);
  EXPECT_EQ(answer.configs->size(), storage::topic_config_table().size());
  EXPECT_FALSE(world.store.describe_topic("new")) << "it was only to be checked";
}

TEST(BrokerConfigTable, DefaultsMayBeSetAndNamesAreInOrder) {
  std::string_view last;
  for (const BrokerConfigRow& row : broker_config_table()) {
    EXPECT_LT(last, row.name);
    last = row.name;
    EXPECT_FALSE(row.text.empty());
    if (!row.default_value || row.default_value->empty()) continue;
    EXPECT_TRUE(check_broker_config(row.name, *row.default_value)) << row.name;
  }
}

TEST(BrokerConfigTable, AWrongNameIsAnsweredWithTheNearest) {
  const Status wrong = check_broker_config("num.partition", "3");
  ASSERT_FALSE(wrong);
  EXPECT_NE(wrong.error().message().find("'num.partitions'"), std::string::npos);
  EXPECT_FALSE(check_start_configs({{"node.id", "2"}, {"broker.id", "3"}}));
  EXPECT_FALSE(check_start_configs(
      {{"group.min.session.timeout.ms", "9000"}, {"group.max.session.timeout.ms", "8000"}}));
  KafkaOptions options;
  apply_configs({{"broker.id", "5"}, {"group.initial.rebalance.delay.ms", "0"}}, options);
  EXPECT_EQ(options.node_id, 5);
  EXPECT_EQ(options.groups.initial_rebalance_delay.count(), 0);
}

TEST(Advertised, AClientIsToldWhatItReachedOrWhatWasSaid) {
  const Endpoint inside{"0.0.0.0", 9092};
  const Endpoint outside{"127.0.0.1", 9093};
  const std::vector<AdvertisedListener> listeners{*parse_advertised(inside, "reached"),
                                                  *parse_advertised(outside, "broker.test:19093")};
  const auto told = [&](const Endpoint& reached) {
    const Endpoint e = advertised_for(listeners, reached);
    return e.host + ":" + std::to_string(e.port);
  };
  EXPECT_EQ(told({"10.0.0.5", 9092}), "10.0.0.5:9092");
  EXPECT_EQ(told({"127.0.0.1", 9093}), "broker.test:19093");
  EXPECT_EQ(told({"::1", 7}), "::1:7") << "no listener of ours: what was reached";
  EXPECT_EQ(parse_advertised({"localhost", 9092}, "localhost:0")->host, "127.0.0.1");
  EXPECT_EQ(parse_advertised({"::1", 9092}, "localhost:0")->host, "::1");
  EXPECT_EQ(parse_advertised(outside, "[fe80::1]:1")->host, "fe80::1");
  EXPECT_EQ(parse_advertised(outside, "[fe80::1%eth0]:1")->host, "fe80::1%eth0");
  for (const char* bad :
       {"0.0.0.0:9092", "[::]:9092", "[0:0::0]:9092", "*:1", "0:1", "host", ":9092", "h:x",
        "h:70000", "fe80::1:9092", "", "a b:1", "[a b]:1", "[h]:1", "h/x:1", "a@b:1"}) {
    EXPECT_FALSE(parse_advertised(inside, bad)) << bad;
  }
  EXPECT_NE(parse_advertised(inside, "PLAINTEXT://h.test:1").error().message().find("as h.test:1"),
            std::string::npos);
}

TEST(Advertised, AddressesAreComparedAsAddresses) {
  const auto told = [](const std::vector<std::string>& listen, const Endpoint& reached) {
    std::vector<AdvertisedListener> listeners;
    for (const std::string& host : listen) {
      const std::string number = std::to_string(listeners.size());
      listeners.push_back(*parse_advertised({host, 9092}, "h" + number + ".test:1"));
    }
    return advertised_for(listeners, reached).host;
  };
  EXPECT_EQ(told({"127.1"}, {"127.0.0.1", 9092}), "h0.test");
  EXPECT_EQ(told({"0.0.0.0", "127.1"}, {"127.0.0.1", 9092}), "h1.test");
  EXPECT_EQ(told({"0.0.0.0", "0:0:0:0:0:0:0:1"}, {"::1", 9092}), "h1.test");
  EXPECT_EQ(told({"10.0.0.1", "::"}, {"10.0.0.5", 9092}), "h1.test") << "both kinds come in";
  EXPECT_EQ(told({"10.0.0.1", "::"}, {"::ffff:10.0.0.1", 9092}), "h0.test");
  EXPECT_EQ(told({"0.0.0.0", "::"}, {"10.0.0.5", 9092}), "h0.test");
  EXPECT_EQ(told({"10.0.0.1", "localhost"}, {"127.0.0.1", 9092}), "h1.test");
  EXPECT_EQ(told({"10.0.0.1"}, {"10.0.0.5", 9092}), "10.0.0.5") << "no listener of ours";
  EXPECT_EQ(told({"10.0.0.5"}, {"10.0.0.5", 9093}), "10.0.0.5");
}

}  // namespace
}  // namespace runnel::broker
