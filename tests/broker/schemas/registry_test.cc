// The registry's rules, its log and what stays of it.
#include "broker/schemas/registry.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "protocol/record_batch/record_batch.h"
#include "storage/env/random.h"

namespace runnel::broker::schemas {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Code = Refusal::Code;

NewSchema json(std::string text) {
  NewSchema out;
  out.schema = {SchemaType::kJson, std::move(text), {}};
  return out;
}
const std::string kInteger = R"({"type":"integer"})";
const std::string kNumber = R"({"type":"number"})";
const std::string kString = R"({"type":"string"})";

/// A state that is told what its rules decide.
class Rules : public ::testing::Test {
 protected:
  void take(const std::vector<LogRecord>& records) {
    for (const LogRecord& each : records) {
      // As it is read from the log.
      const KeyAndValue bytes = encode(each);
      const auto again = decode(bytes.key, bytes.value);
      ASSERT_TRUE(again) << again.error().message();
      ASSERT_TRUE(state.apply(*again));
    }
  }
  /// The id; 0 - code: it was refused.
  int add(const std::string& subject, NewSchema schema) {
    const auto done = register_schema(state, subject, std::move(schema));
    if (!done) return -done.error().code;
    take(done->records);
    return done->id.value();
  }
  int remove(const std::string& subject, bool permanent) {
    const auto done = delete_subject(state, subject, permanent);
    if (!done) return done.error().code;
    take(done->records);
    return 0;
  }
  int remove(const std::string& subject, int version, bool permanent) {
    const auto done = delete_version(state, subject, {Version(version)}, permanent);
    if (!done) return done.error().code;
    take(done->records);
    return 0;
  }
  void level(std::optional<std::string> subject, std::optional<Compatibility> level) {
    take({set_level(state, subject, level).value()});
  }

