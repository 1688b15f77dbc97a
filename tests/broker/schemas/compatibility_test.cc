// Which schema can read what which other one wrote, by tables.
#include <gmock/gmock.h>

#include "broker/schemas/avro.h"
#include "broker/schemas/compatibility.h"

namespace runnel::broker::schemas {
namespace {

using ::testing::HasSubstr;

/// Empty: `reader` reads what `writer` writes.
struct Row {
  const char* name;
  std::string writer;
  std::string reader;
  std::string kind;  ///< of the first difference; empty: there is none
};

std::vector<Difference> compare(SchemaType type, const Row& row) {
  Differences out;
  if (type == SchemaType::kJson) {
    const auto writer = JsonSchema::parse({{"", row.writer}});
    const auto reader = JsonSchema::parse({{"", row.reader}});
    EXPECT_TRUE(writer && reader) << row.name;
    if (writer && reader) compare_json(**writer, **reader, out);
  } else {
    const auto writer = AvroSchema::parse({row.writer});
    const auto reader = AvroSchema::parse({row.reader});
    EXPECT_TRUE(writer && reader) << row.name;
    if (writer && reader) compare_avro(*writer, *reader, out);
  }
  return out.all();
}

void check(SchemaType type, const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    const auto found = compare(type, row);
    if (row.kind.empty()) {
      EXPECT_TRUE(found.empty()) << row.name << ": " << found.front().kind << " "
                                 << found.front().path;
    } else if (found.empty()) {
      ADD_FAILURE() << row.name << ": nothing was found, wanted " << row.kind;
    } else {
      EXPECT_EQ(found.front().kind, row.kind) << row.name << " " << found.front().path;
    }
  }
}

std::string object(const std::string& properties, const std::string& more = "") {
  return R"({"type":"object","properties":{)" + properties + "}" + more + "}";
}
const std::string kClosed = R"(,"additionalProperties":false)";

TEST(JsonCompatibility, Types) {
  check(SchemaType::kJson,
        {{"the same", R"({"type":"string"})", R"({"type":"string"})", ""},
         {"another", R"({"type":"string"})", R"({"type":"integer"})", "TYPE_CHANGED"},
         {"wider", R"({"type":"integer"})", R"({"type":"number"})", ""},
         {"narrower", R"({"type":"number"})", R"({"type":"integer"})", "TYPE_NARROWED"},
         {"one more", R"({"type":"string"})", R"({"type":["string","null"]})", ""},
         {"one less", R"({"type":["string","null"]})", R"({"type":"string"})", "TYPE_NARROWED"},
         {"none asked", R"({"type":"string"})", "{}", ""},
         {"all accepted", R"({"type":"string"})", "true", ""},
         {"none accepted", R"({"type":"string"})", "false", "TYPE_NARROWED"},
         {"none written", "false", R"({"type":"string"})", ""},
         {"anything written", "{}", R"({"type":"string"})", "TYPE_NARROWED"},
         {"anything at all", "true", R"({"type":"string"})", "TYPE_NARROWED"},
         {"words", R"({"title":"a","description":"b"})", R"({"title":"c"})", ""}});
}

TEST(JsonCompatibility, NumbersAndTexts) {
  check(
      SchemaType::kJson,
      {{"a bound", R"({"type":"number"})", R"({"type":"number","maximum":9})", "MAXIMUM_ADDED"},
       {"a wider one", R"({"type":"number","maximum":9})", R"({"type":"number","maximum":10})", ""},
       {"a narrower one", R"({"type":"number","minimum":1})", R"({"type":"number","minimum":2})",
        "MINIMUM_INCREASED"},
       {"from exclusive", R"({"type":"number","exclusiveMaximum":9})",
        R"({"type":"number","maximum":9})", ""},
       {"to exclusive", R"({"type":"number","maximum":9})",
        R"({"type":"number","exclusiveMaximum":9})", "MAXIMUM_DECREASED"},
       {"draft 4", R"({"type":"number","maximum":9})",
        R"({"type":"number","maximum":9,"exclusiveMaximum":true})", "MAXIMUM_DECREASED"},
       {"of texts", R"({"type":"string"})", R"({"type":"string","maximum":9})", ""},
       {"multiples", R"({"type":"integer","multipleOf":10})",
        R"({"type":"integer","multipleOf":5})", ""},
       {"other multiples", R"({"type":"integer","multipleOf":5})",
        R"({"type":"integer","multipleOf":10})", "MULTIPLE_OF_CHANGED"},
       {"longer", R"({"type":"string","maxLength":3})", R"({"type":"string","maxLength":4})", ""},
       {"shorter", R"({"type":"string","maxLength":3})", R"({"type":"string","maxLength":2})",
        "MAX_LENGTH_DECREASED"},
       {"a length", R"({"type":"string"})", R"({"type":"string","minLength":1})",
        "MIN_LENGTH_ADDED"},
       {"no length", R"({"type":"string"})", R"({"type":"string","minLength":0})", ""},
       {"pattern", R"({"type":"string"})", R"({"type":"string","pattern":"^a"})", "PATTERN_ADDED"},
       {"the same pattern", R"({"type":"string","pattern":"^a"})",
        R"({"type":"string","pattern":"^a"})", ""},
       {"another pattern", R"({"type":"string","pattern":"^a"})",
        R"({"type":"string","pattern":"^b"})", "PATTERN_CHANGED"},
       {"more values", R"({"enum":["a"]})", R"({"enum":["b","a"]})", ""},
       {"less values", R"({"enum":["a","b"]})", R"({"enum":["a"]})", "ENUM_ARRAY_NARROWED"},
       {"values", R"({"type":"string"})", R"({"enum":["a"]})", "ENUM_ARRAY_NARROWED"},
       {"no values", R"({"enum":["a",1]})", R"({"type":["string","integer"]})", ""},
       {"values of a kind", R"({"enum":["a",1]})", R"({"type":"string"})", "ENUM_ARRAY_NARROWED"},
       {"one value", R"({"const":"a"})", R"({"enum":["a","b"]})", ""}});
}

TEST(JsonCompatibility, Objects) {
  const std::string a = R"("a":{"type":"string"})";
  const std::string b = R"("b":{"type":"string"})";
  check(
      SchemaType::kJson,
      {{"added to an open one", object(a), object(a + "," + b),
        "PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL"},
       {"anything added", object(a), object(a + R"(,"b":{})"), ""},
       {"added to a closed one", object(a, kClosed), object(a + "," + b, kClosed), ""},
       {"removed from an open one", object(a + "," + b), object(a), ""},
       {"removed from a closed one", object(a + "," + b, kClosed), object(a, kClosed),
        "PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL"},
       {"refused and gone", object(a + R"(,"b":false)", kClosed), object(a, kClosed), ""},
       {"covered", object(a, R"(,"additionalProperties":{"type":"string"})"),
        object(a + "," + b, R"(,"additionalProperties":{"type":"string"})"), ""},
       {"not covered", object(a, R"(,"additionalProperties":{"type":"integer"})"),
        object(a + "," + b, R"(,"additionalProperties":{"type":"integer"})"),
        "PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL"},
       {"changed", object(a), object(R"("a":{"type":"integer"})"), "TYPE_CHANGED"},
       {"closed", object(a), object(a, kClosed), "ADDITIONAL_PROPERTIES_REMOVED"},
       {"opened", object(a, kClosed), object(a), ""},
       {"required", object(a), object(a, R"(,"required":["a"])"), "REQUIRED_ATTRIBUTE_ADDED"},
       {"required with a default", object(a),
        object(R"("a":{"type":"string","default":"x"})", R"(,"required":["a"])"), ""},
       {"no more required", object(a, R"(,"required":["a"])"), object(a), ""},
       {"new and required", object(a, kClosed),
        object(a + "," + b, kClosed + R"(,"required":["b"])"),
        "REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL"},
       {"by pattern", object("", R"(,"patternProperties":{"^x":{"type":"string"}})" + kClosed),
        object(R"("xa":{"type":"string"})",
               R"(,"patternProperties":{"^x":{"type":"string"}})" + kClosed),
        ""},
       {"pattern changed", object("", R"(,"patternProperties":{"^x":{"type":"string"}})"),
        object("", R"(,"patternProperties":{"^x":{"type":"integer"}})"), "TYPE_CHANGED"},
       {"fewer members", object(a), object(a, R"(,"maxProperties":3)"), "MAX_PROPERTIES_ADDED"},
       {"depending", object(a), object(a, R"(,"dependentRequired":{"a":["b"]})"),
        "DEPENDENCY_ADDED"},
       {"depending on what is there", object(a, R"(,"required":["b"])"),
        object(a, R"(,"dependentRequired":{"a":["b"]})"), ""},
       {"names", object(a), object(a, R"(,"propertyNames":{"maxLength":3})"), "MAX_LENGTH_ADDED"}});
}

TEST(JsonCompatibility, Arrays) {
  check(SchemaType::kJson,
        {{"elements", R"({"type":"array","items":{"type":"integer"}})",
          R"({"type":"array","items":{"type":"number"}})", ""},
         {"other elements", R"({"type":"array","items":{"type":"number"}})",
          R"({"type":"array","items":{"type":"integer"}})", "TYPE_NARROWED"},
         {"places", R"({"type":"array","items":[{"type":"integer"}],"additionalItems":false})",
          R"({"type":"array","items":[{"type":"integer"},{"type":"string"}]})", ""},
         {"a place less", R"({"type":"array","prefixItems":[{"type":"integer"},true]})",
          R"({"type":"array","prefixItems":[{"type":"integer"}],"items":false})", "TYPE_NARROWED"},
         {"as many as there are", R"({"type":"array","items":[true],"maxItems":1})",
          R"({"type":"array","items":[true],"additionalItems":false})", ""},
         {"unique", R"({"type":"array"})", R"({"type":"array","uniqueItems":true})",
          "UNIQUE_ITEMS_ADDED"},
         {"fewer", R"({"type":"array","maxItems":3})", R"({"type":"array","maxItems":2})",
          "MAX_ITEMS_DECREASED"},
         {"containing", R"({"type":"array"})", R"({"type":"array","contains":{"type":"null"}})",
          "CONTAINS_CHANGED"}});
}

TEST(JsonCompatibility, Combinations) {
  const std::string one = R"({"oneOf":[{"type":"string"},{"type":"integer"}]})";
  check(
      SchemaType::kJson,
      {{"into a union", R"({"type":"string"})", one, ""},
       {"not into a union", R"({"type":"null"})", one, "SUM_TYPE_NARROWED"},
       {"out of a union", one, R"({"type":"string"})", "TYPE_CHANGED"},
       {"one branch more", one,
        R"({"oneOf":[{"type":"integer"},{"type":"null"},{"type":"string"}]})", ""},
       {"one branch less", R"({"oneOf":[{"type":"integer"},{"type":"null"},{"type":"string"}]})",
        one, "SUM_TYPE_NARROWED"},
       {"several types", R"({"type":["string","integer"]})", one, ""},
       {"any of", one, R"({"anyOf":[{"type":"string"},{"type":"integer"}]})", ""},
       {"all of", R"({"allOf":[{"type":"string"},{"maxLength":3}]})",
        R"({"maxLength":4,"type":"string"})",
        "MAX_LENGTH_ADDED"},  // a no that could be a yes: it takes two of the writer's together
       {"one of all", R"({"allOf":[{"type":"string"},{"maxLength":3}]})", R"({"type":"string"})",
        ""},
       {"one more of all", R"({"allOf":[{"type":"string"}]})",
        R"({"allOf":[{"type":"string"},{"type":"string","maxLength":3}]})", "MAX_LENGTH_ADDED"},
       {"not", R"({"type":"string"})", R"({"type":"string","not":{"const":"a"}})",
        "NOT_TYPE_EXTENDED"},
       {"refusing less", R"({"not":{"enum":["a","b"]}})", R"({"not":{"enum":["a"]}})", ""},
       {"conditions", R"({"type":"string"})",
        R"({"type":"string","if":{"maxLength":2},"then":{"pattern":"a"}})",
        "COMBINED_TYPE_CHANGED"},
       {"references", R"({"$ref":"#/definitions/d","definitions":{"d":{"type":"integer"}}})",
        R"({"type":"number"})", ""},
       {"lists",
        R"({"type":"object","properties":{"next":{"$ref":"#"}},"additionalProperties":false})",
        R"({"type":"object","properties":{"next":{"$ref":"#"},"x":{"type":"null"}},"additionalProperties":false})",
        ""},
       {"other lists", R"({"properties":{"next":{"$ref":"#"},"x":{"type":"string"}}})",
        R"({"properties":{"next":{"$ref":"#"},"x":{"type":"null"}}})", "TYPE_CHANGED"},
       {"anchors", R"({"$ref":"#a","$defs":{"x":{"$anchor":"a","type":"integer"}}})",
        R"({"type":"integer"})", ""},
       {"circles", R"({"$ref":"#"})", R"({"type":"string"})", "TYPE_NARROWED"}});
}

TEST(JsonCompatibility, HostileSchemasEndInTime) {
  std::string text = R"({"$defs":{"d0":{"type":"string"})";
  for (int i = 1; i < 60; ++i) {
    const std::string before = R"({"$ref":"#/$defs/d)" + std::to_string(i - 1) + R"("})";
    text += ",\"d" + std::to_string(i) + R"(":{"anyOf":[)" + before + "," + before + "," + before +
            "]}";
  }
  text += R"(},"$ref":"#/$defs/d59","$schema":"https://json-schema.org/draft/2020-12/schema"})";
  const auto schema = JsonSchema::parse({{"", text}});
  ASSERT_TRUE(schema) << schema.error().message();
  const auto other = JsonSchema::parse({{"", R"({"type":"integer"})"}});
  Differences out;
  compare_json(**schema, **other, out);
  EXPECT_FALSE(out.empty());
  EXPECT_TRUE((*schema)->why_invalid(boost::json::value(1)));
}

TEST(JsonSchemas, WhatTakesTooLongToCheckDoesNotFit) {
  const auto schema = JsonSchema::parse({{"", R"({"not":{"contains":{"const":"x"}}})"}});
  ASSERT_TRUE(schema) << schema.error().message();
  boost::json::array many(100'001, boost::json::value(1));
  many.emplace_back("x");
  const auto why = (*schema)->why_invalid(many);
  ASSERT_TRUE(why) << "an x behind them all is not allowed";
  EXPECT_NE(why->find("steps"), std::string::npos) << *why;
  EXPECT_FALSE((*schema)->why_invalid(boost::json::array(100, boost::json::value(1))));
}

TEST(JsonSchemas, WhatIsNone) {
  const std::vector<std::pair<const char*, const char*>> rows = {
      {"[]", "has to be an object"},
      {"{", "no JSON"},
      {R"({"type":"text"})", "#/type has to be one of"},
      {R"({"type":[1]})", "#/type has to be one of"},
      {R"({"properties":[]})", "#/properties has to be an object"},
      {R"({"properties":{"a":1}})", "#/properties/a has to be an object"},
      {R"({"required":"a"})", "list of names"},
      {R"({"dependentRequired":{"a":[1]}})", "list of names"},
      {R"({"maxLength":-1})", "number from 0"},
      {R"({"maximum":"1"})", "has to be a number"},
      {R"({"anyOf":{}})", "has to be a list"},
      {R"({"enum":1})", "has to be a list"},
      {R"({"$ref":1})", "has to be a text"},
      {R"({"$ref":"#/definitions/a"})", "leads nowhere"},
      {R"({"$ref":"other.json"})", "leads nowhere"},
      {R"({"$ref":"#/x/0","x":[{"type":"none"}]})", "has to be one of"},
      {R"({"pattern":1})", "has to be a text"},
  };
  for (const auto& [text, why] : rows) {
    const auto schema = JsonSchema::parse({{"", text}});
    ASSERT_FALSE(schema) << text;
    EXPECT_THAT(schema.error().message(), HasSubstr(why)) << text;
  }
}

TEST(JsonSchemas, Values) {
  struct Case {
    const char* schema;
    std::vector<const char*> valid;
    std::vector<const char*> invalid;
  };
  const std::vector<Case> rows = {
      {R"({"type":"integer"})", {"1", "1.0", "-3"}, {"1.5", "\"1\"", "null"}},
      {R"({"type":["string","null"]})", {"\"a\"", "null"}, {"1", "[]"}},
      {R"({"minimum":1,"exclusiveMaximum":3})", {"1", "2.9", "\"x\""}, {"0.9", "3"}},
      {R"({"multipleOf":0.1})", {"0.3", "7"}, {"0.35"}},
      {R"({"minLength":2,"maxLength":3})", {"\"äö\"", "\"abc\""}, {"\"a\"", "\"abcd\""}},
      {R"({"pattern":"^a.c$"})", {"\"abc\""}, {"\"abd\""}},
      {R"x({"pattern":"^(?!a)"})x", {"1"}, {"\"b\""}},
      {R"({"enum":[1,{"a":[1.0]}]})", {"1.0", R"({"a":[1]})"}, {"2", R"({"a":[2]})"}},
      {R"({"const":null})", {"null"}, {"0"}},
      {R"({"required":["a"],"properties":{"a":{"type":"string"}}})",
       {R"({"a":"x","b":1})", "1"},
       {"{}", R"({"a":1})"}},
      {R"({"properties":{"a":true},"patternProperties":{"^x":{"type":"null"}},"additionalProperties":false})",
       {R"({"a":1,"xy":null})"},
       {R"({"b":1})", R"({"xy":1})"}},
      {R"({"items":{"type":"integer"},"uniqueItems":true,"minItems":1})",
       {"[1,2]"},
       {"[]", "[1,1.0]", "[\"a\"]"}},
      {R"({"prefixItems":[{"type":"integer"}],"items":false})", {"[1]", "[]"}, {"[1,2]", "[null]"}},
      {R"({"items":[{"type":"integer"}],"additionalItems":{"type":"null"}})",
       {"[1,null]"},
       {"[1,2]"}},
      {R"({"contains":{"type":"null"},"maxContains":1})", {"[1,null]"}, {"[]", "[null,null]"}},
      {R"({"anyOf":[{"type":"null"},{"minimum":3}]})", {"null", "3", "\"a\""}, {"2"}},
      {R"({"oneOf":[{"type":"integer"},{"minimum":3}]})", {"1", "3.5"}, {"4", "2.5"}},
      {R"({"not":{"type":"string"}})", {"1"}, {"\"a\""}},
      {R"({"if":{"type":"string"},"then":{"minLength":2},"else":{"type":"null"}})",
       {"\"ab\"", "null"},
       {"\"a\"", "1"}},
      {R"({"dependencies":{"a":["b"],"c":{"required":["d"]}}})",
       {R"({"a":1,"b":1})", R"({"c":1,"d":1})"},
       {R"({"a":1})", R"({"c":1})"}},
      {R"({"propertyNames":{"maxLength":1}})", {R"({"a":1})"}, {R"({"ab":1})"}},
      {R"({"$ref":"#/definitions/d","type":"null","definitions":{"d":{"type":"integer"}}})",
       {"1"},
       {"null"}},
      {R"({"type":"object","properties":{"next":{"$ref":"#"}}})",
       {R"({"next":{"next":{}}})"},
       {R"({"next":{"next":1}})"}},
      {R"({"$ref":"#"})", {}, {"1"}},
      {"true", {"1"}, {}},
      {"false", {}, {"1"}},
  };
  for (const Case& row : rows) {
    const auto schema = JsonSchema::parse({{"", row.schema}});
    ASSERT_TRUE(schema) << row.schema << schema.error().message();
    for (const char* text : row.valid) {
      const auto why = (*schema)->why_invalid(boost::json::parse(text));
      EXPECT_FALSE(why) << row.schema << " " << text << " " << *why;
    }
    for (const char* text : row.invalid) {
      EXPECT_TRUE((*schema)->why_invalid(boost::json::parse(text))) << row.schema << " " << text;
    }
  }
}

// ---------------------------------------------------------------- Avro
std::string record(const std::string& fields, const std::string& name = "R") {
  return R"({"type":"record","name":")" + name + R"(","fields":[)" + fields + "]}";
}

TEST(AvroCompatibility, Resolution) {
  const std::string a = R"({"name":"a","type":"int"})";
  const std::string list =
      R"({"type":"record","name":"L","fields":[{"name":"next","type":["null","L"]},{"name":"v","type":")";
  check(
      SchemaType::kAvro,
      {{"the same", "\"int\"", "\"int\"", ""},
       {"promoted", "\"int\"", "\"double\"", ""},
       {"not back", "\"long\"", "\"int\"", "TYPE_MISMATCH"},
       {"bytes and texts", "\"bytes\"", "\"string\"", ""},
       {"a field more", record(a), record(a + R"(,{"name":"b","type":"string"})"),
        "READER_FIELD_MISSING_DEFAULT_VALUE"},
       {"with a default", record(a), record(a + R"(,{"name":"b","type":"string","default":""})"),
        ""},
       {"a field less", record(a + R"(,{"name":"b","type":"string"})"), record(a), ""},
       {"by alias", record(a), record(R"({"name":"b","type":"long","aliases":["a"]})"), ""},
       {"another type", record(a), record(R"({"name":"a","type":"string"})"), "TYPE_MISMATCH"},
       {"another name", record(a), record(a, "S"), "NAME_MISMATCH"},
       {"another namespace", record(a, "x.R"), record(a, "y.R"), ""},
       {"into a union", "\"int\"", R"(["null","int"])", ""},
       {"not into a union", "\"string\"", R"(["null","int"])", "MISSING_UNION_BRANCH"},
       {"out of a union", R"(["null","int"])", "\"int\"", "TYPE_MISMATCH"},
       {"symbols", R"({"type":"enum","name":"E","symbols":["A"]})",
        R"({"type":"enum","name":"E","symbols":["B","A"]})", ""},
       {"a symbol less", R"({"type":"enum","name":"E","symbols":["A","B"]})",
        R"({"type":"enum","name":"E","symbols":["A"]})", "MISSING_ENUM_SYMBOLS"},
       {"a symbol less, a default", R"({"type":"enum","name":"E","symbols":["A","B"]})",
        R"({"type":"enum","name":"E","symbols":["A"],"default":"A"})", ""},
       {"fixed", R"({"type":"fixed","name":"F","size":4})",
        R"({"type":"fixed","name":"F","size":5})", "FIXED_SIZE_MISMATCH"},
       {"elements", R"({"type":"array","items":"int"})", R"({"type":"array","items":"long"})", ""},
       {"values", R"({"type":"map","values":"long"})", R"({"type":"map","values":"int"})",
        "TYPE_MISMATCH"},
       {"lists", list + R"(int"}]})", list + R"(long"}]})", ""},
       {"other lists", list + R"(long"}]})", list + R"(int"}]})", "TYPE_MISMATCH"}});
}

TEST(AvroSchemas, WhatIsNone) {
  const std::vector<std::pair<const char*, const char*>> rows = {
      {"1", "has to be a name"},
      {"{}", "no \"type\""},
      {R"("text")", "not defined before"},
      {R"({"type":"record","fields":[]})", "needs a \"name\""},
      {R"({"type":"record","name":"1"})", "needs a \"name\""},
      {R"({"type":"record","name":"R"})", "no list of \"fields\""},
      {R"({"type":"record","name":"R","fields":[1]})", "/fields/0 has to be an object"},
      {R"({"type":"record","name":"R","fields":[{"name":"a"}]})", "/fields/0 has no \"type\""},
      {R"({"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"a","type":"int"}]})",
       "second field"},
      {R"(["int","int"])", "in the union already"},
      {R"(["int",["null"]])", "union within a union"},
      {R"({"type":"enum","name":"E","symbols":["A","A"]})", "symbol twice"},
      {R"({"type":"enum","name":"E","symbols":["A"],"default":"B"})", "none of its symbols"},
      {R"({"type":"fixed","name":"F","size":-1})", "needs a \"size\""},
      {R"({"type":"array"})", "no \"items\""},
      {R"([{"type":"fixed","name":"F","size":1},{"type":"fixed","name":"F","size":1}])",
       "second time"},
  };
  for (const auto& [text, why] : rows) {
    const auto schema = AvroSchema::parse({text});
    ASSERT_FALSE(schema) << text;
    EXPECT_THAT(schema.error().message(), HasSubstr(why)) << text;
  }
}

