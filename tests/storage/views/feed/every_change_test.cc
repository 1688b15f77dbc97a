// A feed of every change tells what was at each write, or that it can't.
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "storage/views/feed/view_feed.h"
#include "tests/storage/views/service/service_fixture.h"
#include "tests/support/seeds.h"

namespace runnel::storage::views {
namespace {

class EveryChangeTest : public ServiceFixture {
 public:
  using ServiceFixture::rows;

 protected:
  static FeedOptions of(const std::string& view) {
    FeedOptions options;
    options.view = view;
    options.every_change = true;
    return options;
  }
  /// One write of `totals`, whose rows are remembered.
  void change(std::vector<std::string> values, int partition = 0) {
    give(std::move(values), partition);
    catch_up();
    const ReadSnapshot now = service->snapshot();
    const DefinitionRef view = now.definitions->find("totals");
    const auto reader = ViewReader::open(*view->view, view->id, *now.state);
    ASSERT_TRUE(reader);
    history[(*reader)->sequence()] = rows("totals", now);
  }
  std::map<std::uint64_t, Rows> history;  ///< of `totals` by sequence
};

/// A subscriber that compares what it was told with what was.
class Follower {
 public:
  Follower(const std::map<std::uint64_t, Rows>& history, FeedOptions options)
      : history_(history), options_(std::move(options)), feed_(options_) {}
  /// Another one that was told the same, and goes on at its place.
  [[nodiscard]] std::unique_ptr<Follower> resumed() const {
    FeedOptions options = options_;
    options.after = place;
    options.snapshot = false;
    auto other = std::make_unique<Follower>(history_, options);
    other->groups_ = groups_;
    other->place = place;
    other->last_ = place->sequence;
    return other;
  }

  void take(ViewService& service, std::size_t most) {
    struct Told {
      FeedChange change;
      std::string key, row;
    };
    std::vector<Told> told;
    const auto piece = feed_.next(service.snapshot(), [&](const FeedRow& row) {
      std::string text;
      for (const Value& value : row.values) text += (text.empty() ? "" : " | ") + to_string(value);
      told.push_back({row.change, std::string(row.key), text});
      return told.size() < most;
    });
    ASSERT_TRUE(piece) << piece.error().to_string();
    more = piece->more;
    if (piece->kind == FeedKind::kReset) {
      ++resets;
      groups_.clear();
    }
    for (const Told& one : told) {
      if (one.change != FeedChange::kAdd) groups_.erase(one.key);
      if (one.change != FeedChange::kDelete) groups_[one.key].insert(one.row);
    }
    if (piece->empty) return;
    if (piece->kind == FeedKind::kSnapshot || piece->kind == FeedKind::kReset) {
      place.reset();
      if (!piece->more) be_at(*piece);
    } else if (piece->kind == FeedKind::kDelta && piece->sequence == last_) {
      in_parts = true;  // the rest of the change comes
    } else if (piece->kind == FeedKind::kDelta) {
      seen.push_back(piece->sequence);
      be_at(*piece);
    }
    last_ = piece->sequence;
  }
  void catch_up(ViewService& service, std::size_t most = 1000) {
    do {
      ASSERT_NO_FATAL_FAILURE(take(service, most));
    } while (more);
  }
  [[nodiscard]] Rows rows() const {
    Rows all;
    for (const auto& [key, some] : groups_) all.insert(some.begin(), some.end());
    return all;
  }

  std::vector<std::uint64_t> seen;  ///< changes, by sequence
  std::optional<FeedOptions::After> place;
  int resets = 0;
  bool more = false;
  bool in_parts = false;  ///< a part of the change behind `place` was told

 private:
  void be_at(const FeedPiece& piece) {
    place = {piece.generation, piece.sequence};
    in_parts = false;
    const auto known = history_.find(piece.sequence);
    if (known != history_.end()) {
      EXPECT_EQ(rows(), known->second) << piece.sequence;
    }
  }

