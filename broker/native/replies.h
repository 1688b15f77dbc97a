// From other threads to a session: what was finished for it. Many completions, one post.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <variant>
#include <vector>

#include "broker/net/session.h"
#include "protocol/base/thread_annotations.h"
#include "protocol/native/messages.h"
#include "storage/store.h"

namespace runnel::broker {

struct FetchDone {
  std::uint64_t fetch = 0;  ///< the session's number for it
  storage::FetchResult result;
};
/// A subscription's watch has something to take.
struct WatchChanged {
  std::uint64_t subscription = 0;
};
/// A job has answered, and the connection's next may begin.
struct JobDone {
  protocol::native::Response response;
  std::vector<Buffer> batches = {};  ///< the response's attachment
};
struct Completion {
  std::uint64_t correlation = 0;
  std::variant<storage::CommitOutcome, FetchDone, WatchChanged, JobDone, protocol::native::Response>
      what;
};

/// Outlives its session where work is still on the way. Thread safe.
class Replies : public std::enable_shared_from_this<Replies> {
 public:
  explicit Replies(std::shared_ptr<SessionHandle> session) : session_(std::move(session)) {}
  /// Hands `completion` to NativeSession::completed() on its loop thread, if it still lives.
  void push(Completion completion) RUNNEL_EXCLUDES(mutex_);
  [[nodiscard]] std::vector<Completion> take() RUNNEL_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return std::exchange(items_, {});
  }

 private:
  const std::shared_ptr<SessionHandle> session_;
  Mutex mutex_;
  std::vector<Completion> items_ RUNNEL_GUARDED_BY(mutex_);
};

}  // namespace runnel::broker
