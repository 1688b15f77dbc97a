#include "storage/views/json/scan.h"

#include <gtest/gtest.h>

#include <random>

namespace runnel::storage::views {
namespace {

using namespace std::string_literals;

/// In memory of exactly that size, so that a sanitizer sees every byte too far.
RowError checked(const std::string& text) {
  const std::vector<char> exact(text.begin(), text.end());
  return check_json({exact.data(), exact.size()});
}

std::string nested(std::size_t depth, const std::string& open, const std::string& close) {
  std::string text;
  for (std::size_t i = 0; i < depth; ++i) text += open;
  text += "1";
  for (std::size_t i = 0; i < depth; ++i) text += close;
  return text;
}

TEST(JsonScanner, TakesWhatIsJson) {
  for (const std::string& good : {"1"s,
                                  "-0"s,
                                  "0.5"s,
                                  "-1.25e+10"s,
                                  "1E5"s,
                                  "2e-3"s,
                                  "true"s,
                                  "false"s,
                                  "null"s,
                                  "\"\""s,
                                  "\"a\""s,
                                  "[]"s,
                                  "[1]"s,
                                  "[1,2]"s,
                                  "{}"s,
                                  "{\"a\":1}"s,
                                  " \t\r\n{ \"a\" : [ 1 , 2 ] } \n"s,
                                  "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\""s,
                                  "\"\\ud83d\\ude00\""s,
                                  "\"\\ud83d\""s,
                                  "\"exactly16bytes!!\""s,
                                  "\"Žluťoučký kůň\""s,
                                  "\"\xf0\x9f\x98\x80\""s,
                                  "{\"a\":1,\"a\":2}"s,
                                  "\"\x7f\""s,
                                  "123456789012345678901234567890.123456789e999999"s,
                                  nested(kMaxJsonDepth, "[", "]"),
                                  nested(kMaxJsonDepth, "{\"a\":", "}")}) {
    EXPECT_EQ(checked(good), RowError::kNone) << good;
  }
}

TEST(JsonScanner, RefusesWhatIsNone) {
  for (const std::string& bad : {""s,
                                 " "s,
                                 "nul"s,
                                 "nulll"s,
                                 "True"s,
                                 "NaN"s,
                                 "Infinity"s,
                                 "-"s,
                                 "+1"s,
                                 "01"s,
                                 "1."s,
                                 ".5"s,
                                 "1e"s,
                                 "1e+"s,
                                 "0x1"s,
                                 "1 2"s,
                                 "--1"s,
                                 "\""s,
                                 "\"a"s,
                                 "'a'"s,
                                 "\"\\x\""s,
                                 "\"\\u12g4\""s,
                                 "\"\\u123\""s,
                                 "\"\\\""s,
                                 "\"a\nb\""s,
                                 "\"tab\there\""s,
                                 "\"\0\""s,
                                 "["s,
                                 "]"s,
                                 "[1"s,
                                 "[1,"s,
                                 "[1,]"s,
                                 "[,1]"s,
                                 "[1 2]"s,
                                 "{"s,
                                 "}"s,
                                 "{\"a\""s,
                                 "{\"a\":"s,
                                 "{\"a\":1"s,
                                 "{\"a\":1,"s,
                                 "{\"a\":1,}"s,
                                 "{a:1}"s,
                                 "{1:1}"s,
                                 "{\"a\" 1}"s,
                                 "{\"a\":1}}"s,
                                 "[1]]"s,
                                 "// x\n1"s,
                                 "1,"s,
                                 "\xef\xbb\xbf{}"s,
                                 "a\""s,
                                 "[\"a\", nan]"s,
                                 "{\"a\":undefined}"s,
                                 "\"sixteen bytes ok\\"s,
                                 "\"0123456789abcdef"s}) {
    EXPECT_EQ(checked(bad), RowError::kNotJson) << bad;
  }
}

TEST(JsonScanner, RefusesWhatIsNoUtf8) {
  for (const std::string& bad :
       {"\"\x80\""s, "\"\xc3\""s, "\"\xc0\xaf\""s, "\"\xe0\x80\xaf\""s, "\"\xed\xa0\x80\""s,
        "\"\xf4\x90\x80\x80\""s, "\"\xf5\x80\x80\x80\""s, "\"\xff\""s, "\"0123456789\xe2\x82\""s,
        "{\"\xff\":1}"s, "[\"ok\",\"\xfe\"]"s}) {
    EXPECT_EQ(checked(bad), RowError::kNotUtf8) << bad;
  }
}

TEST(JsonScanner, RefusesWhatIsTooDeep) {
  EXPECT_EQ(checked(nested(kMaxJsonDepth + 1, "[", "]")), RowError::kTooDeep);
  EXPECT_EQ(checked(nested(kMaxJsonDepth + 1, "{\"a\":", "}")), RowError::kTooDeep);
  EXPECT_EQ(checked(std::string(10'000'000, '[')), RowError::kTooDeep);
}

TEST(JsonScanner, UnescapesTexts) {
  Arena arena;
  const auto text = [&](std::string_view inside) -> std::string {
    std::string_view out;
    const JsonToken token{JsonKind::kString, inside, inside.find('\\') != inside.npos};
    const RowError why = unescape(token, arena, out);
    return why == RowError::kNone ? std::string(out) : std::string(name_of(why));
  };
  EXPECT_EQ(text("plain"), "plain");
  EXPECT_EQ(text(R"(\"\\\/\b\f\n\r\t)"), "\"\\/\b\f\n\r\t");
  EXPECT_EQ(text(R"(\u0041\u00e9\u20AC\ud83d\uDE00.)"), "Aé€😀.");
  EXPECT_EQ(text(R"(a\u0000b)"), "a\0b"s);
  EXPECT_EQ(text(R"(\ud83d)"), "not_utf8");
  EXPECT_EQ(text(R"(\ud83dx\ude00)"), "not_utf8");
  EXPECT_EQ(text(R"(\ud83d\n)"), "not_utf8");
  EXPECT_EQ(text(R"(\ude00)"), "not_utf8");
}

/// Every length of a text and every place in it, around the eight bytes that are read at once.
TEST(JsonScanner, FindsTheEndOfTextsAnywhere) {
  for (std::size_t size = 0; size < 40; ++size) {
    for (std::size_t at = 0; at <= size; ++at) {
      std::string text(size, 'a');
      if (at < size) text[at] = '\xff';
      EXPECT_EQ(checked("\"" + text + "\""), at < size ? RowError::kNotUtf8 : RowError::kNone);
      if (at < size) text[at] = '\x1f';
      EXPECT_EQ(checked("\"" + text + "\""), at < size ? RowError::kNotJson : RowError::kNone);
      if (at < size) text.replace(at, 1, "\\\"");
      EXPECT_EQ(checked("\"" + text + "\""), RowError::kNone);
      EXPECT_EQ(checked("\"" + text), RowError::kNotJson);
    }
  }
}

TEST(JsonScanner, SurvivesAnything) {
  const std::string good =
      R"({"id": 123, "a": {"b": [1, 2.5e3, "x\u00e9y", null]}, "c": "Žluť", "d": [true, false]})";
  ASSERT_EQ(checked(good), RowError::kNone);
  std::mt19937_64 random(23);
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_NE(checked(good.substr(0, size)), RowError::kNone) << size;
  }
  for (int i = 0; i < 100'000; ++i) {
    std::string text = good;
    for (auto changes = random() % 4 + 1; changes != 0 && !text.empty(); --changes) {
      const std::size_t at = random() % text.size();
      if (random() % 3 == 0) {
        text.erase(at, random() % 4);
      } else {
        text[at] = "{}[]\",:\\u0-1e.tfn \x80\xe9\x01"[random() % 21];
      }
    }
    static_cast<void>(checked(text));
  }
}

}  // namespace
}  // namespace runnel::storage::views
