// From other threads to a session: closures that run on its loop thread. Many closures, one post.
#pragma once

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "broker/net/session.h"
#include "protocol/base/thread_annotations.h"

namespace runnel::broker {

/// Thread safe. Outlives its session where work is still on the way.
class Posts : public std::enable_shared_from_this<Posts> {
 public:
  /// Runs closures in the session that the posts are for, on its loop thread.
  using Run = void (*)(Session& session, std::vector<std::function<void()>> work);

  Posts(std::shared_ptr<SessionHandle> session, Run run)
      : session_(std::move(session)), run_(run) {}
  /// Runs `work` on the loop thread while the session lives, else drops it. Never inside the call.
  void push(std::function<void()> work) RUNNEL_EXCLUDES(mutex_);
  /// The session ends. What was and will be pushed is dropped: it keeps calls, and these keep this.
  void end() RUNNEL_EXCLUDES(mutex_);

 private:
  [[nodiscard]] std::vector<std::function<void()>> take() RUNNEL_EXCLUDES(mutex_);

  const std::shared_ptr<SessionHandle> session_;
  const Run run_;
  Mutex mutex_;
  std::vector<std::function<void()>> items_ RUNNEL_GUARDED_BY(mutex_);
  bool ended_ RUNNEL_GUARDED_BY(mutex_) = false;
};

}  // namespace runnel::broker
