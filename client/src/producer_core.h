// The producer's machinery. Records enter through a mutex; everything else is loop thread only.
//
// A lane is one partition. Its batches are numbered when they are cut and sent in that order. After
// any failure a lane is "recovering": it waits until nothing of it is in flight, pauses, and sends
// all unanswered batches again, in order, with the same sequences. The broker knows a producer's
// last five batches, which is why the window is at most five.
//
// A batch that certainly was not stored leaves a gap in the sequences. The batches behind it were
// refused for the gap, so they were not stored either, and are numbered anew from it.
//
// Batches of records with dedup keys carry no sequence: their keys are the guard, and one in
// flight at a time keeps the order.
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/src/core.h"
#include "runnel/producer.h"

namespace runnel::client {

class ProducerCore : public std::enable_shared_from_this<ProducerCore> {
 public:
  ProducerCore(std::shared_ptr<Core> core, ProducerOptions options);

  // Any thread.
  void send(const Message& message, Callback<Delivery> done, bool may_wait) RUNNEL_EXCLUDES(mutex_);
  void flush(Callback<void> done) RUNNEL_EXCLUDES(mutex_);
  /// Takes no more records and ends what is left with kCancelled.
  void abandon() RUNNEL_EXCLUDES(mutex_);
  void refuse_new() RUNNEL_EXCLUDES(mutex_);
  [[nodiscard]] ProducerStats stats() const RUNNEL_EXCLUDES(mutex_);

 private:
  struct Item {
    OwnedMessage message;
    Callback<Delivery> done;
    SteadyClock::time_point deadline;
    SteadyClock::time_point arrived;
  };
  struct Flight {
    std::vector<Item> items;
    bool keyed = false;
    Buffer encoded;
    std::int32_t sequence = 0;
    bool outstanding = false;
    bool maybe_done = false;
    bool repeated = false;
  };
  using FlightPtr = std::shared_ptr<Flight>;
  struct Lane {
    TopicPartition target;
    std::deque<Item> open;
    std::size_t open_bytes = 0;
    std::deque<FlightPtr> flights;
    ProducerId id = kNoProducer;
    ProducerEpoch epoch = kNoEpoch;
    std::int32_t next_sequence = 0;
    std::optional<std::int32_t> renumber_from;  ///< known gap
    std::optional<std::int32_t> doubtful_gap;   ///< a batch whose outcome was never learnt
    bool recovering = false;
    bool paused = false;  ///< the back-off timer runs
    Milliseconds backoff{0};
    Loop::TimerId linger_timer = 0;
  };
  struct Topic {
    std::int32_t partitions = 0;
    bool loading = false;
    SteadyClock::time_point loaded{};
    std::int32_t sticky = -1;
    std::deque<Item> waiting;
  };

  void start();
  void take_incoming() RUNNEL_EXCLUDES(mutex_);
  void route(Item item);
  void load_topic(const std::string& name);
  std::int32_t choose(Topic& topic, const OwnedMessage& message);
  void enqueue(std::int32_t partition, Item item);
  Lane& lane_of(const TopicPartition& target);

  void pump(Lane& lane);
  [[nodiscard]] bool may_cut(Lane& lane);
  void cut(Lane& lane);
  void transmit(Lane& lane, const FlightPtr& flight);
  [[nodiscard]] Status encode(Lane& lane, Flight& flight);
  void answered(const TopicPartition& target, const FlightPtr& flight, Answer answer);
  void stored(Lane& lane, const FlightPtr& flight, const native::AppendReply& reply);
  void refused(Lane& lane, const FlightPtr& flight, const Refusal& refusal);
  void drop_duplicates(Lane& lane, const FlightPtr& flight, const Refusal& refusal);
  void lost_sequence(Lane& lane, const FlightPtr& flight, const Refusal& refusal);
  void give_up(Lane& lane, const FlightPtr& flight, const Failure& why, bool certainly_absent);
  void recover(Lane& lane);
  void settle(Lane& lane);
  void need_identity();
  void expire();
  void finish(Item& item, Outcome<Delivery> outcome);
  void check_flushed();
  void cancel_all();

  const std::shared_ptr<Core> core_;
  const ProducerOptions options_;
  std::shared_ptr<void> listener_;
  std::map<std::string, Topic, std::less<>> topics_;
  std::map<TopicPartition, Lane> lanes_;
  ProducerId id_ = kNoProducer;
  ProducerEpoch epoch_ = kNoEpoch;
  bool identity_asked_ = false;
  bool ended_ = false;
  std::size_t unanswered_ = 0;
  std::vector<Callback<void>> flushes_;
  std::uint32_t spread_ = 0;

  mutable Mutex mutex_;
  std::condition_variable_any room_;
  std::deque<Item> incoming_ RUNNEL_GUARDED_BY(mutex_);
  bool closed_ RUNNEL_GUARDED_BY(mutex_) = false;
  ProducerStats stats_ RUNNEL_GUARDED_BY(mutex_);
};

}  // namespace runnel::client

namespace runnel {
struct Producer::Impl {
  explicit Impl(std::shared_ptr<client::ProducerCore> c) : core(std::move(c)) {}
  ~Impl() { core->abandon(); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  std::shared_ptr<client::ProducerCore> core;
};
}  // namespace runnel
