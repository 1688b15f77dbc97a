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
  struct Job {
    std::uint64_t ticket = 0;
    std::string host;
  };
  explicit State(Resolve by) : resolve(std::move(by)) {}

  /// The next one that somebody waits for; none: the thread ends.
  std::optional<Job> take() RUNNEL_EXCLUDES(mutex) {
    MutexLock lock(mutex);
    while (!queue.empty()) {
      Job job = std::move(queue.front());
      queue.pop_front();
      if (waiting.contains(job.ticket)) return job;
    }
    --threads;
    return std::nullopt;
  }
  /// Who waits is told under the lock: after a cancel() nobody is being told.
  void tell(std::uint64_t ticket, Result<Addresses> found) RUNNEL_EXCLUDES(mutex) {
    MutexLock lock(mutex);
    const auto at = waiting.find(ticket);
    if (at == waiting.end()) return;
    const Done done = std::move(at->second);
    waiting.erase(at);
    done(std::move(found));
  }

  const Resolve resolve;
  Mutex mutex;
  std::deque<Job> queue RUNNEL_GUARDED_BY(mutex);
  std::map<std::uint64_t, Done> waiting RUNNEL_GUARDED_BY(mutex);  ///< by ticket
  std::uint64_t last_ticket RUNNEL_GUARDED_BY(mutex) = 0;
  std::size_t threads RUNNEL_GUARDED_BY(mutex) = 0;
};

NameLookup::NameLookup(Resolve resolve) : state_(std::make_shared<State>(std::move(resolve))) {}

NameLookup::~NameLookup() {
  std::map<std::uint64_t, Done> dropped;
  MutexLock lock(state_->mutex);
  state_->queue.clear();
  dropped.swap(state_->waiting);
}

void NameLookup::run(const std::shared_ptr<State>& state) {
  while (const auto job = state->take()) state->tell(job->ticket, state->resolve(job->host));
}

std::uint64_t NameLookup::start(std::string host, Done done) {
  State& state = *state_;
  std::uint64_t ticket = 0;
  {
    MutexLock lock(state.mutex);
    ticket = ++state.last_ticket;
    state.waiting.emplace(ticket, std::move(done));
    state.queue.push_back({ticket, std::move(host)});
    if (state.threads == kMaxLookups) return ticket;
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

void NameLookup::cancel(std::uint64_t ticket) {
  MutexLock lock(state_->mutex);
  state_->waiting.erase(ticket);
  std::erase_if(state_->queue, [&](const State::Job& job) { return job.ticket == ticket; });
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
