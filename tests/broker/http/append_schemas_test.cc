// Appends over HTTP to topics that ask for schemas.
#include <gmock/gmock.h>

#include "tests/broker/http/http_world.h"
#include "tests/broker/schemas/registering.h"

namespace runnel::broker::http {
namespace {

using schemas::with_schema;
using ::testing::HasSubstr;

class AppendSchemas : public HttpApiTest {
 protected:
  AppendSchemas() {
    EXPECT_TRUE(
        store->create_topic({"strict", 1, {{"confluent.value.schema.validation", "true"}}}));
  }
  Answered append(const std::string& value) {
    return client->call("POST", "/api/v1/topics/strict/records", value,
                        "Content-Type: application/octet-stream\r\n");
  }
};

TEST_F(AppendSchemas, WhatFitsIsStoredAndTheRestIsRefused) {
  EXPECT_EQ(append("plain").status, 400u);
  const auto id = schemas::register_in(http->schemas(), "strict-value", R"({"type":"integer"})");
  const Answered stored = append(with_schema(id, "5"));
  EXPECT_EQ(stored.status, 200u) << stored.body;
  EXPECT_THAT(stored.body, HasSubstr("\"offset\":0"));
  const Answered refused = append(with_schema(id, "\"five\""));
  EXPECT_EQ(refused.status, 400u);
  EXPECT_THAT(refused.body, HasSubstr("record 0: its value does not fit the JSON Schema"));
  EXPECT_EQ(store->describe_topic("strict").value().partitions.at(0).high_watermark, Offset(1));
}

TEST_F(AppendSchemas, TheConfigIsAnyTopicConfig) {
  const Answered off = client->call("PATCH", "/api/v1/topics/strict",
                                    R"({"configs":{"confluent.value.schema.validation":"false"}})");
  EXPECT_EQ(off.status, 200u) << off.body;
  EXPECT_EQ(append("plain").status, 200u);
}

}  // namespace
}  // namespace runnel::broker::http
