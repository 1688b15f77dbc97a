#include "storage/views/query/group_finder.h"

#include <algorithm>

#include "storage/views/engine/key_encoding.h"
#include "storage/views/query/reading.h"
#include "storage/views/query/view_page.h"
#include "storage/views/types/within_memory.h"

namespace runnel::storage::views {
namespace {

/// Finders that are kept; each costs what its view's positions do.
constexpr std::size_t kMaxFinders = 64;

}  // namespace

GroupFinder::GroupFinder(const Definition& view, const ReadSnapshot& snapshot)
    : view_(view), snapshot_(snapshot) {
  for (const OutputPlan& output : view_.view->outputs) {
    slots_.push_back(static_cast<Slot>(slots_.size()));
    columns_.push_back(
        {output.name, output.type, output.key ? ColumnRole::kDimension : ColumnRole::kMeasure});
  }
}

GroupFinder::~GroupFinder() = default;

Result<std::unique_ptr<GroupFinder>> GroupFinder::open(const Definition& view,
                                                       const ReadSnapshot& snapshot) {
  std::unique_ptr<GroupFinder> made(new GroupFinder(view, snapshot));
  const ViewPlan& plan = *view.view;
  const bool by_key =
      !view.over_view() && !plan.keys.empty() && plan.window.kind != sql::WindowKind::kSession;
  if (!by_key) return made;
  const QueryLimits limits;
  Reading reading(snapshot, limits);
  note_condition(view, reading.notices);
  RUNNEL_TRY_ASSIGN(made->reader_,
                    within_memory("the group", [&] { return open_state(view, reading); }));
  made->positions_ = reading.take_positions();
  made->notices_ = std::move(reading.notices);
  return made;
}

Answer GroupFinder::make_answer() const {
  Answer answer;
  answer.tag = "SELECT";
  answer.rows = AnswerRows(slots_.size());
  answer.columns = columns_;
  return answer;
}

Result<Answer> GroupFinder::find(std::span<const Value> key, const QueryLimits& limits) {
  return within_memory("the group", [&] { return find_one(key, limits); });
}

std::uint64_t GroupFinder::sequence() const noexcept {
  return reader_->sequence();
}

Answer GroupFinder::common() const {
  Answer answer = make_answer();
  answer.positions = positions_;
  answer.generation = view_.id.generation;
  answer.sequence = sequence();
  answer.notices = notices_;
  return answer;
}

Status GroupFinder::encode(std::span<const Value> key, std::string& out) const {
  const ViewPlan& plan = *view_.view;
  if (key.size() != plan.keys.size()) {
    return fail(ErrorCode::kInvalidArgument,
                "a group of view " + view_.name + " has " + std::to_string(plan.keys.size()) +
                    " columns, and " + std::to_string(key.size()) + " were given");
  }
  for (std::size_t i = 0; i < key.size(); ++i) encode_key(plan.keys[i].type, key[i], out);
  return {};
}

Status GroupFinder::find_each(std::span<const std::string_view> keys, const Visit& visit) {
  return within_memory("the groups", [&]() -> Status {
    std::size_t at = 0;
    return reader_->read_groups(keys, [&](const ReadRow& row) {
      while (at < keys.size() && keys[at] != row.key) ++at;
      if (at == keys.size()) return false;
      Found found{at, row.outputs, row.overflow > 0};
      if (row.error != RowError::kNone) {
        if (auto unsound = unsound_of(view_, row, slots_)) found.error = std::move(unsound->error);
      }
      visit(found);
      return true;
    });
  });
}

Result<Answer> GroupFinder::find_one(std::span<const Value> key, const QueryLimits& limits) {
  key_.clear();
  RUNNEL_TRY(encode(key, key_));
  if (reader_ == nullptr) return look_for(key, limits);
  Answer answer = common();
  std::optional<Error> problem;
  const std::string_view wanted = key_;
  RUNNEL_TRY(find_each(std::span(&wanted, 1), [&](const Found& found) {
    problem = found.error;
    if (found.bounded) answer.notices.push_back(bounded_notice(view_, 1));
    answer.rows.add(found.row);
  }));
  if (problem) return fail(*problem);
  return answer;
}

Result<Answer> GroupFinder::look_for(std::span<const Value> key, const QueryLimits& limits) {
  const ViewPlan& plan = *view_.view;
  // A session's start and end stand behind the others: they are looked at below.
  const bool session = plan.window.kind == sql::WindowKind::kSession;
  ReadRange range;
  for (std::size_t i = 0; i < key.size(); ++i) {
    if (session && plan.keys[i].role != KeyRole::kExpression) continue;
    range.prefix.push_back(key[i]);
  }
  Answer answer = make_answer();
  Reading reading(snapshot_, limits);
  RUNNEL_TRY(read_groups(view_, std::span(&range, 1), slots_, reading,
                         [&](std::span<const Value> groups, std::span<Value> row) -> Result<bool> {
                           if (!std::equal(key.begin(), key.end(), groups.begin())) return true;
                           if (reading.unsound) return fail(reading.unsound->error);
                           answer.rows.add(row.first(slots_.size()));
                           return false;
                         }));
  answer.positions = reading.take_positions();
  answer.generation = reading.generation;
  answer.sequence = reading.sequence;
  answer.notices = std::move(reading.notices);
  return answer;
}

Result<GroupFinder*> GroupFinders::of(const std::string& view) {
  if (const auto known = finders_.find(view); known != finders_.end()) return known->second.get();
  RUNNEL_TRY_ASSIGN(const DefinitionRef definition, find_view(view, snapshot_));
  RUNNEL_TRY_ASSIGN(auto finder, GroupFinder::open(*definition, snapshot_));
  if (finders_.size() >= kMaxFinders) finders_.clear();
  return finders_.emplace(view, std::move(finder)).first->second.get();
}

Result<Answer> find_group(const Definition& view, std::span<const Value> key,
                          const ReadSnapshot& snapshot, const QueryLimits& limits) {
  RUNNEL_TRY_ASSIGN(const auto finder, GroupFinder::open(view, snapshot));
  return finder->find(key, limits);
}

}  // namespace runnel::storage::views
