// The rows of the table of routes, beside their handlers.
#pragma once

#include <vector>

#include "broker/http/router.h"

namespace runnel::broker::http {

[[nodiscard]] std::vector<Route> health_routes();        ///< health.cc
[[nodiscard]] std::vector<Route> metrics_routes();       ///< metrics.cc
[[nodiscard]] std::vector<Route> topic_routes();         ///< topics.cc
[[nodiscard]] std::vector<Route> producer_routes();      ///< producers.cc
[[nodiscard]] std::vector<Route> append_routes();        ///< append.cc
[[nodiscard]] std::vector<Route> record_routes();        ///< records.cc
[[nodiscard]] std::vector<Route> event_routes();         ///< events.cc
[[nodiscard]] std::vector<Route> group_routes();         ///< groups.cc
[[nodiscard]] std::vector<Route> view_routes();          ///< views.cc
[[nodiscard]] std::vector<Route> row_routes();           ///< view_rows.cc
[[nodiscard]] std::vector<Route> view_event_routes();    ///< view_events.cc
[[nodiscard]] std::vector<Route> report_routes();        ///< report.cc
[[nodiscard]] std::vector<Route> sql_routes();           ///< sql.cc
[[nodiscard]] std::vector<Route> job_routes();           ///< jobs.cc
[[nodiscard]] std::vector<Route> broker_routes();        ///< broker_info.cc
[[nodiscard]] std::vector<Route> console_routes();       ///< console.cc
[[nodiscard]] std::vector<Route> registry_routes();      ///< registry_call.cc
[[nodiscard]] std::vector<Route> hook_routes();          ///< hooks.cc
[[nodiscard]] std::vector<Route> webhook_routes();       ///< webhooks.cc
[[nodiscard]] std::vector<Route> hook_request_routes();  ///< hook_requests.cc
[[nodiscard]] std::vector<Route> proxy_routes();         ///< proxy_call.cc
/// All of them.
[[nodiscard]] std::vector<Route> all_routes();

}  // namespace runnel::broker::http
