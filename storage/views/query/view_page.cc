#include "storage/views/query/view_page.h"

#include <algorithm>
#include <charconv>
#include <numeric>

#include "storage/views/engine/key_encoding.h"
#include "storage/views/engine/state_keys.h"
#include "storage/views/plan/view_condition.h"
#include "storage/views/query/format.h"
#include "storage/views/query/reading.h"
#include "storage/views/sql/nearest.h"
#include "storage/views/types/time_text.h"
#include "storage/views/types/within_memory.h"
#include "storage/views/types/zone.h"

namespace runnel::storage::views {
namespace {

/// How a cursor begins: by the group behind which it is, or by a count of rows.
constexpr char kByGroup = 'g';
constexpr char kByCount = 'n';
constexpr std::string_view kHexDigits = "0123456789abcdef";

std::string hex_of(std::string_view bytes) {
  std::string out;
  out.reserve(2 * bytes.size());
  for (const char c : bytes) {
    out += kHexDigits[static_cast<unsigned char>(c) >> 4];
    out += kHexDigits[static_cast<unsigned char>(c) & 15];
  }
  return out;
}

std::optional<std::string> bytes_of(std::string_view hex) {
  if (hex.size() % 2 != 0) return std::nullopt;
  std::string out;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    const std::size_t high = kHexDigits.find(hex[i]);
    const std::size_t low = kHexDigits.find(hex[i + 1]);
    if (high == std::string_view::npos || low == std::string_view::npos) return std::nullopt;
    out += static_cast<char>(high << 4 | low);
  }
  return out;
}

bool is_session(const ViewPlan& plan) {
  return plan.window.kind == sql::WindowKind::kSession;
}

/// What a request says, with names and texts looked up.
class Pager {
 public:
  Pager(const PageRequest& request, const Definition& view, Reading& reading)
      : request_(request), view_(view), plan_(*view.view), reading_(reading) {}

  Status prepare() {
    RUNNEL_TRY_ASSIGN(prefix_, read_key(plan_, request_.key, false, texts_));
    RUNNEL_TRY(read_window());
    RUNNEL_TRY_ASSIGN(filter_, compile_condition(plan_, request_.where, FinalColumn::kYes));
    RUNNEL_TRY(find_columns());
    RUNNEL_TRY(read_cursor());
    rows_ = AnswerRows(shown_.size() + order_.size());
    make_range();
    return {};
  }
  Result<RowsPage> read() {
    RUNNEL_TRY(read_groups(
        view_, std::span(&range_, 1), slots_, reading_,
        [this](std::span<const Value> groups, std::span<Value> row) { return take(groups, row); }));
    if (!order_.empty()) sort_into_page();
    RowsPage page;
    for (const Slot slot : shown_) page.answer.columns.push_back(column_of(slot));
    page.answer.tag = "SELECT";
    page.answer.rows = std::move(rows_);
    page.answer.positions = reading_.take_positions();
    page.answer.generation = reading_.generation;
    page.answer.sequence = reading_.sequence;
    page.answer.notices = std::move(reading_.notices);
    page.next = std::move(next_);
    return page;
  }

 private:
  Status read_window() {
    if (!request_.from && !request_.to) return {};
    for (std::size_t i = 0; i < plan_.keys.size(); ++i) {
      if (plan_.keys[i].role == KeyRole::kWindowStart) window_ = i;
    }
    if (!window_) {
      return fail(ErrorCode::kInvalidArgument,
                  "view '" + view_.name +
                      "' is not grouped by window_start, so from and to say nothing; use where");
    }
    RUNNEL_TRY_ASSIGN(const auto zone, Zone::find(plan_.options.time_zone));
    const auto read = [&](std::string_view what, const std::optional<std::string>& text,
                          std::optional<std::int64_t>& out) -> Status {
      if (!text) return {};
      std::int64_t micros = 0;
      if (timestamp_from_text(*text, zone.get(), micros) != RowError::kNone) {
        return fail(ErrorCode::kInvalidArgument,
                    std::string(what) + ": '" + text->substr(0, 100) +
                        "' is no time; write 2026-11-21, 2026-11-21T05:00 (on the view's clock) "
                        "or 2026-11-21T05:00:00Z");
      }
      out = micros;
      return {};
    };
    RUNNEL_TRY(read("from", request_.from, from_));
    return read("to", request_.to, to_);
  }