  RegistryState state;
};

TEST_F(Rules, TheSameSchemaHasTheSameId) {
  EXPECT_EQ(add("a", json(kInteger)), 1);
  EXPECT_EQ(add("a", json(R"( { "type" : "integer" } )")), 1);
  EXPECT_EQ(state.subject("a")->size(), 1u);
  EXPECT_EQ(add("b", json(kInteger)), 1);
  EXPECT_EQ(add("b", json(kNumber)), 2);
  EXPECT_EQ(state.places(SchemaId(1)).size(), 2u);
  EXPECT_EQ(state.subject("b")->rbegin()->first, Version(2));
  NewSchema avro;
  avro.schema.text = R"({"type":"fixed","name":"F","size":4})";
  EXPECT_EQ(add("c", avro), 3);
  avro.schema.text = R"({"name":"F","size":4,"type":"fixed"})";
  EXPECT_EQ(add("c", avro), 3);
}

TEST_F(Rules, NormalizedIsTheSameInAnyOrder) {
  NewSchema one = json(R"({"type":"integer","minimum":1})");
  NewSchema other = json(R"({"minimum":1,"type":"integer"})");
  one.normalize = other.normalize = true;
  EXPECT_EQ(add("a", one), 1);
  EXPECT_EQ(add("a", other), 1);
  other.normalize = false;
  EXPECT_EQ(add("b", other), 1);  // as it is kept
  one.normalize = false;
  EXPECT_EQ(add("b", one), 2);
}

TEST_F(Rules, LevelsHoldForTheirSubjects) {
  EXPECT_EQ(add("a", json(kNumber)), 1);
  EXPECT_EQ(add("a", json(kInteger)), -Code::kIncompatible);
  level("a", Compatibility::kForward);
  EXPECT_EQ(add("a", json(kInteger)), 2);
  EXPECT_EQ(add("a", json(kNumber)), 1);  // it is there
  level("a", std::nullopt);
  level(std::nullopt, Compatibility::kNone);
  EXPECT_EQ(add("a", json(kString)), 3);
  EXPECT_EQ(set_level(state, "b", std::nullopt).error().code, Code::kSubjectNotFound);
}

TEST_F(Rules, TransitiveLooksAtAllVersions) {
  level("a", Compatibility::kNone);
  EXPECT_EQ(add("a", json(kString)), 1);
  EXPECT_EQ(add("a", json(kInteger)), 2);
  level("a", Compatibility::kBackward);
  EXPECT_EQ(add("a", json(kNumber)), 3);
  level("a", Compatibility::kBackwardTransitive);
  EXPECT_EQ(add("a", json(R"({"type":["number","null"]})")), -Code::kIncompatible);
  EXPECT_EQ(remove("a", 1, false), 0);  // what is deleted is asked no more
  EXPECT_EQ(add("a", json(R"({"type":["number","null"]})")), 4);
}

TEST_F(Rules, SoftAndHardDeletion) {
  EXPECT_EQ(remove("a", false), Code::kSubjectNotFound);
  EXPECT_EQ(add("a", json(kInteger)), 1);
  EXPECT_EQ(add("a", json(kNumber)), 2);
  EXPECT_EQ(remove("a", true), Code::kSubjectNotSoftDeleted);
  EXPECT_EQ(remove("a", 1, true), Code::kVersionNotSoftDeleted);
  EXPECT_EQ(remove("a", 3, false), Code::kVersionNotFound);
  EXPECT_EQ(remove("a", 1, false), 0);
  EXPECT_EQ(remove("a", 1, false), Code::kVersionSoftDeleted);
  EXPECT_EQ(remove("a", false), 0);
  EXPECT_EQ(remove("a", false), Code::kSubjectSoftDeleted);
  ASSERT_NE(state.schema(SchemaId(1)), nullptr);  // records have it
  EXPECT_EQ(find_version(state, "a", {}, false).error().code, Code::kSubjectNotFound);
  EXPECT_EQ(find_version(state, "a", {}, true)->version, Version(2));
  EXPECT_EQ(add("a", json(kInteger)), 1);  // the same id, the next version
  EXPECT_EQ(state.subject("a")->rbegin()->first, Version(3));
  EXPECT_EQ(remove("a", false), 0);
  EXPECT_EQ(remove("a", true), 0);
  EXPECT_EQ(state.subject("a"), nullptr);
  EXPECT_EQ(state.schema(SchemaId(1)), nullptr);
  EXPECT_EQ(state.bytes(), 0u);
  EXPECT_EQ(add("a", json(kInteger)), 3);  // no id comes twice
}

TEST_F(Rules, ReferencesHoldWhatTheyNeed) {
  EXPECT_EQ(add("base", json(kInteger)), 1);
  NewSchema user = json(R"({"properties":{"n":{"$ref":"base.json"}}})");
  EXPECT_EQ(add("user", user), -Code::kInvalidSchema);
  user.schema.references = {{"base.json", "base", Version(2)}};
  EXPECT_EQ(add("user", user), -Code::kInvalidSchema);
  user.schema.references = {{"base.json", "base", Version(1)}};
  EXPECT_EQ(add("user", user), 2);
  EXPECT_THAT(state.referring("base", Version(1)), ElementsAre(SchemaId(2)));
  EXPECT_EQ(remove("base", false), Code::kReferenceExists);
  EXPECT_EQ(remove("base", 1, false), Code::kReferenceExists);
  NewSchema narrow = json(R"({"properties":{"n":{"type":"null"}}})");
  EXPECT_EQ(add("user", narrow), -Code::kIncompatible);  // what is referred to counts
  EXPECT_EQ(remove("user", false), 0);
  EXPECT_EQ(remove("base", false), 0);
}

TEST_F(Rules, ModesAllowAndForbid) {
  EXPECT_EQ(add("a", json(kInteger)), 1);
  take({set_mode(state, "a", Mode::kReadOnly, false).value()});
  EXPECT_EQ(add("a", json(kNumber)), -Code::kNotPermitted);
  EXPECT_EQ(remove("a", false), Code::kNotPermitted);
  EXPECT_EQ(add("b", json(kNumber)), 2);
  take({set_mode(state, std::nullopt, Mode::kReadOnlyOverride, false).value()});
  EXPECT_EQ(add("b", json(kString)), -Code::kNotPermitted);
  take({set_mode(state, std::nullopt, std::nullopt, false).value()});
  EXPECT_EQ(set_mode(state, "a", Mode::kImport, false).error().code, Code::kNotPermitted);
  take({set_mode(state, "c", Mode::kImport, false).value()});
  NewSchema moved = json(kString);
  moved.id = SchemaId(70);
  moved.version = Version(7);
  EXPECT_EQ(add("c", moved), 70);
  EXPECT_TRUE(state.subject("c")->contains(Version(7)));
  EXPECT_EQ(add("b", moved), -Code::kNotPermitted);
  moved.schema.text = R"({"type":"null"})";
  moved.version = Version(8);
  EXPECT_EQ(add("c", moved), -Code::kIdDiffers);
  EXPECT_EQ(add("d", json(R"({"type":"array"})")), 71);
}

TEST_F(Rules, WhatIsNoneIsRefused) {
  EXPECT_EQ(add("a", json("{")), -Code::kInvalidSchema);
  EXPECT_EQ(add("a", json("")), -Code::kInvalidSchema);
  EXPECT_EQ(add("", json(kInteger)), -Code::kInvalidSubject);
  EXPECT_EQ(add(std::string(256, 'a'), json(kInteger)), -Code::kInvalidSubject);
  EXPECT_EQ(add("a", json("\"" + std::string(2'000'000, 'a') + "\"")), -Code::kInvalidSchema);
  EXPECT_EQ(version_named("0").error().code, Code::kInvalidVersion);
  EXPECT_EQ(version_named("x").error().code, Code::kInvalidVersion);
  EXPECT_EQ(version_named("2147483648").error().code, Code::kInvalidVersion);
  EXPECT_FALSE(version_named("latest")->number);
}

TEST_F(Rules, TheRegistryIsBounded) {
  const std::string filler(900'000, 'x');
  int last = 0;
  for (int i = 0; i < 200 && last >= 0; ++i) {
    const auto done = register_schema(state, "s" + std::to_string(i),
                                      json(R"({"title":")" + std::to_string(i) + filler + "\"}"));
    ASSERT_TRUE(done);
    last = state.has_room(done->records) ? 1 : -1;
    if (last > 0) take(done->records);
  }
  EXPECT_EQ(last, -1);
  EXPECT_LT(state.bytes(), std::size_t{64} << 20);
}

// ---------------------------------------------------------------- the log
TEST(SchemaLog, IsAsThePageSays) {
  std::ifstream page(std::string(RUNNEL_SOURCE_DIR) + "/docs/formats/schemas.md");
  RegistryState state;
  std::size_t records = 0;
  for (std::string line; std::getline(page, line);) {
    if (!line.starts_with("{\"keytype\"")) continue;
    std::string value;
    ASSERT_TRUE(std::getline(page, value));
    const auto record =
        decode(line, value == "null" ? std::nullopt : std::optional<std::string_view>(value));
    ASSERT_TRUE(record) << line << record.error().message();
    const KeyAndValue again = encode(*record);
    EXPECT_EQ(again.key, line);
    EXPECT_EQ(again.value.value_or("null"), value);
    ASSERT_TRUE(state.apply(*record));
    ++records;
  }
  EXPECT_EQ(records, 6u);
  EXPECT_EQ(state.level("orders-value"), Compatibility::kFull);
  EXPECT_EQ(state.schema(SchemaId(1))->text, kString);
  EXPECT_TRUE(state.subject("orders-value")->at(Version(1)).deleted);
  EXPECT_FALSE(state.subject("orders-value")->at(Version(2)).deleted);
  EXPECT_EQ(state.mode("orders-value"), Mode::kReadWrite);
}

TEST(SchemaLog, RecordsOfOthersAreTakenAsTheyAre) {
  // As a registry of version 7.6 writes it.
  const auto record = decode(
      R"({"keytype":"SCHEMA","subject":"s","version":1,"magic":1})",
      R"({"subject":"s","version":1,"id":9,"md5":"n+BHRsC7TOSEDH+MKCxZVA==","schema":"\"int\"","deleted":false,"ts":1700000000000})");
  ASSERT_TRUE(record);
  EXPECT_EQ(std::get<SchemaRecord>(*record).value->id, SchemaId(9));
  EXPECT_EQ(std::get<SchemaRecord>(*record).value->schema.type, SchemaType::kAvro);
  EXPECT_TRUE(decode(R"({"keytype":"NOOP","magic":0})", std::nullopt));
  for (const char* key : {"", "1", "{}", R"({"keytype":"CONTEXT","subject":"s"})",
                          R"({"keytype":"SCHEMA","subject":null,"version":1})",
                          R"({"keytype":"SCHEMA","subject":"s","version":0})"}) {
    EXPECT_FALSE(decode(key, std::nullopt)) << key;
  }
  EXPECT_FALSE(
      decode(R"({"keytype":"SCHEMA","subject":"s","version":1})", R"({"id":0,"schema":""})"));
  EXPECT_FALSE(decode(R"({"keytype":"SCHEMA","subject":"s","version":1})", R"({"id":1})"));
}

