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
  const auto entries = store_.read_state(hooks::kWebhookPrefix);
  MutexLock lock(mutex_);
  if (!entries) {
    loaded_ = fail(entries.error().within("the webhooks could not be read"));
  } else {
    for (const auto& [key, value] : *entries) {
      const auto name = std::string_view(key).substr(hooks::kWebhookPrefix.size());
      auto webhook = hooks::decode_webhook(name, value);
      if (webhook) {
        start(std::move(*webhook));
      } else if (options_.warn) {
        options_.warn(webhook.error().message());
      }
    }
  }
  if (!loaded_ && options_.warn) options_.warn(loaded_.error().message());
}

WebhookService::~WebhookService() {
  inbox_->close();
  if (thread_.joinable()) thread_.join();  // nobody else is in here any more
}

void WebhookService::start(hooks::Webhook webhook) {
  const std::string name = webhook.name;
  auto runner = std::make_unique<WebhookRunner>(
      WebhookRunner::Shared{store_, clock_, *options_.random, *memory_, inbox_, options_.send,
                            options_.policy},
      std::move(webhook), ++last_number_);
  auto& place = runners_[name];
  if (place) runner->keep_counts(place->counts());
  place = std::move(runner);
  // Who has no webhooks pays for none.
  if (!thread_.joinable()) thread_ = std::thread([this] { work(); });
}

void WebhookService::work() {
  std::vector<WebhookInbox::Outcome> outcomes;
  std::chrono::nanoseconds most{0};
  while (inbox_->wait(most, outcomes)) most = turn(outcomes);
  MutexLock lock(mutex_);
  take(outcomes);
  for (const auto& [name, runner] : runners_) runner->finish();
}

void WebhookService::take(const std::vector<WebhookInbox::Outcome>& outcomes) {
  for (const WebhookInbox::Outcome& outcome : outcomes) {
    // Of a runner that was replaced meanwhile it means nothing.
    const auto found = std::find_if(runners_.begin(), runners_.end(), [&](const auto& each) {
      return each.second->number() == outcome.runner;
    });
    if (found != runners_.end()) found->second->take(outcome);
  }
}

std::chrono::nanoseconds WebhookService::turn(const std::vector<WebhookInbox::Outcome>& outcomes) {
  MutexLock lock(mutex_);
  take(outcomes);
  std::chrono::nanoseconds most = kLookAgain;
  for (const auto& [name, runner] : runners_) {
    const auto due = runner->work();
    if (due) most = std::min(most, std::max(*due - clock_.monotonic(), most.zero()));
  }
  return most;
}

Result<WebhookRunner*> WebhookService::find(std::string_view name) const {
  RUNNEL_TRY(loaded_);
  const auto found = runners_.find(name);
  if (found != runners_.end()) return found->second.get();
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
  MutexLock lock(mutex_);
  RUNNEL_TRY(loaded_);
  const auto found = runners_.find(webhook.name);
  const bool is_new = found == runners_.end();
  if (is_new && runners_.size() >= hooks::kMaxWebhooks) {
    return fail(ErrorCode::kOverloaded, "there are " + std::to_string(hooks::kMaxWebhooks) +
                                            " webhooks, which is the most; delete some");
  }
  webhook.created = clock_.now();
  bool goes_on = false;
  if (!is_new) {
    const hooks::Webhook& before = found->second->webhook();
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
    changes = found->second->changes();
  } else {
    RUNNEL_TRY_ASSIGN(changes, WebhookRunner::begin_at(store_, webhook, from));
  }
  changes.push_back(
      {std::string(hooks::kWebhookPrefix) + webhook.name, hooks::encode_webhook(webhook)});
  RUNNEL_TRY(commit(std::move(changes)));
  start(std::move(webhook));
  inbox_->wake();
  return is_new;
}

Status WebhookService::remove(const std::string& name) {
  MutexLock lock(mutex_);
  RUNNEL_TRY(find(name));
  std::vector<storage::StateChange> changes;
  const std::string places = std::string(hooks::kWebhookPlacePrefix) + name + "/";
  RUNNEL_TRY_ASSIGN(const auto entries, store_.read_state(places));
  for (const auto& [key, value] : entries) changes.push_back({key, std::nullopt});
  changes.push_back({std::string(hooks::kWebhookPrefix) + name, std::nullopt});
  RUNNEL_TRY(commit(std::move(changes)));
  runners_.erase(name);
  return {};
}

Status WebhookService::pause(const std::string& name, bool paused) {
  MutexLock lock(mutex_);
  RUNNEL_TRY_ASSIGN(const WebhookRunner* runner, find(name));
  if (runner->webhook().paused == paused) return {};
  hooks::Webhook webhook = runner->webhook();
  webhook.paused = paused;
  RUNNEL_TRY(commit({{std::string(hooks::kWebhookPrefix) + name, hooks::encode_webhook(webhook)}}));
  find(name).value()->set_paused(paused);
  inbox_->wake();
  return {};
}

Status WebhookService::replay(const std::string& name, const protocol::Place& from) {
  MutexLock lock(mutex_);
  RUNNEL_TRY_ASSIGN(const WebhookRunner* runner, find(name));
  RUNNEL_TRY_ASSIGN(auto changes, WebhookRunner::begin_at(store_, runner->webhook(), from));
  RUNNEL_TRY(commit(std::move(changes)));
  start(runner->webhook());
  inbox_->wake();
  return {};
}

WebhookStatus WebhookService::status_of(const WebhookRunner& runner) {
  return {runner.webhook(), runner.counts(), runner.places(), runner.in_flight(), runner.problem()};
}

Result<WebhookStatus> WebhookService::status(const std::string& name) const {
  MutexLock lock(mutex_);
  RUNNEL_TRY_ASSIGN(const WebhookRunner* runner, find(name));
  return status_of(*runner);
}

std::vector<WebhookStatus> WebhookService::all() const {
  MutexLock lock(mutex_);
  std::vector<WebhookStatus> out;
  for (const auto& [name, runner] : runners_) out.push_back(status_of(*runner));
  return out;
}

}  // namespace runnel::broker::http
