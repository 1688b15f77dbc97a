// Work handed to a loop thread by other threads. Many posts cost one wake.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "broker/net/session.h"
#include "broker/net/sockets.h"
#include "protocol/base/thread_annotations.h"

namespace runnel::broker {

class SessionTarget;

/// One piece of posted work: for a session (dropped if it has ended) or for the loop itself.
struct Posted {
  std::shared_ptr<SessionTarget> target;
  std::function<void(Session&)> for_session;
  std::function<void()> for_loop;
};

/// Thread safe. Outlives its loop as long as a handle is held somewhere; then it drops all posts.
class Mailbox {
 public:
  [[nodiscard]] static Result<std::shared_ptr<Mailbox>> create();

  void post(Posted work);
  /// Becomes readable when work arrives for a sleeping loop.
  [[nodiscard]] int wake_fd() const noexcept { return wake_fd_.get(); }

  /// Loop thread: moves all work into `into` (which must be empty); the loop counts as awake.
  void take(std::vector<Posted>& into);
  /// Loop thread: true if there is no work; the next post then writes to wake_fd().
  [[nodiscard]] bool may_sleep();
  /// Drops what is queued and everything posted later.
  void close();

 private:
  explicit Mailbox(UniqueFd wake_fd) : wake_fd_(std::move(wake_fd)) {}

  const UniqueFd wake_fd_;
  Mutex mutex_;
  std::vector<Posted> queue_ RUNNEL_GUARDED_BY(mutex_);
  bool sleeping_ RUNNEL_GUARDED_BY(mutex_) = false;
  bool closed_ RUNNEL_GUARDED_BY(mutex_) = false;
};

}  // namespace runnel::broker
