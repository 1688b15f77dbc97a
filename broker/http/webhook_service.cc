#include "broker/http/webhook_service.h"

#include <algorithm>

namespace runnel::broker::http {
namespace {

/// However quiet it is, partitions that were added are looked for.
constexpr std::chrono::seconds kLookAgain{1};

}  // namespace

WebhookService::WebhookService(storage::Store& store, storage::Clock& clock,
                               std::shared_ptr<MemoryGate> memory, Options options)
    : store_(store), clock_(clock), memory_(std::move(memory)), options_(std::move(options)) {
  const auto stored = store_.read_state(hooks::kWebhookPrefix);
  if (!stored) {
    loaded_ = fail(stored.error().within("the webhooks could not be read"));
    if (options_.warn) options_.warn(loaded_.error().message());
    return;
  }
  for (const auto& [key, value] : *stored) {
    const auto name = std::string_view(key).substr(hooks::kWebhookPrefix.size());
    auto webhook = hooks::decode_webhook(name, value);
    if (!webhook) {
      if (options_.warn) options_.warn(webhook.error().message());
      continue;
    }
    const auto entry = std::make_shared<Entry>();
    {
      Entry& e = *entry;
      MutexLock working(e.working);
      start(e, std::move(*webhook));
    }
    add(std::string(name), entry);
  }
}

WebhookService::~WebhookService() {
  inbox_->close();
  if (thread_.joinable()) thread_.join();  // nobody else is in here any more
}

void WebhookService::start(Entry& entry, hooks::Webhook webhook) {
  auto runner = std::make_unique<WebhookRunner>(
      WebhookRunner::Shared{store_, clock_, *options_.random, *memory_, inbox_, options_.send,
                            options_.policy},
      std::move(webhook), ++last_number_);
  if (entry.runner) runner->keep_counts(entry.runner->counts());
  entry.runner = std::move(runner);
  show_definition(entry);
}

void WebhookService::add(const std::string& name, EntryRef entry) {
  MutexLock lock(mutex_);
  entries_.insert_or_assign(name, std::move(entry));
  // Who has no webhooks pays for none.
  if (!thread_.joinable()) thread_ = std::thread([this] { work(); });
}

void WebhookService::work() {
  std::vector<WebhookInbox::Outcome> outcomes;
  std::chrono::nanoseconds most{0};
  while (inbox_->wait(most, outcomes)) most = turn(outcomes);
  for (const EntryRef& entry : entries()) {
    Entry& e = *entry;
    MutexLock working(e.working);
    if (!e.runner) continue;
    take(*e.runner, outcomes);
    e.runner->finish();
  }
}

std::vector<WebhookService::EntryRef> WebhookService::entries() const {
  MutexLock lock(mutex_);
  std::vector<EntryRef> out;
  for (const auto& [name, entry] : entries_) out.push_back(entry);
  return out;
}

/// Those of a runner that was replaced meanwhile are nobody's.
void WebhookService::take(WebhookRunner& runner,
                          const std::vector<WebhookInbox::Outcome>& outcomes) {
  for (const WebhookInbox::Outcome& outcome : outcomes) {
    if (outcome.runner == runner.number()) runner.take(outcome);
  }
}

std::chrono::nanoseconds WebhookService::turn(const std::vector<WebhookInbox::Outcome>& outcomes) {
  std::chrono::nanoseconds most = kLookAgain;
  for (const EntryRef& entry : entries()) {
    Entry& e = *entry;
    MutexLock working(e.working);
    if (!e.runner) continue;
    take(*e.runner, outcomes);
    const auto due = e.runner->work();
    if (due) most = std::min(most, std::max(*due - clock_.monotonic(), most.zero()));
    show(e);
  }
  return most;
}

void WebhookService::show(Entry& entry) {
  const WebhookRunner& runner = *entry.runner;
  auto places = runner.places();
  MutexLock lock(entry.mutex);
  entry.shown.counts = runner.counts();
  entry.shown.places = std::move(places);
  entry.shown.in_flight = runner.in_flight();
  entry.shown.memory_bytes = runner.memory_bytes();
  entry.shown.problem = runner.problem();
}

void WebhookService::show_definition(Entry& entry) {
  {
    MutexLock lock(entry.mutex);
    entry.shown.webhook = entry.runner->webhook();
  }
  show(entry);
}

Result<WebhookService::EntryRef> WebhookService::find(std::string_view name) const {
  RUNNEL_TRY(loaded_);
  MutexLock lock(mutex_);
  const auto found = entries_.find(name);
  if (found != entries_.end()) return found->second;
  return fail(ErrorCode::kNotFound, "there is no webhook '" + std::string(name) + "'");
}

Status WebhookService::commit(std::vector<storage::StateChange> changes) {
  storage::CommitRequest request;
  request.state = std::move(changes);
  const auto outcome = store_.commit_and_wait(std::move(request));
  if (!outcome.result) return fail(outcome.result.error());
  return {};
}

Result<bool> WebhookService::put(hooks::Webhook webhook, const protocol::Place& from) {
  MutexLock changing(changing_);
  RUNNEL_TRY(loaded_);
  const auto known = find(webhook.name);
  if (!known && entries().size() >= hooks::kMaxWebhooks) {
    return fail(ErrorCode::kOverloaded, "there are " + std::to_string(hooks::kMaxWebhooks) +
                                            " webhooks, which is the most; delete some");
  }
  const EntryRef entry = known ? *known : std::make_shared<Entry>();
  Entry& e = *entry;
  MutexLock working(e.working);
  webhook.created = clock_.now();
  bool goes_on = false;
  if (e.runner) {
    const hooks::Webhook& before = e.runner->webhook();
    webhook.created = before.created;
    webhook.paused = before.paused;
    goes_on = before.topic == webhook.topic;
    if (webhook.secrets.empty()) webhook.secrets = before.secrets;
  }
  RUNNEL_TRY(hooks::check_webhook(webhook));
  RUNNEL_TRY(Url::parse(webhook.url));
  std::vector<storage::StateChange> changes;
  if (goes_on) {
    RUNNEL_TRY(store_.describe_topic(webhook.topic));
    changes = e.runner->changes();
  } else {
    RUNNEL_TRY_ASSIGN(changes, WebhookRunner::begin_at(store_, webhook, from));
  }
  changes.push_back(
      {std::string(hooks::kWebhookPrefix) + webhook.name, hooks::encode_webhook(webhook)});
  RUNNEL_TRY(commit(std::move(changes)));
  const std::string name = webhook.name;
  start(e, std::move(webhook));
  if (!known) add(name, entry);
  inbox_->wake();
  return !known;
}

Status WebhookService::remove(const std::string& name) {
  MutexLock changing(changing_);
  RUNNEL_TRY_ASSIGN(const EntryRef entry, find(name));
  Entry& e = *entry;
  MutexLock working(e.working);
  std::vector<storage::StateChange> changes;
  const std::string places = std::string(hooks::kWebhookPlacePrefix) + name + "/";
  RUNNEL_TRY_ASSIGN(const auto stored, store_.read_state(places));
  for (const auto& [key, value] : stored) changes.push_back({key, std::nullopt});
  changes.push_back({std::string(hooks::kWebhookPrefix) + name, std::nullopt});
  RUNNEL_TRY(commit(std::move(changes)));
  e.runner.reset();
  MutexLock lock(mutex_);
  entries_.erase(name);
  return {};
}

Status WebhookService::pause(const std::string& name, bool paused) {
  MutexLock changing(changing_);
  RUNNEL_TRY_ASSIGN(const EntryRef entry, find(name));
  Entry& e = *entry;
  MutexLock working(e.working);
  if (e.runner->webhook().paused == paused) return {};
  hooks::Webhook webhook = e.runner->webhook();
  webhook.paused = paused;
  RUNNEL_TRY(commit({{std::string(hooks::kWebhookPrefix) + name, hooks::encode_webhook(webhook)}}));
  e.runner->set_paused(paused);
  show_definition(e);
  inbox_->wake();
  return {};
}

Status WebhookService::replay(const std::string& name, const protocol::Place& from) {
  MutexLock changing(changing_);
  RUNNEL_TRY_ASSIGN(const EntryRef entry, find(name));
  Entry& e = *entry;
  MutexLock working(e.working);
  const hooks::Webhook webhook = e.runner->webhook();
  RUNNEL_TRY_ASSIGN(auto changes, WebhookRunner::begin_at(store_, webhook, from));
  RUNNEL_TRY(commit(std::move(changes)));
  start(e, webhook);
  inbox_->wake();
  return {};
}

/// How far behind it is holds for now, not for its last turn.
WebhookStatus WebhookService::status_of(Entry& entry) const {
  WebhookStatus out;
  {
    MutexLock lock(entry.mutex);
    out = entry.shown;
  }
  for (WebhookPlace& place : out.places) {
    const Offset end = store_.partition_info(place.ref).last_stable;
    place.behind = std::max<std::int64_t>(end - place.next, 0);
  }
  return out;
}

Result<WebhookStatus> WebhookService::status(const std::string& name) const {
  RUNNEL_TRY_ASSIGN(const EntryRef entry, find(name));
  return status_of(*entry);
}

std::vector<WebhookStatus> WebhookService::all() const {
  std::vector<WebhookStatus> out;
  for (const EntryRef& entry : entries()) out.push_back(status_of(*entry));
  return out;
}

}  // namespace runnel::broker::http
