// Reports: what a spreadsheet and a printer get.
#include "broker/http/report_text.h"

#include <gmock/gmock.h>

#include "tests/broker/http/http_world.h"

namespace runnel::broker::http {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class HttpReportTest : public HttpApiTest {
 protected:
  HttpReportTest() {
    sql("CREATE SOURCE gifts (name VARCHAR, amount DECIMAL(20,2), at TIMESTAMPTZ) ON TOPIC "
        "'orders'");
    sql("CREATE MATERIALIZED VIEW daily WITH (time_zone = 'Europe/Paris') AS SELECT name, "
        "window_start, sum(amount) AS total FROM TUMBLE(gifts, at, INTERVAL '1 day') GROUP BY "
        "name, window_start");
  }
  void sql(const std::string& text) {
    post("/api/v1/sql", boost::json::serialize(boost::json::object{{"sql", text}}));
  }
  void give(const std::string& name, const std::string& amount,
            const std::string& at = "2026-03-28T23:15:00Z") {
    post(records + "?as=values&acks=applied", boost::json::serialize(boost::json::object{
                                                  {"name", name}, {"amount", amount}, {"at", at}}));
  }
  std::string report = "/api/v1/views/daily/report";
};

TEST_F(HttpReportTest, CsvIsForSpreadsheets) {
  give("=1+1", "0.10");
  give("-a, \"b\"", "-12.30");
  give("ann", "12345678901234567.89");
  give("later", "1", "2026-04-01T10:00:00Z");
  const Answered csv = client->call("GET", report + "?from=2026-03-01&to=2026-04-01");
  EXPECT_EQ(csv.body,
            "\xef\xbb\xbf"
            "name,window_start (Europe/Paris),total\r\n"
            "\"'-a, \"\"b\"\"\",2026-03-29 00:00:00,-12.30\r\n"
            "'=1+1,2026-03-29 00:00:00,0.10\r\n"
            "ann,2026-03-29 00:00:00,12345678901234567.89\r\n");
  EXPECT_EQ(csv.header("Content-Disposition"), "attachment; filename=\"daily-2026-03-01.csv\"");
}

TEST_F(HttpReportTest, ThePageHasNothingButText) {
  give("<script>alert(1)</script>&\"", "1.00");
  const Answered page =
      client->call("GET", report + "?format=html&title=%3Cb%3E&from=2026-03-01&order=total");
  EXPECT_THAT(page.header("Content-Type"), StartsWith("text/html"));
  EXPECT_EQ(page.header("Content-Security-Policy"),
            "default-src 'none'; style-src 'unsafe-inline'");
  EXPECT_THAT(page.body, Not(HasSubstr("<script>")));
  EXPECT_THAT(page.body, HasSubstr("<h1>&lt;b&gt;</h1>"));
  EXPECT_THAT(page.body, HasSubstr("<td>&lt;script&gt;alert(1)&lt;/script&gt;&amp;&quot;</td>"
                                   "<td>2026-03-29 00:00:00</td><td class=\"n\">1.00</td>"));
  EXPECT_THAT(page.body, HasSubstr("from 2026-03-01"));
}

TEST_F(HttpReportTest, AWorkbookIsAFile) {
  give("ann", "1.00");
  const Answered book = client->call("GET", report + "?format=xlsx");
  EXPECT_THAT(book.body, StartsWith("PK"));
  EXPECT_THAT(book.header("Content-Disposition"), HasSubstr("daily.xlsx"));
  Report large;
  large.zone = storage::views::Zone::find("UTC").value();
  large.answer = std::move(
      views->execute("SELECT '" + std::string(40'000, 'x') + "' AS text").value().front());
  const auto refused = xlsx_of(large, 1u << 20);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kInvalidArgument);
  EXPECT_TRUE(csv_of(large, 1u << 20));
}

TEST_F(HttpReportTest, WhatDoesNotFitIsRefusedWhole) {
  give("ann", "1.00");
  Report small;
  small.zone = storage::views::Zone::find("UTC").value();
  small.answer = std::move(views->execute("SELECT * FROM daily").value().front());
  for (const auto make : {csv_of, html_of, xlsx_of}) {
    EXPECT_TRUE(make(small, 1u << 20));
    const auto refused = make(small, 10);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), ErrorCode::kRecordTooLarge);
  }
  get("/api/v1/views/none/report", 404);
  get(report + "?format=pdf", 400);
  get(report + "?limit=1", 400);
}

}  // namespace
}  // namespace runnel::broker::http
