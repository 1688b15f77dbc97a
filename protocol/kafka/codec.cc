#include "protocol/kafka/codec.h"

#include <algorithm>

namespace runnel::protocol::kafka {
namespace {

/// Enough for most responses to be written without growing.
constexpr std::size_t kUsualFrameBytes = 256;
/// Text this short takes no memory of its own.
constexpr std::size_t kInlineTextBytes = 15;

[[nodiscard]] std::string api_version(ApiKey key, std::int16_t version) {
  return std::string(name_of(key)) + " v" + std::to_string(version);
}

/// Response headers have tagged fields in flexible versions, but for ApiVersions.
[[nodiscard]] bool has_tagged_response_header(ApiKey key, std::int16_t version) {
  return key != ApiKey::kApiVersions && api_info(key).is_flexible(version);
}

}  // namespace

// ---- Reader

Reader::Reader(Bytes bytes, std::int16_t version, bool flexible)
    : Fields(version, flexible),
      start_(bytes.data()),
      at_(bytes.data()),
      end_(bytes.data() + bytes.size()),
      budget_(2 * bytes.size() + kDecodeSlackBytes) {}

void Reader::stop(const char* reason) noexcept {
  if (!ok_) return;
  ok_ = false;
  reason_ = reason;
  failed_at_ = static_cast<std::size_t>(at_ - start_);
  end_ = at_;
}

Status Reader::status(std::string_view what) const {
  if (ok_) return {};
  return fail(ErrorCode::kMalformed, std::string(what) + " is malformed at byte " +
                                         std::to_string(failed_at_) + ": " + reason_ +
                                         "; check what the sender is and which protocol it speaks");
}

void Reader::boolean(bool& value) {
  std::int8_t byte = 0;
  integer(byte);
  value = byte != 0;
}

std::uint32_t Reader::uvarint() {
  std::uint32_t value = 0;
  for (unsigned shift = 0; shift < 35; shift += 7) {
    if (at_ == end_) {
      stop("it ends within a varint");
      return 0;
    }
    const auto byte = static_cast<std::uint8_t>(*at_++);
    value |= static_cast<std::uint32_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) return value;
  }
  stop("a varint has more than five bytes");
  return 0;
}

bool Reader::charge(std::size_t count, std::size_t element_bytes) {
  // `count` was compared with the bytes that remain: the product cannot overflow.
  const std::size_t bytes = count * element_bytes;
  if (bytes > budget_) {
    stop("it unfolds to more memory than twice its size");
    return false;
  }
  budget_ -= bytes;
  return true;
}

std::int32_t Reader::length(Shape shape, std::int32_t, bool null_allowed,
                            std::size_t element_bytes) {
  std::int32_t size = 0;
  if (is_flexible()) {
    size = static_cast<std::int32_t>(uvarint() - 1);
  } else if (shape == Shape::kText) {
    std::int16_t classic = 0;
    integer(classic);
    size = classic;
  } else {
    integer(size);
  }
  if (!ok_) return 0;
  if (size < 0) {  // any negative length is null, as Kafka reads it
    if (null_allowed) return kNull;
    stop("a field that must not be null is");
    return 0;
  }
  const auto count = static_cast<std::size_t>(size);
  if (count > remaining()) {  // an element of an array takes a byte or more
    stop("a length exceeds the bytes that follow");
    return 0;
  }
  if (shape == Shape::kText && count > kMaxTextBytes) {
    stop("a string is longer than 32767 bytes");
    return 0;
  }
  if (shape == Shape::kText && count <= kInlineTextBytes) return size;
  return charge(count, element_bytes) ? size : 0;
}

bool Reader::presence(bool) {
  std::int8_t byte = -1;
  integer(byte);
  return ok_ && byte >= 0;
}

Bytes Reader::content(Bytes, std::size_t size) {
  if (!ok_) return {};
  if (remaining() < size) {
    stop("it ends within a field");
    return {};
  }
  const Bytes bytes{at_, size};
  at_ += size;
  return bytes;
}

void Reader::tagged(const Tag* first, const Tag* last) {
  const std::uint32_t count = uvarint();
  if (count > remaining() / 2) return stop("more tagged fields are announced than bytes follow");
  for (std::uint32_t i = 0; i < count && ok_; ++i) {
    const std::uint32_t number = uvarint();
    const std::uint32_t size = uvarint();
    if (size > remaining()) return stop("a tagged field exceeds the bytes that follow");
    const std::byte* const end = end_;
    end_ = at_ + size;
    const Tag* const known = std::find_if(
        first, last, [&](const Tag& t) { return t.number == number && in(t.versions); });
    if (known == last) {
      at_ = end_;
    } else {
      known->describe(*this, known->field);
      if (ok_ && at_ != end_) stop("a tagged field is longer than what it holds");
    }
    if (ok_) end_ = end;
  }
}

// ---- Writer

std::int32_t Writer::length(Shape shape, std::int32_t given, bool null_allowed, std::size_t) {
  std::int32_t size = given;
  if (shape == Shape::kText) size = std::min(size, static_cast<std::int32_t>(kMaxTextBytes));
  const std::int32_t written = size == kNull && !null_allowed ? 0 : size;
  if (is_flexible()) {
    out_.uvarint(static_cast<std::uint32_t>(written) + 1);
  } else if (shape == Shape::kText) {
    out_.be(static_cast<std::int16_t>(written));
  } else {
    out_.be(written);
  }
  return size;
}

