// The last offset of each key, in bounded memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "protocol/base/strong.h"

namespace runnel::storage {

/// Keys are known by a seeded 128-bit hash: two different ones are never taken for the same, as far
/// as anybody will live to see. Not thread safe.
class KeyMap {
 public:
  /// Holds at most `memory_bytes`, also while it grows. `seed` is nobody else's to know.
  KeyMap(std::uint64_t memory_bytes, std::uint64_t seed);

  /// True if `keys` more fit for certain.
  [[nodiscard]] bool has_room(std::size_t keys) const noexcept { return used_ + keys <= most_; }
  [[nodiscard]] std::size_t size() const noexcept { return used_; }
  /// Remembers the offset if it is the key's greatest. Goes beyond the memory where has_room() was
  /// not asked.
  void put(std::string_view key, Offset offset);
  [[nodiscard]] std::optional<Offset> find(std::string_view key) const;

 private:
  struct Slot {
    std::uint64_t low = 0;
    std::uint64_t high = 0;
    Offset offset = kNoOffset;  ///< kNoOffset: free
  };
  [[nodiscard]] Slot hash(std::string_view key) const;
  /// The key's slot, or the free one where it belongs.
  [[nodiscard]] std::size_t place(const std::vector<Slot>& slots, const Slot& key) const;
  void grow();

  const std::uint64_t seed_;
  std::vector<Slot> slots_;
  std::size_t used_ = 0;
  std::size_t most_ = 0;
};

}  // namespace runnel::storage
