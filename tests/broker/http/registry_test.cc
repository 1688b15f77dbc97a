// The schema registry's paths: what clients of Confluent's registry send and expect.
#include <gmock/gmock.h>

#include "tests/broker/http/http_world.h"

namespace runnel::broker::http {
namespace {

using ::testing::HasSubstr;

constexpr const char* kHeaders = "Content-Type: application/vnd.schemaregistry.v1+json\r\n";

class RegistryTest : public HttpApiTest {
 protected:
  boost::json::value send(const std::string& method, const std::string& target,
                          const std::string& body, unsigned status = 200) {
    const Answered answered =
        client->call(method, target, body, body.empty() ? "" : std::string(kHeaders));
    EXPECT_EQ(answered.status, status) << method << " " << target << " " << answered.body;
    EXPECT_EQ(answered.header("Content-Type"), "application/vnd.schemaregistry.v1+json") << target;
    return boost::json::parse(answered.body);
  }
  std::int64_t refused(const std::string& method, const std::string& target,
                       const std::string& body, unsigned status) {
    const auto answer = send(method, target, body, status);
    EXPECT_FALSE(answer.at("message").as_string().empty());
    return answer.at("error_code").as_int64();
  }
  static std::string json_schema(const std::string& text) {
    return R"({"schemaType":"JSON","schema":)" + boost::json::serialize(boost::json::string(text)) +
           "}";
  }
  std::string text(const boost::json::value& value) { return boost::json::serialize(value); }

