#include "tools/text/sql_text.h"

#include <gtest/gtest.h>

namespace runnel::tools {
namespace {

std::vector<std::string> texts_of(const std::vector<SqlPiece>& pieces) {
  std::vector<std::string> out;
  for (const SqlPiece& piece : pieces) out.push_back(piece.text);
  return out;
}
using Texts = std::vector<std::string>;

TEST(SqlSplitter, StatementsEndWithASemicolonOutsideOfQuotesAndComments) {
  SqlSplitter splitter;
  EXPECT_EQ(
      texts_of(splitter.add("SELECT ';' , 'it''s;' , \"a;b\" -- no; not here\n FROM t;"
                            " /* ; /* ; */ ; */ SELECT 2 /* ; */ ;;  SELECT 3")),
      (Texts{"SELECT ';' , 'it''s;' , \"a;b\" -- no; not here\n FROM t", "SELECT 2 /* ; */"}));
  EXPECT_TRUE(splitter.in_statement());
  EXPECT_EQ(splitter.rest().text, "SELECT 3");
  EXPECT_EQ(texts_of(splitter.add("\n;")), Texts{"SELECT 3"});
  EXPECT_FALSE(splitter.in_statement());
  EXPECT_EQ(splitter.rest().text, "");
}

TEST(SqlSplitter, LinesComeOneByOne) {
  SqlSplitter splitter;
  EXPECT_TRUE(splitter.add("SELECT 'a\n").empty());
  EXPECT_TRUE(splitter.in_statement());
  EXPECT_TRUE(splitter.add("b;'\n").empty());
  EXPECT_EQ(texts_of(splitter.add("; \n")), Texts{"SELECT 'a\nb;'"});
}

TEST(SqlSplitter, NothingButCommentsIsNoStatement) {
  SqlSplitter splitter;
  EXPECT_TRUE(splitter.add("-- one\n/* two */ ; -- three\n").empty());
  EXPECT_FALSE(splitter.in_statement());
  EXPECT_TRUE(splitter.add("/* open").empty());
  EXPECT_TRUE(splitter.in_statement());
}

TEST(SqlSplitter, PlacesAreThoseOfTheText) {
  SqlSplitter splitter;
  const auto pieces = splitter.add("-- ünï\n\n  SELECT 1; /* é */ SELECT 2;");
  ASSERT_EQ(pieces.size(), 2u);
  EXPECT_EQ(pieces[0].line, 3u);
  EXPECT_EQ(pieces[0].column, 3u);
  EXPECT_EQ(pieces[1].line, 3u);
  EXPECT_EQ(pieces[1].column, 21u);
}

TEST(WithCaret, PointsAtThePlace) {
  EXPECT_EQ(with_caret("line 1, column 8: there is no column 'x'", {"SELECT x", 1, 1}),
            "line 1, column 8: there is no column 'x'\n  SELECT x\n         ^");
  EXPECT_EQ(with_caret("line 2, column 3: what", {"SELECT\n\té x", 10, 5}),
            "line 11, column 3: what\n  \\té x\n     ^");
  EXPECT_EQ(with_caret("line 1, column 2: what", {"日x", 4, 7}),
            "line 4, column 8: what\n  日x\n    ^");
}

TEST(WithCaret, WithoutAPlaceItIsTheMessage) {
  for (const char* message :
       {"no broker", "line 9, column 1: beyond", "line x", "line 1, column 0: "}) {
    EXPECT_EQ(with_caret(message, {"SELECT 1", 1, 1}), message);
  }
}

TEST(Quoted, QuotesAreDoubled) {
  EXPECT_EQ(quoted_name("a\"b"), "\"a\"\"b\"");
  EXPECT_EQ(quoted_text("it's"), "'it''s'");
  EXPECT_EQ(first_word("  select 1"), "SELECT");
  EXPECT_EQ(first_word(""), "");
}

}  // namespace
}  // namespace runnel::tools
