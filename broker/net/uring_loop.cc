#include "broker/net/uring_loop.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>

#include "broker/net/connection.h"
#include "broker/net/uring_ring.h"

namespace runnel::broker {
namespace {

// A completion's user data: a pointer with the operation in its low bits. Zero: of no interest.
enum Operation : std::uint64_t { kReceive = 1, kWritable = 2, kAccept = 3, kWake = 4 };
constexpr std::uint64_t kOperationMask = 7;

template <class T>
std::uint64_t tagged(T* object, Operation operation) {
  static_assert(alignof(T) > kOperationMask);
  return reinterpret_cast<std::uintptr_t>(object) | operation;
}

// After direct receives, so many short ones in a row pass before a multishot is armed again: a bulk
// sender's next frame then needs no cancelling.
constexpr int kShortReceives = 8;

class UringConnection final : public SocketConnection {
 public:
  UringConnection(LoopCore& loop, UringRing& ring, UniqueFd socket, std::shared_ptr<void> lifetime)
      : SocketConnection(loop, std::move(socket), std::move(lifetime)), ring_(ring) {}

  void on_receive(const io_uring_cqe& completion);
  void on_writable() {
    poll_pending_ = false;
    writable();
  }

 protected:
  void update_receiving(bool wanted) override;
  void watch_writable() override;
  void cancel_operations() override;
  bool operations_pending() const override { return armed_ != Armed::kNothing || poll_pending_; }

 private:
  enum class Armed : std::uint8_t { kNothing, kMultishot, kSingle, kDirect };

  void arm();
  void cancel_receive();

  UringRing& ring_;
  MutableBytes span_;  ///< of the direct receive in flight
  Armed armed_ = Armed::kNothing;
  bool cancelling_ = false;
  bool poll_pending_ = false;
  bool socket_drained_ = true;  ///< the last receive left nothing behind
  int short_receives_ = kShortReceives;
};

void UringConnection::update_receiving(bool wanted) {
  switch (armed_) {
    case Armed::kNothing:
      if (wanted) arm();
      return;
    case Armed::kMultishot:
      if (!wanted || !direct_span().empty()) cancel_receive();
      return;
    case Armed::kSingle:
    case Armed::kDirect:
      return;  // ends by itself
  }
}

void UringConnection::arm() {
  cancelling_ = false;
  span_ = direct_span();
  io_uring_sqe* sqe = nullptr;
  if (!span_.empty()) {
    armed_ = Armed::kDirect;
    sqe = &ring_.receive_direct(fd(), span_);
  } else if (short_receives_ < kShortReceives) {
    armed_ = Armed::kSingle;
    sqe = &ring_.receive_shared(fd(), false);
  } else {
    armed_ = Armed::kMultishot;
    sqe = &ring_.receive_shared(fd(), true);
  }
  // Spares the kernel a look at a socket known to be empty.
  if (socket_drained_) sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
  io_uring_sqe_set_data64(sqe, tagged(this, kReceive));
}

void UringConnection::cancel_receive() {
  if (armed_ == Armed::kNothing || cancelling_) return;
  cancelling_ = true;
  ring_.cancel(tagged(this, kReceive));
}

void UringConnection::on_receive(const io_uring_cqe& completion) {
  const Armed by = armed_;
  if ((completion.flags & IORING_CQE_F_MORE) == 0) armed_ = Armed::kNothing;
  touch();
  const bool shared = (completion.flags & IORING_CQE_F_BUFFER) != 0;
  const int result = completion.res;
  if (result > 0) {
    socket_drained_ = (completion.flags & IORING_CQE_F_SOCK_NONEMPTY) == 0;
    if (shared) {
      if (short_receives_ < kShortReceives) ++short_receives_;
      arrived(ring_.shared_bytes(completion));
    } else {
      RUNNEL_ASSERT(by == Armed::kDirect);
      short_receives_ = 0;
      arrived_directly(span_, static_cast<std::size_t>(result));
    }
  } else if (result == 0) {
    end_of_stream();
  } else if (result == -ENOBUFS) {
    socket_drained_ = false;
    LoopCore::add(loop().counters.buffer_shortages, 1);
    ring_.add_buffers();
  } else if (result != -ECANCELED && result != -EINTR && result != -EAGAIN) {
    receive_failed(-result);
  } else {
    socket_drained_ = false;
  }
  if (shared) ring_.give_back(completion);
}

void UringConnection::watch_writable() {
  if (poll_pending_) return;
  poll_pending_ = true;
  io_uring_sqe& sqe = ring_.entry();
  io_uring_prep_poll_add(&sqe, fd(), POLLOUT);
  io_uring_sqe_set_data64(&sqe, tagged(this, kWritable));
}

void UringConnection::cancel_operations() {
  cancel_receive();
  if (poll_pending_) ring_.cancel(tagged(this, kWritable));
}

struct alignas(16) UringListener {
  UniqueFd socket;
  Loop::AcceptHandler handler;
  bool armed = false;
};

class UringLoop final : public LoopCore {
 public:
  UringLoop(LoopOptions options, std::shared_ptr<Mailbox> mailbox)
      : LoopCore(std::move(options), std::move(mailbox)) {}
  ~UringLoop() override { stop(); }

 protected:
  Status set_up() override;
  void tear_down() override { ring_.reset(); }
  void wait_and_handle(std::optional<std::chrono::nanoseconds> at_most) override;
  std::unique_ptr<SocketConnection> make_connection(UniqueFd socket,
                                                    std::shared_ptr<void> lifetime) override {
    return std::make_unique<UringConnection>(*this, *ring_, std::move(socket), std::move(lifetime));
  }
  void start_accepting(UniqueFd socket, AcceptHandler handler) override;
  void cancel_accepting() override;
  void retry_accepting() override;
  bool accepting() const override { return !listeners_.empty(); }

