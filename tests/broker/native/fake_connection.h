// A connection in memory, and a client that speaks over it.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/net/session.h"
#include "protocol/base/bytes.h"
#include "protocol/base/thread_annotations.h"
#include "protocol/native/codec.h"

namespace runnel::broker {

class FakeHandle final : public SessionHandle {
 public:
  void post(std::function<void(Session&)> work) override {
    {
      MutexLock lock(mutex_);
      if (ended_) return;
      posted_.push_back(std::move(work));
    }
    changed_.notify_all();
  }
  /// Waits for something to be posted; false after ten seconds.
  bool wait() {
    MutexLock lock(mutex_);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (posted_.empty()) {
      if (changed_.wait_until(lock, deadline) == std::cv_status::timeout) return false;
    }
    return true;
  }
  std::deque<std::function<void(Session&)>> take() {
    MutexLock lock(mutex_);
    return std::exchange(posted_, {});
  }
  /// The session has ended: what was and will be posted is dropped.
  void end() {
    std::deque<std::function<void(Session&)>> dropped;  // outside the lock
    MutexLock lock(mutex_);
    ended_ = true;
    dropped.swap(posted_);
  }

 private:
  Mutex mutex_;
  bool ended_ RUNNEL_GUARDED_BY(mutex_) = false;
  std::condition_variable_any changed_;
  std::deque<std::function<void(Session&)>> posted_ RUNNEL_GUARDED_BY(mutex_);
};

class FakeConnection final : public Connection {
 public:
  ~FakeConnection() override { posts->end(); }
  void send(Output output) override {
    EXPECT_FALSE(closed);
    ++sends;
    const std::size_t before = sent.size();
    for (const OutPiece& piece : output) {
      if (const auto* buffer = std::get_if<Buffer>(&piece)) {
        sent.append(as_text(buffer->bytes()));
        continue;
      }
      const auto& slice = std::get<storage::FileSlice>(piece);
      std::string bytes(slice.length, '\0');
      const MutableBytes into(reinterpret_cast<std::byte*>(bytes.data()), bytes.size());
      EXPECT_TRUE(slice.file->read_exactly(slice.position, into));
      sent += bytes;
    }
    if (!reads) unsent += sent.size() - before;
    if (!reads) std::move(output.begin(), output.end(), std::back_inserter(unread));
    most_unsent = std::max(most_unsent, unsent);
  }
  /// The peer takes all that is queued, as a loop tells it to the session.
  void take_output(Session& session) {
    unread.clear();
    if (std::exchange(unsent, 0) > kOutputLowMark) session.drained();
  }
  void close() override { closed = true; }
  void pause_reading() override { ++pauses; }
  void resume_reading() override {
    --pauses;
    EXPECT_GE(pauses, 0);
  }
  std::uint64_t unsent_bytes() const override { return unsent; }
  std::shared_ptr<SessionHandle> handle() override { return posts; }
  const Endpoint& local() const override { return endpoint; }
  const Endpoint& remote() const override { return endpoint; }

  std::string sent;
  bool closed = false;
  int pauses = 0;
  bool reads = true;  ///< false: what is sent stays in `unsent`
  std::uint64_t unsent = 0;
  std::uint64_t most_unsent = 0;
  int sends = 0;
  Output unread;  ///< keeps what it holds, as a loop's queue does
  Endpoint endpoint{"127.0.0.1", 1234};
  std::shared_ptr<FakeHandle> posts = std::make_shared<FakeHandle>();
};

/// One connection with its session. Frames are answered into `answers`, by correlation id.
class TestClient {
 public:
  explicit TestClient(const SessionFactory& factory) : session(factory(connection)) {}

  static std::string frame(std::uint64_t id, const protocol::native::Request& request,
                           std::string_view attachment = {}) {
    const Buffer head = protocol::native::encode(id, request, attachment.size());
    return std::string(as_text(head.bytes())) + std::string(attachment);
  }
  /// As a loop does: into the session's own memory where it offers some.
  void feed(std::string_view bytes) {
    while (!bytes.empty() && !connection.closed) {
      const MutableBytes into = session->receive_into();
      if (into.empty()) {
        session->received(as_bytes(bytes));
        break;
      }
      const std::size_t n = std::min(into.size(), bytes.size());
      std::copy_n(as_bytes(bytes).begin(), n, into.begin());
      session->received(Bytes(into.data(), n));
      bytes.remove_prefix(n);
    }
    collect();
  }
  /// Bytes that lie elsewhere, whatever the session offers.
  void feed_copied(std::string_view bytes) {
    if (!connection.closed) session->received(as_bytes(bytes));
    collect();
  }
  void hello() {
    feed("RNL1" + frame(1, protocol::native::Hello{"test", "1", 1, 1}));
    ASSERT_NE(find<protocol::native::HelloReply>(1), nullptr);
  }
  void run_posted() {
    for (auto& work : connection.posts->take()) work(*session);
    collect();
  }
  /// The next answer under `id`, as T. Fails the test if it is something else or does not come.
  template <class T>
  T await(std::uint64_t id) {
    run_posted();
    while (answers[id].empty()) {
      if (!connection.posts->wait()) {
        ADD_FAILURE() << "no answer to " << id;
        return T{};
      }
      run_posted();
    }
    auto next = std::move(answers[id].front());
    answers[id].pop_front();
    attachment = next.attachment;
    if (auto* value = std::get_if<T>(&next.response)) return *value;
    const auto* failure = std::get_if<protocol::native::Failure>(&next.response);
    ADD_FAILURE() << "another answer to " << id << ": "
                  << (failure != nullptr ? failure->message
                                         : std::to_string(next.response.index()));
    return T{};
  }
  template <class T>
  T call(std::uint64_t id, const protocol::native::Request& request,
         std::string_view attached = {}) {
    feed(frame(id, request, attached));
    return await<T>(id);
  }
  template <class T>
  const T* find(std::uint64_t id) {
    auto& list = answers[id];
    return list.empty() ? nullptr : std::get_if<T>(&list.front().response);
  }

  FakeConnection connection;
  std::unique_ptr<Session> session;
  std::map<std::uint64_t, std::deque<protocol::native::ResponseFrame>> answers;
  std::vector<std::uint64_t> answered;  ///< in the order of the answers
  Buffer attachment;                    ///< of the last awaited answer

 private:
  void collect() {
    for (;;) {
      const auto size =
          protocol::native::frame_size(as_bytes(connection.sent), protocol::native::kMaxFrameBytes);
      ASSERT_TRUE(size);
      if (!*size || connection.sent.size() < **size) return;
      const Buffer bytes = Buffer::copy_of(as_bytes(connection.sent).first(**size));
      connection.sent.erase(0, **size);
      auto decoded = protocol::native::decode_response(bytes);
      ASSERT_TRUE(decoded) << decoded.error().to_string();
      answered.push_back(decoded->correlation);
      answers[decoded->correlation].push_back(std::move(*decoded));
    }
  }
};

}  // namespace runnel::broker
