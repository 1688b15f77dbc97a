// Which groups a store can't have: a Bloom filter whose bits of one group lie within one line of
// the processor's cache. Most groups that are not in memory have never been there, and this is how
// that is known without asking the store.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace runnel::storage::views {

/// Not thread safe. The more groups it was told of, the more often it can't tell: about 1 in 100
/// with 10 bits a group.
class GroupFilter {
 public:
  /// Empty, of about `bytes`; 0: it knows nothing, and may_have() is always true.
  void reset(std::size_t bytes) { lines_.assign(bytes / sizeof(Line), Line{}); }
  [[nodiscard]] bool is_on() const noexcept { return !lines_.empty(); }

  /// `hash` is GroupCache::hash_of() of the group's key.
  void add(std::uint64_t hash) noexcept {
    if (!is_on()) return;
    Line& line = lines_[place_of(hash)];
    for (std::size_t i = 0; i < line.words.size(); ++i) line.words[i] |= bit_of(hash, i);
  }
  /// False: it was never added.
  [[nodiscard]] bool may_have(std::uint64_t hash) const noexcept {
    if (!is_on()) return true;
    const Line& line = lines_[place_of(hash)];
    std::uint64_t missing = 0;
    for (std::size_t i = 0; i < line.words.size(); ++i) missing |= ~line.words[i] & bit_of(hash, i);
    return missing == 0;
  }
  [[nodiscard]] std::size_t bytes() const noexcept { return lines_.size() * sizeof(Line); }

 private:
  struct alignas(64) Line {
    std::array<std::uint64_t, 8> words{};  ///< a bit of each
  };
  static_assert(sizeof(Line) == 64);

  [[nodiscard]] std::size_t place_of(std::uint64_t hash) const noexcept {
    return static_cast<std::size_t>(((hash >> 32) * lines_.size()) >> 32);
  }
  /// Six bits of the hash, mixed once more, name the one of word `i`.
  [[nodiscard]] static std::uint64_t bit_of(std::uint64_t hash, std::size_t i) noexcept {
    constexpr std::uint64_t kMix = 0x9e3779b97f4a7c15;
    return std::uint64_t{1} << (((hash * kMix) >> (i * 6 + 16)) & 63);
  }

  std::vector<Line> lines_;
};

}  // namespace runnel::storage::views
