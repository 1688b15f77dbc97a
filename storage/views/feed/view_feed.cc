#include "storage/views/feed/view_feed.h"

#include <algorithm>
#include <unordered_set>

#include "storage/views/engine/key_encoding.h"
#include "storage/views/plan/view_condition.h"
#include "storage/views/sql/nearest.h"
#include "storage/views/sql/parser.h"
#include "storage/views/types/within_memory.h"

namespace runnel::storage::views {
namespace {

/// Groups that a piece looks at, whether they pass the filter or not.
constexpr std::size_t kMaxGroupsOfPiece = 4096;
constexpr std::size_t kSequenceBytes = 8;

std::string ring_key(ViewId id, std::uint64_t sequence) {
  std::string key = key_prefix(id, Space::kChanges);
  char bytes[kSequenceBytes];
  store_be(bytes, sequence);
  return key.append(bytes, sizeof bytes);
}

std::vector<AnswerColumn> columns_of(const ViewPlan& plan) {
  std::vector<AnswerColumn> columns;
  for (const OutputPlan& output : plan.outputs) {
    columns.push_back(
        {output.name, output.type, output.key ? ColumnRole::kDimension : ColumnRole::kMeasure});
  }
  return columns;
}

/// The sequence of the oldest change that is kept; nothing: none is.
Result<std::optional<std::uint64_t>> oldest_change(ViewId id, const StateReader& state) {
  std::optional<std::uint64_t> oldest;
  const std::string prefix = key_prefix(id, Space::kChanges);
  RUNNEL_TRY(state.scan(prefix, behind_prefix(prefix), [&](std::string_view key, std::string_view) {
    oldest = load_be<std::uint64_t>(key.data() + kKeyPrefixBytes);
    return false;
  }));
  return oldest;
}

}  // namespace

std::vector<Position> positions_of(const ViewPlan& plan, const ViewReader& reader) {
  std::vector<Position> positions;
  for (const auto& [partition, cursor] : reader.cursors()) {
    positions.push_back({plan.source.topic, PartitionIndex(static_cast<std::int32_t>(partition)),
                         Offset(cursor.next)});
  }
  return positions;
}

Result<FeedOptions> feed_of_statement(std::string_view sql) {
  RUNNEL_TRY_ASSIGN(const sql::Statement statement, sql::parse_statement(sql));
  const auto* subscribe = std::get_if<sql::Subscribe>(&statement);
  if (subscribe == nullptr) {
    return fail(ErrorCode::kInvalidArgument, "this is no SUBSCRIBE statement");
  }
  FeedOptions options;
  options.view = subscribe->view.text;
  if (subscribe->where) options.filter = sql::to_sql(*subscribe->where);
  for (const sql::Option& option : subscribe->options) {
    const bool on = option.value.empty() || option.value == "true";
    if (!on && option.value != "false") {
      return fail(sql::error_at(
          option.name.place, option.name.text + " is true or false, not '" + option.value + "'"));
    }
    if (option.name.text == "snapshot") {
      options.snapshot = on;
    } else if (option.name.text == "progress") {
      options.progress = on;
    } else if (option.name.text == "changes") {
      options.every_change = on;
    } else {
      return fail(sql::error_at(option.name.place, "SUBSCRIBE has no option '" + option.name.text +
                                                       "'; it has snapshot, progress and changes"));
    }
  }
  return options;
}

Result<DefinitionRef> ViewFeed::find(const ReadSnapshot& snapshot) const {
  DefinitionRef view = snapshot.definitions->find(options_.view);
  if (view == nullptr) {
    std::vector<std::string_view> names;
    for (const auto& [name, one] : snapshot.definitions->all()) {
      if (one->view != nullptr) names.push_back(name);
    }
    const auto meant = sql::nearest(options_.view, names);
    return fail(ErrorCode::kNotFound,
                "there is no view '" + options_.view + "'" +
                    (meant ? "; did you mean '" + std::string(*meant) + "'?"
                           : std::string(begun_ ? " any more; it was dropped"
                                                : "; SHOW VIEWS lists those that there are")));
  }
  if (view->failure) {
    return fail(view->failure->within("view '" + options_.view +
                                      "' has failed; ALTER MATERIALIZED VIEW ... RESUME goes on"));
  }
  if (view->view == nullptr) {
    return fail(ErrorCode::kInvalidArgument,
                "'" + options_.view +
                    "' is no view: only views have changes to subscribe to; read its topic");
  }
  if (view->over_view()) {
    return fail(ErrorCode::kUnsupported,
                "view '" + options_.view + "' is computed from view '" + view->view->source.name +
                    "' whenever it is read and has no changes of its own; subscribe to '" +
                    view->view->source.name + "'");
  }
  return view;
}

Result<ViewFeed::Filter> ViewFeed::compile_filter(const ViewPlan& plan) const {
  Filter filter;
  if (options_.filter.empty()) return filter;
  RUNNEL_TRY_ASSIGN(filter.program, compile_condition(plan, options_.filter, FinalColumn::kNo));
  const auto slots = filter.program.slots();
  filter.of_dimensions = std::all_of(slots.begin(), slots.end(),
                                     [&](Slot slot) { return plan.outputs[slot].key.has_value(); });
  return filter;
}

void ViewFeed::begin_anew(const Definition& view, std::uint64_t sequence) {
  id_ = view.id;
  in_snapshot_ = true;
  sequence_ = sequence;
  snapshot_after_.clear();
  snapshot_begun_ = false;
  changes_after_.clear();
  told_.clear();
}

Status ViewFeed::settle(const Definition& view, const ViewReader& reader,
                        const StateReader& state) {
  const bool first = !std::exchange(begun_, true);
  if (first && !options_.after) {
    begin_anew(view, reader.sequence());
    in_snapshot_ = options_.snapshot;
    return {};
  }
  const bool same = first ? options_.after->generation == view.id.generation : id_ == view.id;
  if (first) {
    begin_anew(view, options_.after->sequence);
    in_snapshot_ = false;
  }
  if (same && !in_snapshot_ && sequence_ == reader.sequence()) return {};
  bool kept = same && sequence_ <= reader.sequence();
  if (kept && !in_snapshot_) {
    RUNNEL_TRY_ASSIGN(const auto oldest, oldest_change(view.id, state));
    kept = oldest && *oldest <= sequence_ + 1;
  }
  if (kept) return {};
  begin_anew(view, reader.sequence());
  reset_ = true;
  first_ = true;
  return {};
}

Result<FeedPiece> ViewFeed::next(const ReadSnapshot& snapshot, const Take& take) {
  return within_memory("the changes of view " + options_.view,
                       [&] { return read_next(snapshot, take); });
}

Result<FeedPiece> ViewFeed::read_next(const ReadSnapshot& snapshot, const Take& take) {
  RUNNEL_TRY_ASSIGN(const DefinitionRef view, find(snapshot));
  if (definition_ == nullptr || definition_->view != view->view) {
    RUNNEL_TRY_ASSIGN(filter_, compile_filter(*view->view));
  }
  definition_ = view;
  if (snapshot.state == nullptr) {
    return fail(ErrorCode::kInternal, "view '" + options_.view + "' has no state");
  }
  RUNNEL_TRY_ASSIGN(const auto reader, ViewReader::open(*view->view, view->id, *snapshot.state));
  FeedPiece piece;
  if (!options_.every_change) {
    RUNNEL_TRY(settle(*view, *reader, *snapshot.state));
  } else {
    RUNNEL_TRY_ASSIGN(const bool settled, settle_history(snapshot, *view, *reader));
    if (!settled) {
      piece.empty = piece.more = true;
      return piece;
    }
  }
  piece.generation = id_.generation;
  const bool by_step = options_.every_change && !in_snapshot_;
  const bool was_mixed = is_mixed();
  if (in_snapshot_) {
    RUNNEL_TRY(read_snapshot(*reader, take, piece));
  } else if (by_step) {
    RUNNEL_TRY(read_step(*reader, take, piece));
    if (is_mixed() && piece.empty && !piece.more) return piece;  // the rest is on its way
    if (was_mixed) piece.kind = FeedKind::kSnapshot;
  } else {
    RUNNEL_TRY(read_changes(*reader, *snapshot.state, take, piece));
  }
  piece.sequence = sequence_;
  if (std::exchange(reset_, false)) {
    piece.kind = FeedKind::kReset;
    piece.empty = false;
  }
  if (std::exchange(owes_end_, piece.more) && !piece.more) piece.empty = false;
  if (!piece.more) {
    if (!by_step) piece.positions = positions_of(*view->view, *reader);
    if (piece.positions.empty()) piece.positions = told_;
    const bool moved = piece.positions != told_;
    told_ = piece.positions;
    if (piece.empty && ((options_.progress && moved) || first_)) {
      piece.kind = FeedKind::kProgress;
      piece.empty = false;
    }
  }
  if (!piece.empty && std::exchange(first_, false)) piece.columns = columns_of(*view->view);
  return piece;
}

Result<bool> ViewFeed::passes(std::span<const Value> outputs) {
  if (!filter_.program) return true;
  bool through = false;
  const RowError error = filter_.program.passes(outputs, arena_, through);
  arena_.clear();
  if (error == RowError::kNone) return through;
  return fail(ErrorCode::kInvalidArgument,
              "WHERE can't be decided for a row: " + std::string(meaning_of(error)));
}

Status ViewFeed::read_snapshot(ViewReader& reader, const Take& take, FeedPiece& piece) {
  piece.kind = FeedKind::kSnapshot;
  piece.empty = true;
  Status status;
  std::size_t looked = 0;
  std::string group;  // the last one of which a row was seen
  bool told = false;  // a row of it
  bool full = false;
  const auto visit = [&](const ReadRow& row) {
    const bool same = looked > 0 && row.key == group;
    // A group's sessions are not torn apart.
    if (!same && (full || looked >= kMaxGroupsOfPiece)) {
      piece.more = true;
      return false;
    }
    if (!same) {
      group.assign(row.key);
      ++looked;
      told = false;
    }
    if (row.error != RowError::kNone) {
      status = fail(ErrorCode::kInvalidArgument,
                    "a row can't be computed: " + std::string(meaning_of(row.error)));
      return false;
    }
    const auto through = passes(row.outputs);
    if (!through) {
      status = fail(through.error());
      return false;
    }
    if (!*through) return true;
    const FeedChange change = std::exchange(told, true) ? FeedChange::kAdd : FeedChange::kReplace;
    piece.empty = false;
    full = !take({change, row.key, row.outputs}) || full;
    return true;
  };
  const bool whole = definition_->view->keys.empty();
  RUNNEL_TRY(whole || !snapshot_begun_ ? reader.read({}, visit)
                                       : reader.read_after(snapshot_after_, visit));
  RUNNEL_TRY(status);
  if (options_.every_change) parts_.push_back({group, !piece.more, reader.sequence()});
  if (piece.more) {
    snapshot_begun_ = true;
    snapshot_after_ = group;
    return {};
  }
  in_snapshot_ = false;
  if (!parts_.empty() && sequence_ >= parts_.back().sequence) parts_.clear();
  piece.empty = false;  // that it is complete has to be told
  piece.more = sequence_ != reader.sequence();
  return {};
}

Status ViewFeed::read_changes(ViewReader& reader, const StateReader& state, const Take& take,
                              FeedPiece& piece) {
  piece.kind = FeedKind::kDelta;
  piece.empty = true;
  if (sequence_ == reader.sequence()) return {};
  const std::string prefix = key_prefix(id_, Space::kChanges);
  // The changes' keys in order, each group once.
  std::vector<std::string> changes;
  std::unordered_set<std::string_view> groups;
  std::size_t looked = 0;
  bool all = true;
  std::string begin = ring_key(id_, sequence_ + 1);
  if (!changes_after_.empty()) begin = changes_after_ + '\0';
  const auto group_of = [](const std::string& key) {
    return std::string_view(key).substr(kKeyPrefixBytes + kSequenceBytes);
  };
  changes.reserve(kMaxGroupsOfPiece);  // the set has views of them
  std::string last;
  RUNNEL_TRY(state.scan(begin, behind_prefix(prefix), [&](std::string_view key, std::string_view) {
    if (changes.size() == kMaxGroupsOfPiece || looked == 16 * kMaxGroupsOfPiece) {
      all = false;
      return false;
    }
    ++looked;
    last.assign(key);
    if (groups.contains(key.substr(kKeyPrefixBytes + kSequenceBytes))) return true;
    changes.emplace_back(key);
    groups.insert(group_of(changes.back()));
    return true;
  }));
  bool going_on = true;
  const auto count = [&](const FeedRow& row) {
    piece.empty = false;
    return take(row);
  };
  for (const std::string& change : changes) {
    if (!going_on) {
      all = false;
      break;
    }
    RUNNEL_TRY(read_group(reader, group_of(change), count, going_on));
    changes_after_ = change;
  }
  if (all) {
    sequence_ = reader.sequence();
    changes_after_.clear();
    return {};
  }
  // Changes of groups that were told already lie before `last`; all of it was told if nothing was
  // left over.
  if (going_on) changes_after_ = last;
  sequence_ = load_be<std::uint64_t>(changes_after_.data() + kKeyPrefixBytes) - 1;
  piece.more = true;
  return {};
}

Status ViewFeed::read_group(ViewReader& reader, std::string_view key, const Take& take,
                            bool& going_on) {
  Status status;
  bool told = false;
  bool passed = false;
  const auto visit = [&](const ReadRow& row) {
    if (row.error != RowError::kNone) {
      status = fail(ErrorCode::kInvalidArgument,
                    "a row can't be computed: " + std::string(meaning_of(row.error)));
      return false;
    }
    const auto through = passes(row.outputs);
    if (!through) {
      status = fail(through.error());
      return false;
    }
    passed = passed || *through;
    if (!*through) return true;
    const FeedChange change = std::exchange(told, true) ? FeedChange::kAdd : FeedChange::kReplace;
    going_on = take({change, key, row.outputs}) && going_on;
    return true;
  };
  if (definition_->view->keys.empty()) {
    RUNNEL_TRY(reader.read({}, visit));
  } else {
    RUNNEL_TRY(reader.read_group(key, visit));
  }
  RUNNEL_TRY(status);
  return told ? Status() : tell_gone(key, take, going_on);
}

Status ViewFeed::tell_gone(std::string_view key, const Take& take, bool& going_on) {
  const ViewPlan& plan = *definition_->view;
  const bool session = plan.window.kind == sql::WindowKind::kSession;
  std::vector<Value> keys(plan.keys.size());
  std::string_view rest = key;
  Arena texts;
  for (std::size_t i = 0; i < plan.keys.size(); ++i) {
    if (session && plan.keys[i].role != KeyRole::kExpression) continue;
    if (!decode_key(plan.keys[i].type, rest, texts, keys[i])) {
      return fail(ErrorCode::kCorrupt, "a change of view '" + options_.view + "' is damaged");
    }
  }
  outputs_.assign(plan.outputs.size(), Value::null());
  for (std::size_t i = 0; i < outputs_.size(); ++i) {
    if (plan.outputs[i].key) outputs_[i] = keys[*plan.outputs[i].key];
  }
  // A group that never passes was never told of.
  if (filter_.of_dimensions) {
    RUNNEL_TRY_ASSIGN(const bool through, passes(outputs_));
    if (!through && !session) return {};
  }
  going_on = take({FeedChange::kDelete, key, outputs_}) && going_on;
  return {};
}

}  // namespace runnel::storage::views
