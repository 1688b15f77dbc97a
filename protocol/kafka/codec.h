// Bytes <-> messages, for both sides of a connection. No I/O, no threads, no clock.
//
// A frame on the wire, all integers big-endian (docs/formats/kafka.md has a worked example):
//   offset size field                         request header, versions 1 and 2
//        0    4 length                        bytes after this field
//        4    2 API key
//        6    2 API version
//        8    4 correlation id                any number, comes back with the response
//       12  2+n client id                     classic string even in version 2; -1: null
//           1+n tagged fields                 version 2 only
//               body
//   offset size field                         response header, versions 0 and 1
//        0    4 length
//        4    4 correlation id
//        8  1+n tagged fields                 version 1 only
//               body
// Flexible versions of an API have request header 2 and response header 1, others 1 and 0. The
// response to ApiVersions always has header 0: its reader does not know yet what is spoken.
//
// Lifetime: what is decoded into std::string and std::vector is owned; every std::string_view and
// Bytes of a message points into the bytes it was decoded from, which must outlive it.
//
// Thread safety: functions of their arguments alone.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/base/buffer.h"
#include "protocol/base/bytes.h"
#include "protocol/base/error.h"
#include "protocol/kafka/api.h"
#include "protocol/kafka/fields.h"

namespace runnel::protocol::kafka {

/// Largest request taken in, as Kafka's socket.request.max.bytes.
inline constexpr std::uint32_t kMaxRequestBytes = 100u << 20;
/// Fewest bytes of a request after the length field: key, version, correlation id, client id.
inline constexpr std::uint32_t kMinRequestBytes = 10;
inline constexpr std::size_t kLengthBytes = 4;
/// Longest string Kafka reads. Longer ones are cut off when written.
inline constexpr std::size_t kMaxTextBytes = INT16_MAX;
/// Decoding allocates at most twice the bytes it is given, and this.
inline constexpr std::size_t kDecodeSlackBytes = 4u << 20;

// ---- frames

/// Total bytes of the frame that starts at `bytes`, its length field included; nullopt while fewer
/// than kLengthBytes are there. kMalformed if the length is below `min_bytes` or above `max_bytes`.
[[nodiscard]] Result<std::optional<std::size_t>> frame_size(
    Bytes bytes, std::uint32_t min_bytes = kMinRequestBytes,
    std::uint32_t max_bytes = kMaxRequestBytes);

struct RequestHeader {
  ApiKey key{};  ///< as received: perhaps not one of the enum
  std::int16_t version = 0;
  std::int32_t correlation_id = 0;
  std::optional<std::string_view> client_id;  ///< points into the frame
};
struct ReceivedRequest {
  RequestHeader header;
  Bytes body;
};
/// `frame` is what follows the length field. Of a key or version that is not in the table the
/// client id and body are what request header 1 (ApiVersions: 2) would make of them, or empty
/// where that does not fit: they are not to be relied on. kMalformed otherwise.
[[nodiscard]] Result<ReceivedRequest> decode_request_header(Bytes frame);

struct ReceivedResponse {
  std::int32_t correlation_id = 0;
  Bytes body;
};
/// `frame` is what follows the length field of the answer to a request of `key` and `version`.
[[nodiscard]] Result<ReceivedResponse> decode_response_header(Bytes frame, ApiKey key,
                                                              std::int16_t version);

/// Bytes to be sent, in which some are left out: at each gap the sender inserts `bytes` bytes of
/// its own (record batches from a file). The frame's length field counts them.
struct Gap {
  std::size_t at = 0;  ///< position in Frame::head; ascending
  std::size_t bytes = 0;
};
struct Frame {
  Buffer head;            ///< empty: the message is larger than a frame can be (2 GiB)
  std::vector<Gap> gaps;  ///< in the order of the message's Records that have gap_bytes
};

// ---- the two appliers of a description

/// Reads from bytes it does not own.
class Reader final : public Fields {
 public:
  Reader(Bytes bytes, std::int16_t version, bool flexible);

  [[nodiscard]] Bytes rest() const noexcept { return {at_, end_}; }
  /// kMalformed with `what`, where and why, if it failed.
  [[nodiscard]] Status status(std::string_view what) const;

 protected:
  void number(std::int8_t& value) override { integer(value); }
  void number(std::int16_t& value) override { integer(value); }
  void number(std::int32_t& value) override { integer(value); }
  void number(std::int64_t& value) override { integer(value); }
  void boolean(bool& value) override;
  std::int32_t length(Shape shape, std::int32_t given, bool null_allowed,
                      std::size_t element_bytes) override;
  bool presence(bool given) override;
  Bytes content(Bytes given, std::size_t size) override;
  void tagged(const Tag* first, const Tag* last) override;

