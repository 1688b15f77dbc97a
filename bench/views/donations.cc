#include "bench/views/donations.h"

#include <array>
#include <chrono>
#include <cmath>

namespace runnel::bench {
namespace {

constexpr std::int64_t kSecond = 1'000'000;
constexpr std::int64_t kFirst = 1'767'225'600 * kSecond;  // 2026-01-01
constexpr std::int64_t kSpan = 28 * 24 * 3600 * kSecond;
constexpr std::array<const char*, Donations::kKinds> kKindNames{
    "donation.received", "donation.refunded", "donation.pledged", "page.updated"};
constexpr std::array<const char*, Donations::kChannels> kChannelNames{"web", "app", "phone", "sms",
                                                                      "street"};

std::string digits(std::int64_t n, std::size_t width) {
  std::string text = std::to_string(n);
  return text.size() < width ? std::string(width - text.size(), '0') + text : text;
}

std::string time_text(std::int64_t micros) {
  using std::chrono::days;
  const std::int64_t seconds = micros / kSecond;
  const std::int64_t day = seconds / 86'400;
  const std::int64_t rest = seconds % 86'400;
  const std::chrono::year_month_day date{std::chrono::sys_days(days(day))};
  return digits(static_cast<int>(date.year()), 4) + '-' +
         digits(static_cast<unsigned>(date.month()), 2) + '-' +
         digits(static_cast<unsigned>(date.day()), 2) + 'T' + digits(rest / 3600, 2) + ':' +
         digits(rest / 60 % 60, 2) + ':' + digits(rest % 60, 2) + '.' +
         digits(micros % kSecond / 1000, 3) + 'Z';
}

}  // namespace

std::size_t Donations::zipf(std::size_t n) {
  const double u = static_cast<double>(random_() >> 11) * 0x1p-53;
  return std::min(n - 1,
                  static_cast<std::size_t>(std::exp(u * std::log(static_cast<double>(n)))) - 1);
}

Donation Donations::make(std::uint64_t i, std::uint64_t of) {
  Donation made;
  made.campaign = zipf(kCampaigns);
  made.page = zipf(kPages);
  made.country = random_() % kCountries;
  made.kind = random_() % kKinds;
  made.channel = random_() % kChannels;
  made.cents = static_cast<std::int64_t>(random_() % 50'000) + 100;
  const double share = static_cast<double>(i) / static_cast<double>(of);
  made.at_micros = kFirst +
                   static_cast<std::int64_t>(share * static_cast<double>(kSpan)) / 1000 * 1000 +
                   static_cast<std::int64_t>(random_() % 60) * kSecond;
  return made;
}

std::string Donations::campaign_name(std::size_t n) {
  return "campaign-" + digits(static_cast<std::int64_t>(n), 4);
}
std::string Donations::page_name(std::size_t n) {
  return "page-" + digits(static_cast<std::int64_t>(n), 6);
}
std::string Donations::country_name(std::size_t n) {
  return "C" + digits(static_cast<std::int64_t>(n), 2);
}

std::string Donations::json(std::uint64_t i, const Donation& d) {
  std::string text = R"({"id":"d-)" + digits(static_cast<std::int64_t>(i), 8) + R"(","at":")" +
                     time_text(d.at_micros) + R"(","kind":")" + kKindNames[d.kind] +
                     R"(","channel":")" + kChannelNames[d.channel] + R"(","campaign":")" +
                     campaign_name(d.campaign) + R"(","page":")" + page_name(d.page) +
                     R"(","donor":{"country":")" + country_name(d.country) + R"("},"amount":)" +
                     std::to_string(d.cents / 100) + '.' + digits(d.cents % 100, 2) +
                     R"(,"currency":"AUD"})";
  return text;
}

}  // namespace runnel::bench
