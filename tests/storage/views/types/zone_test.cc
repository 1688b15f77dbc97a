#include "storage/views/types/zone.h"

#include <gtest/gtest.h>

#include <ctime>
#include <fstream>
#include <random>

#include "storage/views/types/time_text.h"
#include "storage/views/types/time_zone_file.h"

namespace runnel::storage::views {
namespace {

std::shared_ptr<const Zone> zone(std::string_view name) {
  auto found = Zone::find(name);
  EXPECT_TRUE(found) << name;
  return found ? *found : nullptr;
}

std::int64_t instant(std::string_view text) {
  std::int64_t at = 0;
  EXPECT_EQ(timestamp_from_text(text, nullptr, at), RowError::kNone) << text;
  return at;
}

constexpr std::int64_t kHour = 3600 * kMicrosPerSecond;

TEST(Zone, KnowsSummerTime) {
  const auto paris = zone("Europe/Paris");
  EXPECT_EQ(paris->offset_at(instant("2026-01-01T00:00:00Z")), kHour);
  EXPECT_EQ(paris->offset_at(instant("2026-07-01T00:00:00Z")), 2 * kHour);
  const std::int64_t spring = instant("2026-03-29T01:00:00Z");
  EXPECT_EQ(paris->offset_at(spring - 1), kHour);
  EXPECT_EQ(paris->offset_at(spring), 2 * kHour);
  const std::int64_t autumn = instant("2026-10-25T01:00:00Z");
  EXPECT_EQ(paris->offset_at(autumn - 1), 2 * kHour);
  EXPECT_EQ(paris->offset_at(autumn), kHour);
}

TEST(Zone, TurnsLocalTimesIntoInstants) {
  const auto paris = zone("Europe/Paris");
  const std::int64_t spring = instant("2026-03-29T01:00:00Z");
  // 02:00 to 03:00 is skipped; all of it is the moment of the jump.
  EXPECT_EQ(paris->to_utc(spring + kHour), spring);
  EXPECT_EQ(paris->to_utc(spring + kHour + kHour / 2), spring);
  EXPECT_EQ(paris->to_utc(spring + 2 * kHour), spring);
  EXPECT_EQ(paris->to_utc(spring + 2 * kHour + 1), spring + 1);
  // 02:30 is there twice in autumn; the first counts.
  const std::int64_t autumn = instant("2026-10-25T01:00:00Z");
  EXPECT_EQ(paris->to_utc(autumn + kHour + kHour / 2), autumn - kHour / 2);
  EXPECT_EQ(paris->to_utc(autumn + 2 * kHour), autumn + kHour);
}

TEST(Zone, EveryInstantIsFoundAgain) {
  std::mt19937_64 random(7);
  for (const char* const name :
       {"Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu",
        "America/Sao_Paulo", "Africa/Casablanca", "Pacific/Apia", "Pacific/Kiritimati", "UTC"}) {
    const auto at = zone(name);
    const std::vector<Stretch>& all = at->stretches();
    ASSERT_EQ(all.front().begin, INT64_MIN);
    ASSERT_EQ(all.back().end, INT64_MAX);
    for (std::size_t i = 1; i < all.size(); ++i) ASSERT_EQ(all[i].begin, all[i - 1].end);
    for (int i = 0; i < 2000; ++i) {
      const std::int64_t utc = std::uniform_int_distribution<std::int64_t>(
          instant("1950-01-01T00:00:00Z"), instant("2150-01-01T00:00:00Z"))(random);
      const std::int64_t local = at->to_local(utc);
      const std::int64_t back = at->to_utc(local);
      EXPECT_LE(back, utc) << name;
      EXPECT_EQ(at->to_local(back), local) << name;
    }
  }
}

/// The C library reads the same files by code of its own.
TEST(Zone, AgreesWithTheSystemsLibrary) {
  std::mt19937_64 random(11);
  for (const char* const name :
       {"Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu",
        "America/Sao_Paulo", "Asia/Tehran", "Africa/Cairo", "America/Santiago", "Europe/Dublin",
        "Asia/Gaza", "Antarctica/Troll"}) {
    ASSERT_EQ(setenv("TZ", name, 1), 0);
    tzset();
    const auto at = zone(name);
    for (int i = 0; i < 3000; ++i) {
      const std::time_t seconds =
          std::uniform_int_distribution<std::time_t>(-2'000'000'000, 7'000'000'000)(random);
      std::tm local{};
      ASSERT_NE(localtime_r(&seconds, &local), nullptr);
      ASSERT_EQ(at->offset_at(seconds * kMicrosPerSecond), local.tm_gmtoff * kMicrosPerSecond)
          << name << " at " << seconds;
    }
  }
  unsetenv("TZ");
  tzset();
}

TEST(Zone, RefusesWhatIsNone) {
  for (const char* const name : {"", "Europe", "Europe/Atlantis", "/etc/passwd", "../../etc/passwd",
                                 "tzdata.zi", "zone.tab", "Europe/Paris\n"}) {
    const auto found = Zone::find(name);
    ASSERT_FALSE(found) << name;
    EXPECT_EQ(found.error().code(), ErrorCode::kInvalidArgument);
  }
  const auto near = Zone::find("Europe/Pariss");
  ASSERT_FALSE(near);
  EXPECT_NE(near.error().message().find("did you mean 'Europe/Paris'?"), std::string::npos)
      << near.error().message();
  EXPECT_FALSE(zone_database_version().empty());
}

TEST(Zone, DamagedFilesAreRefused) {
  std::ifstream file("/usr/share/zoneinfo/Europe/Paris", std::ios::binary);
  const std::string good{std::istreambuf_iterator<char>(file), {}};
  ASSERT_FALSE(read_time_zone_file(good).empty());
  std::mt19937_64 random(13);
  for (std::size_t size = 0; size + 1 < good.size(); size += 7) {
    static_cast<void>(read_time_zone_file(good.substr(0, size)));
  }
  for (int i = 0; i < 3000; ++i) {
    std::string bad = good;
    for (int j = 0; j < 3; ++j) bad[random() % bad.size()] = static_cast<char>(random());
    const std::vector<Stretch> stretches = read_time_zone_file(bad);
    for (std::size_t k = 1; k < stretches.size(); ++k) {
      ASSERT_EQ(stretches[k].begin, stretches[k - 1].end);
      ASSERT_LT(stretches[k].begin, stretches[k].end);
    }
  }
  EXPECT_TRUE(read_time_zone_file("").empty());
  EXPECT_TRUE(read_time_zone_file("TZif").empty());
}

TEST(TimeText, DaysAreTheCalendars) {
  std::int32_t day = 0;
  EXPECT_EQ(date_from_text("0001-01-01", day), RowError::kNone);
  EXPECT_EQ(day, kMinDate);
  EXPECT_EQ(date_from_text("9999-12-31", day), RowError::kNone);
  EXPECT_EQ(day, kMaxDate);
  for (std::int32_t i = kMinDate; i <= kMaxDate; i += 997) {
    std::int32_t back = 0;
    ASSERT_EQ(date_from_text(date_to_text(i), back), RowError::kNone);
    ASSERT_EQ(back, i);
  }
}

TEST(TimeText, InstantsReadBack) {
  std::mt19937_64 random(17);
  for (int i = 0; i < 5000; ++i) {
    const std::int64_t at =
        std::uniform_int_distribution<std::int64_t>(kMinTimestamp, kMaxTimestamp)(random);
    std::int64_t back = 0;
    ASSERT_EQ(timestamp_from_text(timestamp_to_text(at), nullptr, back), RowError::kNone);
    ASSERT_EQ(back, at) << timestamp_to_text(at);
  }
  std::int64_t out = 0;
  EXPECT_EQ(timestamp_from_text("2026-01-01T00:00:00", nullptr, out), RowError::kInvalidText);
  EXPECT_EQ(timestamp_from_text("2026-01-01", nullptr, out), RowError::kInvalidText);
  EXPECT_EQ(timestamp_from_text("0001-01-01T00:00:00+01:00", nullptr, out), RowError::kOutOfRange);
}

}  // namespace
}  // namespace runnel::storage::views
