// Topic configs: what is accepted, what holds, and defaults from outside.
#include "storage/log/topic_config.h"

#include "tests/storage/log/store_fixture.h"

namespace runnel::storage {
namespace {

ErrorCode check(std::string name, std::string value) {
  const Status status = validate_topic_configs({{std::move(name), std::move(value)}});
  return status ? ErrorCode::kOk : status.error().code();
}

TEST(TopicConfigs, EveryDefaultIsAValueThatMayBeSet) {
  for (const TopicConfigRow& row : topic_config_table()) {
    if (row.type == "list" && row.default_value.empty()) continue;
    EXPECT_EQ(check(std::string(row.name), std::string(row.default_value)), ErrorCode::kOk)
        << row.name;
  }
}

TEST(TopicConfigs, ValuesAreCheckedByTypeRangeAndChoice) {
  const std::pair<const char*, const char*> good[] = {
      {"cleanup.policy", "compact"}, {"cleanup.policy", "compact,delete"},
      {"retention.ms", "-1"},        {"min.cleanable.dirty.ratio", "0.25"},
      {"segment.bytes", "1048576"},  {"unclean.leader.election.enable", "true"},
      {"preallocate", "true"},       {"leader.replication.throttled.replicas", "0:1,1:1"},
      {"cleanup.policy", ""},
  };
  for (const auto& [name, value] : good) EXPECT_EQ(check(name, value), ErrorCode::kOk) << name;
  const std::pair<const char*, const char*> bad[] = {
      {"cleanup.policy", "compact,"},   {"cleanup.policy", "delete,delete"},
      {"cleanup.policy", "shred"},      {"retention.ms", "-2"},
      {"retention.ms", "7d"},           {"min.cleanable.dirty.ratio", "1.5"},
      {"segment.bytes", "5"},           {"unclean.leader.election.enable", "maybe"},
      {"min.insync.replicas", "2"},     {"remote.storage.enable", "true"},
      {"compression.type", "none"},     {"retention.msx", "1"},
      {"max.message.bytes", "40000000"}};
  for (const auto& [name, value] : bad) {
    EXPECT_EQ(check(name, value), ErrorCode::kInvalidConfig) << name << "=" << value;
  }
}

TEST(TopicConfigs, NothingIsTooOldInATopicThatOnlyCompacts) {
  const auto config = read_topic_config(
      {{"cleanup.policy", "compact"}, {"retention.ms", "5"}, {"retention.bytes", "5"}});
  ASSERT_TRUE(config);
  EXPECT_EQ(config->retention_ms, -1);
  EXPECT_EQ(config->retention_bytes, -1);
  EXPECT_TRUE(config->compact);
  EXPECT_EQ(read_topic_config({{"cleanup.policy", "compact,delete"}, {"retention.ms", "5"}})
                ->retention_ms,
            5);
}

class TopicDefaultsTest : public StoreFixture {
 protected:
  std::string first_value(const std::string& topic) {
    const auto all = values(topic);
    return all.empty() ? "" : all.front();
  }
};

TEST_F(TopicDefaultsTest, HoldForTopicsThatSayNothingOldAndNew) {
  open();
  create("old");
  create("own", 1, {{"max.message.bytes", "5000"}});
  ASSERT_TRUE(store->set_topic_defaults({{"max.message.bytes", "1000"}}));
  create("new");
  const auto append_2000 = [&](const std::string& topic) {
    return code(append(topic, make_batch({std::string(2000, 'x')})));
  };
  EXPECT_EQ(append_2000("old"), ErrorCode::kRecordTooLarge);
  EXPECT_EQ(append_2000("new"), ErrorCode::kRecordTooLarge);
  EXPECT_EQ(append_2000("own"), ErrorCode::kOk);
  ASSERT_TRUE(store->alter_topic("own", {{"max.message.bytes", std::nullopt}}));
  EXPECT_EQ(append_2000("own"), ErrorCode::kRecordTooLarge);
  ASSERT_TRUE(store->add_partitions("new", 2));
  ASSERT_TRUE(store->set_topic_defaults({}));
  EXPECT_EQ(append_2000("old"), ErrorCode::kOk);
  EXPECT_EQ(store->set_topic_defaults({{"retention.ms", "x"}}).error().code(),
            ErrorCode::kInvalidConfig);
}

TEST_F(TopicDefaultsTest, RetentionWaitsForDefaultsThatAreToCome) {
  StoreOptions waiting = options();
  waiting.topic_defaults_follow = true;
  auto opened = Store::open(waiting);
  ASSERT_TRUE(opened) << opened.error().to_string();
  store = std::move(*opened);
  create("t");
  BatchSpec ancient{{"a"}};
  ancient.time = Timestamp(1);
  ASSERT_EQ(code(append("t", make_batch(ancient))), ErrorCode::kOk);
  ASSERT_TRUE(store->run_maintenance());
  EXPECT_EQ(first_value("t"), "a") << "removed by a default that does not hold";
  ASSERT_TRUE(store->set_topic_defaults({{"retention.ms", "-1"}}));
  ASSERT_TRUE(store->run_maintenance());
  EXPECT_EQ(first_value("t"), "a");
  ASSERT_TRUE(store->set_topic_defaults({}));
  ASSERT_TRUE(store->run_maintenance());
  EXPECT_EQ(first_value("t"), "");
}

TEST_F(TopicDefaultsTest, ATopicIsCheckedWithoutCreatingIt) {
  open();
  create("there");
  EXPECT_TRUE(store->validate_topic({"t", 3, {{"retention.ms", "5"}}}));
  EXPECT_TRUE(store->topic_names() == std::vector<std::string>{"there"});
  EXPECT_EQ(store->validate_topic({"there", 1, {}}).error().code(), ErrorCode::kTopicExists);
  EXPECT_EQ(store->validate_topic({"a b", 1, {}}).error().code(), ErrorCode::kInvalidTopicName);
  EXPECT_EQ(store->validate_topic({"t", 0, {}}).error().code(), ErrorCode::kTooManyPartitions);
  EXPECT_EQ(store->validate_topic({"t", 1, {{"x", "y"}}}).error().code(),
            ErrorCode::kInvalidConfig);
}

TEST_F(TopicDefaultsTest, APartitionTellsItsProducers) {
  open();
  create("t");
  const auto made = store->new_producer();
  ASSERT_TRUE(made);
  BatchSpec batch{{"a", "b"}};
  batch.producer = made->id;
  batch.epoch = ProducerEpoch(3);
  batch.sequence = 0;
  ASSERT_EQ(code(append("t", make_batch(batch))), ErrorCode::kOk);
  const auto producers = store->producers(ref("t"));
  ASSERT_TRUE(producers);
  ASSERT_EQ(producers->size(), 1U);
  EXPECT_EQ(producers->front().id, made->id);
  EXPECT_EQ(producers->front().epoch, ProducerEpoch(3));
  EXPECT_EQ(producers->front().last_sequence, 1);
}

}  // namespace
}  // namespace runnel::storage