 private:
  template <class T>
  void integer(T& value) {
    if (remaining() < sizeof(T)) return stop("it ends within a number");
    value = load_be<T>(at_);
    at_ += sizeof(T);
  }
  [[nodiscard]] std::uint32_t uvarint();
  [[nodiscard]] std::size_t remaining() const noexcept {
    return static_cast<std::size_t>(end_ - at_);
  }
  [[nodiscard]] bool charge(std::size_t count, std::size_t element_bytes);
  void stop(const char* reason) noexcept;

  const std::byte* start_;
  const std::byte* at_;
  const std::byte* end_;
  std::size_t budget_;            ///< bytes that may still be allocated
  const char* reason_ = nullptr;  ///< why it failed
  std::size_t failed_at_ = 0;
};

/// Appends to bytes it owns. Never fails.
class Writer final : public Fields {
 public:
  Writer(std::int16_t version, bool flexible) : Fields(version, flexible) {}

  /// `message` is not changed.
  template <class M>
  void write(const M& message) {
    const_cast<M&>(message).describe(*this);
  }
  [[nodiscard]] ByteWriter& out() noexcept { return out_; }
  [[nodiscard]] std::vector<Gap>& gaps() noexcept { return gaps_; }

 protected:
  void number(std::int8_t& value) override { out_.be(value); }
  void number(std::int16_t& value) override { out_.be(value); }
  void number(std::int32_t& value) override { out_.be(value); }
  void number(std::int64_t& value) override { out_.be(value); }
  void boolean(bool& value) override { out_.be(static_cast<std::int8_t>(value ? 1 : 0)); }
  std::int32_t length(Shape shape, std::int32_t given, bool null_allowed,
                      std::size_t element_bytes) override;
  bool presence(bool given) override;
  Bytes content(Bytes given, std::size_t size) override;
  void records(Records& value) override;
  void tagged(const Tag* first, const Tag* last) override;

 private:
  ByteWriter out_;
  std::vector<Gap> gaps_;
};

// ---- whole messages. M is a request or response; `version` one that the table has.

namespace detail {
[[nodiscard]] Status check_version(ApiKey key, std::int16_t version);
[[nodiscard]] Status finish(const Reader& reader, ApiKey key, std::int16_t version, Side side);
/// A writer that has the header and room for the length.
void begin_request(Writer& writer, const RequestHeader& header);
void begin_response(Writer& writer, ApiKey key, std::int16_t version, std::int32_t correlation_id);
[[nodiscard]] Frame end(Writer& writer);
}  // namespace detail

/// The message in `body`. Bytes behind it are passed over, as Kafka does. Errors: kUnsupported for
/// a version that is not in the table, kMalformed (what, where, why).
template <class M>
[[nodiscard]] Result<M> decode(Bytes body, std::int16_t version) {
  RUNNEL_TRY(detail::check_version(M::kApi, version));
  Reader reader(body, version, api_info(M::kApi).is_flexible(version));
  M message;
  message.describe(reader);
  RUNNEL_TRY(detail::finish(reader, M::kApi, version, M::kSide));
  return message;
}

/// The frame of a request. Fields that `header.version` lacks are left out; `header.key` is set.
template <class M>
[[nodiscard]] Frame encode_request(RequestHeader header, const M& message) {
  header.key = M::kApi;
  Writer writer(header.version, api_info(M::kApi).is_flexible(header.version));
  detail::begin_request(writer, header);
  writer.write(message);
  Frame frame = detail::end(writer);
  RUNNEL_ASSERT(!frame.head.empty());
  return frame;
}

/// The frame of a response. Fields that `version` lacks are left out. Its head may be empty:
/// how large an answer becomes is up to who asks, too.
template <class M>
[[nodiscard]] Frame encode_response(std::int32_t correlation_id, std::int16_t version,
                                    const M& message) {
  Writer writer(version, api_info(M::kApi).is_flexible(version));
  detail::begin_response(writer, M::kApi, version, correlation_id);
  writer.write(message);
  return detail::end(writer);
}

/// The bare message, without a header; no gaps.
template <class M>
[[nodiscard]] std::string encode_body(std::int16_t version, const M& message) {
  Writer writer(version, api_info(M::kApi).is_flexible(version));
  writer.write(message);
  RUNNEL_ASSERT(writer.gaps().empty());
  return writer.out().take();
}

}  // namespace runnel::protocol::kafka
