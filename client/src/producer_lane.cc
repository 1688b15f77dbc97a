// One partition's batches: numbering, sending, recovering. The rules are in producer_core.h.
#include <algorithm>
#include <limits>

#include "client/src/producer_core.h"
#include "client/src/views.h"

namespace runnel::client {
namespace {
constexpr Milliseconds kExpiryCheck{200};
constexpr Milliseconds kBackoffMax{2'000};
/// A broker takes no more dedup keys in one request.
constexpr std::size_t kMaxKeyedRecords = 10'000;
}  // namespace

void ProducerCore::pump(Lane& lane) {
  if (ended_ || !core_->connection->is_up()) return;
  if (lane.recovering && !resume(lane)) return;
  const auto flights = lane.flights;
  for (const FlightPtr& flight : flights) {
    const bool first = !lane.flights.empty() && lane.flights.front() == flight;
    if (!flight->outstanding && (first || lane.established)) transmit(lane, flight);
    if (lane.recovering) return;
  }
  while (may_cut(lane)) cut(lane);
}

bool ProducerCore::may_cut(Lane& lane) {
  if (lane.open.empty() || lane.recovering || !core_->connection->is_up()) return false;
  const bool keyed = lane.open.front().message.dedup.has_value();
  if (!lane.flights.empty()) {
    if (keyed || lane.flights.back()->keyed || !lane.established) return false;
    if (lane.flights.size() >= static_cast<std::size_t>(options_.window)) return false;
  }
  if (!keyed && !identify(lane)) return false;
  return !lingers(lane);
}

bool ProducerCore::identify(Lane& lane) {
  if (lane.id != kNoProducer) return true;
  if (id_ == kNoProducer) {
    need_identity();
    return false;
  }
  lane.id = id_;
  lane.epoch = epoch_;
  lane.next_sequence = first_sequence_;
  lane.established = false;
  return true;
}

bool ProducerCore::lingers(Lane& lane) {
  if (lane.open_bytes >= options_.batch_bytes || !flushes_.empty()) return false;
  const auto age = SteadyClock::now() - lane.open.front().arrived;
  if (age >= options_.linger) return false;
  if (lane.linger_timer == 0) {
    const auto left = std::chrono::ceil<Milliseconds>(options_.linger - age);
    lane.linger_timer = core_->loop->after(left, [self = shared_from_this(), &lane] {
      lane.linger_timer = 0;
      self->pump(lane);
    });
  }
  return true;
}

void ProducerCore::cut(Lane& lane) {
  auto flight = std::make_shared<Flight>();
  flight->keyed = lane.open.front().message.dedup.has_value();
  std::size_t bytes = 0;
  while (!lane.open.empty() && bytes < options_.batch_bytes) {
    Item& item = lane.open.front();
    if (item.message.dedup.has_value() != flight->keyed) break;
    if (flight->keyed && flight->items.size() == kMaxKeyedRecords) break;
    const std::size_t size = item.message.bytes();
    if (bytes > 0 && bytes + size > options_.batch_bytes) break;
    bytes += size;
    flight->items.push_back(std::move(item));
    lane.open.pop_front();
  }
  lane.open_bytes -= bytes;
  if (!flight->keyed) {
    flight->sequence = lane.next_sequence;
    lane.next_sequence = sequence_after(lane.next_sequence, flight->items.size());
  }
  if (auto topic = topics_.find(lane.target.topic);
      topic != topics_.end() && topic->second.sticky == lane.target.partition)
    topic->second.sticky = -1;
  lane.flights.push_back(flight);
  transmit(lane, flight);
}

Status ProducerCore::encode(const Lane& lane, Flight& flight) {
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
      return give_up(lane, flight, to_failure(done.error()));
  }
  native::Append append;
  append.durability = static_cast<native::Durability>(options_.durability);
  if (options_.applied_timeout.count() > 0) {
    append.applied = true;
    append.applied_timeout_ms = wire_millis(options_.applied_timeout);
  }
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
  core_->connection->request(std::move(append), {flight->encoded}, options_.request_timeout,
                             [self = shared_from_this(), &lane, flight](Answer answer) {
                               self->answered(lane, flight, std::move(answer));
                             });
}

void ProducerCore::answered(Lane& lane, const FlightPtr& flight, Answer answer) {
  if (ended_) return;
  flight->outstanding = false;
  const bool expired =
      std::find(lane.flights.begin(), lane.flights.end(), flight) == lane.flights.end();
  if (expired) {
    // It has left the lane with its outcome told: a late answer changes nothing.
  } else if (!answer) {
    refused(lane, flight, answer.error());
  } else if (auto* reply = std::get_if<native::AppendReply>(&answer->response);
             reply != nullptr && reply->partitions.size() == 1) {
    stored(lane, flight, *reply);
  } else {
    flight->maybe_done = true;
    give_up(lane, flight, wrong_reply());
  }
  pump(lane);
  check_flushed();
}

void ProducerCore::stored(Lane& lane, const FlightPtr& flight, const native::AppendReply& reply) {
  const native::AppendedPartition& part = reply.partitions.front();
  std::erase(lane.flights, flight);
  lane.backoff = Milliseconds(0);
  {
    MutexLock lock(mutex_);
    stats_.obstacle.reset();
  }
  if (!flight->keyed && !lane.renumber) lane.established = true;
  const auto level = static_cast<Durability>(reply.durability);
  for (std::size_t i = 0; i < flight->items.size(); ++i) {
    Item& item = flight->items[i];
    Delivery d;
    d.target = lane.target;
    d.offset = part.base_offset.value() + static_cast<std::int64_t>(i);
    if (flight->keyed && part.duplicate && i < part.dedup_offsets.size())
      d.offset = part.dedup_offsets[i].value();
    if (flight->keyed && part.duplicate && i < part.dedup_partitions.size())
      d.target.partition = part.dedup_partitions[i].value();
    d.timestamp =
        part.append_time == kNoTimestamp ? item.message.timestamp : from_wire(part.append_time);
    d.duplicate = flight->keyed && part.duplicate;
    d.durability = level;
    d.applied = reply.applied;
    finish(item, std::move(d));
  }
}

void ProducerCore::refused(Lane& lane, const FlightPtr& flight, const Refusal& refusal) {
  flight->maybe_done = flight->maybe_done || refusal.maybe_done;
  const ErrorCode code = refusal.error.code();
  if (code == ErrorCode::kPartialDuplicate && flight->keyed)
    return drop_duplicates(lane, flight, refusal);
  if (!flight->keyed) {
    const bool unknown =
        code == ErrorCode::kUnknownProducer || code == ErrorCode::kInvalidProducerEpoch;
    const bool gap = code == ErrorCode::kOutOfOrderSequence;
    // Behind a batch that failed, a gap is what to expect: the repeat closes it.
    const bool front = lane.flights.front() == flight && !lane.recovering;
    lane.new_id = lane.new_id || unknown;
    lane.renumber = lane.renumber || unknown || (gap && front);
    if (unknown || gap) return recover(lane, true);
  }
  if (refusal.maybe_done || refusal.action == ErrorAction::kRetry) {
    MutexLock lock(mutex_);
    stats_.obstacle = to_failure(refusal);
  }
  if (refusal.maybe_done || refusal.action == ErrorAction::kRetry) return recover(lane, true);
  give_up(lane, flight, to_failure(refusal));
}

void ProducerCore::drop_duplicates(Lane& lane, const FlightPtr& flight, const Refusal& refusal) {
  std::vector<const native::Failure::Duplicate*> known(flight->items.size());
  bool any = false;
  for (const auto& d : refusal.duplicates) {
    if (d.entry >= known.size()) continue;
    known[d.entry] = &d;
    any = true;
  }
  if (!any)
    return give_up(lane, flight, Failure(Errc::malformed, "the broker named no duplicates"));
  std::vector<Item> left;
  for (std::size_t i = 0; i < known.size(); ++i) {
    Item& item = flight->items[i];
    if (known[i] == nullptr) {
      left.push_back(std::move(item));
      continue;
    }
    Delivery d{lane.target, known[i]->offset.value(), item.message.timestamp, true,
               options_.durability};
    if (known[i]->at.value() >= 0) d.target.partition = known[i]->at.value();
    finish(item, std::move(d));
  }
  flight->items = std::move(left);
  flight->encoded = {};  // pump() sends the rest
  if (flight->items.empty()) std::erase(lane.flights, flight);
}

void ProducerCore::give_up(Lane& lane, const FlightPtr& flight, const Failure& why) {
  std::erase(lane.flights, flight);
  if (!flight->keyed) {
    lane.renumber = true;
    recover(lane, false);
  }
  const bool doubtful = flight->maybe_done || flight->outstanding;
  const Failure told =
      doubtful ? Failure(why.errc(), Action::maybe_persisted,
                         why.message() + " (an attempt's answer never came: it may be stored)")
               : why;
  for (Item& item : flight->items) finish(item, told);
}

void ProducerCore::recover(Lane& lane, bool pause) {
  lane.recovering = true;
  if (!pause || lane.paused) return;
  lane.paused = true;
  lane.backoff =
      lane.backoff.count() == 0 ? options_.retry_backoff : std::min(lane.backoff * 2, kBackoffMax);
  core_->loop->after(lane.backoff, [self = shared_from_this(), &lane] {
    lane.paused = false;
    self->pump(lane);
    self->check_flushed();
  });
}

bool ProducerCore::resume(Lane& lane) {
  if (lane.paused) return false;
  for (const FlightPtr& f : lane.flights) {
    if (f->outstanding) return false;
  }
  if (lane.renumber && !renumber(lane)) return false;
  lane.recovering = false;
  return true;
}

bool ProducerCore::renumber(Lane& lane) {
  fail_doubtful(lane);
  if (lane.id != kNoProducer) {
    const bool epochs_left = lane.epoch.value() < std::numeric_limits<std::int16_t>::max();
    if (!lane.new_id && epochs_left) {
      lane.epoch = ProducerEpoch(static_cast<std::int16_t>(lane.epoch.value() + 1));
      lane.next_sequence = 0;
      lane.established = false;
    } else {
      if (lane.id == id_) id_ = kNoProducer;
      lane.id = kNoProducer;
    }
  }
  lane.new_id = false;
  if (!identify(lane)) return false;
  lane.renumber = false;
  for (const FlightPtr& f : lane.flights) {
    if (f->keyed) continue;
    f->sequence = lane.next_sequence;
    lane.next_sequence = sequence_after(lane.next_sequence, f->items.size());
    f->encoded = {};
  }
  return true;
}

void ProducerCore::fail_doubtful(Lane& lane) {
  const Failure why(Errc::unknown_producer, Action::maybe_persisted,
                    "an attempt's answer never came and the batches before it failed: it may be "
                    "stored; send it again only if it may happen twice, or with a dedup key");
  const auto flights = lane.flights;
  for (const FlightPtr& f : flights) {
    if (f->keyed || !f->maybe_done) continue;
    std::erase(lane.flights, f);
    for (Item& item : f->items) finish(item, why);
  }
}

Failure ProducerCore::too_late() const {
  const std::string text = "not stored within the delivery time-out";
  MutexLock lock(mutex_);
  if (!stats_.obstacle) return {Errc::timeout, Action::retry, text + "; is the broker reachable?"};
  const Errc reason = stats_.obstacle->errc();
  return {reason == Errc::disconnected ? Errc::timeout : reason, Action::retry,
          text + ": " + stats_.obstacle->message()};
}

void ProducerCore::expire(Lane& lane, SteadyClock::time_point now) {
  const Failure late = too_late();
  while (!lane.open.empty() && lane.open.front().deadline <= now) {
    Item item = std::move(lane.open.front());
    lane.open.pop_front();
    lane.open_bytes -= item.message.bytes();
    finish(item, late);
  }
  while (!lane.flights.empty() && lane.flights.front()->items.front().deadline <= now) {
    const FlightPtr flight = lane.flights.front();
    // An earlier refusal says nothing of the attempt that is still unanswered.
    const bool doubtful = flight->maybe_done || flight->outstanding;
    give_up(lane, flight, doubtful ? Failure(Errc::timeout, late.message()) : late);
  }
  pump(lane);
}

void ProducerCore::expire() {
  if (ended_) return;
  const auto now = SteadyClock::now();
  for (auto& [target, lane] : lanes_) expire(lane, now);
  for (auto& [name, topic] : topics_) {
    while (!topic.waiting.empty() && topic.waiting.front().deadline <= now) {
      Item item = std::move(topic.waiting.front());
      topic.waiting.pop_front();
      finish(item, Failure(Errc::timeout, Action::retry,
                           "the topic could not be looked up within the delivery time-out"));
    }
  }
  check_flushed();
  core_->loop->after(kExpiryCheck, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->expire();
  });
}

}  // namespace runnel::client
