#include "client/src/producer_core.h"

#include <algorithm>

namespace runnel::client {
namespace {
constexpr Milliseconds kExpiryCheck{200};
constexpr Milliseconds kBackoffMax{2'000};
constexpr std::chrono::minutes kTopicMaxAge{5};

ProducerOptions checked(ProducerOptions o) {
  o.window = std::clamp(o.window, 1, 5);
  o.batch_bytes = std::max<std::size_t>(o.batch_bytes, 1);
  return o;
}
}  // namespace

ProducerCore::ProducerCore(std::shared_ptr<Core> core, ProducerOptions options)
    : core_(std::move(core)), options_(checked(std::move(options))) {}

void ProducerCore::start() {
  if (listener_ || ended_) return;
  const std::weak_ptr<ProducerCore> weak = weak_from_this();
  listener_ = core_->connection->listen({[weak] {
                                           const auto self = weak.lock();
                                           if (!self) return;
                                           for (auto& [target, lane] : self->lanes_)
                                             self->settle(lane);
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
      failure = Failure(Errc::overloaded, "the producer's buffer of " +
                                              std::to_string(options_.buffer_bytes) +
                                              " bytes is full; wait for outcomes, then send again");
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
  std::map<TopicPartition, bool> touched;
  for (Item& item : items) {
    if (ended_) {
      finish(item, Failure(Errc::cancelled, "the producer was closed before this was sent"));
    } else {
      route(std::move(item));
    }
  }
  for (auto& [target, lane] : lanes_) {
    if (!lane.open.empty()) pump(lane);
  }
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
  core_->connection->request(
      native::DescribeTopics{{name}}, {}, options_.request_timeout,
      [self = shared_from_this(), name](Answer answer) {
        Topic& topic = self->topics_[name];
        topic.loading = false;
        std::optional<Failure> failure;
        if (!answer) {
          failure = to_failure(answer.error());
        } else if (auto* reply = std::get_if<native::TopicsReply>(&answer->response);
                   reply == nullptr || reply->topics.empty()) {
          failure = wrong_reply();
        } else if (reply->topics[0].error != ErrorCode::kOk ||
                   reply->topics[0].partitions.empty()) {
          failure = Failure(Errc::unknown_topic,
                            "topic \"" + name + "\" does not exist; create it first");
        } else {
          topic.partitions = static_cast<std::int32_t>(reply->topics[0].partitions.size());
          topic.loaded = SteadyClock::now();
        }
        auto waiting = std::exchange(topic.waiting, {});
        const auto now = SteadyClock::now();
        const bool again = failure && failure->action() != Action::permanent &&
                           failure->errc() != Errc::unknown_topic && !self->ended_;
        for (Item& item : waiting) {
          if (!failure) {
            self->route(std::move(item));
          } else if (again && now < item.deadline) {
            topic.waiting.push_back(std::move(item));
          } else {
            self->finish(item, *failure);
          }
        }
        if (!topic.waiting.empty() && !topic.loading) {
          topic.loading = true;
          self->core_->loop->after(self->options_.retry_backoff,
                                   [self, name] { self->load_topic(name); });
        }
        for (auto& [target, lane] : self->lanes_) self->pump(lane);
      });
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

ProducerCore::Lane& ProducerCore::lane_of(const TopicPartition& target) {
  Lane& lane = lanes_[target];
  lane.target = target;
  return lane;
}

void ProducerCore::enqueue(std::int32_t partition, Item item) {
  Lane& lane = lane_of({item.message.topic, partition});
  lane.open_bytes += item.message.bytes();
  lane.open.push_back(std::move(item));
}

bool ProducerCore::may_cut(Lane& lane) {
  if (lane.open.empty() || lane.recovering || !core_->connection->is_up()) return false;
  const bool keyed = lane.open.front().message.dedup.has_value();
  if (!lane.flights.empty() && (keyed || lane.flights.back()->keyed)) return false;
  if (lane.flights.size() >= static_cast<std::size_t>(options_.window)) return false;
  if (!keyed && lane.id == kNoProducer) {
    if (id_ == kNoProducer) {
      need_identity();
      return false;
    }
    lane.id = id_;
    lane.epoch = epoch_;
    lane.next_sequence = 0;
  }
  if (lane.open_bytes >= options_.batch_bytes || !flushes_.empty()) return true;
  const auto age = SteadyClock::now() - lane.open.front().arrived;
  if (age >= options_.linger) return true;
  if (lane.linger_timer == 0) {
    const auto left = std::chrono::ceil<Milliseconds>(options_.linger - age);
    lane.linger_timer = core_->loop->after(left, [self = shared_from_this(), &lane] {
      lane.linger_timer = 0;
      self->pump(lane);
    });
  }
  return false;
}

void ProducerCore::pump(Lane& lane) {
  while (may_cut(lane)) cut(lane);
}

void ProducerCore::cut(Lane& lane) {
  auto flight = std::make_shared<Flight>();
  flight->keyed = lane.open.front().message.dedup.has_value();
  std::size_t bytes = 0;
  while (!lane.open.empty() && bytes < options_.batch_bytes) {
    Item& item = lane.open.front();
    if (item.message.dedup.has_value() != flight->keyed) break;
    const std::size_t size = item.message.bytes();
    if (bytes > 0 && bytes + size > options_.batch_bytes) break;
    bytes += size;
    flight->items.push_back(std::move(item));
    lane.open.pop_front();
  }
  lane.open_bytes -= bytes;
  if (!flight->keyed) {
    flight->sequence = lane.next_sequence;
    lane.next_sequence += static_cast<std::int32_t>(flight->items.size());
    if (lane.next_sequence < 0) lane.next_sequence &= 0x7fffffff;  // Kafka's wrap to 0
  }
  if (auto topic = topics_.find(lane.target.topic);
      topic != topics_.end() && topic->second.sticky == lane.target.partition)
    topic->second.sticky = -1;
  lane.flights.push_back(flight);
  transmit(lane, flight);
}

Status ProducerCore::encode(Lane& lane, Flight& flight) {
  protocol::BatchOptions o;
  o.codec = codec_of(options_.compression);
  o.level = options_.compression_level;
  if (!flight.keyed) {
    o.producer_id = lane.id;
    o.producer_epoch = lane.epoch;
    o.base_sequence = flight.sequence;
  }
  protocol::BatchBuilder builder(o);
  for (const Item& item : flight.items) item.message.add_to(builder);
  RUNNEL_TRY_ASSIGN(flight.encoded, builder.finish());
  return {};
}

void ProducerCore::transmit(Lane& lane, const FlightPtr& flight) {
  if (flight->encoded.empty()) {
    if (auto done = encode(lane, *flight); !done)
      return give_up(lane, flight, to_failure(done.error()), !flight->maybe_done);
  }
  native::Append append;
  append.durability = static_cast<native::Durability>(options_.durability);
  native::AppendPartition part;
  part.target = to_wire(lane.target);
  part.bytes = static_cast<std::uint32_t>(flight->encoded.size());
  if (flight->keyed) {
    for (std::size_t i = 0; i < flight->items.size(); ++i) {
      part.dedup.push_back(*flight->items[i].message.dedup);
      part.dedup.back().record_index = static_cast<std::int32_t>(i);
    }
  }
  append.partitions.push_back(std::move(part));
  {
    MutexLock lock(mutex_);
    ++stats_.batches_sent;
    if (flight->repeated) ++stats_.retries;
  }
  flight->repeated = true;
  flight->outstanding = true;
  core_->connection->request(
      std::move(append), {flight->encoded}, options_.request_timeout,
      [self = shared_from_this(), target = lane.target, flight](Answer answer) {
        self->answered(target, flight, std::move(answer));
      });
}

void ProducerCore::answered(const TopicPartition& target, const FlightPtr& flight, Answer answer) {
  if (ended_) return;
  Lane& lane = lanes_.at(target);
  flight->outstanding = false;
  // An expired batch has left the lane; its late answer changes nothing.
  if (std::find(lane.flights.begin(), lane.flights.end(), flight) == lane.flights.end()) {
    if (lane.recovering) settle(lane);
    return;
  }
  if (!answer) {
    refused(lane, flight, answer.error());
  } else if (auto* reply = std::get_if<native::AppendReply>(&answer->response);
             reply != nullptr && reply->partitions.size() == 1) {
    stored(lane, flight, *reply);
  } else {
    give_up(lane, flight, wrong_reply(), false);
  }
  if (lane.recovering) {
    settle(lane);
  } else {
    pump(lane);
  }
  check_flushed();
}

void ProducerCore::stored(Lane& lane, const FlightPtr& flight, const native::AppendReply& reply) {
  const native::AppendedPartition& part = reply.partitions.front();
  std::erase(lane.flights, flight);
  lane.backoff = Milliseconds(0);
  lane.doubtful_gap.reset();
  const auto level = static_cast<Durability>(reply.durability);
  for (std::size_t i = 0; i < flight->items.size(); ++i) {
    Item& item = flight->items[i];
    Delivery d;
    d.target = lane.target;
    d.offset = part.base_offset.value() + static_cast<std::int64_t>(i);
    if (flight->keyed && part.duplicate && i < part.dedup_offsets.size())
      d.offset = part.dedup_offsets[i].value();
    d.timestamp =
        part.append_time == kNoTimestamp ? item.message.timestamp : from_wire(part.append_time);
    d.duplicate = flight->keyed && part.duplicate;
    d.durability = level;
    finish(item, std::move(d));
  }
}

void ProducerCore::refused(Lane& lane, const FlightPtr& flight, const Refusal& refusal) {
  flight->maybe_done = flight->maybe_done || refusal.maybe_done;
  const ErrorCode code = refusal.error.code();
  const bool front = lane.flights.front() == flight;
  if (code == ErrorCode::kPartialDuplicate && flight->keyed)
    return drop_duplicates(lane, flight, refusal);
  if (code == ErrorCode::kOutOfOrderSequence && !flight->keyed && (!front || lane.recovering))
    return recover(lane);
  if (!flight->keyed &&
      (code == ErrorCode::kOutOfOrderSequence || code == ErrorCode::kUnknownProducer ||
       code == ErrorCode::kInvalidProducerEpoch))
    return lost_sequence(lane, flight, refusal);
  if (refusal.maybe_done || refusal.action == ErrorAction::kRetry) return recover(lane);
  give_up(lane, flight, to_failure(refusal), true);
}

void ProducerCore::drop_duplicates(Lane& lane, const FlightPtr& flight, const Refusal& refusal) {
  std::vector<std::optional<Offset>> known(flight->items.size());
  bool any = false;
  for (const auto& d : refusal.duplicates) {
    if (d.entry >= known.size()) continue;
    known[d.entry] = d.offset;
    any = true;
  }
  if (!any)
    return give_up(lane, flight, Failure(Errc::malformed, "the broker named no duplicates"), true);
  std::vector<Item> left;
  for (std::size_t i = 0; i < known.size(); ++i) {
    Item& item = flight->items[i];
    if (!known[i]) {
      left.push_back(std::move(item));
      continue;
    }
    Delivery d{lane.target, known[i]->value(), item.message.timestamp, true, options_.durability};
    finish(item, std::move(d));
  }
  flight->items = std::move(left);
  flight->encoded = {};
  if (flight->items.empty()) {
    std::erase(lane.flights, flight);
  } else {
    transmit(lane, flight);
  }
}

void ProducerCore::lost_sequence(Lane& lane, const FlightPtr& flight, const Refusal& refusal) {
  if (lane.doubtful_gap) {
    // The batch whose outcome was unknown was not stored: its numbers are free.
    lane.renumber_from = std::exchange(lane.doubtful_gap, std::nullopt);
    return recover(lane);
  }
  const bool doubtful = std::any_of(lane.flights.begin(), lane.flights.end(),
                                    [](const FlightPtr& f) { return f->maybe_done; });
  if (lane.id == id_) id_ = kNoProducer;
  lane.id = kNoProducer;
  lane.renumber_from = 0;
  if (doubtful) {
    give_up(lane, flight,
            Failure(static_cast<Errc>(refusal.error.code()), Action::maybe_persisted,
                    refusal.error.message()),
            false);
    lane.doubtful_gap.reset();
    lane.renumber_from = 0;
  }
  recover(lane);
}

void ProducerCore::give_up(Lane& lane, const FlightPtr& flight, const Failure& why,
                           bool certainly_absent) {
  const bool last = lane.flights.empty() || lane.flights.back() == flight;
  std::erase(lane.flights, flight);
  if (!flight->keyed) {
    if (certainly_absent && !(flight->maybe_done && why.errc() == Errc::timeout)) {
      if (!lane.renumber_from) lane.renumber_from = flight->sequence;
      if (last && lane.flights.empty()) {
        lane.next_sequence = *std::exchange(lane.renumber_from, std::nullopt);
      } else {
        recover(lane);
      }
    } else if (!lane.doubtful_gap) {
      lane.doubtful_gap = flight->sequence;
    }
  }
  for (Item& item : flight->items) finish(item, why);
}

void ProducerCore::recover(Lane& lane) {
  if (lane.recovering) return;
  lane.recovering = true;
  lane.paused = true;
  lane.backoff =
      lane.backoff.count() == 0 ? options_.retry_backoff : std::min(lane.backoff * 2, kBackoffMax);
  core_->loop->after(lane.backoff, [self = shared_from_this(), &lane] {
    lane.paused = false;
    self->settle(lane);
  });
}

void ProducerCore::settle(Lane& lane) {
  if (ended_ || !core_->connection->is_up()) return;
  if (!lane.recovering) return pump(lane);
  if (lane.paused) return;
  for (const FlightPtr& f : lane.flights) {
    if (f->outstanding) return;
  }
  if (lane.renumber_from) {
    if (lane.id == kNoProducer) {
      if (id_ == kNoProducer) return need_identity();
      lane.id = id_;
      lane.epoch = epoch_;
    }
    std::int32_t next = *std::exchange(lane.renumber_from, std::nullopt);
    for (const FlightPtr& f : lane.flights) {
      if (f->keyed) continue;
      f->sequence = next;
      next += static_cast<std::int32_t>(f->items.size());
      f->encoded = {};
    }
    lane.next_sequence = next;
  }
  lane.recovering = false;
  const auto flights = lane.flights;
  for (const FlightPtr& f : flights) transmit(lane, f);
  pump(lane);
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
        for (auto& [target, lane] : self->lanes_) self->settle(lane);
      });
}

void ProducerCore::expire() {
  if (ended_) return;
  const auto now = SteadyClock::now();
  const Failure late(Errc::timeout, Action::retry,
                     "not sent within the delivery time-out; is the broker reachable?");
  for (auto& [target, lane] : lanes_) {
    while (!lane.open.empty() && lane.open.front().deadline <= now) {
      lane.open_bytes -= lane.open.front().message.bytes();
      finish(lane.open.front(), late);
      lane.open.pop_front();
    }
    while (!lane.flights.empty() && lane.flights.front()->items.front().deadline <= now) {
      const FlightPtr flight = lane.flights.front();
      const bool doubtful = flight->maybe_done || flight->outstanding;
      const Failure why = doubtful ? Failure(Errc::timeout, Action::maybe_persisted,
                                             "no answer within the delivery time-out; the record "
                                             "may have been stored")
                                   : late;
      give_up(lane, flight, why, !doubtful);
    }
  }
  for (auto& [name, topic] : topics_) {
    while (!topic.waiting.empty() && topic.waiting.front().deadline <= now) {
      finish(topic.waiting.front(), late);
      topic.waiting.pop_front();
    }
  }
  check_flushed();
  core_->loop->after(kExpiryCheck, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->expire();
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
        for (auto& [target, lane] : self->lanes_) self->pump(lane);
        self->check_flushed();
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

namespace runnel {

Producer Client::producer(ProducerOptions options) {
  return Producer(std::make_shared<Producer::Impl>(
      std::make_shared<client::ProducerCore>(impl_->core, std::move(options))));
}
Pending<Delivery> Producer::send(const Message& message) {
  auto [pending, done] = detail::make_pending<Delivery>();
  impl_->core->send(message, std::move(done), true);
  return std::move(pending);
}
void Producer::send(const Message& message, Callback<Delivery> done) {
  impl_->core->send(message, std::move(done), true);
}
Pending<Delivery> Producer::try_send(const Message& message) {
  auto [pending, done] = detail::make_pending<Delivery>();
  impl_->core->send(message, std::move(done), false);
  return std::move(pending);
}
void Producer::try_send(const Message& message, Callback<Delivery> done) {
  impl_->core->send(message, std::move(done), false);
}
Outcome<void> Producer::flush(std::chrono::milliseconds at_most) {
  return flush_async().get_for(at_most);
}
Pending<void> Producer::flush_async() {
  auto [pending, done] = detail::make_pending<void>();
  impl_->core->flush(std::move(done));
  return std::move(pending);
}
Outcome<void> Producer::close(std::chrono::milliseconds at_most) {
  impl_->core->refuse_new();
  auto flushed = flush(at_most);
  impl_->core->abandon();
  return flushed;
}
ProducerStats Producer::stats() const {
  return impl_->core->stats();
}

}  // namespace runnel
