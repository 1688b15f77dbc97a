// APPROX_PERCENTILE: counts by buckets of a fixed ratio. Nothing is random and no logarithm is
// taken, so replay gives the same bytes on every machine.
//
//   chunk  format u8 = 1, least f64, greatest f64, count uv,
//          (bucket zv as the distance from the one before, values uv)...
//
// A positive number's bucket is 1 + its upper 18 bits (sign, exponent, six bits of the fraction):
// 64 buckets for each doubling, each 1/64 wide at most. A negative number's is the same of its
// magnitude, negated. What is less than 2^-1022 in magnitude counts as 0 and has bucket 0.
#pragma once

#include "storage/views/engine/sketch.h"

namespace runnel::storage::views {

/// NaN is left out.
class LogHistogram final : public Sketch {
 public:
  /// An answer is off by no more than this share of the exact one.
  static constexpr double kRelativeError = 1.0 / 128;

  void add(std::string_view, const Value& value) override { add(value.as_double()); }
  void add(double value);
  void merge(const Sketch& other) override;
  void dirty_chunks(std::vector<std::uint32_t>& out) const override {
    if (dirty_) out.push_back(0);
  }
  void encode_chunk(std::uint32_t chunk, ByteWriter& to) const override;
  void saved() override { dirty_ = false; }
  [[nodiscard]] bool load_chunk(Bytes bytes) override;
  [[nodiscard]] std::size_t memory_bytes() const override {
    return sizeof *this + buckets_.capacity() * sizeof(Bucket);
  }

  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
  /// The least value that `share` (0 to 1) of all values do not exceed, about. count() > 0.
  [[nodiscard]] double percentile(double share) const;

 private:
  struct Bucket {
    std::int32_t number = 0;
    std::uint64_t values = 0;
  };
  void count_in(std::int32_t number, std::uint64_t values);

  std::vector<Bucket> buckets_;  ///< ascending
  std::uint64_t count_ = 0;
  double least_ = 0;
  double greatest_ = 0;
  bool dirty_ = false;
};

}  // namespace runnel::storage::views
