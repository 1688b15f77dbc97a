#include "storage/views/service/changelog_place.h"

#include <cstring>

#include "protocol/base/bytes.h"
#include "storage/views/worker/dead_letters.h"

namespace runnel::storage::views {
namespace {

constexpr std::uint8_t kFormat = 1;
constexpr std::uint8_t kTold = 1;
constexpr std::uint8_t kNext = 2;

void encode_offsets(const SourceOffsets& offsets, ByteWriter& out) {
  out.uvarint(offsets.size());
  for (const auto& [partition, offset] : offsets) {
    out.uvarint(partition).uvarint(static_cast<std::uint64_t>(offset));
  }
}

SourceOffsets decode_offsets(ByteReader& in) {
  SourceOffsets offsets;
  for (std::uint64_t left = in.uvarint(); left > 0 && in.ok(); --left) {
    const auto partition = static_cast<std::uint32_t>(in.uvarint());
    offsets[partition] = static_cast<std::int64_t>(in.uvarint());
  }
  return offsets;
}

}  // namespace

std::string changelog_key(ViewId id) {
  return position_prefix(kChangelogsPrefix, id);
}

std::string ChangelogPlace::encode() const {
  ByteWriter out;
  out.le(kFormat);
  out.raw(Bytes(reinterpret_cast<const std::byte*>(topic.bytes.data()), topic.bytes.size()));
  out.le(static_cast<std::uint8_t>((told ? kTold : 0) | (next ? kNext : 0)));
  if (told) encode_offsets(*told, out);
  if (next) {
    encode_offsets(*next, out);
    out.text(after);
  }
  return out.take();
}

bool ChangelogPlace::decode(std::string_view value) {
  *this = ChangelogPlace();
  ByteReader in(as_bytes(value));
  const auto format = in.le<std::uint8_t>();
  const Bytes id = in.take(topic.bytes.size());
  if (in.ok()) std::memcpy(topic.bytes.data(), id.data(), id.size());
  const auto parts = in.le<std::uint8_t>();
  if ((parts & kTold) != 0) told = decode_offsets(in);
  if ((parts & kNext) != 0) {
    next = decode_offsets(in);
    after = in.text();
  }
  return in.at_end() && format == kFormat && (parts & ~(kTold | kNext)) == 0;
}

}  // namespace runnel::storage::views
