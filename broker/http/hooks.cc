// Definitions of webhooks: list, define, show, delete. Changes block until they are durable.
#include "broker/hooks/hooks.h"

#include "broker/http/json_in.h"
#include "broker/http/limits.h"
#include "broker/http/routes.h"
#include "protocol/filter/json_text.h"

namespace runnel::broker::http {
namespace {

using hooks::Hook;
using hooks::HookRef;
using protocol::json_string;

constexpr std::string_view kMembers =
    "topic, signature, secrets, tolerance_seconds, key, time, time_unit, dedup, headers, "
    "on_missing";

std::string place_or_null(const hooks::Place& place) {
  return place.text.empty() ? "null" : json_string(place.text);
}

std::string json_of(const hooks::KnownHook& known) {
  const Hook& hook = known.hook;
  std::string out =
      "{\"name\":" + json_string(hook.name) + ",\"topic\":" + json_string(hook.topic) +
      ",\"signature\":" + json_string(hooks::name_of(hook.scheme)) +
      ",\"secret_count\":" + std::to_string(hook.secrets.size()) +
      ",\"tolerance_seconds\":" + std::to_string(hook.tolerance.count()) +
      ",\"key\":" + place_or_null(hook.key) + ",\"time\":" + place_or_null(hook.time) +
      ",\"time_unit\":" + (hook.time_in_seconds ? "\"s\"" : "\"ms\"") +
      ",\"dedup\":" + place_or_null(hook.dedup) + ",\"headers\":[";
  for (const std::string& name : hook.headers) {
    if (out.back() != '[') out += ',';
    out += json_string(name);
  }
  const auto count = [](const hooks::HookCounts::Count& c) {
    return std::to_string(c.load(std::memory_order_relaxed));
  };
  const hooks::HookCounts& counts = *known.counts;
  out += std::string("],\"on_missing\":") + (hook.keeps_incomplete ? "\"keep\"" : "\"refuse\"");
  out += ",\"created\":" + std::to_string(hook.created.value());
  return out + ",\"counts\":{\"stored\":" + count(counts.stored) +
         ",\"duplicates\":" + count(counts.duplicates) + ",\"refused\":" + count(counts.refused) +
         ",\"failed\":" + count(counts.failed) + "}}";
}

/// One of two words; true: the second.
Result<bool> read_choice(JsonReader& in, std::string_view what, std::string_view first,
                         std::string_view second) {
  RUNNEL_TRY_ASSIGN(const auto text, in.text(what));
  if (text == first || text == second) return text == second;
  return fail(ErrorCode::kInvalidArgument,
              std::string(what) + " is " + std::string(first) + " or " + std::string(second));
}

Status read_texts(JsonReader& in, std::string_view what, std::vector<std::string>& to) {
  return in.array(what, [&]() -> Status {
    RUNNEL_TRY_ASSIGN(const auto text, in.text(what));
    to.emplace_back(text);
    return {};
  });
}

Status read_place(JsonReader& in, std::string_view what, hooks::Place& to) {
  RUNNEL_TRY_ASSIGN(const auto text, in.text_or_null(what));
  RUNNEL_TRY_ASSIGN(to, hooks::Place::parse(text.value_or("")));
  return {};
}

Status read_member(JsonReader& in, std::string_view name, Hook& out) {
  if (name == "topic") {
    RUNNEL_TRY_ASSIGN(out.topic, in.text(name));
  } else if (name == "signature") {
    RUNNEL_TRY_ASSIGN(const auto text, in.text(name));
    const auto scheme = hooks::scheme_named(text);
    if (!scheme) {
      return fail(ErrorCode::kInvalidArgument,
                  "signature is one of " + std::string(hooks::kSchemeNames));
    }
    out.scheme = *scheme;
  } else if (name == "secrets") {
    return read_texts(in, "a secret", out.secrets);
  } else if (name == "headers") {
    return read_texts(in, "the name of a header", out.headers);
  } else if (name == "tolerance_seconds") {
    RUNNEL_TRY_ASSIGN(const auto seconds, in.integer(name));
    out.tolerance = std::chrono::seconds(seconds);
  } else if (name == "key") {
    return read_place(in, name, out.key);
  } else if (name == "time") {
    return read_place(in, name, out.time);
  } else if (name == "dedup") {
    return read_place(in, name, out.dedup);
  } else if (name == "time_unit") {
    RUNNEL_TRY_ASSIGN(out.time_in_seconds, read_choice(in, name, "ms", "s"));
  } else if (name == "on_missing") {
    RUNNEL_TRY_ASSIGN(out.keeps_incomplete, read_choice(in, name, "refuse", "keep"));
  } else {
    return in.unknown(name, kMembers);
  }
  return {};
}

Result<Hook> read_hook(const std::string& name, std::string_view body) {
  JsonReader in(body);
  Hook out;
  out.name = name;
  bool says_signature = false;
  const Status members = in.object("the body", [&](std::string_view member) {
    says_signature = says_signature || member == "signature";
    return read_member(in, member, out);
  });
  RUNNEL_TRY(members);
  RUNNEL_TRY(in.end());
  if (!says_signature) {
    return fail(ErrorCode::kInvalidArgument, "a hook needs signature, which is one of " +
                                                 std::string(hooks::kSchemeNames) +
                                                 "; with none whoever reaches the port may send");
  }
  return out;
}

void list(const CallRef& call) {
  std::string body = "{\"hooks\":[";
  for (const HookRef& hook : call->service().hooks().all()) {
    if (body.back() != '[') body += ',';
    body += json_of(*hook);
  }
  call->reply(json(body + "]}\n"));
}

void put(const CallRef& call) {
  auto hook = read_hook(call->path("hook"), call->request().body);
  if (!hook) return call->fail(hook.error());
  answer_blocking(call, [call, hook = *std::move(hook)]() -> Result<Response> {
    RUNNEL_TRY_ASSIGN(const auto known, call->service().hooks().put(hook));
    return json(json_of(*known.hook) + "\n", known.is_new ? 201 : 200);
  });
}

void describe(const CallRef& call) {
  const auto hook = call->service().hooks().find(call->path("hook"));
  if (!hook) return call->fail(hook.error());
  call->reply(json(json_of(**hook) + "\n"));
}

void remove(const CallRef& call) {
  answer_blocking(call, [call]() -> Result<Response> {
    RUNNEL_TRY(call->service().hooks().remove(call->path("hook")));
    return Response{204, {}, {}, {}};
  });
}

}  // namespace

std::vector<Route> hook_routes() {
  const std::vector<Content> hook{{kJson, "Hook"}};
  const std::string_view path = "/api/v1/hooks/{hook}";
  return {
      {.pattern = "/api/v1/hooks",
       .handler = list,
       .id = "listWebhooks",
       .tag = "webhooks",
       .summary = "Webhooks that come in, by name, without their secrets",
       .answers = {{200, "All of them.", {{kJson, "HookList"}}}}},
      {.method = Method::kPut,
       .pattern = path,
       .handler = put,
       .id = "defineWebhook",
       .tag = "webhooks",
       .summary = "Defines a webhook or replaces its definition",
       .description = "It holds from the answer on, and is on stable storage.",
       .bodies = {{kJson, "NewHook"}},
       .answers = {{200, "It was there; as it is now.", hook}, {201, "It is new.", hook}}},
      {.pattern = path,
       .handler = describe,
       .id = "describeWebhook",
       .tag = "webhooks",
       .summary = "A webhook, without its secrets, and what became of its requests",
       .answers = {{200, "The webhook.", hook}}},
      {.method = Method::kDelete,
       .pattern = path,
       .handler = remove,
       .id = "deleteWebhook",
       .tag = "webhooks",
       .summary = "Deletes a webhook; what it stored stays",
       .answers = {{204, "It is gone."}}},
  };
}

}  // namespace runnel::broker::http
