// Offsets by time: span, entry, batch, record, each step narrowing the next.
#include <algorithm>

#include "protocol/record_batch/record_batch.h"
#include "storage/log/batch_walker.h"
#include "storage/log/reader.h"

namespace runnel::storage {
namespace {

using protocol::RecordReader;

/// Decides which batch, then which record, answers a query.
struct Search {
  OffsetQuery::Kind kind;
  Timestamp time;

  /// True if something with this greatest timestamp can hold the answer.
  [[nodiscard]] bool may_hold(Timestamp max_timestamp) const {
    return kind == OffsetQuery::Kind::kMaxTimestamp ? max_timestamp == time : max_timestamp >= time;
  }
};

Result<std::optional<OffsetAnswer>> search_batch(const File& file, const BatchWalker::Step& step,
                                                 Offset start, const Search& search) {
  Buffer batch = Buffer::allocate(step.bytes);
  RUNNEL_TRY(file.read_exactly(step.position, batch.mutable_bytes()));
  RUNNEL_TRY(protocol::validate_batch(batch.bytes(), protocol::Depth::kCrc));
  RUNNEL_TRY_ASSIGN(auto records, RecordReader::open(batch.bytes()));
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
  return spans;
}

Result<OffsetAnswer> Reader::find_offset(const Partition& partition, OffsetQuery query) const {
  const Partition::View view = partition.view();
  if (view.deleted) return fail(topic_gone(partition));
  if (query.kind == OffsetQuery::Kind::kEarliest) return OffsetAnswer{view.start.offset, {}};
  if (query.kind == OffsetQuery::Kind::kLatest) return OffsetAnswer{view.high_watermark, {}};

  const OffsetAnswer none{kNoOffset, kNoTimestamp};
  if (view.start.offset == view.high_watermark) return none;
  RUNNEL_TRY_ASSIGN(const auto spans, spans_of(partition, view));
  Search search{query.kind, query.time};
  if (query.kind == OffsetQuery::Kind::kMaxTimestamp) {
    search.time = kNoTimestamp;
    for (const Span& s : spans) search.time = std::max(search.time, s.max_timestamp);
  }
  for (const Span& span : spans) {
    if (!search.may_hold(span.max_timestamp)) continue;
    std::vector<IndexEntry> entries;
    RUNNEL_TRY(for_each_entry(partition, std::max(span.first, view.start.offset),
                              std::min(span.last + 1, view.high_watermark),
                              [&](const IndexEntry& e) {
                                if (search.may_hold(e.max_timestamp)) entries.push_back(e);
                                return true;
                              }));
    for (const IndexEntry& entry : entries) {
      RUNNEL_TRY_ASSIGN(const auto file, file_of(entry));
      BatchWalker walker(*file, entry.position.offset, entry.bytes);
      while (true) {
        RUNNEL_TRY_ASSIGN(const auto step, walker.next());
        if (!step) break;
        if (step->last < view.start.offset || !search.may_hold(step->max_timestamp)) continue;
        RUNNEL_TRY_ASSIGN(const auto answer, search_batch(*file, *step, view.start.offset, search));
        if (answer) return *answer;
      }
    }
  }
  return none;
}

}  // namespace runnel::storage
