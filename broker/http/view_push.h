// What the subscribers of a view are told of its changes: read once and written once for all who
// keep up. Each change goes to every subscriber as the same bytes; who is behind, or comes anew,
// reads for itself until it has caught up.
//
// Between two events of a view at least kPushInterval passes: what changes more often is told as
// it is then, each row once.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "broker/http/shared_piece.h"
#include "protocol/base/thread_annotations.h"
#include "storage/views/feed/view_feed.h"
#include "storage/views/service/view_service.h"

namespace runnel::broker::http {

/// Where a subscriber is: it has been told every change up to there.
struct PushPlace {
  storage::views::ViewId id;
  std::uint64_t sequence = 0;
  friend bool operator==(const PushPlace&, const PushPlace&) = default;
};
/// "2.1-17": view, generation, sequence. The id of events.
[[nodiscard]] std::string to_string(const PushPlace& place);
[[nodiscard]] std::optional<PushPlace> parse_push_place(std::string_view text);

/// One event.
struct PushMessage {
  std::string_view type;  ///< "snapshot", "reset", "delta"
  std::string id;         ///< where to go on behind it; empty: nowhere
  std::string data;       ///< JSON on one line
};
/// As an event stream has it.
[[nodiscard]] std::string sse_of(const PushMessage& message);
/// As a WebSocket has it: the id is a member.
[[nodiscard]] std::string frame_of(const PushMessage& message);

/// A piece of a feed as JSON. Not thread safe.
class PushText {
 public:
  explicit PushText(std::size_t most_bytes) : most_bytes_(most_bytes) {}
  /// The next piece of `feed`, whose view has `place.id`. Errors as ViewFeed::next().
  [[nodiscard]] Result<storage::views::FeedPiece> read(storage::views::ViewFeed& feed,
                                                       const storage::views::ReadSnapshot& from);
  /// The piece as an event; `place` is where it leads to.
  [[nodiscard]] PushMessage event(const storage::views::FeedPiece& piece,
                                  const PushPlace& place) const;

 private:
  [[nodiscard]] bool take(const storage::views::FeedRow& row);

  const std::size_t most_bytes_;
  std::vector<storage::views::AnswerColumn> columns_;
  std::string rows_;
  std::string added_;
  std::string deleted_;
};

/// What a channel tells. Immutable.
struct PushEvent {
  enum class Kind : std::uint8_t {
    kChange,
    kGap,    ///< more changed than an event holds, or the view is another: read for yourself
    kAlive,  ///< nothing new
    kEnd,    ///< it is over: `why`
  };
  Kind kind = Kind::kChange;
  storage::views::ViewId id;
  std::uint64_t from = 0;  ///< it is for those who have been told up to here, or more
  std::uint64_t to = 0;
  SharedPiece piece;  ///< of event streams
  SharedPiece frame;  ///< of WebSockets
  std::optional<Error> why;
};
using PushEventRef = std::shared_ptr<const PushEvent>;

/// All views' channels, and the thread that feeds them. Thread safe.
class ViewPush {
 public:
  /// Called from the push thread; must not block. It may be called once more while its subscription
  /// ends.
  using Listener = std::function<void(const PushEventRef&)>;
  class Channel;
  /// Listens until it is destroyed.
  class Subscription {
   public:
    Subscription(std::shared_ptr<Channel> channel, std::shared_ptr<const Listener> listener)
        : channel_(std::move(channel)), listener_(std::move(listener)) {}
    ~Subscription();
    Subscription(const Subscription&) = delete;
    Subscription& operator=(const Subscription&) = delete;

   private:
    const std::shared_ptr<Channel> channel_;
    const std::shared_ptr<const Listener> listener_;
  };

  /// `views` outlives it.
  explicit ViewPush(storage::views::ViewService& views);
  ~ViewPush();
  ViewPush(const ViewPush&) = delete;
  ViewPush& operator=(const ViewPush&) = delete;

  /// Changes of the view's rows that pass `filter` (SQL; empty: all), from some moment before this
  /// returns. kNotFound: there is no view that changes by that name.
  [[nodiscard]] Result<std::unique_ptr<Subscription>> subscribe(const std::string& view,
                                                                const std::string& filter,
                                                                Listener listener)
      RUNNEL_EXCLUDES(mutex_);

 private:
  using Key = std::pair<std::string, std::string>;  ///< view, filter
  using Time = std::chrono::steady_clock::time_point;
  struct Signal;

  void work() RUNNEL_EXCLUDES(mutex_);
  /// The channels that have something to do, in `due`; until when there is nothing else. What is
  /// over is forgotten.
  [[nodiscard]] Time collect(Time now, std::vector<std::shared_ptr<Channel>>& due)
      RUNNEL_REQUIRES(mutex_);

  storage::views::ViewService& views_;
  const std::shared_ptr<Signal> signal_;  ///< outlives this in watches that are being told
  Mutex mutex_;
  std::map<Key, std::weak_ptr<Channel>> channels_ RUNNEL_GUARDED_BY(mutex_);
  std::vector<std::shared_ptr<Channel>> due_later_;  ///< the push thread's; kept past the lock
  std::thread thread_;                               ///< last: it uses all of the above
};

}  // namespace runnel::broker::http
