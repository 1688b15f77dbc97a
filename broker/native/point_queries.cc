#include "broker/native/point_queries.h"

#include <algorithm>
#include <tuple>

#include "broker/native/native_session.h"
#include "broker/native/view_cells.h"
#include "storage/views/query/view_page.h"

namespace runnel::broker {
namespace {

namespace views = storage::views;

/// Looked up together. Their rows are in memory at the same time.
constexpr std::size_t kTogether = 64;
/// A piece ends behind so many bytes: what comes then waits until the client has taken it.
constexpr std::size_t kMaxPieceBytes = 1u << 20;
/// Views that are kept open for the next queries.
constexpr std::size_t kMaxViews = 64;

Error does_not_fit() {
  return Error(ErrorCode::kRecordTooLarge, "the group does not fit into a frame");
}

}  // namespace

Result<PointAnswerer::View*> PointAnswerer::view_of(const std::string& name) {
  if (const auto known = views_.find(name); known != views_.end()) return &known->second;
  View view;
  RUNNEL_TRY_ASSIGN(view.definition, views::find_view(name, snapshot_));
  RUNNEL_TRY_ASSIGN(view.finder, views::GroupFinder::open(*view.definition, snapshot_));
  if (view.finder->has_entries()) {
    std::string no_cells;
    view.replies.emplace(answer_of(view.finder->common(), no_cells));
  }
  return &views_.emplace(name, std::move(view)).first->second;
}

Status PointAnswerer::read_key(const PointQuery& query, const View& view) {
  const auto& columns = view.definition->view->keys;
  const auto& cells = query.request.key;
  if (cells.size() != columns.size()) {
    std::string names;
    for (const auto& column : columns) names += (names.empty() ? "" : ", ") + column.name;
    return fail(ErrorCode::kInvalidArgument, "the key of view '" + query.request.view + "' has " +
                                                 std::to_string(columns.size()) + " columns (" +
                                                 names + "), and " + std::to_string(cells.size()) +
                                                 " values were given");
  }
  arena_.clear();
  values_.clear();
  for (std::size_t i = 0; i < columns.size(); ++i) {
    RUNNEL_TRY_ASSIGN(values_.emplace_back(),
                      value_of_cell(cells[i], columns[i].type, columns[i].name, arena_));
  }
  return {};
}

Status PointAnswerer::prepare(const PointQuery& query, Item& item) {
  RUNNEL_TRY_ASSIGN(item.view, view_of(query.request.view));
  RUNNEL_TRY(read_key(query, *item.view));
  return item.view->finder->encode(values_, item.key);
}

void PointAnswerer::look_up(std::span<const PointQuery> queries) {
  items_.resize(std::max(items_.size(), queries.size()));
  order_.clear();
  groups_.clear();
  cells_.clear();
  for (std::size_t i = 0; i < queries.size(); ++i) {
    Item& item = items_[i];
    item.view = nullptr;
    item.key.clear();
    item.error.reset();
    if (Status ready = prepare(queries[i], item); !ready) {
      item.error = std::move(ready).error();
    } else if (item.view->finder->has_entries()) {
      order_.push_back(i);
    }
  }
  std::sort(order_.begin(), order_.end(), [this](std::size_t a, std::size_t b) {
    return std::tie(items_[a].view, items_[a].key) < std::tie(items_[b].view, items_[b].key);
  });
  for (std::size_t at = 0; at < order_.size();) at = look_up_from(at);
}

std::size_t PointAnswerer::look_up_from(std::size_t begin) {
  const View& view = *items_[order_[begin]].view;
  const std::size_t first = groups_.size();
  keys_.clear();
  std::size_t end = begin;
  for (; end < order_.size() && items_[order_[end]].view == &view; ++end) {
    Item& item = items_[order_[end]];
    if (keys_.empty() || keys_.back() != item.key) {
      keys_.push_back(item.key);
      groups_.emplace_back();
    }
    item.group = groups_.size() - 1;
  }
  const auto find = [&](std::span<const std::string_view> keys, std::size_t at) {
    return view.finder->find_each(keys, [&](const views::GroupFinder::Found& found) {
      Group& group = groups_[at + found.which];
      group.rows = 1;
      group.bounded = found.bounded;
      group.error = found.error;
      group.at = cells_.size();
      append_cells(found.row, cells_);
      group.size = cells_.size() - group.at;
    });
  };
  if (find(keys_, first)) return end;
  // One that can't be read is no reason to fail the others.
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    groups_[first + i] = {};
    if (Status read = find(std::span(keys_).subspan(i, 1), first + i); !read) {
      groups_[first + i].error = std::move(read).error();
    }
  }
  return end;
}

PointAnswers PointAnswerer::answer(std::span<const PointQuery> queries,
                                   const std::shared_ptr<const std::atomic<bool>>& cancelled) {
  RUNNEL_ASSERT(!queries.empty());
  cancelled_ = cancelled;
  if (views_.size() > kMaxViews) views_.clear();
  PointAnswers out;
  frames_.clear();
  while (out.answered < queries.size() && frames_.size() < kMaxPieceBytes) {
    auto some = queries.subspan(out.answered);
    some = some.first(std::min(some.size(), kTogether));
    look_up(some);
    for (std::size_t i = 0; i < some.size(); ++i) append(some[i], items_[i], out);
    out.answered += some.size();
  }
  out.frames = Buffer::copy_of(as_bytes(frames_));
  if (frames_.capacity() > 2 * kMaxPieceBytes) frames_ = {};
  if (cells_.capacity() > 2 * kMaxPieceBytes) cells_ = {};
  return out;
}

void PointAnswerer::append(const PointQuery& query, const Item& item, PointAnswers& out) {
  if (item.error) return append_failure(query.correlation, *item.error, out);
  const bool entries = item.view->finder->has_entries();
  if (!entries || groups_[item.group].bounded) {
    const Status done = append_alone(query, *item.view, out);
    if (!done) append_failure(query.correlation, done.error(), out);
    return;
  }
  const Group& group = groups_[item.group];
  if (group.error) return append_failure(query.correlation, *group.error, out);
  const std::string_view cells = std::string_view(cells_).substr(group.at, group.size);
  if (!item.view->replies->append(query.correlation, group.rows, cells, frames_)) {
    return append_failure(query.correlation, does_not_fit(), out);
  }
  out.cell_bytes += cells.size();
}

/// What has to be looked for, or has more to be said of it than others.
Status PointAnswerer::append_alone(const PointQuery& query, View& view, PointAnswers& out) {
  RUNNEL_TRY(read_key(query, view));
  views::QueryLimits limits;
  limits.deadline = query.deadline;
  limits.max_bytes = kMaxSqlBytes;
  limits.cancelled = cancelled_;
  RUNNEL_TRY_ASSIGN(views::Answer found, view.finder->find(values_, limits));
  std::string cells;
  native::SqlReply reply;
  reply.answers.push_back(answer_of(std::move(found), cells));
  const Buffer head =
      native::encode(query.correlation, native::Response(std::move(reply)), cells.size());
  if (head.empty()) return fail(does_not_fit());
  frames_.append(as_text(head.bytes())).append(cells);
  out.cell_bytes += cells.size();
  return {};
}

void PointAnswerer::append_failure(std::uint64_t correlation, const Error& error,
                                   PointAnswers& out) {
  ++out.failures;
  frames_.append(as_text(native::encode(correlation, native::Response(failure_of(error))).bytes()));
}

}  // namespace runnel::broker
