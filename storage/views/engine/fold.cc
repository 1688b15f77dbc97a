#include "storage/views/engine/fold.h"

#include <algorithm>

#include "protocol/base/assert.h"
#include "storage/views/engine/key_encoding.h"
#include "storage/views/plan/max_ahead.h"
#include "storage/views/types/time_text.h"

namespace runnel::storage::views {
namespace {

constexpr std::int64_t kMaxInstant = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kMicrosPerMilli = 1000;

Error damaged(std::string_view what) {
  return Error(ErrorCode::kCorrupt, "a view's stored " + std::string(what) + " is damaged");
}

bool reads_window(const Program& program, const SourcePlan& source) {
  if (!program) return false;
  const auto slots = program.slots();
  return std::any_of(slots.begin(), slots.end(), [&](Slot slot) {
    return slot == source.window_start_slot() || slot == source.window_end_slot();
  });
}

}  // namespace

Result<std::unique_ptr<ViewFold>> ViewFold::open(const ViewPlan& plan, FoldOptions options,
                                                 const StateReader& store) {
  RUNNEL_TRY_ASSIGN(Windows windows, Windows::make(plan.window));
  std::unique_ptr<ViewFold> fold(new ViewFold(plan, options, store, std::move(windows)));
  const std::string cursors = key_prefix(options.id, Space::kCursors);
  bool fresh = true;
  RUNNEL_TRY(store.scan(cursors, behind_prefix(cursors),
                        [&](std::string_view, std::string_view) { return fresh = false; }));
  fold->known_from_ = kNoTime;
  if (!fresh) fold->know_less(kNoTime);
  RUNNEL_TRY(fold->load_ring());
  return fold;
}

ViewFold::ViewFold(const ViewPlan& plan, FoldOptions options, const StateReader& store,
                   Windows windows)
    : plan_(plan),
      options_(options),
      store_(store),
      windows_(std::move(windows)),
      aggregates_(plan.aggregates,
                  plan.window.kind == sql::WindowKind::kSession ? Aggregates::Sessions::kYes
                                                                : Aggregates::Sessions::kNo,
                  options.max_distinct_values),
      group_prefix_(key_prefix(options.id, Space::kGroups)),
      keeps_errors_as_null_(plan.source.on_error == sql::OnError::kNull),
      cache_(aggregates_),
      ring_(options.id, options.keep_changes),
      inputs_(1) {
  filter_reads_window_ = reads_window(plan.filter, plan.source);
  for (const AggregatePlan& aggregate : plan.aggregates) {
    for (const Program* program : {&aggregate.argument, &aggregate.second, &aggregate.filter}) {
      inputs_read_window_ = inputs_read_window_ || reads_window(*program, plan.source);
    }
  }
}

bool ViewFold::windows_follow_time() const noexcept {
  switch (windows_.kind()) {
    case sql::WindowKind::kTumble:
    case sql::WindowKind::kHop:
    case sql::WindowKind::kCumulate:
      return plan_.source.watermark && plan_.source.watermark->column == plan_.window.time;
    case sql::WindowKind::kNone:
    case sql::WindowKind::kSession:
      break;
  }
  return false;
}

void ViewFold::know_less(std::int64_t start) noexcept {
  known_from_ = windows_follow_time() ? std::max(known_from_, start + 1) : Partition::kNever;
}

Result<ViewFold::Partition*> ViewFold::partition_of(std::uint32_t number) {
  if (last_partition_ != nullptr && last_partition_->number == number) return last_partition_;
  const auto [at, fresh] = partitions_.try_emplace(number);
  Partition& partition = at->second;
  if (fresh) {
    partition.number = number;
    const auto loaded = [&]() -> Status {
      std::string value;
      RUNNEL_TRY_ASSIGN(const bool found,
                        store_.get(partition_key(options_.id, Space::kCursors, number), value));
      if (found && !partition.cursor.decode(as_bytes(value))) return fail(damaged("cursor"));
      return load_expiry(partition);
    }();
    if (!loaded) {
      partitions_.erase(at);
      return fail(loaded.error());
    }
    if (partition.cursor.groups > 0) know_less(partition.cursor.max_time);
  }
  last_partition_ = &partition;
  return last_partition_;
}

Result<Cursor> ViewFold::cursor(std::uint32_t partition) {
  RUNNEL_TRY_ASSIGN(const Partition* found, partition_of(partition));
  return found->cursor;
}

Status ViewFold::advance(std::uint32_t partition, std::int64_t next) {
  RUNNEL_TRY_ASSIGN(Partition* const found, partition_of(partition));
  if (next <= found->cursor.next) return {};
  found->cursor.next = next;
  found->touched = true;
  return {};
}

std::int64_t ViewFold::watermark_of(const Partition& partition) const noexcept {
  if (!plan_.source.watermark) return kNoTime;
  return before_by(partition.cursor.max_time, plan_.source.watermark->delay_micros);
}

std::int64_t ViewFold::horizon_of(const Partition& partition) const noexcept {
  if (!expires()) return kNoTime;
  const std::int64_t delay = plan_.source.watermark ? plan_.source.watermark->delay_micros : 0;
  return before_by(before_by(partition.cursor.max_time, delay), *plan_.options.retention_micros);
}

bool ViewFold::leaves_out(Partition& partition, std::int64_t end) {
  const bool expired = expires() && end <= horizon_of(partition);
  const bool late = plan_.source.watermark.has_value() && end <= watermark_of(partition);
  if (!expired && !late) return false;
  if (!expired && plan_.options.late == LatePolicy::kUpdate) {
    ++partition.cursor.counters.late_updates;
    return false;
  }
  ++left_out_;
  return true;
}

bool ViewFold::is_too_far_ahead(Cursor& cursor, const FoldRow& row) const noexcept {
  if (!plan_.source.watermark || plan_.options.max_ahead_micros == kNoMaxAhead) return false;
  cursor.max_stamp = std::max(cursor.max_stamp, row.timestamp);
  const std::int64_t stamp = row.timestamp < 0 ? cursor.max_stamp : row.timestamp;
  if (row.event_time == kNoTime || stamp < 0) return false;
  std::int64_t latest = 0;  // above what fits, no time is too far ahead
  return !__builtin_mul_overflow(stamp, kMicrosPerMilli, &latest) &&
         !__builtin_add_overflow(latest, plan_.options.max_ahead_micros, &latest) &&
         row.event_time > latest;
}

Status ViewFold::add(std::uint32_t number, const FoldRow& row) {
  RUNNEL_TRY_ASSIGN(Partition* const partition, partition_of(number));
  Cursor& cursor = partition->cursor;
  if (row.offset < cursor.next) return {};
  cursor.next = row.offset + 1;
  partition->touched = true;
  ++cursor.counters.records;
  arena_.clear();
  if (row.error == RowError::kNoValue || row.error == RowError::kNoMatch) {
    ++cursor.counters.filtered;
    return {};
  }
  if (row.error != RowError::kNone) {
    refuse(*partition, row, row.error);
    return {};
  }
  if (is_too_far_ahead(cursor, row)) {
    FoldRow refused = row;
    refused.path = plan_.source.columns[plan_.source.watermark->column].path_text;
    refuse(*partition, refused, RowError::kTooFarAhead);
    return {};
  }
  // Every group that is stored begins at this at the latest: load() goes by that.
  if (row.event_time > cursor.max_time) {
    cursor.max_time = row.event_time;
    RUNNEL_TRY(expire(*partition));
  }
  bool filtered = false;
  const std::uint64_t late_updates = cursor.counters.late_updates;
  const RowError error = collect(*partition, row, filtered);
  if (error != RowError::kNone) {
    cursor.counters.late_updates = late_updates;
    refuse(*partition, row, error);
    return {};
  }
  if (filtered) {
    ++cursor.counters.filtered;
    return {};
  }
  RUNNEL_TRY(apply(*partition, row));
  conclude(*partition, row);
  return {};
}

RowError ViewFold::passes(const FoldRow& row, bool& out) {
  out = true;
  if (!plan_.filter) return RowError::kNone;
  const RowError error = plan_.filter.passes(row.values, arena_, out);
  if (error == RowError::kNone || !keeps_errors_as_null_) return error;
  out = false;
  return RowError::kNone;
}

RowError ViewFold::collect(Partition& partition, const FoldRow& row, bool& filtered) {
  targets_.clear();
  keys_.clear();
  applied_ = left_out_ = no_room_ = 0;
  if (!filter_reads_window_) {
    bool through = true;
    const RowError error = passes(row, through);
    filtered = !through;
    if (error != RowError::kNone || filtered) return error;
  }
  if (!inputs_read_window_) {
    const RowError error =
        aggregates_.evaluate(row.values, arena_, keeps_errors_as_null_, inputs_[0]);
    if (error != RowError::kNone) return error;
  }
  if (windows_.kind() == sql::WindowKind::kNone) {
    // Without a window a record is as late as its own moment.
    const std::int64_t end = row.event_time == kNoTime ? kMaxInstant : row.event_time + 1;
    if (leaves_out(partition, end)) return RowError::kNone;
    return collect_window(partition, row, {kNoTime, kMaxInstant}, filtered);
  }
  const Value& time = row.values[plan_.window.time];
  if (time.is_null()) return RowError::kNullTime;
  const std::int64_t instant = time.as_timestamp();
  if (instant < kMinTimestamp || instant > kMaxTimestamp) return RowError::kOutOfRange;
  if (windows_.kind() == sql::WindowKind::kSession) {
    return collect_window(partition, row, {instant, instant + windows_.gap_micros()}, filtered);
  }
  bool all_filtered = true;
  for (const WindowSpan& span : windows_.of(instant)) {
    if (leaves_out(partition, span.end)) {
      all_filtered = false;
      continue;
    }
    row.values[plan_.source.window_start_slot()] = Value::timestamp(span.start);
    row.values[plan_.source.window_end_slot()] = Value::timestamp(span.end);
    bool window_filtered = false;
    const RowError error = collect_window(partition, row, span, window_filtered);
    if (error != RowError::kNone) return error;
    all_filtered = all_filtered && window_filtered;
  }
  filtered = all_filtered;
  return RowError::kNone;
}

RowError ViewFold::collect_window(Partition& partition, const FoldRow& row, const WindowSpan& span,
                                  bool& filtered) {
  Target target{span, keys_.size(), 0, 0};
  if (filter_reads_window_) {
    bool through = true;
    const RowError error = passes(row, through);
    filtered = !through;
    if (error != RowError::kNone || filtered) return error;
  }
  if (inputs_read_window_) {
    target.inputs = targets_.size();
    if (inputs_.size() <= target.inputs) inputs_.resize(target.inputs + 1);
    const RowError error =
        aggregates_.evaluate(row.values, arena_, keeps_errors_as_null_, inputs_[target.inputs]);
    if (error != RowError::kNone) return error;
  }
  const RowError error = append_key(row, span);
  if (error != RowError::kNone) return error;
  char bytes[kPartitionBytes];
  store_be(bytes, partition.number);
  keys_.append(bytes, sizeof bytes);
  target.key_bytes = keys_.size() - target.key_at;
  if (target.key_bytes > kMaxGroupKeyBytes) return RowError::kKeyTooLarge;
  targets_.push_back(target);
  return RowError::kNone;
}

RowError ViewFold::append_key(const FoldRow& row, const WindowSpan& span) {
  const bool session = windows_.kind() == sql::WindowKind::kSession;
  for (const KeyPlan& key : plan_.keys) {
    Value value;
    if (key.role == KeyRole::kExpression) {
      if (const auto column = key.program.column()) {
        value = row.values[*column];
      } else {
        const RowError error = key.program.evaluate(row.values, arena_, value);
        if (error != RowError::kNone && !keeps_errors_as_null_) return error;
        if (error != RowError::kNone) value = Value::null();
      }
    } else {
      if (session) continue;  // stands behind the partition
      value = Value::timestamp(key.role == KeyRole::kWindowStart ? span.start : span.end);
    }
    encode_key(key.type, value, keys_);
  }
  return RowError::kNone;
}

Status ViewFold::apply(Partition& partition, const FoldRow& row) {
  for (const Target& target : targets_) {
    if (windows_.kind() == sql::WindowKind::kSession) {
      RUNNEL_TRY(apply_session(partition, row, target));
    } else {
      RUNNEL_TRY(apply_target(partition, row, target));
    }
  }
  return {};
}

Status ViewFold::apply_target(Partition& partition, const FoldRow& row, const Target& target) {
  const std::string_view key = std::string_view(keys_).substr(target.key_at, target.key_bytes);
  RUNNEL_TRY_ASSIGN(Group * group, load(key, target.span.start));
  if (group == nullptr) {
    if (is_full(partition)) {
      ++no_room_;
      return {};
    }
    group = create(partition, key, last_end_of(target.span));
  }
  group->window_start = target.span.start;
  aggregates_.add(group->state(), inputs_[target.inputs],
                  {row.event_time, partition.number, row.offset});
  if (group->extras != nullptr) cache_.recharge(group);
  mark_dirty(group);
  ++applied_;
  return {};
}

std::int64_t ViewFold::last_end_of(const WindowSpan& span) {
  if (windows_.kind() != sql::WindowKind::kCumulate) return span.end;
  const bool by_end = std::any_of(plan_.keys.begin(), plan_.keys.end(), [](const KeyPlan& key) {
    return key.role == KeyRole::kWindowEnd;
  });
  return by_end ? span.end : windows_.end_of(span.start);
}

void ViewFold::conclude(Partition& partition, const FoldRow& row) {
  Counters& counters = partition.cursor.counters;
  counters.overflows += no_room_;
  if (applied_ > 0) {
    ++counters.applied;
    counters.late_windows += left_out_;
    return;
  }
  if (no_room_ > 0) return refuse(partition, row, RowError::kTooManyGroups);
  ++counters.late;
  if (plan_.options.late == LatePolicy::kDeadLetter) {
    write_dead_letter(partition, row, RowError::kLate);
  }
}

void ViewFold::refuse(Partition& partition, const FoldRow& row, RowError error) {
  ++partition.cursor.counters.errors;
  if (plan_.source.on_error == sql::OnError::kDeadLetter) write_dead_letter(partition, row, error);
}

void ViewFold::write_dead_letter(const Partition& partition, const FoldRow& row, RowError error) {
  if (!options_.keep_letters) return;
  std::string key = partition_key(options_.id, Space::kDeadLetters, partition.number);
  char offset[8];
  store_be(offset, row.offset);
  key.append(offset, sizeof offset);
  ByteWriter letter;
  letter.le(std::uint8_t{1}).text(name_of(error)).text(row.path).le(row.timestamp);
  letter.le(std::uint8_t{row.key.has_value()}).text(row.key.value_or("")).text(row.raw);
  extra_writes_.put(key, letter.str());
  ++letters_;
}

Result<Group*> ViewFold::load(std::string_view key, std::int64_t window_start) {
  const std::uint64_t hash = GroupCache::hash_of(key);
  if (Group* const group = cache_.find(key, hash)) return group->erased ? nullptr : group;
  if (window_start >= known_from_ || !filter_.may_have(hash)) return nullptr;
  stored_key_.assign(group_prefix_).append(key);
  RUNNEL_TRY_ASSIGN(const bool found, store_.get(stored_key_, value_));
  if (!found) {
    ++absent_;
    return nullptr;
  }
  Group* const group = cache_.add(key, hash);
  group->stored = true;
  if (!aggregates_.decode(as_bytes(value_), group->state())) return fail(damaged("group"));
  if (aggregates_.sketches() > 0) RUNNEL_TRY(load_chunks(stored_key_, group));
  cache_.recharge(group);
  return group;
}

Status ViewFold::load_chunks(std::string_view stored_key, Group* group) {
  const std::string prefix(stored_key);
  bool sound = true;
  RUNNEL_TRY(
      store_.scan(prefix, behind_prefix(prefix), [&](std::string_view key, std::string_view value) {
        const std::string_view suffix = key.substr(prefix.size());
        if (suffix.empty()) return true;
        const auto sketch = static_cast<std::uint8_t>(suffix.front());
        sound = suffix.size() == kChunkSuffixBytes && sketch < aggregates_.sketches() &&
                group->extras->sketches[sketch]->load_chunk(as_bytes(value));
        return sound;
      }));
  if (!sound) return fail(damaged("aggregate"));
  return {};
}

Group* ViewFold::create(Partition& partition, std::string_view key, std::int64_t end) {
  ++partition.cursor.groups;
  if (expires()) expect_end(partition, end, key);
  const std::uint64_t hash = GroupCache::hash_of(key);
  filter_.add(hash);
  Group* const erased = cache_.find(key, hash);
  if (erased == nullptr) return cache_.add(key, hash);
  // A session that expired or was joined since the last write comes back: late events opened one
  // behind it and led that to the same start. What was erased of it is written after the erasing.
  RUNNEL_ASSERT(erased->erased);
  aggregates_.initialize(erased->state());
  erased->erased = false;
  return erased;
}

void ViewFold::mark_dirty(Group* group) {
  if (group->dirty) return;
  group->dirty = true;
  dirty_.push_back(group);
}

Status ViewFold::erase(Partition& partition, std::string_view key) {
  --partition.cursor.groups;
  const std::string stored_key = group_prefix_ + std::string(key);
  Group* const group = cache_.find(key, GroupCache::hash_of(key));
  if (group == nullptr || group->stored) {
    extra_writes_.erase(stored_key);
    if (aggregates_.sketches() > 0) {
      RUNNEL_TRY(store_.scan(stored_key, behind_prefix(stored_key),
                             [&](std::string_view found, std::string_view) {
                               if (found != stored_key) extra_writes_.erase(found);
                               return true;
                             }));
    }
  }
  if (group == nullptr) return {};
  group->erased = true;
  mark_dirty(group);
  return {};
}

}  // namespace runnel::storage::views
