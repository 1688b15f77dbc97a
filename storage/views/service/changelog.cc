#include "storage/views/service/changelog.h"

#include <algorithm>
#include <limits>

#include "protocol/record_batch/partitioner.h"
#include "storage/views/engine/key_encoding.h"
#include "storage/views/query/format.h"

namespace runnel::storage::views {
namespace {

/// Of one commit; a group's rows are never torn apart.
constexpr std::size_t kChunkRows = 1'000;
constexpr std::size_t kChunkBytes = 1u << 20;
/// Of a record besides key and value, generously: its headers too.
constexpr std::size_t kRecordOverhead = 128;
constexpr std::size_t kEndBytes = 8;

bool is_session(const ViewPlan& plan) {
  return plan.window.kind == sql::WindowKind::kSession;
}

SourceOffsets offsets_of(const ViewReader& reader) {
  SourceOffsets offsets;
  for (const auto& [partition, cursor] : reader.cursors()) offsets[partition] = cursor.next;
  return offsets;
}

bool has_reached(const SourceOffsets& state, const SourceOffsets& goal) {
  return std::all_of(goal.begin(), goal.end(), [&](const auto& one) {
    const auto at = state.find(one.first);
    return one.second <= (at == state.end() ? 0 : at->second);
  });
}

/// A group of one has the same key in the other.
bool same_keys(const ViewPlan& a, const ViewPlan& b) {
  return !is_session(a) && !is_session(b) &&
         std::equal(a.keys.begin(), a.keys.end(), b.keys.begin(), b.keys.end(),
                    [](const KeyPlan& x, const KeyPlan& y) {
                      return x.name == y.name && x.type == y.type && x.role == y.role;
                    });
}

}  // namespace

Status ensure_changelog_topic(Store& store, const std::string& topic, std::size_t partitions) {
  TopicSpec spec;
  spec.name = topic;
  spec.partitions = static_cast<std::int32_t>(partitions);
  spec.configs["cleanup.policy"] = "compact";
  const auto made = store.create_topic(spec);
  if (!made && made.error().code() != ErrorCode::kTopicExists) return fail(made.error());
  return {};
}

Result<std::unique_ptr<Changelog>> Changelog::open(Store& store, Clock& clock, const ViewPlan& plan,
                                                   ViewId id) {
  std::unique_ptr<Changelog> made(new Changelog(store, clock, plan, id));
  const std::string& topic = *plan.options.changelog_topic;
  auto info = store.describe_topic(topic);
  if (!info) {
    return fail(info.error().within("the changelog topic of " + plan.name + ", " + topic));
  }
  made->topic_ = info->id;
  for (const PartitionInfo& one : info->partitions) {
    RUNNEL_TRY_ASSIGN(PartitionRef partition, store.partition(topic, one.index));
    made->most_bytes_.push_back(
        static_cast<std::size_t>(store.record_rules(partition).max_batch_bytes));
    made->targets_.push_back(std::move(partition));
  }
  made->builders_.resize(made->targets_.size());
  RUNNEL_TRY(made->load());
  return made;
}

Changelog::Changelog(Store& store, Clock& clock, const ViewPlan& plan, ViewId id)
    : store_(store),
      clock_(clock),
      plan_(plan),
      id_(id),
      generation_(std::to_string(id.generation)) {
  for (const OutputPlan& output : plan.outputs) columns_.push_back({output.name, output.type});
  const bool has_start = std::any_of(plan.keys.begin(), plan.keys.end(), [](const KeyPlan& key) {
    return key.role == KeyRole::kWindowStart;
  });
  for (std::size_t i = 0; i < plan.keys.size(); ++i) {
    // A session that grows is the same session.
    if (is_session(plan) && has_start && plan.keys[i].role == KeyRole::kWindowEnd) continue;
    key_columns_.push_back(i);
    key_names_.push_back({plan.keys[i].name, plan.keys[i].type});
  }
}

Status Changelog::load() {
  const std::string key = changelog_key(id_);
  RUNNEL_TRY_ASSIGN(const StateEntries entries, store_.read_state(key));
  place_ = ChangelogPlace();
  for (const auto& [found, value] : entries) {
    if (found == key && !place_.decode(value)) {
      return fail(ErrorCode::kCorrupt, "the entry " + key + " is damaged");
    }
  }
  if (place_.topic != topic_) place_ = ChangelogPlace();
  place_.topic = topic_;
  stale_ = false;
  return {};
}

// ---------------------------------------------------------------- where it is
Status Changelog::begin(const SourceOffsets& state) {
  if (stale_) RUNNEL_TRY(load());
  silent_ = place_.told && !has_reached(state, *place_.told);
  goal_ = silent_ ? place_.told : place_.next;
  return {};
}

Offset Changelog::limit(std::uint32_t partition) const {
  if (!goal_) return Offset(std::numeric_limits<std::int64_t>::max());
  const auto found = goal_->find(partition);
  return Offset(found == goal_->end() ? 0 : found->second);
}

bool Changelog::holds(const SourceOffsets& state) const {
  // What is told is the difference from what was told before: that has to be there until then.
  return goal_ && !silent_ && place_.told && !has_reached(state, *goal_);
}

Status Changelog::pass(const StateReader& state, const StateWrites& writes) {
  if (silent_ || (place_.told && !place_.next && writes.empty())) return {};
  // What was committed counts, not what was tried; a pass may also end by an exception.
  drop_begun();
  stale_ = true;
  const Status told = tell(state, WrittenState(state, writes));
  stale_ = !told;
  if (told) return {};
  const ErrorCode code = told.error().code();
  if (code != ErrorCode::kUnknownTopic && code != ErrorCode::kRecordTooLarge) return told;
  return fail(ErrorCode::kInvalidArgument, "its changes can't be written to the topic " +
                                               *plan_.options.changelog_topic + ": " +
                                               told.error().message());
}

Status Changelog::tell(const StateReader& state, const WrittenState& then) {
  RUNNEL_TRY_ASSIGN(const auto after, ViewReader::open(plan_, id_, then));
  if (goal_ && !has_reached(offsets_of(*after), *goal_)) return {};
  if (!place_.told) return tell_all(*after);
  RUNNEL_TRY_ASSIGN(const auto before, ViewReader::open(plan_, id_, state));
  RUNNEL_TRY_ASSIGN(const auto groups, changed_groups(*before, *after, state, then));
  return tell_changes(*before, *after, groups);
}

void Changelog::drop_begun() {
  rows_ = bytes_ = 0;
  appends_.clear();
  for (protocol::BatchBuilder& builder : builders_) builder = protocol::BatchBuilder();
  trouble_ = Status();
}

// ---------------------------------------------------------------- rows
Changelog::Row Changelog::row_of(const ReadRow& row) const {
  Row made;
  std::vector<Value> key;
  for (const std::size_t column : key_columns_) key.push_back(row.groups[column]);
  append_json_row(key_names_, key, made.key);
  append_json_row(columns_, row.outputs, made.value);
  made.error = row.error;
  return made;
}

Result<Changelog::RowList> Changelog::rows_of(ViewReader& reader, std::string_view group) const {
  RowList rows;
  const auto visit = [&](const ReadRow& row) {
    rows.push_back(row_of(row));
    return true;
  };
  if (plan_.keys.empty()) {
    RUNNEL_TRY(reader.read({}, visit));
  } else {
    RUNNEL_TRY(reader.read_group(group, visit));
  }
  return rows;
}

bool Changelog::columns_of(std::string_view stored_key, std::string_view& columns) const {
  std::string_view rest = stored_key;
  for (const KeyPlan& key : plan_.keys) {
    if (is_session(plan_) && key.role != KeyRole::kExpression) continue;
    if (!skip_key(key.type, rest)) return false;
  }
  columns = stored_key.substr(0, stored_key.size() - rest.size());
  return true;
}

Result<std::set<std::string>> Changelog::changed_groups(const ViewReader& before,
                                                        const ViewReader& after,
                                                        const StateReader& state,
                                                        const WrittenState& then) const {
  std::set<std::string> groups;
  bool sound = true;
  const auto note = [&](std::string_view stored_key) {
    std::string_view columns;
    sound = columns_of(stored_key, columns);
    if (sound && (groups.empty() || *groups.rbegin() != columns)) groups.emplace(columns);
    return sound;
  };
  const std::string prefix = key_prefix(id_, Space::kGroups);
  const auto& changes = then.changes();
  for (auto at = changes.lower_bound(prefix);
       sound && at != changes.end() && at->first.starts_with(prefix); ++at) {
    note(at->first.substr(prefix.size()));
  }
  // One partition's time hides windows of all of them.
  if (sound && after.horizon() > before.horizon()) {
    std::string begin;
    std::string end;
    // A session's entry is as old as the session; it may have grown since.
    if (!is_session(plan_)) append_ordered(before.horizon(), begin);
    append_ordered(after.horizon() + 1, end);
    for (const auto& [partition, cursor] : before.cursors()) {
      const std::string entries = partition_key(id_, Space::kExpiry, partition);
      RUNNEL_TRY(
          state.scan(entries + begin, entries + end, [&](std::string_view key, std::string_view) {
            return note(key.substr(entries.size() + kEndBytes));
          }));
    }
  }
  if (!sound) return fail(ErrorCode::kCorrupt, "a view's stored group is damaged");
  return groups;
}

// ---------------------------------------------------------------- telling
Status Changelog::tell_changes(ViewReader& before, ViewReader& after,
                               const std::set<std::string>& groups) {
  const SourceOffsets now = offsets_of(after);
  auto group = place_.next ? groups.upper_bound(place_.after) : groups.begin();
  for (; group != groups.end(); ++group) {
    RUNNEL_TRY_ASSIGN(const RowList old, rows_of(before, *group));
    RUNNEL_TRY_ASSIGN(const RowList current, rows_of(after, *group));
    tell_difference(old, current);
    RUNNEL_TRY(trouble_);
    if (is_full()) RUNNEL_TRY(commit_told(now, false, *group));
  }
  // Rows that are as they were need no commit: the state may be ahead of the topic by those.
  if (rows_ == 0 && !place_.next) return {};
  return commit_told(now, true, {});
}

void Changelog::tell_difference(const RowList& before, const RowList& after) {
  for (const Row& row : before) {
    const bool stays = std::any_of(after.begin(), after.end(),
                                   [&](const Row& other) { return other.key == row.key; });
    if (!stays) add(row, true);
  }
  for (const Row& row : after) {
    if (std::find(before.begin(), before.end(), row) == before.end()) add(row, false);
  }
}

Status Changelog::tell_all(ViewReader& after) {
  const SourceOffsets now = offsets_of(after);
  std::string group;  // the one at hand
  bool any = false;
  const auto visit = [&](const ReadRow& row) {
    if (any && row.key != group && is_full()) trouble_ = commit_told(now, false, group);
    if (!trouble_) return false;
    group.assign(row.key);
    any = true;
    add(row_of(row), false);
    return trouble_.has_value();
  };
  RUNNEL_TRY(place_.next && !plan_.keys.empty() ? after.read_after(place_.after, visit)
                                                : after.read({}, visit));
  RUNNEL_TRY(trouble_);
  return commit_told(now, true, {});
}

void Changelog::add(const Row& row, bool gone) {
  const std::size_t value_bytes = gone ? 0 : row.value.size();
  const std::size_t bytes = row.key.size() + value_bytes + kRecordOverhead;
  const auto target = static_cast<std::size_t>(
      protocol::partition_for_key(row.key, static_cast<std::int32_t>(targets_.size())));
  const std::size_t most = most_bytes_[target];
  if (protocol::kBatchHeaderBytes + bytes > most) {
    trouble_ = fail(ErrorCode::kRecordTooLarge,
                    "the row " + row.key.substr(0, 200) + " takes " + std::to_string(bytes) +
                        " bytes, and the topic's max.message.bytes is " + std::to_string(most) +
                        "; raise it, and RESUME");
    return;
  }
  if (builders_[target].bytes() + bytes > most) finish_batch(target);
  std::vector<protocol::RecordHeader> headers{{"runnel.generation", generation_}};
  if (!gone && row.error != RowError::kNone)
    headers.push_back({"runnel.error", name_of(row.error)});
  protocol::NewRecord record{clock_.now(), row.key, std::nullopt, headers};
  if (!gone) record.value = row.value;
  builders_[target].add(record);
  ++rows_;
  bytes_ += bytes;
}

bool Changelog::is_full() const noexcept {
  return rows_ >= kChunkRows || bytes_ >= kChunkBytes;
}

void Changelog::finish_batch(std::size_t target) {
  if (builders_[target].count() == 0) return;
  auto batch = builders_[target].finish();
  if (!batch) {
    trouble_ = fail(batch.error());
    return;
  }
  appends_.push_back({targets_[target], std::move(*batch), {}, std::nullopt});
}

Status Changelog::commit_told(const SourceOffsets& now, bool whole, std::string_view group) {
  ChangelogPlace place = place_;
  if (whole) {
    place.told = now;
    place.next.reset();
    place.after.clear();
  } else {
    place.next = now;
    place.after = group;
  }
  return commit(std::move(place));
}

Status Changelog::commit(ChangelogPlace place) {
  for (std::size_t target = 0; target < targets_.size(); ++target) finish_batch(target);
  RUNNEL_TRY(trouble_);
  CommitRequest request;
  request.appends = std::move(appends_);
  appends_.clear();
  rows_ = bytes_ = 0;
  request.state.push_back({changelog_key(id_), place.encode()});
  CommitOutcome outcome = store_.commit_and_wait(std::move(request));
  if (!outcome.result) return fail(outcome.result.error());
  place_ = std::move(place);
  return {};
}

// ---------------------------------------------------------------- another generation
Status Changelog::give_way(const StateReader& state, const ViewPlan& heir, ViewId heir_id) {
  const auto& goal = place_.next ? place_.next : place_.told;
  if (!goal) return {};
  RUNNEL_TRY_ASSIGN(const auto old, ViewReader::open(plan_, id_, state));
  if (!has_reached(offsets_of(*old), *goal)) {
    return fail(ErrorCode::kNotAvailable,
                "the state of " + plan_.name + " is still behind its changelog topic");
  }
  RUNNEL_TRY_ASSIGN(const auto other, ViewReader::open(heir, heir_id, state));
  const bool comparable = same_keys(plan_, heir);
  ChangelogPlace nothing;
  nothing.topic = topic_;
  const auto visit = [&](const ReadRow& row) {
    if (comparable) {
      Result<bool> stays =
          plan_.keys.empty() ? true : other->read_group(row.key, [](const auto&) { return false; });
      if (!stays) trouble_ = fail(stays.error());
      if (!stays || *stays) return trouble_.has_value();
    }
    if (is_full()) trouble_ = commit(nothing);
    if (trouble_) add(row_of(row), true);
    return trouble_.has_value();
  };
  RUNNEL_TRY(old->read({}, visit));
  RUNNEL_TRY(trouble_);
  return commit(nothing);
}

}  // namespace runnel::storage::views
