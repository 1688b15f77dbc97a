// Data segments: names, headers, what a crash leaves of them.
#include "storage/segments/data_segments.h"

#include <gtest/gtest.h>

#include <future>

#include "storage/env/manual_clock.h"
#include "tests/support/format_page.h"
#include "tests/support/hook_file_system.h"
#include "tests/support/sim_file_system.h"

namespace runnel::storage {
namespace {

class DataSegmentsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (std::size_t i = 0; i < store.bytes.size(); ++i) {
      store.bytes[i] = static_cast<std::uint8_t>(i);
    }
    ASSERT_TRUE(fs.create_directory("d"));
    ASSERT_TRUE(fs.sync_directory("."));
    open();
  }
  void open() {
    auto opened = DataSegments::open({"d", 1000, store, &hooks, &clock});
    ASSERT_TRUE(opened) << opened.error().to_string();
    data = std::move(*opened);
  }
  Position write(const std::string& bytes) {
    const std::vector<Bytes> parts = {as_bytes(bytes)};
    const auto at = data->write(parts);
    EXPECT_TRUE(at);
    return at.value_or(Position{});
  }
  std::string read(Position at, std::size_t bytes) {
    std::string out(bytes, '?');
    const auto file = data->file(at.segment);
    EXPECT_TRUE(file);
    EXPECT_TRUE((*file)->read_exactly(at.offset,
                                      std::as_writable_bytes(std::span(out.data(), out.size()))));
    return out;
  }

  SimFileSystem fs{1};
  HookFileSystem hooks{fs};
  ManualClock clock;
  Uuid store;
  std::unique_ptr<DataSegments> data;
};

TEST_F(DataSegmentsTest, NamesAreReadBack) {
  EXPECT_EQ(data_segment_file_name(kDataSegmentBit | 12), "0000000012.log");
  EXPECT_EQ(parse_data_segment_file_name("0000000012.log"), kDataSegmentBit | 12);
  for (const char* other :
       {"0000000012.wal", "12.log", "0000000000.log", "4294967295.log", "00000000x2.log"}) {
    EXPECT_EQ(parse_data_segment_file_name(other), std::nullopt) << other;
  }
  EXPECT_EQ((Position{kDataSegmentBit | 3, 64}).to_string(), "data segment 3 byte 64");
}

TEST_F(DataSegmentsTest, TheHeaderIsTheDocumentedOne) {
  const Position at = write("x");
  EXPECT_EQ(at, (Position{kDataSegmentBit | 1, 64}));
  EXPECT_EQ(
      to_hex(read({at.segment, 0}, 64)),
      hex_of_page(std::string(RUNNEL_SOURCE_DIR) + "/docs/formats/segment.md", "data-segment"));
}

TEST_F(DataSegmentsTest, WhatWasSyncedIsThereAfterAPowerCut) {
  const Position first = write("first");
  const Position second = write("second");
  EXPECT_EQ(second.offset, first.offset + 5);
  ASSERT_TRUE(data->sync());
  const Position large = write(std::string(990, 'l'));
  EXPECT_NE(large.segment, first.segment) << "it would be larger than a segment";
  ASSERT_TRUE(data->sync());
  const Position lost = write("lost");
  static_cast<void>(lost);
  fs.power_off(CutMode::kDropAll);
  data.reset();
  fs.boot();
  open();
  EXPECT_EQ(read(first, 5), "first");
  EXPECT_EQ(read(second, 6), "second");
  EXPECT_EQ(read(large, 990), std::string(990, 'l'));
  EXPECT_GT(write("next").segment, large.segment) << "an old segment is never written to";
}

TEST_F(DataSegmentsTest, NumbersThatTheIndexKnowsAreNotGivenOut) {
  data->skip_to(kDataSegmentBit | 7);
  data->skip_to(5);
  EXPECT_EQ(write("x").segment, kDataSegmentBit | 8);
}

TEST_F(DataSegmentsTest, AfterAFailedWriteAnotherSegmentIsTaken) {
  const Position first = write("first");
  Fault fault;
  fault.kind = FaultKind::kShortWrite;
  fs.set_fault(fault);
  const std::vector<Bytes> parts = {as_bytes("second")};
  EXPECT_FALSE(data->write(parts));
  fs.clear_fault();
  EXPECT_NE(write("third").segment, first.segment);
  EXPECT_EQ(data->segments().size(), 2U);
}

TEST_F(DataSegmentsTest, WhatWasNeverSyncedIsLeftAndAnotherSegmentTaken) {
  const Position first = write("what nobody committed");
  data->leave_current();
  ASSERT_TRUE(data->remove(first.segment));
  const Position second = write("what is next");
  EXPECT_NE(second.segment, first.segment);
  EXPECT_TRUE(data->sync());
  data->leave_current();
  EXPECT_TRUE(data->sync()) << "nothing is left to be synced";
}

TEST_F(DataSegmentsTest, ARemovedSegmentIsReadableForWhoHoldsIt) {
  const Position at = write("held");
  const auto file = data->file(at.segment);
  data->leave_current();
  ASSERT_TRUE(data->remove(at.segment));
  EXPECT_FALSE(data->file(at.segment));
  EXPECT_FALSE(data->remove(at.segment));
  std::array<std::byte, 4> bytes{};
  EXPECT_TRUE((*file)->read_exactly(at.offset, bytes));
}

TEST_F(DataSegmentsTest, ASegmentOfAnotherStoreIsRefused) {
  write("x");
  ASSERT_TRUE(data->sync());
  data.reset();
  store.bytes[0] = 99;
  const auto opened = DataSegments::open({"d", 1000, store, &fs, &clock});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code(), ErrorCode::kCorrupt);
}

// Closing it can take a tenth of a second, and everybody who reads would wait.
TEST_F(DataSegmentsTest, ADeletedSegmentIsClosedWhileOthersGoOn) {
  const Position at = write("x");
  ASSERT_TRUE(data->sync());
  data->leave_current();
  bool went_on = false;
  std::future<std::uint64_t> other;
  hooks.before_close.arm([&] {
    other = std::async(std::launch::async, [&] { return data->disk_bytes(); });
    went_on = other.wait_for(std::chrono::seconds(10)) == std::future_status::ready;
  });
  ASSERT_TRUE(data->remove(at.segment));
  other.wait();
  EXPECT_TRUE(went_on);
}

}  // namespace
}  // namespace runnel::storage
