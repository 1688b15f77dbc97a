#include "broker/net/asio_loop.h"

#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>
#include <exception>

#include "broker/net/connection.h"

namespace runnel::broker {
namespace {

namespace asio = boost::asio;
using Descriptor = asio::posix::stream_descriptor;

constexpr std::size_t kScratchBytes = 64u << 10;     // for bytes that sessions do not place
constexpr std::size_t kReadBytesPerTurn = 1u << 20;  // one connection's share of a turn
constexpr int kAcceptsPerTurn = 64;

/// A descriptor known to the reactor but closed by somebody else.
class Watched {
 public:
  Watched(asio::io_context& context, int fd) : descriptor_(context) {
    boost::system::error_code error;
    descriptor_.assign(fd, error);
    usable_ = !error;
  }
  ~Watched() {
    if (descriptor_.is_open()) descriptor_.release();
  }
  Watched(const Watched&) = delete;
  Watched& operator=(const Watched&) = delete;

  [[nodiscard]] bool usable() const noexcept { return usable_; }
  template <class Handler>
  void wait(Descriptor::wait_type what, Handler handler) {
    descriptor_.async_wait(what, std::move(handler));
  }
  void cancel() {
    boost::system::error_code ignored;  // nothing was waiting
    descriptor_.cancel(ignored);
  }

 private:
  Descriptor descriptor_;
  bool usable_ = false;
};

class AsioConnection final : public SocketConnection {
 public:
  AsioConnection(LoopCore& loop, asio::io_context& context, MutableBytes scratch, UniqueFd socket,
                 std::shared_ptr<void> lifetime)
      : SocketConnection(loop, std::move(socket), std::move(lifetime)),
        scratch_(scratch),
        watched_(context, fd()) {}

  [[nodiscard]] bool usable() const noexcept { return watched_.usable(); }

 protected:
  void update_receiving(bool wanted) override;
  void watch_writable() override;
  void cancel_operations() override { watched_.cancel(); }
  bool operations_pending() const override { return reading_ || writing_; }

 private:
  void read();
  /// False if nothing more is to be read in this turn.
  bool read_once(std::size_t& budget);

  const MutableBytes scratch_;
  Watched watched_;
  bool wanted_ = false;
  bool reading_ = false;
  bool writing_ = false;
};

void AsioConnection::update_receiving(bool wanted) {
  wanted_ = wanted;
  if (!wanted || reading_) return;
  reading_ = true;
  watched_.wait(Descriptor::wait_read, [this](const boost::system::error_code& error) {
    reading_ = false;
    touch();
    if (!error && wanted_ && !dead()) read();
  });
}

void AsioConnection::read() {
  std::size_t budget = kReadBytesPerTurn;
  while (read_once(budget)) {
  }
}

bool AsioConnection::read_once(std::size_t& budget) {
  const MutableBytes direct = direct_span();
  const MutableBytes into = direct.empty() ? scratch_ : direct;
  const ssize_t n = ::recv(fd(), into.data(), into.size(), MSG_DONTWAIT);
  if (n < 0) {
    if (errno == EINTR) return true;
    if (errno != EAGAIN && errno != EWOULDBLOCK) receive_failed(errno);
    return false;
  }
  if (n == 0) {
    end_of_stream();
    return false;
  }
  const auto size = static_cast<std::size_t>(n);
  if (direct.empty()) {
    arrived(Bytes(into.data(), size));
  } else {
    arrived_directly(into, size);
  }
  if (size < into.size() || size >= budget || dead() || paused()) return false;
  budget -= size;
  return true;
}

void AsioConnection::watch_writable() {
  writing_ = true;
  watched_.wait(Descriptor::wait_write, [this](const boost::system::error_code&) {
    writing_ = false;
    writable();
  });
}

struct AsioListener {
  AsioListener(asio::io_context& context, UniqueFd fd, Loop::AcceptHandler on_accept)
      : socket(std::move(fd)), watched(context, socket.get()), handler(std::move(on_accept)) {}

  UniqueFd socket;
  Watched watched;
  Loop::AcceptHandler handler;
  bool armed = false;
};

class AsioLoop final : public LoopCore {
 public:
  AsioLoop(LoopOptions options, std::shared_ptr<Mailbox> mailbox)
      : LoopCore(std::move(options), std::move(mailbox)) {}
  ~AsioLoop() override { stop(); }

