// One Kafka connection: frames in, calls out to the handlers, answers back in order.
//
// Like Kafka's own broker it works on one request at a time, so that what a client sends in order
// happens in order. Produce requests in a row are the exception: their order is kept by the commit
// queue, and a producer that pipelines needs them in one group.
#pragma once

#include <array>
#include <chrono>
#include <deque>
#include <memory>

#include "broker/kafka/call.h"
#include "broker/kafka/service.h"
#include "broker/net/session.h"

namespace runnel::broker {

/// Produce requests of one connection that are worked on at the same time.
inline constexpr std::size_t kMaxProduceInFlight = 128;

/// Loop thread only.
class KafkaSession final : public Session {
 public:
  KafkaSession(KafkaService& service, Connection& connection);
  ~KafkaSession() override;

  MutableBytes receive_into() override;
  void received(Bytes data) override;
  void drained() override;
  void shutting_down() override;
  std::string_view overdue(std::chrono::steady_clock::time_point now) override;

 private:
  friend class Call;
  /// A request that was handed to its handler.
  struct Slot {
    std::weak_ptr<Call> call;
    Output output;
    bool produce = false;
    bool ready = false;
  };

  // Frames.
  void consume(Bytes data);
  void begin_frame();
  [[nodiscard]] bool grow_frame(std::size_t arrived = 0);
  void end_frame();
  void retry_memory();
  [[nodiscard]] bool blocked() const noexcept { return waiting_ || wants_memory_; }

  // Calls.
  [[nodiscard]] bool may_begin(const kafka::RequestHeader& header) const;
  void begin(kafka::ReceivedRequest request, Buffer frame, MemoryLease lease);
  void run(std::vector<std::function<void()>> posts);
  void answered(std::uint64_t number, Output output);
  void flush();
  void go_on();
  void update_pause();
  void fail(const Error& why);
  void close_if_finished();

  struct Waiting {
    Buffer frame;
    MemoryLease lease;
  };

  KafkaService& service_;
  Connection& connection_;
  const std::shared_ptr<SessionHandle> handle_;
  const std::shared_ptr<const Peer> peer_;

  std::array<std::byte, kafka::kLengthBytes> head_{};
  std::size_t head_done_ = 0;
  Buffer frame_;                ///< what follows the length; grows as bytes arrive
  std::size_t frame_size_ = 0;  ///< announced
  std::size_t frame_done_ = 0;
  MemoryLease lease_;
  std::uint64_t frames_ = 0;  ///< begun so far
  struct Unfinished {
    std::uint64_t frame = 0;
    std::chrono::steady_clock::time_point since;
    std::size_t bytes = 0;
  };
  Unfinished unfinished_;           ///< the frame that overdue() last saw unfinished
  std::vector<std::byte> held_;     ///< received while blocked
  std::optional<Waiting> waiting_;  ///< a whole frame whose turn has not come
  bool wants_memory_ = false;
  bool paused_ = false;
  bool output_full_ = false;
  bool finishing_ = false;
  bool closed_ = false;

  std::deque<Slot> slots_;          ///< in the order of the requests
  std::uint64_t first_number_ = 0;  ///< of slots_.front()
};

}  // namespace runnel::broker
