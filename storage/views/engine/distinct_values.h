// COUNT(DISTINCT x), SUM(DISTINCT x), AVG(DISTINCT x) and TOPK: the distinct values themselves, in
// the order in which they came, so that a new one is written at the end and nothing before it.
//
//   chunk  format u8 = 1, values that found no room uv, count uv,
//          (encoded value block, with counts also its count uv)...
//
// A chunk has 64 values, the last one what is left. The first one's "no room" counts; it is 0 in
// the others. A partition's state takes kMaxDistinctValues of kMaxDistinctBytes; later ones are
// counted, not kept.
#pragma once

#include "storage/views/engine/sketch.h"

namespace runnel::storage::views {

/// Of one aggregate of one group in one partition.
inline constexpr std::size_t kMaxDistinctValues = 100'000;
/// Encoded. A longer value finds no room.
inline constexpr std::size_t kMaxDistinctValueBytes = 8192;

/// Of all values of one aggregate of one group in one partition, encoded. Later ones find no room.
inline constexpr std::size_t kMaxDistinctBytes = 16u << 20;

class DistinctValues final : public Sketch {
 public:
  enum class Counts : bool { kNo, kYes };
  explicit DistinctValues(Counts counts, std::size_t max_values = kMaxDistinctValues)
      : counted_(counts == Counts::kYes), max_values_(max_values) {}

  void add(std::string_view encoded, const Value&) override { add(encoded, 1, max_values_); }
  void merge(const Sketch& other) override;
  void dirty_chunks(std::vector<std::uint32_t>& out) const override;
  void encode_chunk(std::uint32_t chunk, ByteWriter& to) const override;
  void saved() override;
  [[nodiscard]] bool load_chunk(Bytes bytes) override;
  [[nodiscard]] std::size_t memory_bytes() const override;

  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
  /// How often a value came that was not known and found no room.
  [[nodiscard]] std::uint64_t overflow() const noexcept { return overflow_; }
  /// Calls `visit(encoded value, count)` for each; by ascending value.
  template <class Visit>
  void for_each_sorted(const Visit& visit) const {
    for (const std::uint32_t i : sorted()) visit(text_of(entries_[i]), entries_[i].count);
  }

 private:
  static constexpr std::size_t kChunkValues = 64;
  struct Entry {
    std::uint32_t at = 0;  ///< in bytes_
    std::uint32_t size = 0;
    std::uint64_t count = 0;
  };
  [[nodiscard]] std::string_view text_of(const Entry& entry) const {
    return std::string_view(bytes_).substr(entry.at, entry.size);
  }
  void add(std::string_view encoded, std::uint64_t count, std::size_t max_values);
  void touch(std::size_t entry);
  void grow();
  [[nodiscard]] std::vector<std::uint32_t> sorted() const;

  bool counted_;
  std::size_t max_values_;
  std::string bytes_;
  std::vector<Entry> entries_;
  std::vector<std::uint32_t> table_;  ///< entry + 1, 0: empty; a power of two of them
  std::vector<bool> dirty_;           ///< by chunk
  std::uint64_t overflow_ = 0;
};

}  // namespace runnel::storage::views