  Status find_columns() {
    for (const std::string& name : request_.columns) {
      RUNNEL_TRY_ASSIGN(const Slot slot, find_output(plan_, name, FinalColumn::kYes));
      if (std::find(shown_.begin(), shown_.end(), slot) != shown_.end()) {
        return fail(ErrorCode::kInvalidArgument, "the column '" + name + "' is given twice");
      }
      shown_.push_back(slot);
    }
    for (std::size_t i = 0; request_.columns.empty() && i < plan_.outputs.size(); ++i) {
      shown_.push_back(static_cast<Slot>(i));
    }
    for (const PageRequest::Order& order : request_.order) {
      RUNNEL_TRY_ASSIGN(const Slot slot, find_output(plan_, order.column, FinalColumn::kYes));
      order_.push_back({slot, order.descending});
    }
    slots_ = shown_;
    for (const auto& [slot, descending] : order_) slots_.push_back(slot);
    slots_.insert(slots_.end(), filter_.slots().begin(), filter_.slots().end());
    std::sort(slots_.begin(), slots_.end());
    slots_.erase(std::unique(slots_.begin(), slots_.end()), slots_.end());
    return {};
  }

  Status read_cursor() {
    const std::string& text = request_.cursor;
    if (text.empty()) return {};
    const bool counts = text.front() == kByCount && !order_.empty();
    const bool groups = text.front() == kByGroup && order_.empty();
    if (counts) {
      const auto [at, failed] = std::from_chars(text.data() + 1, text.data() + text.size(), skip_);
      if (failed == std::errc() && at == text.data() + text.size()) return {};
    } else if (groups && text.size() <= kMaxCursorBytes) {
      if (auto bytes = bytes_of(std::string_view(text).substr(1))) {
        after_ = *std::move(bytes);
        return {};
      }
    }
    return fail(ErrorCode::kInvalidArgument,
                "the cursor is not one of these pages; give `next` of the page before, and the "
                "other parameters as they were");
  }

  void make_range() {
    // A session's start and end stand behind the other columns.
    for (std::size_t i = 0; i < prefix_.size(); ++i) {
      if (is_session(plan_) && plan_.keys[i].role != KeyRole::kExpression) return;
      range_.prefix.push_back(prefix_[i]);
    }
    if (!is_session(plan_) && window_ == prefix_.size()) {
      if (from_) range_.from = Value::timestamp(*from_);
      if (to_) range_.before = Value::timestamp(*to_);
    }
    if (!after_ || is_session(plan_)) return;
    range_.at_least = *after_;
  }

  /// The group's place among the others.
  [[nodiscard]] std::string place_of(std::span<const Value> groups) const {
    std::string place;
    for (std::size_t i = 0; i < plan_.keys.size(); ++i) {
      if (is_session(plan_) && plan_.keys[i].role != KeyRole::kExpression) continue;
      encode_key(plan_.keys[i].type, groups[i], place);
    }
    for (std::size_t i = 0; is_session(plan_) && i < plan_.keys.size(); ++i) {
      if (plan_.keys[i].role == KeyRole::kWindowStart) {
        encode_key(plan_.keys[i].type, groups[i], place);
      }
    }
    return place;
  }

  [[nodiscard]] bool is_asked_for(std::span<const Value> groups) const {
    if (!std::equal(prefix_.begin(), prefix_.end(), groups.begin())) return false;
    if (!window_) return true;
    const Value& start = groups[*window_];
    if (start.is_null()) return false;
    return (!from_ || start.as_timestamp() >= *from_) && (!to_ || start.as_timestamp() < *to_);
  }