 protected:
  Status set_up() override;
  void tear_down() override;
  void wait_and_handle(std::optional<std::chrono::nanoseconds> at_most) override;
  std::unique_ptr<SocketConnection> make_connection(UniqueFd socket,
                                                    std::shared_ptr<void> lifetime) override;
  void start_accepting(UniqueFd socket, AcceptHandler handler) override;
  void cancel_accepting() override;
  void retry_accepting() override;
  bool accepting() const override { return !listeners_.empty(); }

 private:
  void arm_wake();
  void arm_accept(AsioListener& listener);
  void accept_some(AsioListener& listener);
  void sweep_listeners();

  std::unique_ptr<asio::io_context> context_;
  std::unique_ptr<Watched> wake_;
  std::vector<std::byte> scratch_;
  std::vector<std::unique_ptr<AsioListener>> listeners_;
  bool closing_listeners_ = false;
};

Status AsioLoop::set_up() {
  try {
    context_ = std::make_unique<asio::io_context>(1);
    wake_ = std::make_unique<Watched>(*context_, mailbox()->wake_fd());
  } catch (const std::exception& error) {
    return fail(ErrorCode::kIo, std::string("cannot set up epoll: ") + error.what() +
                                    "; raise the limit of open files (ulimit -n)");
  }
  if (!wake_->usable()) return fail(ErrorCode::kIo, "cannot watch an eventfd with epoll");
  scratch_.resize(kScratchBytes);
  arm_wake();
  return {};
}

void AsioLoop::tear_down() {
  wake_.reset();
  context_.reset();
}

void AsioLoop::arm_wake() {
  wake_->wait(Descriptor::wait_read, [this](const boost::system::error_code& error) {
    if (error) return;
    std::uint64_t count = 0;
    // A failure leaves the eventfd readable: the next wait returns at once and reads again.
    static_cast<void>(!::read(mailbox()->wake_fd(), &count, sizeof count));
    arm_wake();
  });
}

void AsioLoop::wait_and_handle(std::optional<std::chrono::nanoseconds> at_most) {
  // The first handler still sees the last turn's clock; deadlines are much coarser than a tick.
  if (!at_most) {
    context_->run_one();
  } else if (at_most->count() > 0) {
    context_->run_one_for(*at_most);
  }
  begin_turn();
  context_->poll();
}

std::unique_ptr<SocketConnection> AsioLoop::make_connection(UniqueFd socket,
                                                            std::shared_ptr<void> lifetime) {
  auto made = std::make_unique<AsioConnection>(*this, *context_, scratch_, std::move(socket),
                                               std::move(lifetime));
  if (made->usable()) return made;
  log("cannot watch a connection with epoll; it is closed");
  return nullptr;
}

void AsioLoop::start_accepting(UniqueFd socket, AcceptHandler handler) {
  auto listener = std::make_unique<AsioListener>(*context_, std::move(socket), std::move(handler));
  arm_accept(*listener);
  listeners_.push_back(std::move(listener));
  closing_listeners_ = false;
}

void AsioLoop::arm_accept(AsioListener& listener) {
  listener.armed = true;
  listener.watched.wait(Descriptor::wait_read,
                        [this, &listener](const boost::system::error_code& error) {
                          listener.armed = false;
                          if (!error && !closing_listeners_) accept_some(listener);
                          sweep_listeners();
                        });
}

void AsioLoop::accept_some(AsioListener& listener) {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    const int fd = ::accept4(listener.socket.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      listener.handler(UniqueFd(fd));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      break;
    } else if (errno != EINTR && errno != ECONNABORTED) {
      // Out of descriptors or memory: the next tick tries again, not this turn.
      log("accepting a connection failed: " + errno_text(errno));
      return;
    }
  }
  arm_accept(listener);
}

void AsioLoop::cancel_accepting() {
  closing_listeners_ = true;
  for (const auto& listener : listeners_) listener->watched.cancel();
  sweep_listeners();
}

void AsioLoop::sweep_listeners() {
  if (!closing_listeners_) return;
  std::erase_if(listeners_, [](const auto& listener) { return !listener->armed; });
}

void AsioLoop::retry_accepting() {
  if (closing_listeners_) return;
  for (const auto& listener : listeners_) {
    if (!listener->armed) arm_accept(*listener);
  }
}

}  // namespace

std::unique_ptr<Loop> make_asio_loop(LoopOptions options, std::shared_ptr<Mailbox> mailbox) {
  return std::make_unique<AsioLoop>(std::move(options), std::move(mailbox));
}

}  // namespace runnel::broker
