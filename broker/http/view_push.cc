#include "broker/http/view_push.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <charconv>

#include "broker/http/answer_text.h"
#include "broker/http/limits.h"
#include "broker/http/websocket.h"
#include "storage/views/query/format.h"

namespace runnel::broker::http {

namespace views = storage::views;
using Steady = std::chrono::steady_clock;

// ---------------------------------------------------------------- places
std::string to_string(const PushPlace& place) {
  return std::to_string(place.id.view) + "." + std::to_string(place.id.generation) + "-" +
         std::to_string(place.sequence);
}

std::optional<PushPlace> parse_push_place(std::string_view text) {
  PushPlace place;
  const char* const end = text.data() + text.size();
  const auto take = [&](const char* from, auto& number, char behind) -> const char* {
    if (from == nullptr) return nullptr;
    const auto [at, failed] = std::from_chars(from, end, number);
    if (failed != std::errc()) return nullptr;
    if (behind == '\0') return at == end ? at : nullptr;
    return at != end && *at == behind ? at + 1 : nullptr;
  };
  const char* at = take(text.data(), place.id.view, '.');
  at = take(at, place.id.generation, '-');
  at = take(at, place.sequence, '\0');
  return at == nullptr ? std::nullopt : std::optional(place);
}

// ---------------------------------------------------------------- text
bool PushText::take(const views::FeedRow& row) {
  std::string& out = row.change == views::FeedChange::kDelete ? deleted_
                     : row.change == views::FeedChange::kAdd  ? added_
                                                              : rows_;
  if (!out.empty()) out += ',';
  if (row.change != views::FeedChange::kDelete) {
    views::append_json_row(columns_, row.values, out);
  } else {
    std::vector<views::AnswerColumn> columns;
    std::vector<views::Value> values;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      if (columns_[i].role != views::ColumnRole::kDimension) continue;
      columns.push_back(columns_[i]);
      values.push_back(row.values[i]);
    }
    views::append_json_row(columns, values, out);
  }
  return rows_.size() + added_.size() + deleted_.size() < most_bytes_;
}

Result<views::FeedPiece> PushText::read(views::ViewFeed& feed, const views::ReadSnapshot& from) {
  rows_.clear();
  added_.clear();
  deleted_.clear();
  // The columns come with the piece, behind its rows.
  const views::DefinitionRef view = from.definitions->find(feed.view());
  columns_.clear();
  if (view != nullptr && view->view != nullptr) {
    for (const views::OutputPlan& output : view->view->outputs) {
      columns_.push_back(
          {output.name, output.type,
           output.key ? views::ColumnRole::kDimension : views::ColumnRole::kMeasure});
    }
  }
  return feed.next(from, [this](const views::FeedRow& row) { return take(row); });
}

std::string sse_of(const PushMessage& message) {
  std::string out = "event: ";
  out.append(message.type);
  if (!message.id.empty()) out.append("\nid: ").append(message.id);
  return out.append("\ndata: ").append(message.data).append("\n\n");
}

std::string frame_of(const PushMessage& message) {
  std::string text = message.data;
  if (!message.id.empty()) text.insert(1, "\"id\":\"" + message.id + "\",");
  return frame_of(Opcode::kText, text);
}

PushMessage PushText::event(const views::FeedPiece& piece, const PushPlace& place) const {
  const bool rows_of_all =
      piece.kind == views::FeedKind::kSnapshot || piece.kind == views::FeedKind::kReset;
  const std::string_view type = piece.kind == views::FeedKind::kSnapshot ? "snapshot"
                                : piece.kind == views::FeedKind::kReset  ? "reset"
                                                                         : "delta";
  PushMessage out{type, {}, {}};
  // Within a snapshot there is no place to go on at.
  if (!rows_of_all || !piece.more) out.id = to_string(place);
  std::string& data = out.data;
  data = "{\"type\":\"" + std::string(type) +
         "\",\"generation\":" + std::to_string(place.id.generation) +
         ",\"sequence\":" + std::to_string(place.sequence) + ",\"rows\":[" + rows_ + "]";
  if (!added_.empty()) data += ",\"added\":[" + added_ + "]";
  if (!rows_of_all || !deleted_.empty()) data += ",\"deleted\":[" + deleted_ + "]";
  if (rows_of_all) data += piece.more ? ",\"more\":true" : ",\"more\":false";
  data += '}';
  return out;
}