/// A registry on a store that is opened again and again.
class OnStore : public ::testing::Test {
 protected:
  void SetUp() override {
    directory = std::filesystem::temp_directory_path() /
                ("runnel-schemas-" + std::to_string(storage::Random::system().next()));
    open();
  }
  void TearDown() override {
    close();
    std::filesystem::remove_all(directory);
  }
  void open() {
    storage::StoreOptions options;
    options.directory = directory.string();
    options.segment_bytes = 1u << 20;
    options.low_space_bytes = 0;
    options.ballast_bytes = 0;
    store = std::move(storage::Store::open(std::move(options)).value());
    registry = std::make_unique<Registry>(*store, storage::Clock::system(),
                                          [this](std::string_view line) { warnings += line; });
  }
  void close() {
    registry.reset();
    ASSERT_TRUE(store->close());
    store.reset();
  }
  int add(const std::string& subject, const std::string& text) {
    int id = 0;
    const auto done = registry->write([&](const RegistryState& state) -> Reply<Registry::Change> {
      RUNNEL_ANSWER_ASSIGN(auto made, register_schema(state, subject, json(text)));
      id = made.id.value();
      return std::move(made.records);
    });
    return done ? id : -done.error().code;
  }
  void remove_for_ever(const std::string& subject) {
    for (const bool permanent : {false, true}) {
      ASSERT_TRUE(registry->write([&](const RegistryState& state) -> Reply<Registry::Change> {
        RUNNEL_ANSWER_ASSIGN(auto made, delete_subject(state, subject, permanent));
        return std::move(made.records);
      }));
    }
  }
  std::vector<std::string> subjects() {
    std::vector<std::string> out;
    EXPECT_TRUE(registry->read([&](const RegistryState& state) -> Reply<void> {
      for (const auto& each : state.subjects()) out.push_back(each.first);
      return {};
    }));
    return out;
  }
  void write_record(const std::string& key, const std::string& value) {
    protocol::BatchBuilder builder;
    builder.add({storage::Clock::system().now(), key, value, {}});
    storage::CommitRequest request;
    request.appends.push_back(
        {store->partition(kTopic, PartitionIndex(0)).value(), builder.finish().value(), {}, {}});
    ASSERT_TRUE(store->commit_and_wait(std::move(request)).result);
  }

