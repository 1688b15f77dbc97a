// A webhook's request: checked, mapped, and stored as one record whose value is the body as it
// came.
#include <xxhash.h>

#include "broker/hooks/hooks.h"
#include "broker/hooks/mapping.h"
#include "broker/http/limits.h"
#include "broker/http/placer.h"
#include "broker/http/routes.h"

namespace runnel::broker::http {
namespace {

using hooks::HookCounts;
using hooks::HookRef;

/// Persisted, in dedup keys.
constexpr std::string_view kHookSource = "hook";
constexpr std::string_view kContentType = "content-type";

/// Takes as long as the body is, and blocks where the topic asks for schemas. kUnauthorized comes
/// before anything else is told.
Result<Prepared> prepare(Call& call, const hooks::Hook& hook) {
  const Request& request = call.request();
  const hooks::HeaderOf header = [&](std::string_view name) { return request.header(name); };
  const Timestamp now = call.service().clock().now();
  RUNNEL_TRY(hooks::verify({hook.scheme, hook.secrets, hook.tolerance, now}, header, request.body));
  RUNNEL_TRY_ASSIGN(auto mapped, hooks::map_request(hook, header, request.body));
  RUNNEL_TRY_ASSIGN(const std::int32_t count, call.service().partition_count(hook.topic));
  RUNNEL_TRY_ASSIGN(const auto rules, rules_of(call.store(), hook.topic));
  AppendRow row;
  row.key = mapped.key;
  row.value = request.body;
  row.timestamp = mapped.time;
  if (const std::string* type = request.header(kContentType)) {
    row.headers.push_back({kContentType, *type});
  }
  for (const std::string& name : hook.headers) {
    if (const std::string* value = request.header(hooks::lower_case(name))) {
      row.headers.push_back({name, *value});
    }
  }
  if (mapped.dedup) {
    // Of the identity alone: some senders change their bodies a little when they try again.
    row.repeat_hash = XXH3_64bits(mapped.dedup->data(), mapped.dedup->size());
    row.dedup = {std::string(kHookSource), hook.name, std::move(*mapped.dedup)};
  }
  Placer placer(call.service(), {.topic = hook.topic, .count = count, .rules = rules});
  RUNNEL_TRY(placer.add(row));
  return placer.finish();
}

/// Whether a request is made ready on the loop's thread.
bool at_once(Call& call, const hooks::Hook& hook) {
  if (call.request().body.size() > kMaxInlineBodyBytes) return false;
  const auto rules = rules_of(call.store(), hook.topic);
  return !rules || !rules->asks_for_schemas();
}

void answer(Call& call, const HookRef& hook, std::int32_t partition,
            const storage::CommitOutcome& outcome) {
  HookCounts& counts = *hook->counts;
  if (!outcome.result) {
    Counters::add(counts.failed, 1);
    return call.fail(outcome.result.error());
  }
  const storage::AppendResult& stored = outcome.result->appends.at(0);
  Counters::add(stored.duplicate ? counts.duplicates : counts.stored, 1);
  if (!stored.duplicate) Counters::add(call.service().counters().appended_records, 1);
  if (!stored.dedup_partitions.empty()) partition = stored.dedup_partitions.front().value();
  const Offset offset =
      stored.dedup_offsets.empty() ? stored.base_offset : stored.dedup_offsets.front();
  call.reply(json("{\"partition\":" + std::to_string(partition) +
                  ",\"offset\":" + std::to_string(offset.value()) +
                  ",\"duplicate\":" + (stored.duplicate ? "true" : "false") + "}\n"));
}

void commit(const CallRef& call, const HookRef& hook, Result<Prepared> prepared) {
  if (!prepared) {
    const bool refused = prepared.error().code() == ErrorCode::kUnauthorized;
    Counters::add(refused ? hook->counts->refused : hook->counts->failed, 1);
    return call->fail(prepared.error());
  }
  call->store().queue_commit(
      std::move(prepared->commit),
      [call, hook, partition = prepared->partitions.at(0)](storage::CommitOutcome outcome) {
        auto shared = std::make_shared<storage::CommitOutcome>(std::move(outcome));
        call->on_loop([call, hook, partition, shared] { answer(*call, hook, partition, *shared); });
      });
}

void receive(const CallRef& call) {
  auto hook = call->service().hooks().find(call->path("hook"));
  if (!hook) return call->fail(hook.error());
  if (const Status paid = pay_for_body(*call, 2); !paid) return call->fail(paid.error());
  if (at_once(*call, (*hook)->hook)) return commit(call, *hook, prepare(*call, (*hook)->hook));
  run_blocking(
      call, [call, hook = *hook] { return prepare(*call, hook->hook); },
      [call, hook = *hook](Result<Prepared> prepared) { commit(call, hook, std::move(prepared)); });
}

}  // namespace

std::vector<Route> hook_request_routes() {
  return {{.method = Method::kPost,
           .pattern = "/hooks/{hook}",
           .handler = receive,
           .id = "receiveWebhook",
           .tag = "webhooks",
           .summary = "Stores a webhook's request as a record; what its sender is told to call",
           .description =
               "The body is the record's value as it came, the hook's definition says where its "
               "key, its time and what names the delivery stand. A repeat of a delivery that is "
               "named is answered with where the first one is. Answered when it is on stable "
               "storage.",
           .headers = {{.name = "X-Hub-Signature-256", .text = "Of hooks signed as github does."},
                       {.name = "Stripe-Signature", .text = "Of hooks signed as stripe does."},
                       {.name = "webhook-signature",
                        .text = "Of hooks signed by Standard Webhooks, with webhook-id and "
                                "webhook-timestamp."}},
           .bodies = {{kAnyType}},
           .answers = {{200, "Where the record is.", {{kJson, "HookStored"}}}}}};
}

}  // namespace runnel::broker::http
