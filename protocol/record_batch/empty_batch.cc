#include "protocol/record_batch/empty_batch.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "protocol/base/assert.h"
#include "protocol/base/bytes.h"
#include "protocol/record_batch/crc32c.h"
#include "protocol/record_batch/record_batch.h"

namespace runnel::protocol {

Buffer empty_batch(Offset base, Offset last) {
  RUNNEL_ASSERT(base <= last);
  const std::int64_t delta =
      std::min<std::int64_t>(last.value() - base.value(), std::numeric_limits<std::int32_t>::max());
  Buffer out = Buffer::allocate(kBatchHeaderBytes);
  std::byte* const p = out.mutable_data();
  std::memset(p, 0, kBatchHeaderBytes);
  store_be(p, base.value());
  store_be(p + 8, static_cast<std::int32_t>(kBatchHeaderBytes - kBatchLengthOverhead));
  store_be(p + 16, kBatchMagic);
  store_be(p + 23, static_cast<std::int32_t>(delta));
  store_be(p + 27, kNoTimestamp.value());
  store_be(p + 35, kNoTimestamp.value());
  store_be(p + 43, kNoProducer.value());
  store_be(p + 51, kNoEpoch.value());
  store_be(p + 53, kNoSequence);
  store_be(p + 17, crc32c(out.bytes().subspan(21)));
  return out;
}

}  // namespace runnel::protocol
