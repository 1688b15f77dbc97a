#include "client/src/pushed.h"

namespace runnel::client {
namespace {

constexpr Milliseconds kRenewAfter{100};

}  // namespace

void Pushed::start(Callback<void> accepted) {
  accepted_ = std::move(accepted);
  // Until there is an answer, the time-out is what holds this object.
  timer_ = core->loop->after(core->options.request_timeout, [self = shared_from_this()] {
    self->fail(Failure(Errc::timeout, Action::retry, "the broker did not accept in time"));
  });
  begin();
}

void Pushed::stop() {
  if (ended_) return;
  ended_ = true;
  core->loop->cancel(timer_);
  core->loop->cancel(renewal_);
  listener_.reset();
  core->connection->stop_stream(stream_);
  unsubscribe();
  forget();
}

void Pushed::listen() {
  listener_ = core->connection->listen({[weak = weak_from_this()] {
                                          if (const auto self = weak.lock()) self->subscribe();
                                        },
                                        nullptr});
  if (core->connection->is_up()) subscribe();
}

void Pushed::subscribe() {
  if (ended_) return;
  core->loop->cancel(std::exchange(renewal_, 0));
  stream_ = core->connection->stream(request(), [weak = weak_from_this()](Answer answer) {
    if (const auto self = weak.lock()) self->event(std::move(answer));
  });
}

void Pushed::event(Answer answer) {
  if (ended_) return;
  const auto keep = shared_from_this();
  if (!answer) return ended_by_broker(answer.error());
  if (const auto* reply = std::get_if<native::SubscribeReply>(&answer->response)) {
    name_ = reply->subscription;
    core->loop->cancel(timer_);
    if (accepted_) std::exchange(accepted_, nullptr)({});
    return;
  }
  delivered(std::move(answer->response), std::move(answer->attachment));
}

void Pushed::ended_by_broker(const Refusal& why) {
  if (why.error.code() == ErrorCode::kCancelled) return fail(to_failure(why));
  name_ = 0;
  // A lost connection: its return subscribes again.
  if (why.maybe_done || why.error.code() == ErrorCode::kDisconnected) return;
  if (why.action == ErrorAction::kRetry) return renew_later();
  fail(to_failure(why));
}

void Pushed::give_back(std::uint64_t bytes) {
  if (!ended_ && bytes > 0) core->connection->notify(native::Credit{name_, bytes});
}

void Pushed::renew() {
  core->connection->stop_stream(stream_);
  unsubscribe();
  renew_later();
}

void Pushed::unsubscribe() {
  if (name_ == 0) return;
  core->connection->request(native::Unsubscribe{std::exchange(name_, 0)}, {},
                            core->options.request_timeout, [](Answer) {});
}

void Pushed::renew_later() {
  core->loop->cancel(renewal_);
  renewal_ = core->loop->after(kRenewAfter, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self) return;
    self->renewal_ = 0;
    // Without a connection its return subscribes.
    if (self->core->connection->is_up()) self->subscribe();
  });
}

void Pushed::fail(Failure why) {
  if (ended_) return;
  const auto keep = shared_from_this();
  if (accepted_) {
    stop();
    return std::exchange(accepted_, nullptr)(std::move(why));
  }
  tell(std::move(why));
  stop();
}

PushedHandle::~PushedHandle() {
  pushed->core->loop->post([p = pushed] { p->stop(); });
}

void stop_and_wait(const std::shared_ptr<Pushed>& pushed) {
  if (pushed->core->loop->on_thread()) return pushed->stop();
  auto [pending, done] = detail::make_pending<void>();
  pushed->core->post(
      [pushed, done = done] {
        pushed->stop();
        done({});
      },
      done);
  [[maybe_unused]] const auto stopped = pending.get();
}

}  // namespace runnel::client
