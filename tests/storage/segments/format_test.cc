// The worked examples in docs/formats are what the code writes and reads.
#include <gtest/gtest.h>

#include <cctype>
#include <cstdio>
#include <fstream>
#include <sstream>

#include "storage/segments/anchor.h"
#include "storage/segments/frame.h"

namespace runnel::storage {
namespace {

/// The bytes of the first ```hex block of a page; text behind '#' is a remark.
std::string example_of(const std::string& page) {
  std::ifstream in(std::string(RUNNEL_SOURCE_DIR) + "/docs/formats/" + page);
  std::string line;
  std::string digits;
  while (std::getline(in, line) && line != "```hex") {
  }
  while (std::getline(in, line) && line != "```") {
    for (const char c : line.substr(0, line.find('#'))) {
      if (std::isxdigit(static_cast<unsigned char>(c)) != 0) digits += c;
    }
  }
  std::string bytes;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

std::string hex(Bytes bytes) {
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    char two[4];
    std::snprintf(two, sizeof two, "%02x%c", static_cast<unsigned>(bytes[i]),
                  i % 16 == 15 ? '\n' : ' ');
    out += two;
  }
  return out;
}

Uuid example_store() {
  Uuid id;
  for (std::size_t i = 0; i < id.bytes.size(); ++i) id.bytes[i] = static_cast<std::uint8_t>(i);
  return id;
}

constexpr std::uint64_t kExampleSeed = 0x0123456789abcdef;

TEST(SegmentFormat, TheWorkedExampleIsWhatIsWritten) {
  const auto head =
      encode_segment_header({1, 65'536, example_store(), Timestamp(1'700'000'000'000), 0});
  FrameHeader frame;
  frame.operations_bytes = 3;
  frame.payload_bytes = 7;
  frame.sequence = 1;
  frame.position = {1, 64};
  frame.durable = {1, 64};
  frame.time = Timestamp(1'700'000'000'001);
  frame.operation_count = 1;
  frame.batch_count = 2;
  const Bytes payload[] = {as_bytes("pay"), as_bytes("load")};
  const auto sealed = seal_frame(frame, as_bytes("ops"), payload, kExampleSeed);
  std::string written(as_text(head));
  written += as_text(sealed);
  written += "opspayload";
  written.resize(kSegmentHeaderBytes + frame.total_bytes());
  EXPECT_EQ(example_of("segment.md"), written) << hex(as_bytes(written));
}

TEST(SegmentFormat, TheWorkedExampleIsRead) {
  const std::string example = example_of("segment.md");
  ASSERT_EQ(example.size(), 152u);
  const Bytes bytes = as_bytes(example);
  const auto head = read_segment_header(bytes);
  ASSERT_TRUE(head);
  EXPECT_EQ(head->number, 1u);
  EXPECT_EQ(head->store, example_store());
  const auto frame = read_frame_header(bytes.subspan(64));
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->payload_position(), (Position{1, 64 + 72 + 3}));
  EXPECT_TRUE(
      frame_checksum_matches(*frame, bytes.subspan(64), bytes.subspan(136, 10), kExampleSeed));
  EXPECT_FALSE(
      frame_checksum_matches(*frame, bytes.subspan(64), bytes.subspan(136, 9), kExampleSeed));
}

TEST(SegmentFormat, HeadersAreRefusedAtEveryTruncationAndFlip) {
  std::string example = example_of("segment.md");
  ASSERT_EQ(example.size(), 152u);
  for (std::size_t n = 0; n < kSegmentHeaderBytes; ++n) {
    EXPECT_FALSE(read_segment_header(as_bytes(example).first(n)));
  }
  for (std::size_t n = 0; n < kFrameHeaderBytes; ++n) {
    EXPECT_FALSE(read_frame_header(as_bytes(example).subspan(64, n)));
  }
  for (std::size_t bit = 0; bit < kSegmentHeaderBytes * 8; ++bit) {
    example[bit / 8] = static_cast<char>(example[bit / 8] ^ (1 << bit % 8));
    EXPECT_FALSE(read_segment_header(as_bytes(example))) << "bit " << bit;
    example[bit / 8] = static_cast<char>(example[bit / 8] ^ (1 << bit % 8));
  }
}

TEST(AnchorFormat, TheWorkedExampleIsWhatIsWrittenAndRead) {
  const std::string example = example_of("anchor.md");
  const auto slot = encode_anchor({3, {2, 160}, 9, example_store()});
  EXPECT_EQ(example, as_text(slot)) << hex(slot);
  const auto anchor = read_anchor_slot(as_bytes(example));
  ASSERT_TRUE(anchor);
  EXPECT_EQ(anchor->counter, 3u);
  EXPECT_EQ(anchor->durable, (Position{2, 160}));
  EXPECT_EQ(anchor->sequence, 9u);
}

TEST(AnchorFormat, AnyFlipOfWhatIsCoveredMakesItNoWitness) {
  auto slot = encode_anchor({3, {2, 160}, 9, example_store()});
  for (std::size_t bit = 0; bit < 56 * 8; ++bit) {
    slot[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
    EXPECT_FALSE(read_anchor_slot(slot)) << "bit " << bit;
    slot[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
  }
}

}  // namespace
}  // namespace runnel::storage
