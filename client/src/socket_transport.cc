#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <tuple>

#include "client/src/transport.h"

namespace runnel::client {
namespace {

constexpr std::size_t kReceiveBytes = 256u << 10;
constexpr std::size_t kMaxPieces = 64;

class SocketTransport final : public Transport {
 public:
  SocketTransport(Loop& loop, TransportEvents& events, std::string host, std::string port)
      : loop_(loop), events_(events), host_(std::move(host)), port_(std::move(port)) {}

  ~SocketTransport() override {
    *alive_ = false;
    // What was queued last, e.g. a farewell to a group: as far as it goes without waiting.
    if (connected_ && !queue_.empty()) std::ignore = write_queue();
    close_socket();
  }

  void open() override {
    later([this] { resolve(); });
  }

  void send(std::vector<Buffer> pieces) override {
    for (Buffer& piece : pieces) {
      if (!piece.empty()) queue_.push_back(std::move(piece));
    }
    if (!flush_posted_ && connected_ && !blocked_) {
      flush_posted_ = true;
      later([this] {
        flush_posted_ = false;
        flush();
      });
    }
  }

 private:
  /// Runs `work` from the loop unless this is gone by then.
  template <class F>
  void later(F work) {
    loop_.post([alive = alive_, work = std::move(work)] {
      if (*alive) work();
    });
  }

  using Addresses = std::shared_ptr<addrinfo>;
  struct Resolved {
    int rc = 0;
    Addresses addresses;
  };

  static Resolved look_up(const std::string& host, const std::string& port, int flags) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = flags;
    addrinfo* found = nullptr;
    const int rc = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &found);
    if (rc != 0) return {rc, nullptr};
    return {0, Addresses(found, [](addrinfo* a) { ::freeaddrinfo(a); })};
  }

  /// A numeric address is taken as it is. A name may take the resolver's own time-out, so a thread
  /// asks for it; when this transport is gone by then, nobody looks at the answer.
  void resolve() {
    if (Resolved numeric = look_up(host_, port_, AI_NUMERICHOST); numeric.rc == 0)
      return resolved(std::move(numeric));
    std::thread([loop = loop_.shared_from_this(), this, alive = alive_, host = host_,
                 port = port_] {
      Resolved found = look_up(host, port, 0);
      loop->post([this, alive, found = std::move(found)] {
        if (*alive) resolved(found);
      });
    }).detach();
  }

  void resolved(Resolved found) {
    if (found.rc != 0)
      return closed(std::string("cannot be resolved: ") + ::gai_strerror(found.rc));
    addresses_ = std::move(found.addresses);
    next_ = addresses_.get();
    try_next(0);
  }

  void try_next(int last_error) {
    while (next_ != nullptr) {
      const addrinfo& a = *next_;
      next_ = next_->ai_next;
      fd_ = ::socket(a.ai_family, a.ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, a.ai_protocol);
      if (fd_ < 0) {
        last_error = errno;
        continue;
      }
      const int one = 1;
      ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
      if (::connect(fd_, a.ai_addr, a.ai_addrlen) == 0 || errno == EINPROGRESS) {
        loop_.watch(fd_, POLLOUT, [this](short) { connect_done(); });
        return;
      }
      last_error = errno;
      close_socket();
    }
    closed(std::strerror(last_error));
  }

  void connect_done() {
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) {
      close_socket();
      return try_next(error);
    }
    connected_ = true;
    watch();
    events_.transport_open();
  }

  void watch() {
    const auto events = static_cast<short>(POLLIN | (blocked_ ? POLLOUT : 0));
    loop_.watch(fd_, events, [this, alive = alive_](short ready) {
      if ((ready & POLLOUT) != 0) flush();
      if (*alive && fd_ >= 0 && (ready & (POLLIN | POLLERR | POLLHUP)) != 0) receive();
    });
  }

  void flush() {
    if (const int error = write_queue(); error != 0) return closed(std::strerror(error));
    if (blocked_ != !queue_.empty()) {
      blocked_ = !queue_.empty();
      watch();
    }
  }

  /// Writes until all is written or the socket is full. 0 or the errno.
  int write_queue() {
    while (!queue_.empty()) {
      iovec pieces[kMaxPieces];
      std::size_t count = 0;
      for (; count < kMaxPieces && count < queue_.size(); ++count) {
        pieces[count] = {queue_[count].mutable_data(), queue_[count].size()};
      }
      msghdr message{};
      message.msg_iov = pieces;
      message.msg_iovlen = count;
      const ssize_t sent = ::sendmsg(fd_, &message, MSG_NOSIGNAL);
      if (sent < 0) {
        if (errno == EINTR) continue;
        return errno == EAGAIN ? 0 : errno;
      }
      drop(static_cast<std::size_t>(sent));
    }
    return 0;
  }

  void drop(std::size_t sent) {
    while (sent > 0) {
      Buffer& front = queue_.front();
      if (sent < front.size()) {
        front = front.slice(sent, front.size() - sent);
        return;
      }
      sent -= front.size();
      queue_.pop_front();
    }
  }

  void receive() {
    if (receive_.empty()) receive_ = Buffer::allocate(kReceiveBytes);
    const ssize_t got = ::recv(fd_, receive_.mutable_data(), receive_.size(), 0);
    if (got > 0) {
      const Buffer keep = receive_;
      return events_.transport_received(keep.bytes().first(static_cast<std::size_t>(got)));
    }
    if (got == 0) return closed("closed the connection");
    if (errno != EAGAIN && errno != EINTR) closed(std::strerror(errno));
  }

  void close_socket() {
    if (fd_ < 0) return;
    loop_.unwatch(fd_);
    ::close(fd_);
    fd_ = -1;
  }

  void closed(const std::string& why) {
    close_socket();
    connected_ = false;
    events_.transport_closed(Error(ErrorCode::kDisconnected, host_ + ":" + port_ + ": " + why));
  }

  Loop& loop_;
  TransportEvents& events_;
  const std::string host_;
  const std::string port_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  Addresses addresses_;
  const addrinfo* next_ = nullptr;
  int fd_ = -1;
  bool connected_ = false;
  bool blocked_ = false;
  bool flush_posted_ = false;
  std::deque<Buffer> queue_;
  Buffer receive_;
};

}  // namespace

TransportFactory socket_transport(std::string host, std::string port) {
  return [host = std::move(host), port = std::move(port)](Loop& loop, TransportEvents& events) {
    return std::make_unique<SocketTransport>(loop, events, host, port);
  };
}

}  // namespace runnel::client
