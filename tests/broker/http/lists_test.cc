// Lists that are asked for again and again: all lags, the largest topics.
#include "tests/broker/http/http_world.h"

namespace runnel::broker::http {
namespace {

TEST_F(HttpApiTest, LagsAreOneAnswer) {
  EXPECT_TRUE(get("/api/v1/lags").at("lags").as_array().empty());
  post(records, R"([{"partition":0,"value":1},{"partition":0,"value":2}])");
  ASSERT_TRUE(store->create_topic({"other", 1, {}}));
  for (const char* group : {"a", "b"}) {
    const std::string offsets = std::string("/api/v1/groups/") + group + "/offsets";
    ASSERT_EQ(client
                  ->call("PUT", offsets,
                         R"({"offsets":[{"topic":"orders","partition":0,"to":"1"},)"
                         R"({"topic":"other","to":"start"}]})")
                  .status,
              200u);
  }
  const auto all = get("/api/v1/lags");
  EXPECT_EQ(all.at("lags").as_array().size(), 4u);
  EXPECT_EQ(all.at("omitted").as_int64(), 0);
  const auto of_topic = get("/api/v1/lags?topic=orders");
  ASSERT_EQ(of_topic.at("lags").as_array().size(), 2u);
  const auto& first = of_topic.at("lags").at(0);
  EXPECT_EQ(first.at("group").as_string(), "a");
  EXPECT_EQ(first.at("offset").as_int64(), 1);
  EXPECT_EQ(first.at("lag").as_int64(), 1);
  ASSERT_TRUE(store->delete_topic("orders"));
  EXPECT_TRUE(get("/api/v1/lags?topic=orders").at("lags").as_array().empty());
}

TEST_F(HttpApiTest, TheLargestTopicsComeFirst) {
  for (const char* name : {"small", "middle", "large"}) {
    ASSERT_TRUE(store->create_topic({name, 1, {}}));
  }
  post("/api/v1/topics/middle/records", R"({"text":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"})");
  post("/api/v1/topics/large/records", R"({"text":")" + std::string(5000, 'x') + R"("})");
  post("/api/v1/topics/small/records", R"({"text":"x"})");
  const auto page = get("/api/v1/topics?order=bytes&limit=2");
  ASSERT_EQ(page.at("topics").as_array().size(), 2u);
  EXPECT_EQ(page.at("topics").at(0).at("name").as_string(), "large");
  EXPECT_EQ(page.at("topics").at(1).at("name").as_string(), "middle");
  EXPECT_TRUE(page.at("next").is_null());
  EXPECT_EQ(get("/api/v1/topics?order=bytes&prefix=s").at("topics").as_array().size(), 1u);
  EXPECT_EQ(client->call("GET", "/api/v1/topics?order=size").status, 400u);
}

}  // namespace
}  // namespace runnel::broker::http
