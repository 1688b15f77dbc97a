#include "broker/http/service.h"

#include <array>
#include <cstdio>

#include "broker/http/http_session.h"
#include "broker/http/proxy_consumers.h"
#include "broker/http/router.h"
#include "broker/http/routes.h"
#include "broker/http/view_push.h"
#include "broker/http/webhook_service.h"
#include "storage/env/random.h"

namespace runnel::broker::http {
namespace {

constexpr std::chrono::seconds kCountHolds{1};
constexpr std::size_t kMaxCounted = 10'000;

std::string make_prefix() {
  std::array<char, 20> text{};
  std::snprintf(text.data(), text.size(), "%012llx-",
                static_cast<unsigned long long>(storage::Random::system().next() >> 16));
  return text.data();
}

}  // namespace

HttpService::HttpService(storage::Store& store, Coordinator& coordinator, storage::Clock& clock,
                         Shared shared, HttpOptions options)
    : store_(store),
      coordinator_(coordinator),
      clock_(clock),
      shared_(std::move(shared)),
      schemas_(shared_.schemas ? shared_.schemas
                               : std::make_shared<schemas::Registry>(store, clock, nullptr)),
      hooks_(shared_.hooks ? shared_.hooks : std::make_shared<hooks::Hooks>(store, clock, nullptr)),
      options_(std::move(options)),
      router_(std::make_unique<const Router>(all_routes())),
      id_prefix_(make_prefix()) {
  consumers_ = std::make_unique<ProxyConsumers>(store, coordinator, clock, shared_.memory,
                                                options_.instance_timeout);
  if (shared_.views != nullptr) push_ = std::make_unique<ViewPush>(*shared_.views);
}

HttpService::~HttpService() = default;

SessionFactory HttpService::factory() {
  return
      [this](Connection& connection) { return std::make_unique<HttpSession>(*this, connection); };
}

void HttpService::wait_for_memory(const std::shared_ptr<SessionHandle>& session,
                                  std::function<void(Session&)> retry) {
  Counters::add(counters_.memory_waits, 1);
  shared_.wait_for_memory(session, std::move(retry));
}

Result<std::int32_t> HttpService::partition_count(const std::string& topic) {
  const auto now = clock_.monotonic();
  {
    MutexLock lock(mutex_);
    const auto known = counted_.find(topic);
    if (known != counted_.end() && now - known->second.at < kCountHolds) {
      return known->second.partitions;
    }
  }
  RUNNEL_TRY_ASSIGN(const auto info, store_.describe_topic(topic));
  const auto count = static_cast<std::int32_t>(info.partitions.size());
  MutexLock lock(mutex_);
  if (counted_.size() >= kMaxCounted) counted_.clear();
  counted_[topic] = {count, now};
  return count;
}

std::string HttpService::make_request_id() {
  return id_prefix_ + std::to_string(last_id_.fetch_add(1, std::memory_order_relaxed) + 1);
}

void HttpService::note_closed(const std::string& line) const {
  if (options_.log) options_.log(line);
}

std::vector<protocol::native::Statistic> HttpService::all_statistics() const {
  return options_.statistics ? options_.statistics() : statistics();
}

void HttpService::add_webhooks(std::vector<protocol::native::Statistic>& out) const {
  std::uint64_t stored = 0, duplicates = 0, refused = 0, failed = 0;
  for (const hooks::HookRef& hook : hooks_->all()) {
    stored += hook->counts->stored.load(std::memory_order_relaxed);
    duplicates += hook->counts->duplicates.load(std::memory_order_relaxed);
    refused += hook->counts->refused.load(std::memory_order_relaxed);
    failed += hook->counts->failed.load(std::memory_order_relaxed);
  }
  out.push_back({"hooks.stored", stored, "requests", "webhooks that came in and were stored"});
  out.push_back({"hooks.duplicates", duplicates, "requests", "repeats that were known"});
  out.push_back({"hooks.refused", refused, "requests",
                 "not signed as their webhook asks: somebody guesses, or a secret is wrong"});
  out.push_back({"hooks.failed", failed, "requests", "signed, and not stored"});
  if (shared_.webhooks == nullptr) return;
  std::uint64_t delivered = 0, attempts = 0, dead = 0, behind = 0, memory = 0;
  for (const WebhookStatus& each : shared_.webhooks->all()) {
    delivered += each.counts.delivered;
    attempts += each.counts.failed_attempts;
    dead += each.counts.dead;
    memory += each.memory_bytes;
    for (const WebhookPlace& place : each.places)
      behind += static_cast<std::uint64_t>(place.behind);
  }
  out.push_back({"webhooks.delivered", delivered, "records", "that receivers have taken"});
  out.push_back({"webhooks.failed_attempts", attempts, "requests",
                 "to receivers that failed; each is tried again"});
  out.push_back({"webhooks.dead", dead, "records", "put to the dead letters"});
  out.push_back({"webhooks.behind", behind, "offsets",
                 "from the places of webhooks to the ends of their partitions now"});
  out.push_back({"webhooks.memory_bytes", memory, "bytes",
                 "of records that wait for receivers or are on their way to them now"});
}

std::vector<protocol::native::Statistic> HttpService::statistics() const {
  const auto count = [](const Counters::Count& c) { return c.load(std::memory_order_relaxed); };
  const Counters& c = counters_;
  std::vector<protocol::native::Statistic> out{
      {"http.sessions", count(c.sessions), "connections", "HTTP connections now"},
      {"http.requests", count(c.requests), "requests", "requests received"},
      {"http.failures", count(c.failures), "requests", "answered with a problem"},
      {"http.refused", count(c.refused), "requests",
       "of them: refused before they were looked at, for their form, host or size"},
      {"http.slow", count(c.slow), "connections",
       "closed because a request that had begun to arrive did not go on, or an event stream was "
       "not read"},
      {"http.streams", count(c.streams), "streams", "event streams now"},
      {"http.appended_records", count(c.appended_records), "records", "stored by HTTP requests"},
      {"http.read_records", count(c.read_records), "records", "sent to readers and event streams"},
      {"http.memory_waits", count(c.memory_waits), "requests", "had to wait for memory"},
  };
  add_webhooks(out);
  return out;
}

}  // namespace runnel::broker::http
