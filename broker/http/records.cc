// Records by offset or time, with filters, a page at a time; waits for new ones if asked to.
#include "broker/http/limits.h"
#include "broker/http/reading.h"
#include "broker/http/routes.h"
#include "protocol/filter/json_text.h"

namespace runnel::broker::http {
namespace {

/// A page that is being made.
struct Page {
  CallRef call;
  std::shared_ptr<const protocol::RecordFilter> filter;
  bool lines = false;  ///< NDJSON
  std::unique_ptr<RecordScan> scan;
  std::optional<Error> error;
  MemoryLease lease;  ///< of what is read and of the answer; not while the page waits
  std::chrono::milliseconds max_wait{0};
  bool waited = false;
  storage::FetchTicket ticket = 0;
  bool answered = false;  ///< the waiting fetch has
};
using PageRef = std::shared_ptr<Page>;

void write_json(const protocol::Record& record, std::int32_t partition, const RecordScan&,
                std::string& out) {
  if (!out.empty()) out += ",\n";
  append_record(record, partition, out);
}

void write_line(const protocol::Record& record, std::int32_t partition, const RecordScan&,
                std::string& out) {
  append_record(record, partition, out);
  out += '\n';
}

Status open(Page& page) {
  Call& call = *page.call;
  RUNNEL_TRY_ASSIGN(auto from, places_of(call, std::nullopt, "start"));
  const ScanLimits limits{static_cast<std::size_t>(call.integer("limit", 100)), kMaxReadBytes,
                          kReadPieceBytes};
  page.scan = std::make_unique<RecordScan>(call.store(), call.service().memory(),
                                           call.service().clock(), page.filter, std::move(from),
                                           limits, page.lines ? write_line : write_json);
  return {};
}

void answer(const PageRef& page) {
  RecordScan& scan = *page->scan;
  const std::string next = format_cursor(scan.cursor());
  Counters::add(page->call->service().counters().read_records, scan.records());
  Response out;
  if (page->lines) {
    out = {200, std::string(kNdjson), scan.take_text(), {}};
  } else {
    out = json("{\"records\":[" + scan.take_text() + "],\"next\":" + protocol::json_string(next) +
               ",\"at_end\":" + (scan.at_end() ? "true" : "false") +
               ",\"unreadable\":" + std::to_string(scan.unreadable()) + "}\n");
  }
  out.headers.push_back({"Next-Cursor", next});
  page->call->keep(std::move(page->lease));
  page->call->reply(std::move(out));
}

void scan(const PageRef& page);

bool take_memory(Page& page) {
  return page.call->service().memory().try_take(kReadPieceBytes + kMaxReadBytes, page.lease);
}

/// Nothing was there: the store tells when something is, or that time is up.
void wait(const PageRef& page) {
  page->waited = true;
  auto request = waiting_fetch(page->scan->from(), page->max_wait);
  if (request.items.empty()) return answer(page);
  if (const Status paid = page->call->pay_for_waiting(request.items.size()); !paid) {
    return page->call->fail(paid.error());
  }
  page->lease = MemoryLease();
  const auto told = [page](const storage::FetchResult&) {
    page->call->on_loop([page] {
      page->answered = true;
      page->call->on_cancel({});
      if (!take_memory(*page)) return answer(page);  // an empty page: the cursor goes on there
      page->scan->restart();
      scan(page);
    });
  };
  page->ticket = page->call->store().fetch(std::move(request), told);
  page->call->on_cancel([page] {
    if (page->answered || !page->call->store().cancel_fetch(page->ticket)) return;
    answer(page);
  });
}

void scan(const PageRef& page) {
  run_in_pieces(
      page->call,
      [page] {
        if (!page->scan) {
          if (const Status opened = open(*page); !opened) {
            page->error = opened.error();
            return true;
          }
        }
        if (!page->scan->work()) return false;
        page->error = page->scan->error();
        return true;
      },
      [page] {
        if (page->error) return page->call->fail(*page->error);
        const bool nothing = page->scan->records() == 0 && page->scan->at_end();
        if (nothing && page->max_wait.count() > 0 && !page->waited) return wait(page);
        answer(page);
      });
}

void read(const CallRef& call) {
  auto filter = filter_of(*call);
  if (!filter) return call->fail(filter.error().within("the filter"));
  auto page = std::make_shared<Page>();
  page->call = call;
  if (!take_memory(*page)) {
    return call->fail(Error(ErrorCode::kOverloaded,
                            "the broker's memory is used up, and reading needs some; try again "
                            "later or raise its memory limit"));
  }
  page->filter = *std::move(filter);
  page->lines = call->wants(kNdjson);
  page->max_wait = std::chrono::milliseconds(call->integer("max_wait_ms", 0));
  scan(page);
}

}  // namespace

std::vector<Route> record_routes() {
  constexpr std::string_view kFrom =
      "Where to begin: start (if left out), end, an offset (17), -100 (so many before the end of "
      "each partition), -2h (ago), a time (2026-11-21T05:00:00Z) or @ with milliseconds.";
  std::vector<Param> query = reading_parameters(kFrom, true);
  query.push_back({.name = "limit",
                   .kind = Param::Kind::kInteger,
                   .text = "Most records of the answer; 100 if left out. It also ends at 4 MiB.",
                   .min = 1,
                   .max = kMaxReadRecords});
  query.push_back({.name = "max_wait_ms",
                   .kind = Param::Kind::kInteger,
                   .text = "If nothing is there, waits so long for the first record.",
                   .max = std::chrono::milliseconds(kMaxWait).count()});
  return {
      {.pattern = "/api/v1/topics/{topic}/records",
       .handler = read,
       .id = "readRecords",
       .tag = "records",
       .summary = "Records from an offset or a time on, a page at a time",
       .description = "In the order of their offsets within a partition; partitions have turns. "
                      "Only what is durable and committed. An answer may have fewer records than "
                      "there are, even none, while at_end is false: go on with its cursor.",
       .query = std::move(query),
       .answers = {{200,
                    "Records, and the cursor of the next page (also in the header Next-Cursor).",
                    {{kJson, "RecordPage"}, {kNdjson}}}}},
  };
}

}  // namespace runnel::broker::http
