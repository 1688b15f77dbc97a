// Who receives webhooks in tests: keeps the requests, and answers when it is told to.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>

#include "broker/net/outgoing.h"

namespace runnel::broker::http {

/// Thread safe.
class WebhookReceiver {
 public:
  using Done = std::function<void(Result<OutgoingAnswer>)>;
  struct Request {
    OutgoingRequest request;
    Done done;

    void answer(unsigned status) const { done(OutgoingAnswer{status, {}}); }
    [[nodiscard]] std::string header(std::string_view name) const {
      for (const auto& [known, value] : request.headers) {
        if (known == name) return value;
      }
      return {};
    }
  };

  void send(OutgoingRequest request, Done done) {
    const std::lock_guard lock(mutex_);
    requests_.push_back({std::move(request), std::move(done)});
    changed_.notify_all();
  }
  /// The next request; fails the test if none comes.
  Request await() {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, kPatience, [this] { return !requests_.empty(); })) {
      ADD_FAILURE() << "no request came";
      return {{}, [](const auto&) {}};
    }
    Request out = std::move(requests_.front());
    requests_.pop_front();
    return out;
  }
  [[nodiscard]] std::size_t waiting() const {
    const std::lock_guard lock(mutex_);
    return requests_.size();
  }

 private:
  /// Far above what it takes; a test that waits so long has failed.
  static constexpr std::chrono::seconds kPatience{60};
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Request> requests_;
};

}  // namespace runnel::broker::http
