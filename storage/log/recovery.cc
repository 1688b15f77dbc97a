#include "storage/log/recovery.h"

#include <algorithm>

#include "storage/commit/operations.h"
#include "storage/log/batch_walker.h"
#include "storage/log/entry_builder.h"

namespace runnel::storage {
namespace {

/// Changes are applied to the index in batches of about this many.
constexpr std::size_t kApplyBatch = 4096;

}  // namespace

Status Recovery::replay(Journal& journal) {
  RUNNEL_TRY(begin());
  RUNNEL_TRY_ASSIGN(report_, journal.replay(checkpoint_, [this](const FrameView& frame) {
    return apply(frame);
  }));
  return finish();
}

Status Recovery::begin() {
  RUNNEL_TRY_ASSIGN(const auto value, index_.get(Family::kMeta, keys::checkpoint()));
  if (value) {
    RUNNEL_TRY_ASSIGN(checkpoint_, decode_checkpoint(*value));
  }
  return load_producers();
}

Status Recovery::finish() {
  return apply_pending(1);
}

Status Recovery::apply_pending(std::size_t at_least) {
  if (pending_.changes().size() < at_least) return {};
  RUNNEL_TRY(index_.apply(pending_));
  pending_.clear();
  return {};
}

Status Recovery::apply(const FrameView& frame) {
  ByteReader operations(frame.operations);
  Bytes payload = frame.payload;
  Position position = frame.header.payload_position();
  while (operations.remaining() != 0) {
    auto operation = decode_operation(operations);
    if (!operation) {
      return fail(operation.error().within("frame at " + frame.header.position.to_string()));
    }
    if (auto* change = std::get_if<Mutations::Change>(&*operation)) {
      if (change->kind == Mutations::Kind::kErase) RUNNEL_TRY(note_erase(*change));
      if (change->kind == Mutations::Kind::kPut) RUNNEL_TRY(note_put(*change));
      pending_.add(std::move(*change));
      continue;
    }
    const auto& append = std::get<AppendOperation>(*operation);
    if (append.bytes > payload.size()) {
      return fail(ErrorCode::kCorrupt, "frame at " + frame.header.position.to_string() +
                                           " announces more record bytes than it holds");
    }
    RUNNEL_TRY(replay_append(frame, append.partition, payload.first(append.bytes), position));
    payload = payload.subspan(append.bytes);
    position.offset += append.bytes;
  }
  return apply_pending(kApplyBatch);
}

Status Recovery::replay_append(const FrameView& frame, PartitionId partition, Bytes batches,
                               Position position) {
  RUNNEL_TRY_ASSIGN(PartitionState* const to, carried(partition));
  EntryBuilder builder(partition, *to, pending_);
  while (!batches.empty()) {
    if (frame.is_damaged(position.offset)) {
      const protocol::BatchView damaged(batches);
      builder.finish();
      pass_over(position, partition, damaged, *to);
      position.offset += static_cast<std::uint32_t>(damaged.total_bytes());
      batches = batches.subspan(damaged.total_bytes());
      continue;
    }
    RUNNEL_TRY_ASSIGN(const std::size_t bytes,
                      protocol::validate_batch(batches, protocol::Depth::kHeader));
    const protocol::BatchView batch(batches);
    const bool nothing_known = stateless_.erase(partition) != 0;
    if (batch.base_offset() != to->next && over_gaps_) {
      if (batch.base_offset() > to->next && !nothing_known) {
        gaps_.push_back(
            {partition, to->next, Offset(batch.base_offset() - 1), frame.header.position});
      }
      to->next = batch.base_offset();
    } else if (batch.base_offset() != to->next) {
      Error gap(ErrorCode::kCorrupt,
                "frame at " + frame.header.position.to_string() + " holds offset " +
                    std::to_string(batch.base_offset().value()) + " of partition number " +
                    std::to_string(partition.value()) + " where " +
                    std::to_string(to->next.value()) + " was expected");
      if (!nothing_known) return fail(std::move(gap));
      to->next = batch.base_offset();
      must_be_gone_.emplace(partition, std::move(gap));
    }
    if (batch.producer_id() != kNoProducer) {
      const auto aborted =
          producers_.record(partition, batches.first(bytes), to->bytes, {frame.header.time, now_});
      if (aborted) RUNNEL_TRY(replay_aborted(partition, *aborted));
    }
    builder.add(batch, static_cast<std::uint32_t>(bytes), position);
    batches = batches.subspan(bytes);
    position.offset += static_cast<std::uint32_t>(bytes);
  }
  builder.finish();
  return {};
}

void Recovery::pass_over(Position position, PartitionId partition, const protocol::BatchView& batch,
                         PartitionState& to) {
  stateless_.erase(partition);
  const Offset base = batch.base_offset();
  // How many records it had lies in what is damaged; the next batch says it, if there is one.
  const Offset end(batch.record_count() > 0 &&
                           batch.last_offset() - base + 1 == batch.record_count()
                       ? batch.last_offset() + 1
                       : base + 1);
  gaps_.push_back({partition, std::min(to.next, base), end - 1, position});
  to.next = std::max(to.next, end);
}

Status Recovery::replay_aborted(PartitionId partition, const AbortedRecord& aborted) {
  std::string key = keys::aborted(partition, aborted.marker);
  RUNNEL_TRY_ASSIGN(const auto known, index_.get(Family::kIndex, key));
  if (!known) pending_.put(Family::kIndex, std::move(key), encode(aborted));
  return {};
}

Status Recovery::note_erase(const Mutations::Change& change) {
  if (change.family == Family::kIndex) {
    const auto key = keys::parse_span(change.key);
    if (!key) return {};
    RUNNEL_TRY_ASSIGN(PartitionState* const state, carried(key->partition));
    if (state->open_span.segment == key->segment) state->open_span = {};
  } else if (change.family == Family::kMeta) {
    const auto producer = keys::parse_producer(change.key);
    if (producer) producers_.forget(producer->partition, producer->producer);
  }
  return {};
}

Status Recovery::note_put(const Mutations::Change& change) {
  if (change.family != Family::kIndex) return {};
  const auto key = keys::parse_span(change.key);
  if (!key) return {};
  // A move took a part of it: what is left is in the index from here on.
  RUNNEL_TRY_ASSIGN(PartitionState* const state, carried(key->partition));
  if (state->open_span.segment == key->segment) state->open_span = {};
  return {};
}

Result<PartitionState*> Recovery::carried(PartitionId partition) {
  const auto [it, is_new] = carried_.try_emplace(partition);
  if (!is_new) return &it->second;
  RUNNEL_TRY_ASSIGN(const auto state, index_.get(Family::kMeta, keys::partition_state(partition)));
  if (state) {
    RUNNEL_TRY_ASSIGN(it->second, decode_partition_state(*state));
  } else {
    stateless_.insert(partition);
  }
  return &it->second;
}

PartitionId Recovery::greatest_partition() const noexcept {
  PartitionId greatest{0};
  for (const auto& [partition, state] : carried_) greatest = std::max(greatest, partition);
  return greatest;
}

Status Recovery::load(Topics& topics, SegmentLedger& segments, Stager& stager) {
  RUNNEL_TRY(load_topics(topics));
  for (const auto& [id, gap] : must_be_gone_) {
    if (topics.partition(id)) return fail(gap);
  }
  producers_.forget_partitions([&](PartitionId id) { return !topics.partition(id); });
  RUNNEL_TRY(load_segments(topics, segments));
  Status status;
  RUNNEL_TRY(index_.scan_prefix(Family::kMeta, keys::kFences,
                                [&](std::string_view key, std::string_view value) {
                                  const auto token = decode_number(value);
                                  if (!token) {
                                    status = fail(token.error());
                                    return false;
                                  }
                                  stager.restore_fence(std::string(key.substr(1)), *token);
                                  return true;
                                }));
  return status;
}

Status Recovery::load_topics(Topics& topics) {
  std::unordered_map<PartitionId, PartitionState> states;
  std::unordered_map<PartitionId, LogStart> starts;
  std::unordered_map<PartitionId, CleanPoint> cleaned;
  Status status;
  const auto read_all = [&](std::string_view prefix, auto decode, auto& into) {
    return index_.scan_prefix(Family::kMeta, prefix,
                              [&](std::string_view key, std::string_view value) {
                                const auto partition = keys::parse_partition(key);
                                auto decoded = decode(value);
                                if (!decoded) status = fail(decoded.error());
                                if (!partition || !decoded) return !!decoded;
                                into[*partition] = *decoded;
                                return true;
                              });
  };
  RUNNEL_TRY(read_all(keys::kPartitionStates, decode_partition_state, states));
  RUNNEL_TRY(read_all(keys::kLogStarts, decode_log_start, starts));
  RUNNEL_TRY(read_all(keys::kCleanPoints, decode_clean_point, cleaned));
  RUNNEL_TRY(status);
  for (const auto& [id, state] : carried_) states[id] = state;
  std::unordered_map<PartitionId, Offset> last_aborts;
  RUNNEL_TRY(index_.scan_last_of_each(Family::kIndex, keys::kAborted, keys::kAbortedPartitionBytes,
                                      [&](std::string_view key, std::string_view) {
                                        if (const auto aborted = keys::parse_aborted(key)) {
                                          last_aborts[aborted->partition] = aborted->marker;
                                        }
                                        return true;
                                      }));

  RUNNEL_TRY(index_.scan_prefix(
      Family::kMeta, keys::kTopics, [&](std::string_view key, std::string_view value) {
        auto record = decode_topic(value);
        auto config = record ? read_topic_config(record->configs)
                             : Result<TopicConfig>(tl::unexpected<Error>(record.error()));
        if (!config) {
          status = fail(config.error().within("topic " + std::string(key.substr(1))));
          return false;
        }
        auto topic = std::make_shared<Topic>();
        topic->name = std::string(key.substr(1));
        topic->record = std::move(*record);
        for (std::size_t i = 0; i < topic->record.partitions.size(); ++i) {
          const PartitionId id = topic->record.partitions[i];
          auto partition = std::make_shared<Partition>(
              id, PartitionIndex(static_cast<std::int32_t>(i)), topic->name, *config);
          const auto abort = last_aborts.find(id);
          partition->restore(states[id], starts[id], producers_.first_open(id),
                             abort == last_aborts.end() ? kNoOffset : abort->second, cleaned[id]);
          partition->writer().dirty = carried_.contains(id);
          topic->partitions.push_back(std::move(partition));
        }
        topics.put(std::move(topic));
        return true;
      }));
  return status;
}

Status Recovery::load_producers() {
  struct Known {
    keys::ProducerKey key;
    ProducerState state;
  };
  std::vector<Known> known;
  Status status;
  RUNNEL_TRY(index_.scan_prefix(Family::kMeta, keys::kProducers,
                                [&](std::string_view key, std::string_view value) {
                                  const auto parsed = keys::parse_producer(key);
                                  if (!parsed) return true;
                                  auto state = decode_producer(value);
                                  if (!state) {
                                    status = fail(state.error());
                                    return false;
                                  }
                                  known.push_back({*parsed, *state});
                                  return true;
                                }));
  RUNNEL_TRY(status);
  std::sort(known.begin(), known.end(),
            [](const Known& a, const Known& b) { return a.state.last_seen < b.state.last_seen; });
  // Who wrote last counts as if it wrote now, and the others were idle for as long before that as
  // their stamps say: by the clock of the run that wrote them, whatever this one's is.
  for (const Known& k : known) {
    const std::chrono::milliseconds idle{known.back().state.last_seen.value() -
                                         k.state.last_seen.value()};
    producers_.restore(k.key.partition, k.key.producer, k.state,
                       now_ - std::min(idle, Producers::kMinIdle));
  }
  return {};
}

Status Recovery::load_segments(const Topics& topics, SegmentLedger& segments) {
  RUNNEL_TRY(
      index_.scan_prefix(Family::kIndex, keys::kSpans, [&](std::string_view key, std::string_view) {
        const auto span = keys::parse_span(key);
        if (span && topics.partition(span->partition)) {
          segments.add(span->segment);
        }
        return true;
      }));
  for (const auto& partition : topics.all_partitions()) {
    const Span open = partition->view().open_span;
    if (open.segment != 0) segments.add(open.segment);
  }
  return {};
}

}  // namespace runnel::storage
