// Views: list, create, describe, drop. Definitions block until they are durable.
#include <algorithm>

#include "broker/http/answer_text.h"
#include "broker/http/limits.h"
#include "broker/http/routes.h"
#include "broker/http/view_calls.h"
#include "protocol/filter/json_text.h"
#include "storage/views/query/view_page.h"
#include "storage/views/sql/parser.h"

namespace runnel::broker::http {
namespace {

namespace views = storage::views;
namespace sql = storage::sql;
using protocol::json_string;

std::string_view name_of(sql::WindowKind kind) {
  switch (kind) {
    case sql::WindowKind::kTumble:
      return "tumble";
    case sql::WindowKind::kHop:
      return "hop";
    case sql::WindowKind::kSession:
      return "session";
    case sql::WindowKind::kCumulate:
      return "cumulate";
    case sql::WindowKind::kNone:
      break;
  }
  return "none";
}

/// The members that a list has, too; without the braces.
std::string summary_of(const views::ViewStatus& status, const views::Definition* definition) {
  const views::ViewPlan* const plan = definition != nullptr ? definition->view.get() : nullptr;
  return "\"name\":" + json_string(status.name) + ",\"state\":\"" +
         std::string(views::name_of(status.state)) +
         "\",\"problem\":" + (status.problem.empty() ? "null" : json_string(status.problem)) +
         ",\"topic\":" + (plan == nullptr ? "null" : json_string(plan->source.topic)) +
         ",\"lag\":" + std::to_string(status.lag) + ",\"generation\":" +
         std::to_string(definition != nullptr ? definition->id.generation : 0) +
         ",\"sequence\":" + std::to_string(status.sequence);
}

void append_plan(const views::ViewPlan& plan, std::string& out) {
  out += ",\"key\":[";
  for (const views::KeyPlan& key : plan.keys) {
    if (out.back() != '[') out += ',';
    out += "{\"name\":" + json_string(key.name) +
           ",\"type\":" + json_string(sql::name_of(key.type)) + "}";
  }
  out += "],\"columns\":";
  std::vector<views::AnswerColumn> columns;
  for (const views::OutputPlan& output : plan.outputs) {
    columns.push_back({output.name, output.type,
                       output.key ? views::ColumnRole::kDimension : views::ColumnRole::kMeasure});
  }
  append_columns(columns, out);
  out += ",\"window\":";
  if (plan.window.kind == sql::WindowKind::kNone) {
    out += "null";
    return;
  }
  out += "{\"kind\":\"" + std::string(name_of(plan.window.kind)) +
         "\",\"time_zone\":" + json_string(plan.options.time_zone) + "}";
}

std::string json_of(const views::ViewStatus& status, const views::Definition& definition) {
  const views::Counters& c = status.totals;
  std::string out = "{" + summary_of(status, &definition) +
                    ",\"sql\":" + json_string(definition.sql) +
                    ",\"created\":" + std::to_string(definition.created.value());
  if (definition.view != nullptr) {
    append_plan(*definition.view, out);
  } else {
    out += R"(,"key":[],"columns":[],"window":null)";
  }
  out += ",\"applied\":";
  append_positions(status.applied, out);
  const auto count = [](std::uint64_t n) { return std::to_string(n); };
  out += ",\"counters\":{\"records\":" + count(c.records) + ",\"applied\":" + count(c.applied) +
         ",\"filtered\":" + count(c.filtered) + ",\"late\":" + count(c.late) +
         ",\"errors\":" + count(c.errors) + ",\"late_updates\":" + count(c.late_updates) +
         ",\"late_windows\":" + count(c.late_windows) + ",\"overflows\":" + count(c.overflows) +
         "}}\n";
  return out;
}

Result<Response> described(const views::ViewService& service, const std::string& name,
                           unsigned status) {
  const auto definition = service.snapshot().definitions->find(name);
  for (const views::ViewStatus& one : service.status()) {
    if (one.name != name || one.kind != sql::ObjectKind::kView || definition == nullptr) continue;
    return json(json_of(one, *definition), status);
  }
  RUNNEL_TRY(views::find_view(name, service.snapshot()));
  return fail(ErrorCode::kNotFound, "there is no view '" + name + "' any more");
}

void list(const CallRef& call) {
  const views::ViewService* const service = views_of(call);
  if (service == nullptr) return;
  answer_blocking(call, [call, service] {
    const std::string prefix(call->query("prefix").value_or(""));
    const std::string after(call->query("after").value_or(""));
    const auto limit = static_cast<std::size_t>(call->integer("limit", 1000));
    const auto known = service->snapshot().definitions;
    std::string body = "{\"views\":[";
    std::string last;
    std::string next = "null";
    std::size_t count = 0;
    for (const views::ViewStatus& status : service->status()) {
      if (status.kind != sql::ObjectKind::kView || status.name <= after ||
          !status.name.starts_with(prefix)) {
        continue;
      }
      if (count == limit) {
        next = json_string(last);
        break;
      }
      if (count++ > 0) body += ',';
      body += "{" + summary_of(status, known->find(status.name).get()) + "}";
      last = status.name;
    }
    return json(body + "],\"next\":" + next + "}\n");
  });
}

/// The one CREATE MATERIALIZED VIEW of the body.
struct NewView {
  std::string text;
  std::string name;
};

Result<NewView> read_new_view(const Request& request) {
  NewView out;
  RUNNEL_TRY_ASSIGN(out.text, statement_of(request));
  if (out.text.size() > views::kMaxStatementBytes) {
    return fail(ErrorCode::kInvalidArgument,
                "a statement has at most " + std::to_string(views::kMaxStatementBytes) + " bytes");
  }
  RUNNEL_TRY_ASSIGN(const auto statements, sql::parse(out.text));
  const auto* const create = statements.size() == 1
                                 ? std::get_if<sql::CreateView>(&statements.front().statement)
                                 : nullptr;
  if (create == nullptr) {
    return fail(ErrorCode::kInvalidArgument,
                "this path takes one CREATE MATERIALIZED VIEW; /api/v1/sql takes other statements");
  }
  out.name = create->name.text;
  return out;
}

void create(const CallRef& call) {
  views::ViewService* const service = views_of(call);
  if (service == nullptr) return;
  auto view = read_new_view(call->request());
  if (!view) return call->fail(sql_problem(view.error()));
  answer_query(call, [call, service, view = *std::move(view)]() -> Result<Response> {
    const auto before = service->snapshot().definitions->find(view.name);
    RUNNEL_TRY(service->execute(view.text));
    const auto now = service->snapshot().definitions->find(view.name);
    const bool same =
        before != nullptr && now != nullptr && before->sql == now->sql && before->id == now->id;
    RUNNEL_TRY_ASSIGN(auto out, described(*service, view.name, same ? 200 : 201));
    if (!same) out.headers.push_back({"Location", "/api/v1/views/" + percent_encode(view.name)});
    return out;
  });
}

void describe(const CallRef& call) {
  const views::ViewService* const service = views_of(call);
  if (service == nullptr) return;
  answer_blocking(call, [call, service] { return described(*service, call->path("view"), 200); });
}

void drop(const CallRef& call) {
  views::ViewService* const service = views_of(call);
  if (service == nullptr) return;
  answer_query(call, [call, service]() -> Result<Response> {
    const std::string& name = call->path("view");
    const auto definition = service->snapshot().definitions->find(name);
    if (definition == nullptr || definition->kind != sql::ObjectKind::kView) {
      RUNNEL_TRY(views::find_view(name, service->snapshot()));
    }
    RUNNEL_TRY(service->execute("DROP MATERIALIZED VIEW " + quoted_name(name) +
                                (call->flag("cascade") ? " CASCADE" : "")));
    return Response{204, {}, {}, {}};
  });
}

}  // namespace

std::vector<Route> view_routes() {
  const std::vector<Content> view{{kJson, "View"}};
  const std::string_view path = "/api/v1/views/{view}";
  return {
      {.pattern = "/api/v1/views",
       .handler = list,
       .id = "listViews",
       .tag = "views",
       .summary = "Materialised views by name",
       .query = {{.name = "prefix", .text = "Only views whose names begin so."},
                 {.name = "after", .text = "Only views behind this name: `next` of a page."},
                 {.name = "limit",
                  .kind = Param::Kind::kInteger,
                  .text = "Most views of the page; 1000 if left out.",
                  .min = 1,
                  .max = kMaxListed}},
       .answers = {{200, "A page of views.", {{kJson, "ViewList"}}}}},
      {.method = Method::kPost,
       .pattern = "/api/v1/views",
       .handler = create,
       .id = "createView",
       .tag = "views",
       .summary = "Creates a view by its CREATE MATERIALIZED VIEW",
       .description = "It is durable when this is answered, and reads what is in its topic from "
                      "then on. A problem has the line and the column in the statement.",
       .bodies = {{kJson, "Sql"}, {kSql}},
       .answers = {{201, "The view.", view},
                   {200, "It was there, and IF NOT EXISTS was given.", view}}},
      {.pattern = path,
       .handler = describe,
       .id = "describeView",
       .tag = "views",
       .summary = "A view: its statement, columns, and how far it has read",
       .answers = {{200, "The view.", view}}},
      {.method = Method::kDelete,
       .pattern = path,
       .handler = drop,
       .id = "dropView",
       .tag = "views",
       .summary = "Drops a view and its state; its topic stays as it is",
       .query = {{.name = "cascade",
                  .kind = Param::Kind::kBoolean,
                  .text = "Also drops the views that read it."}},
       .answers = {{204, "It is gone."}}},
  };
}

}  // namespace runnel::broker::http
