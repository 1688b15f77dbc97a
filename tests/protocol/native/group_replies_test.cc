#include "protocol/native/group_replies.h"

#include <gtest/gtest.h>

#include "protocol/native/codec.h"

namespace runnel::protocol::native {
namespace {

SqlAnswer sample() {
  SqlAnswer answer;
  answer.tag = "SELECT";
  answer.columns = {{"campaign", "VARCHAR", AnswerColumn::Role::kDimension},
                    {"total", "DECIMAL(38,2)", AnswerColumn::Role::kMeasure}};
  answer.notices = {"a notice", ""};
  answer.positions = {{"orders", PartitionIndex(0), Offset(5)},
                      {"orders", PartitionIndex(1), Offset(0)}};
  answer.generation = 3;
  answer.sequence = 1ull << 40;
  return answer;
}

std::string cells_of(std::string_view a, std::string_view b) {
  std::string cells;
  append_cell(a, cells);
  append_cell(b, cells);
  return cells;
}

TEST(GroupReplies, EachFrameIsTheAnswerThatTheCodecMakes) {
  const GroupReplies replies(sample());
  struct One {
    std::uint64_t correlation;
    std::uint32_t rows;
    std::string cells;
  };
  const One all[] = {{7, 1, cells_of("sea", "12.30")},
                     {0, 0, ""},
                     {~std::uint64_t{0}, 1, cells_of(std::string(300, 'x'), "")}};
  std::string frames;
  for (const One& one : all) {
    ASSERT_TRUE(replies.append(one.correlation, one.rows, one.cells, frames));
  }
  std::string_view rest = frames;
  for (const One& one : all) {
    const auto size = frame_size(as_bytes(rest), kMaxFrameBytes);
    ASSERT_TRUE(size && *size && **size <= rest.size());
    const auto decoded = decode_response(Buffer::copy_of(as_bytes(rest.substr(0, **size))));
    ASSERT_TRUE(decoded) << decoded.error().to_string();
    EXPECT_EQ(decoded->correlation, one.correlation);
    SqlAnswer expected = sample();
    expected.rows = one.rows;
    expected.bytes = static_cast<std::uint32_t>(one.cells.size());
    EXPECT_EQ(std::get<SqlReply>(decoded->response).answers, std::vector{expected});
    EXPECT_EQ(as_text(decoded->attachment.bytes()), one.cells);
    rest.remove_prefix(**size);
  }
  EXPECT_TRUE(rest.empty());
}

TEST(GroupReplies, WhatDoesNotFitIntoAFrameIsNotAppended) {
  const GroupReplies replies(sample());
  std::string frames = "before";
  const std::string cells(kMaxFrameBytes, 'x');
  EXPECT_FALSE(replies.append(1, 1, cells, frames));
  SqlAnswer large = sample();
  large.notices = {std::string(kMaxMessageBytes, 'x')};
  EXPECT_FALSE(GroupReplies(large).append(1, 0, "", frames));
  EXPECT_EQ(frames, "before");
}

}  // namespace
}  // namespace runnel::protocol::native
