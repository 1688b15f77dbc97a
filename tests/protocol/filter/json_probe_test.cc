#include "protocol/filter/json_probe.h"

#include <gtest/gtest.h>

namespace runnel::protocol {
namespace {

/// What stands at `path`, "none", or "error".
std::string at(std::string_view path, std::string_view text) {
  const std::vector<JsonPath> paths = {*JsonPath::parse(path)};
  const auto found = find_in_json(text, paths);
  if (!found) return "error";
  return found->front() ? found->front()->text : "none";
}

TEST(JsonProbe, PathsLeadThroughMembersAndElements) {
  const std::string_view text =
      R"({"x":{"a":0},"a":{"b":[1,{"c":"deep","d":12.30},[7,8]]},"n":null,"t":true})";
  EXPECT_EQ(at(".a.b[0]", text), "1");
  EXPECT_EQ(at(".a.b[1].c", text), "deep");
  EXPECT_EQ(at(".a.b[1].d", text), "12.30");
  EXPECT_EQ(at(".a.b[2][1]", text), "8");
  EXPECT_EQ(at(".a.b[1]", text), R"({"c":"deep","d":12.30})");
  EXPECT_EQ(at(".a.b", text), R"([1,{"c":"deep","d":12.30},[7,8]])");
  EXPECT_EQ(at(".t", text), "true");
  for (const char* const path : {".n", ".b", ".a.a", ".a[0]", ".a.b[3]", ".a.b.c", ".t.u"}) {
    EXPECT_EQ(at(path, text), "none") << path;
  }
  EXPECT_EQ(at(".", " [ 1 , { } , \"a\\n\" ] "), R"([1,{},"a\n"])");
  EXPECT_EQ(at(".", "null"), "none");
  EXPECT_EQ(at(".[1]", "[1,2]"), "2");
}

TEST(JsonProbe, OfMembersWithOneNameTheLastCounts) {
  EXPECT_EQ(at(".a", R"({"a":1,"a":2})"), "2");
  EXPECT_EQ(at(".a", R"({"a":1,"a":null})"), "none");
  EXPECT_EQ(at(".a.b", R"({"a":{"b":1},"a":{"c":1}})"), "none");
  EXPECT_EQ(at(".a.b", R"({"a":{"b":1},"a":7})"), "none");
  EXPECT_EQ(at(".a.b", R"({"a":7,"a":{"b":1,"b":[2]}})"), "[2]");
  EXPECT_EQ(at(".a", R"({"a":[1],"a":[2,[]]})"), "[2,[]]");
}

TEST(JsonProbe, SeveralPathsAtOnceMayOverlap) {
  const std::vector<JsonPath> paths = {*JsonPath::parse(".a"), *JsonPath::parse(".a[1]"),
                                       *JsonPath::parse("."), *JsonPath::parse(".b")};
  const auto found = find_in_json(R"({"a":["x",{"y":1}]})", paths);
  ASSERT_TRUE(found);
  EXPECT_EQ((*found)[0]->text, R"(["x",{"y":1}])");
  EXPECT_EQ((*found)[1]->text, R"({"y":1})");
  EXPECT_EQ((*found)[2]->text, R"({"a":["x",{"y":1}]})");
  EXPECT_FALSE((*found)[3]);
  EXPECT_FALSE((*found)[0]->is_number);
}

TEST(JsonProbe, WhatIsNoJsonOrFindsTooMuchIsAnError) {
  for (const char* const bad : {"", "{", "{\"a\":}", "[1,]", "1 2", "nul", "\xff", "{a:1}"}) {
    EXPECT_EQ(at(".a", bad), "error") << bad;
  }
  EXPECT_EQ(at(".a", std::string(kMaxJsonDepth, '[') + std::string(kMaxJsonDepth, ']')), "none");
  EXPECT_EQ(at(".a", std::string(kMaxJsonDepth + 1, '[') + std::string(kMaxJsonDepth + 1, ']')),
            "error");
  std::vector<JsonPath> paths;
  for (const char* const path : {".", ".a", ".a.a", ".a.a.a"}) {
    paths.push_back(*JsonPath::parse(path));
  }
  const std::string large(1u << 20, 'x');
  const auto found = find_in_json(R"({"a":{"a":{"a":")" + large + R"("}}})", paths);
  ASSERT_FALSE(found);
  EXPECT_NE(found.error().message().find("overlap"), std::string::npos);
}

TEST(JsonProbe, PointersArePaths) {
  constexpr std::string_view kText = R"({"a":[{"b":1},{"b":2}],"7":"seven","x/y~":3,"":4,"01":5})";
  const auto find = [&](std::string_view pointer) -> std::string {
    const std::vector<JsonPath> paths = {JsonPath::parse(pointer).value()};
    const auto found = find_in_json(kText, paths).value().front();
    return found ? found->text : "nothing";
  };
  EXPECT_EQ(find("/a/1/b"), "2");
  EXPECT_EQ(find("/7"), "seven") << "a number is a member's name, too";
  EXPECT_EQ(find("/x~1y~0"), "3");
  EXPECT_EQ(find("/"), "4");
  EXPECT_EQ(find("/01"), "5");
  EXPECT_EQ(find("/a/01/b"), "nothing");
  EXPECT_EQ(find("/a/b"), "nothing");
  EXPECT_FALSE(JsonPath::parse("/a~2"));
  EXPECT_FALSE(JsonPath::parse("/a~"));
}

}  // namespace
}  // namespace runnel::protocol
