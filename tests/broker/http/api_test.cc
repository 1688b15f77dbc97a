// The routes: what they do, and that openapi.json tells of them as they are.
#include <gmock/gmock.h>

#include <set>

#include "broker/http/limits.h"
#include "broker/http/metrics_names.h"
#include "broker/http/router.h"
#include "protocol/record_batch/partitioner.h"
#include "storage/stats.h"
#include "tests/broker/http/http_world.h"

namespace runnel::broker::http {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

// ---------------------------------------------------------------- topics
TEST_F(HttpApiTest, TopicsComeChangeAndGo) {
  const auto made = post(
      "/api/v1/topics", R"({"name":"bids","partitions":2,"configs":{"retention.ms":"1000"}})", 201);
  EXPECT_EQ(made.at("partitions").as_array().size(), 2u);
  EXPECT_EQ(made.at("configs").at("retention.ms").as_string(), "1000");
  EXPECT_EQ(type_of(post("/api/v1/topics", R"({"name":"bids"})", 409)),
            "urn:runnel:problem:topic_exists");
  post("/api/v1/topics", R"({"name":"bids","if_not_exists":true})", 200);
  const Answered changed = client->call("PATCH", "/api/v1/topics/bids",
                                        R"({"partitions":3,"configs":{"retention.ms":null}})");
  EXPECT_EQ(changed.status, 200u) << changed.body;
  EXPECT_EQ(get("/api/v1/topics/bids").at("partitions").as_array().size(), 3u);
  EXPECT_TRUE(get("/api/v1/topics/bids").at("configs").as_object().empty());
  EXPECT_EQ(client->call("DELETE", "/api/v1/topics/bids").status, 204u);
  EXPECT_EQ(type_of(get("/api/v1/topics/bids", 404)), "urn:runnel:problem:unknown_topic");
}

TEST_F(HttpApiTest, TopicsAreListedInPages) {
  for (const char* name : {"a1", "a2", "a3", "b1"}) ASSERT_TRUE(store->create_topic({name, 1, {}}));
  const auto first = get("/api/v1/topics?prefix=a&limit=2");
  EXPECT_EQ(first.at("topics").as_array().size(), 2u);
  EXPECT_EQ(first.at("next").as_string(), "a2");
  const auto second = get("/api/v1/topics?prefix=a&limit=2&after=a2");
  EXPECT_EQ(second.at("topics").at(0).at("name").as_string(), "a3");
  EXPECT_TRUE(second.at("next").is_null());
}

TEST_F(HttpApiTest, BodiesThatAreNoneAreRefusedWithTheirPlace) {
  const std::vector<std::pair<const char*, const char*>> all = {
      {"{", "no JSON"},
      {"[]", "the body has to be an object"},
      {R"({"name":"x"} x)", "something follows"},
      {R"({"name":"x","name":"y"})", "twice"},
      {R"({"nam":"x"})", "no member 'nam'"},
      {R"({"name":7})", "name has to be a string"},
      {R"({"name":"x","partitions":1.5})", "whole number"},
      {R"({"name":"x","partitions":0})", "1 to 100000"},
      {R"({"name":"x","partitions":99999999999999999999})", "whole number"},
      {R"({"name":"x","configs":{"a":1}})", "config a"},
      {R"({"name":"a b"})", "a b"},
      {"{}", "no name"},
      {"{\"name\":\"\xff\"}", "UTF-8"},
  };
  for (const auto& [body, why] : all) {
    const auto problem = post("/api/v1/topics", body, 400);
    EXPECT_THAT(std::string(problem.at("detail").as_string()), HasSubstr(why)) << body;
  }
}

// ---------------------------------------------------------------- append
TEST_F(HttpApiTest, RecordsComeBackAsTheyWereGiven) {
  const std::string given =
      R"({"partition":1,"timestamp":1763701200000,"key":"k","value":{"a": [1,2.50,"\u00e4"]},)"
      R"("headers":[{"name":"h","value":"v"},{"name":"h","value":null},)"
      R"({"name":"b","base64":"/w=="}]})";
  const auto appended = post(records, "[" + given + "]");
  EXPECT_EQ(appended.at("records").at(0).at("offset").as_int64(), 0);
  EXPECT_EQ(appended.at("records").at(0).at("durability").as_string(), "synced");
  EXPECT_EQ(appended.at("records").at(0).at("duplicate").as_bool(), false);
  std::string page = client->call("GET", records + "?partition=1").body;
  const std::size_t end = page.find("]", page.find("\"headers\"")) + 2;
  const std::string read = page.substr(12, end - 12);
  EXPECT_EQ(boost::json::parse(read).at("value"), boost::json::parse(given).at("value"));
  EXPECT_THAT(read, HasSubstr(R"("value":{"a": [1,2.50,"\u00e4"]})"));
  post(records, read);  // as it stands
  const auto both = get(records + "?partition=1").at("records").as_array();
  ASSERT_EQ(both.size(), 2u);
  boost::json::object second = both[1].as_object();
  second["offset"] = 0;
  EXPECT_EQ(boost::json::value(second), both[0]);
}

TEST_F(HttpApiTest, ValuesOfAllKinds) {
  post(records + "?partition=0",
       R"([{"value":null,"key":"k"},{"text":"null"},{"text":"a\nb"},{"base64":"AP8="},)"
       R"({"value":"s"},{"value":12345678901234567890.5},{"key_base64":"/w==","text":"12"}])");
  const std::string page = client->call("GET", records + "?partition=0").body;
  for (const char* part :
       {R"("key":"k","value":null)", R"("text":"null")", R"("text":"a\nb")", R"("base64":"AP8=")",
        R"("value":"s")", R"("value":12345678901234567890.5)",
        R"("key_base64":"/w==","value":12)"}) {
    EXPECT_THAT(page, HasSubstr(part));
  }
}

TEST_F(HttpApiTest, WhatOnlyLooksLikeADeletionIsReadAsText) {
  const std::string all = R"({"partition":0,"key":"k","text":")";
  for (const char* text : {R"(null\n)", R"( null)", R"(\tnull\r\n )"})
    post(records, all + text + "\"}");
  const std::string lines =
      client->call("GET", records + "?partition=0", {}, "Accept: application/x-ndjson\r\n").body;
  EXPECT_THAT(lines, ::testing::Not(HasSubstr("\"value\":")));
  ASSERT_TRUE(store->create_topic({"copy", 1, {}}));
  post("/api/v1/topics/copy/records", lines, 200, "Content-Type: application/x-ndjson\r\n");
  EXPECT_THAT(client->call("GET", "/api/v1/topics/copy/records").body,
              HasSubstr(R"("text":"null\n")"));
}

