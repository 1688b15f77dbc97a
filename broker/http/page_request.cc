#include "broker/http/page_request.h"

#include <algorithm>

#include "protocol/text/time.h"

namespace runnel::broker::http {
namespace {

namespace views = storage::views;

constexpr std::size_t kMaxPageColumns = 1000;

std::vector<std::string> split_list(std::string_view text) {
  std::vector<std::string> out;
  while (out.size() < kMaxPageColumns) {
    const std::size_t end = text.find(',');
    std::string_view one = text.substr(0, end);
    while (one.starts_with(' ')) one.remove_prefix(1);
    while (one.ends_with(' ')) one.remove_suffix(1);
    out.emplace_back(one);
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return out;
}

Result<std::vector<views::PageRequest::Order>> read_order(std::string_view text) {
  std::vector<views::PageRequest::Order> out;
  for (const std::string& one : split_list(text)) {
    const std::size_t blank = one.rfind(' ');
    const std::string direction = blank == std::string::npos ? "" : one.substr(blank + 1);
    if (direction == "asc" || direction == "desc") {
      out.push_back({one.substr(0, blank), direction == "desc"});
    } else if (direction.empty()) {
      out.push_back({one, false});
    } else {
      return fail(ErrorCode::kInvalidArgument,
                  "order: '" + one + "' is not a column's name, or one and asc or desc");
    }
  }
  return out;
}

/// "-2h" as the time that it is now; other texts as they are.
Result<std::string> read_time(const Call& call, std::string_view text, AskedRows& asked) {
  const bool relative = text == "now" || text.starts_with('-') || text.starts_with('@');
  if (!relative) return std::string(text);
  const std::int64_t now = call.service().clock().now().value();
  RUNNEL_TRY_ASSIGN(const protocol::Place place, protocol::parse_place(text, now));
  if (place.kind != protocol::Place::Kind::kTime) {
    return fail(ErrorCode::kInvalidArgument,
                "'" + std::string(text) + "' is no time; write 2026-11-21T05:00, -2h or now");
  }
  asked.has_version = asked.has_version && text.starts_with('@');
  return protocol::format_time(place.value);
}

}  // namespace

Result<AskedRows> asked_rows_of(const Call& call) {
  AskedRows asked;
  views::PageRequest& request = asked.request;
  request.view = call.path("view");
  request.key = call.query_all("key");
  request.where = call.query("where").value_or("");
  if (const auto text = call.query("columns")) request.columns = split_list(*text);
  if (const auto text = call.query("order")) {
    RUNNEL_TRY_ASSIGN(request.order, read_order(*text));
  }
  if (const auto text = call.query("from")) {
    RUNNEL_TRY_ASSIGN(request.from, read_time(call, *text, asked));
  }
  if (const auto text = call.query("to")) {
    RUNNEL_TRY_ASSIGN(request.to, read_time(call, *text, asked));
  }
  // Time goes on without a change of the view.
  const bool shows_final = request.where.find(views::kFinalColumn) != std::string::npos ||
                           std::find(request.columns.begin(), request.columns.end(),
                                     views::kFinalColumn) != request.columns.end();
  asked.has_version = asked.has_version && !shows_final;
  return asked;
}

std::vector<Param> page_parameters() {
  return {{.name = "key",
           .text = "Only rows whose group columns have these values: the first one's, the second "
                   "one's, in the order of GROUP BY. All of them: one row, the quick way.",
           .repeatable = true,
           .example = "sea"},
          {.name = "from",
           .text = "Only windows that start then or later: 2026-11-21 or 2026-11-21T05:00 on the "
                   "view's clock, 2026-11-21T05:00:00Z, -2h, now.",
           .example = "2026-11-21"},
          {.name = "to", .text = "Only windows that start before; written as from is."},
          {.name = "where",
           .text = "Only rows for which this SQL condition over the view's columns holds.",
           .example = "1 = 1"},
          {.name = "columns", .text = "Only these columns, separated by commas, in this order."},
          {.name = "order",
           .text = "Columns to sort by, separated by commas, each with asc or desc behind it: "
                   "total desc. Left out: as stored, by the group columns. NULL is last."}};
}

}  // namespace runnel::broker::http