  std::filesystem::path directory;
  std::unique_ptr<storage::Store> store;
  std::unique_ptr<Registry> registry;
  std::string warnings;
};

TEST_F(OnStore, NothingIsMadeBeforeTheFirstSchema) {
  EXPECT_TRUE(subjects().empty());
  EXPECT_TRUE(store->topic_names().empty());
  EXPECT_EQ(add("a", kInteger), 1);
  EXPECT_EQ(store->describe_topic("_schemas")->configs.at("cleanup.policy"), "compact");
}

TEST_F(OnStore, WhatWasAnsweredIsThereAfterARestart) {
  EXPECT_EQ(add("a", kInteger), 1);
  EXPECT_EQ(add("a", kNumber), 2);
  close();
  open();
  EXPECT_THAT(subjects(), ElementsAre("a"));
  EXPECT_EQ(add("b", kNumber), 2);
  EXPECT_EQ(add("b", kString), -Code::kIncompatible);
}

TEST_F(OnStore, NoIdComesTwiceWhateverWasCompactedAway) {
  EXPECT_EQ(add("a", kInteger), 1);
  EXPECT_EQ(add("b", kNumber), 2);
  remove_for_ever("b");
  close();
  open();
  ASSERT_TRUE(store->delete_topic("_schemas"));  // more than compaction would do
  EXPECT_TRUE(subjects().empty());
  EXPECT_EQ(add("c", kString), 3);
}

TEST_F(OnStore, OthersRecordsAreFollowed) {
  EXPECT_EQ(add("a", kInteger), 1);
  const KeyAndValue foreign = encode(SchemaRecord{
      "b", Version(1), SchemaRecord::Value{SchemaId(5), {SchemaType::kJson, kNumber, {}}, false}});
  write_record(foreign.key, *foreign.value);
  EXPECT_THAT(subjects(), ElementsAre("a", "b"));
  EXPECT_EQ(add("c", kString), 6);
  write_record("no key", "x");
  EXPECT_THAT(subjects(), ElementsAre("a", "b", "c"));
  EXPECT_EQ(registry->unreadable(), 1u);
  EXPECT_THAT(warnings, HasSubstr("offset 3"));
}

TEST_F(OnStore, ManyWritersGetIdsOfTheirOwn) {
  std::vector<std::thread> all;
  std::array<int, 8> ids{};
  for (std::size_t i = 0; i < ids.size(); ++i) {
    all.emplace_back([this, i, &ids] {
      ids[i] = add("s" + std::to_string(i), R"({"title":")" + std::to_string(i) + "\"}");
    });
  }
  for (std::thread& each : all) each.join();
  std::sort(ids.begin(), ids.end());
  EXPECT_THAT(ids, ElementsAre(1, 2, 3, 4, 5, 6, 7, 8));
}

}  // namespace
}  // namespace runnel::broker::schemas
