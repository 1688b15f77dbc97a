// Kafka sessions without sockets: a client that keeps its answers in order, and what it talks to.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/kafka/service.h"
#include "protocol/kafka/codec.h"
#include "storage/env/manual_clock.h"
#include "tests/broker/native/fake_connection.h"
#include "tests/broker/native/fake_store.h"
#include "tests/support/seeds.h"

namespace runnel::broker {

namespace kafka = protocol::kafka;

/// One connection with its session. The test's thread is its loop.
class KafkaClient {
 public:
  explicit KafkaClient(const SessionFactory& factory) : session(factory(connection)) {}

  /// A request's bytes; its correlation id is the number of requests so far.
  template <class M>
  std::string frame(std::int16_t version, const M& message) {
    const kafka::RequestHeader header{M::kApi, version, ++last_request_, "test"};
    return std::string(as_text(kafka::encode_request(header, message).head.bytes()));
  }
  /// As a loop does: into the session's own memory where it offers some.
  void feed(std::string_view bytes) {
    while (!bytes.empty() && !connection.closed) {
      const MutableBytes into = session->receive_into();
      if (into.empty()) {
        session->received(as_bytes(bytes));
        break;
      }
      const std::size_t n = std::min(into.size(), bytes.size());
      std::copy_n(as_bytes(bytes).begin(), n, into.begin());
      session->received(Bytes(into.data(), n));
      bytes.remove_prefix(n);
    }
    run_posted();
  }
  /// Until nothing is left to do on the loop's thread.
  void run_posted() {
    for (auto posted = connection.posts->take(); !posted.empty();
         posted = connection.posts->take()) {
      for (auto& work : posted) {
        if (!connection.closed) work(*session);
      }
    }
  }
  template <class M>
  void send(std::int16_t version, const M& message) {
    feed(frame(version, message));
  }
  /// The next answer, as R, if it has come. Its views live as long as the client.
  template <class R>
  std::optional<R> receive(std::int16_t version) {
    run_posted();
    const auto size = kafka::frame_size(as_bytes(connection.sent), 4);
    if (!size || !*size || connection.sent.size() < **size) return std::nullopt;
    kept_.push_back(connection.sent.substr(kafka::kLengthBytes, **size - kafka::kLengthBytes));
    connection.sent.erase(0, **size);
    const auto head = kafka::decode_response_header(as_bytes(kept_.back()), R::kApi, version);
    if (!head) {
      ADD_FAILURE() << head.error().to_string();
      return std::nullopt;
    }
    EXPECT_EQ(head->correlation_id, ++last_answer_) << "answers out of order";
    auto message = kafka::decode<R>(head->body, version);
    if (!message) {
      ADD_FAILURE() << message.error().to_string();
      return std::nullopt;
    }
    return std::move(*message);
  }
  /// As receive(), but waits for what is done on other threads.
  template <class R>
  R await(std::int16_t version) {
    wait_for_bytes(kafka::kLengthBytes);
    if (const auto size = kafka::frame_size(as_bytes(connection.sent), 4); size && *size) {
      wait_for_bytes(**size);
    }
    auto answer = receive<R>(version);
    EXPECT_TRUE(answer) << "no answer of " << kafka::name_of(R::kApi) << " version " << version;
    return answer ? std::move(*answer) : R{};
  }
  template <class R, class M>
  R call(std::int16_t version, const M& message) {
    static_assert(R::kApi == M::kApi);
    send(version, message);
    return await<R>(version);
  }
  /// Until so many bytes were sent; gives up if nothing happens for ten seconds.
  void wait_for_bytes(std::size_t bytes) {
    run_posted();
    while (connection.sent.size() < bytes && connection.posts->wait()) run_posted();
  }

  FakeConnection connection;
  std::unique_ptr<Session> session;

 private:
  std::int32_t last_request_ = 0;
  std::int32_t last_answer_ = 0;
  std::deque<std::string> kept_;
};

/// A broker without sockets, whose time stands still until a test moves it.
struct KafkaWorld {
  explicit KafkaWorld(KafkaOptions options = quick_options(),
                      std::uint64_t memory_bytes = 64u << 20)
      : store(memory_bytes),
        coordinator(std::move(Coordinator::open(
                                  make_group_store(store), random,
                                  [this](std::string_view topic) {
                                    const auto info = store.describe_topic(topic);
                                    if (!info) return TopicShape();
                                    return TopicShape(
                                        static_cast<std::int32_t>(info->partitions.size()),
                                        info->id);
                                  },
                                  clock.monotonic(), {}, [this] { return store.topic_names(); }))
                        .value()),
        service(
            store, *coordinator, clock,
            {gate,
             [this](const std::shared_ptr<SessionHandle>& session,
                    std::function<void(Session&)> retry) { gate->wait(session, std::move(retry)); },
             *workers},
            std::move(options)) {
    EXPECT_TRUE(store.create_topic({"orders", 4, {}}));
    EXPECT_TRUE(service.start());
  }
  /// Groups do not wait for more members.
  static KafkaOptions quick_options() {
    KafkaOptions options;
    options.groups.initial_rebalance_delay = std::chrono::milliseconds(0);
    return options;
  }
  ~KafkaWorld() { workers.reset(); }  // before what their jobs use
  KafkaClient connect() { return KafkaClient(service.factory()); }
  void pass(std::chrono::milliseconds time) {
    clock.advance(time);
    coordinator->run_deadlines(clock.monotonic());
    service.tick();
  }

  storage::FakeStore store;
  storage::ManualClock clock;
  storage::SeededRandom random{1};
  std::unique_ptr<Coordinator> coordinator;
  const std::shared_ptr<MemoryGate> gate = std::make_shared<MemoryGate>(store.memory());
  std::unique_ptr<Workers> workers = std::make_unique<Workers>(2);
  KafkaService service;
};

}  // namespace runnel::broker