TEST(Compatibility, LevelsAskOneWayOrTheOther) {
  const ResolvedSchema narrow{SchemaType::kJson, R"({"type":"integer"})", {}};
  const ResolvedSchema wide{SchemaType::kJson, R"({"type":"number"})", {}};
  const std::vector<Earlier> was_narrow{{Version(1), narrow}};
  const std::vector<Earlier> was_wide{{Version(1), wide}};
  const auto good = [](Compatibility level, const ResolvedSchema& next, const auto& earlier) {
    return incompatibilities(level, next, earlier).empty();
  };
  EXPECT_TRUE(good(Compatibility::kBackward, wide, was_narrow));
  EXPECT_FALSE(good(Compatibility::kBackward, narrow, was_wide));
  EXPECT_FALSE(good(Compatibility::kForward, wide, was_narrow));
  EXPECT_TRUE(good(Compatibility::kForwardTransitive, narrow, was_wide));
  EXPECT_FALSE(good(Compatibility::kFull, wide, was_narrow));
  EXPECT_FALSE(good(Compatibility::kFullTransitive, narrow, was_wide));
  EXPECT_TRUE(good(Compatibility::kNone, narrow, was_wide));
  const ResolvedSchema avro{SchemaType::kAvro, "\"int\"", {}};
  EXPECT_FALSE(good(Compatibility::kBackward, avro, was_wide));
}

}  // namespace
}  // namespace runnel::broker::schemas
