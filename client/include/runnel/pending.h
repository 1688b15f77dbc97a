// One handle, three ways to wait: block, std::future, callback. (<runnel/asio.h> adds a fourth.)
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "runnel/error.h"

namespace runnel {

/// Receives an outcome. Runs exactly once, on the client's I/O thread (or at once on the caller's
/// thread if the outcome is already there). It must not block and must not throw.
template <class T>
using Callback = std::function<void(Outcome<T>)>;

namespace detail {
/// True on a client's I/O thread, where waiting would wait for itself.
[[nodiscard]] RUNNEL_API bool on_io_thread() noexcept;

template <class T>
struct PendingState {
  std::mutex mutex;
  std::condition_variable arrived;
  std::optional<Outcome<T>> outcome;
  Callback<T> callback;
};
}  // namespace detail

/// An operation under way. Every operation ends: with its result, with a Failure when its time-out
/// passes, or with Errc::cancelled when the last handle (client, producer, consumer, ...) goes.
/// Dropping a Pending does not cancel anything.
/// Use one of get(), get_for(), then(), future(), and take the outcome once. Movable; one thread at
/// a time.
template <class T>
class Pending {
 public:
  using State = detail::PendingState<T>;
  explicit Pending(std::shared_ptr<State> state) : state_(std::move(state)) {}
  /// Already answered.
  explicit Pending(Outcome<T> outcome) : state_(std::make_shared<State>()) {
    state_->outcome.emplace(std::move(outcome));
  }

  /// True once get() would not wait.
  [[nodiscard]] bool ready() const {
    const std::lock_guard lock(state_->mutex);
    return state_->outcome.has_value();
  }

  /// Waits for the outcome and takes it. Inside a callback of the client this would never end:
  /// there it returns Errc::invalid_argument unless the outcome is already there.
  Outcome<T> get() {
    std::unique_lock lock(state_->mutex);
    if (!state_->outcome && detail::on_io_thread()) return blocked();
    state_->arrived.wait(lock, [this] { return state_->outcome.has_value(); });
    return std::move(*state_->outcome);
  }

  /// get() that gives up waiting (Errc::timeout) but not the operation: call again to wait on.
  Outcome<T> get_for(std::chrono::milliseconds at_most) {
    std::unique_lock lock(state_->mutex);
    if (!state_->outcome && detail::on_io_thread()) return blocked();
    if (!state_->arrived.wait_for(lock, at_most, [this] { return state_->outcome.has_value(); }))
      return Failure(Errc::timeout, "no answer yet; the operation goes on");
    return std::move(*state_->outcome);
  }

  /// Hands the outcome to `callback`.
  void then(Callback<T> callback) && {
    std::unique_lock lock(state_->mutex);
    if (!state_->outcome) {
      state_->callback = std::move(callback);
      return;
    }
    Outcome<T> outcome = std::move(*state_->outcome);
    lock.unlock();
    callback(std::move(outcome));
  }

  [[nodiscard]] std::future<Outcome<T>> future() && {
    auto promise = std::make_shared<std::promise<Outcome<T>>>();
    auto future = promise->get_future();
    std::move(*this).then([promise](Outcome<T> o) { promise->set_value(std::move(o)); });
    return future;
  }

 private:
  static Outcome<T> blocked() {
    return Failure(Errc::invalid_argument,
                   "waiting inside a callback would never end; use then() there");
  }
  std::shared_ptr<State> state_;
};

namespace detail {
/// The other end of a Pending. Completes it once: when told to, else when it is dropped.
template <class T>
class Completer {
 public:
  explicit Completer(std::shared_ptr<PendingState<T>> state) : state_(std::move(state)) {}
  ~Completer() {
    complete(Failure(Errc::cancelled, "the client was closed before there was an outcome"));
  }
  Completer(const Completer&) = delete;
  Completer& operator=(const Completer&) = delete;

  void complete(Outcome<T> outcome) {
    if (done_.exchange(true)) return;
    std::unique_lock lock(state_->mutex);
    if (state_->callback) {
      Callback<T> callback = std::exchange(state_->callback, nullptr);
      lock.unlock();
      callback(std::move(outcome));
      return;
    }
    state_->outcome.emplace(std::move(outcome));
    state_->arrived.notify_all();
  }

 private:
  std::shared_ptr<PendingState<T>> state_;
  std::atomic<bool> done_ = false;
};

/// A Pending and the callback that completes it.
template <class T>
[[nodiscard]] std::pair<Pending<T>, Callback<T>> make_pending() {
  auto state = std::make_shared<PendingState<T>>();
  auto completer = std::make_shared<Completer<T>>(state);
  return {Pending<T>(std::move(state)),
          [completer](Outcome<T> outcome) { completer->complete(std::move(outcome)); }};
}
}  // namespace detail

}  // namespace runnel
