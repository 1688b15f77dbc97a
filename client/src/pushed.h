// What the broker pushes on request: accepted in time or failed, renewed after a reconnection and
// when the broker ends it for a reason that passes (it shuts down, it has no memory now).
#pragma once

#include <memory>
#include <utility>

#include "client/src/core.h"

namespace runnel::client {

/// One subscription. Loop thread only. Derived classes say what is asked for and take what comes.
class Pushed : public std::enable_shared_from_this<Pushed> {
 public:
  explicit Pushed(std::shared_ptr<Core> c) : core(std::move(c)) {}
  virtual ~Pushed() = default;
  Pushed(const Pushed&) = delete;
  Pushed& operator=(const Pushed&) = delete;

  /// `accepted` is called once: when the broker has accepted, or with why it did not.
  void start(Callback<void> accepted);
  /// Nothing is told to the user any more.
  void stop();

  const std::shared_ptr<Core> core;

 protected:
  /// Finds out what is missing for a request, then calls listen().
  virtual void begin() { listen(); }
  /// Asked anew for each subscription.
  [[nodiscard]] virtual native::Request request() = 0;
  /// What was pushed; not the broker's acceptance, nor the stream's end.
  virtual void delivered(native::Response response, Buffer attachment) = 0;
  /// Tells the user the end, as the last call.
  virtual void tell(Failure why) = 0;
  /// The user's callback is never called again.
  virtual void forget() = 0;

  /// Subscribes now and whenever there is a connection again.
  void listen();
  /// The broker may push so many bytes more.
  void give_back(std::uint64_t bytes);
  /// Ends what the broker still has of this subscription, and asks for a new one soon.
  void renew();
  void fail(Failure why);
  [[nodiscard]] bool ended() const noexcept { return ended_; }

 private:
  void subscribe();
  void event(Answer answer);
  void ended_by_broker(const Refusal& why);
  void unsubscribe();
  void renew_later();

  Callback<void> accepted_;
  std::shared_ptr<void> listener_;
  std::uint64_t stream_ = 0;
  std::uint64_t name_ = 0;  ///< the broker's, 0: none
  Loop::TimerId timer_ = 0;
  Loop::TimerId renewal_ = 0;
  bool ended_ = false;
};

/// What a user's handle holds: the subscription lives as long, and the client with it.
struct PushedHandle {
  PushedHandle(KeeperPtr k, std::shared_ptr<Pushed> p)
      : keeper(std::move(k)), pushed(std::move(p)) {}
  ~PushedHandle();
  PushedHandle(const PushedHandle&) = delete;
  PushedHandle& operator=(const PushedHandle&) = delete;

  KeeperPtr keeper;
  std::shared_ptr<Pushed> pushed;
};

/// Returns when no call of the user's callback can begin any more. Any thread.
void stop_and_wait(const std::shared_ptr<Pushed>& pushed);

/// Starts `pushed`; the handle comes once the broker has accepted. Any thread. Handle::Impl is made
/// from what makes a PushedHandle.
template <class Handle>
[[nodiscard]] Pending<Handle> start_pushed(std::shared_ptr<Pushed> pushed, const KeeperPtr& owner) {
  auto [pending, done] = detail::make_pending<Handle>();
  pushed->core->post(
      [pushed, keeper = std::weak_ptr(owner), done = done] {
        pushed->start([weak = std::weak_ptr(pushed), keeper, done](Outcome<void> o) {
          auto accepted = weak.lock();
          auto kept = keeper.lock();
          if (!o) return done(o.error());
          if (!accepted || !kept) return done(Failure(Errc::cancelled, "the client was closed"));
          done(Handle(
              std::make_shared<typename Handle::Impl>(std::move(kept), std::move(accepted))));
        });
      },
      done);
  return std::move(pending);
}

}  // namespace runnel::client