TEST_F(HttpApiTest, ATopicThatIsRefusedAChangeIsLeftAsItWas) {
  for (const char* partitions : {"1", "100001"}) {
    const std::string body =
        std::string(R"({"configs":{"retention.ms":"1000"},"partitions":)") + partitions + "}";
    EXPECT_EQ(client->call("PATCH", "/api/v1/topics/orders", body).status, 400u);
    EXPECT_TRUE(get("/api/v1/topics/orders").at("configs").as_object().empty());
  }
}

TEST_F(HttpApiTest, KeysGoWhereKafkasClientsSendThem) {
  for (const std::string key : {"a", "b", "c", "d", "some longer key"}) {
    const auto answer = post(records, R"({"value":1,"key":")" + key + "\"}");
    EXPECT_EQ(answer.at("records").at(0).at("partition").as_int64(),
              protocol::partition_for_key(key, 3));
  }
  // Those without a key stay together, and the next request goes elsewhere.
  const auto one = post(records, R"([{"value":1},{"value":2}])").at("records").as_array();
  EXPECT_EQ(one[0].at("partition"), one[1].at("partition"));
  EXPECT_EQ(one[1].at("offset").as_int64(), one[0].at("offset").as_int64() + 1);
  const auto other = post(records, R"({"value":1})").at("records").as_array();
  EXPECT_NE(one[0].at("partition"), other[0].at("partition"));
}

