// What producers, consumers and administration share: the loop, the connection, conversions.
#pragma once

#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "client/src/connection.h"
#include "client/src/departures.h"
#include "protocol/base/thread_annotations.h"
#include "protocol/record_batch/record_batch.h"
#include "runnel/client.h"

namespace runnel::client {

[[nodiscard]] inline Failure to_failure(const Error& e) {
  return Failure(static_cast<Errc>(e.code()), e.message());
}
[[nodiscard]] inline Failure to_failure(const Refusal& r) {
  return Failure(static_cast<Errc>(r.error.code()), static_cast<Action>(r.action),
                 r.error.message());
}
/// Of a read: no outcome is in doubt, it may be repeated.
[[nodiscard]] inline Failure unread(const Refusal& r) {
  Failure failure = to_failure(r);
  const bool lost = failure.errc() == Errc::timeout || failure.errc() == Errc::disconnected;
  return lost ? Failure(failure.errc(), Action::retry, failure.message()) : failure;
}
[[nodiscard]] inline Failure wrong_reply() {
  return Failure(Errc::malformed, "the broker answered with a message of another kind");
}
[[nodiscard]] inline native::TopicPartition to_wire(const TopicPartition& tp) {
  return {tp.topic, PartitionIndex(tp.partition)};
}
[[nodiscard]] inline TopicPartition from_wire(const native::TopicPartition& tp) {
  return {tp.topic, tp.partition.value()};
}
[[nodiscard]] inline std::vector<AbortedTransaction> from_wire(
    const std::vector<native::AbortedTransaction>& aborted) {
  std::vector<AbortedTransaction> out;
  out.reserve(aborted.size());
  for (const auto& t : aborted) out.push_back({t.producer.value(), t.first.value()});
  return out;
}
[[nodiscard]] inline Time from_wire(Timestamp t) {
  return Time(Milliseconds(t.value()));
}
[[nodiscard]] inline std::optional<Time> optional_time(Timestamp t) {
  if (t == kNoTimestamp) return std::nullopt;
  return from_wire(t);
}
[[nodiscard]] inline Time now_ms() {
  return std::chrono::time_point_cast<Milliseconds>(std::chrono::system_clock::now());
}

/// What a request does when it is sent twice.
enum class Effect {
  kNone,   ///< it only reads
  kOnce,   ///< the repeat asks for what is already so
  kTwice,  ///< the repeat may undo or destroy something new, or be refused though it was done
};
[[nodiscard]] Effect effect_of(const native::Request& request);

/// A producer's id that is good for one request at a time, for transactions.
struct Identity {
  ProducerId id = kNoProducer;
  ProducerEpoch epoch = kNoEpoch;
  std::map<TopicPartition, std::int32_t> next_sequence;
  [[nodiscard]] bool valid() const { return id != kNoProducer; }
};

class Core : public std::enable_shared_from_this<Core> {
 public:
  Core(ClientOptions options, TransportFactory factory);
  ~Core();
  /// Answers everything under way with kCancelled and ends the loop; waits for that, unless called
  /// on the loop's thread. Idempotent.
  void shut();
  /// Starts connecting and waits for the greeting, up to connect_timeout.
  [[nodiscard]] Outcome<void> connect_and_wait();

  /// Sends `request`; its reply of type R is made into a T by `convert(R&&, Buffer attachment)`.
  template <class R, class T, class F>
  Pending<T> ask(native::Request request, F convert) {
    auto [pending, done] = detail::make_pending<T>();
    post(
        [self = shared_from_this(), request = std::move(request), convert = std::move(convert),
         done = done]() mutable {
          self->send<R, T>(std::move(request), std::move(convert), std::move(done));
        },
        done);
    return std::move(pending);
  }
  /// ask() on the loop's thread, with an own time-out. What may be repeated is, on a lost
  /// connection.
  template <class R, class T, class F>
  void send(native::Request request, F convert, Callback<T> done,
            Milliseconds extra = Milliseconds(0)) {
    const Effect effect = effect_of(request);
    const auto on_loss = effect == Effect::kTwice ? OnLoss::kFail : OnLoss::kSendAgain;
    connection->request(
        std::move(request), {}, options.request_timeout + extra,
        [effect, convert = std::move(convert), done = std::move(done)](Answer a) {
          if (!a) return done(effect == Effect::kNone ? unread(a.error()) : to_failure(a.error()));
          R* reply = std::get_if<R>(&a->response);
          if (reply == nullptr) return done(wrong_reply());
          done(convert(std::move(*reply), std::move(a->attachment)));
        },
        on_loss);
  }
  /// Runs `work` on the loop, or answers `done` that the client is closed.
  template <class T>
  void post(Loop::Task work, const Callback<T>& done) {
    if (!loop->post(std::move(work))) done(Failure(Errc::cancelled, "the client is closed"));
  }

