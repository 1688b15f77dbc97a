// Fetch: record batches go from the segment files to the socket without passing through here.
// There are no fetch sessions: every request names all its partitions, every answer lists them all.
#include <algorithm>
#include <map>
#include <memory>
#include <tuple>

#include "broker/kafka/errors.h"
#include "broker/kafka/handlers.h"
#include "broker/kafka/named_before.h"
#include "broker/kafka/partitions.h"
#include "protocol/kafka/fetch.h"
#include "protocol/record_batch/empty_batch.h"

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
  MemoryLease lease;  ///< while it waits
  FetchResponse response;
  /// Where the store's results belong, and what the client has of the partition.
  struct Asked {
    std::size_t topic = 0;
    std::size_t partition = 0;
    Offset offset;
    LeaderEpoch last_fetched;
  };
  std::vector<Asked> asked;
  std::vector<Buffer> gaps;  ///< the batches of ranges without records; `response` views them
};

/// What a partition of a fetch that waits costs: here, and in the store's lists.
constexpr std::uint64_t kWaitingPartitionBytes = sizeof(PendingFetch::Asked) +
                                                 sizeof(FetchResponse::Partition) +
                                                 sizeof(storage::FetchItem) + 96;
/// Fetches of no more partitions wait even if there is no memory: the clients would only ask again.
constexpr std::size_t kFewPartitions = 16;

/// A client whose answer has no batch asks for the same offset again, whatever lies behind it.
/// Where compaction or an erasure left nothing up to the end of what it may read, it would never
/// get there.
bool ends_in_a_gap(const PendingFetch::Asked& asked, const storage::FetchedPartition& from) {
  return from.bytes == 0 && from.next > asked.offset;
}

void settle(FetchResponse::Partition& to, const PendingFetch::Asked& asked,
            storage::FetchedPartition& from, std::vector<storage::FileSlice>& slices,
            std::vector<Buffer>& gaps) {
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
  if (ends_in_a_gap(asked, from)) {
    gaps.push_back(protocol::empty_batch(asked.offset, from.next - 1));
    to.records.bytes = gaps.back().bytes();
    return;
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
           slices, pending.gaps);
  }
  pending.call->reply(pending.response, std::move(slices));
}

template <class T>
bool has_twins(std::vector<T> all) {
  std::sort(all.begin(), all.end());
  return std::adjacent_find(all.begin(), all.end()) != all.end();
}

/// Whether a partition may stand in the request twice.
bool may_name_twice(const FetchRequest& request) {
  std::vector<std::pair<std::string_view, Uuid>> topics;
  for (const auto& topic : request.topics) {
    topics.emplace_back(topic.name, topic.topic_id);
    std::vector<PartitionIndex> partitions;
    for (const auto& asked : topic.partitions) partitions.push_back(asked.index);
    if (has_twins(std::move(partitions))) return true;
  }
  return has_twins(std::move(topics));
}

/// As Kafka: a partition that is named twice counts once, in its first place, as it was named last.
void name_each_once(FetchRequest& request) {
  using Key = std::tuple<std::string_view, Uuid, PartitionIndex>;
  std::map<Key, FetchRequest::Partition> last;
  for (const auto& topic : request.topics) {
    for (const auto& asked : topic.partitions) {
      last.insert_or_assign(Key(topic.name, topic.topic_id, asked.index), asked);
    }
  }
  NamedBefore<Key> named_before;
  std::vector<FetchRequest::Topic> topics;
  for (const auto& topic : request.topics) {
    FetchRequest::Topic once{topic.name, topic.topic_id, {}};
    for (const auto& asked : topic.partitions) {
      const Key key(topic.name, topic.topic_id, asked.index);
      if (!named_before(key)) once.partitions.push_back(last.at(key));
    }
    if (!once.partitions.empty()) topics.push_back(std::move(once));
  }
  request.topics = std::move(topics);
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

/// Pays for the wait. Who cannot is answered with what there is.
bool may_wait(PendingFetch& pending) {
  Call& call = *pending.call;
  const std::size_t partitions = pending.asked.size();
  MemoryGate& memory = call.service().memory();
  return memory.take_standing(partitions * kWaitingPartitionBytes, memory.largest_request(),
                              call.share(), pending.lease) ||
         partitions <= kFewPartitions;
}

}  // namespace

void handle_fetch(const CallRef& call) {
  auto request = call->decode<FetchRequest>();
  if (!request) return;
  if (may_name_twice(*request)) name_each_once(*request);
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
  if (fetch.max_wait.count() > 0 && !may_wait(*pending)) {
    fetch.max_wait = std::chrono::milliseconds(0);
  }
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
