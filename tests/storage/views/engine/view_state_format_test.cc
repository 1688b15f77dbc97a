// The worked example of docs/formats/view-state.md, byte by byte.
#include <gtest/gtest.h>

#include "storage/views/engine/distinct_values.h"
#include "storage/views/engine/hyperloglog.h"
#include "storage/views/engine/key_encoding.h"
#include "storage/views/engine/log_histogram.h"
#include "storage/views/engine/state_mark.h"
#include "tests/storage/views/engine/fold_fixture.h"
#include "tests/support/format_page.h"

namespace runnel::storage::views {
namespace {

using Kind = AggregateKind;

std::string page(const std::string& name) {
  const std::string hex = hex_of_page(RUNNEL_SOURCE_DIR "/docs/formats/view-state.md", name);
  EXPECT_FALSE(hex.empty()) << name;
  return hex;
}

/// The page's view: per campaign and hour, kept for a week.
ViewPlan view_of_page() {
  ViewPlan plan = donations_view(window(sql::WindowKind::kTumble, hours(1)));
  plan.keys.pop_back();
  plan.options.retention_micros = 7 * kDay;
  plan.aggregates = {aggregate(Kind::kCountRows), aggregate(Kind::kSum, kAmount),
                     aggregate(Kind::kMax, kAmount), aggregate(Kind::kLast, kCampaign),
                     aggregate(Kind::kCountDistinct, kPoints)};
  show_everything(plan);
  return plan;
}

std::string bytes_of(const std::string& hex) {
  std::string bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

/// Partition 2, one donation.
TEST(ViewStateFormat, TheWorkedExample) {
  const ViewPlan plan = view_of_page();
  MemoryStore store;
  Donation d;
  d.partition = 2;
  d.offset = 257;
  d.campaign = "sea";
  d.cents = 1250;
  d.points = 3;
  d.time = 1'700'000'000 * kSecond;
  Donation bad;
  bad.partition = 2;
  bad.offset = 258;
  bad.error = RowError::kNotJson;
  FoldOptions options;
  options.id = kView;
  options.keep_changes = 10;
  const auto fold = std::move(*ViewFold::open(plan, options, store));
  ASSERT_TRUE(add(*fold, plan, d));
  ASSERT_TRUE(add(*fold, plan, bad));
  ASSERT_TRUE(commit(*fold, store));
  std::string all;
  for (const auto& [key, value] : store.entries) all += to_hex(key) + to_hex(value);
  EXPECT_EQ(all, page("view-state"));
}

TEST(ViewStateFormat, WhatAnOlderBuildWroteIsRead) {
  const ViewPlan plan = view_of_page();
  const Aggregates aggregates(plan.aggregates, Aggregates::Sessions::kNo, kMaxDistinctValues);
  std::string block(aggregates.block_bytes(), 'x');
  StateExtras extras;
  const StateRef state{reinterpret_cast<std::byte*>(block.data()), &extras};
  aggregates.initialize(state);
  std::string older = bytes_of(page("state-of-format-1"));
  ASSERT_TRUE(aggregates.decode(as_bytes(older), state));
  EXPECT_EQ(Aggregates::rows(state), 1u);
  ByteWriter newer;
  aggregates.encode(state, newer);
  EXPECT_NE(page("view-state").find(to_hex(newer.str())), std::string::npos) << to_hex(newer.str());
  older[0] = 3;
  EXPECT_FALSE(aggregates.decode(as_bytes(older), state)) << "a format that is not known";
}

TEST(ViewStateFormat, Mark) {
  StateWrites writes;
  write_mark(StateMark::kOpen, writes);
  std::string all;
  writes.for_each(
      [&](std::string_view key, std::string_view value) { all += to_hex(key) + to_hex(value); },
      [](std::string_view) {});
  EXPECT_EQ(all, page("view-mark"));
}

TEST(ViewStateFormat, Sketches) {
  HyperLogLog few;
  LogHistogram histogram;
  DistinctValues counted(DistinctValues::Counts::kYes);
  for (const std::int64_t n : {3, 12, 3}) {
    std::string encoded;
    encode_key({TypeKind::kBigint, 0, 0}, Value::bigint(n), encoded);
    few.add(encoded, Value::bigint(n));
    counted.add(encoded, Value::bigint(n));
    histogram.add(static_cast<double>(n));
  }
  const auto chunk = [](const Sketch& sketch) {
    ByteWriter bytes;
    sketch.encode_chunk(0, bytes);
    return to_hex(bytes.str());
  };
  EXPECT_EQ(chunk(few), page("hyperloglog"));
  EXPECT_EQ(chunk(histogram), page("histogram"));
  EXPECT_EQ(chunk(counted), page("counted-values"));
}

}  // namespace
}  // namespace runnel::storage::views
