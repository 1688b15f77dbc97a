#include "tools/places.h"

#include <algorithm>

#include "tools/cli.h"

namespace runnel::tools {
namespace {

Result<std::vector<std::int64_t>> offsets_at_time(Client& client,
                                                  const std::vector<Bounds>& partitions,
                                                  std::int64_t millis) {
  std::vector<OffsetLookup> lookups;
  for (const Bounds& bounds : partitions) {
    lookups.push_back(
        {bounds.target, OffsetLookup::Kind::time, Time(std::chrono::milliseconds(millis))});
  }
  RUNNEL_TRY_ASSIGN(const auto answers, settle(client.admin().list_offsets(lookups).get()));
  std::vector<std::int64_t> out;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    if (answers[i].error) return fail(to_error(*answers[i].error));
    out.push_back(answers[i].offset == kNoPosition ? partitions[i].end : answers[i].offset);
  }
  return out;
}

std::int64_t offset_at(const Bounds& bounds, const protocol::Place& place) {
  switch (place.kind) {
    case protocol::Place::Kind::kStart:
      return bounds.start;
    case protocol::Place::Kind::kOffset:
      return place.value;
    case protocol::Place::Kind::kBeforeEnd:
      return std::max(bounds.start, bounds.end - std::min(place.value, bounds.end));
    case protocol::Place::Kind::kAfterStart:
      return bounds.start + std::min(place.value, bounds.end - bounds.start);
    default:
      return bounds.end;
  }
}

}  // namespace

Result<std::vector<Bounds>> bounds_of(Client& client, const std::string& topic,
                                      const std::vector<std::int32_t>& only) {
  RUNNEL_TRY_ASSIGN(const auto state, describe_topic(client, topic));
  std::vector<Bounds> out;
  for (const PartitionState& p : state.partitions) {
    if (!only.empty() && std::find(only.begin(), only.end(), p.partition) == only.end()) continue;
    out.push_back({{topic, p.partition}, p.log_start, p.high_watermark});
  }
  for (const std::int32_t wanted : only) {
    if (wanted >= 0 && wanted < static_cast<std::int32_t>(state.partitions.size())) continue;
    return fail(ErrorCode::kUnknownPartition,
                "topic '" + topic + "' has no partition " + std::to_string(wanted) +
                    "; its partitions are 0 to " + std::to_string(state.partitions.size() - 1));
  }
  return out;
}

Result<std::vector<std::int64_t>> offsets_at(Client& client, const std::vector<Bounds>& partitions,
                                             const protocol::Place& place) {
  if (place.kind == protocol::Place::Kind::kTime)
    return offsets_at_time(client, partitions, place.value);
  std::vector<std::int64_t> out;
  for (const Bounds& bounds : partitions) out.push_back(offset_at(bounds, place));
  return out;
}

namespace {

/// An end before its beginning is a slip; times and offsets are not compared with each other.
Status check_direction(const protocol::PlaceRange& range) {
  const bool comparable =
      range.from.kind == range.to.kind && (range.from.kind == protocol::Place::Kind::kOffset ||
                                           range.from.kind == protocol::Place::Kind::kTime);
  if (!range.bounded || !comparable || range.from.value <= range.to.value) return {};
  return fail(ErrorCode::kInvalidArgument, "the range ends before it begins; swap the two places");
}

}  // namespace

Result<std::vector<Span>> spans_of(Client& client, const Reach& reach) {
  const std::int64_t now = now_millis();
  RUNNEL_TRY_ASSIGN(auto range, protocol::parse_range(reach.from, now));
  if (!reach.to.empty()) {
    if (range.bounded) {
      return fail(ErrorCode::kInvalidArgument, "--from is a range already; leave --to away");
    }
    RUNNEL_TRY_ASSIGN(range.to, protocol::parse_place(reach.to, now));
    range.bounded = true;
  }
  RUNNEL_TRY(check_direction(range));
  std::vector<Span> spans;
  for (const std::string& topic : reach.topics) {
    RUNNEL_TRY_ASSIGN(const auto bounds, bounds_of(client, topic, reach.partitions));
    RUNNEL_TRY_ASSIGN(const auto from, offsets_at(client, bounds, range.from));
    RUNNEL_TRY_ASSIGN(const auto to, offsets_at(client, bounds, range.to));
    for (std::size_t i = 0; i < bounds.size(); ++i) {
      Span span{bounds[i].target, std::max(from[i], bounds[i].start), std::nullopt};
      if (span.from > bounds[i].end) {
        note(topic + "[" + std::to_string(span.target.partition) + "] ends at offset " +
             std::to_string(bounds[i].end) + ", before the " + std::to_string(span.from) +
             " to begin at: nothing of it is read");
        continue;
      }
      if (range.bounded) span.to = to[i];
      if (reach.up_to_now) span.to = std::min(span.to.value_or(bounds[i].end), bounds[i].end);
      spans.push_back(std::move(span));
    }
  }
  return spans;
}

}  // namespace runnel::tools
