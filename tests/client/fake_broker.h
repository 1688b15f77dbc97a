// A broker played in memory: the test sees each request and decides what is answered, and when.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "client/src/core.h"

namespace runnel::client {

class FakeBroker : public std::enable_shared_from_this<FakeBroker> {
 public:
  struct Asked {
    std::uint64_t correlation = 0;
    native::Append append;
    std::vector<std::byte> batch;
    [[nodiscard]] protocol::BatchView view() const { return protocol::BatchView(batch); }
  };

  TransportFactory factory() {
    return [self = shared_from_this()](Loop& loop, TransportEvents& events) {
      return std::make_unique<End>(self, loop, events);
    };
  }
  /// Waits for the next Append; other requests are answered by themselves.
  std::optional<Asked> next_append() {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, std::chrono::seconds(10), [&] { return !appends_.empty(); }))
      return std::nullopt;
    Asked asked = std::move(appends_.front());
    appends_.pop_front();
    return asked;
  }
  void answer(std::uint64_t correlation, native::Response response) {
    to_client(native::encode(correlation, response));
  }
  void answer_stored(const Asked& asked, std::int64_t base) {
    native::AppendReply reply;
    native::AppendedPartition p;
    p.base_offset = Offset(base);
    p.last_offset = Offset(base + asked.view().record_count() - 1);
    reply.partitions.push_back(p);
    answer(asked.correlation, reply);
  }
  /// Closes the connection; the client is free to come again.
  void cut() {
    std::lock_guard lock(mutex_);
    if (!loop_) return;
    loop_->post([end = end_, alive = alive_] {
      if (*alive) end->events.transport_closed(Error(ErrorCode::kDisconnected, "cut"));
    });
  }
  /// Answers what the broker does not know by itself; nullopt: nothing. Set before there is a
  /// client.
  std::function<std::optional<native::Response>(const native::Request&)> serve_other;

  /// Made so far.
  int connections() {
    std::lock_guard lock(mutex_);
    return connections_;
  }
  std::size_t waiting() {
    std::lock_guard lock(mutex_);
    return appends_.size();
  }

 private:
  struct End final : Transport {
    End(std::shared_ptr<FakeBroker> b, Loop& l, TransportEvents& e)
        : broker(std::move(b)), loop(l), events(e) {}
    ~End() override { *alive = false; }
    void open() override {
      {
        std::lock_guard lock(broker->mutex_);
        broker->end_ = this;
        ++broker->connections_;
        broker->alive_ = alive;
        broker->loop_ = loop.shared_from_this();
        broker->input_.clear();
        broker->preface_ = false;
      }
      loop.post([this, a = alive] {
        if (*a) events.transport_open();
      });
    }
    void send(std::vector<Buffer> pieces) override { broker->received(pieces); }
    std::shared_ptr<FakeBroker> broker;
    Loop& loop;
    TransportEvents& events;
    std::shared_ptr<bool> alive = std::make_shared<bool>(true);
  };

  void to_client(const Buffer& bytes) {
    std::lock_guard lock(mutex_);
    loop_->post([end = end_, alive = alive_, bytes] {
      if (*alive) end->events.transport_received(bytes.bytes());
    });
  }

  void received(const std::vector<Buffer>& pieces) {
    for (const Buffer& b : pieces) input_.insert(input_.end(), b.data(), b.data() + b.size());
    if (!preface_) {
      input_.erase(input_.begin(), input_.begin() + native::kPreface.size());
      preface_ = true;
    }
    for (;;) {
      auto size = native::frame_size(input_, native::kMaxFrameBytes);
      if (!size || !*size || input_.size() < **size) return;
      auto frame = native::decode_request(Buffer::copy_of(Bytes(input_).first(**size)));
      input_.erase(input_.begin(), input_.begin() + static_cast<std::ptrdiff_t>(**size));
      if (frame) serve(*frame);
    }
  }

  void serve(native::RequestFrame& frame) {
    if (std::holds_alternative<native::Hello>(frame.request)) {
      native::HelloReply hello;
      hello.version = 1;
      answer(frame.correlation, hello);
    } else if (std::holds_alternative<native::InitProducer>(frame.request)) {
      answer(frame.correlation, native::InitProducerReply{ProducerId(++ids_), ProducerEpoch(0)});
    } else if (auto* append = std::get_if<native::Append>(&frame.request)) {
      std::lock_guard lock(mutex_);
      const Bytes b = frame.attachment.bytes();
      appends_.push_back({frame.correlation, std::move(*append), {b.begin(), b.end()}});
      changed_.notify_all();
    } else if (serve_other) {
      if (auto response = serve_other(frame.request)) answer(frame.correlation, *response);
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Asked> appends_;
  End* end_ = nullptr;
  int connections_ = 0;
  std::shared_ptr<bool> alive_;
  std::shared_ptr<Loop> loop_;
  std::vector<std::byte> input_;
  bool preface_ = false;
  std::int64_t ids_ = 0;
};

}  // namespace runnel::client
