// Reports: all rows of a view that are asked for, as a file for people.
#include <algorithm>

#include "broker/http/limits.h"
#include "broker/http/page_request.h"
#include "broker/http/report_text.h"
#include "broker/http/routes.h"
#include "broker/http/view_calls.h"
#include "storage/views/types/time_text.h"

namespace runnel::broker::http {
namespace {

namespace views = storage::views;

constexpr std::string_view kXlsx =
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
constexpr std::string_view kHtml = "text/html";

struct Form {
  std::string_view name;
  std::string_view type;
  Result<std::string> (*make)(const Report&, std::size_t most);
};
constexpr Form kForms[] = {
    {"csv", "text/csv; charset=utf-8; header=present", csv_of},
    {"xlsx", kXlsx, xlsx_of},
    {"html", "text/html; charset=utf-8", html_of},
};

/// "hourly-2026-03-01.csv": what every file system takes.
std::string file_name(const views::PageRequest& request, std::string_view form) {
  std::string name = request.view + (request.from ? "-" + *request.from : std::string());
  std::replace_if(
      name.begin(), name.end(),
      [](char c) {
        return !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
               c != '-' && c != '_';
      },
      '_');
  return name + "." + std::string(form);
}

std::string period_of(const views::PageRequest& request) {
  std::string out;
  if (request.from) out += "from " + *request.from;
  if (request.to) out += (out.empty() ? "up to " : " to ") + *request.to;
  return out;
}

Result<Response> make(const Call& call, const views::PageRequest& request,
                      const views::QueryLimits& limits, const Form& form, std::size_t most) {
  const views::ReadSnapshot snapshot = call.service().views()->snapshot();
  RUNNEL_TRY_ASSIGN(const auto view, views::find_view(request.view, snapshot));
  RUNNEL_TRY_ASSIGN(auto rows, views::read_page(request, snapshot, limits));
  if (!rows.next.empty()) {
    return fail(ErrorCode::kRecordTooLarge,
                "the report has more than " + std::to_string(rows.answer.rows.size()) +
                    " rows, which is all that fits; ask for a shorter time, a key or fewer "
                    "columns, or take /rows in pages");
  }
  Report report;
  report.title = call.query("title").value_or(request.view);
  report.period = period_of(request);
  RUNNEL_TRY_ASSIGN(report.zone, views::Zone::find(view->view->options.time_zone));
  report.answer = std::move(rows.answer);
  report.made =
      shown_cell(report, views::Value::timestamp(call.service().clock().now().value() * 1000));
  Response out{200, std::string(form.type), {}, {}};
  RUNNEL_TRY_ASSIGN(out.body, form.make(report, most));
  const bool inline_page = form.name == "html";
  out.headers = {{"Content-Disposition", (inline_page ? "inline" : "attachment") +
                                             ("; filename=\"" + file_name(request, form.name)) +
                                             "\""}};
  if (inline_page) {
    // Its own stylesheet and nothing else: no scripts, nothing from anywhere.
    out.headers.push_back(
        {"Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'"});
  }
  return out;
}

void report(const CallRef& call) {
  if (views_of(call) == nullptr) return;
  auto asked = asked_rows_of(*call);
  if (!asked) return call->fail(asked.error());
  asked->request.limit = kMaxPageRows;
  const std::uint64_t bytes = query_memory(*call);
  MemoryLease lease;
  if (!call->service().memory().try_take(bytes, lease)) return call->fail(no_memory_for_a_query());
  call->keep(std::move(lease));
  views::QueryLimits limits;
  limits.deadline = deadline_of(*call);
  limits.max_bytes = static_cast<std::size_t>(bytes / 3);
  const std::string_view name = call->query("format").value_or("csv");
  const Form* const form = std::find_if(std::begin(kForms), std::end(kForms),
                                        [&](const Form& one) { return one.name == name; });
  const auto most = static_cast<std::size_t>(bytes / 3);
  when_applied(call, call->path("view"),
               [call, request = std::move(asked->request), limits, form, most] {
                 answer_query(call, [call, request, limits, form, most] {
                   return make(*call, request, limits, *form, most);
                 });
               });
}

std::vector<Param> report_parameters() {
  std::vector<Param> out = page_parameters();
  out.push_back({.name = "format",
                 .kind = Param::Kind::kChoice,
                 .text = "csv (if left out), xlsx, or html: a page to read and to print.",
                 .choices = "csv|xlsx|html"});
  out.push_back({.name = "title", .text = "What stands above it; the view's name if left out."});
  for (Param& param : waiting_parameters()) out.push_back(param);
  return out;
}

}  // namespace

std::vector<Route> report_routes() {
  return {
      {.pattern = "/api/v1/views/{view}/report",
       .handler = report,
       .id = "downloadReport",
       .tag = "views",
       .summary = "A view's rows as a file: CSV for spreadsheets, a workbook, a page to print",
       .description = "Of one moment, whole or not at all (413). Times are on the view's clock. "
                      "In CSV a text that a spreadsheet would take for a formula begins with an "
                      "apostrophe. In a workbook decimals of up to 15 digits are exact numbers, "
                      "longer ones texts.",
       .query = report_parameters(),
       .answers = {{200, "The report.", {{kCsv}, {kXlsx}, {kHtml}}}}},
  };
}

}  // namespace runnel::broker::http
