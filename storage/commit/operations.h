// Operations: what a frame does, besides carrying record batches. docs/formats/segment.md.
//
//   uvarint kind, then by kind:
//     1 put          family u8, key block, value block
//     2 erase        family u8, key block
//     3 erase range  family u8, begin block, end block
//     4 append       partition id uvarint, bytes uvarint: the next `bytes` of the frame's payload
//                    are batches of that partition, base offsets stamped
//   block: uvarint length, then the bytes.
//
// Index entries, segment spans and producer states are derived from the batches of an append, by
// the same code when writing and when replaying, so they are not stored a second time.
#pragma once

#include <cstdint>
#include <variant>

#include "protocol/base/bytes.h"
#include "protocol/base/error.h"
#include "protocol/base/strong.h"
#include "storage/index/index.h"

namespace runnel::storage {

/// Kinds 1 to 3 are Mutations::Kind.
inline constexpr std::uint64_t kAppendOperation = 4;

struct AppendOperation {
  PartitionId partition;
  std::uint32_t bytes = 0;
};

void encode_operation(ByteWriter& to, const Mutations::Change& change);
void encode_operation(ByteWriter& to, const AppendOperation& append);

using Operation = std::variant<Mutations::Change, AppendOperation>;
/// The next operation. kMalformed for a kind, family or length that can't be.
[[nodiscard]] Result<Operation> decode_operation(ByteReader& from);

}  // namespace runnel::storage
