#include "storage/views/engine/log_histogram.h"

#include <bit>
#include <cmath>
#include <limits>

#include "protocol/base/assert.h"

namespace runnel::storage::views {
namespace {

constexpr std::uint8_t kFormat = 1;
constexpr int kDropped = 46;  ///< bits of a double that do not name its bucket
constexpr std::int64_t kMaxBucket = 1 + (std::int64_t{0x7ff0} << (48 - kDropped));

std::int32_t bucket_of(double value) {
  const double magnitude = std::fabs(value);
  if (magnitude < std::numeric_limits<double>::min()) return 0;
  const auto number =
      static_cast<std::int32_t>(1 + (std::bit_cast<std::uint64_t>(magnitude) >> kDropped));
  return value < 0 ? -number : number;
}

/// In the middle of the bucket.
double value_of(std::int32_t number) {
  if (number == 0) return 0;
  const auto bits = static_cast<std::uint64_t>(std::abs(number) - 1) << kDropped;
  const double lower = std::bit_cast<double>(bits);
  const double upper = std::bit_cast<double>(bits + (1ull << kDropped));
  const double middle = std::isfinite(upper) ? lower + (upper - lower) / 2 : lower;
  return number < 0 ? -middle : middle;
}

}  // namespace

void LogHistogram::add(double value) {
  if (std::isnan(value)) return;
  if (value == 0) value = 0;  // -0
  least_ = count_ == 0 ? value : std::min(least_, value);
  greatest_ = count_ == 0 ? value : std::max(greatest_, value);
  count_in(bucket_of(value), 1);
}

void LogHistogram::count_in(std::int32_t number, std::uint64_t values) {
  auto at = std::lower_bound(buckets_.begin(), buckets_.end(), number,
                             [](const Bucket& b, std::int32_t n) { return b.number < n; });
  if (at == buckets_.end() || at->number != number) at = buckets_.insert(at, {number, 0});
  at->values += values;
  count_ += values;
  dirty_ = true;
}

void LogHistogram::merge(const Sketch& other) {
  const auto& from = static_cast<const LogHistogram&>(other);
  if (from.count_ == 0) return;
  least_ = count_ == 0 ? from.least_ : std::min(least_, from.least_);
  greatest_ = count_ == 0 ? from.greatest_ : std::max(greatest_, from.greatest_);
  for (const Bucket& bucket : from.buckets_) count_in(bucket.number, bucket.values);
}

void LogHistogram::encode_chunk(std::uint32_t chunk, ByteWriter& to) const {
  RUNNEL_ASSERT(chunk == 0);
  to.le(kFormat).le(least_).le(greatest_).uvarint(buckets_.size());
  std::int64_t before = 0;
  for (const Bucket& bucket : buckets_) {
    to.varint(bucket.number - before).uvarint(bucket.values);
    before = bucket.number;
  }
}

bool LogHistogram::load_chunk(Bytes bytes) {
  ByteReader in(bytes);
  if (in.le<std::uint8_t>() != kFormat) return false;
  least_ = std::bit_cast<double>(in.le<std::uint64_t>());
  greatest_ = std::bit_cast<double>(in.le<std::uint64_t>());
  const std::uint64_t size = in.uvarint();
  constexpr std::size_t kLeastBytes = 2;
  if (size > in.remaining() / kLeastBytes) return false;
  buckets_.reserve(size);
  std::int64_t number = 0;
  for (std::uint64_t i = 0; i < size; ++i) {
    const std::int64_t step = in.varint();
    const std::uint64_t values = in.uvarint();
    if ((i != 0 && step <= 0) || step > 2 * kMaxBucket || step < -kMaxBucket) return false;
    number += step;
    if (!in.ok() || values == 0 || number > kMaxBucket) return false;
    buckets_.push_back({static_cast<std::int32_t>(number), values});
    count_ += values;
  }
  return in.at_end();
}

double LogHistogram::percentile(double share) const {
  RUNNEL_ASSERT(count_ > 0);
  const double wanted = std::ceil(share * static_cast<double>(count_));
  std::uint64_t below = 0;
  for (const Bucket& bucket : buckets_) {
    below += bucket.values;
    if (static_cast<double>(below) < wanted) continue;
    return std::clamp(value_of(bucket.number), least_, greatest_);
  }
  return greatest_;
}

}  // namespace runnel::storage::views