  Result<bool> take(std::span<const Value> groups, std::span<Value> row) {
    if (!is_asked_for(groups)) return true;
    if (reading_.unsound && !reading_.unsound->slots.empty()) {
      // Only where the row passes, unless that is what can't be told.
      const auto& lost = reading_.unsound->slots;
      const bool decides = std::any_of(lost.begin(), lost.end(), [&](Slot slot) {
        const auto read = filter_.slots();
        return std::find(read.begin(), read.end(), slot) != read.end();
      });
      if (decides) return fail(reading_.unsound->error);
    } else if (reading_.unsound) {
      return fail(reading_.unsound->error);
    }
    arena_.clear();
    if (filter_) {
      bool through = false;
      if (const RowError error = filter_.passes(row, arena_, through); error != RowError::kNone) {
        return fail(ErrorCode::kInvalidArgument,
                    "where can't be decided for a row: " + std::string(meaning_of(error)));
      }
      if (!through) return true;
    }
    std::string place;
    if (order_.empty()) {
      place = place_of(groups);
      if (after_ && place <= *after_) return true;
      const bool full = rows_.size() > 0 && rows_.bytes() > reading_.limits.max_bytes;
      if (rows_.size() >= request_.limit || full) {
        next_ = kByGroup + hex_of(last_);
        return false;
      }
    }
    if (reading_.unsound) return fail(reading_.unsound->error);
    values_.clear();
    for (const Slot slot : shown_) values_.push_back(row[slot]);
    for (const auto& [slot, descending] : order_) values_.push_back(row[slot]);
    rows_.add(values_);
    last_ = std::move(place);
    if (order_.empty()) return true;
    RUNNEL_TRY(reading_.check_memory(rows_.bytes()));
    constexpr std::size_t kSpare = 1024;
    if (rows_.size() >= 2 * needed() + kSpare) sort(needed());
    return true;
  }

  /// Rows that an order needs: up to the page's end, and one that tells of the next page.
  [[nodiscard]] std::size_t needed() const {
    constexpr std::uint64_t kMost = kMaxAnswerRows;
    return static_cast<std::size_t>(std::min(skip_, kMost) + std::min(request_.limit, kMost) + 1);
  }
  [[nodiscard]] bool before(std::size_t a, std::size_t b) const {
    for (std::size_t i = 0; i < order_.size(); ++i) {
      const Value& left = rows_[a][shown_.size() + i];
      const Value& right = rows_[b][shown_.size() + i];
      if (left.is_null() != right.is_null()) return right.is_null();
      const int difference = compare(left, right);
      if (difference != 0) return order_[i].second ? difference > 0 : difference < 0;
    }
    return a < b;  // rows of one place keep the order in which they are stored
  }
  void sort(std::size_t most) {
    std::vector<std::size_t> places(rows_.size());
    std::iota(places.begin(), places.end(), std::size_t{0});
    most = std::min(most, places.size());
    std::partial_sort(places.begin(), places.begin() + static_cast<std::ptrdiff_t>(most),
                      places.end(), [this](std::size_t a, std::size_t b) { return before(a, b); });
    places.resize(most);
    rows_.reorder(places);
  }
  void sort_into_page() {
    sort(needed());
    AnswerRows page(shown_.size());
    std::size_t at = static_cast<std::size_t>(std::min<std::uint64_t>(skip_, rows_.size()));
    for (; at < rows_.size() && page.size() < request_.limit; ++at) {
      page.add(rows_[at].first(shown_.size()));
    }
    if (at < rows_.size()) next_ = kByCount + std::to_string(at);
    rows_ = std::move(page);
  }

  [[nodiscard]] AnswerColumn column_of(Slot slot) const {
    if (slot == plan_.outputs.size()) {
      return {std::string(kFinalColumn), {TypeKind::kBoolean, 0, 0}, ColumnRole::kPlain};
    }
    const OutputPlan& output = plan_.outputs[slot];
    return {output.name, output.type, output.key ? ColumnRole::kDimension : ColumnRole::kMeasure};
  }

  const PageRequest& request_;
  const Definition& view_;
  const ViewPlan& plan_;
  Reading& reading_;
  Arena texts_;
  std::vector<Value> prefix_;
  std::optional<std::size_t> window_;  ///< the group column that from and to are about
  std::optional<std::int64_t> from_;
  std::optional<std::int64_t> to_;
  Program filter_;
  std::vector<Slot> shown_;
  std::vector<std::pair<Slot, bool>> order_;  ///< and whether it is descending
  std::vector<Slot> slots_;                   ///< all that are needed
  ReadRange range_;
  std::optional<std::string> after_;  ///< place_of() the last row of the page before
  std::uint64_t skip_ = 0;
  AnswerRows rows_;
  std::string last_;  ///< place_of() the last row
  std::string next_;
  std::vector<Value> values_;
  Arena arena_;
};

}  // namespace

