#include "storage/views/engine/hyperloglog.h"

#include <xxhash.h>

#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include "protocol/base/assert.h"

namespace runnel::storage::views {
namespace {

constexpr std::uint8_t kFew = 1;
constexpr std::uint8_t kAll = 2;
constexpr unsigned kRankBits = 64 - HyperLogLog::kBits;

double sigma(double x) {
  if (x == 1) return std::numeric_limits<double>::infinity();
  double y = 1;
  double z = x;
  for (double before = -1; before != z;) {
    x *= x;
    before = z;
    z += x * y;
    y += y;
  }
  return z;
}

double tau(double x) {
  if (x == 0 || x == 1) return 0;
  double y = 1;
  double z = 1 - x;
  for (double before = -1; before != z;) {
    x = std::sqrt(x);
    before = z;
    y *= 0.5;
    z -= (1 - x) * (1 - x) * y;
  }
  return z / 3;
}

}  // namespace

void HyperLogLog::add(std::string_view encoded, const Value&) {
  const std::uint64_t hash = XXH3_64bits(encoded.data(), encoded.size());
  const std::uint64_t rest = hash << kBits;
  const auto zeros = rest == 0 ? kRankBits : static_cast<unsigned>(std::countl_zero(rest));
  raise(static_cast<std::uint32_t>(hash >> kRankBits), static_cast<std::uint8_t>(zeros + 1));
}

void HyperLogLog::raise(std::uint32_t index, std::uint8_t rank) {
  if (!dense_.empty()) {
    if (dense_[index] >= rank) return;
    dense_[index] = rank;
    dirty_ = true;
    return;
  }
  const auto at = std::lower_bound(sparse_.begin(), sparse_.end(), index << 8);
  if (at != sparse_.end() && *at >> 8 == index) {
    if ((*at & 0xff) >= rank) return;
    *at = index << 8 | rank;
  } else {
    sparse_.insert(at, index << 8 | rank);
  }
  dirty_ = true;
  if (sparse_.size() <= kMaxSparse) return;
  dense_.assign(kRegisters, 0);
  for (const std::uint32_t entry : sparse_) {
    dense_[entry >> 8] = static_cast<std::uint8_t>(entry & 0xff);
  }
  sparse_.clear();
  sparse_.shrink_to_fit();
}

void HyperLogLog::merge(const Sketch& other) {
  const auto& from = static_cast<const HyperLogLog&>(other);
  for (const std::uint32_t entry : from.sparse_) {
    raise(entry >> 8, static_cast<std::uint8_t>(entry & 0xff));
  }
  for (std::uint32_t i = 0; i < from.dense_.size(); ++i) {
    if (from.dense_[i] != 0) raise(i, from.dense_[i]);
  }
}

void HyperLogLog::encode_chunk(std::uint32_t chunk, ByteWriter& to) const {
  RUNNEL_ASSERT(chunk == 0);
  if (!dense_.empty()) {
    to.le(kAll).raw(std::as_bytes(std::span(dense_)));
    return;
  }
  to.le(kFew).uvarint(sparse_.size());
  std::uint32_t before = 0;
  for (const std::uint32_t entry : sparse_) {
    to.uvarint((entry >> 8) - before).le(static_cast<std::uint8_t>(entry & 0xff));
    before = entry >> 8;
  }
}

bool HyperLogLog::load_chunk(Bytes bytes) {
  ByteReader in(bytes);
  const auto format = in.le<std::uint8_t>();
  if (format == kAll) {
    if (in.remaining() != kRegisters) return false;
    dense_.resize(kRegisters);
    for (auto& rank : dense_) rank = in.le<std::uint8_t>();
    return in.at_end();
  }
  const std::uint64_t count = in.uvarint();
  if (format != kFew || count > kMaxSparse) return false;
  std::uint64_t index = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t step = in.uvarint();
    const auto rank = in.le<std::uint8_t>();
    if ((step == 0 && i != 0) || step >= kRegisters) return false;
    index += step;
    if (!in.ok() || index >= kRegisters || rank == 0 || rank > kRankBits + 1) return false;
    sparse_.push_back(static_cast<std::uint32_t>(index) << 8 | rank);
  }
  return in.at_end();
}

std::int64_t HyperLogLog::estimate() const {
  constexpr auto kCount = static_cast<double>(kRegisters);
  std::array<double, kRankBits + 2> of_rank{};
  if (dense_.empty()) {
    of_rank[0] = kCount - static_cast<double>(sparse_.size());
    for (const std::uint32_t entry : sparse_) of_rank[entry & 0xff] += 1;
  }
  for (const std::uint8_t rank : dense_) of_rank[rank] += 1;
  double z = kCount * tau(1 - of_rank[kRankBits + 1] / kCount);
  for (unsigned k = kRankBits; k > 0; --k) z = 0.5 * (z + of_rank[k]);
  z += kCount * sigma(of_rank[0] / kCount);
  constexpr double kAlpha = 0.72134752044448170368;  // 1 / (2 ln 2)
  return std::llround(kAlpha * kCount * kCount / z);
}

}  // namespace runnel::storage::views
