// Rows of views: a group by its key, a range of groups, a report in pages.
//
// A client that names the version it has (If-None-Match) is answered before any row is read, or,
// with `wait`, when the view has changed.
#include <algorithm>
#include <atomic>
#include <utility>

#include "broker/http/answer_text.h"
#include "broker/http/deadlines.h"
#include "broker/http/limits.h"
#include "broker/http/page_request.h"
#include "broker/http/routes.h"
#include "broker/http/view_calls.h"
#include "protocol/filter/json_text.h"
#include "protocol/text/units.h"
#include "storage/views/query/view_page.h"

namespace runnel::broker::http {
namespace {

namespace views = storage::views;

/// What is asked for.
struct Page {
  CallRef call;
  AskedRows asked;
  views::QueryLimits limits;
  RowFormat format = RowFormat::kJsonRows;
  std::size_t text_bytes = 0;
  bool is_one_group = false;  ///< its whole key is given, and nothing else
};
using PageRef = std::shared_ptr<Page>;

/// A page whose view is as the client has it, until it changes or time is up. Loop thread, but for
/// `watch`, which a worker makes.
struct Waiting {
  PageRef page;
  std::chrono::steady_clock::time_point until;
  std::unique_ptr<views::ViewWatch> watch;
  Deadlines::Ticket deadline;
  std::atomic<bool> announced{false};  ///< a look is on its way
  bool looking = false;
  bool news = false;  ///< since that look began
  bool over = false;
};
using WaitingRef = std::shared_ptr<Waiting>;

Result<PageRef> read_request(const CallRef& call) {
  auto page = std::make_shared<Page>();
  page->call = call;
  page->format = format_of(*call);
  RUNNEL_TRY_ASSIGN(page->asked, asked_rows_of(*call));
  views::PageRequest& request = page->asked.request;
  request.limit = static_cast<std::uint64_t>(call->integer("limit", 100));
  request.cursor = call->query("cursor").value_or("");
  page->is_one_group = !request.key.empty() && request.where.empty() && request.columns.empty() &&
                       request.order.empty() && request.cursor.empty() && !request.from &&
                       !request.to;
  page->limits.deadline = deadline_of(*call);
  return page;
}

/// Memory for the rows and their text.
Status pay(Page& page) {
  if (page.is_one_group) {
    page.limits.max_bytes = kMaxReadBytes;
    page.text_bytes = kMaxReadBytes;
    return {};
  }
  const std::uint64_t most = query_memory(*page.call);
  const std::uint64_t least = page.asked.request.order.empty() ? kMinPageBytes : kMinSortedBytes;
  const std::uint64_t bytes =
      std::min(std::max(page.asked.request.limit * kPageRowBytes, least), most);
  MemoryLease lease;
  if (!page.call->service().memory().try_take(bytes, lease)) {
    return fail(no_memory_for_a_query());
  }
  page.call->keep(std::move(lease));
  page.limits.max_bytes = static_cast<std::size_t>(bytes / 4);
  page.text_bytes = static_cast<std::size_t>(bytes / 4 * 3);
  return {};
}

std::string etag_of(const views::ViewVersion& version, RowFormat format) {
  constexpr std::string_view kForms[] = {"j", "n", "c"};
  return "W/\"" + std::to_string(version.id.view) + "." + std::to_string(version.id.generation) +
         "." + std::to_string(version.sequence) +
         std::string(kForms[static_cast<std::size_t>(format)]) + "\"";
}

/// Whether If-None-Match names it; weak comparison (RFC 9110, 13.1.2).
bool is_known(const Request& request, std::string_view etag) {
  const std::string* const known = request.header("if-none-match");
  if (known == nullptr) return false;
  return *known == "*" || known->find(etag.substr(2)) != std::string::npos;
}

Result<views::RowsPage> read_rows(const Page& page, const views::Definition& view,
                                  const views::ReadSnapshot& snapshot) {
  if (!page.is_one_group || page.asked.request.key.size() != view.view->keys.size()) {
    return views::read_page(page.asked.request, snapshot, page.limits);
  }
  views::Arena arena;
  RUNNEL_TRY_ASSIGN(const auto key,
                    views::read_key(*view.view, page.asked.request.key, true, arena));
  views::RowsPage found;
  RUNNEL_TRY_ASSIGN(found.answer, views::find_group(view, key, snapshot, page.limits));
  return found;
}

Result<Response> answer(const Page& page) {
  const views::ReadSnapshot snapshot = page.call->service().views()->snapshot();
  RUNNEL_TRY_ASSIGN(const auto view, views::find_view(page.asked.request.view, snapshot));
  std::vector<Header> headers;
  if (page.asked.has_version) {
    RUNNEL_TRY_ASSIGN(const auto version, views::version_of(*view, snapshot));
    if (version) {
      const std::string etag = etag_of(*version, page.format);
      headers = {{"ETag", etag}, {"Cache-Control", "no-cache"}};
      if (is_known(page.call->request(), etag)) return Response{304, {}, {}, std::move(headers)};
    }
  }
  RUNNEL_TRY_ASSIGN(const views::RowsPage found, read_rows(page, *view, snapshot));
  const views::Answer& rows = found.answer;
  Response out{200, std::string(media_type_of(page.format)), {}, std::move(headers)};
  if (!found.next.empty()) out.headers.push_back({"Next-Cursor", found.next});
  if (page.format != RowFormat::kJsonRows) {
    RUNNEL_TRY(append_rows(rows, page.format, page.text_bytes, out.body));
    return out;
  }
  out.body = "{\"view\":" + protocol::json_string(page.asked.request.view) +
             ",\"generation\":" + std::to_string(rows.generation) +
             ",\"sequence\":" + std::to_string(rows.sequence) + ",\"rows\":";
  RUNNEL_TRY(append_rows(rows, RowFormat::kJsonRows, page.text_bytes, out.body));
  out.body += ",\"next\":" + (found.next.empty() ? "null" : protocol::json_string(found.next)) +
              ",\"positions\":";
  append_positions(rows.positions, out.body);
  out.body += ",\"notices\":";
  append_texts(rows.notices, out.body);
  out.body += "}\n";
  return out;
}

/// The rows, or that they are known.
void deliver(const PageRef& page) {
  const CallRef& call = page->call;
  if (const Status paid = pay(*page); !paid) return call->fail(paid.error());
  page->limits.cancelled = cancelled_with(call);
  page->limits.deadline = deadline_of(*call);
  const auto work = [page] { return answer(*page); };
  page->is_one_group ? answer_quickly(call, work) : answer_query(call, work);
}

// ---------------------------------------------------------------- waiting for a change
void look(const WaitingRef& waiting);

void end_wait(const WaitingRef& waiting) {
  if (std::exchange(waiting->over, true)) return;
  Call& call = *waiting->page->call;
  call.service().deadlines().cancel(waiting->deadline);
  call.on_cancel({});
  if (!waiting->looking) waiting->watch.reset();  // else the worker has it
  deliver(waiting->page);
}

void changed(const WaitingRef& waiting) {
  waiting->announced.store(false);
  if (waiting->over) return;
  waiting->news = true;
  if (!waiting->looking) look(waiting);
}

/// On a worker: whether the view is as the client has it. What is wrong is told with the rows.
bool is_unchanged(const WaitingRef& waiting) {
  const Page& page = *waiting->page;
  views::ViewService& service = *page.call->service().views();
  const std::string& name = page.asked.request.view;
  if (waiting->watch == nullptr) {
    // Before the look, so that nothing falls between the two.
    auto watch = service.watch(name, [weak = std::weak_ptr(waiting)] {
      const WaitingRef to = weak.lock();
      if (!to || to->announced.exchange(true)) return;
      to->page->call->on_loop([to] { changed(to); });
    });
    if (!watch) return false;
    waiting->watch = *std::move(watch);
  }
  const views::ReadSnapshot snapshot = service.snapshot();
  const auto view = views::find_view(name, snapshot);
  if (!view) return false;
  const auto version = views::version_of(**view, snapshot);
  return version && *version && is_known(page.call->request(), etag_of(**version, page.format));
}

void look(const WaitingRef& waiting) {
  waiting->looking = true;
  waiting->news = false;
  Call& call = *waiting->page->call;
  call.service().quick_workers().run(call.quick_lane(), [waiting] {
    const bool unchanged = is_unchanged(waiting);
    waiting->page->call->on_loop([waiting, unchanged] {
      waiting->looking = false;
      if (waiting->over) return waiting->watch.reset();
      if (!unchanged) return end_wait(waiting);
      if (waiting->news) look(waiting);
    });
    return true;
  });
}

void wait(const PageRef& page, std::chrono::milliseconds most) {
  Call& call = *page->call;
  if (const Status paid = call.pay_for_waiting(1); !paid) return call.fail(paid.error());
  auto waiting = std::make_shared<Waiting>();
  waiting->page = page;
  waiting->until = std::chrono::steady_clock::now() + most;
  waiting->deadline =
      call.service().deadlines().set(waiting->until, [weak = std::weak_ptr(waiting)] {
        const WaitingRef to = weak.lock();
        if (to) to->page->call->on_loop([to] { end_wait(to); });
      });
  // Also what keeps it while nothing happens.
  call.on_cancel([waiting] { end_wait(waiting); });
  look(waiting);
}

/// How long the request waits for a change; 0: not at all.
Result<std::chrono::milliseconds> wait_of(const Page& page) {
  const auto text = page.call->query("wait");
  if (!text) return std::chrono::milliseconds(0);
  RUNNEL_TRY_ASSIGN(const auto most, protocol::parse_duration(*text));
  if (most > kMaxWait) {
    return fail(ErrorCode::kInvalidArgument,
                "wait: at most " + std::to_string(kMaxWait.count()) + "s");
  }
  if (page.asked.has_version) return most;
  return fail(ErrorCode::kInvalidArgument,
              "wait: these rows have no version, for what is final moves with time; ask again "
              "without it");
}

void read(const CallRef& call) {
  if (views_of(call) == nullptr) return;
  auto page = read_request(call);
  if (!page) return call->fail(page.error());
  const auto most = wait_of(**page);
  if (!most) return call->fail(most.error());
  when_applied(call, call->path("view"), [call, page = *page, most = *most] {
    const bool waits = most.count() > 0 && call->request().header("if-none-match") != nullptr;
    waits ? wait(page, most) : deliver(page);
  });
}

std::vector<Param> row_parameters() {
  std::vector<Param> out = page_parameters();
  out.push_back({.name = "limit",
                 .kind = Param::Kind::kInteger,
                 .text = "Most rows of the page; 100 if left out. Memory may end it sooner.",
                 .min = 1,
                 .max = kMaxPageRows});
  out.push_back({.name = "cursor", .text = "Goes on where a page ended: its `next`."});
  out.push_back({.name = "wait",
                 .text =
                     "With If-None-Match: how long to wait for the view to change, such as 30s; "
                     "60s at most. Then 304.",
                 .example = "1ms"});
  for (Param& param : waiting_parameters()) out.push_back(param);
  out.push_back(format_parameter());
  return out;
}

}  // namespace

std::vector<Route> row_routes() {
  return {
      {.pattern = "/api/v1/views/{view}/rows",
       .handler = read,
       .id = "readRows",
       .tag = "views",
       .summary = "A view's rows: one group, a range of them, or all in pages",
       .description =
           "From one moment of the view. ETag names the view's version: with it in If-None-Match "
           "an unchanged view is answered with 304 before a row is read; with wait as well, it is "
           "answered when the view has changed (long poll), and with 304 when it has not.",
       .query = row_parameters(),
       .headers = {{.name = "If-None-Match", .text = "The ETag of an answer to the same request."}},
       .answers = {{200,
                    "Rows, and the cursor of the next page (also in the header Next-Cursor).",
                    {{kJson, "RowPage"}, {kNdjson}, {kCsv}}},
                   {304, "The view is as If-None-Match has it."}}},
  };
}

}  // namespace runnel::broker::http
