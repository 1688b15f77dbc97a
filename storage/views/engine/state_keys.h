// Where the parts of a view's state stand in the state store.
//
//   key  view u32, generation u16, namespace u8, then
//     0 cursors      partition u32; ff ff ff ff: the view's change sequence; of view 0, alone: the
//                    state's mark (state_mark.h)
//     1 groups       group columns (key_encoding.h), partition u32
//                    of sessions: group columns, partition u32, start i64 (ordered)
//                    each followed by: nothing: the state; aggregate u8, chunk u32: a sketch's
//                    chunk
//     2 expiry       partition u32, end i64 (ordered), what follows the namespace in the group's
//                    key
//     3 changes      sequence u64, group columns
//     4 dead letters partition u32, offset u64: an outbox, emptied into a topic (dead-letters.md)
//
// Integers are big-endian. docs/formats/view-state.md is the page with a worked example.
#pragma once

#include <cstdint>
#include <string>

#include "protocol/base/bytes.h"
#include "storage/env/state_store.h"

namespace runnel::storage::views {

/// A view's definition at one point in time: replacing a view makes a new generation beside it.
struct ViewId {
  std::uint32_t view = 0;
  std::uint16_t generation = 0;
  friend bool operator==(const ViewId&, const ViewId&) = default;
};

/// Written into keys: never renumbered.
enum class Space : std::uint8_t {
  kCursors = 0,
  kGroups = 1,
  kExpiry = 2,
  kChanges = 3,
  kDeadLetters = 4,
};

inline constexpr std::size_t kKeyPrefixBytes = 7;
inline constexpr std::size_t kPartitionBytes = 4;
inline constexpr std::size_t kChunkSuffixBytes = 5;
inline constexpr std::uint32_t kNoPartition = 0xffffffff;

/// A key's first bytes.
[[nodiscard]] inline std::string key_prefix(ViewId id, Space space) {
  ByteWriter key;
  key.be(id.view).be(id.generation).le(static_cast<std::uint8_t>(space));
  return key.take();
}
/// Everything that a generation has.
[[nodiscard]] inline std::string generation_prefix(ViewId id) {
  ByteWriter key;
  key.be(id.view).be(id.generation);
  return key.take();
}
[[nodiscard]] inline std::string partition_key(ViewId id, Space space, std::uint32_t partition) {
  std::string key = key_prefix(id, space);
  char bytes[kPartitionBytes];
  store_be(bytes, partition);
  return key.append(bytes, sizeof bytes);
}

}  // namespace runnel::storage::views
