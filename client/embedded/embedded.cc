// runnel::open: the same client over a native session in this process.
#include <algorithm>
#include <deque>
#include <utility>

#include "broker/groups/coordinator.h"
#include "broker/native/service.h"
#include "broker/net/session.h"
#include "client/src/core.h"
#include "storage/store.h"
#include "storage/views/service/view_service.h"

namespace runnel::client {
namespace {

constexpr Milliseconds kTick{1'000};

/// Store, groups, service and the loop that hosts the sessions.
class Host {
 public:
  static Result<std::shared_ptr<Host>> open(const std::string& directory,
                                            const OpenOptions& options) {
    auto host = std::make_shared<Host>();
    storage::StoreOptions o;
    o.directory = directory;
    o.memory_bytes = options.memory_bytes;
    if (options.log) {
      o.log = [log = options.log](storage::LogLevel, std::string_view line) { log(line); };
      o.on_fatal = [log = options.log](const Error& e) { log(e.to_string()); };
    }
    storage::views::ViewServiceOptions v;
    v.directory = directory + "/views";
    v.memory_bytes = options.view_memory_bytes;
    v.log = o.log;
    RUNNEL_TRY_ASSIGN(host->store_, storage::Store::open(std::move(o)));
    RUNNEL_TRY_ASSIGN(host->views_, storage::views::ViewService::open(*host->store_, std::move(v)));
    auto& clock = storage::Clock::system();
    storage::Store* const store = host->store_.get();
    RUNNEL_TRY_ASSIGN(host->coordinator_,
                      broker::Coordinator::open(
                          broker::make_group_store(*store), storage::Random::system(),
                          [store](std::string_view topic) {
                            const auto info = store->describe_topic(topic);
                            return info ? static_cast<std::int32_t>(info->partitions.size()) : 0;
                          },
                          clock.monotonic()));
    broker::NativeOptions native;
    native.server_version = "embedded";
    native.views = host->views_.get();
    host->service_ = std::make_unique<broker::NativeService>(*store, *host->coordinator_, clock,
                                                             std::move(native));
    host->loop_ = Loop::start();
    host->loop_->post([h = host.get()] { h->tick(); });
    return host;
  }

  ~Host() {
    // Only transports and their factory own a Host, so this never runs on the host's loop: after
    // stop() no session is left and nothing uses what goes next.
    if (loop_) loop_->stop();
    if (views_) views_->stop();
    service_.reset();
    coordinator_.reset();
    views_.reset();
  }

  [[nodiscard]] Loop& loop() { return *loop_; }
  [[nodiscard]] std::shared_ptr<Loop> shared_loop() { return loop_; }
  [[nodiscard]] broker::SessionFactory sessions() { return service_->factory(); }

 private:
  void tick() {
    coordinator_->tick(storage::Clock::system().monotonic());
    loop_->after(kTick, [this] { tick(); });
  }

  std::unique_ptr<storage::Store> store_;
  std::unique_ptr<storage::views::ViewService> views_;
  std::unique_ptr<broker::Coordinator> coordinator_;
  std::unique_ptr<broker::NativeService> service_;
  std::shared_ptr<Loop> loop_;
};

/// Where the client's transport can be reached from the host's loop.
struct ClientEnd {
  std::shared_ptr<Loop> loop;
  TransportEvents* events;  ///< used on `loop` while `alive`
  bool alive = true;        ///< client's loop thread only
};

/// The host's side: a session and its output. Host's loop thread only.
class HostEnd final : public broker::Connection, public std::enable_shared_from_this<HostEnd> {
 public:
  HostEnd(std::shared_ptr<Loop> loop, std::shared_ptr<ClientEnd> client)
      : loop_(std::move(loop)), client_(std::move(client)) {}

  void begin(const broker::SessionFactory& factory) {
    handle_ = std::make_shared<Handle>(loop_, weak_from_this());
    session_ = factory(*this);
  }
  void end() { session_.reset(); }
  void received(const Buffer& bytes) {
    if (session_ == nullptr || closed_) return;
    if (paused_ > 0 || !waiting_.empty()) {  // resumed is not yet drained: they come first
      waiting_.push_back(bytes);
      return;
    }
    give(bytes.bytes());
  }

  void send(broker::Output output) override {
    std::vector<Buffer> pieces;
    for (auto& piece : output) {
      if (auto* bytes = std::get_if<Buffer>(&piece)) {
        pieces.push_back(std::move(*bytes));
        continue;
      }
      const auto& slice = std::get<storage::FileSlice>(piece);
      auto read = read_slice(slice);
      if (!read) return close();
      pieces.push_back(std::move(*read));
    }
    std::uint64_t bytes = 0;
    for (const Buffer& piece : pieces) bytes += piece.size();
    unsent_ += bytes;
    crowded_ = crowded_ || unsent_ > broker::kOutputLowMark;
    client_->loop->post([client = client_, pieces = std::move(pieces), bytes, loop = loop_,
                         weak = weak_from_this()] {
      for (const Buffer& piece : pieces) {
        if (client->alive) client->events->transport_received(piece.bytes());
      }
      loop->post([weak, bytes] {
        if (const auto self = weak.lock()) self->taken(bytes);
      });
    });
  }
  void close() override {
    if (std::exchange(closed_, true)) return;
    client_->loop->post([client = client_] {
      if (client->alive)
        client->events->transport_closed(
            Error(ErrorCode::kDisconnected, "the embedded store closed the connection"));
    });
  }
  void pause_reading() override { ++paused_; }
  void resume_reading() override {
    if (--paused_ > 0 || waiting_.empty()) return;
    loop_->post([weak = weak_from_this()] {
      const auto self = weak.lock();
      if (!self) return;
      while (self->paused_ == 0 && !self->waiting_.empty() && self->session_ && !self->closed_) {
        const Buffer next = std::move(self->waiting_.front());
        self->waiting_.pop_front();
        self->give(next.bytes());
      }
    });
  }
  [[nodiscard]] std::uint64_t unsent_bytes() const override { return unsent_; }
  [[nodiscard]] std::shared_ptr<broker::SessionHandle> handle() override { return handle_; }
  [[nodiscard]] const broker::Endpoint& local() const override { return endpoint_; }
  [[nodiscard]] const broker::Endpoint& remote() const override { return endpoint_; }

 private:
  class Handle final : public broker::SessionHandle {
   public:
    Handle(std::shared_ptr<Loop> loop, std::weak_ptr<HostEnd> end)
        : loop_(std::move(loop)), end_(std::move(end)) {}
    void post(std::function<void(broker::Session&)> work) override {
      loop_->post([end = end_, work = std::move(work)] {
        const auto host = end.lock();
        if (host && host->session_) work(*host->session_);
      });
    }

   private:
    std::shared_ptr<Loop> loop_;
    std::weak_ptr<HostEnd> end_;
  };

  /// The client has dealt with `bytes` of output.
  void taken(std::uint64_t bytes) {
    unsent_ -= bytes;
    if (!crowded_ || unsent_ > broker::kOutputLowMark / 2) return;
    crowded_ = false;
    if (session_ && !closed_) session_->drained();
  }
  void give(Bytes bytes) {
    while (!bytes.empty() && session_ && !closed_) {
      const MutableBytes into = session_->receive_into();
      if (into.empty()) return session_->received(bytes);
      const std::size_t n = std::min(into.size(), bytes.size());
      std::copy_n(bytes.begin(), n, into.begin());
      session_->received(into.first(n));
      bytes = bytes.subspan(n);
    }
  }
  static Result<Buffer> read_slice(const storage::FileSlice& slice) {
    Buffer out = Buffer::allocate(slice.length);
    RUNNEL_TRY(slice.file->read_exactly(slice.position, out.mutable_bytes()));
    return out;
  }

  const std::shared_ptr<Loop> loop_;
  const std::shared_ptr<ClientEnd> client_;
  std::shared_ptr<Handle> handle_;
  std::unique_ptr<broker::Session> session_;
  std::deque<Buffer> waiting_;
  broker::Endpoint endpoint_{"embedded", 0};
  std::uint64_t unsent_ = 0;  ///< given to the client's loop, not yet dealt with
  bool crowded_ = false;      ///< unsent_ was above the low mark
  int paused_ = 0;
  bool closed_ = false;
};

class EmbeddedTransport final : public Transport {
 public:
  EmbeddedTransport(std::shared_ptr<Host> host, Loop& loop, TransportEvents& events)
      : host_(std::move(host)),
        client_(std::make_shared<ClientEnd>(ClientEnd{loop.shared_from_this(), &events})),
        end_(std::make_shared<HostEnd>(host_->shared_loop(), client_)) {}

  ~EmbeddedTransport() override {
    client_->alive = false;
    host_->loop().post([end = std::move(end_)] { end->end(); });
  }
  void open() override {
    host_->loop().post([end = end_, factory = host_->sessions()] { end->begin(factory); });
    client_->loop->post([client = client_] {
      if (client->alive) client->events->transport_open();
    });
  }
  void send(std::vector<Buffer> pieces) override {
    host_->loop().post([end = end_, pieces = std::move(pieces)] {
      for (const Buffer& piece : pieces) end->received(piece);
    });
  }

 private:
  const std::shared_ptr<Host> host_;
  const std::shared_ptr<ClientEnd> client_;
  std::shared_ptr<HostEnd> end_;
};

}  // namespace
}  // namespace runnel::client

namespace runnel {

Outcome<Client> open(const std::string& directory, OpenOptions options) {
  auto host = client::Host::open(directory, options);
  if (!host) return client::to_failure(host.error());
  auto factory = [h = *std::move(host)](client::Loop& loop, client::TransportEvents& events) {
    return std::make_unique<client::EmbeddedTransport>(h, loop, events);
  };
  return client::make_client(std::move(options.client), std::move(factory));
}

}  // namespace runnel
