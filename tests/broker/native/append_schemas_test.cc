// Native appends to topics that ask for schemas.
#include <gmock/gmock.h>

#include "tests/broker/native/world.h"
#include "tests/broker/schemas/registering.h"

namespace runnel::broker {
namespace {

using native::Failure;
using schemas::with_schema;
using ::testing::HasSubstr;

struct AppendWithSchemas : testing::Test {
  AppendWithSchemas() {
    w.store.rules.value_schemas = true;
    w.client->hello();
  }
  static std::string batch(const std::string& value) {
    protocol::BatchBuilder builder{protocol::BatchOptions{.codec = protocol::Codec::kZstd}};
    builder.add({Timestamp(1), "key", value, {}});
    return std::string(as_text(builder.finish().value().bytes()));
  }

  World w;
  const schemas::SchemaId id =
      schemas::register_in(w.service.schemas(), "orders-value", R"({"type":"integer"})");
};

TEST_F(AppendWithSchemas, WhatFitsIsStoredAndTheRestIsRefused) {
  const auto stored = w.append(2, 1, batch(with_schema(id, "1")) + batch(with_schema(id, "2")));
  ASSERT_EQ(stored.partitions.size(), 1u);
  EXPECT_EQ(stored.partitions[0].last_offset, Offset(1));
  const std::string mixed = batch(with_schema(id, "1")) + batch(with_schema(id, "\"one\""));
  const auto failure = w.client->call<Failure>(3, w.append_to(1, mixed.size()), mixed);
  EXPECT_EQ(failure.code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(failure.message, HasSubstr("orders/1"));
  EXPECT_THAT(failure.message, HasSubstr("nothing was stored"));
  const auto next = w.append(4, 1, batch(with_schema(id, "3")));
  EXPECT_EQ(next.partitions.at(0).base_offset, Offset(2));
  EXPECT_EQ(w.store.memory().held_bytes(), 0u);
}

TEST_F(AppendWithSchemas, WhatFollowsStaysBehind) {
  const std::string checked = batch(with_schema(id, "1"));
  for (std::uint64_t i = 0; i < 20; ++i) {
    // Every other one is of topics that do not ask.
    w.store.rules.value_schemas = i % 2 == 0;
    w.client->feed(TestClient::frame(10 + i, w.append_to(0, checked.size()), checked));
  }
  for (std::uint64_t i = 0; i < 20; ++i) {
    const auto reply = w.client->await<native::AppendReply>(10 + i);
    EXPECT_EQ(reply.partitions.at(0).base_offset, Offset(static_cast<std::int64_t>(i)));
  }
}

}  // namespace
}  // namespace runnel::broker
