// Frames <-> messages. The one place where FlatBuffers are built and verified.
#pragma once

#include <cstdint>
#include <optional>

#include "protocol/base/buffer.h"
#include "protocol/base/error.h"
#include "protocol/native/messages.h"

namespace runnel::protocol::native {

struct RequestFrame {
  std::uint64_t correlation = 0;
  Request request;
  Buffer attachment;  ///< shares the frame's memory
};
struct ResponseFrame {
  std::uint64_t correlation = 0;
  Response response;
  Buffer attachment;
};

/// The frame's head: lengths and message, ready to be followed by exactly `attachment_bytes` more
/// bytes, which the caller sends behind it without copying them. The attachment sizes in the
/// message must add up to it (asserted). Empty if the message is larger than kMaxMessageBytes or
/// the frame than kMaxFrameBytes: split the request. Thread safe.
[[nodiscard]] Buffer encode(std::uint64_t correlation, const Request& request,
                            std::uint64_t attachment_bytes = 0);
[[nodiscard]] Buffer encode(std::uint64_t correlation, const Response& response,
                            std::uint64_t attachment_bytes = 0);

/// Total size of the frame that starts at `bytes` (length field included), or nullopt while fewer
/// than 4 bytes are there. kMalformed if it is larger than `max_frame_bytes` or smaller than its
/// header.
[[nodiscard]] Result<std::optional<std::size_t>> frame_size(Bytes bytes,
                                                            std::uint32_t max_frame_bytes);

/// `frame` is one whole frame. Verified (depth, table count, size) before use. Names are plain
/// bytes, checked where they are used. An unknown kind decodes as UnknownRequest. Attachment sizes
/// announced in the message must add up to the attachment: kMalformed otherwise.
[[nodiscard]] Result<RequestFrame> decode_request(const Buffer& frame);
[[nodiscard]] Result<ResponseFrame> decode_response(const Buffer& frame);

/// The correlation id of a frame of which only header and message are there (`head`), for answering
/// a request that is too large to be taken in whole.
[[nodiscard]] Result<std::uint64_t> decode_correlation(const Buffer& head);

}  // namespace runnel::protocol::native
