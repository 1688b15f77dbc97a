// A loop that listens, and blocking peers that talk to it.
#pragma once

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "broker/net/loop.h"

namespace runnel::broker {

/// Waits for conditions that other threads bring about; fails the test rather than hang.
class Signal {
 public:
  template <class F>
  void change(F&& f) {
    {
      std::lock_guard lock(mutex_);
      f();
    }
    changed_.notify_all();
  }
  template <class F>
  [[nodiscard]] bool wait(F&& holds) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(30), std::forward<F>(holds));
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
};

/// Waits for something only a counter tells.
template <class F>
[[nodiscard]] bool eventually(F&& holds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::yield();
  }
  return true;
}

/// A blocking client socket.
class Peer {
 public:
  explicit Peer(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0)
        << errno_text(errno);
    const timeval limit{30, 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    prepare(fd_.get());
  }
  /// False if the other side closed.
  bool send(std::string_view text) {
    while (!text.empty()) {
      const ssize_t n = ::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return false;
      text.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  }
  /// Up to `size` bytes; fewer at the end of the stream, a reset or after 30 s.
  std::string receive(std::size_t size) {
    std::string text(size, '\0');
    std::size_t filled = 0;
    while (filled < size) {
      const ssize_t n = ::recv(fd_.get(), text.data() + filled, size - filled, 0);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) break;
      filled += static_cast<std::size_t>(n);
    }
    text.resize(filled);
    return text;
  }
  std::string receive_all() { return receive(std::size_t{1} << 20); }
  /// True if the other side closes or resets.
  bool ended() {
    char byte;
    ssize_t n;
    do {
      n = ::recv(fd_.get(), &byte, 1, 0);
    } while (n > 0 || (n < 0 && errno == EINTR));
    return n == 0 || errno == ECONNRESET;
  }
  void end_output() { ::shutdown(fd_.get(), SHUT_WR); }
  void reset() {
    const linger hard{1, 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    fd_.reset();
  }
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  static void prepare(int fd);
  UniqueFd fd_;
};

/// A loop of the given kind with a listening socket whose connections get sessions of `factory`.
class ListeningLoop {
 public:
  ListeningLoop(NetMode mode, SessionFactory factory, LoopOptions options = {})
      : factory_(std::move(factory)) {
    auto made = make_loop(mode, std::move(options));
    EXPECT_TRUE(made) << made.error().to_string();
    loop_ = std::move(*made);
    const Status started = loop_->start();
    EXPECT_TRUE(started) << started.error().to_string();
    auto sockets = listen_on({"127.0.0.1", 0});
    EXPECT_TRUE(sockets) << sockets.error().to_string();
    port_ = sockets->front().bound.port;
    loop_->listen(std::move(sockets->front().fd),
                  [this](UniqueFd fd) { loop_->adopt(std::move(fd), factory_); });
  }
  ~ListeningLoop() { loop_->stop(); }
  ListeningLoop(const ListeningLoop&) = delete;
  ListeningLoop& operator=(const ListeningLoop&) = delete;

  Loop& operator*() { return *loop_; }
  Loop* operator->() { return loop_.get(); }
  [[nodiscard]] std::uint16_t port() const { return port_; }

 private:
  SessionFactory factory_;
  std::unique_ptr<Loop> loop_;
  std::uint16_t port_ = 0;
};

inline void Peer::prepare(int fd) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &on, sizeof on);
}

/// Runs every test on both kinds of loop; io_uring only where it is granted.
class BothLoops : public testing::TestWithParam<NetMode> {
 protected:
  void SetUp() override {
    if (GetParam() != NetMode::kIoUring) return;
    if (const Status probe = probe_io_uring(); !probe) GTEST_SKIP() << probe.error().message();
  }
};
inline std::string loop_name(const testing::TestParamInfo<NetMode>& info) {
  return std::string(name_of(info.param));
}

}  // namespace runnel::broker
