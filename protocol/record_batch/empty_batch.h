// A batch without records, which says that a range of offsets has none.
#pragma once

#include "protocol/base/buffer.h"
#include "protocol/base/strong.h"

namespace runnel::protocol {

/// Kafka's clients go on behind `last` when they are given it, which must not lie before `base`.
/// Where that is further away than a batch can say, it ends as far behind `base` as it can.
[[nodiscard]] Buffer empty_batch(Offset base, Offset last);

}  // namespace runnel::protocol
