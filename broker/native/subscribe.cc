// Subscribe: deliveries are pushed while there is credit and the client takes them.
#include <algorithm>
#include <limits>

#include "broker/native/native_session.h"

namespace runnel::broker {
namespace {

/// A subscription that waits is one waiting fetch, renewed this often.
constexpr std::chrono::milliseconds kRenewal{60'000};
constexpr auto kMaxCredit = std::numeric_limits<std::int64_t>::max() / 2;

std::int64_t clamp_credit(std::uint64_t bytes) {
  return static_cast<std::int64_t>(std::min<std::uint64_t>(bytes, kMaxCredit));
}

}  // namespace

void NativeSession::handle(std::uint64_t id, const native::Subscribe& request) {
  if (finishing_) {
    return fail_request(id, Error(ErrorCode::kShuttingDown, "the connection is being closed"));
  }
  if (request.partitions.empty() || request.partitions.size() > kMaxRequestPartitions) {
    return fail_request(id, Error(ErrorCode::kInvalidArgument,
                                  "a subscription needs between 1 and 10000 partitions"));
  }
  if (subscriptions_.size() >= kMaxSubscriptions) {
    return fail_request(id, Error(ErrorCode::kInvalidArgument,
                                  "a connection may have 1000 subscriptions; subscribe to several "
                                  "partitions in one of them"));
  }
  Subscription subscription;
  subscription.correlation = id;
  subscription.credit = clamp_credit(request.credit_bytes);
  for (const native::FetchPartition& p : request.partitions) {
    auto found = partition(p.target);
    if (!found) return fail_request(id, found.error());
    subscription.partitions.push_back({p.target, std::move(*found), p.offset, p.max_bytes});
  }
  const std::uint64_t number = ++last_id_;
  answer(id, native::SubscribeReply{number});
  request_done();
  auto& kept = subscriptions_.emplace(number, std::move(subscription)).first->second;
  pump(number, kept);
}

void NativeSession::handle(std::uint64_t, const native::Credit& request) {
  request_done();  // has no answer
  const auto found = subscriptions_.find(request.subscription);
  if (found == subscriptions_.end()) return;  // it ended while the credit was on its way
  std::int64_t& credit = found->second.credit;
  credit = std::min(credit + clamp_credit(request.bytes), kMaxCredit);
  pump(found->first, found->second);
}

void NativeSession::handle(std::uint64_t id, const native::Unsubscribe& request) {
  const auto found = subscriptions_.find(request.subscription);
  if (found == subscriptions_.end()) {
    return fail_request(id, Error(ErrorCode::kNotFound, "there is no subscription " +
                                                            std::to_string(request.subscription) +
                                                            " on this connection"));
  }
  if (const auto fetch = fetches_.find(found->second.fetch); fetch != fetches_.end()) {
    static_cast<void>(service_.store().cancel_fetch(fetch->second.ticket));
    fetches_.erase(fetch);  // an answer on its way is dropped
  }
  subscriptions_.erase(found);
  answer(id, native::Done{});
  request_done();
}

void NativeSession::pump(std::uint64_t id, Subscription& subscription) {
  if (subscription.fetch != 0 || subscription.credit <= 0 || (pauses_ & kForOutput) != 0) return;
  PendingFetch pending;
  pending.subscription = id;
  storage::FetchRequest request;
  request.max_bytes = std::min(static_cast<std::uint64_t>(subscription.credit), kMaxDeliveryBytes);
  request.max_wait = kRenewal;
  for (std::size_t i = 0; i < subscription.partitions.size(); ++i) {
    const SubscribedPartition& p = subscription.partitions[i];
    request.items.push_back({p.partition, p.next, p.max_bytes});
  }
  subscription.fetch = start_fetch(std::move(pending), std::move(request));
}

void NativeSession::pump_all() {
  for (auto& [id, subscription] : subscriptions_) pump(id, subscription);
}

void NativeSession::deliver(PendingFetch& pending, storage::FetchResult result) {
  const auto found = subscriptions_.find(pending.subscription);
  if (found == subscriptions_.end()) return;
  Subscription& subscription = found->second;
  RUNNEL_ASSERT(result.size() == subscription.partitions.size());
  subscription.fetch = 0;
  native::Delivery delivery;
  delivery.subscription = found->first;
  std::vector<storage::FileSlice> slices;
  std::uint64_t bytes = 0;
  std::vector<SubscribedPartition> left;
  std::optional<Error> last_error;
  for (std::size_t i = 0; i < result.size(); ++i) {
    storage::FetchedPartition& from = result[i];
    SubscribedPartition& p = subscription.partitions[i];
    if (!from.error && from.bytes == 0) {
      left.push_back(std::move(p));
      continue;
    }
    native::FetchedPartition head{p.target, ErrorCode::kOk, "", from.high_watermark, from.log_start,
                                  0};
    if (from.error) {
      head.error = from.error->code();
      head.error_message = from.error->message();
      if (head.error == ErrorCode::kUnknownTopic) forget_partitions();
      last_error = *from.error;
    } else {
      head.bytes = static_cast<std::uint32_t>(from.bytes);
      bytes += from.bytes;
      for (storage::FileSlice& slice : from.slices) slices.push_back(std::move(slice));
      p.next = from.next;
      left.push_back(std::move(p));
    }
    delivery.partitions.push_back(std::move(head));
  }
  subscription.partitions = std::move(left);
  // Another partition comes first next time, so that a busy one does not keep the others waiting.
  if (subscription.partitions.size() > 1) {
    std::rotate(subscription.partitions.begin(), subscription.partitions.begin() + 1,
                subscription.partitions.end());
  }
  if (!delivery.partitions.empty()) {
    subscription.credit -= static_cast<std::int64_t>(bytes);
    NativeCounters::add(service_.counters().deliveries, 1);
    answer(subscription.correlation, delivery, std::move(slices), bytes);
    flush();  // tells whether the client keeps up
  }
  if (subscription.partitions.empty()) {
    end_subscription(found->first, *last_error);
  } else {
    pump(found->first, subscription);
  }
}

void NativeSession::end_subscription(std::uint64_t id, const Error& error) {
  const auto found = subscriptions_.find(id);
  if (found == subscriptions_.end()) return;
  answer(found->second.correlation, failure_of(error));
  subscriptions_.erase(found);
}

}  // namespace runnel::broker
