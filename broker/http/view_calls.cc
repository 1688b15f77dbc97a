#include "broker/http/view_calls.h"

#include <algorithm>

#include "broker/http/answer_text.h"
#include "broker/http/json_in.h"
#include "broker/http/limits.h"
#include "protocol/text/units.h"

namespace runnel::broker::http {
namespace {

namespace views = storage::views;

void answer_on(Workers& workers, const std::shared_ptr<Workers::Lane>& lane, const CallRef& call,
               std::function<Result<Response>()> work) {
  workers.run(lane, [call, work = std::move(work)] {
    auto result = std::make_shared<Result<Response>>(work());
    call->on_loop([call, result] {
      if (*result) return call->reply(**std::move(result));
      call->fail(sql_problem(result->error()));
    });
    return true;
  });
}

}  // namespace

views::ViewService* views_of(const CallRef& call) {
  views::ViewService* const service = call->service().views();
  if (service == nullptr) {
    call->fail(Error(ErrorCode::kUnsupported, "this broker was started without views"));
  }
  return service;
}

std::vector<Param> waiting_parameters() {
  return {{.name = "min_pos",
           .text = "First waits until the view has every record before this position: TOPIC/"
                   "PARTITION:OFFSET, as appends and answers name them. May repeat.",
           .repeatable = true,
           .example = "orders/0:0"},
          {.name = "timeout_ms",
           .kind = Param::Kind::kInteger,
           .text = "Longest time for it, in milliseconds; 30000 if left out.",
           .min = 1,
           .max = std::chrono::milliseconds(kMaxQueryTime).count()}};
}

Result<views::Position> parse_position(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  const std::size_t slash = colon == std::string_view::npos ? colon : text.rfind('/', colon);
  if (slash != std::string_view::npos && slash > 0) {
    const auto partition = protocol::parse_integer(text.substr(slash + 1, colon - slash - 1));
    const auto next = protocol::parse_integer(text.substr(colon + 1));
    if (partition && next && *partition >= 0 && *partition < storage::kMaxPartitionsPerTopic &&
        *next >= 0) {
      return views::Position{std::string(text.substr(0, slash)),
                             PartitionIndex(static_cast<std::int32_t>(*partition)), Offset(*next)};
    }
  }
  return fail(ErrorCode::kInvalidArgument,
              "min_pos: '" + std::string(text.substr(0, 300)) +
                  "' is not TOPIC/PARTITION:OFFSET, such as orders/0:17 for every record before "
                  "offset 17");
}

std::chrono::steady_clock::time_point deadline_of(const Call& call) {
  constexpr std::int64_t kUsual = std::chrono::milliseconds(kUsualQueryTime).count();
  return std::chrono::steady_clock::now() +
         std::chrono::milliseconds(call.integer("timeout_ms", kUsual));
}

void when_applied(const CallRef& call, const std::string& view, std::function<void()> then) {
  std::vector<views::Position> positions;
  for (const std::string& text : call->query_all("min_pos")) {
    auto position = parse_position(text);
    if (!position) return call->fail(position.error());
    positions.push_back(*std::move(position));
  }
  if (positions.empty()) return then();
  if (const Status paid = call->pay_for_waiting(positions.size()); !paid) {
    return call->fail(paid.error());
  }
  call->on_cancel([call] {
    call->fail(
        Error(ErrorCode::kShuttingDown, "the broker is going; ask again elsewhere or later"));
  });
  call->service().views()->when_applied(view, std::move(positions), deadline_of(*call),
                                        [call, then = std::move(then)](Status there) {
                                          call->on_loop([call, then, there = std::move(there)] {
                                            if (call->answered()) return;
                                            call->on_cancel({});
                                            there ? then() : call->fail(there.error());
                                          });
                                        });
}

std::shared_ptr<const std::atomic<bool>> cancelled_with(const CallRef& call) {
  auto gone = std::make_shared<std::atomic<bool>>(false);
  call->on_cancel([gone] { gone->store(true); });
  return gone;
}

void answer_query(const CallRef& call, std::function<Result<Response>()> work) {
  answer_on(call->service().query_workers(), call->query_lane(), call, std::move(work));
}

void answer_quickly(const CallRef& call, std::function<Result<Response>()> work) {
  answer_on(call->service().quick_workers(), call->quick_lane(), call, std::move(work));
}

std::uint64_t query_memory(const Call& call) {
  return std::min(kMaxQueryBytes, call.service().memory().largest_request());
}

Error no_memory_for_a_query() {
  return Error(ErrorCode::kOverloaded,
               "the broker's memory is used up, and a query needs some; try again later or raise "
               "its memory limit");
}

Result<std::string> statement_of(const Request& request) {
  std::string sql;
  if (media_type(*request.header("content-type")) == kSql) {
    sql = request.body;
  } else {
    JsonReader in(request.body);
    const Status members = in.object("the body", [&](std::string_view name) -> Status {
      if (name != "sql") return in.unknown(name, "sql");
      RUNNEL_TRY_ASSIGN(sql, in.text("sql"));
      return {};
    });
    RUNNEL_TRY(members);
    RUNNEL_TRY(in.end());
  }
  if (sql.empty()) {
    return fail(ErrorCode::kInvalidArgument,
                "there is no statement; give it as {\"sql\": \"...\"}");
  }
  return sql;
}

std::string quoted_name(std::string_view name) {
  std::string out = "\"";
  for (const char c : name) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + "\"";
}

}  // namespace runnel::broker::http
