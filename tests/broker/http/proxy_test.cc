// The REST proxy's paths: what clients of Confluent's send and expect.
#include <gmock/gmock.h>

#include "tests/broker/http/http_world.h"
#include "tests/broker/schemas/registering.h"

namespace runnel::broker::http {
namespace {

using ::testing::HasSubstr;

const std::string kJsonV2 = "Content-Type: application/vnd.kafka.json.v2+json\r\n";
const std::string kBinaryV2 = "Content-Type: application/vnd.kafka.binary.v2+json\r\n";

class ProxyTest : public HttpApiTest {
 protected:
  std::int64_t code(const std::string& method, const std::string& target, const std::string& body,
                    unsigned status, const std::string& headers = {}) {
    const Answered answered = client->call(method, target, body, headers);
    EXPECT_EQ(answered.status, status) << method << " " << target << " " << answered.body;
    const auto answer = boost::json::parse(answered.body);
    EXPECT_FALSE(answer.at("message").as_string().empty());
    return answer.at("error_code").as_int64();
  }
  std::string text(const boost::json::value& value) { return boost::json::serialize(value); }
  std::string values(const std::string& topic) {
    std::string out;
    const auto page = get("/api/v1/topics/" + topic + "/records");
    for (const auto& each : page.at("records").as_array()) {
      out += boost::json::serialize(each.as_object().contains("value") ? each.at("value")
                                                                       : each.at("text")) +
             ";";
    }
    return out;
  }
  const std::string cluster = "/v3/clusters/" + store->id().to_string();
};

TEST_F(ProxyTest, TopicsOfV2) {
  EXPECT_EQ(text(get("/topics")), R"(["orders"])");
  const auto topic = get("/topics/orders");
  EXPECT_EQ(topic.at("configs").at("retention.ms"), "604800000");
  EXPECT_EQ(topic.at("partitions").as_array().size(), 3u);
  EXPECT_EQ(text(get("/topics/orders/partitions/1")),
            R"({"partition":1,"leader":1,"replicas":[{"broker":1,"leader":true,"in_sync":true}]})");
  EXPECT_EQ(text(get("/topics/orders/partitions/1/offsets")),
            R"({"beginning_offset":0,"end_offset":0})");
  EXPECT_EQ(text(get("/brokers")), R"({"brokers":[1]})");
  EXPECT_EQ(code("GET", "/topics/none", "", 404), 40401);
  EXPECT_EQ(code("GET", "/topics/orders/partitions/3", "", 404), 40402);
  EXPECT_EQ(code("GET", "/topics/orders/partitions/x", "", 404), 40402);
  const Answered typed =
      client->call("GET", "/topics", "", "Accept: application/vnd.kafka.v2+json\r\n");
  EXPECT_EQ(typed.header("Content-Type"), "application/vnd.kafka.v2+json");
}

TEST_F(ProxyTest, ProduceOfV2) {
  EXPECT_TRUE(store->create_topic({"one", 1, {}}));
  const auto json = post(
      "/topics/one", R"({"records":[{"key":"k","value":{"a":1}},{"value":null}]})", 200, kJsonV2);
  EXPECT_EQ(text(json.at("offsets")),
            R"([{"partition":0,"offset":0,"error_code":null,"error":null},)"
            R"({"partition":0,"offset":1,"error_code":null,"error":null}])");
  const auto binary =
      post("/topics/one/partitions/0", R"({"records":[{"value":"aGk="}]})", 200, kBinaryV2);
  EXPECT_EQ(binary.at("offsets").at(0).at("offset").as_int64(), 2);
  EXPECT_EQ(values("one"), R"({"a":1};null;"hi";)");
  EXPECT_EQ(code("POST", "/topics/none", R"({"records":[{"value":1}]})", 404, kJsonV2), 40401);
  EXPECT_EQ(code("POST", "/topics/one/partitions/7", R"({"records":[{"value":1}]})", 404, kJsonV2),
            40402);
  EXPECT_EQ(code("POST", "/topics/one", R"({"records":[{"value":"?"}]})", 422, kBinaryV2), 422);
  EXPECT_EQ(code("POST", "/topics/one", R"({"records":[{"vlaue":1}]})", 422, kJsonV2), 422);
  EXPECT_EQ(client->call("POST", "/topics/one", "{}").status, 415u);
}

TEST_F(ProxyTest, ARecordThatIsRefusedLeavesTheOthers) {
  EXPECT_TRUE(store->create_topic({"keyed", 1, {{"cleanup.policy", "compact"}}}));
  const auto answer =
      post("/topics/keyed", R"({"records":[{"value":1},{"key":"k","value":2},{"value":3}]})", 200,
           kJsonV2);
  EXPECT_EQ(answer.at("offsets").at(0).at("error_code").as_int64(), 1);
  EXPECT_EQ(answer.at("offsets").at(1).at("offset").as_int64(), 0);
  EXPECT_THAT(text(answer.at("offsets").at(2).at("error")), HasSubstr("no key"));
  EXPECT_EQ(values("keyed"), "2;");
}

TEST_F(ProxyTest, JsonSchemasByTheirId) {
  const auto id = schemas::register_in(http->schemas(), "orders-value", R"({"type":"integer"})");
  const std::string type = "Content-Type: application/vnd.kafka.jsonschema.v2+json\r\n";
  const std::string head = R"({"value_schema_id":)" + std::to_string(id.value()) + ",";
  const auto answer =
      post("/topics/orders", head + R"("records":[{"value":5},{"value":"five"}]})", 200, type);
  EXPECT_TRUE(answer.at("offsets").at(0).at("error").is_null());
  EXPECT_THAT(text(answer.at("offsets").at(1).at("error")), HasSubstr("does not fit"));
  EXPECT_EQ(code("POST", "/topics/orders", R"({"records":[{"value":5}]})", 422, type), 422);
}

TEST_F(ProxyTest, TheClusterOfV3) {
  const auto list = get("/v3/clusters");
  EXPECT_EQ(list.at("kind"), "KafkaClusterList");
  EXPECT_EQ(text(list.at("data").at(0).at("cluster_id")), '"' + store->id().to_string() + '"');
  EXPECT_EQ(get("/kafka" + cluster).at("kind"), "KafkaCluster");
  EXPECT_EQ(code("GET", "/v3/clusters/other/topics", "", 404), 404);
  EXPECT_EQ(get(cluster + "/topics").at("data").at(0).at("topic_name"), "orders");
  EXPECT_EQ(get(cluster + "/topics/orders").at("partitions_count").as_int64(), 3);
  EXPECT_EQ(get(cluster + "/topics/orders/partitions").at("data").as_array().size(), 3u);
  EXPECT_EQ(get(cluster + "/topics/orders/partitions/2").at("partition_id").as_int64(), 2);
  EXPECT_EQ(get(cluster + "/topics/orders/configs/retention.ms").at("value"), "604800000");
  EXPECT_GT(get(cluster + "/topics/orders/configs").at("data").as_array().size(), 20u);
  EXPECT_EQ(code("GET", cluster + "/topics/none", "", 404), 40403);
  EXPECT_EQ(code("GET", cluster + "/topics/orders/partitions/9", "", 404), 40403);
}

TEST_F(ProxyTest, TopicsAreMadeAndDeletedByV3) {
  const std::string body =
      R"({"topic_name":"new","partitions_count":2,"configs":[{"name":"retention.ms","value":"5"}]})";
  EXPECT_EQ(post(cluster + "/topics", body, 201).at("partitions_count").as_int64(), 2);
  const auto config = get(cluster + "/topics/new/configs/retention.ms");
  EXPECT_EQ(config.at("value"), "5");
  EXPECT_FALSE(config.at("is_default").as_bool());
  EXPECT_EQ(code("POST", cluster + "/topics", body, 400), 40002);
  EXPECT_EQ(code("POST", cluster + "/topics", R"({"topic_name":"x","replication_factor":3})", 400),
            400);
  EXPECT_EQ(client->call("DELETE", cluster + "/topics/new").status, 204u);
  EXPECT_EQ(code("GET", cluster + "/topics/new", "", 404), 40403);
}

TEST_F(ProxyTest, ProduceOfV3TakesOneRecordBehindTheOther) {
  EXPECT_TRUE(store->create_topic({"one", 1, {}}));
  const auto one = post(
      "/kafka" + cluster + "/topics/one/records",
      R"({"partition_id":0,"headers":[{"name":"h","value":"aGk="}],"key":{"type":"BINARY","data":"aw=="},)"
      R"("value":{"type":"JSON","data":{"a":1}},"timestamp":"2020-02-05T05:00:00Z"})");
  EXPECT_EQ(one.at("error_code").as_int64(), 200);
  EXPECT_EQ(one.at("offset").as_int64(), 0);
  EXPECT_EQ(one.at("timestamp"), "2020-02-05T05:00:00.000Z");
  EXPECT_EQ(one.at("key").at("size").as_int64(), 1);
  const Answered several = client->call("POST", cluster + "/topics/one/records",
                                        R"({"value":{"type":"STRING","data":"two"}}
                                           {"value":{"type":"AVRO","data":"two"}})");
  EXPECT_EQ(several.status, 400u) << "nothing of what can't be read is stored";
  EXPECT_EQ(code("POST", cluster + "/topics/one/records", R"({"headers":[{"value":"aGk="}]})", 400),
            400);
  const Answered both = client->call(
      "POST", cluster + "/topics/one/records",
      R"({"value":{"type":"STRING","data":"two"}}{"partition_id":5,"value":{"data":"aGk="}})");
  EXPECT_EQ(both.status, 200u);
  EXPECT_THAT(both.body, HasSubstr("\"offset\":1"));
  EXPECT_THAT(both.body, HasSubstr("\n{\"error_code\":40403"));
  EXPECT_EQ(code("POST", cluster + "/topics/one/records", R"({"partition_id":5})", 404), 40403);
  EXPECT_EQ(code("POST", cluster + "/topics/none/records", R"({"value":null})", 404), 40403);
  EXPECT_EQ(values("one"), R"({"a":1};"two";)");
}

TEST_F(ProxyTest, GroupsAndTheirLag) {
  EXPECT_EQ(
      post("/topics/orders/partitions/0", R"({"records":[{"value":1},{"value":2}]})", 200, kJsonV2)
          .at("offsets")
          .as_array()
          .size(),
      2u);
  const Answered moved = client->call("PUT", "/api/v1/groups/g/offsets",
                                      R"({"offsets":[{"topic":"orders","to":"start"}]})");
  EXPECT_EQ(moved.status, 200u) << moved.body;
  EXPECT_EQ(get(cluster + "/consumer-groups").at("data").at(0).at("consumer_group_id"), "g");
  EXPECT_EQ(get(cluster + "/consumer-groups/g").at("state"), "EMPTY");
  EXPECT_EQ(get(cluster + "/consumer-groups/g/consumers").at("data").as_array().size(), 0u);
  EXPECT_EQ(get(cluster + "/consumer-groups/g/lags").at("data").as_array().size(), 3u);
  EXPECT_EQ(get(cluster + "/consumer-groups/g/lags/orders/partitions/0").at("lag").as_int64(), 2);
  const auto summary = get(cluster + "/consumer-groups/g/lag-summary");
  EXPECT_EQ(summary.at("total_lag").as_int64(), 2);
  EXPECT_EQ(summary.at("max_lag_partition_id").as_int64(), 0);
  EXPECT_EQ(code("GET", cluster + "/consumer-groups/none", "", 404), 404);
}

}  // namespace
}  // namespace runnel::broker::http