  const std::string integer = json_schema(R"({"type": "integer"})");
  const std::string number = json_schema(R"({"type":"number"})");
};

TEST_F(RegistryTest, SchemasAreRegisteredAndRead) {
  EXPECT_EQ(text(send("GET", "/subjects", "")), "[]");
  EXPECT_EQ(text(send("GET", "/schemas/types", "")), R"(["JSON","PROTOBUF","AVRO"])");
  EXPECT_EQ(text(send("POST", "/subjects/a/versions", integer)), R"({"id":1})");
  EXPECT_EQ(text(send("POST", "/subjects/a/versions?normalize=False", number)), R"({"id":2})");
  EXPECT_EQ(text(send("GET", "/subjects", "")), R"(["a"])");
  EXPECT_EQ(text(send("GET", "/subjects/a/versions", "")), "[1,2]");
  EXPECT_EQ(text(send("GET", "/subjects?deleted_only=False&offset=0&limit=-1", "")), R"(["a"])");
  EXPECT_EQ(
      text(send("GET", "/subjects/a/versions/1", "")),
      R"({"subject":"a","version":1,"id":1,"schemaType":"JSON","schema":"{\"type\":\"integer\"}"})");
  EXPECT_EQ(send("GET", "/subjects/a/versions/latest", "").at("version").as_int64(), 2);
  EXPECT_EQ(text(send("GET", "/subjects/a/versions/1/schema", "")), R"({"type":"integer"})");
  EXPECT_EQ(text(send("GET", "/schemas/ids/2?fetchMaxId=true", "")),
            R"({"schemaType":"JSON","schema":"{\"type\":\"number\"}","maxId":2})");
  EXPECT_EQ(text(send("GET", "/schemas/ids/2/schema", "")), R"({"type":"number"})");
  EXPECT_EQ(text(send("GET", "/schemas/ids/2/subjects", "")), R"(["a"])");
  EXPECT_EQ(text(send("GET", "/schemas/ids/1/versions", "")), R"([{"subject":"a","version":1}])");
  EXPECT_EQ(send("POST", "/subjects/a", integer).at("version").as_int64(), 1);
  EXPECT_EQ(send("GET", "/schemas?latestOnly=true", "").as_array().size(), 1u);
  EXPECT_EQ(send("GET", "/schemas?offset=1&limit=-1", "").as_array().size(), 1u);
  EXPECT_EQ(text(send("POST", "/subjects/with%2Fslash/versions", R"({"schema":"\"int\""})")),
            R"({"id":3})");
  EXPECT_EQ(text(send("GET", "/schemas/ids/3", "")), R"({"schema":"\"int\""})");
  EXPECT_EQ(text(send("GET", "/subjects?subjectPrefix=with", "")), R"(["with/slash"])");
}

TEST_F(RegistryTest, ErrorsHaveTheCodesThatClientsKnow) {
  send("POST", "/subjects/a/versions", number);
  EXPECT_EQ(refused("GET", "/subjects/b/versions", "", 404), 40401);
  EXPECT_EQ(refused("GET", "/subjects/a/versions/2", "", 404), 40402);
  EXPECT_EQ(refused("GET", "/subjects/a/versions/0", "", 422), 42202);
  EXPECT_EQ(refused("GET", "/schemas/ids/9", "", 404), 40403);
  EXPECT_EQ(refused("GET", "/schemas/ids/x", "", 404), 40403);
  EXPECT_EQ(refused("POST", "/subjects/a", integer, 404), 40403);
  EXPECT_EQ(refused("POST", "/subjects/a/versions", integer, 409), 409);
  EXPECT_EQ(refused("POST", "/subjects/a/versions", R"({"schema":"{"})", 422), 42201);
  EXPECT_EQ(refused("POST", "/subjects/a/versions", R"({"schema":"{}","schemaType":"XML"})", 422),
            42201);
  EXPECT_EQ(refused("POST", "/subjects/a/versions", "[]", 400), 400);
  EXPECT_EQ(refused("POST", "/subjects/a/versions", "{", 400), 400);
  EXPECT_EQ(refused("POST", "/subjects/a/versions", R"({"schema":1})", 400), 400);
  EXPECT_EQ(refused("POST", "/subjects/a/versions", json_schema(std::string(5 << 20, ' ')), 422),
            42201);
  EXPECT_EQ(refused("POST", "/subjects/a/versions", R"({"schema":"{}","schemata":1})", 422), 422);
  EXPECT_EQ(refused("POST", "/subjects/a/versions", R"({"schema":"{}","ruleSet":{}})", 422), 42201);
  EXPECT_EQ(refused("PUT", "/config", R"({"compatibility":"SOME"})", 422), 42203);
  EXPECT_EQ(refused("PUT", "/mode", R"({"mode":"SOME"})", 422), 42204);
  EXPECT_EQ(refused("GET", "/config/a", "", 404), 40408);
  EXPECT_EQ(refused("GET", "/mode/a", "", 404), 40409);
  EXPECT_EQ(refused("DELETE", "/subjects/a?permanent=true", "", 404), 40405);
  EXPECT_THAT(text(send("POST", "/subjects/a/versions", integer, 409)), HasSubstr("TYPE_NARROWED"));
}

TEST_F(RegistryTest, DeletionIsSoftFirst) {
  send("POST", "/subjects/a/versions", integer);
  send("POST", "/subjects/a/versions", number);
  EXPECT_EQ(text(send("DELETE", "/subjects/a/versions/1", "")), "1");
  EXPECT_EQ(refused("DELETE", "/subjects/a/versions/1", "", 404), 40406);
  EXPECT_EQ(text(send("GET", "/subjects/a/versions", "")), "[2]");
  EXPECT_EQ(text(send("GET", "/subjects/a/versions?deleted=true", "")), "[1,2]");
  EXPECT_EQ(text(send("GET", "/subjects/a/versions?deletedOnly=true", "")), "[1]");
  EXPECT_EQ(text(send("DELETE", "/subjects/a", "")), "[2]");
  EXPECT_EQ(refused("DELETE", "/subjects/a", "", 404), 40404);
  EXPECT_EQ(refused("GET", "/subjects/a/versions", "", 404), 40401);
  EXPECT_EQ(text(send("GET", "/subjects?deleted=true", "")), R"(["a"])");
  send("GET", "/schemas/ids/1", "");  // records have it
  EXPECT_EQ(text(send("DELETE", "/subjects/a?permanent=true", "")), "[1,2]");
  EXPECT_EQ(refused("GET", "/schemas/ids/1", "", 404), 40403);
}

TEST_F(RegistryTest, SettingsHoldForOneOrForAll) {
  EXPECT_EQ(text(send("GET", "/config", "")), R"({"compatibilityLevel":"BACKWARD"})");
  EXPECT_EQ(text(send("PUT", "/config", R"({"compatibility":"full"})")),
            R"({"compatibility":"FULL"})");
  EXPECT_EQ(text(send("GET", "/config/a?defaultToGlobal=true", "")),
            R"({"compatibilityLevel":"FULL"})");
  send("PUT", "/config/a", R"({"compatibility":"NONE"})");
  EXPECT_EQ(text(send("GET", "/config/a", "")), R"({"compatibilityLevel":"NONE"})");
  EXPECT_EQ(text(send("DELETE", "/config/a", "")), R"({"compatibilityLevel":"NONE"})");
  EXPECT_EQ(text(send("GET", "/mode", "")), R"({"mode":"READWRITE"})");
  send("PUT", "/mode/a", R"({"mode":"READONLY"})");
  EXPECT_EQ(refused("POST", "/subjects/a/versions", integer, 422), 42205);
  EXPECT_EQ(text(send("DELETE", "/mode/a", "")), R"({"mode":"READONLY"})");
  send("POST", "/subjects/a/versions", integer);
  EXPECT_EQ(refused("PUT", "/mode", R"({"mode":"IMPORT"})", 422), 42205);
  send("PUT", "/mode?force=true", R"({"mode":"IMPORT"})");
}

TEST_F(RegistryTest, CompatibilityIsCheckedWithoutRegistering) {
  const std::string path = "/compatibility/subjects/a/versions";
  EXPECT_EQ(text(send("POST", path + "/latest", integer)), R"({"is_compatible":true})");
  EXPECT_EQ(refused("POST", path + "/1", integer, 404), 40401);
  send("POST", "/subjects/a/versions", number);
  EXPECT_EQ(text(send("POST", path + "/latest", integer)), R"({"is_compatible":false})");
  const auto told = send("POST", path + "?verbose=true", integer);
  EXPECT_THAT(text(told.at("messages")), HasSubstr("TYPE_NARROWED"));
  EXPECT_THAT(text(told.at("messages")), HasSubstr("{compatibility: 'BACKWARD'}"));
  EXPECT_EQ(text(send("GET", "/subjects/a/versions", "")), "[1]");
}

TEST_F(RegistryTest, ReferencesAreHeld) {
  send("POST", "/subjects/money/versions",
       R"({"schema":"{\"type\":\"fixed\",\"name\":\"Money\",\"size\":8}"})");
  const std::string order =
      R"({"schema":"{\"type\":\"record\",\"name\":\"O\",\"fields\":[{\"name\":\"p\",\"type\":\"Money\"}]}","references":[{"name":"Money","subject":"money","version":-1}]})";
  EXPECT_EQ(text(send("POST", "/subjects/order/versions", order)), R"({"id":2})");
  EXPECT_EQ(text(send("GET", "/subjects/order/versions/1", "").at("references")),
            R"([{"name":"Money","subject":"money","version":1}])");
  EXPECT_EQ(text(send("GET", "/subjects/money/versions/1/referencedby", "")), "[2]");
  EXPECT_EQ(refused("DELETE", "/subjects/money", "", 422), 42206);
}

TEST_F(RegistryTest, TextThatIsNoJsonIsPlainText) {
  send("POST", "/subjects/p/versions", R"({"schemaType":"PROTOBUF","schema":"message M {}"})");
  send("POST", "/subjects/j/versions", integer);
  for (const char* path : {"/schemas/ids/1/schema", "/subjects/p/versions/1/schema"}) {
    const Answered plain = client->call("GET", path, "");
    EXPECT_EQ(plain.header("Content-Type"), "text/plain") << path;
    EXPECT_EQ(plain.body, "message M {}\n");
  }
  send("GET", "/subjects/j/versions/1/schema", "");
}

TEST_F(RegistryTest, TheAnswersTypeIsTheOneThatIsTaken) {
  const Answered plain = client->call("GET", "/subjects", "", "Accept: application/json\r\n");
  EXPECT_EQ(plain.header("Content-Type"), "application/json");
  const Answered any =
      client->call("GET", "/subjects", "",
                   "Accept: application/vnd.schemaregistry+json, application/json;q=0.5\r\n");
  EXPECT_EQ(any.header("Content-Type"), "application/vnd.schemaregistry+json");
  EXPECT_EQ(client->call("GET", "/subjects", "", "Accept: text/html\r\n").status, 406u);
}

}  // namespace
}  // namespace runnel::broker::http
