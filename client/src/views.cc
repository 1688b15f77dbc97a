// Statements, point queries, waits; rows decoded into views of the frame.
#include "client/src/views.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <limits>

namespace runnel {
namespace client {

std::vector<ViewColumn> columns_from(std::vector<native::AnswerColumn> columns) {
  std::vector<ViewColumn> out;
  out.reserve(columns.size());
  for (auto& c : columns) {
    out.push_back({std::move(c.name), std::move(c.type), static_cast<ColumnRole>(c.role)});
  }
  return out;
}

std::vector<ViewPosition> positions_from(std::vector<native::ViewPosition> positions) {
  std::vector<ViewPosition> out;
  out.reserve(positions.size());
  for (auto& p : positions) {
    out.push_back({{std::move(p.topic), p.partition.value()}, p.next.value()});
  }
  return out;
}

std::vector<native::ViewPosition> positions_to(const std::vector<ViewPosition>& positions) {
  std::vector<native::ViewPosition> out;
  out.reserve(positions.size());
  for (const auto& p : positions) {
    out.push_back({p.target.topic, PartitionIndex(p.target.partition), Offset(p.next)});
  }
  return out;
}

std::uint32_t wire_millis(Milliseconds time) noexcept {
  constexpr auto kMost = std::numeric_limits<std::uint32_t>::max();
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(time.count(), 0, kMost));
}

}  // namespace client

namespace {

namespace native = client::native;
using client::Milliseconds;

Outcome<ViewRows> decode_rows(std::vector<ViewColumn> columns, std::uint32_t rows, Buffer cells) {
  auto impl = std::make_shared<ViewRows::Impl>();
  impl->columns = std::move(columns);
  impl->rows = rows;
  impl->owner = std::move(cells);
  ByteReader in(impl->owner.bytes());
  // A cell has a byte at least, so this is no more than came.
  const std::uint64_t count = std::uint64_t{rows} * impl->columns.size();
  if (count > impl->owner.size()) return client::wrong_reply();
  impl->cells.reserve(count);
  for (std::uint64_t i = 0; i < count; ++i) impl->cells.push_back(native::read_cell(in));
  if (!in.at_end()) return client::wrong_reply();
  return ViewRows(std::move(impl));
}

Outcome<std::vector<ViewAnswer>> answers_of(native::SqlReply reply, Buffer cells) {
  std::vector<ViewAnswer> out;
  std::size_t at = 0;
  for (auto& from : reply.answers) {
    ViewAnswer answer;
    auto rows = decode_rows(client::columns_from(std::move(from.columns)), from.rows,
                            cells.slice(at, from.bytes));
    if (!rows) return rows.error();
    at += from.bytes;
    answer.tag = std::move(from.tag);
    answer.rows = *std::move(rows);
    answer.notices = std::move(from.notices);
    answer.positions = client::positions_from(std::move(from.positions));
    answer.generation = from.generation;
    answer.sequence = from.sequence;
    out.push_back(std::move(answer));
  }
  return out;
}

Outcome<ViewAnswer> one_answer(native::SqlReply reply, Buffer cells) {
  auto answers = answers_of(std::move(reply), std::move(cells));
  if (!answers) return answers.error();
  if (answers->size() != 1) {
    return Failure(Errc::invalid_argument, "a query is one statement; run several with sql()");
  }
  return std::move(answers->front());
}

Outcome<std::vector<ViewState>> states_of(native::ViewsReply reply, Buffer) {
  std::vector<ViewState> out;
  for (auto& from : reply.views) {
    ViewState state;
    state.name = std::move(from.name);
    state.kind = static_cast<ViewState::Kind>(from.kind);
    state.state = static_cast<ViewState::State>(from.state);
    state.problem = std::move(from.problem);
    state.notice = std::move(from.notice);
    state.applied = client::positions_from(std::move(from.applied));
    state.lag = from.lag;
    for (auto& c : from.counters) {
      state.counters.push_back({std::move(c.name), c.value, std::move(c.unit), std::move(c.text)});
    }
    state.sequence = from.sequence;
    out.push_back(std::move(state));
  }
  return out;
}

/// As Core::ask, with the time that the broker may take on top.
template <class R, class T, class F>
Pending<T> ask(const std::shared_ptr<client::Core>& core, native::Request request, F convert,
               Milliseconds extra) {
  auto [pending, done] = detail::make_pending<T>();
  core->post(
      [core, request = std::move(request), convert = std::move(convert), done = done,
       extra]() mutable {
        core->send<R, T>(std::move(request), std::move(convert), std::move(done), extra);
      },
      done);
  return std::move(pending);
}

native::Sql sql_request(std::string text, const ViewQueryOptions& options, bool read_only) {
  return {std::move(text), client::positions_to(options.wait), client::wire_millis(options.timeout),
          options.max_rows, read_only};
}

/// The number's digits as an integer with `digits` of them behind the point.
std::optional<std::int64_t> scaled_number(std::string_view text, int digits) {
  const std::size_t point = std::min(text.find('.'), text.size());
  std::string all(text.substr(0, point));
  std::string_view behind = point < text.size() ? text.substr(point + 1) : std::string_view();
  while (!behind.empty() && behind.back() == '0') behind.remove_suffix(1);
  if (digits < 0 || behind.size() > static_cast<std::size_t>(digits)) return std::nullopt;
  all.append(behind);
  all.append(static_cast<std::size_t>(digits) - behind.size(), '0');
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(all.data(), all.data() + all.size(), number);
  if (error != std::errc() || end != all.data() + all.size()) return std::nullopt;
  return number;
}

/// "2026-01-31T10:00:00Z", with or without a fraction; or a date alone.
std::optional<Time> time_of(std::string_view text) {
  const auto number = [&](std::size_t at, std::size_t size) -> std::optional<int> {
    int value = 0;
    if (text.size() < at + size) return std::nullopt;
    const char* const begin = text.data() + at;
    const auto [end, error] = std::from_chars(begin, begin + size, value);
    if (error != std::errc() || end != begin + size) return std::nullopt;
    return value;
  };
  const auto year = number(0, 4), month = number(5, 2), day = number(8, 2);
  if (!year || !month || !day) return std::nullopt;
  const std::chrono::year_month_day date(std::chrono::year(*year),
                                         std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day)));
  if (!date.ok()) return std::nullopt;
  Time time = std::chrono::sys_days(date);
  if (text.size() == 10) return time;
  const auto hour = number(11, 2), minute = number(14, 2), second = number(17, 2);
  if (!hour || !minute || !second || text.back() != 'Z') return std::nullopt;
  time += std::chrono::hours(*hour) + std::chrono::minutes(*minute) + std::chrono::seconds(*second);
  if (text.size() > 20) {
    const auto millis = number(20, 3);
    if (!millis) return std::nullopt;
    time += Milliseconds(*millis);
  }
  return time;
}

}  // namespace

