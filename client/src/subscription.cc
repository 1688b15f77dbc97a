// Push: credits are given back as the callback returns. Renewed after a reconnection, and when the
// broker ends it for a reason that passes (it shuts down, it has no memory now).
#include "client/src/consumer_core.h"

namespace runnel::client {
namespace {

constexpr Milliseconds kRenewAfter{100};

class SubscriptionCore : public std::enable_shared_from_this<SubscriptionCore> {
 public:
  SubscriptionCore(std::shared_ptr<Core> c, SubscribeOptions o,
                   std::function<void(Outcome<Batch>)> on_records)
      : core(std::move(c)), options_(std::move(o)), on_records_(std::move(on_records)) {}

  void start(Callback<void> accepted) {
    accepted_ = std::move(accepted);
    // Until there is an answer, the time-out is what holds this object.
    timer_ = core->loop->after(core->options.request_timeout, [self = shared_from_this()] {
      self->fail(Failure(Errc::timeout, Action::retry, "the broker did not accept in time"));
    });
    resolve_positions(
        core, options_.partitions,
        [self = shared_from_this()](Outcome<std::map<TopicPartition, std::int64_t>> found) {
          if (!found) return self->fail(found.error());
          self->next_ = std::move(*found);
          self->listener_ = self->core->connection->listen({[weak = self->weak_from_this()] {
                                                              if (const auto s = weak.lock())
                                                                s->subscribe();
                                                            },
                                                            nullptr});
          if (self->core->connection->is_up()) self->subscribe();
        });
  }

  void stop() {
    if (ended_) return;
    ended_ = true;
    core->loop->cancel(timer_);
    core->loop->cancel(renewal_);
    listener_.reset();
    core->connection->stop_stream(stream_);
    if (name_ != 0)
      core->connection->request(native::Unsubscribe{name_}, {}, core->options.request_timeout,
                                [](Answer) {});
    on_records_ = nullptr;
  }

  const std::shared_ptr<Core> core;

 private:
  void subscribe() {
    if (ended_) return;
    core->loop->cancel(std::exchange(renewal_, 0));
    native::Subscribe request;
    request.credit_bytes = options_.credit_bytes;
    for (const auto& [tp, offset] : next_)
      request.partitions.push_back({to_wire(tp), Offset(offset), options_.partition_bytes});
    stream_ = core->connection->stream(std::move(request), [weak = weak_from_this()](Answer a) {
      if (const auto self = weak.lock()) self->event(std::move(a));
    });
  }

  void event(Answer answer) {
    if (ended_) return;
    if (!answer) {
      if (answer.error().error.code() == ErrorCode::kCancelled)
        return fail(to_failure(answer.error()));
      name_ = 0;
      // A lost connection: its return subscribes again.
      if (answer.error().maybe_done || answer.error().error.code() == ErrorCode::kDisconnected)
        return;
      if (answer.error().action == ErrorAction::kRetry) return renew_later();
      return fail(to_failure(answer.error()));
    }
    if (auto* reply = std::get_if<native::SubscribeReply>(&answer->response)) {
      name_ = reply->subscription;
      core->loop->cancel(timer_);
      if (accepted_) std::exchange(accepted_, nullptr)({});
      return;
    }
    auto* delivery = std::get_if<native::Delivery>(&answer->response);
    if (delivery == nullptr) return fail(wrong_reply());
    const auto keep = shared_from_this();
    const auto owner = std::make_shared<const Buffer>(answer->attachment);
    std::size_t at = 0;
    for (const auto& p : delivery->partitions) {
      const Bytes bytes = owner->bytes().subspan(at, p.bytes);
      at += p.bytes;
      if (p.error != ErrorCode::kOk) {
        const Failure failure(static_cast<Errc>(p.error), p.error_message);
        if (failure.action() == Action::retry) {
          give_back(at);
          return renew();
        }
        return fail(failure);
      }
      const TopicPartition tp = from_wire(p.target);
      std::int64_t& next = next_[tp];
      auto batch = decode_batches(tp, bytes, owner, next, from_wire(p.aborted));
      if (!batch) return fail(batch.error());
      for (Bytes rest = bytes; !rest.empty();) {
        const protocol::BatchView view(rest);
        next = std::max(next, view.last_offset().value() + 1);
        rest = rest.subspan(view.total_bytes());
      }
      if (!batch->empty()) {
        const auto call = on_records_;
        call(std::move(*batch));
      }
      if (ended_) return;
    }
    give_back(at);
  }

  void give_back(std::uint64_t bytes) {
    if (bytes > 0) core->connection->notify(native::Credit{name_, bytes});
  }

  /// Ends what the broker still has of this subscription, and asks for a new one soon.
  void renew() {
    core->connection->stop_stream(stream_);
    if (name_ != 0)
      core->connection->request(native::Unsubscribe{std::exchange(name_, 0)}, {},
                                core->options.request_timeout, [](Answer) {});
    renew_later();
  }
  void renew_later() {
    core->loop->cancel(renewal_);
    renewal_ = core->loop->after(kRenewAfter, [weak = weak_from_this()] {
      const auto self = weak.lock();
      if (!self) return;
      self->renewal_ = 0;
      // Without a connection its return subscribes.
      if (self->core->connection->is_up()) self->subscribe();
    });
  }

  void fail(Failure why) {
    const auto keep = shared_from_this();
    const auto call = on_records_;
    stop();
    if (accepted_) return std::exchange(accepted_, nullptr)(std::move(why));
    if (call) call(std::move(why));
  }

  const SubscribeOptions options_;
  std::function<void(Outcome<Batch>)> on_records_;
  Callback<void> accepted_;
  std::shared_ptr<void> listener_;
  std::map<TopicPartition, std::int64_t> next_;
  std::uint64_t stream_ = 0;
  std::uint64_t name_ = 0;
  Loop::TimerId timer_ = 0;
  Loop::TimerId renewal_ = 0;
  bool ended_ = false;
};

}  // namespace
}  // namespace runnel::client

namespace runnel {

struct Subscription::Impl {
  Impl(client::KeeperPtr k, std::shared_ptr<client::SubscriptionCore> c)
      : keeper(std::move(k)), core(std::move(c)) {}
  ~Impl() {
    core->core->loop->post([c = core] { c->stop(); });
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  client::KeeperPtr keeper;
  std::shared_ptr<client::SubscriptionCore> core;
};

void Subscription::stop() {
  if (!impl_) return;
  const auto core = impl_->core;
  if (core->core->loop->on_thread()) return core->stop();
  auto [pending, done] = detail::make_pending<void>();
  core->core->post(
      [core, done = done] {
        core->stop();
        done({});
      },
      done);
  [[maybe_unused]] const auto stopped = pending.get();
}

Pending<Subscription> Client::subscribe(SubscribeOptions options,
                                        std::function<void(Outcome<Batch>)> on_records) {
  auto [pending, done] = detail::make_pending<Subscription>();
  auto core = std::make_shared<client::SubscriptionCore>(impl_->core, std::move(options),
                                                         std::move(on_records));
  impl_->core->post(
      [core, keeper = std::weak_ptr(impl_->keeper), done = done] {
        core->start([weak = std::weak_ptr(core), keeper, done](Outcome<void> o) {
          const auto accepted = weak.lock();
          auto kept = keeper.lock();
          if (!o) return done(o.error());
          if (!accepted || !kept) return done(Failure(Errc::cancelled, "the client was closed"));
          done(Subscription(std::make_shared<Subscription::Impl>(std::move(kept), accepted)));
        });
      },
      done);
  return std::move(pending);
}

}  // namespace runnel
