// Blocks of zeros and of anything, packed and unpacked.
#include "storage/views/engine/packed_block.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <optional>

#include "tests/support/format_page.h"

namespace runnel::storage::views {
namespace {

std::string packed(std::string_view block) {
  ByteWriter out;
  pack_block(as_bytes(block), out);
  return out.take();
}

/// nullopt: refused, or not all of it was read.
std::optional<std::string> unpacked(std::string_view bytes, std::size_t size) {
  ByteReader in(as_bytes(bytes));
  std::string block(size, 'x');
  const bool sound = unpack_block(in, reinterpret_cast<std::byte*>(block.data()), size);
  if (!sound || !in.at_end()) return std::nullopt;
  return block;
}

TEST(PackedBlock, ZerosTakeABitEach) {
  EXPECT_EQ(to_hex(packed("")), "");
  EXPECT_EQ(to_hex(packed(std::string(9, '\0'))), "0000");
  EXPECT_EQ(to_hex(packed(std::string("\x01\0\0\0\0\0\0\x02\x03", 9))), "8101020103");
  EXPECT_EQ(to_hex(packed("\xff\xff\xff\xff\xff\xff\xff\xff")), "ffffffffffffffffff");
}

TEST(PackedBlock, WhateverTheBytesTheyComeBackAndTornOnesAreRefused) {
  EXPECT_TRUE(rc::check("blocks round-trip", [] {
    const auto byte =
        rc::gen::weightedOneOf<char>({{3, rc::gen::just('\0')}, {1, rc::gen::arbitrary<char>()}});
    const auto block = *rc::gen::container<std::string>(byte);
    const std::string bytes = packed(block);
    RC_ASSERT(unpacked(bytes, block.size()) == block);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      RC_ASSERT(!unpacked(std::string_view(bytes).substr(0, size), block.size()));
    }
  }));
}

TEST(PackedBlock, BytesBehindTheBlocksEndAreRefused) {
  EXPECT_EQ(unpacked("\x02\x05", 2), std::string("\0\x05", 2));
  EXPECT_EQ(unpacked("\x04\x05", 2), std::nullopt);
  EXPECT_EQ(unpacked("\x80\x05", 7), std::nullopt);
}

TEST(PackedBlock, ABlockIsWrittenInOneWay) {
  EXPECT_EQ(unpacked(std::string("\x01\0", 2), 8), std::nullopt);
}

}  // namespace
}  // namespace runnel::storage::views