// ---------------------------------------------------------------- rows
std::size_t ViewRows::size() const noexcept {
  return impl_ ? impl_->rows : 0;
}
const std::vector<ViewColumn>& ViewRows::columns() const noexcept {
  static const std::vector<ViewColumn> kNone;
  return impl_ ? impl_->columns : kNone;
}
std::size_t ViewRow::size() const noexcept {
  return rows_->columns().size();
}
std::size_t ViewRow::column(std::string_view name) const noexcept {
  const auto& columns = rows_->columns();
  std::size_t i = 0;
  while (i < columns.size() && columns[i].name != name) ++i;
  return i;
}
std::optional<std::string_view> ViewRow::text(std::size_t column) const noexcept {
  if (column >= size() || row_ >= rows_->size()) return std::nullopt;
  return rows_->impl_->cells[row_ * size() + column];
}
std::optional<std::int64_t> ViewRow::scaled(std::size_t column, int digits) const noexcept {
  const auto cell = text(column);
  return cell ? scaled_number(*cell, digits) : std::nullopt;
}

template <>
std::optional<std::string> ViewRow::get(std::size_t column) const {
  const auto cell = text(column);
  return cell ? std::optional(std::string(*cell)) : std::nullopt;
}
template <>
std::optional<bool> ViewRow::get(std::size_t column) const {
  const auto cell = text(column);
  if (!cell || (*cell != "true" && *cell != "false")) return std::nullopt;
  return *cell == "true";
}
template <>
std::optional<std::int64_t> ViewRow::get(std::size_t column) const {
  return scaled(column, 0);
}
template <>
std::optional<double> ViewRow::get(std::size_t column) const {
  const auto cell = text(column);
  if (!cell) return std::nullopt;
  if (*cell == "NaN") return std::numeric_limits<double>::quiet_NaN();
  if (*cell == "Infinity") return std::numeric_limits<double>::infinity();
  if (*cell == "-Infinity") return -std::numeric_limits<double>::infinity();
  double number = 0;
  const auto [end, error] = std::from_chars(cell->data(), cell->data() + cell->size(), number);
  if (error != std::errc() || end != cell->data() + cell->size()) return std::nullopt;
  return number;
}
template <>
std::optional<Time> ViewRow::get(std::size_t column) const {
  const auto cell = text(column);
  return cell ? time_of(*cell) : std::nullopt;
}

// ---------------------------------------------------------------- requests
Pending<std::vector<ViewAnswer>> Views::sql(std::string text, ViewQueryOptions options) {
  return ask<native::SqlReply, std::vector<ViewAnswer>>(
      impl_->core, sql_request(std::move(text), options, false), answers_of, options.timeout);
}
Pending<ViewAnswer> Views::query(std::string text, ViewQueryOptions options) {
  return ask<native::SqlReply, ViewAnswer>(impl_->core, sql_request(std::move(text), options, true),
                                           one_answer, options.timeout);
}
Pending<ViewAnswer> Views::get(std::string view, std::vector<std::optional<std::string>> key,
                               ViewQueryOptions options) {
  return ask<native::SqlReply, ViewAnswer>(
      impl_->core,
      native::ViewGet{std::move(view), std::move(key), client::positions_to(options.wait),
                      client::wire_millis(options.timeout)},
      one_answer, options.timeout);
}
Pending<void> Views::wait_applied(std::vector<ViewPosition> positions, std::string view,
                                  Milliseconds timeout) {
  return ask<native::Done, void>(
      impl_->core,
      native::WaitApplied{std::move(view), client::positions_to(positions),
                          client::wire_millis(timeout)},
      [](native::Done, Buffer) -> Outcome<void> { return {}; }, timeout);
}
Pending<std::vector<ViewState>> Views::list() {
  return ask<native::ViewsReply, std::vector<ViewState>>(impl_->core, native::ListViews{},
                                                         states_of, Milliseconds(0));
}
Views Client::views() {
  return Views(std::make_shared<Views::Impl>(Views::Impl{impl_->keeper}));
}

}  // namespace runnel
