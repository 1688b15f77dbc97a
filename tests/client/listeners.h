// Real sockets that behave badly: one that says nothing, one that does not even take connections,
// and a broker that answers or hangs up as the test says.
#pragma once

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "client/src/addresses.h"
#include "protocol/native/codec.h"

namespace runnel::client {

namespace native = protocol::native;

/// A descriptor that is closed with its owner.
class OwnedFd {
 public:
  explicit OwnedFd(int fd) : fd_(fd) {}
  OwnedFd(OwnedFd&& o) noexcept : fd_(std::exchange(o.fd_, -1)) {}
  OwnedFd& operator=(OwnedFd&&) = delete;
  ~OwnedFd() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

/// A listening socket on a free loopback port. By itself it is mute: the kernel completes
/// connections, and nobody ever says a word.
class Listener {
 public:
  explicit Listener(int backlog = 8) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0)) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address_.size = sizeof in;
    std::memcpy(&address_.storage, &in, sizeof in);
    auto* generic = reinterpret_cast<sockaddr*>(&address_.storage);
    EXPECT_EQ(::bind(fd_.get(), generic, address_.size), 0);
    EXPECT_EQ(::listen(fd_.get(), backlog), 0);
    EXPECT_EQ(::getsockname(fd_.get(), generic, &address_.size), 0);
  }
  [[nodiscard]] const SocketAddress& address() const { return address_; }
  [[nodiscard]] std::string port() const {
    return std::to_string(ntohs(reinterpret_cast<const sockaddr_in&>(address_.storage).sin_port));
  }
  [[nodiscard]] std::string name() const { return "127.0.0.1:" + port(); }
  /// The next connection that came, or -1.
  [[nodiscard]] OwnedFd take() const { return OwnedFd(::accept(fd_.get(), nullptr, nullptr)); }
  /// How many connections came since the last call; they are closed.
  [[nodiscard]] int visits() const {
    int count = 0;
    while (take().get() >= 0) ++count;
    return count;
  }
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  OwnedFd fd_;
  SocketAddress address_;
};

/// Its queue is full, so the kernel drops every new connection's packets: as an address behind
/// which there is no machine.
class BlackHole : public Listener {
 public:
  BlackHole() : Listener(0) {
    for (int i = 0; i < 4; ++i) {
      OwnedFd& filler = fillers_.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
      ::connect(filler.get(), reinterpret_cast<const sockaddr*>(&address().storage),
                address().size);
    }
  }

 private:
  std::vector<OwnedFd> fillers_;
};

/// Greets, then asks the test what to do with each request. One connection at a time.
class PlayedBroker : public Listener {
 public:
  struct Act {
    std::optional<native::Response> answer;
    bool hang_up = false;
  };
  static Act say(native::Response response) { return {std::move(response), false}; }
  static Act hang_up() { return {std::nullopt, true}; }
  using Script = std::function<Act(const native::Request&)>;

  explicit PlayedBroker(Script script) : script_(std::move(script)), thread_([this] { run(); }) {}
  ~PlayedBroker() {
    ::shutdown(wake_[1].get(), SHUT_RDWR);
    thread_.join();
  }
  PlayedBroker(const PlayedBroker&) = delete;
  PlayedBroker& operator=(const PlayedBroker&) = delete;

  /// Greetings given so far.
  [[nodiscard]] int greeted() const { return greeted_; }

 private:
  static std::array<OwnedFd, 2> make_pair() {
    int ends[2] = {-1, -1};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    return {OwnedFd(ends[0]), OwnedFd(ends[1])};
  }
  /// False: the test is over.
  [[nodiscard]] bool readable(int fd) const {
    std::array<pollfd, 2> fds{pollfd{fd, POLLIN, 0}, pollfd{wake_[0].get(), POLLIN, 0}};
    ::poll(fds.data(), fds.size(), -1);
    return fds[1].revents == 0;
  }
  void run() {
    while (readable(fd())) {
      const OwnedFd peer = take();
      if (peer.get() >= 0) serve(peer.get());
    }
  }
  void serve(int peer) {
    std::vector<std::byte> input;
    std::size_t expected = native::kPreface.size();
    bool preface = false;
    std::array<std::byte, 4096> piece;
    while (readable(peer)) {
      const ssize_t got = ::recv(peer, piece.data(), piece.size(), 0);
      if (got <= 0) return;
      input.insert(input.end(), piece.data(), piece.data() + got);
      if (!preface && input.size() >= expected) {
        input.erase(input.begin(), input.begin() + static_cast<std::ptrdiff_t>(expected));
        preface = true;
      }
      while (preface) {
        const auto size = native::frame_size(input, native::kMaxFrameBytes);
        if (!size || !*size || input.size() < **size) break;
        const auto frame = native::decode_request(Buffer::copy_of(Bytes(input).first(**size)));
        input.erase(input.begin(), input.begin() + static_cast<std::ptrdiff_t>(**size));
        if (!frame || !act(peer, *frame)) return;
      }
    }
  }
  [[nodiscard]] bool act(int peer, const native::RequestFrame& frame) {
    Act what;
    if (std::holds_alternative<native::Hello>(frame.request)) {
      native::HelloReply hello;
      hello.version = 1;
      what = say(hello);
      ++greeted_;
    } else {
      what = script_(frame.request);
    }
    if (what.answer) {
      const Buffer bytes = native::encode(frame.correlation, *what.answer);
      if (::send(peer, bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0) return false;
    }
    return !what.hang_up;
  }

  const Script script_;
  const std::array<OwnedFd, 2> wake_ = make_pair();
  std::atomic<int> greeted_ = 0;
  std::thread thread_;
};

}  // namespace runnel::client
