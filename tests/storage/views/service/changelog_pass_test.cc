// A pass that an exception ended leaves nothing behind.
#include "storage/views/service/changelog.h"

#include <new>

#include "storage/views/worker/topic_views.h"
#include "tests/storage/log/store_fixture.h"
#include "tests/storage/views/engine/fold_fixture.h"

namespace runnel::storage::views {
namespace {

/// Asked so often it has no memory for an answer.
class ShortClock final : public Clock {
 public:
  [[nodiscard]] Timestamp now() override {
    if (left > 0 && --left == 0) throw std::bad_alloc();
    return Timestamp(1'700'000'000'000);
  }
  [[nodiscard]] std::chrono::nanoseconds monotonic() override { return {}; }
  int left = 0;  ///< 0: for ever
};

using ChangelogPassTest = StoreTest;

TEST_F(ChangelogPassTest, WhatAnExceptionEndedIsNotWrittenWithTheNextOne) {
  ViewPlan plan = donations_view();
  plan.aggregates = {aggregate(AggregateKind::kCountRows)};
  show_everything(plan);
  plan.options.changelog_topic = "changes";
  ASSERT_TRUE(ensure_changelog_topic(*store, "changes", 1));
  ShortClock short_clock;
  const auto log = std::move(*Changelog::open(*store, short_clock, plan, kView));
  MemoryStore state;
  const auto fold = open_fold(plan, state);
  const auto pass = [&] {
    std::int64_t offset = 0;
    for (const char* campaign : {"owls", "sea", "sky"}) {
      Donation donation;
      donation.offset = offset++;
      donation.campaign = campaign;
      EXPECT_TRUE(add(*fold, plan, donation));
    }
    StateWrites writes;
    EXPECT_TRUE(fold->prepare(writes));
    EXPECT_TRUE(log->begin({}));
    return log->pass(state, writes);
  };
  short_clock.left = 3;
  EXPECT_THROW(static_cast<void>(pass()), std::bad_alloc);
  fold->discard();
  EXPECT_TRUE(pass());
  EXPECT_EQ(values("changes").size(), 3u) << "each row once";
}

}  // namespace
}  // namespace runnel::storage::views
