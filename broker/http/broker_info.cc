// What the broker is: its version and what it was started with.
#include "broker/http/call.h"
#include "broker/http/routes.h"
#include "protocol/filter/json_text.h"

namespace runnel::broker::http {
namespace {

using protocol::json_string;

std::string json_of(const ShownSetting& setting) {
  return "{\"name\":" + json_string(setting.name) + ",\"value\":" + json_string(setting.value) +
         ",\"source\":" + json_string(setting.source) + ",\"text\":" + json_string(setting.text) +
         ",\"reloadable\":" + (setting.reloadable ? "true" : "false") + "}";
}

void describe(const CallRef& call) {
  const HttpOptions& options = call->service().options();
  std::string body = "{\"version\":" + json_string(options.server_version) + ",\"settings\":[";
  for (const ShownSetting& setting : options.settings) {
    if (body.back() != '[') body += ',';
    body += json_of(setting);
  }
  call->reply(json(body + "]}\n"));
}

}  // namespace

std::vector<Route> broker_routes() {
  return {
      {.pattern = "/api/v1/broker",
       .handler = describe,
       .id = "describeBroker",
       .tag = "health",
       .summary = "The broker's version, and what it was started with",
       .answers = {{200, "The broker.", {{kJson, "Broker"}}}}},
  };
}

}  // namespace runnel::broker::http
