// What readers of records and of events ask for, and the parameters they ask it with.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/http/call.h"
#include "broker/http/record_scan.h"
#include "broker/http/router.h"

namespace runnel::broker::http {

/// partition, from, to, cursor, filter.
[[nodiscard]] std::vector<Param> reading_parameters(std::string_view from_text, bool with_end);

/// The request's filter; null: none. Quick.
[[nodiscard]] Result<std::shared_ptr<const protocol::RecordFilter>> filter_of(const Call& call);
/// The partitions it reads and where. Blocking. `cursor`: overrides the parameter `from`;
/// `otherwise`: where it begins if nothing is said.
[[nodiscard]] Result<std::vector<ReadFrom>> places_of(const Call& call,
                                                      std::optional<std::string_view> cursor,
                                                      std::string_view otherwise);
/// What waits for news in `from`.
[[nodiscard]] storage::FetchRequest waiting_fetch(const std::vector<ReadFrom>& from,
                                                  std::chrono::milliseconds max_wait);

}  // namespace runnel::broker::http
