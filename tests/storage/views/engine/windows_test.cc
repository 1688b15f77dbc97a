// Windows on local clocks: none overlaps, none is missing, whatever the clock does.
#include "storage/views/engine/windows.h"

#include <gtest/gtest.h>

#include "storage/views/types/time_text.h"
#include "tests/storage/views/engine/donations.h"
#include "tests/support/seeds.h"

namespace runnel::storage::views {
namespace {

using sql::WindowKind;

std::int64_t at(std::string_view text) {
  std::int64_t micros = 0;
  EXPECT_EQ(timestamp_from_text(text, nullptr, micros), RowError::kNone) << text;
  return micros;
}
Windows made(const WindowPlan& plan) {
  auto windows = Windows::make(plan);
  EXPECT_TRUE(windows) << windows.error().to_string();
  return std::move(*windows);
}
/// "start/end" of each window that holds the moment.
std::vector<std::string> of(const WindowPlan& plan, std::string_view moment) {
  Windows windows = made(plan);
  std::vector<std::string> all;
  for (const auto& [start, end] : windows.of(at(moment))) {
    all.push_back(timestamp_to_text(start) + "/" + timestamp_to_text(end));
  }
  return all;
}
using All = std::vector<std::string>;

TEST(Windows, HoursAreTheLocalClocks) {
  const auto hour = [](std::string zone) {
    return window(WindowKind::kTumble, hours(1), {}, std::move(zone));
  };
  EXPECT_EQ(of(hour("UTC"), "2026-01-31T10:59:59.999999Z"),
            All{"2026-01-31T10:00:00Z/2026-01-31T11:00:00Z"});
  EXPECT_EQ(of(hour("UTC"), "2026-01-31T11:00:00Z"),
            All{"2026-01-31T11:00:00Z/2026-01-31T12:00:00Z"})
      << "an end belongs to the next window";
  EXPECT_EQ(of(hour("Asia/Kolkata"), "2026-01-31T10:15:00Z"),
            All{"2026-01-31T09:30:00Z/2026-01-31T10:30:00Z"});
  EXPECT_EQ(of(hour("UTC"), "1969-12-31T23:59:59Z"),
            All{"1969-12-31T23:00:00Z/1970-01-01T00:00:00Z"})
      << "before 1970 too";
}

TEST(Windows, TheHourThatComesTwiceIsTwoWindows) {
  const auto hour = window(WindowKind::kTumble, hours(1), {}, "Europe/Paris");
  // On 25 October 2026 clocks go from 3:00 back to 2:00 at 1:00 UTC.
  EXPECT_EQ(of(hour, "2026-10-25T00:30:00Z"), All{"2026-10-25T00:00:00Z/2026-10-25T01:00:00Z"});
  EXPECT_EQ(of(hour, "2026-10-25T01:30:00Z"), All{"2026-10-25T01:00:00Z/2026-10-25T02:00:00Z"});
  const auto quarter = window(WindowKind::kTumble, minutes(15), {}, "Europe/Paris");
  EXPECT_EQ(of(quarter, "2026-10-25T01:01:00Z"), All{"2026-10-25T01:00:00Z/2026-10-25T01:15:00Z"});
  const auto two = window(WindowKind::kTumble, hours(2), {}, "Europe/Paris");
  EXPECT_EQ(of(two, "2026-10-25T01:30:00Z"), All{"2026-10-25T00:00:00Z/2026-10-25T03:00:00Z"})
      << "from 2:00 to 4:00, three hours";
}

TEST(Windows, DaysHaveTheirHours) {
  const auto day = window(WindowKind::kTumble, days(1), {}, "Europe/Paris");
  EXPECT_EQ(of(day, "2026-10-25T12:00:00Z"), All{"2026-10-24T22:00:00Z/2026-10-25T23:00:00Z"});
  EXPECT_EQ(of(day, "2026-03-29T12:00:00Z"), All{"2026-03-28T23:00:00Z/2026-03-29T22:00:00Z"});
  // In the Azores clocks go from 1:00 back to midnight: the day begins once.
  const auto azores = window(WindowKind::kTumble, days(1), {}, "Atlantic/Azores");
  EXPECT_EQ(of(azores, "2026-10-25T01:30:00Z"), All{"2026-10-25T00:00:00Z/2026-10-26T01:00:00Z"});
  // In Beirut midnight is skipped: the day begins at 1:00.
  const auto beirut = window(WindowKind::kTumble, days(1), {}, "Asia/Beirut");
  EXPECT_EQ(of(beirut, "2026-03-29T05:00:00Z"), All{"2026-03-28T22:00:00Z/2026-03-29T21:00:00Z"});
}

TEST(Windows, WeeksBeginOnMondaysAndMonthsOnTheFirst) {
  EXPECT_EQ(of(window(WindowKind::kTumble, days(7)), "2026-11-22T23:00:00Z"),
            All{"2026-11-16T00:00:00Z/2026-11-23T00:00:00Z"});
  EXPECT_EQ(of(window(WindowKind::kTumble, Interval{1, 0, 0}, {}, "Europe/Paris"),
               "2026-10-31T23:30:00Z"),
            All{"2026-10-31T23:00:00Z/2026-11-30T23:00:00Z"});
  EXPECT_EQ(of(window(WindowKind::kTumble, Interval{3, 0, 0}), "1969-02-10T00:00:00Z"),
            All{"1969-01-01T00:00:00Z/1969-04-01T00:00:00Z"});
}

TEST(Windows, HopsAreWholeSlidesLong) {
  const auto plan = window(WindowKind::kHop, hours(3), hours(1), "Europe/Paris");
  EXPECT_EQ(of(plan, "2026-10-25T01:30:00Z"), (All{"2026-10-24T23:00:00Z/2026-10-25T02:00:00Z",
                                                   "2026-10-25T00:00:00Z/2026-10-25T03:00:00Z",
                                                   "2026-10-25T01:00:00Z/2026-10-25T04:00:00Z"}));
  Windows windows = made(plan);
  EXPECT_EQ(windows.end_of(at("2026-10-25T00:00:00Z")), at("2026-10-25T03:00:00Z"));
}

TEST(Windows, CumulatedWindowsGrowFromOneStart) {
  const auto plan = window(WindowKind::kCumulate, days(1), hours(6), "Europe/Paris");
  EXPECT_EQ(of(plan, "2026-10-25T12:30:00Z"), (All{"2026-10-24T22:00:00Z/2026-10-25T17:00:00Z",
                                                   "2026-10-24T22:00:00Z/2026-10-25T23:00:00Z"}));
  EXPECT_EQ(of(plan, "2026-10-25T17:00:00Z"), All{"2026-10-24T22:00:00Z/2026-10-25T23:00:00Z"});
}

TEST(Windows, StepsCountFromTheWindowsStart) {
  // 56 hours from a Monday, not from the Thursday on which 1970 began.
  const auto plan = window(WindowKind::kCumulate, days(7), hours(56));
  EXPECT_EQ(of(plan, "2026-03-02T01:10:00Z"), (All{"2026-03-02T00:00:00Z/2026-03-04T08:00:00Z",
                                                   "2026-03-02T00:00:00Z/2026-03-06T16:00:00Z",
                                                   "2026-03-02T00:00:00Z/2026-03-09T00:00:00Z"}));
}

TEST(Windows, WhatDoesNotWorkOutIsRefused) {
  EXPECT_FALSE(Windows::make(window(WindowKind::kTumble, {})));
  EXPECT_FALSE(Windows::make(window(WindowKind::kTumble, Interval{1, 1, 0})));
  EXPECT_FALSE(Windows::make(window(WindowKind::kTumble, Interval{0, -1, 0})));
  EXPECT_FALSE(Windows::make(window(WindowKind::kTumble, hours(1), {}, "Europe/Nowhere")));
  EXPECT_FALSE(Windows::make(window(WindowKind::kHop, hours(3), hours(2))));
  EXPECT_FALSE(Windows::make(window(WindowKind::kHop, Interval{1, 0, 0}, days(1))));
  EXPECT_FALSE(Windows::make(window(WindowKind::kHop, days(365), minutes(1))));
  EXPECT_FALSE(Windows::make(window(WindowKind::kSession, Interval{1, 0, 0})));
}

TEST(Windows, FollowEachOtherWithoutGapOrOverlap) {
  const char* const zones[] = {"UTC",          "Europe/Paris",        "Atlantic/Azores",
                               "Asia/Beirut",  "Australia/Lord_Howe", "America/New_York",
                               "Pacific/Apia", "Africa/Casablanca",   "Asia/Kathmandu"};
  const Interval sizes[] = {minutes(7), minutes(15), minutes(30), hours(1), hours(5),
                            hours(6),   days(1),     days(2),     days(7),  Interval{1, 0, 0}};
  for_each_seed(1, 60, [&](std::uint64_t seed) {
    SeededRandom random(seed);
    const std::string zone = zones[random.next() % std::size(zones)];
    const Interval size = sizes[random.next() % std::size(sizes)];
    SCOPED_TRACE(zone);
    const WindowPlan plan = window(WindowKind::kTumble, size, {}, zone);
    Windows forward = made(plan);
    Windows any = made(plan);
    std::int64_t edge =
        at("2010-01-01T00:00:00Z") + static_cast<std::int64_t>(random.next() % (15 * 366)) * kDay;
    edge = forward.of(edge).front().end;
    for (int i = 0; i < 3000; ++i) {
      const WindowSpan here = forward.of(edge).front();
      ASSERT_EQ(here.start, edge);
      ASSERT_GT(here.end, here.start);
      ASSERT_EQ(any.of(here.end - 1).front(), here);
      const auto length = static_cast<std::uint64_t>(here.end - here.start);
      ASSERT_EQ(any.of(here.start + static_cast<std::int64_t>(random.next() % length)).front(),
                here);
      ASSERT_EQ(any.end_of(here.start), here.end);
      edge = here.end;
    }
  });
}

}  // namespace
}  // namespace runnel::storage::views
