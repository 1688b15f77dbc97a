// A set of bytes of one file, as few ranges as it takes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>

namespace runnel::storage {

/// Ranges [begin, end) that neither overlap nor touch. Not thread safe.
class ByteRanges {
 public:
  void add(std::uint64_t begin, std::uint64_t end) {
    auto it = ranges_.upper_bound(begin);
    if (it != ranges_.begin() && std::prev(it)->second >= begin) --it;
    while (it != ranges_.end() && it->first <= end) {
      begin = std::min(begin, it->first);
      end = std::max(end, it->second);
      it = ranges_.erase(it);
    }
    ranges_.emplace(begin, end);
  }
  /// A range that reaches over both sides becomes two.
  void remove(std::uint64_t begin, std::uint64_t end) {
    auto it = first_touching(begin, end);
    while (it != ranges_.end() && it->first < end) {
      const auto [from, to] = *it;
      it = ranges_.erase(it);
      if (from < begin) ranges_.emplace(from, begin);
      if (to > end) ranges_.emplace(end, to);
    }
  }
  void clear() { ranges_.clear(); }
  /// True if a byte of [begin, end) is in the set.
  [[nodiscard]] bool touches(std::uint64_t begin, std::uint64_t end) const {
    const auto it = ranges_.lower_bound(end);  // the first one that begins too late
    return it != ranges_.begin() && std::prev(it)->second > begin;
  }
  /// True if all of [begin, end) are.
  [[nodiscard]] bool covers(std::uint64_t begin, std::uint64_t end) const {
    const auto it = ranges_.upper_bound(begin);
    return it != ranges_.begin() && std::prev(it)->second >= end;
  }
  [[nodiscard]] std::size_t count() const noexcept { return ranges_.size(); }
  [[nodiscard]] bool empty() const noexcept { return ranges_.empty(); }

 private:
  using Map = std::map<std::uint64_t, std::uint64_t>;  ///< begin -> end

  [[nodiscard]] Map::iterator first_touching(std::uint64_t begin, std::uint64_t end) {
    auto it = ranges_.upper_bound(begin);
    if (it != ranges_.begin() && std::prev(it)->second > begin) --it;
    return it != ranges_.end() && it->first < end ? it : ranges_.end();
  }

  Map ranges_;
};

}  // namespace runnel::storage
