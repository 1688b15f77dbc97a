// Consumer instances of the REST proxy: one client's, several of a group, and together with
// members that speak Kafka's protocol.
#include <gmock/gmock.h>

#include <future>
#include <set>
#include <thread>

#include "broker/http/proxy_consumers.h"
#include "protocol/kafka/consumer_protocol.h"
#include "tests/broker/http/http_world.h"

namespace runnel::broker::http {
namespace {

using ::testing::HasSubstr;
namespace kafka = protocol::kafka;

const std::string kV2 = "Content-Type: application/vnd.kafka.v2+json\r\n";
const std::string kJsonV2 = "Content-Type: application/vnd.kafka.json.v2+json\r\n";

class ProxyConsumersTest : public HttpApiTest {
 protected:
  explicit ProxyConsumersTest(HttpOptions options = {})
      : HttpApiTest(128u << 20, std::move(options)) {
    GroupConfig config;
    config.initial_rebalance_delay = std::chrono::milliseconds(0);
    coordinator->configure(config);
  }
  /// The instance's path.
  std::string make(const std::string& name, const std::string& settings = "") {
    const auto made =
        post("/consumers/g",
             R"({"name":")" + name + R"(","format":"json","auto.offset.reset":"earliest")" +
                 settings + "}",
             200, kV2);
    EXPECT_THAT(boost::json::serialize(made), HasSubstr(name));
    return "/consumers/g/instances/" + name;
  }
  void does(const std::string& method, const std::string& target, const std::string& body = {},
            unsigned status = 204) {
    const Answered answered = client->call(method, target, body, body.empty() ? "" : kV2);
    EXPECT_EQ(answered.status, status) << method << " " << target << " " << answered.body;
  }
  std::int64_t code(const std::string& method, const std::string& target, const std::string& body,
                    unsigned status, const std::string& headers = {}) {
    const Answered answered =
        client->call(method, target, body, headers + (body.empty() ? "" : kV2));
    EXPECT_EQ(answered.status, status) << method << " " << target << " " << answered.body;
    return boost::json::parse(answered.body).at("error_code").as_int64();
  }
  void produce(const std::string& topic, int from, int to) {
    std::string body = R"({"records":[)";
    for (int i = from; i < to; ++i) {
      body += (i > from ? "," : "") + (R"({"key":)" + std::to_string(i)) + R"(,"value":)" +
              std::to_string(i) + "}";
    }
    post("/topics/" + topic, body + "]}", 200, kJsonV2);
  }
  /// The values of one answer.
  std::vector<std::int64_t> read(const std::string& instance, int timeout_ms = 20'000) {
    const auto answer = get(instance + "/records?timeout=" + std::to_string(timeout_ms));
    std::vector<std::int64_t> out;
    for (const auto& each : answer.as_array()) out.push_back(each.at("value").as_int64());
    return out;
  }
  /// Answers until so many values have come.
  std::multiset<std::int64_t> read_all(const std::string& instance, std::size_t count) {
    std::multiset<std::int64_t> out;
    for (int tries = 0; out.size() < count && tries < 100; ++tries) {
      const auto some = read(instance);
      out.insert(some.begin(), some.end());
    }
    return out;
  }
  std::size_t partitions_of(const std::string& instance) {
    return get(instance + "/assignments").at("partitions").as_array().size();
  }
};

TEST_F(ProxyConsumersTest, AnInstanceReadsOnWhereItsGroupIs) {
  produce("orders", 0, 10);
  const std::string one = make("one");
  does("POST", one + "/subscription", R"({"topics":["orders"]})");
  EXPECT_EQ(boost::json::serialize(get(one + "/subscription")), R"({"topics":["orders"]})");
  EXPECT_EQ(read_all(one, 10).size(), 10u);
  EXPECT_EQ(partitions_of(one), 3u);
  EXPECT_EQ(read(one, 0).size(), 0u) << "which commits what came before";
  does("DELETE", one);
  EXPECT_EQ(code("GET", one + "/records", "", 404), 40403);
  produce("orders", 10, 12);
  const std::string two = make("two");
  does("POST", two + "/subscription", R"({"topic_pattern":"ord.*"})");
  const auto values = read_all(two, 2);
  EXPECT_EQ(values, (std::multiset<std::int64_t>{10, 11}));
}

TEST_F(ProxyConsumersTest, WithoutAutoCommitTheClientCommits) {
  EXPECT_TRUE(store->create_topic({"one", 1, {}}));
  produce("one", 0, 6);
  const std::string first = make("a", R"(,"auto.commit.enable":"false")");
  does("POST", first + "/assignments", R"({"partitions":[{"topic":"one","partition":0}]})");
  EXPECT_EQ(read(first).size(), 6u);
  EXPECT_EQ(read(first, 0).size(), 0u);
  EXPECT_EQ(boost::json::serialize(get(first + "/offsets")), R"({"offsets":[]})");
  does("POST", first + "/offsets", R"({"offsets":[{"topic":"one","partition":0,"offset":3}]})",
       200);
  EXPECT_EQ(get(first + "/offsets").at("offsets").at(0).at("offset").as_int64(), 4);
  does("DELETE", first);
  const std::string second = make("a", R"(,"auto.commit.enable":false)");
  does("POST", second + "/assignments", R"({"partitions":[{"topic":"one","partition":0}]})");
  EXPECT_EQ(read(second), (std::vector<std::int64_t>{4, 5}));
  does("POST", second + "/positions", R"({"offsets":[{"topic":"one","partition":0,"offset":5}]})");
  EXPECT_EQ(read(second), (std::vector<std::int64_t>{5}));
  does("POST", second + "/positions/beginning",
       R"({"partitions":[{"topic":"one","partition":0}]})");
  EXPECT_EQ(read(second).size(), 6u);
  does("POST", second + "/offsets", "", 200);
  EXPECT_EQ(get(second + "/offsets").at("offsets").at(0).at("offset").as_int64(), 6);
}

TEST_F(ProxyConsumersTest, MembersShareOutThePartitions) {
  const std::string one = make("one");
  const std::string two = make("two");
  does("POST", one + "/subscription", R"({"topics":["orders"]})");
  EXPECT_EQ(read(one, 0).size(), 0u);
  does("POST", two + "/subscription", R"({"topics":["orders"]})");
  for (std::size_t a = 0, b = 0; a + b != 3 || a == 0 || b == 0;) {
    read(one, 100);
    read(two, 100);
    a = partitions_of(one);
    b = partitions_of(two);
  }
  produce("orders", 0, 30);
  std::multiset<std::int64_t> all;
  while (all.size() < 30) {
    for (const std::string& each : {one, two}) {
      const auto some = read(each, 100);
      all.insert(some.begin(), some.end());
    }
  }
  EXPECT_EQ(std::set<std::int64_t>(all.begin(), all.end()).size(), 30u) << "each is read once";
  does("DELETE", two);
  while (partitions_of(one) != 3) read(one, 100);
}

TEST_F(ProxyConsumersTest, MembersOfKafkasProtocolAreInTheSameGroup) {
  const std::string one = make("one");
  does("POST", one + "/subscription", R"({"topics":["orders"]})");
  while (partitions_of(one) != 3) read(one, 100);
  classic::JoinRequest join;
  join.group = "g";
  join.client_id = "kafka";
  join.protocol_type = "consumer";
  kafka::ConsumerSubscription wanted;
  wanted.topics = {"orders"};
  join.protocols.push_back({"range", kafka::encode(wanted, 0)});
  join.session_timeout_ms = join.rebalance_timeout_ms = 30'000;
  std::promise<classic::JoinReply> joined;
  const auto now = storage::Clock::system().monotonic();
  coordinator->join(join, now, [&](classic::JoinReply reply) { joined.set_value(reply); });
  const auto in = joined.get_future().get();
  ASSERT_EQ(in.error, ErrorCode::kOk);
  classic::SyncRequest sync;
  sync.group = "g";
  sync.member_id = in.member_id;
  sync.generation = in.generation;
  std::promise<classic::SyncReply> synced;
  coordinator->sync(sync, now, [&](classic::SyncReply reply) { synced.set_value(reply); });
  const auto share = synced.get_future().get();
  ASSERT_EQ(share.error, ErrorCode::kOk);
  const auto assignment = kafka::decode_consumer_assignment(as_bytes(share.assignment)).value();
  ASSERT_EQ(assignment.partitions.size(), 1u);
  const std::size_t theirs = assignment.partitions.at(0).partitions.size();
  while (partitions_of(one) != 3 - theirs) read(one, 100);
  EXPECT_GT(theirs, 0u);
  EXPECT_LT(theirs, 3u);
}

TEST_F(ProxyConsumersTest, MistakesHaveTheCodesThatClientsKnow) {
  const std::string one = make("one");
  EXPECT_EQ(code("POST", "/consumers/g", R"({"name":"one"})", 409), 40902);
  EXPECT_EQ(code("POST", "/consumers/g", R"({"format":"avro"})", 422), 42204);
  EXPECT_EQ(code("POST", "/consumers/g", R"({"auto.offset.reset":"x"})", 422), 42204);
  EXPECT_EQ(code("POST", "/consumers/g", R"({"nmae":"x"})", 400), 400);
  EXPECT_EQ(code("GET", one + "/records", "", 409), 40904) << "it is in no topic";
  EXPECT_EQ(
      code("GET", one + "/records", "", 406, "Accept: application/vnd.kafka.binary.v2+json\r\n"),
      40601);
  EXPECT_EQ(code("POST", "/consumers/g/instances/none/subscription", R"({"topics":["a"]})", 404),
            40403);
  EXPECT_EQ(code("POST", one + "/subscription", R"({"topics":[]})", 422), 422);
  EXPECT_EQ(code("POST", one + "/subscription", R"({"topic_pattern":"("})", 422), 422);
  EXPECT_EQ(
      code("POST", one + "/assignments", R"({"partitions":[{"topic":"no","partition":0}]})", 404),
      40401);
  does("POST", one + "/subscription", R"({"topics":["orders"]})");
  EXPECT_EQ(code("POST", one + "/assignments",
                 R"({"partitions":[{"topic":"orders","partition":0}]})", 409),
            40903);
}

TEST_F(ProxyConsumersTest, WhatIsNoJsonIsNotPassedOver) {
  EXPECT_TRUE(store->create_topic({"one", 1, {}}));
  produce("one", 0, 1);
  post("/topics/one", R"({"records":[{"value":"AAE="}]})", 200,
       "Content-Type: application/vnd.kafka.binary.v2+json\r\n");
  produce("one", 1, 2);
  const std::string one = make("one");
  does("POST", one + "/assignments", R"({"partitions":[{"topic":"one","partition":0}]})");
  EXPECT_EQ(read(one), (std::vector<std::int64_t>{0}));
  EXPECT_EQ(code("GET", one + "/records", "", 500), 50002);
  EXPECT_EQ(code("GET", one + "/records", "", 500), 50002) << "it stays where it is";
  does("POST", one + "/positions", R"({"offsets":[{"topic":"one","partition":0,"offset":2}]})");
  EXPECT_EQ(read(one), (std::vector<std::int64_t>{1}));
}

TEST_F(ProxyConsumersTest, AfterAnErrorItGoesOn) {
  EXPECT_TRUE(store->create_topic({"one", 2, {}}));
  post("/topics/one", R"({"records":[{"value":7,"partition":0},{"value":8,"partition":1}]})", 200,
       kJsonV2);
  const auto made =
      post("/consumers/g", R"({"name":"n","format":"json","auto.offset.reset":"none"})", 200, kV2);
  const std::string one = "/consumers/g/instances/n";
  does("POST", one + "/subscription", R"({"topics":["one"]})");
  const Answered told = client->call("GET", one + "/records?timeout=20000");
  EXPECT_EQ(told.status, 422u);
  EXPECT_THAT(told.body, HasSubstr("auto.offset.reset is none"));
  EXPECT_EQ(client->call("GET", one + "/records?timeout=20000").status, 422u) << "not silent";
  // What another member of the group, or the one before this, has committed.
  const auto commit = [&](int partition) {
    storage::CommitRequest request;
    request.offsets.push_back(
        {"g", "one", PartitionIndex(partition), Offset(0), LeaderEpoch(-1), {}});
    EXPECT_TRUE(store->commit_and_wait(std::move(request)).result);
  };
  /// Errors that are told meanwhile are passed over.
  const auto read_value = [&] {
    for (;;) {
      const Answered answer = client->call("GET", one + "/records?timeout=20000");
      if (answer.status != 200) continue;
      const auto found = boost::json::parse(answer.body).as_array();
      if (!found.empty()) return found[0].at("value").as_int64();
    }
  };
  commit(0);
  EXPECT_EQ(read_value(), 7) << "of what it can have";
  commit(1);
  EXPECT_EQ(read_value(), 8);
}

TEST_F(ProxyConsumersTest, AnErrorIsToldOnceAndNoneThatIsPast) {
  EXPECT_TRUE(store->create_topic({"one", 2, {}}));
  post("/topics/one", R"({"records":[{"value":7,"partition":0},{"value":8,"partition":1}]})", 200,
       kJsonV2);
  post("/consumers/g", R"({"name":"n","format":"json","auto.offset.reset":"none"})", 200, kV2);
  const std::string one = "/consumers/g/instances/n";
  const auto commit = [&](int partition) {
    storage::CommitRequest request;
    request.offsets.push_back(
        {"g", "one", PartitionIndex(partition), Offset(0), LeaderEpoch(-1), {}});
    EXPECT_TRUE(store->commit_and_wait(std::move(request)).result);
  };
  commit(0);
  does("POST", one + "/assignments",
       R"({"partitions":[{"topic":"one","partition":0},{"topic":"one","partition":1}]})");
  EXPECT_EQ(client->call("GET", one + "/records").status, 422u) << "of the second partition";
  EXPECT_EQ(read(one), (std::vector<std::int64_t>{7})) << "it is told once";
  // Behind this the broker has tried again, more than once.
  EXPECT_TRUE(read(one, 2500).empty());
  EXPECT_TRUE(read(one, 2500).empty()) << "and is told no more";
  commit(1);
  for (std::vector<std::int64_t> got; got.empty();) {
    got = read(one);
    EXPECT_TRUE(got.empty() || got == (std::vector<std::int64_t>{8}));
  }
}

TEST_F(ProxyConsumersTest, OnlyWhatAClientIsKnownToHaveIsCommittedUnasked) {
  EXPECT_TRUE(store->create_topic({"one", 1, {}}));
  produce("one", 0, 6);
  const std::string assignment = R"({"partitions":[{"topic":"one","partition":0}]})";
  const std::string first = make("a");
  does("POST", first + "/assignments", assignment);
  EXPECT_EQ(read(first).size(), 6u);
  does("DELETE", first);    // nobody knows whether the answer came
  produce("orders", 0, 1);  // behind all that was on its way to the disk
  const auto unasked = store->committed_offset("g", "one", PartitionIndex(0)).value();
  EXPECT_TRUE(!unasked || unasked->offset == Offset(0)) << unasked->offset.value();
  const std::string second = make("a");
  does("POST", second + "/assignments", assignment);
  EXPECT_EQ(read(second).size(), 6u);
  EXPECT_EQ(read(second, 0).size(), 0u);  // it asks for more
  does("DELETE", second);
  produce("orders", 0, 1);
  const auto known = store->committed_offset("g", "one", PartitionIndex(0)).value();
  ASSERT_TRUE(known.has_value());
  EXPECT_EQ(known->offset, Offset(6));
}

TEST_F(ProxyConsumersTest, ARefusedCommitIsNotTakenForDone) {
  EXPECT_TRUE(store->create_topic({"one", 1, {}}));
  produce("one", 0, 6);
  const std::string one = make("a", R"(,"auto.commit.enable":false)");
  does("POST", one + "/subscription", R"({"topics":["one"]})");
  EXPECT_EQ(read_all(one, 6).size(), 6u);
  std::promise<std::vector<ErrorCode>> answers;
  // In one job, so that the instance does not notice and join again in between.
  http->consumers().post([&](ProxyConsumers& consumers) {
    const auto instance = consumers.find("g", "a").value();
    const classic::LeavingMember gone{instance->member_id, std::nullopt};
    static_cast<void>(coordinator->leave("g", {&gone, 1}, storage::Clock::system().monotonic()));
    std::vector<ErrorCode> codes;
    for (int i = 0; i < 2; ++i) {
      consumers.commit(instance, nullptr, [&](const Status& done) {
        codes.push_back(done ? ErrorCode::kOk : done.error().code());
      });
    }
    answers.set_value(codes);
  });
  EXPECT_EQ(answers.get_future().get(),
            (std::vector<ErrorCode>{ErrorCode::kUnknownMember, ErrorCode::kUnknownMember}));
  EXPECT_FALSE(store->committed_offset("g", "one", PartitionIndex(0)).value().has_value());
}

struct ShortLived : ProxyConsumersTest {
  static HttpOptions options() {
    HttpOptions out;
    out.instance_timeout = std::chrono::milliseconds(500);
    return out;
  }
  ShortLived() : ProxyConsumersTest(options()) {}
};

TEST_F(ShortLived, AnInstanceThatNobodyAsksLeavesItsGroup) {
  const std::string one = make("one");
  does("POST", one + "/subscription", R"({"topics":["orders"]})");
  const auto has_members = [&] {
    const auto group = coordinator->describe("g");
    return group && !group->members.empty();
  };
  while (has_members()) std::this_thread::yield();
  EXPECT_EQ(code("GET", one + "/subscription", "", 404), 40403);
}

}  // namespace
}  // namespace runnel::broker::http
