// Connections that each have one request in flight.
#pragma once

#include <mutex>

#include "bench/floor/child.h"
#include "bench/floor/floor.h"

namespace runnel::bench {

/// `open(i)` makes connection i: a value whose call() makes one round trip. plan.count in all.
template <class Open>
[[nodiscard]] Result<Figures> closed_loop(const char* name, const FloorPlan& plan, Open open) {
  using Connection = typename decltype(open(0U))::value_type;
  std::vector<Connection> connections;
  for (unsigned i = 0; i < plan.connections; ++i) {
    RUNNEL_TRY_ASSIGN(auto connection, open(i));
    connections.push_back(std::move(connection));
  }
  const std::uint64_t share = std::max<std::uint64_t>(1, plan.count / plan.connections);
  std::mutex mutex;
  Histogram nanos;
  Stopwatch watch;
  const Status ran = on_threads(plan.connections, [&](unsigned i) -> Status {
    Histogram own;
    for (std::uint64_t n = 0; n < share; ++n) {
      const auto start = SteadyClock::now();
      RUNNEL_TRY(connections[i]->call());
      own.record(nanos_since(start));
    }
    const std::lock_guard lock(mutex);
    nanos.merge(own);
    return {};
  });
  watch.stop();
  RUNNEL_TRY(ran);
  Figures figures;
  figures.add("bench", name);
  figures.add("connections", std::uint64_t{plan.connections});
  figures.add("record_bytes", std::uint64_t{plan.record_bytes});
  figures.add("count", nanos.count());
  figures.add("per_second", static_cast<double>(nanos.count()) / watch.seconds());
  figures.add_latency(nanos);
  return figures;
}

}  // namespace runnel::bench
