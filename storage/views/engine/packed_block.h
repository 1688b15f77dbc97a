// A state's block as it is stored. Counts and sums are wide so that nothing overflows, and most of
// their bytes are zero: of each 8 bytes those that are not are kept, behind a mask of which they
// are.
//
//   packed  for each 8 bytes of the block (the last of them may be fewer):
//             mask u8: bit i: byte i is not zero
//             those bytes, in order
//
// docs/formats/view-state.md has a worked example. Private to the engine.
#pragma once

#include <cstddef>

#include "protocol/base/bytes.h"

namespace runnel::storage::views {

/// Appends `block`, packed.
void pack_block(Bytes block, ByteWriter& out);
/// Reads as many packed bytes as make `size` of them. False: not such bytes; `block` has no meaning
/// then.
[[nodiscard]] bool unpack_block(ByteReader& in, std::byte* block, std::size_t size) noexcept;

}  // namespace runnel::storage::views
