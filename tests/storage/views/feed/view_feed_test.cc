// What a feed tells is what a pull gives at the same sequence, however it is cut into pieces.
#include "storage/views/feed/view_feed.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "tests/storage/views/service/service_fixture.h"
#include "tests/support/seeds.h"

namespace runnel::storage::views {
namespace {

/// The view's rows, as a reader has them.
Rows pulled(const std::string& view, const ReadSnapshot& snapshot);

/// A subscriber: applies what it is told, and compares when it is told that it has everything.
class Mirror {
 public:
  explicit Mirror(FeedOptions options)
      : options_(std::move(options)), feed_(std::make_unique<ViewFeed>(options_)) {}

  /// One piece of about `most` rows.
  Result<FeedPiece> take(ViewService& service, std::size_t most) {
    const ReadSnapshot snapshot = service.snapshot();
    struct Told {
      FeedChange change;
      std::string key, row;
    };
    std::vector<Told> told;
    auto piece = feed_->next(snapshot, [&](const FeedRow& row) {
      std::string text;
      for (const Value& value : row.values) {
        text += (text.empty() ? "" : " | ") + to_string(value);
      }
      told.push_back({row.change, std::string(row.key), text});
      return told.size() < most;
    });
    if (!piece) return piece;
    last = *piece;
    if (piece->kind == FeedKind::kReset) {
      ++resets;
      groups.clear();
    }
    for (Told& one : told) {
      if (one.change != FeedChange::kAdd) groups.erase(one.key);
      if (one.change == FeedChange::kDelete) ++deletes;
      if (one.change != FeedChange::kDelete) groups[one.key].insert(std::move(one.row));
    }
    rows_told += told.size();
    whole_ = piece->kind == FeedKind::kDelta || !piece->more;
    if (!piece->more && options_.filter.empty()) {
      EXPECT_EQ(rows(), pulled(options_.view, snapshot));
    }
    return piece;
  }
  /// Until there is nothing more to tell.
  void catch_up(ViewService& service, std::size_t most = 1000) {
    for (;;) {
      const auto piece = take(service, most);
      ASSERT_TRUE(piece) << piece.error().to_string();
      if (!piece->more) return;
    }
  }
  /// Another process goes on with what this one knows.
  void start_again() {
    if (whole_) {
      options_.after = FeedOptions::After{last.generation, last.sequence};
    } else {
      options_.after.reset();
      groups.clear();
    }
    feed_ = std::make_unique<ViewFeed>(options_);
  }
  [[nodiscard]] Rows rows() const {
    Rows all;
    for (const auto& [key, some] : groups) all.insert(some.begin(), some.end());
    return all;
  }

  std::map<std::string, Rows> groups;
  FeedPiece last;
  int resets = 0;
  int deletes = 0;
  std::size_t rows_told = 0;

 private:
  FeedOptions options_;
  std::unique_ptr<ViewFeed> feed_;
  bool whole_ = false;
};

class FeedTest : public ServiceFixture {
 public:
  using ServiceFixture::rows;

