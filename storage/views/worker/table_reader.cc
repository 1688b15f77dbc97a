#include "storage/views/worker/table_reader.h"

#include <algorithm>

#include "storage/views/engine/cursor.h"
#include "storage/views/worker/committed_records.h"
#include "storage/views/worker/view_rows.h"

namespace runnel::storage::views {
namespace {

constexpr std::uint32_t kFetchBytes = 4u << 20;

std::vector<DecoderNeed> all_columns(const SourcePlan& plan) {
  std::vector<Slot> slots;
  for (std::size_t i = 0; i < plan.columns.size(); ++i) slots.push_back(static_cast<Slot>(i));
  return {{&plan, std::move(slots), plan.columns.size()}};
}

}  // namespace

TableReader::TableReader(const SourcePlan& plan)
    : plan_(plan), table_(plan), decoder_(all_columns(plan)) {}

Status TableReader::open(Store& store) {
  RUNNEL_TRY_ASSIGN(const TopicInfo topic, store.describe_topic(plan_.topic));
  for (std::size_t i = parts_.size(); i < topic.partitions.size(); ++i) {
    RUNNEL_TRY_ASSIGN(PartitionRef partition,
                      store.partition(plan_.topic, PartitionIndex(static_cast<std::int32_t>(i))));
    parts_.push_back({std::move(partition), Offset(0)});
  }
  RUNNEL_TRY_ASSIGN(const PartitionRef first, store.partition(plan_.topic, PartitionIndex(0)));
  if (store.partition_id(first) == store.partition_id(parts_.front().partition)) return {};
  return fail(ErrorCode::kUnknownTopic, "the topic " + plan_.topic + " is another one by now");
}

Status TableReader::catch_up(Store& store) {
  const Status done = [&]() -> Status {
    RUNNEL_TRY(open(store));
    for (std::size_t i = 0; i < parts_.size(); ++i) RUNNEL_TRY(read(store, i));
    return {};
  }();
  return done ? done : fail(done.error().within("table " + plan_.name));
}

Status TableReader::read(Store& store, std::size_t part) {
  Part& from = parts_[part];
  while (true) {
    const PartitionInfo info = store.partition_info(from.partition);
    from.next = std::max(from.next, info.log_start);
    if (from.next >= info.last_stable) return {};
    FetchRequest request;
    request.items.push_back({from.partition, from.next, kFetchBytes});
    request.committed_only = true;
    const auto fetched = store.fetch_and_wait(std::move(request));
    const FetchedPartition& head = fetched[0].head;
    if (head.error) {
      if (head.error->code() == ErrorCode::kOffsetOutOfRange) continue;  // trimmed meanwhile
      return fail(*head.error);
    }
    if (head.next <= from.next) return {};
    RUNNEL_TRY(take(part, head, fetched[0].batches.bytes()));
    from.next = head.next;
    if (table_.bytes() > kMaxTableBytes) {
      return fail(ErrorCode::kInvalidArgument,
                  "its rows and their older versions take more than " +
                      std::to_string(kMaxTableBytes >> 20) +
                      " MiB; set cleanup.policy=compact on the topic " + plan_.topic +
                      ", or leave columns out, and RESUME");
    }
  }
}

Status TableReader::take(std::size_t part, const FetchedPartition& head, Bytes batches) {
  const auto take_one = [&](const protocol::Record& record) -> Result<bool> {
    if (record.offset < parts_[part].next) return true;
    apply(part, record);
    parts_[part].next = record.offset + 1;  // none is taken twice where there is no memory for more
    return true;
  };
  return for_each_committed_batch(batches, head.aborted, [&](Bytes batch) -> Result<bool> {
    RUNNEL_TRY(for_each_record(batch, take_one));
    return true;
  });
}

void TableReader::apply(std::size_t part, const protocol::Record& record) {
  const Value time = time_of(record);
  const Table::Place place{time.is_null() ? kNoTime : time.as_timestamp(),
                           static_cast<std::uint32_t>(part), record.offset.value()};
  if (!record.value) {
    table_.apply(record.key, {}, place);
    return;
  }
  const bool decoded = decoder_.decode(*record.value) == RowError::kNone &&
                       (plan_.on_error == sql::OnError::kNull || decoder_.errors().empty());
  if (!decoded || !table_.apply(record.key, decoder_.row(0), place)) ++bad_records_;
}

}  // namespace runnel::storage::views
