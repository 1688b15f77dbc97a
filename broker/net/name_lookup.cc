#include "broker/net/name_lookup.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <map>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "protocol/base/thread_annotations.h"

namespace runnel::broker {

struct NameLookup::State {
  /// A name that somebody waits for, or that a thread is at: the next who asks for it joins.
  struct Job {
    bool started = false;
    std::map<std::uint64_t, Done> waiting;  ///< by ticket
  };
  explicit State(Resolve by) : resolve(std::move(by)) {}

  /// The next name; none: the thread ends.
  std::optional<std::string> take() RUNNEL_EXCLUDES(mutex) {
    MutexLock lock(mutex);
    if (queue.empty()) {
      --threads;
      return std::nullopt;
    }
    std::string host = std::move(queue.front());
    queue.pop_front();
    jobs.at(host).started = true;
    return host;
  }
  /// Who waits is told under the lock: after a cancel() nobody is being told.
  void tell(const std::string& host, const Result<Addresses>& found) RUNNEL_EXCLUDES(mutex) {
    MutexLock lock(mutex);
    const auto job = jobs.extract(host);
    if (job.empty()) return;  // all has gone
    for (const auto& [ticket, done] : job.mapped().waiting) done(found);
  }

  const Resolve resolve;
  Mutex mutex;
  std::map<std::string, Job> jobs RUNNEL_GUARDED_BY(mutex);  ///< by host
  std::deque<std::string> queue RUNNEL_GUARDED_BY(mutex);    ///< those that are not started
  std::uint64_t last_ticket RUNNEL_GUARDED_BY(mutex) = 0;
  std::size_t threads RUNNEL_GUARDED_BY(mutex) = 0;
};

NameLookup::NameLookup(Resolve resolve) : state_(std::make_shared<State>(std::move(resolve))) {}

NameLookup::~NameLookup() {
  std::map<std::string, State::Job> dropped;
  MutexLock lock(state_->mutex);
  state_->queue.clear();
  dropped.swap(state_->jobs);
}

void NameLookup::run(const std::shared_ptr<State>& state) {
  while (const auto host = state->take()) state->tell(*host, state->resolve(*host));
}

std::uint64_t NameLookup::start(const std::string& host, Done done) {
  State& state = *state_;
  std::uint64_t ticket = 0;
  {
    MutexLock lock(state.mutex);
    ticket = ++state.last_ticket;
    const auto [job, is_new] = state.jobs.try_emplace(host);
    job->second.waiting.emplace(ticket, std::move(done));
    if (is_new) state.queue.push_back(host);
    // Also for one that waits since no thread was to be had.
    if (job->second.started || state.threads == kMaxLookups) return ticket;
    ++state.threads;
  }
  try {
    std::thread([kept = state_] { run(kept); }).detach();
  } catch (const std::system_error&) {
    // No thread to be had: others take it, or who waits gives up when its time is over.
    MutexLock lock(state.mutex);
    --state.threads;
  }
  return ticket;
}

bool NameLookup::cancel(const std::string& host, std::uint64_t ticket) {
  MutexLock lock(state_->mutex);
  const auto at = state_->jobs.find(host);
  if (at == state_->jobs.end()) return true;  // it has been told
  State::Job& job = at->second;
  if (job.waiting.erase(ticket) == 0 || job.started) return true;
  if (job.waiting.empty()) {
    state_->jobs.erase(at);
    std::erase(state_->queue, host);
  }
  return false;
}

Result<NameLookup::Addresses> NameLookup::system(const std::string& host) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  const int error = ::getaddrinfo(host.c_str(), nullptr, &hints, &list);
  const int cause = errno;
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(list, ::freeaddrinfo);
  if (error != 0) {
    return fail(ErrorCode::kDisconnected, error == EAI_SYSTEM
                                              ? std::system_category().message(cause)
                                              : std::string(::gai_strerror(error)));
  }
  Addresses out;
  for (const addrinfo* at = list; at != nullptr; at = at->ai_next) {
    AddressBytes bytes{};
    if (at->ai_family == AF_INET6) {
      sockaddr_in6 v6{};
      std::memcpy(&v6, at->ai_addr, sizeof v6);
      std::memcpy(bytes.data(), &v6.sin6_addr, bytes.size());
    } else if (at->ai_family == AF_INET) {
      sockaddr_in v4{};
      std::memcpy(&v4, at->ai_addr, sizeof v4);
      bytes[10] = bytes[11] = 0xff;
      std::memcpy(bytes.data() + 12, &v4.sin_addr, 4);
    } else {
      continue;
    }
    out.push_back(bytes);
  }
  if (out.empty()) return fail(ErrorCode::kDisconnected, "it has no addresses");
  return out;
}

}  // namespace runnel::broker
