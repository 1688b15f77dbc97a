// The broker's statistics by Prometheus' rules: base units, counters end in _total.
#pragma once

#include <cstdint>
#include <string>

#include "protocol/native/messages.h"

namespace runnel::broker::http {

struct Metric {
  std::string name;  ///< "runnel_store_sync_seconds_total"
  std::string help;  ///< "seconds: all those calls took": what is counted, and what of it
  bool is_counter = false;
  std::uint64_t divisor = 1;  ///< from the statistic's unit to the metric's
};
/// Counts since the start are counters; what is said to be "now" or a limit is a gauge.
[[nodiscard]] Metric metric_of(const protocol::native::Statistic& statistic);

}  // namespace runnel::broker::http
