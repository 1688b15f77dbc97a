#include "client/src/producer_core.h"

#include <algorithm>

namespace runnel::client {
namespace {
constexpr std::chrono::minutes kTopicMaxAge{5};

ProducerOptions checked(ProducerOptions o) {
  o.window = std::clamp(o.window, 1, 5);
  o.batch_bytes = std::max<std::size_t>(o.batch_bytes, 1);
  return o;
}
}  // namespace

ProducerCore::ProducerCore(std::shared_ptr<Core> core, ProducerOptions options,
                           std::int32_t first_sequence)
    : core_(std::move(core)),
      options_(checked(std::move(options))),
      first_sequence_(first_sequence) {}

void ProducerCore::start() {
  if (listener_ || ended_) return;
  const std::weak_ptr<ProducerCore> weak = weak_from_this();
  listener_ = core_->connection->listen({[weak] {
                                           if (const auto self = weak.lock()) self->pump_all();
                                         },
                                         nullptr});
  expire();
}

void ProducerCore::send(const Message& message, Callback<Delivery> done, bool may_wait) {
  const auto now = SteadyClock::now();
  Item item{OwnedMessage(message), std::move(done), now + options_.delivery_timeout, now};
  const std::size_t bytes = item.message.bytes();
  std::optional<Failure> failure;
  bool first = false;
  {
    MutexLock lock(mutex_);
    const auto full = [&]() RUNNEL_NO_THREAD_SAFETY_ANALYSIS {
      return stats_.buffered_bytes > 0 && stats_.buffered_bytes + bytes > options_.buffer_bytes;
    };
    const auto give_up = now + options_.send_timeout;
    while (!closed_ && full() && may_wait && !on_any_loop()) {
      if (room_.wait_until(lock, give_up) == std::cv_status::timeout) break;
    }
    if (closed_) {
      failure = Failure(Errc::cancelled, "the producer is closed");
    } else if (full()) {
      std::string why =
          "the producer's buffer of " + std::to_string(options_.buffer_bytes) + " bytes is full";
      if (stats_.obstacle) why += ", since the broker takes nothing: " + stats_.obstacle->message();
      failure = Failure(Errc::overloaded, why + "; wait for outcomes, then send again");
    } else {
      stats_.buffered_bytes += bytes;
      first = incoming_.empty();
      incoming_.push_back(std::move(item));
    }
  }
  if (failure) return item.done(*failure);
  if (first) core_->loop->post([self = shared_from_this()] { self->take_incoming(); });
}

void ProducerCore::take_incoming() {
  start();
  std::deque<Item> items;
  {
    MutexLock lock(mutex_);
    items.swap(incoming_);
  }
  unanswered_ += items.size();
  for (Item& item : items) {
    if (ended_) {
      finish(item, Failure(Errc::cancelled, "the producer was closed before this was sent"));
    } else {
      route(std::move(item));
    }
  }
  pump_fresh();
}

void ProducerCore::pump_fresh() {
  for (Lane* lane : std::exchange(fresh_, {})) {
    lane->fresh = false;
    pump(*lane);
  }
}

void ProducerCore::pump_all() {
  for (auto& [target, lane] : lanes_) pump(lane);
  check_flushed();
}

void ProducerCore::route(Item item) {
  if (item.message.partition) return enqueue(*item.message.partition, std::move(item));
  Topic& topic = topics_[item.message.topic];
  const bool stale = SteadyClock::now() - topic.loaded > kTopicMaxAge;
  const std::string name = item.message.topic;
  if (topic.partitions == 0) {
    topic.waiting.push_back(std::move(item));
  } else {
    const std::int32_t partition = choose(topic, item.message);
    enqueue(partition, std::move(item));
  }
  if ((topic.partitions == 0 || stale) && !topic.loading) load_topic(name);
}

void ProducerCore::load_topic(const std::string& name) {
  topics_[name].loading = true;
  core_->connection->request(native::DescribeTopics{{name}}, {}, options_.request_timeout,
                             [self = shared_from_this(), name](Answer answer) {
                               self->topic_loaded(name, std::move(answer));
                             });
}

void ProducerCore::topic_loaded(const std::string& name, Answer answer) {
  Topic& topic = topics_[name];
  topic.loading = false;
  std::optional<Failure> failure;
  auto* reply = answer ? std::get_if<native::TopicsReply>(&answer->response) : nullptr;
  if (!answer) {
    failure = to_failure(answer.error());
  } else if (reply == nullptr || reply->topics.empty()) {
    failure = wrong_reply();
  } else if (reply->topics[0].error != ErrorCode::kOk || reply->topics[0].partitions.empty()) {
    failure =
        Failure(Errc::unknown_topic, "topic \"" + name + "\" does not exist; create it first");
  } else {
    topic.partitions = static_cast<std::int32_t>(reply->topics[0].partitions.size());
    topic.loaded = SteadyClock::now();
  }
  auto waiting = std::exchange(topic.waiting, {});
  const auto now = SteadyClock::now();
  const bool again = failure && failure->action() != Action::permanent &&
                     failure->errc() != Errc::unknown_topic && !ended_;
  for (Item& item : waiting) {
    if (!failure) {
      route(std::move(item));
    } else if (again && now < item.deadline) {
      topic.waiting.push_back(std::move(item));
    } else {
      // Nothing of these records has left this process.
      const bool unsure = failure->action() == Action::maybe_persisted;
      finish(item, unsure ? Failure(failure->errc(), Action::retry, failure->message()) : *failure);
    }
  }
  if (!topic.waiting.empty() && !topic.loading) {
    topic.loading = true;
    core_->loop->after(options_.retry_backoff, [self = shared_from_this(), name] {
      if (!self->ended_) self->load_topic(name);
    });
  }
  pump_fresh();
  check_flushed();
}

std::int32_t ProducerCore::choose(Topic& topic, const OwnedMessage& message) {
  std::vector<Header> scratch;
  const Message view = message.view(scratch);
  if (options_.partitioner)
    return std::clamp(options_.partitioner(view, topic.partitions), 0, topic.partitions - 1);
  if (view.key) return partition_for_key(*view.key, topic.partitions);
  if (topic.sticky < 0)
    topic.sticky =
        static_cast<std::int32_t>(spread_++ % static_cast<std::uint32_t>(topic.partitions));
  return topic.sticky;
}

void ProducerCore::enqueue(std::int32_t partition, Item item) {
  const TopicPartition target{item.message.topic, partition};
  Lane& lane = lanes_[target];
  lane.target = target;
  lane.open_bytes += item.message.bytes();
  lane.open.push_back(std::move(item));
  if (std::exchange(lane.fresh, true)) return;
  fresh_.push_back(&lane);
}

void ProducerCore::need_identity() {
  if (identity_asked_) return;
  identity_asked_ = true;
  core_->connection->request(
      native::InitProducer{}, {}, options_.request_timeout,
      [self = shared_from_this()](Answer answer) {
        self->identity_asked_ = false;
        if (self->ended_) return;
        auto* reply = answer ? std::get_if<native::InitProducerReply>(&answer->response) : nullptr;
        if (reply == nullptr) {
          self->core_->loop->after(self->options_.retry_backoff, [self] {
            if (!self->ended_) self->need_identity();
          });
          return;
        }
        self->id_ = reply->id;
        self->epoch_ = reply->epoch;
        self->pump_all();
      });
}

void ProducerCore::finish(Item& item, Outcome<Delivery> outcome) {
  {
    MutexLock lock(mutex_);
    stats_.buffered_bytes -= item.message.bytes();
    if (!outcome) {
      ++stats_.records_failed;
    } else {
      ++stats_.records_sent;
      if (outcome->duplicate) ++stats_.duplicates;
    }
  }
  room_.notify_all();
  --unanswered_;
  if (item.done) item.done(std::move(outcome));
}

void ProducerCore::flush(Callback<void> done) {
  core_->post(
      [self = shared_from_this(), done] {
        self->take_incoming();
        self->flushes_.push_back(done);
        self->pump_all();
      },
      done);
}

void ProducerCore::check_flushed() {
  if (unanswered_ > 0 || flushes_.empty()) return;
  for (auto& done : std::exchange(flushes_, {})) done({});
}

void ProducerCore::refuse_new() {
  {
    MutexLock lock(mutex_);
    closed_ = true;
  }
  room_.notify_all();
}

void ProducerCore::abandon() {
  refuse_new();
  core_->loop->post([self = shared_from_this()] { self->cancel_all(); });
}

void ProducerCore::cancel_all() {
  if (ended_) return;
  take_incoming();
  ended_ = true;
  listener_.reset();
  const auto cancelled = [](bool doubtful) {
    return Failure(Errc::cancelled, doubtful ? Action::maybe_persisted : Action::retry,
                   "the producer was closed before the answer came");
  };
  for (auto& [target, lane] : lanes_) {
    for (const FlightPtr& f : lane.flights) {
      for (Item& item : f->items) finish(item, cancelled(f->maybe_done || f->outstanding));
    }
    for (Item& item : lane.open) finish(item, cancelled(false));
    lane.flights.clear();
    lane.open.clear();
  }
  for (auto& [name, topic] : topics_) {
    for (Item& item : topic.waiting) finish(item, cancelled(false));
    topic.waiting.clear();
  }
  check_flushed();
}

ProducerStats ProducerCore::stats() const {
  MutexLock lock(mutex_);
  return stats_;
}

}  // namespace runnel::client