TEST_F(HttpApiTest, LinesAndTablesAreRecordsToo) {
  const std::string lines = "{\"text\":\"a\"}\r\n\n{\"value\":2}";
  post(records + "?partition=0", lines, 200, "Content-Type: application/x-ndjson\r\n");
  const std::string events =
      "{\"id\":\"o-1\",\"at\":1700000000000}\n{\"id\":7,\"at\":\"2026-11-21\"}\n";
  const auto placed = post(records + "?as=values&key=.id&timestamp=.at", events, 200,
                           "Content-Type: application/x-ndjson\r\n");
  EXPECT_EQ(placed.at("records").at(1).at("partition").as_int64(),
            protocol::partition_for_key("7", 3));
  post(records + "?partition=2&key=id", "id,name\n1,\"a,\"\"b\"\"\"\n2,x\n", 200,
       "Content-Type: text/csv\r\n");
  EXPECT_THAT(client->call("GET", records + "?partition=0").body, HasSubstr("\"text\":\"a\""));
  const std::string all = client->call("GET", records).body;
  EXPECT_THAT(all, HasSubstr(R"("key":"7","value":{"id":7,"at":"2026-11-21"})"));
  EXPECT_THAT(all, HasSubstr("\"timestamp\":1700000000000"));
  EXPECT_THAT(all, HasSubstr(R"("key":"1","value":{"id":"1","name":"a,\"b\""})"));
}

TEST_F(HttpApiTest, OneBadRecordAndNothingIsStored) {
  const std::vector<std::pair<std::string, std::string>> all = {
      {R"([{"value":1},{"valu":2}])", "record 1: "},
      {R"([{"value":1},{"text":"a","value":1}])", "one of value"},
      {R"([{"value":1},{"key":"a"}])", "one of value"},
      {R"([{"value":1},{"value":2,"partition":3}])", "record 1"},
      {R"([{"value":1},{"value":2,"partition":-1}])", "partition -1"},
      {R"([{"value":1},{"value":2,"key":7}])", "key has to be a string or null"},
      {R"([{"value":1},{"base64":"*"}])", "base64"},
      {R"([{"value":1},{"value":2,"timestamp":-5}])", "timestamp"},
      {R"([{"value":1},{"value":2,"timestamp":"soon"}])", "not a time"},
      {R"([{"value":1},{"value":2,"headers":{"a":1}}])", "a header"},
      {R"([{"value":1},{"value":2,"headers":[{"value":"x"}]}])", "a header has a name"},
      {R"([{"value":1},{"value":2,"dedup":{"source_type":"a"}}])", "dedup needs"},
      {"[]", "no records"},
      {"[1]", "a record has to be an object"},
      {R"([{"value":1},)", "no JSON"},
  };
  for (const auto& [body, why] : all) {
    const Answered answered = client->call("POST", records, body);
    EXPECT_TRUE(answered.status == 400 || answered.status == 404) << body << answered.body;
    EXPECT_THAT(answered.body, HasSubstr(why)) << body;
  }
  for (const auto& [body, type, why] :
       std::vector<std::tuple<std::string, std::string, std::string>>{
           {"{\"value\":1}\n{\"value\":}\n", "application/x-ndjson", "line 2"},
           {"a,b\n1,2\n3\n", "text/csv", "line 3"},
           {"a,a\n1,2\n", "text/csv", "twice"},
           {"", "text/csv", "body"},
           {"a,b\n\"1,2\n", "text/csv", "not closed"}}) {
    const Answered answered = client->call("POST", records, body, "Content-Type: " + type + "\r\n");
    EXPECT_EQ(answered.status, 400u) << body;
    EXPECT_THAT(answered.body, HasSubstr(why)) << body;
  }
  EXPECT_EQ(get(records).at("records").as_array().size(), 0u);
  EXPECT_EQ(client->call("POST", "/api/v1/topics/none/records", "{\"value\":1}").status, 404u);
}

TEST_F(HttpApiTest, ARepeatStoresNothing) {
  const std::string body = R"([{"key":"a","value":1},{"key":"b","value":2},{"value":3}])";
  const std::string header = "Idempotency-Key: 42\r\n";
  const auto first = post(records, body, 200, header).at("records").as_array();
  const auto again = post(records, body, 200, header).at("records").as_array();
  for (std::size_t i = 0; i < first.size(); ++i) {
    EXPECT_EQ(again[i].at("offset"), first[i].at("offset"));
    EXPECT_EQ(again[i].at("partition"), first[i].at("partition"));
    EXPECT_EQ(again[i].at("duplicate").as_bool(), true);
  }
  EXPECT_EQ(type_of(post(records, R"([{"key":"a","value":9}])", 409, header)),
            "urn:runnel:problem:dedup_conflict");
  EXPECT_EQ(get(records).at("records").as_array().size(), 3u);
}