  const ClientOptions options;
  const std::shared_ptr<Loop> loop;
  const std::shared_ptr<Connection> connection;

  Mutex mutex;
  ServerInfo info RUNNEL_GUARDED_BY(mutex);
  std::atomic<bool> up = false;
  std::vector<Identity> idle_identities;                                       ///< loop thread
  const std::shared_ptr<Departures> commits = std::make_shared<Departures>();  ///< loop thread

 private:
  std::shared_ptr<void> listener_;
};

/// What the application's handles hold: when the last one goes, so does everything under way. The
/// operations themselves hold the Core only.
class Keeper {
 public:
  explicit Keeper(std::shared_ptr<Core> c) : core(std::move(c)) {}
  ~Keeper() { core->shut(); }
  Keeper(const Keeper&) = delete;
  Keeper& operator=(const Keeper&) = delete;
  const std::shared_ptr<Core> core;
};
using KeeperPtr = std::shared_ptr<const Keeper>;
/// A client on a connection made by `factory`, once the broker has greeted it.
[[nodiscard]] Outcome<Client> make_client(ClientOptions options, TransportFactory factory);

/// Sequences run from 0 to 2^31-1 and start again at 0, as Kafka's do. `count` >= 0.
[[nodiscard]] inline std::int32_t sequence_after(std::int32_t sequence, std::size_t count) {
  constexpr std::uint64_t kModulus = std::uint64_t{1} << 31;
  return static_cast<std::int32_t>((static_cast<std::uint64_t>(sequence) + count) % kModulus);
}

/// Decodes whole batches into records from `from` on, without those of the transactions in
/// `aborted`, which are ordered by their first offset. `owner` holds `batches`.
[[nodiscard]] Outcome<Batch> decode_batches(const TopicPartition& target, Bytes batches,
                                            std::shared_ptr<const void> owner, std::int64_t from,
                                            std::span<const AbortedTransaction> aborted);
/// Codec as the wire knows it.
[[nodiscard]] inline protocol::Codec codec_of(Compression c) {
  return static_cast<protocol::Codec>(c);
}
[[nodiscard]] std::uint64_t payload_hash(std::string_view value);
/// Random, nobody else's.
[[nodiscard]] std::string new_id();

/// A Message with its own memory.
struct OwnedMessage {
  explicit OwnedMessage(const Message& m);
  [[nodiscard]] std::size_t bytes() const { return text.size() + headers.size() * 16 + 64; }
  [[nodiscard]] Message view(std::vector<Header>& scratch) const;
  void add_to(protocol::BatchBuilder& builder) const;

  std::string topic;
  std::optional<std::int32_t> partition;
  Time timestamp{};
  std::optional<native::DedupKey> dedup;
  std::string text;  ///< key, value, then headers' keys and values
  struct Piece {
    std::size_t at = 0;
    std::optional<std::size_t> size;
  };
  Piece key, value;
  std::vector<std::pair<Piece, Piece>> headers;

 private:
  Piece put(std::optional<std::string_view> part);
  [[nodiscard]] std::optional<std::string_view> get(const Piece& piece) const;
};

[[nodiscard]] Pending<Committed> run_commit(const std::shared_ptr<Core>& core,
                                            const Transaction& transaction);

}  // namespace runnel::client

namespace runnel {

struct Client::Impl {
  client::KeeperPtr keeper;
  std::shared_ptr<client::Core> core = keeper->core;
};
struct Admin::Impl {
  client::KeeperPtr keeper;
  std::shared_ptr<client::Core> core = keeper->core;
};
struct Batch::Impl {
  std::vector<Record> records;
  std::vector<TopicPartition> ends;
  std::uint64_t unreadable = 0;
  std::deque<std::string> topics;
  std::deque<std::vector<Header>> headers;
  std::deque<protocol::RecordReader> readers;
  std::vector<std::shared_ptr<const void>> owners;
};
struct Transaction::Impl {
  std::vector<client::OwnedMessage> records;
  std::vector<client::native::GroupOffsets> groups;
  std::vector<client::native::FenceToken> fences;
  std::map<TopicPartition, std::int64_t> expected;
  Durability durability = Durability::synced;
  Compression compression = Compression::none;
  std::optional<std::chrono::milliseconds> applied;  ///< longest wait for the views
};

}  // namespace runnel