bool Writer::presence(bool given) {
  out_.be(static_cast<std::int8_t>(given ? 1 : -1));
  return given;
}

Bytes Writer::content(Bytes given, std::size_t size) {
  out_.raw(given.first(size));
  return given;
}

void Writer::records(Records& value) {
  if (value.gap_bytes == 0) return Fields::records(value);
  RUNNEL_ASSERT(!value.bytes || value.bytes->empty());
  RUNNEL_ASSERT(value.gap_bytes <= INT32_MAX);
  length(Shape::kBytes, static_cast<std::int32_t>(value.gap_bytes), true, 0);
  gaps_.push_back({out_.size(), value.gap_bytes});
}

void Writer::tagged(const Tag* first, const Tag* last) {
  const auto is_written = [&](const Tag& t) { return !t.is_default && in(t.versions); };
  out_.uvarint(static_cast<std::uint64_t>(std::count_if(first, last, is_written)));
  for (const Tag* t = first; t != last; ++t) {
    if (!is_written(*t)) continue;
    Writer field(version(), is_flexible());
    t->describe(field, t->field);
    out_.uvarint(t->number).block(field.out_.bytes());
  }
}

// ---- frames

Result<std::optional<std::size_t>> frame_size(Bytes bytes, std::uint32_t min_bytes,
                                              std::uint32_t max_bytes) {
  if (bytes.size() < kLengthBytes) return std::nullopt;
  const auto length = load_be<std::int32_t>(bytes.data());
  if (length < 0 || static_cast<std::uint32_t>(length) < min_bytes ||
      static_cast<std::uint32_t>(length) > max_bytes) {
    return fail(ErrorCode::kMalformed,
                "a frame of " + std::to_string(length) + " bytes; " + std::to_string(min_bytes) +
                    " to " + std::to_string(max_bytes) +
                    " are allowed. Check that the sender speaks Kafka's protocol, without TLS");
  }
  return kLengthBytes + static_cast<std::size_t>(length);
}

Result<ReceivedRequest> decode_request_header(Bytes frame) {
  ReceivedRequest request;
  RequestHeader& header = request.header;
  Reader fixed(frame, 0, false);
  fixed(header.key);
  fixed(header.version);
  fixed(header.correlation_id);
  RUNNEL_TRY(fixed.status("a request header"));
  const ApiInfo* const api = find_api(static_cast<std::int16_t>(header.key));
  const bool tags = api != nullptr && api->is_flexible(header.version);
  Reader classic(fixed.rest(), 0, false);
  classic(header.client_id);
  Reader flexible(classic.rest(), 0, tags);
  if (classic.ok()) flexible.tags();
  if (api == nullptr || !api->has(header.version)) {
    if (classic.ok() && flexible.ok()) request.body = flexible.rest();
    return request;
  }
  RUNNEL_TRY(classic.status("the client id of a request header"));
  RUNNEL_TRY(flexible.status("the tagged fields of a request header"));
  request.body = flexible.rest();
  return request;
}

Result<ReceivedResponse> decode_response_header(Bytes frame, ApiKey key, std::int16_t version) {
  ReceivedResponse response;
  Reader reader(frame, 0, has_tagged_response_header(key, version));
  reader(response.correlation_id);
  reader.tags();
  RUNNEL_TRY(reader.status("a response header"));
  response.body = reader.rest();
  return response;
}

// ---- whole messages

namespace detail {

Status check_version(ApiKey key, std::int16_t version) {
  const ApiInfo& api = api_info(key);
  if (api.has(version)) return {};
  return fail(ErrorCode::kUnsupported, api_version(key, version) + " is not known; versions " +
                                           std::to_string(api.min_version) + " to " +
                                           std::to_string(api.max_version) + " are");
}

Status finish(const Reader& reader, ApiKey key, std::int16_t version, Side side) {
  if (reader.ok()) return {};
  const std::string_view kind = side == Side::kRequest ? " request" : " response";
  return reader.status("a " + api_version(key, version) + std::string(kind));
}

void begin_request(Writer& writer, const RequestHeader& header) {
  writer.out().be(std::int32_t{0});
  writer.out().be(static_cast<std::int16_t>(header.key));
  writer.out().be(header.version).be(header.correlation_id);
  Writer classic(0, false);
  auto client_id = header.client_id;
  classic(client_id);
  writer.out().raw(classic.out().bytes());
  writer.tags();
}

void begin_response(Writer& writer, ApiKey key, std::int16_t version, std::int32_t correlation_id) {
  writer.out().str().reserve(kUsualFrameBytes);
  writer.out().be(std::int32_t{0}).be(correlation_id);
  if (has_tagged_response_header(key, version)) writer.tags();
}

Frame end(Writer& writer) {
  Frame frame;
  frame.gaps = std::move(writer.gaps());
  std::size_t total = writer.out().size();
  for (const Gap& gap : frame.gaps) total += gap.bytes;
  if (total > INT32_MAX) return {};
  auto bytes = std::make_shared<std::string>(writer.out().take());
  store_be(bytes->data(), static_cast<std::int32_t>(total - kLengthBytes));
  auto* const data = reinterpret_cast<std::byte*>(bytes->data());
  const std::size_t size = bytes->size();
  frame.head = Buffer::of(std::move(bytes), {data, size});
  return frame;
}

}  // namespace detail
}  // namespace runnel::protocol::kafka