TEST_F(HttpApiTest, ARepeatGoesWhereTheFirstTimeWent) {
  ASSERT_TRUE(store->create_topic({"grows", 2, {}}));
  const std::string target = "/api/v1/topics/grows/records";
  std::string body = "[{\"value\":0}";
  for (const char* key : {"a", "b", "c", "d", "e", "f"}) {
    body += std::string(R"(,{"value":1,"key":")") + key + "\"}";
  }
  body += "]";
  const std::string header = "Idempotency-Key: k\r\n";
  const auto first = post(target, body, 200, header).at("records").as_array();
  for (int partitions : {5, 90}) {
    const std::string more = "{\"partitions\":" + std::to_string(partitions) + "}";
    ASSERT_EQ(client->call("PATCH", "/api/v1/topics/grows", more).status, 200u);
    const auto again = post(target, body, 200, header).at("records").as_array();
    ASSERT_EQ(again.size(), first.size());
    for (std::size_t i = 0; i < first.size(); ++i) {
      EXPECT_EQ(again[i].at("offset"), first[i].at("offset"));
      EXPECT_EQ(again[i].at("partition"), first[i].at("partition"));
      EXPECT_EQ(again[i].at("duplicate").as_bool(), true);
    }
    EXPECT_EQ(type_of(post(target, "[{\"value\":9}]", 409, header)),
              "urn:runnel:problem:dedup_conflict");
  }
  std::size_t count = 0;
  for (int p = 0; p < 5; ++p) {
    count += get(target + "?partition=" + std::to_string(p)).at("records").as_array().size();
  }
  EXPECT_EQ(count, first.size());
}

TEST_F(HttpApiTest, ARepeatWithOtherParametersIsAnotherRequest) {
  const std::string header = "Idempotency-Key: k\r\n";
  post(records + "?partition=0", "{\"value\":1}", 200, header);
  for (const char* other : {"?partition=1", "?partition=0&as=values", ""}) {
    EXPECT_EQ(type_of(post(records + other, "{\"value\":1}", 409, header)),
              "urn:runnel:problem:dedup_conflict")
        << other;
  }
  EXPECT_EQ(type_of(post(records + "?partition=0", "{\"value\":1}", 409,
                         header + "Content-Type: application/x-ndjson\r\n")),
            "urn:runnel:problem:dedup_conflict");
  const auto again =
      post(records + "?partition=0&durability=written", "{\"value\":1}", 200, header);
  EXPECT_TRUE(again.at("records").at(0).at("duplicate").as_bool()) << "it stores the same";
}

TEST_F(HttpApiTest, ARequestOfWhichAPartIsGoneIsNotToBeSentAgain) {
  const std::string header = "Idempotency-Key: k\r\n";
  const std::string body = R"([{"partition":0,"value":1},{"partition":1,"value":2}])";
  post(records, body, 200, header);
  ASSERT_TRUE(
      store->delete_records(store->partition("orders", PartitionIndex(0)).value(), Offset(1)));
  const auto problem = post(records, body, 409, header);
  EXPECT_EQ(type_of(problem), "urn:runnel:problem:partial_duplicate");
  EXPECT_THAT(std::string(problem.at("detail").as_string()), HasSubstr("Do not send it again"));
}

