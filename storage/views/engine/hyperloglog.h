// APPROX_COUNT_DISTINCT: HyperLogLog with 4,096 registers; standard error 1.6 %.
//
//   chunk  format u8: 1 few registers, 2 all of them
//          1: count uv, then (register uv as the distance from the one before, rank u8)...
//          2: 4,096 ranks u8
//
// A value's hash is XXH3-64 of its encoded bytes: the upper 12 bits name the register, the rank is
// 1 + the zeros that lead the others.
#pragma once

#include "storage/views/engine/sketch.h"

namespace runnel::storage::views {

class HyperLogLog final : public Sketch {
 public:
  static constexpr unsigned kBits = 12;
  static constexpr std::size_t kRegisters = 1u << kBits;
  /// Up to so many registers are kept as a list.
  static constexpr std::size_t kMaxSparse = 640;

  void add(std::string_view encoded, const Value& value) override;
  void merge(const Sketch& other) override;
  void dirty_chunks(std::vector<std::uint32_t>& out) const override {
    if (dirty_) out.push_back(0);
  }
  void encode_chunk(std::uint32_t chunk, ByteWriter& to) const override;
  void saved() override { dirty_ = false; }
  [[nodiscard]] bool load_chunk(Bytes bytes) override;
  [[nodiscard]] std::size_t memory_bytes() const override {
    return sizeof *this + sparse_.capacity() * sizeof(std::uint32_t) + dense_.capacity();
  }

  /// By Ertl's improved estimator, which needs no table of corrections.
  [[nodiscard]] std::int64_t estimate() const;

 private:
  void raise(std::uint32_t index, std::uint8_t rank);

  std::vector<std::uint32_t> sparse_;  ///< register << 8 | rank, ascending
  std::vector<std::uint8_t> dense_;    ///< empty, or every register
  bool dirty_ = false;
};

}  // namespace runnel::storage::views
