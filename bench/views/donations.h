// The events that views are measured with: a fundraising platform's, made from a seed.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace runnel::bench {

/// One event, before it is text.
struct Donation {
  std::size_t campaign = 0;  ///< zipf: the first are the busiest
  std::size_t page = 0;      ///< zipf
  std::size_t country = 0;
  std::size_t kind = 0;
  std::size_t channel = 0;
  std::int64_t cents = 0;
  std::int64_t at_micros = 0;  ///< since 1970; grows over four weeks, with a minute of disorder
};

/// The same seed gives the same events. Not thread safe.
class Donations {
 public:
  static constexpr std::size_t kCampaigns = 1000;
  static constexpr std::size_t kPages = 100'000;
  static constexpr std::size_t kCountries = 30;
  static constexpr std::size_t kKinds = 4;
  static constexpr std::size_t kChannels = 5;

  explicit Donations(std::uint64_t seed) : random_(seed) {}
  /// The `i`-th of `of` events, in order.
  [[nodiscard]] Donation make(std::uint64_t i, std::uint64_t of);

  [[nodiscard]] static std::string campaign_name(std::size_t n);
  [[nodiscard]] static std::string page_name(std::size_t n);
  [[nodiscard]] static std::string country_name(std::size_t n);
  /// About 200 bytes of JSON.
  [[nodiscard]] static std::string json(std::uint64_t i, const Donation& donation);

 private:
  std::size_t zipf(std::size_t n);
  std::mt19937_64 random_;
};

}  // namespace runnel::bench
