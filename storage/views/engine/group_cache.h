// The groups that a view has in memory: an open-addressing table of blocks, each holding a key and
// a state side by side.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "storage/views/engine/aggregates.h"
#include "storage/views/engine/cursor.h"

namespace runnel::storage::views {

/// One group's state of one partition. Its block and its key follow it in memory.
struct Group {
  std::uint64_t hash = 0;
  std::int64_t window_start = kNoTime;  ///< as far as who added it says
  std::uint32_t key_bytes = 0;
  std::uint32_t block_bytes = 0;
  bool dirty = false;         ///< differs from the store
  bool stored = false;        ///< the store has an entry of this key
  bool erased = false;        ///< to be erased from the store
  bool used = false;          ///< since the clock's hand was here
  std::uint32_t charged = 0;  ///< bytes it counts for
  std::unique_ptr<StateExtras> extras;

  [[nodiscard]] std::byte* block() noexcept { return reinterpret_cast<std::byte*>(this + 1); }
  /// What follows prefix and namespace in its key in the store.
  [[nodiscard]] std::string_view key() noexcept {
    return {reinterpret_cast<const char*>(block()) + block_bytes, key_bytes};
  }
  [[nodiscard]] StateRef state() noexcept { return {block(), extras.get()}; }
};

/// Not thread safe.
class GroupCache {
 public:
  explicit GroupCache(const Aggregates& aggregates) : aggregates_(aggregates) {}
  ~GroupCache() { clear(); }
  GroupCache(const GroupCache&) = delete;
  GroupCache& operator=(const GroupCache&) = delete;

  [[nodiscard]] static std::uint64_t hash_of(std::string_view key) noexcept;
  /// nullptr: not in memory.
  [[nodiscard]] Group* find(std::string_view key, std::uint64_t hash) noexcept;
  /// A group with an empty state. There must be none of this key.
  [[nodiscard]] Group* add(std::string_view key, std::uint64_t hash);
  /// Forgets it. It must not be used afterwards.
  void remove(Group* group) noexcept;
  /// Forgets groups that are not dirty, those first that were not used for long, until no more than
  /// `max_bytes` are held or nothing is left to forget. The greatest window start among them;
  /// nullopt: none was forgotten.
  std::optional<std::int64_t> shrink(std::size_t max_bytes) noexcept;
  /// Forgets groups that are not dirty and whose windows start before `start`. As shrink().
  std::optional<std::int64_t> forget_before(std::int64_t start) noexcept;
  /// Its extras may have grown.
  void recharge(Group* group) noexcept;
  void clear() noexcept;

  /// Calls `visit(hash)` for each group, in no order.
  template <class Visit>
  void for_each_hash(const Visit& visit) const {
    for (const Place& place : table_) {
      if (place.group != nullptr) visit(place.hash);
    }
  }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::size_t bytes() const noexcept {
    return bytes_ + table_.capacity() * sizeof(Place);
  }

 private:
  struct Place {
    std::uint64_t hash = 0;
    Group* group = nullptr;
  };
  void grow();
  void vacate(std::size_t at) noexcept;
  void destroy(Group* group) noexcept;

  const Aggregates& aggregates_;
  std::vector<Place> table_;  ///< a power of two, at most 5/8 full
  std::size_t size_ = 0;
  std::size_t bytes_ = 0;
  std::size_t hand_ = 0;
};

}  // namespace runnel::storage::views
