// Subscribe: deliveries are pushed while there is credit and the client takes them.
#include <algorithm>
#include <limits>

#include "broker/native/native_session.h"

namespace runnel::broker {
namespace {

constexpr auto kMaxCredit = std::numeric_limits<std::int64_t>::max() / 2;

bool names_one_twice(std::vector<storage::PartitionRef> partitions) {
  std::sort(partitions.begin(), partitions.end());
  return std::adjacent_find(partitions.begin(), partitions.end()) != partitions.end();
}

std::int64_t clamp_credit(std::uint64_t bytes) {
  return static_cast<std::int64_t>(std::min<std::uint64_t>(bytes, kMaxCredit));
}

}  // namespace

void NativeSession::handle(std::uint64_t id, native::Subscribe& request) {
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
  if (const Status paid = charge(request.partitions.size(), subscription.lease); !paid) {
    return fail_request(id, paid.error());
  }
  subscription.correlation = id;
  subscription.credit = clamp_credit(request.credit_bytes);
  std::vector<storage::PartitionRef> watched;
  for (native::FetchPartition& p : request.partitions) {
    auto found = partition(p.target);
    if (!found) return fail_request(id, found.error());
    subscription.to_read.push_back(static_cast<std::uint32_t>(watched.size()));
    watched.push_back(*found);
    subscription.partitions.push_back(
        {std::move(p.target), std::move(*found), p.offset, p.max_bytes, /*queued=*/true});
  }
  if (names_one_twice(watched)) {
    return fail_request(
        id, Error(ErrorCode::kInvalidArgument, "a subscription may name a partition only once"));
  }
  subscription.left = watched.size();
  const std::uint64_t number = ++last_id_;
  // Watched before the first read: nothing can fall between the two.
  subscription.watch = service_.store().watch(std::move(watched), [replies = replies_, number] {
    replies->push({0, WatchChanged{number}});
  });
  answer(id, native::SubscribeReply{number});
  request_done();
  auto& kept = subscriptions_.emplace(number, std::move(subscription)).first->second;
  pump(number, kept);
}

void NativeSession::handle(std::uint64_t, const native::Credit& request) {
  request_done();  // has no answer
  if (add_view_credit(request)) return;
  const auto found = subscriptions_.find(request.subscription);
  if (found == subscriptions_.end()) return;  // it ended while the credit was on its way
  std::int64_t& credit = found->second.credit;
  credit = std::min(credit + clamp_credit(request.bytes), kMaxCredit);
  pump(found->first, found->second);
}

void NativeSession::handle(std::uint64_t id, const native::Unsubscribe& request) {
  if (view_subscriptions_.erase(request.subscription) > 0) {
    answer(id, native::Done{});
    return request_done();
  }
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

void NativeSession::changed(std::uint64_t id) {
  const auto found = subscriptions_.find(id);
  if (found == subscriptions_.end()) return;  // it ended while the news was on its way
  Subscription& subscription = found->second;
  std::vector<std::uint32_t> places;
  subscription.watch->take(places);
  for (const std::uint32_t place : places) {
    SubscribedPartition& p = subscription.partitions[place];
    if (p.queued || !p.partition) continue;
    p.queued = true;
    subscription.to_read.push_back(place);
  }
  pump(id, subscription);
}

void NativeSession::pump(std::uint64_t id, Subscription& subscription) {
  if (subscription.fetch != 0 || subscription.credit <= 0 || (pauses_ & kForOutput) != 0) return;
  if (subscription.to_read.empty()) return;
  PendingFetch pending;
  pending.subscription = id;
  storage::FetchRequest request;
  request.committed_only = true;
  request.max_bytes = std::min(static_cast<std::uint64_t>(subscription.credit), kMaxDeliveryBytes);
  while (!subscription.to_read.empty() && pending.asked.size() < kPartitionsPerRead) {
    const std::uint32_t place = subscription.to_read.front();
    subscription.to_read.pop_front();
    SubscribedPartition& p = subscription.partitions[place];
    p.queued = false;  // what is appended from now on is news again
    pending.asked.push_back(place);
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
  RUNNEL_ASSERT(result.size() == pending.asked.size());
  subscription.fetch = 0;
  native::Delivery delivery;
  delivery.subscription = found->first;
  Output slices;
  std::uint64_t bytes = 0;
  std::vector<std::uint32_t> waiting;  // there was no room for them
  std::optional<Error> last_error;
  for (std::size_t i = 0; i < result.size(); ++i) {
    storage::FetchedPartition& from = result[i];
    const std::uint32_t place = pending.asked[i];
    SubscribedPartition& p = subscription.partitions[place];
    if (!from.error && from.bytes == 0) {
      if (p.next < from.last_stable && !p.queued) waiting.push_back(place);
      continue;
    }
    native::FetchedPartition head{p.target, ErrorCode::kOk, "", from.last_stable, from.log_start, 0,
                                  {}};
    if (from.error) {
      head.error = from.error->code();
      head.error_message = from.error->message();
      if (head.error == ErrorCode::kUnknownTopic) forget_partitions();
      last_error = *from.error;
      p.partition.reset();
      --subscription.left;
    } else {
      head.bytes = static_cast<std::uint32_t>(from.bytes);
      head.aborted = aborted_of(from);
      head.next = from.next;
      bytes += from.bytes;
      for (storage::FileSlice& slice : from.slices) slices.emplace_back(std::move(slice));
      p.next = from.next;
      if (p.next < from.last_stable && !std::exchange(p.queued, true)) {
        subscription.to_read.push_back(place);  // behind those that wait
      }
    }
    delivery.partitions.push_back(std::move(head));
  }
  if (bytes > 0) {  // without any bytes the rest cannot be read now: its next news asks again
    for (const std::uint32_t place : waiting) subscription.partitions[place].queued = true;
    subscription.to_read.insert(subscription.to_read.begin(), waiting.begin(), waiting.end());
  }
  if (!delivery.partitions.empty()) {
    subscription.credit -= static_cast<std::int64_t>(bytes);
    NativeCounters::add(service_.counters().deliveries, 1);
    if (!answer(subscription.correlation, delivery, std::move(slices), bytes)) {
      subscriptions_.erase(found);  // the Failure that was sent instead has ended it
      return;
    }
    flush();  // tells whether the client keeps up
  }
  if (subscription.left == 0) {
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
