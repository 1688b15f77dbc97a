// Which records a topic that asks for schemas takes.
#include "broker/schemas/record_check.h"

#include <gmock/gmock.h>

#include <filesystem>

#include "storage/env/random.h"
#include "tests/broker/schemas/registering.h"

namespace runnel::broker::schemas {
namespace {

using ::testing::HasSubstr;

constexpr std::string_view kOrder =
    R"({"type":"object","properties":{"id":{"type":"integer"}},"required":["id"]})";

class RecordChecks : public ::testing::Test {
 protected:
  RecordChecks() { rules.value_schemas = true; }
  ~RecordChecks() override {
    EXPECT_TRUE(store->close());
    store.reset();
    std::filesystem::remove_all(directory);
  }
  std::unique_ptr<storage::Store> open() const {
    storage::StoreOptions options;
    options.directory = directory.string();
    options.segment_bytes = 1u << 20;
    options.low_space_bytes = 0;
    options.ballast_bytes = 0;
    return std::move(storage::Store::open(std::move(options)).value());
  }
  /// Empty: it passes.
  std::string why(std::optional<std::string> key, std::optional<std::string> value) {
    RecordCheck check(registry, "orders", rules);
    auto answer = check.why_refused(key, value);
    EXPECT_TRUE(answer) << answer.error().to_string();
    return answer->value_or("");
  }

  const std::filesystem::path directory =
      std::filesystem::temp_directory_path() /
      ("runnel-record-check-" + std::to_string(storage::Random::system().next()));
  std::unique_ptr<storage::Store> store = open();
  Registry registry{*store, storage::Clock::system(), nullptr};
  storage::RecordRules rules;
  const SchemaId order = register_in(registry, "orders-value", std::string(kOrder));
};

TEST_F(RecordChecks, AValueThatFitsItsJsonSchemaPasses) {
  EXPECT_EQ(why("k", with_schema(order, R"({"id": 5})")), "");
  EXPECT_EQ(why("k", std::nullopt), "") << "it deletes its key";
}

TEST_F(RecordChecks, AValueWithoutSchemaIsRefused) {
  for (const std::string& value : {std::string(), std::string(R"({"id": 5})"), std::string(4, '\0'),
                                   "\1" + with_schema(order, "{}").substr(1)}) {
    EXPECT_THAT(why("k", value), HasSubstr("does not begin with a zero byte")) << value;
    EXPECT_THAT(why("k", value), HasSubstr("orders-value"));
  }
}

TEST_F(RecordChecks, AnIdThatIsNotTheSubjectsIsRefused) {
  const SchemaId other = register_in(registry, "others-value", R"({"type":"string"})");
  EXPECT_THAT(why("k", with_schema(other, "\"a\"")), HasSubstr("no version of the subject"));
  EXPECT_THAT(why("k", with_schema(SchemaId(77), "{}")), HasSubstr("none of this id"));
  EXPECT_THAT(why("k", with_schema(SchemaId(-1), "{}")), HasSubstr("none of this id"));
}

TEST_F(RecordChecks, WhatDoesNotFitIsToldWithItsPlace) {
  EXPECT_THAT(why("k", with_schema(order, R"({"id": "five"})")), HasSubstr("#/id"));
  EXPECT_THAT(why("k", with_schema(order, "{}")), HasSubstr("id"));
  EXPECT_THAT(why("k", with_schema(order, "{")), HasSubstr("this is no JSON"));
  EXPECT_THAT(why("k", with_schema(order, R"({"id": 5} x)")), HasSubstr("something follows"));
  const std::string large = R"({"id": 5, "text": ")" + std::string(kMaxCheckedJsonBytes, 'x');
  EXPECT_THAT(why("k", with_schema(order, large + "\"}")), HasSubstr("most that is checked"));
}

TEST_F(RecordChecks, ADeletedVersionIsNoMoreWritten) {
  const auto deleted = registry.write([](const RegistryState& state) -> Reply<Registry::Change> {
    RUNNEL_ANSWER_ASSIGN(auto gone, delete_subject(state, "orders-value", false));
    return std::move(gone.records);
  });
  ASSERT_TRUE(deleted);
  EXPECT_THAT(why("k", with_schema(order, R"({"id": 5})")), HasSubstr("(any more)"));
}

TEST_F(RecordChecks, OfAvroAndProtobufTheIdIsLookedAt) {
  const SchemaId avro = register_in(registry, "avro-value", "\"int\"", SchemaType::kAvro);
  RecordCheck check(registry, "avro", rules);
  EXPECT_EQ(check.why_refused("k", with_schema(avro, "not Avro")).value(), std::nullopt);
}

TEST_F(RecordChecks, KeysAreLookedAtWhereTheTopicAsks) {
  EXPECT_EQ(why("plain", with_schema(order, R"({"id": 5})")), "");
  rules.key_schemas = true;
  EXPECT_THAT(why("plain", std::nullopt), HasSubstr("its key"));
  const SchemaId key = register_in(registry, "orders-key", R"({"type":"string"})");
  EXPECT_EQ(why(with_schema(key, "\"a\""), std::nullopt), "");
  EXPECT_THAT(why(with_schema(key, "1"), std::nullopt), HasSubstr("orders-key"));
  EXPECT_EQ(why(std::nullopt, std::nullopt), "");
  rules.value_schemas = false;
  EXPECT_EQ(why(std::nullopt, "anything"), "");
}

TEST_F(RecordChecks, CompressedBatchesAreUnpackedWithinTheirRoom) {
  protocol::BatchBuilder builder{protocol::BatchOptions{.codec = protocol::Codec::kZstd}};
  const std::string good = with_schema(order, R"({"id": 1})");
  for (const std::string& value : {good, std::string("bad"), good, std::string("worse")}) {
    builder.add({Timestamp(1), "k", value, {}});
  }
  const Buffer batch = builder.finish().value();
  RecordCheck check(registry, "orders", rules);
  std::size_t room = 1u << 20;
  const auto refused = check.refused_in(batch.bytes(), 10, room).value();
  ASSERT_EQ(refused.size(), 2u);
  EXPECT_EQ(refused[0].index, 1);
  EXPECT_EQ(refused[1].index, 3);
  EXPECT_LT(room, 1u << 20);
  EXPECT_EQ(check.refused_in(batch.bytes(), 1, room).value().size(), 1u);
  room = 10;
  const auto small = check.refused_in(batch.bytes(), 1, room);
  ASSERT_FALSE(small);
  EXPECT_EQ(small.error().code(), ErrorCode::kRecordTooLarge);
}

}  // namespace
}  // namespace runnel::broker::schemas
