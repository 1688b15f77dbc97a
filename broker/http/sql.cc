// SQL: statements in, their answers out.
#include "broker/http/answer_text.h"
#include "broker/http/limits.h"
#include "broker/http/routes.h"
#include "broker/http/view_calls.h"
#include "storage/views/sql/parser.h"

namespace runnel::broker::http {
namespace {

namespace views = storage::views;
namespace sql = storage::sql;

/// What the request says about how to run it.
struct Run {
  CallRef call;
  std::string text;
  RowFormat format = RowFormat::kJsonRows;
  views::QueryLimits limits;
  std::size_t text_bytes = 0;  ///< most of the answer
};

bool only_reads(const sql::Statement& statement) {
  return std::holds_alternative<sql::Query>(statement) ||
         std::holds_alternative<sql::Show>(statement) ||
         std::holds_alternative<sql::Describe>(statement) ||
         std::holds_alternative<sql::Explain>(statement) ||
         std::holds_alternative<sql::Verify>(statement);
}

/// What can be told before anything is run.
Status check(const Run& run) {
  if (run.text.size() > views::kMaxStatementBytes) return {};  // the service refuses it
  RUNNEL_TRY_ASSIGN(const auto statements, sql::parse(run.text));
  if (statements.empty()) {
    return fail(ErrorCode::kInvalidArgument, "there is no statement in the text");
  }
  if (run.format != RowFormat::kJsonRows && statements.size() > 1) {
    return fail(ErrorCode::kInvalidArgument,
                "several statements have several answers, which CSV and NDJSON cannot keep apart; "
                "send one at a time, or take JSON");
  }
  if (!run.call->flag("read_only")) return {};
  for (const sql::Parsed& parsed : statements) {
    if (only_reads(parsed.statement)) continue;
    return fail(ErrorCode::kInvalidArgument,
                "with read_only=true a statement may only read: SELECT, SHOW, DESCRIBE, EXPLAIN, "
                "VERIFY");
  }
  return {};
}

Status append_answer(const views::Answer& answer, std::size_t most, std::string& out) {
  out += "{\"tag\":\"" + answer.tag + "\",\"columns\":";
  append_columns(answer.columns, out);
  out += ",\"rows\":";
  RUNNEL_TRY(append_rows(answer, RowFormat::kJsonRows, most, out));
  out += ",\"positions\":";
  append_positions(answer.positions, out);
  out += ",\"generation\":" + std::to_string(answer.generation) +
         ",\"sequence\":" + std::to_string(answer.sequence) + ",\"notices\":";
  append_texts(answer.notices, out);
  out += '}';
  return {};
}

Result<Response> execute(const Run& run) {
  RUNNEL_TRY(check(run));
  RUNNEL_TRY_ASSIGN(const auto answers, run.call->service().views()->execute(run.text, run.limits));
  Response out{200, std::string(media_type_of(run.format)), {}, {}};
  if (run.format != RowFormat::kJsonRows) {
    RUNNEL_TRY(append_rows(answers.front(), run.format, run.text_bytes, out.body));
    return out;
  }
  out.body = "{\"answers\":[";
  for (const views::Answer& answer : answers) {
    if (out.body.back() != '[') out.body += ',';
    if (out.body.size() > run.text_bytes) {
      return fail(ErrorCode::kRecordTooLarge,
                  "the answers together have too many bytes; send fewer statements at a time");
    }
    RUNNEL_TRY(append_answer(answer, run.text_bytes - out.body.size(), out.body));
  }
  out.body += "]}\n";
  return out;
}

void run_sql(const CallRef& call) {
  if (views_of(call) == nullptr) return;
  auto text = statement_of(call->request());
  if (!text) return call->fail(text.error());
  MemoryLease lease;
  const std::uint64_t bytes = query_memory(*call);
  if (!call->service().memory().try_take(bytes, lease)) return call->fail(no_memory_for_a_query());
  call->keep(std::move(lease));
  auto run = std::make_shared<Run>();
  run->call = call;
  run->text = *std::move(text);
  run->format = format_of(*call);
  run->limits.deadline = deadline_of(*call);
  run->limits.max_rows = static_cast<std::size_t>(call->integer("max_rows", kMaxQueryRows));
  run->limits.max_bytes = static_cast<std::size_t>(bytes / 3);
  run->text_bytes = static_cast<std::size_t>(bytes / 3 * 2);
  when_applied(call, "", [call, run] {
    run->limits.cancelled = cancelled_with(call);
    answer_query(call, [run] { return execute(*run); });
  });
}

}  // namespace

std::vector<Route> sql_routes() {
  std::vector<Param> query = waiting_parameters();
  query.push_back(format_parameter());
  query.push_back({.name = "read_only",
                   .kind = Param::Kind::kBoolean,
                   .text = "Refuses statements that change something."});
  query.push_back({.name = "max_rows",
                   .kind = Param::Kind::kInteger,
                   .text = "An answer with more rows is an error.",
                   .min = 1,
                   .max = kMaxQueryRows});
  return {
      {.method = Method::kPost,
       .pattern = "/api/v1/sql",
       .handler = run_sql,
       .id = "runSql",
       .tag = "sql",
       .summary = "Runs SQL: SELECT over views, tables and topics, and what defines views",
       .description =
           "One statement, or several separated by semicolons, up to the first error. JSON has "
           "each "
           "one's answer, NDJSON and CSV the rows of a single one. A problem has the line and the "
           "column in the text.",
       .query = std::move(query),
       .bodies = {{kJson, "Sql"}, {kSql}},
       .answers = {{200, "The answers.", {{kJson, "SqlAnswers"}, {kNdjson}, {kCsv}}}}},
  };
}

}  // namespace runnel::broker::http
