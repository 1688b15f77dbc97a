// What a fold's cases are told with: counts and sums by campaign, a gift in one line.
#pragma once

#include <string>
#include <utility>

#include "tests/storage/views/engine/fold_fixture.h"

namespace runnel::storage::views {

inline ViewPlan totals_view(WindowPlan window = {}) {
  ViewPlan plan = donations_view(std::move(window));
  plan.aggregates = {aggregate(AggregateKind::kCountRows), aggregate(AggregateKind::kSum, kAmount)};
  show_everything(plan);
  return plan;
}

inline Donation gift(std::int64_t offset, std::string campaign, std::int64_t cents,
                     std::int64_t time = 0, std::uint32_t partition = 0) {
  Donation d;
  d.partition = partition;
  d.offset = offset;
  d.campaign = std::move(campaign);
  d.cents = cents;
  d.time = time;
  return d;
}

}  // namespace runnel::storage::views
