// Pushed changes of a view: renewed after a reconnection, where possible behind what was told last.
#include "client/src/views.h"

namespace runnel::client {
namespace {

constexpr Milliseconds kRenewAfter{100};

class ViewSubscriptionCore : public std::enable_shared_from_this<ViewSubscriptionCore> {
 public:
  ViewSubscriptionCore(std::shared_ptr<Core> c, ViewSubscribeOptions o,
                       std::function<void(Outcome<ViewChange>)> on_change)
      : core(std::move(c)), options_(std::move(o)), on_change_(std::move(on_change)) {
    after_ = options_.after;
  }

  void start(Callback<void> accepted) {
    accepted_ = std::move(accepted);
    // Until there is an answer, the time-out is what holds this object.
    timer_ = core->loop->after(core->options.request_timeout, [self = shared_from_this()] {
      self->fail(Failure(Errc::timeout, Action::retry, "the broker did not accept in time"));
    });
    listener_ = core->connection->listen({[weak = weak_from_this()] {
                                            if (const auto s = weak.lock()) s->subscribe();
                                          },
                                          nullptr});
    if (core->connection->is_up()) subscribe();
  }

  void stop() {
    if (ended_) return;
    ended_ = true;
    core->loop->cancel(timer_);
    core->loop->cancel(renewal_);
    listener_.reset();
    core->connection->stop_stream(stream_);
    if (name_ != 0) {
      core->connection->request(native::Unsubscribe{name_}, {}, core->options.request_timeout,
                                [](Answer) {});
    }
    on_change_ = nullptr;
  }

  const std::shared_ptr<Core> core;

 private:
  void subscribe() {
    if (ended_) return;
    core->loop->cancel(std::exchange(renewal_, 0));
    native::SubscribeView request;
    request.statement = options_.statement;
    request.view = options_.view;
    request.filter = options_.where;
    // What was begun and not told to its end begins anew, whatever was asked for.
    request.snapshot = options_.snapshot || told_;
    request.progress = options_.progress;
    request.credit_bytes = options_.credit_bytes;
    if (after_) request.after = {after_->generation, after_->sequence};
    must_reset_ = told_ && !after_;
    stream_ = core->connection->stream(std::move(request), [weak = weak_from_this()](Answer a) {
      if (const auto self = weak.lock()) self->event(std::move(a));
    });
  }

  void event(Answer answer) {
    if (ended_) return;
    if (!answer) {
      if (answer.error().error.code() == ErrorCode::kCancelled) {
        return fail(to_failure(answer.error()));
      }
      name_ = 0;
      // A lost connection: its return subscribes again.
      if (answer.error().maybe_done || answer.error().error.code() == ErrorCode::kDisconnected) {
        return;
      }
      if (answer.error().action == ErrorAction::kRetry) return renew_later();
      return fail(to_failure(answer.error()));
    }
    if (const auto* reply = std::get_if<native::SubscribeReply>(&answer->response)) {
      name_ = reply->subscription;
      core->loop->cancel(timer_);
      if (accepted_) std::exchange(accepted_, nullptr)({});
      return;
    }
    auto* delivery = std::get_if<native::ViewDelivery>(&answer->response);
    if (delivery == nullptr) return fail(wrong_reply());
    const auto keep = shared_from_this();
    const std::uint64_t bytes = answer->attachment.size();
    auto change = change_of(std::move(*delivery), std::move(answer->attachment));
    if (!change) return fail(change.error());
    note_place(*change);
    const auto call = on_change_;
    call(std::move(change));
    if (!ended_ && bytes > 0) core->connection->notify(native::Credit{name_, bytes});
  }

  /// Where to go on if the connection is lost now.
  void note_place(ViewChange& change) {
    if (std::exchange(must_reset_, false)) change.kind = ViewChange::Kind::reset;
    told_ = true;
    const bool whole = change.kind == ViewChange::Kind::delta || !change.more;
    after_.reset();
    if (whole) after_ = ViewSubscribeOptions::After{change.generation, change.sequence};
  }

  Outcome<ViewChange> change_of(native::ViewDelivery from, Buffer bytes) {
    if (!from.columns.empty()) columns_ = columns_from(std::move(from.columns));
    ViewChange out;
    out.kind = static_cast<ViewChange::Kind>(from.kind);
    out.generation = from.generation;
    out.sequence = from.sequence;
    out.more = from.more;
    out.positions = positions_from(std::move(from.positions));
    auto rows = std::make_shared<ViewRows::Impl>();
    rows->columns = columns_;
    rows->rows = from.rows;
    rows->owner = std::move(bytes);
    if (from.rows > rows->owner.size()) return wrong_reply();
    ByteReader in(rows->owner.bytes());
    for (std::uint32_t i = 0; i < from.rows && in.ok(); ++i) {
      const auto kind = in.le<std::uint8_t>();
      if (kind > static_cast<std::uint8_t>(RowChange::added)) return wrong_reply();
      out.marks.push_back({static_cast<RowChange>(kind), std::string(in.text())});
      for (std::size_t c = 0; c < columns_.size(); ++c)
        rows->cells.push_back(native::read_cell(in));
    }
    if (!in.at_end()) return wrong_reply();
    out.rows = ViewRows(std::move(rows));
    return out;
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
    const auto call = on_change_;
    stop();
    if (accepted_) return std::exchange(accepted_, nullptr)(std::move(why));
    if (call) call(std::move(why));
  }

  const ViewSubscribeOptions options_;
  std::function<void(Outcome<ViewChange>)> on_change_;
  Callback<void> accepted_;
  std::shared_ptr<void> listener_;
  std::vector<ViewColumn> columns_;
  std::optional<ViewSubscribeOptions::After> after_;
  bool told_ = false;        ///< a change at least
  bool must_reset_ = false;  ///< the next one begins anew
  std::uint64_t stream_ = 0;
  std::uint64_t name_ = 0;
  Loop::TimerId timer_ = 0;
  Loop::TimerId renewal_ = 0;
  bool ended_ = false;
};

}  // namespace
}  // namespace runnel::client

namespace runnel {

struct ViewSubscription::Impl {
  Impl(client::KeeperPtr k, std::shared_ptr<client::ViewSubscriptionCore> c)
      : keeper(std::move(k)), core(std::move(c)) {}
  ~Impl() {
    core->core->loop->post([c = core] { c->stop(); });
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  client::KeeperPtr keeper;
  std::shared_ptr<client::ViewSubscriptionCore> core;
};

void ViewSubscription::stop() {
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

Pending<ViewSubscription> Views::subscribe(ViewSubscribeOptions options,
                                           std::function<void(Outcome<ViewChange>)> on_change) {
  auto [pending, done] = detail::make_pending<ViewSubscription>();
  auto core = std::make_shared<client::ViewSubscriptionCore>(impl_->core, std::move(options),
                                                             std::move(on_change));
  impl_->core->post(
      [core, keeper = std::weak_ptr(impl_->keeper), done = done] {
        core->start([weak = std::weak_ptr(core), keeper, done](Outcome<void> o) {
          const auto accepted = weak.lock();
          auto kept = keeper.lock();
          if (!o) return done(o.error());
          if (!accepted || !kept) return done(Failure(Errc::cancelled, "the client was closed"));
          done(ViewSubscription(
              std::make_shared<ViewSubscription::Impl>(std::move(kept), accepted)));
        });
      },
      done);
  return std::move(pending);
}

}  // namespace runnel
