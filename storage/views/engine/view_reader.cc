#include "storage/views/engine/view_reader.h"

#include <algorithm>
#include <limits>

#include "storage/views/engine/distinct_values.h"
#include "storage/views/engine/key_encoding.h"

namespace runnel::storage::views {
namespace {

constexpr std::size_t kStartBytes = 8;

tl::unexpected<Error> damaged() {
  return fail(ErrorCode::kCorrupt,
              "a view's stored state is damaged: drop the view and create it "
              "anew, it is computed from the log again");
}

}  // namespace

ViewReader::ViewReader(const ViewPlan& plan, ViewId id, const StateReader& state, Windows windows)
    : plan_(plan),
      id_(id),
      state_(state),
      windows_(std::move(windows)),
      aggregates_(plan.aggregates,
                  windows_.kind() == sql::WindowKind::kSession ? Aggregates::Sessions::kYes
                                                               : Aggregates::Sessions::kNo,
                  kMaxDistinctValues),
      sum_(make_state()),
      part_(make_state()) {}

ViewReader::Owned ViewReader::make_state() const {
  return {std::string(aggregates_.block_bytes(), '\0'), aggregates_.make_extras()};
}

Result<std::unique_ptr<ViewReader>> ViewReader::open(const ViewPlan& plan, ViewId id,
                                                     const StateReader& state) {
  RUNNEL_TRY_ASSIGN(Windows windows, Windows::make(plan.window));
  std::unique_ptr<ViewReader> reader(new ViewReader(plan, id, state, std::move(windows)));
  RUNNEL_TRY(reader->load_cursors());
  return reader;
}

Status ViewReader::load_cursors() {
  const std::string prefix = key_prefix(id_, Space::kCursors);
  bool sound = true;
  RUNNEL_TRY(
      state_.scan(prefix, behind_prefix(prefix), [&](std::string_view key, std::string_view value) {
        const auto partition = load_be<std::uint32_t>(key.data() + kKeyPrefixBytes);
        if (partition == kNoPartition) {
          sound = value.size() == sizeof sequence_;
          if (sound) sequence_ = load_le<std::uint64_t>(value.data());
          return sound;
        }
        sound = cursors_.emplace_back(partition, Cursor{}).second.decode(as_bytes(value));
        return sound;
      }));
  if (!sound) return damaged();
  std::int64_t least = std::numeric_limits<std::int64_t>::max();
  const std::int64_t delay = plan_.source.watermark ? plan_.source.watermark->delay_micros : 0;
  for (const auto& [partition, cursor] : cursors_) {
    const std::int64_t watermark = before_by(cursor.max_time, delay);
    least = std::min(least, watermark);
    if (!plan_.options.retention_micros) continue;
    horizon_ = std::max(horizon_, before_by(watermark, *plan_.options.retention_micros));
  }
  if (!cursors_.empty() && plan_.source.watermark) watermark_ = least;
  return {};
}

Counters ViewReader::totals() const noexcept {
  Counters sum;
  for (const auto& [partition, cursor] : cursors_) sum += cursor.counters;
  return sum;
}

Result<std::pair<std::string, std::string>> ViewReader::bounds_of(const ReadRange& range) const {
  const std::string prefix = key_prefix(id_, Space::kGroups);
  std::string begin = prefix;
  std::size_t column = 0;
  const auto next_column = [&]() -> const KeyPlan* {
    while (is_session() && column < plan_.keys.size() &&
           plan_.keys[column].role != KeyRole::kExpression) {
      ++column;
    }
    return column < plan_.keys.size() ? &plan_.keys[column++] : nullptr;
  };
  for (const Value& value : range.prefix) {
    const KeyPlan* const key = next_column();
    if (key == nullptr) {
      return fail(ErrorCode::kInvalidArgument, "the view has fewer group columns than were given");
    }
    encode_key(key->type, value, begin);
  }
  std::string end = behind_prefix(begin);
  const auto raised = [&] { return std::max(begin, prefix + range.at_least); };
  if (!range.from && !range.before) return std::pair(raised(), end);
  const KeyPlan* const key = next_column();
  if (key == nullptr) {
    return fail(ErrorCode::kInvalidArgument, "the view has no group column behind those given");
  }
  if (range.before) {
    end = begin;
    encode_key(key->type, *range.before, end);
  }
  if (range.from) encode_key(key->type, *range.from, begin);
  return std::pair(raised(), end);
}

Status ViewReader::read(const ReadRange& range, const Visit& visit) {
  RUNNEL_TRY_ASSIGN(const auto bounds, bounds_of(range));
  RUNNEL_TRY(scan(bounds.first, bounds.second, visit));
  // A view without group columns has its one group from the beginning.
  if (plan_.keys.empty() && !emitted_ && going_on_) {
    Owned empty = make_state();
    visit_ = &visit;
    emit({}, empty.ref(), 0);
    visit_ = nullptr;
  }
  return {};
}

Status ViewReader::read_after(std::string_view key, const Visit& visit) {
  const std::string prefix = key_prefix(id_, Space::kGroups);
  return scan(behind_prefix(prefix + std::string(key)), behind_prefix(prefix), visit);
}

Result<bool> ViewReader::read_group(std::string_view key, const Visit& visit) {
  RUNNEL_TRY(read_groups(std::span(&key, 1), visit));
  return emitted_;
}

Status ViewReader::read_groups(std::span<const std::string_view> keys, const Visit& visit) {
  const std::string prefix = key_prefix(id_, Space::kGroups);
  if (is_session() || aggregates_.sketches() > 0) {
    for (const std::string_view key : keys) {
      key_.assign(prefix).append(key);
      RUNNEL_TRY(scan(key_, behind_prefix(key_), visit));
      if (!going_on_) break;
    }
    return {};
  }
  // One entry of each partition and nothing else: quicker to look up than to look for.
  begin_visit(visit);
  entries_.resize(keys.size() * cursors_.size());
  wanted_.clear();
  for (const std::string_view key : keys) {
    for (const auto& [partition, cursor] : cursors_) {
      std::string& entry = entries_[wanted_.size()];
      entry.assign(prefix).append(key).resize(prefix.size() + key.size() + kPartitionBytes);
      store_be(entry.data() + entry.size() - kPartitionBytes, partition);
      wanted_.push_back(entry);
    }
  }
  RUNNEL_TRY(state_.get_each(wanted_, [&](std::string_view entry, std::string_view value) {
    entry.remove_prefix(kKeyPrefixBytes);
    entry.remove_suffix(kPartitionBytes);
    sound_ = begin_state(entry, {}, value) && sound_;
    return sound_ && going_on_;
  }));
  return end_visit();
}

Status ViewReader::scan(const std::string& begin, const std::string& end, const Visit& visit) {
  begin_visit(visit);
  if (end.empty() || begin < end) {
    RUNNEL_TRY(state_.scan(begin, end, [&](std::string_view key, std::string_view value) {
      sound_ = take(key.substr(kKeyPrefixBytes), value) && sound_;
      return sound_ && going_on_;
    }));
  }
  return end_visit();
}

void ViewReader::begin_visit(const Visit& visit) {
  visit_ = &visit;
  going_on_ = true;
  sound_ = true;
  emitted_ = false;
  parts_ = 0;
  session_parts_.clear();
}

Status ViewReader::end_visit() {
  if (sound_ && going_on_) finish_group();
  visit_ = nullptr;
  if (!sound_) return damaged();
  return {};
}

bool ViewReader::take(std::string_view key, std::string_view value) {
  std::string_view tail = key;
  for (const KeyPlan& column : plan_.keys) {
    if (is_session() && column.role != KeyRole::kExpression) continue;
    if (!skip_key(column.type, tail)) return false;
  }
  const std::string_view columns = key.substr(0, key.size() - tail.size());
  const std::size_t whole = kPartitionBytes + (is_session() ? kStartBytes : 0);
  if (tail.size() == whole) return begin_state(columns, tail, value);
  if (tail.size() != whole + kChunkSuffixBytes || chunks_of_ == nullptr) return false;
  const auto sketch = static_cast<std::uint8_t>(tail[whole]);
  return sketch < aggregates_.sketches() &&
         chunks_of_->sketches[sketch]->load_chunk(as_bytes(value));
}

bool ViewReader::begin_state(std::string_view columns, std::string_view tail,
                             std::string_view value) {
  if ((parts_ > 0 || !session_parts_.empty()) && columns != columns_) {
    finish_group();
    if (!going_on_) return true;
  }
  columns_.assign(columns);
  if (is_session()) {
    SessionPart part{load_ordered(tail.data() + kPartitionBytes),
                     load_be<std::uint32_t>(tail.data()), std::make_unique<Owned>(make_state())};
    session_parts_.push_back(std::move(part));
    Owned& state = *session_parts_.back().state;
    chunks_of_ = &state.extras;
    return aggregates_.decode(as_bytes(value), state.ref());
  }
  if (parts_ > 1) aggregates_.merge(sum_.ref(), part_.ref());
  Owned& state = parts_ == 0 ? sum_ : part_;
  ++parts_;
  aggregates_.initialize(state.ref());
  chunks_of_ = &state.extras;
  return aggregates_.decode(as_bytes(value), state.ref());
}

void ViewReader::finish_group() {
  if (is_session()) return finish_sessions();
  if (parts_ == 0) return;
  if (parts_ > 1) aggregates_.merge(sum_.ref(), part_.ref());
  parts_ = 0;
  emit(columns_, sum_.ref(), 0);
}

/// Sessions of several partitions that are less than the gap apart are one.
void ViewReader::finish_sessions() {
  std::sort(session_parts_.begin(), session_parts_.end(),
            [](const SessionPart& a, const SessionPart& b) {
              return std::pair(a.start, a.partition) < std::pair(b.start, b.partition);
            });
  for (std::size_t i = 0; i < session_parts_.size() && going_on_;) {
    const StateRef sum = session_parts_[i].state->ref();
    const std::int64_t start = session_parts_[i].start;
    for (++i; i < session_parts_.size(); ++i) {
      const StateRef next = session_parts_[i].state->ref();
      const std::int64_t last = Aggregates::last_time(sum);
      if (session_parts_[i].start - last >= windows_.gap_micros()) break;
      aggregates_.merge(sum, next);
      Aggregates::set_last_time(sum, std::max(last, Aggregates::last_time(next)));
    }
    emit(columns_, sum, start);
  }
  session_parts_.clear();
}

bool ViewReader::fill_keys(std::string_view columns, const StateRef& state, std::int64_t start,
                           std::int64_t& end) {
  groups_.clear();
  end = std::numeric_limits<std::int64_t>::max();
  if (is_session()) end = Aggregates::last_time(state) + windows_.gap_micros();
  bool known_end = is_session();
  for (const KeyPlan& key : plan_.keys) {
    Value& value = groups_.emplace_back();
    if (is_session() && key.role != KeyRole::kExpression) {
      value = Value::timestamp(key.role == KeyRole::kWindowStart ? start : end);
      continue;
    }
    if (!decode_key(key.type, columns, arena_, value)) return false;
    if (value.tag() != Tag::kTimestamp) continue;
    if (key.role == KeyRole::kWindowEnd) {
      end = value.as_timestamp();
      known_end = true;
    } else if (key.role == KeyRole::kWindowStart && !known_end) {
      end = windows_.end_of(value.as_timestamp());
    }
  }
  return true;
}

void ViewReader::emit(std::string_view columns, StateRef state, std::int64_t start) {
  arena_.clear();
  std::int64_t end = 0;
  if (!fill_keys(columns, state, start, end)) {
    sound_ = false;
    return;
  }
  if (windows_.kind() != sql::WindowKind::kNone && end <= horizon_) return;
  ReadRow row;
  const auto note = [&](RowError error) {
    if (row.error == RowError::kNone) row.error = error;
    return error == RowError::kNone;
  };
  for (std::size_t i = 0; i < aggregates_.size(); ++i) {
    note(aggregates_.finish(i, state, arena_, groups_.emplace_back()));
  }
  if (plan_.having) {
    bool through = false;
    // What can't be decided is shown with its error, not hidden.
    if (note(plan_.having.passes(groups_, arena_, through)) && !through) return;
  }
  outputs_.assign(plan_.outputs.size(), Value::null());
  for (std::size_t i = 0; i < outputs_.size(); ++i) {
    note(plan_.outputs[i].program.evaluate(groups_, arena_, outputs_[i]));
  }
  row.groups = groups_;
  row.outputs = outputs_;
  row.key = columns;
  row.overflow = aggregates_.overflow(state);
  row.final = windows_.kind() != sql::WindowKind::kNone && end <= watermark_;
  emitted_ = true;
  going_on_ = (*visit_)(row);
}

}  // namespace runnel::storage::views
