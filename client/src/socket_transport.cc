#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "client/src/transport.h"
#include "protocol/base/assert.h"

namespace runnel::client {
namespace {

constexpr std::size_t kReceiveBytes = 256u << 10;
constexpr std::size_t kMaxPieces = 64;

/// What attempts tell the next ones. Loop thread.
struct LastGood {
  Endpoint endpoint;
  SocketAddress address;
};

class SocketTransport final : public Transport {
 public:
  SocketTransport(Loop& loop, TransportEvents& events, std::vector<Endpoint> endpoints,
                  Milliseconds within, Resolver resolver,
                  std::shared_ptr<std::optional<LastGood>> last_good)
      : loop_(loop),
        events_(events),
        endpoints_(std::move(endpoints)),
        deadline_(SteadyClock::now() + within),
        resolver_(std::move(resolver)),
        last_good_(std::move(last_good)) {}

  ~SocketTransport() override {
    *alive_ = false;
    // What was queued last, e.g. a farewell to a group: as far as it goes without waiting.
    if (connected_ && !queue_.empty()) std::ignore = write_queue();
    loop_.cancel(share_timer_);
    close_socket();
  }

  void open() override {
    if (*last_good_) {
      const auto first = std::find(endpoints_.begin(), endpoints_.end(), (*last_good_)->endpoint);
      if (first != endpoints_.end()) std::rotate(endpoints_.begin(), first, endpoints_.end());
    }
    later([this] { try_next(); });
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

  /// The next address, or the next endpoint's first one.
  void try_next() {
    loop_.cancel(share_timer_);
    if (next_address_ < addresses_.size()) {
      limit(addresses_.size() - next_address_);
      return connect_to(addresses_[next_address_++]);
    }
    if (next_endpoint_ == endpoints_.size()) return closed(reasons_);
    ++next_endpoint_;
    limit(1);
    look_up();
  }

  /// Gives what is tried now its share of the time, if something remains after it. `here`: how many
  /// there are of this endpoint.
  void limit(std::size_t here) {
    const auto all = static_cast<std::int64_t>(here + endpoints_.size() - next_endpoint_);
    if (all == 1) return;
    const auto left = std::chrono::ceil<Milliseconds>(deadline_ - SteadyClock::now());
    const Milliseconds share = std::max(left / all, Milliseconds(1));
    share_timer_ = loop_.after(share, [this, share] {
      failed("no answer within " + std::to_string(share.count()) + " ms");
    });
  }

  /// A numeric address is taken as it is. A name may take the resolver's own time-out, so a thread
  /// asks for it; when this transport is gone or further by then, nobody looks at the answer.
  void look_up() {
    next_address_ = 0;
    addresses_.clear();
    const Endpoint& endpoint = endpoints_[next_endpoint_ - 1];
    if (auto numeric = resolve_numeric(endpoint)) return resolved(std::move(*numeric));
    std::thread([loop = loop_.shared_from_this(), this, alive = alive_, resolver = resolver_,
                 endpoint, asked = next_endpoint_] {
      loop->post([this, alive, asked, found = resolver(endpoint)]() mutable {
        if (!*alive || asked != next_endpoint_ || !addresses_.empty()) return;
        if (!found) return failed(found.error().message());
        resolved(std::move(*found));
      });
    }).detach();
  }

  void resolved(std::vector<SocketAddress> found) {
    addresses_ = std::move(found);
    if (*last_good_) {
      std::stable_partition(addresses_.begin(), addresses_.end(),
                            [&](const SocketAddress& a) { return a == (*last_good_)->address; });
    }
    try_next();
  }

  void connect_to(const SocketAddress& address) {
    fd_ = ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd_ < 0) return failed(std::strerror(errno));
    const int one = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    const auto* generic = reinterpret_cast<const sockaddr*>(&address.storage);
    if (::connect(fd_, generic, address.size) != 0 && errno != EINPROGRESS)
      return failed(std::strerror(errno));
    loop_.watch(fd_, POLLOUT, [this](short) { connect_done(); });
  }

  void connect_done() {
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return failed(std::strerror(error));
    connected_ = true;
    watch();
    events_.transport_open();
  }

  void watch() {
    const auto events = static_cast<short>(POLLIN | (blocked_ ? POLLOUT : 0));
    loop_.watch(fd_, events, [this, alive = alive_](short ready) {
      if ((ready & POLLOUT) != 0) flush();
      if (*alive && connected_ && (ready & (POLLIN | POLLERR | POLLHUP)) != 0) receive();
    });
  }

  void flush() {
    if (!connected_) return;
    if (const int error = write_queue(); error != 0) return failed(std::strerror(error));
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
      if (!std::exchange(heard_, true)) answered();
      const Buffer keep = receive_;
      return events_.transport_received(keep.bytes().first(static_cast<std::size_t>(got)));
    }
    if (got == 0) return failed("closed the connection");
    if (errno != EAGAIN && errno != EINTR) failed(std::strerror(errno));
  }

  void answered() {
    loop_.cancel(share_timer_);
    *last_good_ = {endpoints_[next_endpoint_ - 1], addresses_[next_address_ - 1]};
  }

  void close_socket() {
    if (fd_ < 0) return;
    loop_.unwatch(fd_);
    ::close(fd_);
    fd_ = -1;
  }

  /// What is tried or connected now failed: before its first word the next one has its turn.
  void failed(const std::string& why) {
    close_socket();
    const std::string name = endpoints_[next_endpoint_ - 1].to_string();
    if (heard_) return closed(name + ": " + why);
    const std::string address =
        addresses_.size() > 1 ? " (" + addresses_[next_address_ - 1].to_string() + ")" : "";
    reasons_ += (reasons_.empty() ? "" : "; ") + name + address + ": " + why;
    connected_ = blocked_ = false;
    queue_.clear();
    try_next();
  }

  void closed(const std::string& why) {
    connected_ = false;
    events_.transport_closed(Error(ErrorCode::kDisconnected, why));
  }

  Loop& loop_;
  TransportEvents& events_;
  std::vector<Endpoint> endpoints_;
  const SteadyClock::time_point deadline_;
  const Resolver resolver_;
  const std::shared_ptr<std::optional<LastGood>> last_good_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::size_t next_endpoint_ = 0;         ///< behind the one being tried
  std::vector<SocketAddress> addresses_;  ///< of the endpoint being tried
  std::size_t next_address_ = 0;          ///< behind the one being tried
  std::string reasons_;                   ///< why what was tried so far failed
  Loop::TimerId share_timer_ = 0;
  int fd_ = -1;
  bool connected_ = false;
  bool heard_ = false;  ///< the peer said something: this address it is
  bool blocked_ = false;
  bool flush_posted_ = false;
  std::deque<Buffer> queue_;
  Buffer receive_;
};

}  // namespace

TransportFactory socket_transport(std::vector<Endpoint> endpoints, Milliseconds within,
                                  Resolver resolver) {
  RUNNEL_ASSERT(!endpoints.empty());
  return [endpoints = std::move(endpoints), within, resolver = std::move(resolver),
          last_good = std::make_shared<std::optional<LastGood>>()](Loop& loop,
                                                                   TransportEvents& events) {
    return std::make_unique<SocketTransport>(loop, events, endpoints, within, resolver, last_good);
  };
}

}  // namespace runnel::client
