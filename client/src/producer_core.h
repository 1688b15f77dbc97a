// The producer's machinery. Records enter through a mutex; everything else is loop thread only.
//
// A lane is one partition (producer_lane.cc). Its batches are numbered when they are cut and sent
// in that order. After any failure a lane is "recovering": it waits until nothing of it is in
// flight, pauses, and sends all unanswered batches again, in order, with the same sequences. The
// broker knows a producer's last five batches, which is why the window is at most five.
//
// Giving up a batch, or being told that the broker knows other numbers, ends the numbering: the
// lane goes on from sequence 0 under the next epoch. Batches of which every attempt was refused get
// new numbers there. A batch with an attempt whose outcome is unknown must not (it could be stored
// twice); it ends as maybe_persisted. What the old epoch still has on its way is refused by the
// broker as soon as the new one has been heard of.
//
// A broker takes any first sequence from a producer it does not know, so until the first batch of a
// numbering is acknowledged it is alone in flight: otherwise its successor could overtake it.
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
  /// `first_sequence` is where numberings begin that have no epoch before them.
  ProducerCore(std::shared_ptr<Core> core, ProducerOptions options,
               std::int32_t first_sequence = 0);

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
    bool established = false;  ///< a batch of this numbering was acknowledged
    bool renumber = false;     ///< this numbering has ended
    bool new_id = false;       ///< ... and the next one needs another id
    bool recovering = false;
    bool paused = false;  ///< the back-off timer runs
    bool fresh = false;   ///< in fresh_
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
  void topic_loaded(const std::string& name, Answer answer);
  std::int32_t choose(Topic& topic, const OwnedMessage& message);
  void enqueue(std::int32_t partition, Item item);
  /// Pumps the lanes that got records since the last call.
  void pump_fresh();
  void pump_all();
  void need_identity();
  void finish(Item& item, Outcome<Delivery> outcome);
  void check_flushed();
  void cancel_all();

  // producer_lane.cc
  /// Sends what may be sent now.
  void pump(Lane& lane);
  [[nodiscard]] bool may_cut(Lane& lane);
  [[nodiscard]] bool lingers(Lane& lane);
  void cut(Lane& lane);
  void transmit(Lane& lane, const FlightPtr& flight);
  [[nodiscard]] Status encode(const Lane& lane, Flight& flight);
  void answered(Lane& lane, const FlightPtr& flight, Answer answer);
  void stored(Lane& lane, const FlightPtr& flight, const native::AppendReply& reply);
  void refused(Lane& lane, const FlightPtr& flight, const Refusal& refusal);
  void drop_duplicates(Lane& lane, const FlightPtr& flight, const Refusal& refusal);
  /// Ends `flight` with `why` and the lane's numbering with it.
  void give_up(Lane& lane, const FlightPtr& flight, const Failure& why);
  void recover(Lane& lane, bool pause);
  /// True if the lane is done recovering.
  [[nodiscard]] bool resume(Lane& lane);
  [[nodiscard]] bool renumber(Lane& lane);
  [[nodiscard]] bool identify(Lane& lane);
  void fail_doubtful(Lane& lane);
  void expire();
  void expire(Lane& lane, SteadyClock::time_point now);
  [[nodiscard]] Failure too_late() const RUNNEL_EXCLUDES(mutex_);

  const std::shared_ptr<Core> core_;
  const ProducerOptions options_;
  const std::int32_t first_sequence_;
  std::shared_ptr<void> listener_;
  std::map<std::string, Topic, std::less<>> topics_;
  std::map<TopicPartition, Lane> lanes_;
  ProducerId id_ = kNoProducer;
  ProducerEpoch epoch_ = kNoEpoch;
  std::vector<Lane*> fresh_;
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
  Impl(client::KeeperPtr k, std::shared_ptr<client::ProducerCore> c)
      : keeper(std::move(k)), core(std::move(c)) {}
  ~Impl() { core->abandon(); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  client::KeeperPtr keeper;
  std::shared_ptr<client::ProducerCore> core;
};
}  // namespace runnel
