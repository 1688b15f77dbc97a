// What loads of views share: a connection of the native protocol, events appended at a set rate.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bench/floor/sockets.h"
#include "bench/measure.h"
#include "protocol/native/messages.h"

namespace runnel::protocol::native {
struct ResponseFrame;
}  // namespace runnel::protocol::native

namespace runnel::bench {

/// Partitions of the topics that are fed.
inline constexpr std::uint32_t kFedPartitions = 4;

/// Frames both ways. One thread.
class Connection {
 public:
  /// Connects and greets.
  [[nodiscard]] static Result<std::unique_ptr<Connection>> open(const std::string& address);
  [[nodiscard]] Status send(Bytes bytes) { return socket_.send(bytes); }
  /// Waits for more bytes.
  [[nodiscard]] Status receive();
  /// The next whole frame, of use until the next receive(); empty: more has to be received first.
  [[nodiscard]] Result<Buffer> next();
  /// The next whole frame, waited for.
  [[nodiscard]] Result<Buffer> wait_for_next();
  /// Sends one and waits for its answer. An answer that is a failure is an error.
  [[nodiscard]] Result<protocol::native::ResponseFrame> call(const Buffer& head,
                                                             Bytes attachment = {});
  [[nodiscard]] const Socket& socket() const noexcept { return socket_; }

 private:
  explicit Connection(Socket socket);
  Socket socket_;
  Buffer buffer_;
  std::size_t taken_ = 0;
  std::size_t filled_ = 0;
};

/// Appends donations to a topic's partitions in turn, a batch when it is due. One thread.
class Feeder {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Feeder>> open(const std::string& address,
                                                            const std::string& topic,
                                                            std::uint64_t events_per_second,
                                                            std::uint64_t events_per_batch);
  struct Appended {
    std::uint32_t partition = 0;
    std::int64_t end = 0;  ///< offset behind the last event
  };
  /// Waits until the next batch is due, sends it and waits for its acknowledgement.
  [[nodiscard]] Result<Appended> append();
  [[nodiscard]] std::uint64_t appended() const noexcept { return n_ * events_per_batch_; }

 private:
  Feeder() = default;
  std::unique_ptr<Connection> connection_;
  std::string topic_;
  std::uint64_t events_per_second_ = 1;
  std::uint64_t events_per_batch_ = 1;
  std::vector<Buffer> batches_;
  SteadyClock::time_point began_ = SteadyClock::now();
  std::uint64_t n_ = 0;
};

/// User and system time of a process so far; 0 is of none.
[[nodiscard]] double cpu_seconds_of(int pid);

}  // namespace runnel::bench
