#include "storage/views/engine/packed_block.h"

#include <algorithm>
#include <bit>

namespace runnel::storage::views {
namespace {

constexpr std::size_t kWord = sizeof(std::uint64_t);
constexpr std::uint64_t kByte = 0xff;

}  // namespace

void pack_block(Bytes block, ByteWriter& out) {
  std::string& to = out.str();
  std::size_t at = to.size();
  const std::size_t words = (block.size() + kWord - 1) / kWord;
  to.resize(at + words * (1 + kWord));
  for (; !block.empty(); block = block.subspan(std::min(kWord, block.size()))) {
    std::uint64_t word = 0;
    std::memcpy(&word, block.data(), std::min(kWord, block.size()));
    const std::size_t mask_at = at++;
    unsigned mask = 0;
    for (unsigned i = 0; word != 0; ++i, word >>= 8) {
      if ((word & kByte) == 0) continue;
      mask |= 1u << i;
      to[at++] = static_cast<char>(word & kByte);
    }
    to[mask_at] = static_cast<char>(mask);
  }
  to.resize(at);
}

bool unpack_block(ByteReader& in, std::byte* block, std::size_t size) noexcept {
  for (std::size_t at = 0; at < size; at += kWord) {
    const std::size_t here = std::min(kWord, size - at);
    std::uint64_t word = 0;
    auto mask = static_cast<unsigned>(in.le<std::uint8_t>());
    if ((mask >> here) != 0) return false;
    for (; mask != 0; mask &= mask - 1) {
      const std::uint64_t byte = in.le<std::uint8_t>();
      if (byte == 0) return false;  // one way to write each block
      word |= byte << (std::countr_zero(mask) * 8);
    }
    std::memcpy(block + at, &word, here);
  }
  return in.ok();
}

}  // namespace runnel::storage::views
