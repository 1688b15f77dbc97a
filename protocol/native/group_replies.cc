#include "protocol/native/group_replies.h"

#include <cstring>
#include <vector>

#include "protocol/native/codec.h"
#include "protocol/native/codec_parts.h"

namespace runnel::protocol::native {
namespace {

/// Of the message that is copied. A field that has its default is left out, so these have not.
constexpr std::uint64_t kSomeCorrelation = 1;
constexpr std::uint32_t kSomeNumber = 1;

}  // namespace

GroupReplies::GroupReplies(SqlAnswer common) {
  common.rows = kSomeNumber;
  common.bytes = kSomeNumber;
  SqlReply reply;
  reply.answers.push_back(std::move(common));
  head_ = encode(kSomeCorrelation, Response(std::move(reply)), kSomeNumber);
  if (head_.empty()) return;
  std::vector<std::uint64_t> aligned((head_.size() + 7) / 8);
  std::memcpy(aligned.data(), head_.data() + kFrameHeaderBytes, head_.size() - kFrameHeaderBytes);
  const auto* const begin = reinterpret_cast<const std::uint8_t*>(aligned.data());
  const auto place = [&](const flatbuffers::Table& table, flatbuffers::voffset_t field) {
    const std::uint8_t* const at = table.GetAddressOf(field);
    RUNNEL_ASSERT(at != nullptr);
    return kFrameHeaderBytes + static_cast<std::size_t>(at - begin);
  };
  const auto table = [](const auto* generated) -> const flatbuffers::Table& {
    return *reinterpret_cast<const flatbuffers::Table*>(generated);
  };
  const wire::Message* const message = wire::GetMessage(begin);
  const wire::SqlAnswer* const answer = message->body_as_SqlReply()->answers()->Get(0);
  correlation_at_ = place(table(message), wire::Message::VT_CORRELATION);
  rows_at_ = place(table(answer), wire::SqlAnswer::VT_ROWS);
  bytes_at_ = place(table(answer), wire::SqlAnswer::VT_BYTES);
}

bool GroupReplies::append(std::uint64_t correlation, std::uint32_t rows, std::string_view cells,
                          std::string& out) const {
  if (head_.empty() || cells.size() > kMaxFrameBytes - head_.size()) return false;
  const std::size_t begin = out.size();
  out.append(as_text(head_.bytes())).append(cells);
  char* const frame = out.data() + begin;
  store_le(frame, static_cast<std::uint32_t>(head_.size() + cells.size() - sizeof(std::uint32_t)));
  store_le(frame + correlation_at_, correlation);
  store_le(frame + rows_at_, rows);
  store_le(frame + bytes_at_, static_cast<std::uint32_t>(cells.size()));
  return true;
}

}  // namespace runnel::protocol::native
