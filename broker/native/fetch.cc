// Fetch: record batches go from the segment files to the socket without passing through here.
#include <algorithm>

#include "broker/native/native_session.h"

namespace runnel::broker {
namespace {

bool names_one_twice(const std::vector<storage::FetchItem>& items) {
  std::vector<const storage::Partition*> all;
  all.reserve(items.size());
  for (const storage::FetchItem& item : items) all.push_back(item.partition.get());
  std::sort(all.begin(), all.end());
  return std::adjacent_find(all.begin(), all.end()) != all.end();
}

/// What an answer says of a partition besides its records; false: it failed, and there are none.
bool begin_head(const storage::FetchedPartition& from, native::FetchedPartition& head) {
  head.high_watermark = from.last_stable;
  head.log_start = from.log_start;
  if (!from.error) return true;
  head.error = from.error->code();
  head.error_message = from.error->message();
  return false;
}

/// `bytes`, which now also keep what `lease` has paid for.
Buffer held_by(Buffer bytes, std::shared_ptr<MemoryLease> lease) {
  struct Held {
    Buffer bytes;
    std::shared_ptr<MemoryLease> lease;
  };
  auto owner = std::make_shared<Held>(Held{std::move(bytes), std::move(lease)});
  const MutableBytes all = owner->bytes.mutable_bytes();
  return Buffer::of(std::move(owner), all);
}

}  // namespace

std::vector<native::AbortedTransaction> aborted_of(const storage::FetchedPartition& fetched) {
  std::vector<native::AbortedTransaction> out;
  out.reserve(fetched.aborted.size());
  for (const auto& t : fetched.aborted) out.push_back({t.producer, t.first});
  return out;
}

std::uint64_t NativeSession::start_fetch(PendingFetch pending, storage::FetchRequest request) {
  const std::uint64_t fetch = ++last_id_;
  auto& kept = fetches_.emplace(fetch, std::move(pending)).first->second;
  NativeCounters::add(service_.counters().fetches, 1);
  kept.ticket = service_.store().fetch(std::move(request),
                                       [replies = replies_, fetch](storage::FetchResult result) {
                                         replies->push({0, FetchDone{fetch, std::move(result)}});
                                       });
  return fetch;
}

Result<std::shared_ptr<const protocol::RecordFilter>> NativeSession::filter_of(
    const std::vector<std::string>& conditions) {
  if (conditions.empty()) return nullptr;
  if (!last_filter_ || conditions != last_conditions_) {
    RUNNEL_TRY_ASSIGN(auto parsed, protocol::RecordFilter::parse(conditions));
    last_filter_ = std::make_shared<const protocol::RecordFilter>(std::move(parsed));
    last_conditions_ = conditions;
  }
  return last_filter_;
}

void NativeSession::handle(std::uint64_t id, native::Fetch& request) {
  if (request.partitions.empty() || request.partitions.size() > kMaxRequestPartitions) {
    return fail_request(
        id, Error(ErrorCode::kInvalidArgument, "a fetch needs between 1 and 10000 partitions"));
  }
  auto filter = filter_of(request.filter);
  if (!filter) return fail_request(id, filter.error().within("the filter"));
  PendingFetch pending;
  pending.correlation = id;
  pending.filter = *std::move(filter);
  if (const Status paid = charge(request.partitions.size(), pending.lease); !paid) {
    return fail_request(id, paid.error());
  }
  storage::FetchRequest fetch;
  fetch.committed_only = true;
  fetch.max_bytes = std::min<std::uint64_t>(request.max_bytes, kMaxFetchBytes);
  fetch.min_bytes = std::min<std::uint64_t>(request.min_bytes, fetch.max_bytes);
  fetch.max_wait =
      std::chrono::milliseconds(finishing_ ? 0 : std::min(request.max_wait_ms, kMaxFetchWaitMs));
  pending.max_bytes = fetch.max_bytes;
  if (pending.filter) fetch.max_bytes = kMaxFilterScanBytes;
  for (const native::FetchPartition& p : request.partitions) {
    native::FetchedPartition head;
    head.target = p.target;
    auto found = partition(p.target);
    if (found) {
      pending.asked.push_back(static_cast<std::uint32_t>(pending.heads.size()));
      const auto most = static_cast<std::uint32_t>(kMaxFilterScanBytes);
      fetch.items.push_back({std::move(*found), p.offset, pending.filter ? most : p.max_bytes});
      if (pending.filter) pending.wanted.push_back(p);
    } else {
      head.error = found.error().code();
      head.error_message = found.error().message();
      fetch.max_wait = std::chrono::milliseconds(0);  // an error is not kept waiting
    }
    pending.heads.push_back(std::move(head));
  }
  if (fetch.items.empty()) {
    answer_fetch(pending, {});
    return;
  }
  if (names_one_twice(fetch.items)) {
    return fail_request(
        id, Error(ErrorCode::kInvalidArgument, "a fetch may name a partition only once"));
  }
  start_fetch(std::move(pending), std::move(fetch));
}

void NativeSession::fetched(FetchDone done) {
  const auto found = fetches_.find(done.fetch);
  if (found == fetches_.end()) return;  // ended while the answer was on its way
  PendingFetch pending = std::move(found->second);
  fetches_.erase(found);
  if (pending.subscription != 0) {
    deliver(pending, std::move(done.result));
  } else if (pending.filter) {
    filter_fetch(pending, std::move(done.result));
  } else {
    answer_fetch(pending, std::move(done.result));
  }
}

void NativeSession::answer_fetch(PendingFetch& pending, storage::FetchResult result) {
  RUNNEL_ASSERT(result.size() == pending.asked.size());
  Output slices;
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < result.size(); ++i) {
    storage::FetchedPartition& from = result[i];
    native::FetchedPartition& head = pending.heads[pending.asked[i]];
    if (!begin_head(from, head)) {
      if (head.error == ErrorCode::kUnknownTopic) forget_partitions();
      continue;
    }
    head.bytes = static_cast<std::uint32_t>(from.bytes);
    head.aborted = aborted_of(from);
    head.next = from.next;
    bytes += from.bytes;
    for (storage::FileSlice& slice : from.slices) slices.emplace_back(std::move(slice));
  }
  answer(pending.correlation, native::FetchReply{std::move(pending.heads)}, std::move(slices),
         bytes);
  request_done();
}

