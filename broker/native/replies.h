// From other threads to a session: what was finished for it. Many completions, one post.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "broker/native/point_queries.h"
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
  bool is_query = false;             ///< of the connection's queries
};
/// An append whose records had to be looked at for their schemas; append.cc.
struct QueuedAppend;
struct AppendChecked {
  std::shared_ptr<QueuedAppend> append;
  Status status;  ///< why nothing may be stored
};
/// An append that is answered when views have its records.
struct AppliedCommit {
  storage::CommitOutcome outcome;
  std::vector<protocol::native::TopicPartition> targets;  ///< of the appends, in order
  std::uint32_t timeout_ms = 0;
};
/// What a request waited for from the views; `wait` is the session's number for it.
struct ViewsApplied {
  std::uint64_t wait = 0;
  Status status;
};
/// Point queries that were answered together, and those that were not yet.
struct GetsDone {
  PointAnswers answers;
  std::shared_ptr<std::vector<PointQuery>> rest;
};
/// The view of a subscription may have something to tell.
struct ViewChanged {
  std::uint64_t subscription = 0;
};
/// What a view's subscription is to be sent.
struct ViewPushed {
  std::uint64_t subscription = 0;
  protocol::native::ViewDelivery delivery = {};
  Buffer rows = {};
  bool more = false;
  bool empty = false;                           ///< there is nothing to send
  std::optional<Error> problem = std::nullopt;  ///< it has ended
};
struct Completion {
  std::uint64_t correlation = 0;
  std::variant<storage::CommitOutcome, FetchDone, WatchChanged, JobDone, AppendChecked,
               AppliedCommit, ViewsApplied, GetsDone, ViewChanged, ViewPushed,
               protocol::native::Response>
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
