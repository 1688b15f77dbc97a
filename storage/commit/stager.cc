#include "storage/commit/stager.h"

#include <algorithm>

#include "protocol/record_batch/control_record.h"
#include "storage/commit/operations.h"
#include "storage/log/batch_walker.h"
#include "storage/log/entry_builder.h"

namespace runnel::storage {
namespace {

constexpr LeaderEpoch kLeaderEpoch{0};  // one node leads everything, always

CommitOutcome failed(Error error, std::vector<PartialDuplicate> duplicates = {}) {
  return {tl::unexpected<Error>(std::move(error)), std::move(duplicates)};
}

}  // namespace

void Group::change(Mutations::Change change) {
  encode_operation(operations, change);
  ++operation_count;
  mutations.add(std::move(change));
}

Status Stager::check_offsets(const CommitRequest& request) const {
  for (const OffsetCommit& o : request.offsets) {
    if (o.offset == kNoOffset) continue;
    RUNNEL_TRY_ASSIGN(const TopicRef topic, topics_.find(o.topic));
    if (o.partition.value() >= 0 &&
        static_cast<std::size_t>(o.partition.value()) < topic->partitions.size()) {
      continue;
    }
    return fail(ErrorCode::kUnknownPartition, "topic '" + o.topic + "' has no partition " +
                                                  std::to_string(o.partition.value()) +
                                                  " any more");
  }
  return {};
}

Status Stager::check_fences(const CommitRequest& request) const {
  std::size_t added = 0;
  for (const Fence& fence : request.fences) {
    const auto it = fences_.find(fence.name);
    if (it == fences_.end() && fences_.size() + ++added > kMaxFences) {
      return fail(ErrorCode::kInvalidArgument,
                  "the store holds " + std::to_string(fences_.size()) +
                      " fence names already and can forget none; use one name a job again and "
                      "again instead of a new one each time");
    }
    if (it != fences_.end() && fence.token < it->second) {
      return fail(ErrorCode::kFenced, "fencing token " + std::to_string(fence.token) + " of '" +
                                          fence.name + "' is older than " +
                                          std::to_string(it->second) +
                                          "; somebody else took over, stop writing");
    }
  }
  return {};
}

Status Stager::check_sequences(const AppendItem& item, Checked& checked) const {
  const PartitionId partition = item.partition->id();
  auto& ahead = checked.ahead;
  std::size_t batches = 0;
  std::size_t repeated = 0;
  Status status;
  for_each_batch(item.batches.bytes(), [&](const protocol::BatchView& batch, Bytes) {
    ++batches;
    if (!status || batch.producer_id() == kNoProducer) return;
    const auto own = ahead.find(batch.producer_id());
    auto verdict = producers_.check(partition, batch, own == ahead.end() ? nullptr : &own->second,
                                    item.new_producers_from_zero);
    if (!verdict) {
      status = fail(verdict.error().within(item.partition->name()));
      return;
    }
    if (verdict->duplicate) {
      if (repeated++ == 0) checked.first = verdict->base;
      checked.last = verdict->last;
      return;
    }
    if (own == ahead.end()) {
      const ProducerState* known = producers_.find(partition, batch.producer_id());
      if (Producers::needs_room(known)) ++checked.new_producers;
      ahead[batch.producer_id()] = known != nullptr ? *known : ProducerState{};
    }
    Producers::advance(ahead[batch.producer_id()], batch, Offset(0), Timestamp(0));
  });
  RUNNEL_TRY(status);
  if (repeated != 0 && repeated != batches) {
    return fail(ErrorCode::kOutOfOrderSequence,
                item.partition->name() +
                    ": some batches of the request were stored before and "
                    "some were not; repeat a request as it was");
  }
  checked.duplicate = repeated != 0;
  return {};
}

bool Stager::dedup_alive(const Topics& topics, const DedupRecord& record) {
  const PartitionRef partition = topics.partition(record.partition);
  return partition && record.offset >= partition->view().start.offset;
}

Status Stager::restore_dedup() {
  const auto found = [this](std::string_view, std::string_view) {
    keys_without_topic_ = true;
    return false;
  };
  RUNNEL_TRY(index_.scan(Family::kDedup, {}, keys::kDedupOfTopics, found));
  return index_.scan(Family::kDedup, keys::kAfterDedupOfTopics, {}, found);
}

Result<std::optional<DedupRecord>> Stager::find_dedup(const std::string& topic, const DedupKey& key,
                                                      const std::string& stored) const {
  {
    MutexLock lock(mutex_);
    const auto it = pending_dedup_.find(stored);
    if (it != pending_dedup_.end()) return std::optional<DedupRecord>(it->second);
  }
  RUNNEL_TRY_ASSIGN(auto value, index_.get(Family::kDedup, stored));
  if (!value && keys_without_topic_) {
    RUNNEL_TRY_ASSIGN(value, index_.get(Family::kDedup, keys::dedup_without_topic(key)));
  }
  if (!value) return std::optional<DedupRecord>();
  RUNNEL_TRY_ASSIGN(const auto record, decode_dedup(*value));
  if (!dedup_alive(topics_, record)) return std::optional<DedupRecord>();
  if (topics_.partition(record.partition)->topic() != topic) return std::optional<DedupRecord>();
  return std::optional<DedupRecord>(record);
}

Status Stager::check_dedup(const AppendItem& item, std::size_t index, Checked& checked,
                           Findings& found) const {
  RUNNEL_TRY_ASSIGN(const TopicRef topic, topics_.find(item.partition->topic()));
  std::vector<PartitionIndex> places;
  bool elsewhere = false;
  std::size_t known = 0;
  for (std::size_t i = 0; i < item.dedup.size(); ++i) {
    const DedupEntry& entry = item.dedup[i];
    const auto named = [&] {
      return "dedup key (" + entry.key.source + ", " + entry.key.source_id + ", " +
             entry.key.data_id + ")";
    };
    const auto [key, is_new] = found.keys.insert(keys::dedup(topic->record.id, entry.key));
    if (!is_new) {
      return fail(ErrorCode::kInvalidArgument,
                  named() + " of topic '" + topic->name +
                      "' stands twice in one request; send each fact once");
    }
    checked.dedup_keys.push_back(*key);
    RUNNEL_TRY_ASSIGN(const auto record, find_dedup(topic->name, entry.key, *key));
    checked.dedup_offsets.push_back(record ? record->offset : kNoOffset);
    const PartitionIndex place =
        record ? topics_.partition(record->partition)->index() : item.partition->index();
    places.push_back(place);
    elsewhere = elsewhere || place != item.partition->index();
    if (!record) continue;
    if (record->payload_hash != entry.payload_hash) {
      found.conflict = DedupEntry{entry.key, record->payload_hash, entry.record_index};
      return fail(ErrorCode::kDedupConflict,
                  named() + " was used at offset " + std::to_string(record->offset.value()) +
                      " of " + topics_.partition(record->partition)->name() +
                      " for another payload; nothing was stored. Give a changed fact its own key");
    }
    found.duplicates.push_back({index, i, record->offset, place});
    if (known++ == 0) checked.first = record->offset;
    checked.last = record->offset;
  }
  if (elsewhere) checked.dedup_partitions = std::move(places);
  if (!checked.duplicate && known != 0 && known == item.dedup.size()) {
    checked.duplicate = true;
    checked.by_key = true;
  }
  return {};
}

Result<Stager::Checked> Stager::check_append(const AppendItem& item, std::size_t index,
                                             Findings& found) const {
  if (item.partition->view().deleted) return fail(topic_gone(*item.partition));
  Checked checked;
  RUNNEL_TRY(check_sequences(item, checked));
  if (!item.dedup.empty()) RUNNEL_TRY(check_dedup(item, index, checked, found));
  const Offset next = item.partition->writer().staged_next;
  if (!checked.duplicate && item.expected_next && *item.expected_next != next) {
    return fail(ErrorCode::kPreconditionFailed,
                item.partition->name() + ": the next offset is " + std::to_string(next.value()) +
                    ", not the expected " + std::to_string(item.expected_next->value()) +
                    "; read what came in between and decide again");
  }
  return checked;
}

Status Stager::check_appends(const CommitRequest& request, Findings& found) const {
  for (std::size_t i = 0; i < request.appends.size(); ++i) {
    RUNNEL_TRY_ASSIGN(Checked checked, check_append(request.appends[i], i, found));
    if (checked.duplicate) ++found.repeated;
    found.new_producers += checked.new_producers;
    found.by_sequence = found.by_sequence || (checked.duplicate && !checked.by_key);
    found.appends.push_back(std::move(checked));
  }
  if (found.repeated == request.appends.size()) return {};
  if (!found.duplicates.empty()) {
    return fail(ErrorCode::kPartialDuplicate,
                std::to_string(found.duplicates.size()) +
                    " of the request's records were stored before; nothing was stored now. "
                    "Send the others without them");
  }
  if (found.repeated != 0) {
    return fail(ErrorCode::kOutOfOrderSequence,
                "some appends of the request were stored before and some were not; repeat "
                "a request as it was");
  }
  return {};
}

Status Stager::check_markers(const CommitRequest& request, const Findings& found) const {
  for (const TransactionMarker& m : request.markers) {
    const Partition& partition = *m.partition;
    if (partition.view().deleted) return fail(topic_gone(partition));
    const ProducerState* known = producers_.find(partition.id(), m.producer.id);
    for (std::size_t i = 0; i < request.appends.size(); ++i) {
      if (request.appends[i].partition != m.partition) continue;
      const auto ahead = found.appends[i].ahead.find(m.producer.id);
      if (ahead != found.appends[i].ahead.end()) known = &ahead->second;
    }
    if (auto checked = producers_.check_marker(partition.id(), m.producer, known); !checked) {
      return fail(checked.error().within(partition.name()));
    }
  }
  return {};
}

AppendResult Stager::add_batches(const PartitionRef& to, Buffer batches, Group& group) {
  Partition& partition = *to;
  auto [at, is_new] = group.appended_at.try_emplace(&partition, group.appended.size());
  if (is_new) group.appended.push_back({to, {}, 0});
  Group::Appended& appended = group.appended[at->second];

  AppendResult result;
  Partition::Writer& writer = partition.writer();
  result.base_offset = writer.staged_next;
  result.log_start = partition.view().start.offset;
  appended.parts.push_back(batches.bytes());
  MutableBytes rest = batches.mutable_bytes();
  while (!rest.empty()) {
    const protocol::BatchView batch(rest);
    const std::size_t bytes = batch.total_bytes();
    protocol::stamp_batch(rest.first(bytes), writer.staged_next, kLeaderEpoch);
    if (batch.is_log_append_time()) result.append_time = batch.max_timestamp();
    writer.staged_next = batch.last_offset() + 1;
    if (batch.producer_id() != kNoProducer) {
      const auto aborted = producers_.record(partition.id(), rest.first(bytes),
                                             writer.state.bytes + appended.bytes, group_time_);
      if (aborted) {
        group.mutations.put(Family::kIndex, keys::aborted(partition.id(), aborted->marker),
                            encode(*aborted));
        appended.last_abort = aborted->marker;
      }
    }
    if (!batch.is_control()) group.records += static_cast<std::uint64_t>(batch.record_count());
    ++group.batch_count;
    appended.bytes += static_cast<std::uint32_t>(bytes);
    rest = rest.subspan(bytes);
  }
  result.last_offset = writer.staged_next - 1;
  group.payload_bytes += batches.size();
  group.keep.push_back(std::move(batches));
  return result;
}

AppendResult Stager::append(AppendItem& item, Checked& checked, Group& group) {
  AppendResult result = add_batches(item.partition, item.batches, group);
  for (std::size_t i = 0; i < item.dedup.size(); ++i) {
    const DedupEntry& entry = item.dedup[i];
    const DedupRecord record{item.partition->id(), result.base_offset + entry.record_index,
                             entry.payload_hash};
    result.dedup_offsets.push_back(record.offset);
    {
      MutexLock lock(mutex_);
      pending_dedup_[checked.dedup_keys[i]] = record;
    }
    group.dedup_keys.push_back(checked.dedup_keys[i]);
    group.change(
        {Mutations::Kind::kPut, Family::kDedup, std::move(checked.dedup_keys[i]), encode(record)});
  }
  return result;
}

void Stager::take_fences(const CommitRequest& request, Group& group) {
  for (const Fence& fence : request.fences) {
    auto& known = fences_[fence.name];
    if (known == fence.token && fence.token != 0) continue;
    known = fence.token;
    group.change({Mutations::Kind::kPut, Family::kMeta, keys::fence(fence.name),
                  encode_number(fence.token)});
  }
}

Result<Offset> Stager::committed_offset(const std::string& key) const {
  {
    MutexLock lock(mutex_);
    const auto it = pending_offsets_.find(key);
    if (it != pending_offsets_.end()) return it->second.offset;
  }
  RUNNEL_TRY_ASSIGN(const auto value, index_.get(Family::kMeta, key));
  if (!value) return kNoOffset;
  RUNNEL_TRY_ASSIGN(const auto record, decode_offset(*value));
  return record.offset;
}

Status Stager::drop_passed_offsets(CommitRequest& request) const {
  std::vector<OffsetCommit> kept;
  for (OffsetCommit& o : request.offsets) {
    RUNNEL_TRY_ASSIGN(const Offset there,
                      committed_offset(keys::group_offset(o.group, o.topic, o.partition)));
    if (o.offset == kNoOffset || o.offset >= there) kept.push_back(std::move(o));
  }
  request.offsets = std::move(kept);
  return {};
}

void Stager::take_changes(CommitRequest& request, Timestamp now, Group& group) {
  for (OffsetCommit& o : request.offsets) {
    std::string key = keys::group_offset(o.group, o.topic, o.partition);
    {
      MutexLock lock(mutex_);
      PendingOffset& pending = pending_offsets_[key];
      pending.offset = o.offset;
      ++pending.groups;
    }
    group.offset_keys.push_back(key);
    if (o.offset == kNoOffset) {
      group.change({Mutations::Kind::kErase, Family::kMeta, std::move(key), {}});
      continue;
    }
    group.change({Mutations::Kind::kPut, Family::kMeta, std::move(key),
                  encode(OffsetRecord{o.offset, o.leader_epoch, now, std::move(o.metadata)})});
  }
  for (StateChange& s : request.state) {
    const auto kind = s.value ? Mutations::Kind::kPut : Mutations::Kind::kErase;
    group.change({kind, Family::kMeta, keys::broker_state(s.key),
                  s.value ? std::move(*s.value) : std::string()});
  }
  for (const GroupActivity& a : request.activity) {
    const auto kind = a.active ? Mutations::Kind::kErase : Mutations::Kind::kPut;
    group.change(
        {kind, Family::kMeta, keys::group_empty_since(a.group),
         a.active ? std::string() : encode_number(static_cast<std::uint64_t>(now.value()))});
  }
}

CommitOutcome Stager::stage(CommitRequest& request, const Moment& now, Group& group) {
  group_time_ = now;
  if (auto fenced = check_fences(request); !fenced) return failed(fenced.error());
  if (auto known = check_offsets(request); !known) return failed(known.error());
  Findings found;
  if (auto checked = check_appends(request, found); !checked) {
    const bool partial = checked.error().code() == ErrorCode::kPartialDuplicate;
    if (!partial) found.duplicates.clear();
    CommitOutcome outcome = failed(std::move(checked).error(), std::move(found.duplicates));
    outcome.conflict = std::move(found.conflict);
    return outcome;
  }
  const bool repeat = found.repeated != 0;
  // A repeat by sequence is the request itself again, so the first time did the rest of it, and
  // doing it now might put an offset back. A dedup key says only that the record is known.
  const bool all_known = repeat && found.by_sequence;
  if (repeat) found.new_producers = 0;  // what is known adds none
  if (repeat && !all_known) {
    if (auto dropped = drop_passed_offsets(request); !dropped) return failed(dropped.error());
  }
  if (!all_known) {
    if (auto checked = check_markers(request, found); !checked) {
      return failed(std::move(checked).error());
    }
  }
  if (found.new_producers != 0) {
    if (auto room = producers_.make_room(found.new_producers, now.monotonic); !room) {
      return failed(std::move(room).error());
    }
  }
  CommitResult result;
  result.durability = request.durability;
  take_fences(request, group);  // a token never goes back, so taking it twice is harmless
  if (repeat) ++duplicates_;
  for (std::size_t i = 0; i < request.appends.size(); ++i) {
    if (!repeat) {
      result.appends.push_back(append(request.appends[i], found.appends[i], group));
      continue;
    }
    AppendResult& r = result.appends.emplace_back();
    r.base_offset = found.appends[i].first;
    r.last_offset = found.appends[i].last;
    r.log_start = request.appends[i].partition->view().start.offset;
    r.duplicate = true;
    r.dedup_offsets = std::move(found.appends[i].dedup_offsets);
    r.dedup_partitions = std::move(found.appends[i].dedup_partitions);
  }
  if (all_known) return {std::move(result), {}};
  for (const TransactionMarker& m : request.markers) {
    const auto type = m.commit ? protocol::ControlType::kCommit : protocol::ControlType::kAbort;
    add_batches(m.partition,
                protocol::end_txn_batch({type, m.coordinator_epoch}, m.producer.id,
                                        m.producer.epoch, now.wall),
                group);
  }
  take_changes(request, now.wall, group);
  return {std::move(result), {}};
}

void Stager::finish(Group& group, const FrameHeader& header) {
  Position position = header.payload_position();
  for (Group::Appended& a : group.appended) {
    PartitionState& state = a.partition->writer().state;
    EntryBuilder builder(a.partition->id(), state, group.mutations);
    for (const Bytes part : a.parts) {
      for_each_batch(part, [&](const protocol::BatchView& batch, Bytes bytes) {
        const auto size = static_cast<std::uint32_t>(bytes.size());
        if (builder.add(batch, size, position)) segments_.add(position.segment);
        position.offset += size;
      });
    }
    builder.finish();
    a.partition->writer().dirty = true;
    RUNNEL_ASSERT(state.next == a.partition->writer().staged_next);
    const auto open = producers_.first_open(a.partition->id());
    group.updates.push_back({a.partition, std::move(builder.entries()), state.next, state.bytes,
                             state.open_span, open.value_or(StablePoint{state.next, state.bytes}),
                             a.last_abort});
  }
}

void Stager::applied(const Group& group) {
  if (group.dedup_keys.empty() && group.offset_keys.empty()) return;
  MutexLock lock(mutex_);
  for (const auto& key : group.dedup_keys) pending_dedup_.erase(key);
  for (const auto& key : group.offset_keys) {
    const auto it = pending_offsets_.find(key);
    if (it != pending_offsets_.end() && --it->second.groups == 0) pending_offsets_.erase(it);
  }
}

}  // namespace runnel::storage
