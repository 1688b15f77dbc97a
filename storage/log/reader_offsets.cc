// Offsets by time: span, entry, batch, record, each step narrowing the next.
#include <algorithm>

#include "protocol/record_batch/record_batch.h"
#include "storage/log/batch_walker.h"
#include "storage/log/reader.h"

namespace runnel::storage {
namespace {

using protocol::RecordReader;

/// The first record at or after a time. The greatest timestamp of all is such a time, too.
struct Search {
  Timestamp time;

  /// True if something with this greatest timestamp can hold the answer.
  [[nodiscard]] bool may_hold(Timestamp max_timestamp) const { return max_timestamp >= time; }
};

Result<std::optional<OffsetAnswer>> search_batch(Bytes batch, Offset start, const Search& search) {
  RUNNEL_TRY_ASSIGN(auto records, RecordReader::open(batch));
  while (true) {
    RUNNEL_TRY_ASSIGN(const auto record, records.next());
    if (!record) return std::optional<OffsetAnswer>();
    if (record->offset >= start && search.may_hold(record->timestamp)) {
      return std::optional<OffsetAnswer>({record->offset, record->timestamp});
    }
  }
}

}  // namespace

Result<std::vector<Span>> Reader::spans_of(const Partition& partition,
                                           const Partition::View& view) const {
  std::vector<Span> spans;
  Status status;
  RUNNEL_TRY(index_.scan(Family::kIndex, keys::span(partition.id(), 0),
                         keys::span(partition.id() + 1, 0),
                         [&](std::string_view key, std::string_view value) {
                           const auto parsed = keys::parse_span(key);
                           auto span = decode_span(parsed ? parsed->segment : 0, value);
                           if (!span) {
                             status = fail(span.error());
                             return false;
                           }
                           if (span->last >= view.start.offset) spans.push_back(*span);
                           return true;
                         }));
  if (!status) return fail(status.error());
  if (view.open_span.segment != 0) spans.push_back(view.open_span);
  std::sort(spans.begin(), spans.end(),
            [](const Span& a, const Span& b) { return a.first < b.first; });
  return spans;
}

namespace {

/// The greatest timestamp in `batch` from `start` on.
Result<Timestamp> max_in_batch(Bytes batch, Offset start) {
  RUNNEL_TRY_ASSIGN(auto records, RecordReader::open(batch));
  Timestamp max = kNoTimestamp;
  while (true) {
    RUNNEL_TRY_ASSIGN(const auto record, records.next());
    if (!record) return max;
    if (record->offset >= start) max = std::max(max, record->timestamp);
  }
}

}  // namespace

Result<Buffer> Reader::read_batch(std::uint32_t segment, const File& file,
                                  const BatchWalker::Step& step) const {
  const Position position{segment, static_cast<std::uint32_t>(step.position)};
  const VerifiedRanges::Loading loading(verified_, {{position, step.bytes}});
  Buffer batch = Buffer::allocate(step.bytes);
  RUNNEL_TRY(file.read_exactly(step.position, batch.mutable_bytes()));
  const auto size =
      protocol::validate_batch(batch.bytes(), protocol::Depth::kCrc, protocol::Gaps::kAllowed);
  if (size) return batch;
  verified_.distrust(position, step.bytes);
  return fail(size.error());
}

Result<Timestamp> Reader::max_in_entry(const IndexEntry& entry, Offset start, Offset end) const {
  RUNNEL_TRY_ASSIGN(const auto file, file_of(entry));
  BatchWalker walker(*file, entry.position.offset, entry.bytes);
  Timestamp max = kNoTimestamp;
  while (true) {
    RUNNEL_TRY_ASSIGN(const auto step, walker.next());
    if (!step || step->base >= end) return max;
    if (step->last < start) continue;
    Timestamp here = step->max_timestamp;
    if (step->base < start) {
      RUNNEL_TRY_ASSIGN(const Buffer batch, read_batch(entry.position.segment, *file, *step));
      RUNNEL_TRY_ASSIGN(here, max_in_batch(batch.bytes(), start));
    }
    max = std::max(max, here);
  }
}

Result<Timestamp> Reader::max_timestamp(const Partition& partition, const Partition::View& view,
                                        Offset end) const {
  Timestamp max = kNoTimestamp;
  if (view.start.offset >= end) return max;
  RUNNEL_TRY_ASSIGN(const auto spans, spans_of(partition, view));
  for (const Span& span : spans) {
    if (span.last < view.start.offset || span.first >= end) continue;
    const bool known = span.max_timestamp != kTimestampUnknown;
    if (known && span.first >= view.start.offset && span.last < end) {
      max = std::max(max, span.max_timestamp);
      continue;
    }
    std::vector<IndexEntry> entries;
    RUNNEL_TRY(for_each_entry(partition, std::max(span.first, view.start.offset),
                              std::min(span.last + 1, end), [&](const IndexEntry& e) {
                                if (e.bytes != 0) entries.push_back(e);
                                return true;
                              }));
    for (const IndexEntry& entry : entries) {
      Timestamp here = entry.max_timestamp;
      if (entry.base < view.start.offset || entry.last >= end) {
        RUNNEL_TRY_ASSIGN(here, max_in_entry(entry, view.start.offset, end));
      }
      max = std::max(max, here);
    }
  }
  return max;
}

Result<OffsetAnswer> Reader::find_once(const Partition& partition, OffsetQuery query) const {
  const Partition::View view = partition.view();
  if (view.deleted) return fail(topic_gone(partition));
  if (query.kind == OffsetQuery::Kind::kEarliest) return OffsetAnswer{view.start.offset, {}};
  const Offset end = query.committed_only ? view.stable.offset : view.high_watermark;
  if (query.kind == OffsetQuery::Kind::kLatest) return OffsetAnswer{end, {}};

  const OffsetAnswer none{kNoOffset, kNoTimestamp};
  if (view.start.offset >= end) return none;
  RUNNEL_TRY_ASSIGN(const auto spans, spans_of(partition, view));
  Search search{query.time};
  if (query.kind == OffsetQuery::Kind::kMaxTimestamp) {
    RUNNEL_TRY_ASSIGN(search.time, max_timestamp(partition, view, end));
  }
  for (const Span& span : spans) {
    if (!search.may_hold(span.max_timestamp) || span.first >= end) continue;
    std::vector<IndexEntry> entries;
    RUNNEL_TRY(for_each_entry(partition, std::max(span.first, view.start.offset),
                              std::min(span.last + 1, end), [&](const IndexEntry& e) {
                                if (e.bytes != 0 && search.may_hold(e.max_timestamp))
                                  entries.push_back(e);
                                return true;
                              }));
    for (const IndexEntry& entry : entries) {
      RUNNEL_TRY_ASSIGN(const auto file, file_of(entry));
      BatchWalker walker(*file, entry.position.offset, entry.bytes);
      while (true) {
        RUNNEL_TRY_ASSIGN(const auto step, walker.next());
        if (!step || step->base >= end) break;
        if (step->last < view.start.offset || !search.may_hold(step->max_timestamp)) continue;
        RUNNEL_TRY_ASSIGN(const Buffer batch, read_batch(entry.position.segment, *file, *step));
        RUNNEL_TRY_ASSIGN(const auto answer,
                          search_batch(batch.bytes(), view.start.offset, search));
        if (answer) return *answer;
      }
    }
  }
  return none;
}

}  // namespace runnel::storage
