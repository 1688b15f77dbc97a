// Whether the broker lives, and whether work should be sent to it. And the table of routes itself.
#include <vector>

#include "broker/http/call.h"
#include "broker/http/routes.h"
#include "protocol/filter/json_text.h"
#include "storage/stats.h"

namespace runnel::broker::http {
namespace {

void live(const CallRef& call) {
  call->reply(json("{\"status\":\"alive\"}\n"));
}

struct Reason {
  std::string_view name;
  std::string_view text;
};

Response readiness(const std::vector<Reason>& reasons) {
  std::string body =
      std::string("{\"ready\":") + (reasons.empty() ? "true" : "false") + ",\"reasons\":[";
  for (const Reason& r : reasons) {
    if (body.back() != '[') body += ',';
    body += "{\"reason\":" + protocol::json_string(r.name) +
            ",\"detail\":" + protocol::json_string(r.text) + "}";
  }
  return json(body + "]}\n", reasons.empty() ? 200 : 503);
}

void ready(const CallRef& call) {
  answer_blocking(call, [call] {
    std::vector<Reason> reasons;
    if (call->store().stats().low_space) {
      reasons.push_back({"low_space",
                         "the disk is almost full: records are not taken. Free space, or let "
                         "retention remove more; reading goes on"});
    }
    if (call->service().is_shutting_down()) {
      reasons.push_back({"shutting_down", "the broker finishes what is in progress and ends"});
    }
    return readiness(reasons);
  });
}

void openapi(const CallRef& call) {
  call->reply(json(call->service().router().openapi()));
}

}  // namespace

std::vector<Route> health_routes() {
  const std::vector<Content> readiness{{kJson, "Readiness"}};
  return {
      {.pattern = "/livez",
       .handler = live,
       .id = "isAlive",
       .tag = "health",
       .summary = "Whether the broker answers at all",
       .answers = {{200, "It does.", {{kJson, "Liveness"}}}}},
      {.pattern = "/readyz",
       .handler = ready,
       .id = "isReady",
       .tag = "health",
       .summary = "Whether records are taken now, and if not, why",
       .answers = {{200, "They are.", readiness}, {503, "They are not.", readiness}}},
      {.pattern = "/api/v1/openapi.json",
       .handler = openapi,
       .id = "getOpenApi",
       .tag = "health",
       .summary = "This document",
       .answers = {{200, "OpenAPI 3.1.", {{kJson, "AnyObject"}}}}},
  };
}

}  // namespace runnel::broker::http
