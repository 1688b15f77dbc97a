// Webhooks that go out: list, define, show, delete, pause, resume, replay.
#include <algorithm>
#include <array>

#include "broker/http/json_in.h"
#include "broker/http/routes.h"
#include "broker/http/webhook_service.h"
#include "protocol/filter/json_text.h"

namespace runnel::broker::http {
namespace {

using hooks::BodyKind;
using hooks::Webhook;
using protocol::json_string;

constexpr std::string_view kMembers =
    "topic, view, url, secrets, filter, body, template, content_type, max_attempts, timeout_ms, "
    "from";
constexpr std::array<std::string_view, 3> kBodies{"record", "value", "template"};

/// nullptr: it is answered that there are none here.
WebhookService* webhooks_of(const CallRef& call) {
  WebhookService* const service = call->service().webhooks();
  if (service == nullptr) {
    call->fail(Error(ErrorCode::kUnsupported, "this broker sends no webhooks"));
  }
  return service;
}

std::string list_of(const std::vector<std::string>& texts) {
  std::string out = "[";
  for (const std::string& text : texts) out += (out.size() > 1 ? "," : "") + json_string(text);
  return out + "]";
}

std::string json_of(const WebhookStatus& status) {
  const Webhook& webhook = status.webhook;
  const WebhookCounts& counts = status.counts;
  const bool failed = counts.last_error_time != kNoTimestamp;
  const auto text_or_null = [](const std::string& text) {
    return text.empty() ? std::string("null") : json_string(text);
  };
  std::string out = "{\"name\":" + json_string(webhook.name) +
                    ",\"topic\":" + json_string(webhook.topic) +
                    ",\"url\":" + json_string(webhook.url) + ",\"state\":\"" +
                    (webhook.paused           ? "paused"
                     : status.problem.empty() ? "running"
                                              : "failing") +
                    "\",\"problem\":" + text_or_null(status.problem) +
                    ",\"secret_count\":" + std::to_string(webhook.secrets.size()) +
                    ",\"filter\":" + list_of(webhook.filter) +
                    ",\"body\":" + json_string(kBodies.at(static_cast<std::size_t>(webhook.body))) +
                    ",\"template\":" + text_or_null(webhook.text) +
                    ",\"content_type\":" + json_string(webhook.content_type) +
                    ",\"max_attempts\":" + std::to_string(webhook.max_attempts) +
                    ",\"timeout_ms\":" + std::to_string(webhook.timeout.count()) +
                    ",\"created\":" + std::to_string(webhook.created.value()) + ",\"places\":[";
  for (const WebhookPlace& place : status.places) {
    if (out.back() != '[') out += ',';
    out += "{\"partition\":" + std::to_string(place.partition) +
           ",\"next\":" + std::to_string(place.next.value()) +
           ",\"behind\":" + std::to_string(place.behind) +
           ",\"lost\":" + std::to_string(place.lost) + "}";
  }
  return out + "],\"in_flight\":" + std::to_string(status.in_flight) +
         ",\"memory_bytes\":" + std::to_string(status.memory_bytes) +
         ",\"counts\":{\"delivered\":" + std::to_string(counts.delivered) +
         ",\"failed_attempts\":" + std::to_string(counts.failed_attempts) +
         ",\"dead\":" + std::to_string(counts.dead) +
         "},\"last_error\":" + text_or_null(counts.last_error) + ",\"last_error_time\":" +
         (failed ? std::to_string(counts.last_error_time.value()) : "null") + "}";
}

struct NewWebhook {
  Webhook webhook;
  std::string view;  ///< instead of a topic
  protocol::Place from{protocol::Place::Kind::kEnd, 0};
};

Status read_texts(JsonReader& in, std::string_view what, std::vector<std::string>& to) {
  return in.array(what, [&]() -> Status {
    RUNNEL_TRY_ASSIGN(const auto text, in.text(what));
    to.emplace_back(text);
    return {};
  });
}

Result<BodyKind> read_body_kind(JsonReader& in) {
  RUNNEL_TRY_ASSIGN(const auto text, in.text("body"));
  const auto* const at = std::find(kBodies.begin(), kBodies.end(), text);
  if (at != kBodies.end()) return static_cast<BodyKind>(at - kBodies.begin());
  return fail(ErrorCode::kInvalidArgument, "body is record, value or template");
}

Result<protocol::Place> read_place(JsonReader& in, Timestamp now) {
  RUNNEL_TRY_ASSIGN(const auto text, in.text("from"));
  return protocol::parse_place(text, now.value());
}

Status read_member(JsonReader& in, std::string_view name, Timestamp now, NewWebhook& out) {
  Webhook& webhook = out.webhook;
  if (name == "topic") {
    RUNNEL_TRY_ASSIGN(webhook.topic, in.text(name));
  } else if (name == "view") {
    RUNNEL_TRY_ASSIGN(out.view, in.text(name));
  } else if (name == "url") {
    RUNNEL_TRY_ASSIGN(webhook.url, in.text(name));
  } else if (name == "secrets") {
    return read_texts(in, "a secret", webhook.secrets);
  } else if (name == "filter") {
    return read_texts(in, "a condition", webhook.filter);
  } else if (name == "body") {
    RUNNEL_TRY_ASSIGN(webhook.body, read_body_kind(in));
  } else if (name == "template") {
    RUNNEL_TRY_ASSIGN(webhook.text, in.text(name));
  } else if (name == "content_type") {
    RUNNEL_TRY_ASSIGN(webhook.content_type, in.text(name));
  } else if (name == "max_attempts") {
    RUNNEL_TRY_ASSIGN(const auto attempts, in.integer(name));
    webhook.max_attempts = static_cast<std::uint32_t>(
        std::clamp<std::int64_t>(attempts, 0, std::int64_t{hooks::kMaxAttempts} + 1));
  } else if (name == "timeout_ms") {
    RUNNEL_TRY_ASSIGN(const auto millis, in.integer(name));
    webhook.timeout = std::chrono::milliseconds(millis);
  } else if (name == "from") {
    RUNNEL_TRY_ASSIGN(out.from, read_place(in, now));
  } else {
    return in.unknown(name, kMembers);
  }
  return {};
}

/// The topic of the view's changes, as what is told of changes otherwise is kept too short a time
/// for a receiver that is away. It is compacted: who is behind gets the newest state of each row,
/// and is told of rows that went only if it catches up within the topic's delete.retention.ms.
Result<std::string> changes_of(Call& call, const std::string& name) {
  if (call.service().views() == nullptr) {
    return fail(ErrorCode::kUnsupported, "this broker has no views");
  }
  const auto now = call.service().views()->snapshot();
  const auto view = now.definitions->find(name);
  if (view == nullptr || view->view == nullptr) {
    return fail(ErrorCode::kNotFound,
                "there is no view '" + name + "'; SHOW VIEWS lists those that there are");
  }
  if (const auto& topic = view->view->options.changelog_topic) return *topic;
  return fail(
      ErrorCode::kInvalidArgument,
      "the view '" + name +
          "' puts its changes into no topic, and a webhook sends from topics; create it WITH "
          "(changelog_topic = 'NAME')");
}

Result<NewWebhook> read_webhook(Call& call) {
  JsonReader in(call.request().body);
  NewWebhook out;
  out.webhook.name = call.path("webhook");
  const Timestamp now = call.service().clock().now();
  bool says_body = false;
  const Status members = in.object("the body", [&](std::string_view member) {
    says_body = says_body || member == "body";
    return read_member(in, member, now, out);
  });
  RUNNEL_TRY(members);
  RUNNEL_TRY(in.end());
  if (!out.view.empty()) {
    if (!out.webhook.topic.empty()) {
      return fail(ErrorCode::kInvalidArgument, "a webhook sends a topic or a view, not both");
    }
    RUNNEL_TRY_ASSIGN(out.webhook.topic, changes_of(call, out.view));
  }
  const bool has_template = !out.webhook.text.empty();
  if (has_template && !says_body) out.webhook.body = BodyKind::kTemplate;
  if (has_template != (out.webhook.body == BodyKind::kTemplate)) {
    return fail(ErrorCode::kInvalidArgument,
                "template and body do not fit; give a template with body template, or neither");
  }
  return out;
}

Result<Response> described(const WebhookService& service, const std::string& name,
                           unsigned status) {
  RUNNEL_TRY_ASSIGN(const auto known, service.status(name));
  return json(json_of(known) + "\n", status);
}

void list(const CallRef& call) {
  WebhookService* const service = webhooks_of(call);
  if (service == nullptr) return;
  answer_blocking(call, [service] {
    std::string body = "{\"webhooks\":[";
    for (const WebhookStatus& status : service->all()) {
      if (body.back() != '[') body += ',';
      body += json_of(status);
    }
    return json(body + "]}\n");
  });
}

void put(const CallRef& call) {
  WebhookService* const service = webhooks_of(call);
  if (service == nullptr) return;
  auto made = read_webhook(*call);
  if (!made) return call->fail(made.error());
  answer_blocking(call, [service, made = *std::move(made)]() -> Result<Response> {
    RUNNEL_TRY_ASSIGN(const bool is_new, service->put(made.webhook, made.from));
    return described(*service, made.webhook.name, is_new ? 201 : 200);
  });
}

void describe(const CallRef& call) {
  WebhookService* const service = webhooks_of(call);
  if (service == nullptr) return;
  answer_blocking(call,
                  [call, service] { return described(*service, call->path("webhook"), 200); });
}

void remove(const CallRef& call) {
  WebhookService* const service = webhooks_of(call);
  if (service == nullptr) return;
  answer_blocking(call, [call, service]() -> Result<Response> {
    RUNNEL_TRY(service->remove(call->path("webhook")));
    return Response{204, {}, {}, {}};
  });
}

template <bool kPaused>
void pause(const CallRef& call) {
  WebhookService* const service = webhooks_of(call);
  if (service == nullptr) return;
  answer_blocking(call, [call, service]() -> Result<Response> {
    RUNNEL_TRY(service->pause(call->path("webhook"), kPaused));
    return described(*service, call->path("webhook"), 200);
  });
}

void replay(const CallRef& call) {
  WebhookService* const service = webhooks_of(call);
  if (service == nullptr) return;
  JsonReader in(call->request().body);
  std::optional<protocol::Place> from;
  const Timestamp now = call->service().clock().now();
  Status read = in.object("the body", [&](std::string_view name) -> Status {
    if (name != "from") return in.unknown(name, "from");
    RUNNEL_TRY_ASSIGN(from, read_place(in, now));
    return {};
  });
  if (read) read = in.end();
  if (read && !from)
    read = fail(ErrorCode::kInvalidArgument, "say from where: {\"from\": \"-2h\"}");
  if (!read) return call->fail(read.error());
  answer_blocking(call, [call, service, from = *from]() -> Result<Response> {
    RUNNEL_TRY(service->replay(call->path("webhook"), from));
    return described(*service, call->path("webhook"), 200);
  });
}

Route change(std::string_view pattern, void (*handler)(const CallRef&), std::string_view id,
             std::string_view summary) {
  Route out;
  out.method = Method::kPost;
  out.pattern = pattern;
  out.handler = handler;
  out.id = id;
  out.tag = "webhooks";
  out.summary = summary;
  out.answers = {{200, "The webhook as it is now.", {{kJson, "Webhook"}}}};
  return out;
}

}  // namespace

std::vector<Route> webhook_routes() {
  const std::vector<Content> webhook{{kJson, "Webhook"}};
  const std::string_view path = "/api/v1/webhooks/{webhook}";
  std::vector<Route> all{
      {.pattern = "/api/v1/webhooks",
       .handler = list,
       .id = "listOutgoingWebhooks",
       .tag = "webhooks",
       .summary = "Webhooks that go out, by name, without their secrets",
       .answers = {{200, "All of them.", {{kJson, "WebhookList"}}}}},
      {.method = Method::kPut,
       .pattern = path,
       .handler = put,
       .id = "defineOutgoingWebhook",
       .tag = "webhooks",
       .summary = "Sends a topic's records to a URL, or replaces how",
       .description = "One that is there goes on where it is, if its topic stays the same.",
       .bodies = {{kJson, "NewWebhook"}},
       .answers = {{200, "It was there; as it is now.", webhook}, {201, "It is new.", webhook}}},
      {.pattern = path,
       .handler = describe,
       .id = "describeOutgoingWebhook",
       .tag = "webhooks",
       .summary = "A webhook that goes out: where it is, and what became of its records",
       .answers = {{200, "The webhook.", webhook}}},
      {.method = Method::kDelete,
       .pattern = path,
       .handler = remove,
       .id = "deleteOutgoingWebhook",
       .tag = "webhooks",
       .summary = "Deletes a webhook that goes out; its dead letters stay",
       .answers = {{204, "It is gone."}}},
      change("/api/v1/webhooks/{webhook}/pause", pause<true>, "pauseWebhook",
             "Sends nothing until it is resumed"),
      change("/api/v1/webhooks/{webhook}/resume", pause<false>, "resumeWebhook",
             "Goes on where it was paused"),
      change("/api/v1/webhooks/{webhook}/replay", replay, "replayWebhook",
             "Sends again, from a place on"),
  };
  all.back().bodies = {{kJson, "WebhookReplay"}};
  return all;
}

}  // namespace runnel::broker::http
