#include "storage/views/service/topic_stream.h"

#include <algorithm>

#include "storage/views/query/format.h"
#include "storage/views/types/within_memory.h"
#include "storage/views/worker/committed_records.h"

namespace runnel::storage::views {
namespace {

constexpr std::size_t kChunkBytes = 512u << 10;
constexpr std::size_t kChunkLetters = 500;
/// Of a record besides key and value, generously.
constexpr std::size_t kRecordOverhead = 256;

bool is_lasting(ErrorCode code) {
  return code == ErrorCode::kCorrupt || code == ErrorCode::kMalformed ||
         code == ErrorCode::kRecordTooLarge || code == ErrorCode::kUnknownTopic;
}

std::string position_key(ViewId id, std::uint32_t partition) {
  return position_prefix(kPositionsPrefix, id) + std::to_string(partition);
}

RowNeed need_of(const StreamPlan& plan) {
  RowNeed need{&plan.source, plan.slots_read, plan.source.row_slots(), plan.joins};
  for (const JoinPlan& join : plan.joins) need.row_slots += join.table.columns.size();
  const Slot event_time = plan.source.slot_of(PseudoColumn::kEventTime);
  // Rows of a table are as of that time.
  const bool reads_time =
      !plan.joins.empty() || std::binary_search(need.slots.begin(), need.slots.end(), event_time);
  if (plan.source.watermark && reads_time) {
    need.slots.push_back(plan.source.watermark->column);
    std::sort(need.slots.begin(), need.slots.end());
    need.slots.erase(std::unique(need.slots.begin(), need.slots.end()), need.slots.end());
  }
  return need;
}

Result<std::vector<PartitionRef>> partitions_of(Store& store, const std::string& topic) {
  RUNNEL_TRY_ASSIGN(const TopicInfo info, store.describe_topic(topic));
  std::vector<PartitionRef> partitions;
  for (const PartitionInfo& one : info.partitions) {
    RUNNEL_TRY_ASSIGN(PartitionRef partition, store.partition(topic, one.index));
    partitions.push_back(std::move(partition));
  }
  return partitions;
}

}  // namespace

Result<Cursor> stream_position(const Store& store, ViewId id, std::uint32_t partition) {
  Cursor cursor;
  const std::string key = position_key(id, partition);
  RUNNEL_TRY_ASSIGN(const StateEntries entries, store.read_state(key));
  for (const auto& [found, value] : entries) {
    if (found != key) continue;  // of partition 10, say, where 1 was asked for
    if (!cursor.decode(as_bytes(value))) {
      return fail(ErrorCode::kCorrupt, "the entry " + key + " is damaged");
    }
  }
  return cursor;
}

Result<std::unique_ptr<TopicStream>> TopicStream::open(Store& store, Clock& clock,
                                                       const StreamPlan& plan,
                                                       TopicStreamOptions options) {
  std::unique_ptr<TopicStream> made(new TopicStream(store, clock, plan, std::move(options)));
  RUNNEL_TRY_ASSIGN(made->partitions_, partitions_of(store, plan.source.topic));
  RUNNEL_TRY_ASSIGN(made->targets_, partitions_of(store, plan.topic));
  RUNNEL_TRY(made->load());
  return made;
}

TopicStream::TopicStream(Store& store, Clock& clock, const StreamPlan& plan,
                         TopicStreamOptions options)
    : store_(store),
      clock_(clock),
      plan_(plan),
      options_(std::move(options)),
      rows_({need_of(plan)}) {
  for (const OutputPlan& output : plan.outputs) columns_.push_back({output.name, output.type});
}

Status TopicStream::load() {
  cursors_.clear();
  for (std::size_t p = 0; p < partitions_.size(); ++p) {
    const auto number = static_cast<std::uint32_t>(p);
    RUNNEL_TRY_ASSIGN(Cursor cursor, stream_position(store_, options_.id, number));
    const auto start = options_.start.find(number);
    if (start != options_.start.end()) cursor.next = std::max(cursor.next, start->second);
    cursors_.push_back(cursor);
  }
  chunk_ = Chunk();
  const MutexLock lock(mutex_);
  applied_.clear();
  for (const Cursor& cursor : cursors_) applied_.emplace_back(cursor.next);
  return {};
}

Offset TopicStream::applied(std::size_t partition) const {
  const MutexLock lock(mutex_);
  return partition < applied_.size() ? applied_[partition] : Offset(0);
}

std::optional<Error> TopicStream::failure() const {
  const MutexLock lock(mutex_);
  return failure_;
}

void TopicStream::stop(const Error& why) {
  const MutexLock lock(mutex_);
  if (!failure_) failure_ = why.within("stream " + options_.name);
}

Result<bool> TopicStream::round() {
  if (std::exchange(stale_, true)) RUNNEL_TRY(load());
  auto done = within_memory("stream " + options_.name, [this] { return try_round(); });
  stale_ = !done;
  return done;
}

Result<bool> TopicStream::try_round() {
  bool any = false;
  // What was committed before these ends is in the tables that records are joined with.
  std::vector<Offset> ends;
  for (const PartitionRef& p : partitions_) ends.push_back(store_.partition_info(p).last_stable);
  RUNNEL_TRY(rows_.prepare(store_, [this](std::size_t, const Error& why) { stop(why); }));
  for (std::size_t p = 0; p < partitions_.size(); ++p) {
    if (failure()) return false;
    const auto more = read(p, ends[p]);
    if (more) {
      any = any || *more;
      continue;
    }
    // What was committed counts, not what was tried.
    RUNNEL_TRY(load());
    if (!is_lasting(more.error().code())) return fail(more.error());
    stop(more.error().within("partition " + std::to_string(p) + ", offset " +
                             std::to_string(cursors_[p].next)));
  }
  return any;
}

Result<bool> TopicStream::read(std::size_t partition, Offset end) {
  const PartitionInfo info = store_.partition_info(partitions_[partition]);
  const Offset from(cursors_[partition].next);
  if (from < info.log_start) {
    stop(Error(ErrorCode::kOffsetOutOfRange,
               "partition " + std::to_string(partition) + ": the records from offset " +
                   std::to_string(from.value()) + " up to " +
                   std::to_string(info.log_start.value() - 1) +
                   " were removed from the log before they were read; RESUME goes on without "
                   "them"));
    return false;
  }
  FetchRequest request;
  request.items.push_back({partitions_[partition], from, options_.fetch_bytes});
  request.committed_only = true;
  const auto fetched = store_.fetch_and_wait(std::move(request));
  const FetchedPartition& head = fetched[0].head;
  if (head.error) return fail(*head.error);
  if (head.next <= from || end <= from) return false;
  const Offset next = std::min(head.next, end);
  rules_ = store_.record_rules(targets_[partition % targets_.size()]);
  RUNNEL_TRY(pass_batches(partition, from, next, fetched[0].batches.bytes(), head.aborted));
  cursors_[partition].next = next.value();
  RUNNEL_TRY(commit(partition));
  return true;
}

Status TopicStream::pass_batches(std::size_t partition, Offset from, Offset end, Bytes batches,
                                 const std::vector<AbortedTransaction>& aborted) {
  const auto pass_one = [&](const protocol::Record& record) -> Result<bool> {
    if (record.offset >= from) RUNNEL_TRY(pass(partition, record));
    return true;
  };
  return for_each_committed_batch(batches, aborted, [&](Bytes batch) -> Result<bool> {
    if (protocol::BatchView(batch).base_offset() >= end) return false;
    RUNNEL_TRY(for_each_record(batch, pass_one));
    return true;
  });
}

Status TopicStream::pass(std::size_t partition, const protocol::Record& record) {
  rows_.begin(PartitionIndex(static_cast<std::int32_t>(partition)), record);
  const FoldRow row = rows_.row(0);
  Cursor& cursor = cursors_[partition];
  bool through = false;
  RowError error = make(row, through);
  const std::size_t bytes = json_.size() + record.key.value_or("").size() + kRecordOverhead;
  const auto most = static_cast<std::size_t>(rules_.max_batch_bytes);
  if (error == RowError::kNone && through) {
    if (bytes > most) error = RowError::kTooLarge;
    if (rules_.needs_keys && !record.key) error = RowError::kMissing;
  }
  // A commit never ends in the middle of a record.
  if (chunk_.records.bytes() + bytes > std::min(kChunkBytes, most) ||
      chunk_.letters.size() >= kChunkLetters || chunk_.letter_bytes > kChunkBytes) {
    RUNNEL_TRY(commit(partition));
  }
  cursor.next = record.offset.value() + 1;
  ++cursor.counters.records;
  ++records_;
  if (error != RowError::kNone) {
    refuse(partition, row, error);
  } else if (!through) {
    ++cursor.counters.filtered;
  } else {
    ++cursor.counters.applied;
    chunk_.records.add({record.timestamp, record.key, json_});
  }
  return {};
}

RowError TopicStream::make(const FoldRow& row, bool& through) {
  json_.clear();
  arena_.clear();
  if (row.error == RowError::kNoValue || row.error == RowError::kNoMatch) return RowError::kNone;
  if (row.error != RowError::kNone) return row.error;
  const bool errors_are_null = plan_.source.on_error == sql::OnError::kNull;
  through = true;
  if (plan_.filter) {
    const RowError error = plan_.filter.passes(row.values, arena_, through);
    if (error != RowError::kNone) {
      through = false;
      return errors_are_null ? RowError::kNone : error;
    }
    if (!through) return RowError::kNone;
  }
  values_.assign(plan_.outputs.size(), Value::null());
  for (std::size_t i = 0; i < values_.size(); ++i) {
    const RowError error = plan_.outputs[i].program.evaluate(row.values, arena_, values_[i]);
    if (error != RowError::kNone && !errors_are_null) return error;
  }
  append_json_row(columns_, values_, json_);
  return RowError::kNone;
}

void TopicStream::refuse(std::size_t partition, const FoldRow& row, RowError error) {
  ++cursors_[partition].counters.errors;
  if (plan_.source.on_error != sql::OnError::kDeadLetter) return;
  DeadLetter letter;
  letter.partition = static_cast<std::uint32_t>(partition);
  letter.offset = row.offset;
  letter.code = name_of(error);
  letter.path = row.path;
  letter.timestamp = row.timestamp;
  if (row.key) letter.key = std::string(*row.key);
  letter.value = row.raw;
  chunk_.letter_bytes += letter.value.size();
  chunk_.letters.push_back(std::move(letter));
}

Status TopicStream::commit(std::size_t partition) {
  CommitRequest request;
  if (chunk_.records.count() > 0) {
    RUNNEL_TRY_ASSIGN(Buffer batch, chunk_.records.finish());
    request.appends.push_back(
        {targets_[partition % targets_.size()], std::move(batch), {}, std::nullopt});
  }
  if (!chunk_.letters.empty()) {
    const LetterRoute route{options_.id, options_.name, plan_.source.topic};
    RUNNEL_TRY_ASSIGN(const PartitionRef to,
                      letters_partition(store_, dead_letter_topic(options_.name)));
    const auto most = static_cast<std::size_t>(store_.record_rules(to).max_batch_bytes);
    const bool too_large = chunk_.letter_bytes + chunk_.letters.size() * 2 * kRecordOverhead > most;
    RUNNEL_TRY_ASSIGN(Buffer batch, letters_batch(chunk_.letters, route, clock_.now(), too_large));
    request.appends.push_back({to, std::move(batch), {}, std::nullopt});
  }
  ByteWriter cursor;
  cursors_[partition].encode(cursor);
  const auto number = static_cast<std::uint32_t>(partition);
  request.state.push_back({position_key(options_.id, number), cursor.take()});
  CommitOutcome outcome = store_.commit_and_wait(std::move(request));
  if (!outcome.result) return fail(outcome.result.error());
  chunk_.letters.clear();
  chunk_.letter_bytes = 0;
  const MutexLock lock(mutex_);
  applied_[partition] = Offset(cursors_[partition].next);
  return {};
}

}  // namespace runnel::storage::views