TEST_F(HttpApiTest, WhatASourceSaysToTwoTopicsAreTwoRecords) {
  ASSERT_TRUE(store->create_topic({"other", 1, {}}));
  const std::string fact =
      R"({"value":1,"dedup":{"source_type":"s","source_id":"i","data_id":"1"}})";
  post(records, fact);
  const auto answer = post("/api/v1/topics/other/records", fact).at("records").at(0);
  EXPECT_FALSE(answer.at("duplicate").as_bool());
  EXPECT_EQ(get("/api/v1/topics/other/records").at("records").as_array().size(), 1u);
  // Within a topic it is one, and the answer names its place.
  const auto first = post(records, fact).at("records").at(0);
  const auto elsewhere = (first.at("partition").as_int64() + 1) % 3;
  const auto again = post(records + "?partition=" + std::to_string(elsewhere), fact);
  EXPECT_EQ(again.at("records").at(0).at("partition"), first.at("partition"));
  EXPECT_EQ(again.at("records").at(0).at("offset"), first.at("offset"));
}

TEST_F(HttpApiTest, RecordsWithAndWithoutDedupAreNotMixed) {
  post(records + "?partition=0",
       R"([{"value":1,"dedup":{"source_type":"s","source_id":"i","data_id":"1"}},{"value":2}])",
       400);
}

TEST_F(HttpApiTest, RecordsAreKnownByWhatTheySay) {
  const auto record = [](const std::string& id, int value) {
    return R"({"value":)" + std::to_string(value) +
           R"(,"dedup":{"source_type":"shop","source_id":"s1","data_id":")" + id + "\"}}";
  };
  const auto first = post(records, "[" + record("1", 1) + "," + record("2", 2) + "]");
  const auto again = post(records, "[" + record("1", 1) + "]").at("records").at(0);
  EXPECT_EQ(again.at("duplicate").as_bool(), true);
  EXPECT_EQ(again.at("offset"), first.at("records").at(0).at("offset"));
  const auto partial = post(records, "[" + record("3", 3) + "," + record("2", 2) + "]", 409);
  EXPECT_EQ(type_of(partial), "urn:runnel:problem:partial_duplicate");
  EXPECT_EQ(partial.at("duplicates").at(0).at("record").as_int64(), 1);
  EXPECT_EQ(type_of(post(records, record("1", 7), 409)), "urn:runnel:problem:dedup_conflict");
  EXPECT_EQ(get(records).at("records").as_array().size(), 2u);
}

TEST_F(HttpApiTest, TopicsThatCompactWantKeys) {
  ASSERT_TRUE(store->create_topic({"state", 1, {{"cleanup.policy", "compact"}}}));
  post("/api/v1/topics/state/records", R"({"value":1})", 400);
  post("/api/v1/topics/state/records", R"({"key":"a","value":1})");
}

TEST_F(HttpApiTest, LargeBodiesAndRecords) {
  std::string many = "[";
  for (int i = 0; i < 3000; ++i) {
    many += (i > 0 ? "," : "") + std::string(R"({"partition":0,"text":")") +
            std::string(1000, static_cast<char>('a' + i % 26)) + "\"}";
  }
  const auto answer = post(records, many + "]").at("records").as_array();
  EXPECT_EQ(answer.back().at("offset").as_int64(), 2999);
  const auto large = post(records, R"({"text":")" + std::string(2'000'000, 'x') + "\"}", 413);
  EXPECT_THAT(std::string(large.at("detail").as_string()), HasSubstr("max.message.bytes"));
  std::size_t count = 0;
  std::string target = records + "?partition=0&limit=10000";
  for (bool more = true; more;) {
    const auto page = get(target);
    count += page.at("records").as_array().size();
    target = records + "?partition=0&limit=1000&cursor=" + std::string(page.at("next").as_string());
    more = !page.at("at_end").as_bool();
  }
  EXPECT_EQ(count, 3000u);
}

