#include "storage/views/query/topic_reader.h"

#include <algorithm>

#include "storage/views/worker/committed_records.h"

namespace runnel::storage::views {
namespace {

constexpr std::uint32_t kFetchBytes = 1u << 20;

class PartitionReader {
 public:
  PartitionReader(std::string_view topic, PartitionIndex index, PartitionRef partition,
                  Reading& reading, const RecordVisit& visit)
      : topic_(topic),
        index_(index),
        partition_(std::move(partition)),
        reading_(reading),
        store_(*reading.snapshot.store),
        visit_(visit) {}

  /// False: no more is wanted.
  Result<bool> read(Offset at, Offset end) {
    end_ = end;
    while (going_on_ && at < end_) {
      RUNNEL_TRY(reading_.check_time());
      FetchRequest request;
      request.items.push_back({partition_, at, kFetchBytes});
      request.committed_only = true;
      const auto fetched = store_.fetch_and_wait(std::move(request));
      const FetchedPartition& head = fetched[0].head;
      if (head.error && head.error->code() == ErrorCode::kOffsetOutOfRange) {
        // Retention removed it meanwhile.
        const Offset start = store_.partition_info(partition_).log_start;
        if (start > at) {
          at = start;
          continue;
        }
      }
      if (head.error) return fail(head.error->within(place(at)));
      if (head.next <= at) {
        return fail(ErrorCode::kNotAvailable, place(at) + ": nothing came; ask again");
      }
      RUNNEL_TRY(read_batches(at, fetched[0].batches.bytes(), head.aborted));
      at = head.next;
    }
    return going_on_;
  }

 private:
  [[nodiscard]] std::string place(Offset at) const {
    return "reading " + std::string(topic_) + "-" + std::to_string(index_.value()) + " at offset " +
           std::to_string(at.value());
  }

  Status read_batches(Offset from, Bytes batches, const std::vector<AbortedTransaction>& aborted) {
    return for_each_committed_batch(batches, aborted, [&](Bytes batch) -> Result<bool> {
      RUNNEL_TRY(read_batch(from, batch));
      return going_on_;
    });
  }

  Status read_batch(Offset from, Bytes batch) {
    return for_each_record(batch, [&](const protocol::Record& record) -> Result<bool> {
      if (record.offset < from || record.offset >= end_) return true;
      RUNNEL_TRY(reading_.check_time());
      RUNNEL_TRY_ASSIGN(going_on_, visit_(index_, record));
      return going_on_;
    });
  }

  const std::string_view topic_;
  const PartitionIndex index_;
  const PartitionRef partition_;
  Reading& reading_;
  Store& store_;
  const RecordVisit& visit_;
  Offset end_;
  bool going_on_ = true;
};

}  // namespace

Status read_records(const TopicInfo& topic,
                    const std::function<OffsetRange(PartitionIndex)>& range_of, Reading& reading,
                    const RecordVisit& visit) {
  for (const PartitionInfo& info : topic.partitions) {
    const OffsetRange range = range_of(info.index);
    const Offset from = std::max(info.log_start, Offset(range.from));
    const Offset end = std::min(info.last_stable, Offset(range.before));
    if (from >= end) continue;
    RUNNEL_TRY_ASSIGN(PartitionRef partition,
                      reading.snapshot.store->partition(topic.name, info.index));
    PartitionReader reader(topic.name, info.index, std::move(partition), reading, visit);
    RUNNEL_TRY_ASSIGN(const bool going_on, reader.read(from, end));
    if (!going_on) break;
  }
  return {};
}

}  // namespace runnel::storage::views