// ---------------------------------------------------------------- channels
/// Wakes the push thread.
struct ViewPush::Signal {
  Mutex mutex;
  std::condition_variable_any changed;
  bool raised RUNNEL_GUARDED_BY(mutex) = false;
  bool stopping RUNNEL_GUARDED_BY(mutex) = false;

  void raise() RUNNEL_EXCLUDES(mutex) {
    {
      MutexLock lock(mutex);
      raised = true;
    }
    changed.notify_one();
  }
};

/// One view and filter. Its feed is the push thread's; listeners come and go on any thread.
class ViewPush::Channel {
 public:
  Channel(views::ViewService& service, std::string view, std::string filter)
      : service_(service), view_(std::move(view)), filter_(std::move(filter)) {
    restart();
  }

  Status watch(std::shared_ptr<Signal> signal) {
    RUNNEL_TRY_ASSIGN(watch_, service_.watch(view_, [this, signal = std::move(signal)] {
      if (!news_.exchange(true)) signal->raise();
    }));
    return {};
  }
  void add(std::shared_ptr<const Listener> listener) RUNNEL_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    listeners_.push_back(std::move(listener));
  }
  void remove(const std::shared_ptr<const Listener>& listener) RUNNEL_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    std::erase(listeners_, listener);
  }

  [[nodiscard]] bool has_ended() const noexcept { return ended_.load(); }

  // The push thread.
  /// When it has something to do.
  [[nodiscard]] Steady::time_point due_at() const noexcept {
    const auto alive_at = told_at_ + kHeartbeat;
    if (ended_ || !news_.load()) return ended_ ? Steady::time_point::max() : alive_at;
    return read_at_ + kPushInterval;
  }
  void work(Steady::time_point now) {
    if (news_.exchange(false)) {
      read_at_ = now;
      tell_changes();
    }
    if (now < told_at_ + kHeartbeat) return;
    auto event = std::make_shared<PushEvent>();
    event->kind = PushEvent::Kind::kAlive;
    std::string text = ": nothing new\n\n";
    if (place_) {
      // Changes that were none of theirs are behind them, too.
      event->id = place_->id;
      event->from = told_;
      event->to = told_ = place_->sequence;
      text.insert(0, "id: " + to_string(*place_) + "\n");
    }
    event->piece = SharedPiece(text);
    event->frame = SharedPiece(frame_of(Opcode::kPing, {}));
    tell(std::move(event));
  }

 private:
  void restart() {
    views::FeedOptions options;
    options.view = view_;
    options.filter = filter_;
    options.snapshot = false;
    feed_ = std::make_unique<views::ViewFeed>(std::move(options));
    place_.reset();
  }
  void tell_changes() {
    const views::ReadSnapshot snapshot = service_.snapshot();
    auto piece = text_.read(*feed_, snapshot);
    auto event = std::make_shared<PushEvent>();
    if (!piece) {
      ended_ = true;
      event->kind = PushEvent::Kind::kEnd;
      event->why = piece.error();
      return tell(std::move(event));
    }
    const views::DefinitionRef view = snapshot.definitions->find(view_);
    const PushPlace place{view->id, piece->sequence};
    const bool goes_on =
        place_ && place_->id == place.id && !piece->more && piece->kind != views::FeedKind::kReset;
    if (!goes_on) {
      // Also the first time: what happened between the watch and this is for each to read.
      event->kind = PushEvent::Kind::kGap;
      if (piece->more || piece->kind == views::FeedKind::kReset) {
        restart();
      } else {
        place_ = place;
        told_ = place.sequence;
      }
      return tell(std::move(event));
    }
    place_ = place;
    if (piece->empty) return;
    event->id = place.id;
    event->from = told_;
    event->to = told_ = place.sequence;
    const PushMessage message = text_.event(*piece, place);
    event->piece = SharedPiece(sse_of(message));
    event->frame = SharedPiece(frame_of(message));
    tell(std::move(event));
  }
  void tell(PushEventRef event) RUNNEL_EXCLUDES(mutex_) {
    told_at_ = Steady::now();
    std::vector<std::shared_ptr<const Listener>> all;
    {
      MutexLock lock(mutex_);
      all = listeners_;
    }
    for (const auto& listener : all) (*listener)(event);
  }

  views::ViewService& service_;
  const std::string view_;
  const std::string filter_;
  std::atomic<bool> news_{true};
  std::unique_ptr<views::ViewFeed> feed_;
  std::optional<PushPlace> place_;  ///< read up to there; nothing: it begins
  std::uint64_t told_ = 0;          ///< sequence of the last event, at or before place_
  PushText text_{kMaxPushEventBytes};
  Steady::time_point read_at_{};
  Steady::time_point told_at_ = Steady::now();
  std::atomic<bool> ended_{false};
  Mutex mutex_;
  std::vector<std::shared_ptr<const Listener>> listeners_ RUNNEL_GUARDED_BY(mutex_);
  std::unique_ptr<views::ViewWatch> watch_;  ///< last: it calls into this
};