 protected:
  static FeedOptions of(const std::string& view, const std::string& filter = "") {
    FeedOptions options;
    options.view = view;
    options.filter = filter;
    return options;
  }
  void play(std::uint64_t seed);
};

Rows pulled(const std::string& view, const ReadSnapshot& snapshot) {
  return FeedTest::rows(view, snapshot);
}

void FeedTest::play(std::uint64_t seed) {
  std::mt19937_64 numbers(seed);
  const auto below = [&](unsigned n) { return static_cast<int>(numbers() % n); };
  create_totals();
  // Rows come and go: the sum passes the bound both ways.
  run("CREATE MATERIALIZED VIEW rich AS SELECT campaign, SUM(amount) AS total FROM donations "
      "GROUP BY campaign HAVING SUM(amount) > 5");
  Mirror totals(of("totals")), rich(of("rich"));
  for (int round = 0; round < 300; ++round) {
    std::vector<std::string> values;
    for (int i = below(8); i >= 0; --i) {
      const int cents = below(4) == 0 ? -below(1000) : below(1000);
      const std::string amount = std::to_string(cents / 100) + ".0";
      values.push_back("{\"campaign\":\"c" + std::to_string(below(40)) + "\",\"amount\":" + amount +
                       "}");
    }
    give(std::move(values), below(2));
    if (below(3) == 0) catch_up();
    for (Mirror* mirror : {&totals, &rich}) {
      for (int i = below(4); i > 0; --i) {
        ASSERT_TRUE(mirror->take(*service, static_cast<std::size_t>(1 + below(6))));
      }
      if (below(20) == 0) mirror->start_again();
    }
    if (round == 150) {
      run("CREATE OR REPLACE MATERIALIZED VIEW totals AS SELECT campaign, MAX(amount) AS total "
          "FROM donations GROUP BY campaign");
    }
    if (below(60) == 0) restart();
  }
  catch_up();
  totals.catch_up(*service, 3);
  rich.catch_up(*service, 3);
  EXPECT_EQ(totals.rows(), rows("totals"));
  EXPECT_EQ(rich.rows(), rows("rich"));
  EXPECT_GT(rich.deletes, 0);
  EXPECT_GE(totals.resets, 1);
  EXPECT_EQ(rich.resets, 0);
}

TEST_F(FeedTest, WhatWasToldIsWhatAPullGivesHoweverItIsCut) {
  for_each_seed(20'260'322, 1, [this](std::uint64_t seed) { play(seed); });
}

TEST_F(FeedTest, OneThatComesSeldomGetsEachGroupOnce) {
  create_totals();
  give({donation("sea", 1), donation("owls", 1)});
  catch_up();
  Mirror mirror(of("totals"));
  mirror.catch_up(*service);
  EXPECT_EQ(mirror.rows_told, 2u);
  for (int i = 0; i < 50; ++i) give({donation("sea", 1)}), catch_up();
  mirror.catch_up(*service);
  EXPECT_EQ(mirror.rows_told, 3u);
  EXPECT_EQ(mirror.rows(), rows("totals"));
  const auto nothing = mirror.take(*service, 10);
  ASSERT_TRUE(nothing);
  EXPECT_TRUE(nothing->empty);
}

TEST_F(FeedTest, ChangesThatAreNotKeptAnyMoreAreAReset) {
  create_totals();
  give({donation("sea", 1)});
  catch_up();
  Mirror mirror(of("totals"));
  mirror.catch_up(*service);
  for (int round = 0; round < 3; ++round) {
    for (int from = 0; from < 6000; from += 1000) {
      std::vector<std::string> values;
      for (int i = from; i < from + 1000; ++i) {
        values.push_back(donation("c" + std::to_string(i), 100));
      }
      give(std::move(values));
    }
    catch_up();
  }
  mirror.catch_up(*service);
  EXPECT_EQ(mirror.resets, 1);
  EXPECT_EQ(mirror.rows(), rows("totals"));
  mirror.start_again();
  give({donation("sea", 1)});
  catch_up();
  mirror.catch_up(*service);
  EXPECT_EQ(mirror.resets, 1);
}

TEST_F(FeedTest, AFilterOfDimensionsTellsNothingOfOthers) {
  create_totals();
  Mirror mirror(of("totals", "campaign LIKE 's%' AND campaign <> 'sun'"));
  mirror.catch_up(*service);
  give({donation("sea", 1), donation("owls", 2), donation("sun", 3)});
  catch_up();
  mirror.catch_up(*service);
  EXPECT_EQ(mirror.rows_told, 1u);
  EXPECT_EQ(mirror.rows(), Rows{"sea | 1 | 0.01"});
}

TEST_F(FeedTest, AGroupThatPassesNoLongerIsToldGone) {
  create_totals();
  Mirror mirror(of("totals", "n < 2"));
  give({donation("sea", 1), donation("owls", 2)});
  catch_up();
  mirror.catch_up(*service);
  EXPECT_EQ(mirror.rows().size(), 2u);
  give({donation("sea", 1)});
  catch_up();
  mirror.catch_up(*service);
  EXPECT_EQ(mirror.deletes, 1);
  EXPECT_EQ(mirror.rows(), Rows{"owls | 1 | 0.02"});
}

TEST_F(FeedTest, AGroupOfSessionsHasSeveralRows) {
  create_source();
  run("CREATE MATERIALIZED VIEW visits AS SELECT campaign, window_start, count(*) AS n FROM "
      "SESSION(donations, at, INTERVAL '10 minutes') GROUP BY campaign, window_start");
  const auto at = [](const std::string& time) {
    return "{\"campaign\":\"sea\",\"amount\":1,\"at\":\"2026-01-01T" + time + "Z\"}";
  };
  give({at("10:00:00"), at("12:00:00")});
  catch_up();
  Mirror mirror(of("visits"));
  mirror.catch_up(*service);
  EXPECT_EQ(mirror.rows().size(), 2u);
  EXPECT_EQ(mirror.groups.size(), 1u);
  give({at("10:05:00"), at("14:00:00")});
  catch_up();
  mirror.catch_up(*service);
  EXPECT_EQ(mirror.rows(), rows("visits"));
  EXPECT_EQ(mirror.rows().size(), 3u);
}

TEST_F(FeedTest, AViewWithoutGroupsHasItsRow) {
  create_source();
  run("CREATE MATERIALIZED VIEW all_of_them AS SELECT count(*) AS n FROM donations");
  Mirror mirror(of("all_of_them"));
  mirror.catch_up(*service);
  EXPECT_EQ(mirror.rows(), Rows{"0"});
  give({donation("sea", 1), donation("sea", 1)});
  catch_up();
  mirror.catch_up(*service);
  EXPECT_EQ(mirror.rows(), Rows{"2"});
}

TEST_F(FeedTest, WithoutASnapshotOnlyWhatComesIsTold) {
  create_totals();
  give({donation("sea", 1)});
  catch_up();
  FeedOptions options = of("totals");
  options.snapshot = false;
  ViewFeed feed(options);
  std::size_t told = 0;
  const auto take = [&](const FeedRow&) { return ++told < 10; };
  const auto first = feed.next(service->snapshot(), take);
  ASSERT_TRUE(first);
  EXPECT_EQ(told, 0u);
  EXPECT_EQ(first->columns.size(), 3u);  // so that the subscriber knows what will come
  give({donation("owls", 1)});
  catch_up();
  ASSERT_TRUE(feed.next(service->snapshot(), take));
  EXPECT_EQ(told, 1u);
}

TEST_F(FeedTest, WhatHasNoChangesIsRefused) {
  create_totals();
  run("CREATE MATERIALIZED VIEW many AS SELECT count(*) AS campaigns FROM totals");
  const auto refusal = [&](FeedOptions options) {
    ViewFeed feed(std::move(options));
    const auto piece = feed.next(service->snapshot(), [](const FeedRow&) { return true; });
    EXPECT_FALSE(piece);
    return piece ? Error(ErrorCode::kOk, "") : piece.error();
  };
  EXPECT_EQ(refusal(of("nothing")).code(), ErrorCode::kNotFound);
  EXPECT_EQ(refusal(of("donations")).code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(refusal(of("many")).code(), ErrorCode::kUnsupported);
  EXPECT_EQ(refusal(of("totals", "nope = 1")).code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(refusal(of("totals", "n +")).code(), ErrorCode::kInvalidArgument);
}

TEST_F(FeedTest, AStatementSaysWhatToFollow) {
  const auto whole = feed_of_statement(
      "SUBSCRIBE TO totals WHERE n > 1 AND campaign = 'it''s' "
      "WITH (SNAPSHOT = false, PROGRESS)");
  ASSERT_TRUE(whole) << whole.error().to_string();
  EXPECT_EQ(whole->view, "totals");
  EXPECT_FALSE(whole->snapshot);
  EXPECT_TRUE(whole->progress);
  EXPECT_NE(whole->filter.find("'it''s'"), std::string::npos);
  const auto plain = feed_of_statement("SUBSCRIBE totals");
  ASSERT_TRUE(plain);
  EXPECT_TRUE(plain->snapshot);
  EXPECT_FALSE(plain->every_change);
  EXPECT_TRUE(feed_of_statement("SUBSCRIBE totals WITH (changes)")->every_change);
  EXPECT_FALSE(feed_of_statement("SELECT 1"));
  EXPECT_FALSE(feed_of_statement("SUBSCRIBE totals WITH (speed = '1')"));
  EXPECT_FALSE(feed_of_statement("SUBSCRIBE totals WITH (snapshot = 'maybe')"));
}

}  // namespace
}  // namespace runnel::storage::views