void NativeSession::filter_fetch(PendingFetch& pending, storage::FetchResult result) {
  RUNNEL_ASSERT(result.size() == pending.wanted.size());
  std::vector<FilteredFetch::Item> items;
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < result.size(); ++i) {
    storage::FetchedPartition& from = result[i];
    native::FetchedPartition& head = pending.heads[pending.asked[i]];
    if (!begin_head(from, head)) {
      if (head.error == ErrorCode::kUnknownTopic) forget_partitions();
      continue;
    }
    bytes += from.bytes;
    const native::FetchPartition& wanted = pending.wanted[i];
    items.push_back({pending.asked[i], wanted.offset, wanted.max_bytes, std::move(from)});
  }
  // What is read, and about as much for what passes.
  MemoryLease lease;
  if (!service_.memory().try_take(2 * bytes, lease)) {
    return fail_request(pending.correlation,
                        Error(ErrorCode::kOverloaded,
                              "the broker's memory is used up, and a filter needs some; try again "
                              "later or raise its memory limit"));
  }
  auto fetch = std::make_shared<FilteredFetch>(pending.filter, std::move(pending.heads),
                                               std::move(items), pending.max_bytes,
                                               service_.clock(), service_.store().memory());
  auto held = std::make_shared<MemoryLease>(std::move(lease));
  add_job(
      [replies = replies_, id = pending.correlation, fetch, held, bytes,
       memory = service_.memory().shared_from_this()] {
        if (!fetch->work()) return false;
        auto batches = fetch->take_batches();
        // They are parts of what was read, and keep all of it until the client has taken them.
        memory->shrink(*held, bytes);
        for (Buffer& batch : batches) batch = held_by(std::move(batch), held);
        replies->push({id, JobDone{native::Response(fetch->take_reply()), std::move(batches)}});
        return true;
      },
      MemoryLease());
}

void NativeSession::cancel_fetches() {
  for (auto it = fetches_.begin(); it != fetches_.end();) {
    if (!service_.store().cancel_fetch(it->second.ticket)) {
      ++it;  // its answer is on the way
      continue;
    }
    const PendingFetch pending = std::move(it->second);
    it = fetches_.erase(it);
    if (pending.subscription != 0) {
      subscriptions_[pending.subscription].fetch = 0;
      continue;
    }
    fail_request(pending.correlation,
                 Error(ErrorCode::kShuttingDown,
                       "the connection is being closed while the fetch waited for records"));
  }
}

}  // namespace runnel::broker
