// The public face of ProducerCore.
#include "client/src/producer_core.h"

namespace runnel {

Producer Client::producer(ProducerOptions options) {
  return Producer(std::make_shared<Producer::Impl>(
      impl_->keeper, std::make_shared<client::ProducerCore>(impl_->core, std::move(options))));
}
Pending<Delivery> Producer::send(const Message& message) {
  auto [pending, done] = detail::make_pending<Delivery>();
  impl_->core->send(message, std::move(done), true);
  return std::move(pending);
}
void Producer::send(const Message& message, Callback<Delivery> done) {
  impl_->core->send(message, std::move(done), true);
}
Pending<Delivery> Producer::try_send(const Message& message) {
  auto [pending, done] = detail::make_pending<Delivery>();
  impl_->core->send(message, std::move(done), false);
  return std::move(pending);
}
void Producer::try_send(const Message& message, Callback<Delivery> done) {
  impl_->core->send(message, std::move(done), false);
}
Outcome<void> Producer::flush(std::chrono::milliseconds at_most) {
  return flush_async().get_for(at_most);
}
Pending<void> Producer::flush_async() {
  auto [pending, done] = detail::make_pending<void>();
  impl_->core->flush(std::move(done));
  return std::move(pending);
}
Outcome<void> Producer::close(std::chrono::milliseconds at_most) {
  impl_->core->refuse_new();
  auto flushed = flush(at_most);
  impl_->core->abandon();
  return flushed;
}
ProducerStats Producer::stats() const {
  return impl_->core->stats();
}

}  // namespace runnel
