#include "broker/http/reading.h"

#include <algorithm>

#include "broker/http/limits.h"

namespace runnel::broker::http {
namespace {

std::optional<Offset> in_cursor(const Cursor& cursor, std::int32_t partition) {
  for (const auto& [index, next] : cursor) {
    if (index == partition) return next;
  }
  return std::nullopt;
}

Result<std::vector<std::int32_t>> partitions_of(const Call& call) {
  const std::string& topic = call.path("topic");
  RUNNEL_TRY_ASSIGN(const std::int32_t count, call.service().partition_count(topic));
  if (call.query("partition")) {
    const auto one = static_cast<std::int32_t>(call.integer("partition", 0));
    RUNNEL_TRY(call.store().partition(topic, PartitionIndex(one)));
    return std::vector<std::int32_t>{one};
  }
  if (static_cast<std::size_t>(count) > kMaxReadPartitions) {
    return fail(ErrorCode::kTooManyPartitions,
                "the topic has " + std::to_string(count) + " partitions, and a reader follows " +
                    std::to_string(kMaxReadPartitions) +
                    " at most; name one with partition, and read several that way");
  }
  std::vector<std::int32_t> all;
  for (std::int32_t i = 0; i < count; ++i) all.push_back(i);
  return all;
}

}  // namespace

std::vector<Param> reading_parameters(std::string_view from_text, bool with_end) {
  std::vector<Param> out{
      {.name = "partition",
       .kind = Param::Kind::kInteger,
       .text = "Only this partition; left out: all.",
       .max = storage::kMaxPartitionsPerTopic - 1},
      {.name = "from", .text = from_text, .example = "-2h"},
      {.name = "cursor",
       .text = "Goes on where an answer ended: its `next`, or the id of an event."},
      {.name = "filter",
       .text = "Only records for which this holds: key=K, key~REGEX, value~REGEX, header.NAME=V, "
               ".path>=12.5; "
               "given several times, all have to hold.",
       .repeatable = true,
       .example = "key=a"}};
  if (with_end) {
    out.push_back({.name = "to", .text = "Ends before this place, written as from is."});
  }
  return out;
}

Result<std::shared_ptr<const protocol::RecordFilter>> filter_of(const Call& call) {
  const auto conditions = call.query_all("filter");
  if (conditions.empty()) return std::shared_ptr<const protocol::RecordFilter>();
  RUNNEL_TRY_ASSIGN(auto parsed, protocol::RecordFilter::parse(conditions));
  return std::make_shared<const protocol::RecordFilter>(std::move(parsed));
}

Result<std::vector<ReadFrom>> places_of(const Call& call, std::optional<std::string_view> cursor,
                                        std::string_view otherwise) {
  const std::int64_t now = call.service().clock().now().value();
  if (call.query("cursor") && call.query("from")) {
    return fail(ErrorCode::kInvalidArgument, "from and cursor both say where to begin; give one");
  }
  if (!cursor) cursor = call.query("cursor");
  Cursor known;
  protocol::Place from{protocol::Place::Kind::kStart, 0};
  if (cursor) {
    RUNNEL_TRY_ASSIGN(known, parse_cursor(*cursor));
  } else {
    RUNNEL_TRY_ASSIGN(from, protocol::parse_place(call.query("from").value_or(otherwise), now));
  }
  std::optional<protocol::Place> to;
  if (const auto text = call.query("to")) {
    RUNNEL_TRY_ASSIGN(to, protocol::parse_place(*text, now));
  }
  RUNNEL_TRY_ASSIGN(const auto partitions, partitions_of(call));
  std::vector<ReadFrom> out;
  for (const std::int32_t index : partitions) {
    ReadFrom& one = out.emplace_back();
    one.partition = index;
    RUNNEL_TRY_ASSIGN(one.ref, call.store().partition(call.path("topic"), PartitionIndex(index)));
    protocol::Place begin = from;
    // A partition that the cursor does not know is new.
    if (const auto next = in_cursor(known, index)) {
      begin = {protocol::Place::Kind::kOffset, next->value()};
    }
    RUNNEL_TRY_ASSIGN(one.next, find_place(call.store(), one.ref, begin));
    if (!to) continue;
    const bool by_offset = to->kind == protocol::Place::Kind::kOffset;
    if (by_offset) {
      one.end = Offset(to->value);
    } else {
      RUNNEL_TRY_ASSIGN(one.end, find_place(call.store(), one.ref, *to));
    }
  }
  return out;
}

storage::FetchRequest waiting_fetch(const std::vector<ReadFrom>& from,
                                    std::chrono::milliseconds max_wait) {
  storage::FetchRequest request;
  for (const ReadFrom& f : from) {
    if (!f.end || f.next < *f.end) request.items.push_back({f.ref, f.next, 1});
  }
  request.max_bytes = 1;
  request.max_wait = max_wait;
  request.committed_only = true;
  return request;
}

}  // namespace runnel::broker::http
