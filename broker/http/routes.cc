#include "broker/http/routes.h"

#include <iterator>

namespace runnel::broker::http {

std::vector<Route> all_routes() {
  std::vector<Route> all;
  for (const auto part :
       {health_routes,   metrics_routes, topic_routes,  producer_routes,     append_routes,
        record_routes,   event_routes,   group_routes,  view_routes,         row_routes,
        sql_routes,      job_routes,     broker_routes, console_routes,      view_event_routes,
        registry_routes, report_routes,  hook_routes,   hook_request_routes, proxy_routes,
        webhook_routes}) {
    auto routes = part();
    std::move(routes.begin(), routes.end(), std::back_inserter(all));
  }
  return all;
}

}  // namespace runnel::broker::http
