// The idempotent producers that a topic's partitions remember, and their open transactions.
#include <algorithm>
#include <charconv>
#include <limits>

#include "broker/http/call.h"
#include "broker/http/limits.h"
#include "broker/http/routes.h"
#include "protocol/filter/json_text.h"

namespace runnel::broker::http {
namespace {

using protocol::json_string;

/// Of one page: whoever commits waits while a partition's producers are looked up.
constexpr std::int64_t kMaxLookedAtPartitions = 64;
/// Behind all producers of a partition.
constexpr std::int64_t kLastProducer = std::numeric_limits<std::int64_t>::max();

/// Behind which producer a page begins; they are ordered by partition, then by id.
struct After {
  std::int32_t partition = -1;
  std::int64_t producer = kLastProducer;

  [[nodiscard]] std::int64_t first_partition() const {
    return std::int64_t{partition} + (producer == kLastProducer ? 1 : 0);
  }
  [[nodiscard]] std::string text() const {
    return std::to_string(partition) + ":" + std::to_string(producer);
  }
};

/// "2:1007", as `next` has it.
Result<After> parse_after(std::string_view text) {
  After out;
  const char* const end = text.data() + text.size();
  const auto partition = std::from_chars(text.data(), end, out.partition);
  if (partition.ec == std::errc() && partition.ptr != end && *partition.ptr == ':') {
    const auto producer = std::from_chars(partition.ptr + 1, end, out.producer);
    if (producer.ec == std::errc() && producer.ptr == end && out.partition >= 0) return out;
  }
  return fail(ErrorCode::kInvalidArgument,
              "'" + std::string(text) + "' is no place in this list; take `next` of an answer");
}

template <class T>
std::string number_or_null(T value, T none) {
  return value == none ? "null" : std::to_string(value.value());
}

std::string json_of(std::int32_t partition, const storage::ProducerInfo& info) {
  return "{\"partition\":" + std::to_string(partition) +
         ",\"producer\":" + std::to_string(info.id.value()) +
         ",\"epoch\":" + std::to_string(info.epoch.value()) +
         ",\"last_sequence\":" + std::to_string(info.last_sequence) +
         ",\"last_seen\":" + number_or_null(info.last_seen, kNoTimestamp) +
         ",\"transaction\":" + number_or_null(info.transaction_first, kNoOffset) + "}";
}

/// A page that grows by one partition after the other.
struct Page {
  std::string producers;
  After end;  ///< how far it goes
  std::size_t count = 0;

  /// False: it is full.
  bool take(std::int32_t partition, const std::vector<storage::ProducerInfo>& all,
            const After& after, std::size_t limit) {
    for (const storage::ProducerInfo& info : all) {
      if (partition == after.partition && info.id.value() <= after.producer) continue;
      if (count == limit) return false;
      if (count++ > 0) producers += ',';
      producers += json_of(partition, info);
      end = {partition, info.id.value()};
    }
    end = {partition, kLastProducer};
    return true;
  }
};

Result<Response> page_of(const Call& call, storage::Store& store) {
  const std::string& topic = call.path("topic");
  const auto limit = static_cast<std::size_t>(call.integer("limit", 1000));
  After after;
  if (const auto text = call.query("after")) {
    RUNNEL_TRY_ASSIGN(after, parse_after(*text));
  }
  RUNNEL_TRY_ASSIGN(const auto info, store.describe_topic(topic));
  const std::int64_t only = call.integer("partition", -1);
  const std::int64_t last = only < 0 ? static_cast<std::int64_t>(info.partitions.size()) - 1 : only;
  std::int64_t at = std::max(only, after.first_partition());
  const std::int64_t stop = std::min(last + 1, at + kMaxLookedAtPartitions);
  Page page;
  page.end = after;
  bool whole = true;
  for (; at < stop && whole; ++at) {
    const PartitionIndex index(static_cast<std::int32_t>(at));
    RUNNEL_TRY_ASSIGN(const auto partition, store.partition(topic, index));
    RUNNEL_TRY_ASSIGN(const auto producers, store.producers(partition));
    whole = page.take(index.value(), producers, after, limit);
  }
  const bool ended = whole && at > last;
  return json("{\"topic\":" + json_string(topic) + ",\"producers\":[" + page.producers +
              "],\"next\":" + (ended ? "null" : json_string(page.end.text())) + "}\n");
}

void list(const CallRef& call) {
  answer_blocking(call, [call] { return page_of(*call, call->store()); });
}

}  // namespace

std::vector<Route> producer_routes() {
  return {{.pattern = "/api/v1/topics/{topic}/producers",
           .handler = list,
           .id = "listProducers",
           .tag = "topics",
           .summary = "Idempotent producers of a topic, by partition and id",
           .description = "A page looks at 64 partitions at most, so it may be empty and have a "
                          "`next`.",
           .query = {{.name = "partition",
                      .kind = Param::Kind::kInteger,
                      .text = "Only this one; all of them if left out.",
                      .max = storage::kMaxPartitionsPerTopic - 1},
                     {.name = "after", .text = "Only producers behind this: `next` of a page."},
                     {.name = "limit",
                      .kind = Param::Kind::kInteger,
                      .text = "Most producers of the page; 1000 if left out.",
                      .min = 1,
                      .max = kMaxListed}},
           .answers = {{200, "A page of producers.", {{kJson, "ProducerList"}}}}}};
}

}  // namespace runnel::broker::http