ViewPush::Subscription::~Subscription() {
  channel_->remove(listener_);
}

ViewPush::ViewPush(views::ViewService& views)
    : views_(views), signal_(std::make_shared<Signal>()), thread_([this] { work(); }) {}

ViewPush::~ViewPush() {
  {
    MutexLock lock(signal_->mutex);
    signal_->stopping = true;
  }
  signal_->changed.notify_one();
  thread_.join();
}

Result<std::unique_ptr<ViewPush::Subscription>> ViewPush::subscribe(const std::string& view,
                                                                    const std::string& filter,
                                                                    Listener listener) {
  auto kept = std::make_shared<const Listener>(std::move(listener));
  std::shared_ptr<Channel> channel;
  {
    MutexLock lock(mutex_);
    channel = channels_[{view, filter}].lock();
  }
  if (channel == nullptr || channel->has_ended()) {
    // Watched before it is known, so outside the lock; of two that do so at once one is forgotten.
    auto made = std::make_shared<Channel>(views_, view, filter);
    RUNNEL_TRY(made->watch(signal_));
    MutexLock lock(mutex_);
    std::weak_ptr<Channel>& known = channels_[{view, filter}];
    channel = known.lock();
    if (channel == nullptr || channel->has_ended()) known = channel = made;
  }
  channel->add(kept);
  signal_->raise();
  return std::make_unique<Subscription>(std::move(channel), std::move(kept));
}

ViewPush::Time ViewPush::collect(Time now, std::vector<std::shared_ptr<Channel>>& due) {
  Time next = now + kHeartbeat;
  for (auto at = channels_.begin(); at != channels_.end();) {
    auto channel = at->second.lock();
    if (channel == nullptr) {
      at = channels_.erase(at);
      continue;
    }
    const Time wanted = channel->due_at();
    if (wanted <= now) {
      due.push_back(std::move(channel));
    } else {
      next = std::min(next, wanted);
      due_later_.push_back(std::move(channel));
    }
    ++at;
  }
  return next;
}

void ViewPush::work() {
  pthread_setname_np(pthread_self(), "runnel-push");
  for (;;) {
    const Time now = Steady::now();
    std::vector<std::shared_ptr<Channel>> due;
    Time next;
    {
      MutexLock lock(mutex_);
      next = collect(now, due);
    }
    due_later_.clear();  // outside the lock: the last owner of a channel ends its watch
    for (const auto& channel : due) channel->work(now);
    if (!due.empty()) continue;
    MutexLock lock(signal_->mutex);
    while (!signal_->raised && !signal_->stopping) {
      if (signal_->changed.wait_until(lock, next) == std::cv_status::timeout) break;
    }
    if (signal_->stopping) return;
    signal_->raised = false;
  }
}

}  // namespace runnel::broker::http