// ---------------------------------------------------------------- groups
TEST_F(HttpApiTest, GroupsAreShownAndMoved) {
  post(records,
       R"([{"partition":0,"value":1},{"partition":0,"value":2},{"partition":1,"value":3}])");
  const std::string offsets = "/api/v1/groups/readers/offsets";
  EXPECT_EQ(client->call("GET", offsets).status, 404u);
  const std::string body = R"({"dry_run":true,"offsets":[{"topic":"orders","to":"start"}]})";
  const Answered dry = client->call("PUT", offsets, body);
  EXPECT_EQ(dry.status, 200u) << dry.body;
  const auto told = boost::json::parse(dry.body);
  EXPECT_EQ(told.at("offsets").at(0).at("before").as_int64(), -1);
  EXPECT_EQ(told.at("offsets").at(0).at("lag_after").as_int64(), 2);
  EXPECT_EQ(client->call("GET", offsets).status, 404u);
  EXPECT_EQ(client->call("PUT", offsets, R"({"offsets":[{"topic":"orders","to":"start"}]})").status,
            200u);
  EXPECT_EQ(
      client->call("PUT", offsets, R"({"offsets":[{"topic":"orders","partition":0,"to":"1"}]})")
          .status,
      200u);
  const auto group = get("/api/v1/groups/readers");
  EXPECT_EQ(group.at("state").as_string(), "empty");
  EXPECT_EQ(group.at("lag").as_int64(), 2);
  EXPECT_EQ(get(offsets).at("offsets").at(0).at("offset").as_int64(), 1);
  EXPECT_EQ(get("/api/v1/groups").at("groups").at(0).at("group").as_string(), "readers");
  for (const char* bad :
       {R"({"offsets":[]})", R"({"offsets":[{"topic":"orders"}]})",
        R"({"offsets":[{"topic":"orders","to":"1"},{"topic":"orders","to":"1"}]})",
        R"({"offsets":[{"topic":"none","to":"1"}]})",
        R"({"offsets":[{"topic":"orders","to":"77"}]})"}) {
    const unsigned status = client->call("PUT", offsets, bad).status;
    EXPECT_TRUE(status >= 400 && status < 500) << bad << status;
  }
  EXPECT_EQ(client->call("DELETE", "/api/v1/groups/readers").status, 204u);
  EXPECT_EQ(client->call("GET", "/api/v1/groups/readers").status, 404u);
}

TEST_F(HttpApiTest, GroupsWithMembersStay) {
  protocol::native::GroupHeartbeat join;
  join.group = "readers";
  join.client_name = "cart-service";
  join.topics = {"orders"};
  bool joined = false;
  coordinator->heartbeat(join, "10.0.0.7", storage::Clock::system().monotonic(),
                         [&](const auto& reply) { joined = reply.has_value(); });
  const Answered refused =
      client->call("PUT", "/api/v1/groups/readers/offsets",
                   R"({"dry_run":true,"offsets":[{"topic":"orders","to":"start"}]})");
  EXPECT_EQ(refused.status, 409u);
  EXPECT_THAT(refused.body, HasSubstr("cart-service at 10.0.0.7"));
  EXPECT_EQ(get("/api/v1/groups/readers").at("members").as_array().size(), 1u);
  EXPECT_EQ(client->call("DELETE", "/api/v1/groups/readers").status, 409u);
}

TEST_F(HttpApiTest, AnyBytesAreOneRecord) {
  const std::string bytes("\0\xff{\r\n\x80", 6);
  const Answered stored =
      client->call("POST", records + "?partition=2&key=k&timestamp=1763701200000", bytes,
                   "Content-Type: application/octet-stream\r\n");
  EXPECT_EQ(stored.status, 200u) << stored.body;
  const auto record = get(records + "?partition=2").at("records").at(0);
  EXPECT_EQ(record.at("base64").as_string(), "AP97DQqA");
  EXPECT_EQ(record.at("key").as_string(), "k");
  EXPECT_EQ(record.at("timestamp").as_int64(), 1763701200000);
  EXPECT_EQ(client
                ->call("POST", records + "?timestamp=noon", bytes,
                       "Content-Type: application/octet-stream\r\n")
                .status,
            400u);
}

