// Fetch: record batches go from the segment files to the socket without passing through here.
// There are no fetch sessions: every request names all its partitions, every answer lists them all.
#include <memory>

#include "broker/kafka/errors.h"
#include "broker/kafka/handlers.h"
#include "broker/kafka/partitions.h"
#include "protocol/kafka/fetch.h"

namespace runnel::broker {
namespace {

using kafka::FetchRequest;
using kafka::FetchResponse;
using kafka::KafkaError;

constexpr std::int16_t kFirstWithTopicIds = 13;
constexpr std::int8_t kReadCommitted = 1;
/// fetch.max.bytes of Kafka's broker.
constexpr std::int32_t kMaxFetchBytes = 55 << 20;
constexpr std::int32_t kMaxWaitMs = 24 * 3600 * 1000;

struct PendingFetch {
  CallRef call;
  FetchResponse response;
  /// Where the store's results belong, and what the client has of the partition.
  struct Asked {
    std::size_t topic = 0;
    std::size_t partition = 0;
    Offset offset;
    LeaderEpoch last_fetched;
  };
  std::vector<Asked> asked;
};

void settle(FetchResponse::Partition& to, const PendingFetch::Asked& asked,
            storage::FetchedPartition& from, std::vector<storage::FileSlice>& slices) {
  to.high_watermark = from.high_watermark;
  to.last_stable_offset = from.last_stable;
  to.log_start_offset = from.log_start;
  if (from.error) {
    to.error = kafka_error(*from.error);
    // Who says up to which epoch it has read is told where that epoch ended, if that is before.
    if (to.error == KafkaError::kOffsetOutOfRange && asked.last_fetched == kKafkaLeaderEpoch &&
        asked.offset > from.high_watermark) {
      to.error = KafkaError::kNone;
      to.diverging_epoch = {kKafkaLeaderEpoch, from.high_watermark};
      return;
    }
    if (to.error == KafkaError::kOffsetOutOfRange) {
      to.high_watermark = to.last_stable_offset = to.log_start_offset = Offset(-1);
    }
    return;
  }
  for (const storage::AbortedTransaction& t : from.aborted) {
    to.aborted_transactions->push_back({t.producer, t.first});
  }
  to.records.gap_bytes = static_cast<std::uint32_t>(from.bytes);
  for (auto& slice : from.slices) slices.push_back(std::move(slice));
}

void answer(PendingFetch& pending, storage::FetchResult result) {
  std::vector<storage::FileSlice> slices;
  RUNNEL_ASSERT(result.size() == pending.asked.size() || result.empty());
  for (std::size_t i = 0; i < result.size(); ++i) {
    const PendingFetch::Asked& asked = pending.asked[i];
    settle(pending.response.topics[asked.topic].partitions[asked.partition], asked, result[i],
           slices);
  }
  pending.call->reply(pending.response, std::move(slices));
}

/// Resolves the request's partitions into `fetch`. True if any has an error: then nobody waits.
bool resolve(PendingFetch& pending, const FetchRequest& request, storage::FetchRequest& fetch) {
  Call& call = *pending.call;
  bool failed = false;
  for (const auto& topic : request.topics) {
    const NamedTopic named =
        named_topic(call, topic.name, topic.topic_id, call.version() >= kFirstWithTopicIds);
    auto& to = pending.response.topics.emplace_back();
    to.name = topic.name;
    to.topic_id = topic.topic_id;
    for (const auto& asked : topic.partitions) {
      auto& partition = to.partitions.emplace_back();
      partition.index = asked.index;
      if (request.isolation_level == kReadCommitted) partition.aborted_transactions.emplace();
      partition.error = named.error;
      if (partition.error == KafkaError::kNone) {
        auto found = call.store().partition(named.name, asked.index);
        // Here any epoch below 0 says that the client does not check.
        partition.error = found ? check_epoch(std::max(asked.current_leader_epoch, LeaderEpoch(-1)))
                                : kafka_error(found.error());
        if (partition.error == KafkaError::kNone) {
          pending.asked.push_back({pending.response.topics.size() - 1, to.partitions.size() - 1,
                                   asked.fetch_offset, asked.last_fetched_epoch});
          fetch.items.push_back({std::move(*found), asked.fetch_offset,
                                 static_cast<std::uint32_t>(std::max(0, asked.max_bytes))});
          continue;
        }
      }
      failed = true;
    }
  }
  return failed;
}

}  // namespace

void handle_fetch(const CallRef& call) {
  const auto request = call->decode<FetchRequest>();
  if (!request) return;
  if (request->session_epoch > 0) {
    FetchResponse response;  // a later request of a session that nobody was given
    response.error = KafkaError::kFetchSessionIdNotFound;
    return call->reply(response);
  }
  const auto pending = std::make_shared<PendingFetch>();
  pending->call = call;
  storage::FetchRequest fetch;
  fetch.max_bytes = static_cast<std::uint64_t>(std::clamp(request->max_bytes, 0, kMaxFetchBytes));
  fetch.min_bytes = std::min<std::uint64_t>(
      static_cast<std::uint64_t>(std::max(0, request->min_bytes)), fetch.max_bytes);
  fetch.max_wait = std::chrono::milliseconds(std::clamp(request->max_wait_ms, 0, kMaxWaitMs));
  fetch.committed_only = request->isolation_level == kReadCommitted;
  if (resolve(*pending, *request, fetch)) fetch.max_wait = std::chrono::milliseconds(0);
  if (fetch.items.empty()) return answer(*pending, {});
  storage::Store& store = call->store();
  const storage::FetchTicket ticket =
      store.fetch(std::move(fetch), [pending](storage::FetchResult result) {
        auto shared = std::make_shared<storage::FetchResult>(std::move(result));
        pending->call->on_loop([pending, shared] { answer(*pending, std::move(*shared)); });
      });
  const std::weak_ptr<PendingFetch> weak = pending;
  call->on_cancel([&store, ticket, weak] {
    const auto waiting = weak.lock();  // held by the store as long as the fetch waits
    if (waiting && store.cancel_fetch(ticket)) answer(*waiting, {});
  });
}

}  // namespace runnel::broker
