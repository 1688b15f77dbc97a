#include "broker/http/service.h"

#include <array>
#include <cstdio>

#include "broker/http/http_session.h"
#include "broker/http/proxy_consumers.h"
#include "broker/http/router.h"
#include "broker/http/routes.h"
#include "broker/http/view_push.h"
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

std::vector<protocol::native::Statistic> HttpService::statistics() const {
  const auto count = [](const Counters::Count& c) { return c.load(std::memory_order_relaxed); };
  const Counters& c = counters_;
  return {
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
}

}  // namespace runnel::broker::http