// ---------------------------------------------------------------- figures
TEST_F(HttpApiTest, MetricsHaveKafkaExportersNames) {
  post(records, R"([{"partition":0,"value":1},{"partition":0,"value":2}])");
  client->call("PUT", "/api/v1/groups/read\"ers/offsets", "{}");
  client->call("PUT", "/api/v1/groups/a%22b/offsets",
               R"({"offsets":[{"topic":"orders","partition":0,"to":"1"}]})");
  const Answered metrics = client->call("GET", "/metrics");
  EXPECT_THAT(metrics.header("Content-Type"), StartsWith("text/plain; version=0.0.4"));
  for (const char* line :
       {"kafka_brokers 1\n", "kafka_topic_partitions{topic=\"orders\"} 3\n",
        "kafka_topic_partition_current_offset{partition=\"0\",topic=\"orders\"} 2\n",
        "kafka_topic_partition_oldest_offset{partition=\"0\",topic=\"orders\"} 0\n",
        "kafka_consumergroup_lag{consumergroup=\"a\\\"b\",partition=\"0\",topic=\"orders\"} 1\n",
        "kafka_consumergroup_lag_sum{consumergroup=\"a\\\"b\",topic=\"orders\"} 1\n",
        "kafka_consumergroup_members{consumergroup=\"a\\\"b\"} 0\n",
        "# TYPE runnel_http_requests_total counter\n", "# TYPE runnel_http_sessions gauge\n"}) {
    EXPECT_THAT(metrics.body, HasSubstr(line));
  }
}

TEST(HttpMetricsTest, NamesFollowPrometheusRules) {
  EXPECT_EQ(metric_of({"store.sync_micros", 1, "microseconds", "all"}).name,
            "runnel_store_sync_seconds_total");
  EXPECT_EQ(metric_of({"store.sync_p99_micros", 1, "microseconds", "x"}).name,
            "runnel_store_sync_p99_seconds");
  EXPECT_EQ(metric_of({"store.appended_bytes", 1, "bytes", "x"}).name,
            "runnel_store_appended_bytes_total");
  EXPECT_EQ(metric_of({"store.scrub_pass_ended", 1, "milliseconds", "x"}).divisor, 1000u);
  EXPECT_FALSE(metric_of({"views.now", 1, "views", "views that run now"}).is_counter);
}

TEST_F(HttpApiTest, MetricsAreBounded) {
  ASSERT_TRUE(store->create_topic({"wide", static_cast<std::int32_t>(kMaxPartitionSeries), {}}));
  const Answered metrics = client->call("GET", "/metrics");
  EXPECT_THAT(metrics.body, HasSubstr("\nrunnel_metrics_omitted 3\n"));
}

TEST_F(HttpApiTest, ReadinessHasReasons) {
  EXPECT_EQ(get("/readyz").at("ready").as_bool(), true);
  http->shut_down();
  const auto told = get("/readyz", 503);
  EXPECT_EQ(told.at("reasons").at(0).at("reason").as_string(), "shutting_down");
}

TEST_F(HttpApiTest, StatisticsAreTold) {
  EXPECT_FALSE(get("/api/v1/statistics").at("statistics").as_array().empty());
}

// ---------------------------------------------------------------- openapi.json
/// Every $ref of a value leads somewhere.
void check_references(const boost::json::value& root, const boost::json::value& in) {
  if (in.is_object()) {
    for (const auto& [key, value] : in.as_object()) {
      if (key == "$ref") {
        boost::system::error_code error;
        const std::string at = std::string(value.as_string()).substr(1);
        EXPECT_NE(root.find_pointer(at, error), nullptr) << at;
      }
      check_references(root, value);
    }
  } else if (in.is_array()) {
    for (const auto& value : in.as_array()) check_references(root, value);
  }
}

TEST_F(HttpApiTest, TheDocumentTellsOfEveryRouteAndNoOther) {
  const auto document = get("/api/v1/openapi.json");
  EXPECT_EQ(document.at("openapi").as_string(), "3.1.0");
  check_references(document, document);
  std::set<std::string> told;
  std::set<std::string> ids;
  for (const auto& [path, methods] : document.at("paths").as_object()) {
    for (const auto& [method, operation] : methods.as_object()) {
      told.insert(std::string(method) + " " + std::string(path));
      EXPECT_TRUE(ids.insert(std::string(operation.at("operationId").as_string())).second);
      EXPECT_TRUE(operation.at("responses").as_object().contains("default"));
    }
  }
  std::set<std::string> taken;
  for (const Route& route : http->router().routes()) {
    std::string method(name_of(route.method));
    for (char& c : method) c = static_cast<char>(std::tolower(c));
    EXPECT_TRUE(taken.insert(method + " " + std::string(route.pattern)).second) << route.pattern;
  }
  EXPECT_EQ(told, taken);
}

}  // namespace
}  // namespace runnel::broker::http