 private:
  void handle(const io_uring_cqe& completion);
  void arm_wake();
  void arm_accept(UringListener& listener);
  void on_accept(UringListener& listener, const io_uring_cqe& completion);
  void sweep_listeners();

  std::unique_ptr<UringRing> ring_;
  std::vector<std::unique_ptr<UringListener>> listeners_;
  bool closing_listeners_ = false;
};

Status UringLoop::set_up() {
  ring_ = std::make_unique<UringRing>();
  RUNNEL_TRY(ring_->set_up());
  arm_wake();
  return {};
}

void UringLoop::arm_wake() {
  // Edge triggered: each write to the eventfd completes once, and nobody needs to read it.
  io_uring_sqe& sqe = ring_->entry();
  io_uring_prep_poll_multishot(&sqe, mailbox()->wake_fd(), POLLIN);
  io_uring_sqe_set_data64(&sqe, kWake);
}

void UringLoop::wait_and_handle(std::optional<std::chrono::nanoseconds> at_most) {
  ring_->submit_and_wait(at_most);
  begin_turn();
  unsigned head = 0;
  unsigned seen = 0;
  io_uring_cqe* completion = nullptr;
  io_uring* const ring = &ring_->raw();
  io_uring_for_each_cqe(ring, head, completion) {
    ++seen;
    handle(*completion);
  }
  io_uring_cq_advance(ring, seen);
}

void UringLoop::handle(const io_uring_cqe& completion) {
  const std::uint64_t data = completion.user_data;
  void* const object = reinterpret_cast<void*>(data & ~kOperationMask);
  switch (data & kOperationMask) {
    case kReceive:
      return static_cast<UringConnection*>(object)->on_receive(completion);
    case kWritable:
      return static_cast<UringConnection*>(object)->on_writable();
    case kAccept:
      return on_accept(*static_cast<UringListener*>(object), completion);
    case kWake:
      if ((completion.flags & IORING_CQE_F_MORE) == 0) arm_wake();
      return;
    default:
      return;  // a cancel that came too late
  }
}

void UringLoop::start_accepting(UniqueFd socket, AcceptHandler handler) {
  auto listener = std::make_unique<UringListener>();
  listener->socket = std::move(socket);
  listener->handler = std::move(handler);
  arm_accept(*listener);
  listeners_.push_back(std::move(listener));
  closing_listeners_ = false;
}

void UringLoop::arm_accept(UringListener& listener) {
  listener.armed = true;
  io_uring_sqe& sqe = ring_->entry();
  io_uring_prep_multishot_accept(&sqe, listener.socket.get(), nullptr, nullptr,
                                 SOCK_NONBLOCK | SOCK_CLOEXEC);
  io_uring_sqe_set_data64(&sqe, tagged(&listener, kAccept));
}

void UringLoop::on_accept(UringListener& listener, const io_uring_cqe& completion) {
  if ((completion.flags & IORING_CQE_F_MORE) == 0) listener.armed = false;
  if (completion.res >= 0) {
    UniqueFd socket(completion.res);
    if (!closing_listeners_) listener.handler(std::move(socket));
    if (!listener.armed && !closing_listeners_) arm_accept(listener);
  } else if (completion.res != -ECANCELED) {
    // Out of descriptors or memory: the next tick tries again, not this turn.
    log("accepting a connection failed: " + errno_text(-completion.res));
  }
  sweep_listeners();
}

void UringLoop::cancel_accepting() {
  closing_listeners_ = true;
  for (const auto& listener : listeners_) {
    if (listener->armed) ring_->cancel(tagged(listener.get(), kAccept));
  }
  sweep_listeners();
}

void UringLoop::sweep_listeners() {
  if (!closing_listeners_) return;
  std::erase_if(listeners_, [](const auto& listener) { return !listener->armed; });
}

void UringLoop::retry_accepting() {
  if (closing_listeners_) return;
  for (const auto& listener : listeners_) {
    if (!listener->armed) arm_accept(*listener);
  }
}

Status probe_in_this_thread() {
  UringRing ring;
  RUNNEL_TRY(ring.set_up());
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0) {
    return fail(ErrorCode::kIo, "cannot make a socket pair: " + errno_text(errno));
  }
  const UniqueFd ours(pair[0]);
  const UniqueFd theirs(pair[1]);
  io_uring_sqe_set_data64(&ring.receive_shared(ours.get(), true), kReceive);
  if (::send(theirs.get(), "?", 1, MSG_NOSIGNAL) != 1) {
    return fail(ErrorCode::kIo, "cannot send to a socket pair: " + errno_text(errno));
  }
  ring.submit_and_wait(std::chrono::seconds(1));
  io_uring_cqe* completion = nullptr;
  if (io_uring_peek_cqe(&ring.raw(), &completion) != 0 || completion->res != 1 ||
      (completion->flags & IORING_CQE_F_MORE) == 0) {
    return fail(ErrorCode::kUnsupported,
                "io_uring is refused: multishot receive does not work; it needs kernel 6.0");
  }
  return {};
}

}  // namespace

Status probe_io_uring() {
  // A ring's end is told to its thread like a signal: a caller's own system calls would fail with
  // EINTR. So the ring is tried in a thread of its own.
  Status result;
  std::thread([&result] { result = probe_in_this_thread(); }).join();
  return result;
}

std::unique_ptr<Loop> make_uring_loop(LoopOptions options, std::shared_ptr<Mailbox> mailbox) {
  return std::make_unique<UringLoop>(std::move(options), std::move(mailbox));
}

}  // namespace runnel::broker