  const std::map<std::uint64_t, Rows>& history_;
  FeedOptions options_;
  ViewFeed feed_;
  std::map<std::string, Rows> groups_;
  std::uint64_t last_ = 0;  ///< sequence of the last piece
};

TEST_F(EveryChangeTest, NoneIsLeftOutHoweverSeldomOneComes) {
  create_totals();
  change({donation("sea", 100)});
  Follower follower(history, of("totals"));
  follower.catch_up(*service);
  EXPECT_EQ(follower.rows(), rows("totals"));
  for (int i = 0; i < 20; ++i) change({donation("sea", 1), donation("owls", 1)}, i % 2);
  follower.catch_up(*service);
  EXPECT_EQ(follower.seen.size(), 20u);
  EXPECT_EQ(follower.resets, 0);
  EXPECT_EQ(follower.rows(), rows("totals"));
}

TEST_F(EveryChangeTest, ItGoesOnBehindAChangeThatWasTold) {
  create_totals();
  auto follower = std::make_unique<Follower>(history, of("totals"));
  follower->catch_up(*service);
  for (int i = 0; i < 5; ++i) change({donation("sea", 1)});
  follower->catch_up(*service);
  FeedOptions options = of("totals");
  options.after = follower->place;
  follower.reset();
  for (int i = 0; i < 5; ++i) change({donation("sea", 1)});
  Follower next(history, options);
  next.catch_up(*service);
  EXPECT_EQ(next.seen.size(), 5u) << "what came while nobody followed is kept for a while";
  EXPECT_EQ(next.resets, 0);
  EXPECT_EQ(next.rows(), rows("totals"));
}

TEST_F(EveryChangeTest, WhoIsTooFarBehindBeginsAnew) {
  service.reset();
  history_bytes = 2000;
  open_service();
  create_totals();
  Follower slow(history, of("totals"));
  slow.catch_up(*service);
  for (int i = 0; i < 50; ++i) change({donation("sea", 1)});
  slow.catch_up(*service);
  EXPECT_EQ(slow.resets, 1);
  EXPECT_EQ(slow.rows(), rows("totals"));
  change({donation("sea", 1)});
  slow.catch_up(*service);
  EXPECT_EQ(slow.resets, 1);
  EXPECT_EQ(slow.seen.size(), 1u);
}

TEST_F(EveryChangeTest, ASnapshotThatIsAlwaysOvertakenEnds) {
  service.reset();
  history_bytes = 1000;
  open_service();
  create_totals();
  std::vector<std::string> first;
  for (int i = 0; i < 60; ++i) first.push_back(donation("c" + std::to_string(i), 100));
  change(first);
  ViewFeed feed(of("totals"));
  std::optional<Error> end;
  int resets = 0;
  for (int i = 0; i < 20 && !end; ++i) {
    const auto piece = feed.next(service->snapshot(), [](const FeedRow&) { return false; });
    if (!piece) {
      end = piece.error();
      break;
    }
    resets += piece->kind == FeedKind::kReset ? 1 : 0;
    for (int k = 0; k < 20; ++k) change({donation("sea", 1)});
  }
  ASSERT_TRUE(end);
  EXPECT_EQ(resets, kMaxOvertaken - 1);
  EXPECT_EQ(end->code(), ErrorCode::kUnsupported) << "trying again would end the same way";
  EXPECT_NE(end->message().find("changes faster than"), std::string::npos);
}

TEST_F(EveryChangeTest, AnotherGenerationIsAReset) {
  create_totals();
  change({donation("sea", 1)});
  Follower follower(history, of("totals"));
  follower.catch_up(*service);
  history.clear();  // the numbers begin anew
  run("CREATE OR REPLACE MATERIALIZED VIEW totals AS SELECT campaign, COUNT(*) AS n FROM donations "
      "GROUP BY campaign");
  wait_until([&] { return !service->snapshot().definitions->find("totals")->building; });
  catch_up();
  follower.catch_up(*service);
  EXPECT_EQ(follower.resets, 1);
  EXPECT_EQ(follower.rows(), rows("totals"));
  restart();
  FeedOptions options = of("totals");
  options.after = FeedOptions::After{1, 1};
  Follower old(history, options);
  old.catch_up(*service);
  EXPECT_EQ(old.resets, 1);
}

TEST_F(EveryChangeTest, AnAlteredRuleIsAResetBeforeAnythingIsWritten) {
  create_totals();
  change({donation("sea", 1)});
  change({donation("sea", 1)});
  Follower follower(history, of("totals"));
  follower.catch_up(*service);
  ASSERT_TRUE(store->delete_records(ref("donations"), Offset(1)));
  run("ALTER MATERIALIZED VIEW totals SET (max_groups = '20')");
  follower.catch_up(*service);
  EXPECT_EQ(follower.resets, 1);
  EXPECT_EQ(follower.rows(), rows("totals"));
  change({donation("sea", 1)});
  follower.catch_up(*service);
  EXPECT_EQ(follower.resets, 1);
  EXPECT_EQ(follower.seen.size(), 1u);
  EXPECT_EQ(follower.rows(), rows("totals"));
}

/// Snapshots in pieces while groups change, filters of nothing, pieces of one row.
TEST_F(EveryChangeTest, WhateverIsToldIsWhatWas) {
  for_each_seed(41, 1, [this](std::uint64_t seed) {
    std::mt19937_64 numbers(seed);
    const auto below = [&](unsigned n) { return static_cast<int>(numbers() % n); };
    create_totals();
    std::vector<std::string> first;
    for (int i = 0; i < 60; ++i) first.push_back(donation("c" + std::to_string(i), 100));
    change(first);
    std::vector<std::unique_ptr<Follower>> followers;
    for (int round = 0; round < 150; ++round) {
      std::vector<std::string> values;
      for (int i = below(5); i >= 0; --i) {
        values.push_back(donation("c" + std::to_string(below(60)), 1 + below(1000)));
      }
      change(values, below(2));
      if (followers.size() < 4 && below(20) == 0) {
        followers.push_back(std::make_unique<Follower>(history, of("totals")));
      }
      for (const auto& follower : followers) {
        for (int i = below(4); i > 0; --i) {
          ASSERT_NO_FATAL_FAILURE(
              follower->take(*service, static_cast<std::size_t>(1 + below(20))));
        }
        if (!follower->place || follower->in_parts || below(6) > 0) continue;
        const auto resumed = follower->resumed();
        resumed->catch_up(*service);
        EXPECT_EQ(resumed->resets, 0);
        EXPECT_EQ(resumed->rows(), rows("totals")) << "from " << follower->place->sequence;
      }
    }
    for (const auto& follower : followers) {
      follower->catch_up(*service, 3);
      EXPECT_EQ(follower->rows(), rows("totals"));
      EXPECT_EQ(follower->resets, 0);
      EXPECT_TRUE(std::is_sorted(follower->seen.begin(), follower->seen.end()));
    }
    EXPECT_EQ(followers.size(), 4u);
  });
}

}  // namespace
}  // namespace runnel::storage::views