Result<DefinitionRef> find_view(const std::string& name, const ReadSnapshot& snapshot) {
  DefinitionRef view = snapshot.definitions->find(name);
  if (view == nullptr) {
    std::vector<std::string_view> names;
    for (const auto& [known, one] : snapshot.definitions->all()) {
      if (one->view != nullptr) names.push_back(known);
    }
    const auto meant = sql::nearest(name, names);
    return fail(ErrorCode::kNotFound,
                "there is no view '" + name + "'; " +
                    (meant ? "did you mean '" + std::string(*meant) + "'?"
                           : std::string("SHOW VIEWS lists those that there are")));
  }
  if (view->view != nullptr) return view;
  if (view->failure) return fail(*view->failure);
  return fail(ErrorCode::kInvalidArgument,
              "'" + name + "' is no view, so it has no rows of its own; SELECT reads it");
}

Result<std::vector<Value>> read_key(const ViewPlan& view, const std::vector<std::string>& texts,
                                    bool whole, Arena& arena) {
  const auto& keys = view.keys;
  if (texts.size() > keys.size() || (whole && texts.size() < keys.size())) {
    std::string names;
    for (const KeyPlan& key : keys) names += (names.empty() ? "" : ", ") + key.name;
    return fail(ErrorCode::kInvalidArgument, "the key of view '" + view.name + "' has " +
                                                 std::to_string(keys.size()) + " columns (" +
                                                 names + "), and " + std::to_string(texts.size()) +
                                                 " values were given");
  }
  std::vector<Value> values(texts.size());
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (read_cell(texts[i], keys[i].type, arena, values[i])) continue;
    return fail(ErrorCode::kInvalidArgument, "column '" + keys[i].name + "' is " +
                                                 sql::name_of(keys[i].type) + ", and '" +
                                                 texts[i].substr(0, 100) + "' is none");
  }
  return values;
}

Result<std::string> condition_of_key(const ViewPlan& view, const std::vector<std::string>& texts) {
  Arena arena;
  RUNNEL_TRY_ASSIGN(const auto values, read_key(view, texts, false, arena));
  const auto quoted = [](std::string_view text, char quote) {
    std::string out(1, quote);
    for (const char c : text) out.append(c == quote ? 2 : 1, c);
    return out + quote;
  };
  std::string out;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto output = std::find_if(view.outputs.begin(), view.outputs.end(),
                                     [&](const OutputPlan& one) { return one.key == i; });
    if (output == view.outputs.end()) {
      return fail(ErrorCode::kInvalidArgument,
                  "view '" + view.name + "' does not show its group column '" + view.keys[i].name +
                      "', so its changes can't be told by it");
    }
    if (!out.empty()) out += " AND ";
    // A text in quotes is what the column is.
    out += quoted(output->name, '"') + " = " + quoted(to_string(values[i]), '\'');
  }
  return out;
}

Result<RowsPage> read_page(const PageRequest& request, const ReadSnapshot& snapshot,
                           const QueryLimits& limits) {
  RUNNEL_TRY_ASSIGN(const DefinitionRef view, find_view(request.view, snapshot));
  return within_memory("the rows of view " + request.view, [&]() -> Result<RowsPage> {
    Reading reading(snapshot, limits);
    Pager pager(request, *view, reading);
    RUNNEL_TRY(pager.prepare());
    return pager.read();
  });
}

Result<std::optional<ViewVersion>> version_of(const Definition& view,
                                              const ReadSnapshot& snapshot) {
  if (view.view == nullptr || view.over_view() || snapshot.state == nullptr) {
    return std::optional<ViewVersion>();
  }
  ViewVersion version{view.id, 0};
  std::string value;
  RUNNEL_TRY_ASSIGN(
      const bool known,
      snapshot.state->get(partition_key(view.id, Space::kCursors, kNoPartition), value));
  if (known && value.size() != sizeof version.sequence) {
    return fail(ErrorCode::kCorrupt, "the state of view '" + view.name + "' is damaged");
  }
  if (known) version.sequence = load_le<std::uint64_t>(value.data());
  return std::optional(version);
}

}  // namespace runnel::storage::views
