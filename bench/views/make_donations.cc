// runnel_donations: prints events as lines of JSON, or what they add up to.
#include <CLI/CLI.hpp>
#include <iostream>
#include <vector>

#include "bench/views/donations.h"

namespace runnel::bench {
namespace {

/// campaign,count,cents for each campaign, to compare a view with.
void print_totals(std::uint64_t events, std::uint64_t seed) {
  struct Total {
    std::uint64_t count = 0;
    std::int64_t cents = 0;
  };
  std::vector<Total> totals(Donations::kCampaigns);
  Donations donations(seed);
  for (std::uint64_t i = 0; i < events; ++i) {
    const Donation made = donations.make(i, events);
    ++totals[made.campaign].count;
    totals[made.campaign].cents += made.cents;
  }
  for (std::size_t i = 0; i < totals.size(); ++i) {
    if (totals[i].count == 0) continue;
    std::cout << Donations::campaign_name(i) << ',' << totals[i].count << ',' << totals[i].cents
              << '\n';
  }
}

void print_events(std::uint64_t events, std::uint64_t seed) {
  Donations donations(seed);
  for (std::uint64_t i = 0; i < events; ++i) {
    std::cout << Donations::json(i, donations.make(i, events)) << '\n';
  }
}

}  // namespace
}  // namespace runnel::bench

int main(int argc, char** argv) {
  std::uint64_t events = 1'000'000;
  std::uint64_t seed = 42;
  bool totals = false;
  CLI::App app{"Events of a fundraising platform, as lines of JSON"};
  app.add_option("--events", events, "in all");
  app.add_option("--seed", seed, "the same seed, the same events");
  app.add_flag("--totals", totals, "instead: campaign,count,cents of the same events");
  CLI11_PARSE(app, argc, argv);
  std::ios::sync_with_stdio(false);
  if (totals) {
    runnel::bench::print_totals(events, seed);
  } else {
    runnel::bench::print_events(events, seed);
  }
  return std::cout.flush() ? 0 : 1;
}
