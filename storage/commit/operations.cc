#include "storage/commit/operations.h"

#include <limits>

namespace runnel::storage {

void encode_operation(ByteWriter& to, const Mutations::Change& change) {
  to.uvarint(static_cast<std::uint64_t>(change.kind));
  to.le(static_cast<std::uint8_t>(change.family));
  to.text(change.key);
  if (change.kind != Mutations::Kind::kErase) to.text(change.value);
}

void encode_operation(ByteWriter& to, const AppendOperation& append) {
  to.uvarint(kAppendOperation).uvarint(append.partition.value()).uvarint(append.bytes);
}

Result<Operation> decode_operation(ByteReader& from) {
  const std::uint64_t kind = from.uvarint();
  if (kind == kAppendOperation) {
    const std::uint64_t partition = from.uvarint();
    const std::uint64_t bytes = from.uvarint();
    constexpr std::uint64_t kMax = std::numeric_limits<std::uint32_t>::max();
    if (!from.ok() || partition > kMax || bytes > kMax) {
      return fail(ErrorCode::kMalformed, "a frame's append operation is cut short or too large");
    }
    return AppendOperation{PartitionId(static_cast<std::uint32_t>(partition)),
                           static_cast<std::uint32_t>(bytes)};
  }
  if (kind < 1 || kind > 3) {
    return fail(ErrorCode::kMalformed, "unknown operation " + std::to_string(kind) +
                                           " in a frame; it was written by a newer version");
  }
  Mutations::Change change{static_cast<Mutations::Kind>(kind), Family::kMeta, {}, {}};
  const auto family = from.le<std::uint8_t>();
  change.key = std::string(from.text());
  if (change.kind != Mutations::Kind::kErase) change.value = std::string(from.text());
  if (!from.ok() || family >= kFamilyCount) {
    return fail(ErrorCode::kMalformed, "a frame's operation is cut short or names no key family");
  }
  change.family = static_cast<Family>(family);
  return change;
}

}  // namespace runnel::storage
