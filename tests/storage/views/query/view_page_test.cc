// Pages of a view's rows: together they are what SELECT gives, whatever their size.
#include "storage/views/query/view_page.h"

#include <set>

#include "tests/storage/views/query/script.h"

namespace runnel::storage::views {
namespace {

class ViewPageTest : public testing::Test {
 protected:
  void SetUp() override {
    session.create_topic("gifts", 2);
    run("CREATE SOURCE gifts (id BIGINT, campaign VARCHAR, amount DECIMAL(12,2), at TIMESTAMPTZ, "
        "WATERMARK FOR at AS at - INTERVAL '1 day') ON TOPIC 'gifts'");
    run("CREATE MATERIALIZED VIEW totals AS SELECT campaign, COUNT(*) AS n, SUM(amount) AS total "
        "FROM gifts GROUP BY campaign");
    run("CREATE MATERIALIZED VIEW hourly WITH (time_zone = 'Europe/Paris') AS SELECT campaign, "
        "window_start, COUNT(*) AS n FROM TUMBLE(gifts, at, INTERVAL '1 hour') "
        "GROUP BY campaign, window_start");
    run("CREATE MATERIALIZED VIEW visits AS SELECT campaign, window_start, window_end, "
        "COUNT(*) AS n FROM SESSION(gifts, at, INTERVAL '30 minutes') "
        "GROUP BY campaign, window_start, window_end");
    run("CREATE MATERIALIZED VIEW sizes AS SELECT n, COUNT(*) AS campaigns FROM totals GROUP BY n");
    for (std::int32_t partition = 0; partition < 2; ++partition) {
      std::vector<SqlSession::Line> lines;
      for (int i = 0; i < 400; ++i) {
        const std::string campaign = i % 40 == 0 ? "null" : "\"c" + std::to_string(i % 37) + "\"";
        lines.push_back({std::nullopt, "{\"id\":" + std::to_string(i) +
                                           ",\"campaign\":" + campaign + ",\"amount\":0.5,\"at\":" +
                                           std::to_string(1'767'225'600'000 + i * 420'000) + "}"});
      }
      session.append("gifts", partition, 1'767'225'600'000, lines);
    }
    session.wait_applied();
  }
  Answer run(const std::string& sql) {
    auto answers = session.execute(sql);
    EXPECT_TRUE(answers) << sql << ": " << answers.error().to_string();
    return answers && !answers->empty() ? std::move(answers->back()) : Answer();
  }
  std::vector<std::string> selected(const std::string& sql) { return texts(run(sql)); }
  static std::vector<std::string> texts(const Answer& answer) {
    std::vector<std::string> out;
    for (std::size_t i = 0; i < answer.rows.size(); ++i) out.push_back(shown_row(answer.rows[i]));
    return out;
  }
  /// All pages of the request, one behind the other.
  std::vector<std::string> paged(PageRequest request, const QueryLimits& limits = {}) {
    std::vector<std::string> out;
    for (std::size_t pages = 0; pages < 10'000; ++pages) {
      const auto page = read_page(request, session.service().snapshot(), limits);
      if (!page) {
        ADD_FAILURE() << page.error().to_string();
        return out;
      }
      EXPECT_LE(page->answer.rows.size(), request.limit);
      for (std::string& text : texts(page->answer)) out.push_back(std::move(text));
      if (page->next.empty()) return out;
      EXPECT_GT(page->answer.rows.size(), 0u);
      request.cursor = page->next;
    }
    ADD_FAILURE() << "the pages have no end";
    return out;
  }
  Error refused(const PageRequest& request) {
    const auto page = read_page(request, session.service().snapshot(), {});
    EXPECT_FALSE(page);
    return page ? Error(ErrorCode::kOk, "") : page.error();
  }
  static PageRequest of(const std::string& view, std::uint64_t limit) {
    PageRequest request;
    request.view = view;
    request.limit = limit;
    return request;
  }

  SqlSession session;
};

TEST_F(ViewPageTest, PagesTogetherAreTheView) {
  for (const std::string view : {"totals", "hourly", "visits", "sizes"}) {
    const auto all = selected("SELECT * FROM " + view);
    ASSERT_FALSE(all.empty());
    for (const std::uint64_t limit : {1u, 2u, 7u, 1000u}) {
      EXPECT_EQ(paged(of(view, limit)), all) << view << " by " << limit;
    }
  }
}

TEST_F(ViewPageTest, OrderedPagesTogetherAreTheOrder) {
  const auto all = selected(
      "SELECT campaign, n, total FROM totals ORDER BY n DESC NULLS LAST, campaign NULLS LAST");
  for (const std::uint64_t limit : {1u, 5u, 1000u}) {
    PageRequest request = of("totals", limit);
    request.order = {{"n", true}, {"campaign", false}};
    EXPECT_EQ(paged(request), all) << limit;
  }
}

TEST_F(ViewPageTest, AKeyWindowsAndAConditionLeaveAPart) {
  PageRequest request = of("hourly", 3);
  request.key = {"c5"};
  EXPECT_EQ(paged(request), selected("SELECT * FROM hourly WHERE campaign = 'c5'"));
  request.from = "2026-01-01T12:00";  // in Paris
  request.to = "2026-01-02";
  const std::string windows =
      " window_start >= TIMESTAMP '2026-01-01T11:00:00Z' AND "
      "window_start < TIMESTAMP '2026-01-01T23:00:00Z'";
  const auto some = selected("SELECT * FROM hourly WHERE campaign = 'c5' AND" + windows);
  ASSERT_FALSE(some.empty());
  EXPECT_EQ(paged(request), some);
  request.key.clear();
  EXPECT_EQ(paged(request), selected("SELECT * FROM hourly WHERE" + windows));
  request.where = "n > 1 OR campaign IS NULL -- a comment";
  EXPECT_EQ(paged(request),
            selected("SELECT * FROM hourly WHERE (n > 1 OR campaign IS NULL) AND" + windows));
  request.columns = {"n", "campaign", "_final"};
  EXPECT_EQ(paged(request), selected("SELECT n, campaign, _final FROM hourly WHERE (n > 1 OR "
                                     "campaign IS NULL) AND" +
                                     windows));
  PageRequest visits = of("visits", 2);
  visits.key = {"c5"};
  visits.from = "2026-01-02T00:00:00Z";
  EXPECT_EQ(paged(visits), selected("SELECT * FROM visits WHERE campaign = 'c5' AND window_start "
                                    ">= TIMESTAMP '2026-01-02T00:00:00Z'"));
}

TEST_F(ViewPageTest, APageEndsWhereItsMemoryDoes) {
  QueryLimits limits;
  limits.max_bytes = 1;
  const auto page = read_page(of("totals", 1000), session.service().snapshot(), limits);
  ASSERT_TRUE(page) << page.error().to_string();
  EXPECT_EQ(page->answer.rows.size(), 1u);
  EXPECT_EQ(paged(of("totals", 1000), limits), selected("SELECT * FROM totals"));
}

TEST_F(ViewPageTest, WhatIsWrongIsSaid) {
  const auto says = [](const Error& error, std::string_view text) {
    EXPECT_NE(error.message().find(text), std::string::npos) << error.message();
  };
  EXPECT_EQ(refused(of("total", 1)).code(), ErrorCode::kNotFound);
  says(refused(of("total", 1)), "did you mean 'totals'?");
  says(refused(of("gifts", 1)), "is no view");
  PageRequest request = of("totals", 1);
  request.key = {"a", "b"};
  says(refused(request), "has 1 columns (campaign), and 2 values");
  request = of("hourly", 1);
  request.key = {"a", "noon"};
  says(refused(request), "column 'window_start' is TIMESTAMPTZ");
  request = of("totals", 1);
  request.from = "2026-01-01";
  says(refused(request), "not grouped by window_start");
  request = of("hourly", 1);
  request.to = "tomorrow";
  says(refused(request), "to: 'tomorrow' is no time");
  for (const char* cursor : {"x", "g0", "gzz", "n5", "n", "g01\n"}) {
    request = of("totals", 1);
    request.cursor = cursor;
    says(refused(request), "the cursor");
  }
  request = of("totals", 1);
  request.columns = {"n", "n"};
  says(refused(request), "twice");
  request.columns = {"m"};
  says(refused(request), "no column 'm'");
  request = of("totals", 1);
  request.where = "n >";
  says(refused(request), "line 1, column");
  request.where = "n > 0) OR (true";
  says(refused(request), "line 1, column 6");
  request.where = "10 / (n - n) > 1";
  says(refused(request), "can't be decided");
}

TEST_F(ViewPageTest, TheVersionIsTheAnswersOwn) {
  const auto version = [&](const std::string& view) {
    const ReadSnapshot now = session.service().snapshot();
    return version_of(*now.definitions->find(view), now).value();
  };
  const Answer answer = run("SELECT * FROM totals");
  ASSERT_TRUE(version("totals"));
  EXPECT_EQ(version("totals")->sequence, answer.sequence);
  EXPECT_EQ(version("totals")->id.generation, answer.generation);
  EXPECT_FALSE(version("sizes"));
  EXPECT_FALSE(version("gifts"));
  const auto before = version("totals");
  session.append("gifts", 0, 1'767'225'600'000, {{std::nullopt, R"({"campaign":"c1"})"}});
  session.wait_applied();
  EXPECT_GT(version("totals")->sequence, before->sequence);
}

}  // namespace
}  // namespace runnel::storage::views
