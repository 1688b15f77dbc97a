// The same small load on other servers: one synced write of a record after the other on each
// connection, so that Runnel's figure stands beside theirs from the same run.
#pragma once

#include "bench/floor/floor.h"

namespace runnel::bench {

/// XADD (to a stream of each connection's own) or SET.
[[nodiscard]] Result<Figures> load_redis(const FloorPlan& plan);
/// JetStream publishes, each waiting for its acknowledgement; the stream is made and deleted.
[[nodiscard]] Result<Figures> load_nats(const FloorPlan& plan);

}  // namespace runnel::bench
