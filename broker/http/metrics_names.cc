#include "broker/http/metrics_names.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace runnel::broker::http {
namespace {

/// Statistics that go up and down, besides those whose text ends in "now"; all others count from
/// the start on.
constexpr std::array<std::string_view, 26> kGauges{
    "process.id",
    "store.sync_p50_micros",
    "store.sync_p99_micros",
    "store.sync_max_micros",
    "store.waiting_fetches",
    "store.segments",
    "store.segment_bytes",
    "store.cleaner_debt_bytes",
    "store.cleaner_rate",
    "store.scrub_pass_ended",
    "store.lost_ranges",
    "store.lost_offsets",
    "store.snapshots",
    "store.topics",
    "store.partitions",
    "store.memory_held_bytes",
    "store.memory_limit_bytes",
    "store.free_bytes",
    "store.low_space",
    "store.recovered_frames",
    "store.recovery_micros",
    "views.failed",
    "native.sessions",
    "kafka.sessions",
    "http.sessions",
    "http.streams",
};

struct Unit {
  std::string_view of;
  std::string_view suffix;   ///< of the metric
  std::string_view instead;  ///< what the statistic's name has for it
  std::uint64_t divisor;
};
constexpr std::array<Unit, 5> kUnits{{{"microseconds", "_seconds", "_micros", 1'000'000},
                                      {"milliseconds", "_seconds", "", 1000},
                                      {"nanoseconds", "_seconds", "_nanos", 1'000'000'000},
                                      {"bytes/s", "_bytes_per_second", "", 1},
                                      {"bytes", "_bytes", "_bytes", 1}}};

}  // namespace

Metric metric_of(const protocol::native::Statistic& statistic) {
  Metric metric;
  const bool listed =
      std::find(kGauges.begin(), kGauges.end(), std::string_view(statistic.name)) != kGauges.end();
  metric.is_counter = !listed && !statistic.text.ends_with(" now");
  std::string unit = statistic.unit;
  std::string name = "runnel_" + statistic.name;
  for (char& c : name) {
    const bool fine = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
    if (!fine) c = '_';
  }
  for (const Unit& known : kUnits) {
    if (statistic.unit != known.of) continue;
    if (!known.instead.empty() && name.ends_with(known.instead)) {
      name.resize(name.size() - known.instead.size());
    }
    name += known.suffix;
    metric.divisor = known.divisor;
    if (known.divisor != 1) unit = "seconds";
    break;
  }
  if (metric.is_counter) name += "_total";
  metric.name = std::move(name);
  metric.help = unit + ": " + statistic.text;
  return metric;
}

}  // namespace runnel::broker::http
