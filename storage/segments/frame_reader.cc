#include "storage/segments/frame_reader.h"

#include <algorithm>
#include <cstring>

#include "storage/segments/frame.h"

namespace runnel::storage {

Result<Bytes> FrameReader::view(std::uint64_t offset, std::uint64_t length) {
  if (offset >= size_) return Bytes();
  length = std::min(length, size_ - offset);
  if (offset < window_at_ || offset + length > window_at_ + window_bytes_) {
    const std::uint64_t want =
        std::min<std::uint64_t>(std::max<std::uint64_t>(length, kReadWindowBytes), size_ - offset);
    if (window_.size() < want) window_ = Buffer::allocate(want);
    window_bytes_ = 0;
    RUNNEL_TRY_ASSIGN(window_bytes_, file_->read(offset, window_.mutable_bytes().first(want)));
    window_at_ = offset;
  }
  const std::uint64_t skip = offset - window_at_;
  return window_.bytes().subspan(skip, std::min(length, window_bytes_ - skip));
}

Result<std::optional<SegmentHeader>> FrameReader::header() {
  RUNNEL_TRY_ASSIGN(const Bytes bytes, view(0, kSegmentHeaderBytes));
  auto header = read_segment_header(bytes);
  if (!header && header.error().code() == ErrorCode::kFormatTooNew) {
    return fail(header.error().within(file_->path()));
  }
  if (header && header->number == number_) return std::optional(*header);
  why_ = header ? "its header is that of segment " + std::to_string(header->number)
                : header.error().message();
  return std::optional<SegmentHeader>();
}

Result<std::optional<FrameView>> FrameReader::frame(std::uint64_t offset) {
  const auto refuse = [this](std::string why) {
    why_ = std::move(why);
    return std::optional<FrameView>();
  };
  refused_.reset();
  RUNNEL_TRY_ASSIGN(Bytes bytes, view(offset, kFrameHeaderBytes));
  const auto header = read_frame_header(bytes);
  if (!header) return refuse(header.error().message());
  if (header->position != Position{number_, static_cast<std::uint32_t>(offset)}) {
    return refuse("the frame there was written for " + header->position.to_string());
  }
  refused_ = *header;
  const std::uint64_t body_bytes = std::uint64_t{header->operations_bytes} + header->payload_bytes;
  // Before anything of the announced size is allocated.
  if (body_bytes > size_ - offset - kFrameHeaderBytes)
    return refuse("the frame runs past the file");
  RUNNEL_TRY_ASSIGN(bytes, view(offset, kFrameHeaderBytes + body_bytes));
  if (bytes.size() < kFrameHeaderBytes + body_bytes) return refuse("the file was cut short");
  const Bytes body = bytes.subspan(kFrameHeaderBytes);
  std::vector<FileRange> damaged;
  const bool sound = frame_checksum_matches(*header, bytes, body, seed_, damaged);
  if (!sound || (!damaged.empty() && !shows_damaged_)) return refuse("checksum mismatch");
  refused_.reset();
  for (FileRange& r : damaged) {
    r.from += header->payload_position().offset;
    r.to += header->payload_position().offset;
  }
  return FrameView{*header, body.first(header->operations_bytes),
                   body.subspan(header->operations_bytes), std::move(damaged)};
}

Result<bool> FrameReader::skip_holes(std::uint64_t& offset) {
  if (!data_) {
    RUNNEL_TRY_ASSIGN(data_, file_->data_ranges());
  }
  const auto range = std::upper_bound(data_->begin(), data_->end(), offset,
                                      [](auto at, const FileRange& r) { return at < r.to; });
  if (range == data_->end()) return false;
  offset = std::max(offset, range->from / kFrameAlignment * kFrameAlignment);
  return offset + kFrameHeaderBytes <= size_;
}

Result<std::optional<FrameView>> FrameReader::find(std::uint64_t offset) {
  offset = (offset + kFrameAlignment - 1) / kFrameAlignment * kFrameAlignment;
  while (true) {
    RUNNEL_TRY_ASSIGN(const bool more, skip_holes(offset));
    if (!more) break;
    RUNNEL_TRY_ASSIGN(const Bytes head, view(offset, kFrameHeaderBytes));
    if (head.size() < kFrameHeaderBytes) break;
    // The rest of the window: asking for a whole one again after each candidate would read a
    // segment full of stale frames over and over.
    const Bytes chunk(head.data(), window_at_ + window_bytes_ - offset);
    std::size_t at = 0;
    while (at + kFrameMagic.size() <= chunk.size() &&
           std::memcmp(chunk.data() + at, kFrameMagic.data(), kFrameMagic.size()) != 0) {
      at += kFrameAlignment;
    }
    offset += at;
    if (at + kFrameMagic.size() > chunk.size()) continue;
    RUNNEL_TRY_ASSIGN(auto found, frame(offset));
    if (found) return found;
    offset += kFrameAlignment;
  }
  return std::optional<FrameView>();
}

}  // namespace runnel::storage
