// CRC-32C (Castagnoli), the checksum of record batches.
#pragma once

#include <cstdint>

#include "protocol/base/buffer.h"

namespace runnel::protocol {

/// CRC-32C of `bytes`; with `seed` (an earlier result), that of the concatenation. Uses SSE4.2 (or
/// the ARM CRC instructions) where the processor has them. Thread safe.
[[nodiscard]] std::uint32_t crc32c(Bytes bytes, std::uint32_t seed = 0) noexcept;
/// The table-driven form, for processors without the instruction and to test the other against.
[[nodiscard]] std::uint32_t crc32c_portable(Bytes bytes, std::uint32_t seed = 0) noexcept;
/// True if crc32c() uses the processor's instruction.
[[nodiscard]] bool crc32c_is_accelerated() noexcept;

}  // namespace runnel::protocol
