#include "protocol/native/codec.h"

#include <cstring>
#include <limits>

#include "protocol/base/bytes.h"
#include "protocol/native/codec_parts.h"

namespace runnel::protocol::native {
namespace {

constexpr std::size_t kLengthBytes = 4;
constexpr flatbuffers::uoffset_t kMaxDepth = 16;
constexpr flatbuffers::uoffset_t kMaxTables = 1u << 18;
/// What one message may unfold to in memory, strings and list elements together.
constexpr std::size_t kMaxDecodedBytes = 64u << 20;
/// A builder that grew beyond this is not kept.
constexpr std::size_t kKeptBuilderBytes = 256u << 10;
static_assert(kMaxMessageBytes < kMaxFrameBytes);
static_assert(kMaxMessageBytes <= FLATBUFFERS_MAX_BUFFER_SIZE);

template <class M>
Buffer encode_message(std::uint64_t correlation, const M& message, std::uint64_t attachment_bytes) {
  RUNNEL_ASSERT(detail::announced_bytes(message) == attachment_bytes);
  thread_local detail::Builder builder;
  builder.Clear();
  const detail::Built built = detail::build(builder, message);
  builder.Finish(wire::CreateMessage(builder, correlation, built.kind, built.table));
  const std::size_t size = builder.GetSize();
  Buffer head;
  if (size <= kMaxMessageBytes && attachment_bytes <= kMaxFrameBytes - kFrameHeaderBytes - size) {
    head = Buffer::allocate(kFrameHeaderBytes + size);
    const std::uint64_t frame_length = kLengthBytes + size + attachment_bytes;
    store_le(head.mutable_data(), static_cast<std::uint32_t>(frame_length));
    store_le(head.mutable_data() + kLengthBytes, static_cast<std::uint32_t>(size));
    std::memcpy(head.mutable_data() + kFrameHeaderBytes, builder.GetBufferPointer(), size);
  }
  if (size > kKeptBuilderBytes) builder.Reset();
  return head;
}

struct Parts {
  Bytes message;
  Buffer attachment;
};

Result<Parts> split(const Buffer& frame) {
  if (frame.size() < kFrameHeaderBytes) {
    return fail(ErrorCode::kMalformed, "a native frame of " + std::to_string(frame.size()) +
                                           " bytes is shorter than its 8-byte header");
  }
  const auto frame_length = load_le<std::uint32_t>(frame.data());
  if (frame_length != frame.size() - kLengthBytes) {
    return fail(ErrorCode::kMalformed, "a native frame announces " + std::to_string(frame_length) +
                                           " bytes and has " +
                                           std::to_string(frame.size() - kLengthBytes));
  }
  const auto message_length = load_le<std::uint32_t>(frame.data() + kLengthBytes);
  const std::size_t rest = frame.size() - kFrameHeaderBytes;
  if (message_length > rest || message_length > kMaxMessageBytes) {
    return fail(ErrorCode::kMalformed,
                "a native frame's message length of " + std::to_string(message_length) +
                    " is more than the frame (" + std::to_string(rest) + ") or the limit (" +
                    std::to_string(kMaxMessageBytes) + ") allows");
  }
  Parts parts;
  parts.message = frame.bytes().subspan(kFrameHeaderBytes, message_length);
  parts.attachment = frame.slice(kFrameHeaderBytes + message_length, rest - message_length);
  return parts;
}

/// The verified message. `aligned` keeps the copy that is needed when the frame lies unaligned.
Result<const wire::Message*> verified(Bytes message, std::vector<std::uint64_t>& aligned) {
  const std::byte* data = message.data();
  if (reinterpret_cast<std::uintptr_t>(data) % alignof(std::uint64_t) != 0) {
    aligned.resize((message.size() + 7) / 8);
    std::memcpy(aligned.data(), data, message.size());
    data = reinterpret_cast<const std::byte*>(aligned.data());
  }
  flatbuffers::Verifier::Options options;
  options.max_depth = kMaxDepth;
  options.max_tables = kMaxTables;
  flatbuffers::Verifier verifier(reinterpret_cast<const std::uint8_t*>(data), message.size(),
                                 options);
  if (!wire::VerifyMessageBuffer(verifier)) {
    return fail(ErrorCode::kMalformed,
                "a native frame's message is not a valid FlatBuffer of runnel.fbs");
  }
  return wire::GetMessage(data);
}

template <class Frame, class M>
Result<Frame> decode(const Buffer& frame, M (*read)(detail::Decoder&, const wire::Message&),
                     M Frame::*member) {
  RUNNEL_TRY_ASSIGN(Parts parts, split(frame));
  std::vector<std::uint64_t> aligned;
  RUNNEL_TRY_ASSIGN(const wire::Message* const message, verified(parts.message, aligned));
  if (message->body_type() == wire::Body::NONE) {
    return fail(ErrorCode::kMalformed, "a native frame's message has no body");
  }
  detail::Decoder decoder(kMaxDecodedBytes);
  Frame out;
  out.correlation = message->correlation();
  out.*member = read(decoder, *message);
  if (!decoder.ok()) {
    return fail(ErrorCode::kMalformed, "a native frame's message is wrong: " + decoder.reason());
  }
  out.attachment = std::move(parts.attachment);
  return out;
}

Status check_attachment(std::uint64_t announced, std::size_t actual) {
  if (announced == actual) return {};
  return fail(ErrorCode::kMalformed,
              "a native frame's message announces " + std::to_string(announced) +
                  " bytes of attachment and the frame has " + std::to_string(actual));
}

}  // namespace

Buffer encode(std::uint64_t correlation, const Request& request, std::uint64_t attachment_bytes) {
  return encode_message(correlation, request, attachment_bytes);
}

Buffer encode(std::uint64_t correlation, const Response& response, std::uint64_t attachment_bytes) {
  return encode_message(correlation, response, attachment_bytes);
}

Result<std::optional<std::size_t>> frame_size(Bytes bytes, std::uint32_t max_frame_bytes) {
  if (bytes.size() < kLengthBytes) return std::optional<std::size_t>();
  const std::uint64_t size = kLengthBytes + std::uint64_t{load_le<std::uint32_t>(bytes.data())};
  if (size < kFrameHeaderBytes || size > max_frame_bytes) {
    return fail(ErrorCode::kMalformed,
                "a native frame of " + std::to_string(size) + " bytes is outside the limits of " +
                    std::to_string(kFrameHeaderBytes) + " to " + std::to_string(max_frame_bytes));
  }
  return std::optional<std::size_t>(static_cast<std::size_t>(size));
}

Result<RequestFrame> decode_request(const Buffer& frame) {
  RUNNEL_TRY_ASSIGN(RequestFrame out, decode(frame, detail::read_request, &RequestFrame::request));
  // What a kind that is not known says about its attachment is not known either.
  if (!std::holds_alternative<UnknownRequest>(out.request)) {
    RUNNEL_TRY(check_attachment(detail::announced_bytes(out.request), out.attachment.size()));
  }
  return out;
}

Result<ResponseFrame> decode_response(const Buffer& frame) {
  RUNNEL_TRY_ASSIGN(ResponseFrame out,
                    decode(frame, detail::read_response, &ResponseFrame::response));
  RUNNEL_TRY(check_attachment(detail::announced_bytes(out.response), out.attachment.size()));
  return out;
}

Result<std::uint64_t> decode_correlation(const Buffer& head) {
  if (head.size() < kFrameHeaderBytes ||
      load_le<std::uint32_t>(head.data() + kLengthBytes) != head.size() - kFrameHeaderBytes) {
    return fail(ErrorCode::kMalformed, "a native frame's head has another size than it announces");
  }
  std::vector<std::uint64_t> aligned;
  RUNNEL_TRY_ASSIGN(const wire::Message* const message,
                    verified(head.bytes().subspan(kFrameHeaderBytes), aligned));
  return message->correlation();
}

}  // namespace runnel::protocol::native
