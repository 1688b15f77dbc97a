// Records that are pushed: credits are given back as the callback returns.
#include "client/src/consumer_core.h"
#include "client/src/pushed.h"

namespace runnel::client {
namespace {

class PushedRecords final : public Pushed {
 public:
  PushedRecords(std::shared_ptr<Core> c, SubscribeOptions o,
                std::function<void(Outcome<Batch>)> on_records)
      : Pushed(std::move(c)), options_(std::move(o)), on_records_(std::move(on_records)) {}

 private:
  void begin() override {
    resolve_positions(core, options_.partitions,
                      [self = std::static_pointer_cast<PushedRecords>(shared_from_this())](
                          Outcome<std::map<TopicPartition, std::int64_t>> found) {
                        if (self->ended()) return;
                        if (!found) return self->fail(found.error());
                        self->next_ = std::move(*found);
                        self->listen();
                      });
  }

  native::Request request() override {
    native::Subscribe out;
    out.credit_bytes = options_.credit_bytes;
    for (const auto& [tp, offset] : next_) {
      out.partitions.push_back({to_wire(tp), Offset(offset), options_.partition_bytes});
    }
    return out;
  }

  void delivered(native::Response response, Buffer attachment) override {
    const auto* delivery = std::get_if<native::Delivery>(&response);
    if (delivery == nullptr) return fail(wrong_reply());
    const auto owner = std::make_shared<const Buffer>(std::move(attachment));
    std::size_t at = 0;
    for (const auto& p : delivery->partitions) {
      const Bytes bytes = owner->bytes().subspan(at, p.bytes);
      at += p.bytes;
      if (p.error != ErrorCode::kOk) {
        const Failure failure(static_cast<Errc>(p.error), p.error_message);
        if (failure.action() != Action::retry) return fail(failure);
        give_back(at);
        return renew();
      }
      if (!take(p, bytes, owner)) return;
    }
    give_back(at);
  }

  /// False: this has ended.
  bool take(const native::FetchedPartition& p, Bytes bytes,
            const std::shared_ptr<const Buffer>& owner) {
    const TopicPartition tp = from_wire(p.target);
    std::int64_t& next = next_[tp];
    auto batch = decode_batches(tp, bytes, owner, next, from_wire(p.aborted));
    if (!batch) {
      fail(batch.error());
      return false;
    }
    for (Bytes rest = bytes; !rest.empty();) {
      const protocol::BatchView view(rest);
      next = std::max(next, view.last_offset().value() + 1);
      rest = rest.subspan(view.total_bytes());
    }
    if (!batch->empty()) {
      const auto call = on_records_;
      call(std::move(*batch));
    }
    return !ended();
  }

  void tell(Failure why) override {
    const auto call = on_records_;
    if (call) call(std::move(why));
  }
  void forget() override { on_records_ = nullptr; }

  const SubscribeOptions options_;
  std::function<void(Outcome<Batch>)> on_records_;
  std::map<TopicPartition, std::int64_t> next_;
};

}  // namespace
}  // namespace runnel::client

namespace runnel {

struct Subscription::Impl : client::PushedHandle {
  using PushedHandle::PushedHandle;
};

void Subscription::stop() {
  if (impl_) client::stop_and_wait(impl_->pushed);
}

Pending<Subscription> Client::subscribe(SubscribeOptions options,
                                        std::function<void(Outcome<Batch>)> on_records) {
  return client::start_pushed<Subscription>(
      std::make_shared<client::PushedRecords>(impl_->core, std::move(options),
                                              std::move(on_records)),
      impl_->keeper);
}

}  // namespace runnel
