// runnel view: what there is, how far it is, its rows and changes.
#include <algorithm>
#include <memory>

#include "protocol/text/units.h"
#include "tools/sql/run_statement.h"
#include "tools/text/json.h"
#include "tools/text/table.h"

namespace runnel::tools {
namespace {

struct ViewArguments {
  SqlFlags flags;
  std::string view;
  std::string where;
  std::string columns;
  std::vector<std::string> key;
  std::vector<std::string> order;
  std::uint64_t limit = 0;  ///< 0: none
  std::uint64_t count = 0;  ///< 0: no bound
  std::string after;
  bool no_snapshot = false;
  bool progress = false;
  bool changes = false;
};

std::string_view name_of(ViewState::Kind kind) {
  constexpr std::string_view kNames[] = {"source", "table", "view", "stream"};
  return kNames[std::min<std::size_t>(static_cast<std::size_t>(kind), 3)];
}
std::string_view name_of(ViewState::State state) {
  constexpr std::string_view kNames[] = {"running", "building", "paused", "failed"};
  return kNames[std::min<std::size_t>(static_cast<std::size_t>(state), 3)];
}

std::uint64_t counter(const ViewState& view, std::string_view name) {
  for (const ViewState::Counter& c : view.counters) {
    if (c.name == name) return c.value;
  }
  return 0;
}

std::string as_json(const ViewState& view) {
  std::string out = "{\"name\":" + json_string(view.name) + ",\"kind\":\"" +
                    std::string(name_of(view.kind)) + "\"";
  if (view.kind == ViewState::Kind::view || view.kind == ViewState::Kind::stream) {
    out += ",\"state\":\"" + std::string(name_of(view.state)) +
           "\",\"lag\":" + std::to_string(view.lag) +
           ",\"sequence\":" + std::to_string(view.sequence) + ",\"counters\":{";
    for (std::size_t i = 0; i < view.counters.size(); ++i) {
      out += (i > 0 ? "," : "") + json_string(view.counters[i].name) + ":" +
             std::to_string(view.counters[i].value);
    }
    out += "},\"applied\":[";
    for (std::size_t i = 0; i < view.applied.size(); ++i) {
      const ViewPosition& p = view.applied[i];
      out += std::string(i > 0 ? "," : "") + "{\"topic\":" + json_string(p.target.topic) +
             ",\"partition\":" + std::to_string(p.target.partition) +
             ",\"next\":" + std::to_string(p.next) + "}";
    }
    out += "]";
  }
  if (!view.problem.empty()) out += ",\"problem\":" + json_string(view.problem);
  if (!view.notice.empty()) out += ",\"notice\":" + json_string(view.notice);
  return out + "}";
}

Result<ExitCode> run_list(const ViewArguments& arguments) {
  RUNNEL_TRY_ASSIGN(auto client, connect_to(arguments.flags.broker));
  RUNNEL_TRY_ASSIGN(const auto views, settle(client.views().list().get()));
  const bool json = arguments.flags.output == "json";
  if (json || arguments.flags.output == "ndjson") {
    std::string out = json ? "[" : "";
    for (std::size_t i = 0; i < views.size(); ++i) {
      out += (json && i > 0 ? ",\n" : "") + as_json(views[i]) + (json ? "" : "\n");
    }
    RUNNEL_TRY(write_out(out + (json ? "]\n" : "")));
    return ExitCode::kOk;
  }
  std::vector<std::vector<std::string>> rows{
      {"NAME", "KIND", "STATE", "RECORDS", "LAG", "LATE", "ERRORS", "SEQUENCE"}};
  for (const ViewState& view : views) {
    const bool reads = view.kind == ViewState::Kind::view || view.kind == ViewState::Kind::stream;
    const auto number = [&](std::uint64_t n) { return reads ? std::to_string(n) : std::string(); };
    rows.push_back({view.name, std::string(name_of(view.kind)),
                    reads ? std::string(name_of(view.state)) : "", number(counter(view, "records")),
                    number(view.lag), number(counter(view, "late")),
                    number(counter(view, "errors")), number(view.sequence)});
  }
  RUNNEL_TRY(write_out(format_table(rows)));
  for (const ViewState& view : views) {
    if (!view.problem.empty()) {
      note(view.name + " has failed: " + view.problem +
           "; when that is mended: runnel view resume " + view.name);
    }
    if (!view.notice.empty()) note(view.name + ": " + view.notice);
  }
  return ExitCode::kOk;
}

/// Runs one statement that the command stands for.
Result<ViewAnswer> ask(Client& client, const std::string& sql, const SqlSettings& settings) {
  ViewQueryOptions options;
  options.timeout = settings.timeout;
  options.wait = settings.wait;
  RUNNEL_TRY_ASSIGN(auto answers, await(client.views().sql(sql, std::move(options))));
  if (answers.empty()) return fail(ErrorCode::kInternal, "the statement was not answered");
  return std::move(answers.front());
}

Result<ExitCode> run_sql(const ViewArguments& arguments, const std::string& sql) {
  RUNNEL_TRY_ASSIGN(const SqlSettings settings, settings_of(arguments.flags));
  RUNNEL_TRY_ASSIGN(auto client, connect_to(arguments.flags.broker));
  RUNNEL_TRY_ASSIGN(const ViewAnswer answer, ask(client, sql, settings));
  RUNNEL_TRY(show_answer(answer, settings));
  return ExitCode::kOk;
}

std::string select_of(const ViewArguments& arguments) {
  std::string sql = "SELECT " + (arguments.columns.empty() ? "*" : arguments.columns) + " FROM " +
                    quoted_name(arguments.view);
  if (!arguments.where.empty()) sql += " WHERE " + arguments.where;
  for (std::size_t i = 0; i < arguments.order.size(); ++i) {
    sql += (i > 0 ? ", " : " ORDER BY ") + arguments.order[i];
  }
  if (arguments.limit > 0) sql += " LIMIT " + std::to_string(arguments.limit);
  return sql;
}

Result<ExitCode> run_query(const ViewArguments& arguments) {
  if (arguments.key.empty()) return run_sql(arguments, select_of(arguments));
  if (!arguments.where.empty() || !arguments.order.empty() || !arguments.columns.empty()) {
    return fail(ErrorCode::kInvalidArgument,
                "--key names one row; leave --where, --order and --columns away");
  }
  RUNNEL_TRY_ASSIGN(const SqlSettings settings, settings_of(arguments.flags));
  RUNNEL_TRY_ASSIGN(auto client, connect_to(arguments.flags.broker));
  ViewQueryOptions options;
  options.timeout = settings.timeout;
  options.wait = settings.wait;
  std::vector<std::optional<std::string>> key(arguments.key.begin(), arguments.key.end());
  RUNNEL_TRY_ASSIGN(const ViewAnswer answer,
                    await(client.views().get(arguments.view, std::move(key), std::move(options))));
  RUNNEL_TRY(show_answer(answer, settings));
  return answer.rows.empty() ? ExitCode::kNotFound : ExitCode::kOk;
}

/// GENERATION/SEQUENCE
Result<ViewSubscribeOptions::After> parse_after(const std::string& text) {
  const std::size_t slash = std::min(text.find('/'), text.size());
  const auto generation = protocol::parse_integer(text.substr(0, slash));
  const auto sequence = protocol::parse_integer(slash < text.size() ? text.substr(slash + 1) : "");
  if (generation && sequence && *generation >= 0 && *generation <= 0xffff && *sequence >= 0) {
    return ViewSubscribeOptions::After{static_cast<std::uint16_t>(*generation),
                                       static_cast<std::uint64_t>(*sequence)};
  }
  return fail(ErrorCode::kInvalidArgument,
              "--after: '" + text +
                  "' is not GENERATION/SEQUENCE, such as 1/420, as -o ndjson "
                  "shows them");
}

Result<ExitCode> run_subscribe(const ViewArguments& arguments) {
  RUNNEL_TRY_ASSIGN(const SqlSettings settings, settings_of(arguments.flags));
  RUNNEL_TRY_ASSIGN(auto client, connect_to(arguments.flags.broker));
  watch_interrupts(2);
  ViewSubscribeOptions options;
  options.view = arguments.view;
  options.where = arguments.where;
  options.snapshot = !arguments.no_snapshot;
  options.progress = arguments.progress;
  if (arguments.changes) options.mode = ViewSubscribeOptions::Mode::changes;
  if (!arguments.after.empty()) {
    RUNNEL_TRY_ASSIGN(options.after, parse_after(arguments.after));
  }
  RUNNEL_TRY(follow_view(client, std::move(options), settings, arguments.count));
  return ExitCode::kOk;
}

Result<ExitCode> run_verify(const ViewArguments& arguments) {
  RUNNEL_TRY_ASSIGN(const SqlSettings settings, settings_of(arguments.flags));
  RUNNEL_TRY_ASSIGN(auto client, connect_to(arguments.flags.broker));
  const std::string sql = "VERIFY MATERIALIZED VIEW " + quoted_name(arguments.view);
  RUNNEL_TRY_ASSIGN(const ViewAnswer answer, ask(client, sql, settings));
  RUNNEL_TRY(show_answer(answer, settings));
  if (answer.rows.empty()) return ExitCode::kOk;
  const auto differing = answer.rows[0].get<std::int64_t>("differing");
  return differing.value_or(0) == 0 ? ExitCode::kOk : ExitCode::kDamaged;
}

/// A subcommand with the options that all have, and a view where `named`.
CLI::App* add_command(Cli& cli, CLI::App& group, const std::string& name, const std::string& text,
                      bool named, Result<ExitCode> (*run)(const ViewArguments&),
                      const std::shared_ptr<ViewArguments>& arguments) {
  CLI::App* command = group.add_subcommand(name, text);
  add_sql_options(*command, arguments->flags);
  if (named) command->add_option("view", arguments->view, "View")->required()->type_name("VIEW");
  command->callback(
      [&cli, arguments, run] { cli.action = [arguments, run] { return run(*arguments); }; });
  return command;
}

}  // namespace

void add_view(Cli& cli) {
  CLI::App* group =
      cli.app.add_subcommand("view", "Materialised views: list, query, follow, check");
  group->require_subcommand(1);
  const auto make = [] { return std::make_shared<ViewArguments>(); };
  add_command(cli, *group, "list",
              "Views and streams: how far they are, what became of the records", false, run_list,
              make());
  add_command(
      cli, *group, "describe", "Columns, options and state of a view", true,
      [](const ViewArguments& a) { return run_sql(a, "DESCRIBE " + quoted_name(a.view)); }, make());
  const auto query = make();
  CLI::App* command = add_command(cli, *group, "query", "Rows of a view", true, run_query, query);
  command
      ->add_option("--key", query->key, "One row, by the group columns' values in GROUP BY order")
      ->allow_extra_args(false)
      ->type_name("VALUE");
  command->add_option("--where", query->where, "Rows for which this holds")->type_name("CONDITION");
  command->add_option("--columns", query->columns, "What of them [*]")->type_name("LIST");
  command->add_option("--order", query->order, "By a column; 'total DESC' the other way")
      ->allow_extra_args(false)
      ->type_name("COLUMN");
  command->add_option("--limit", query->limit, "At most so many")
      ->check(at_least(1))
      ->type_name("N");
  const auto subscribe = make();
  command = add_command(cli, *group, "subscribe", "A view's rows, then each row that changes", true,
                        run_subscribe, subscribe);
  command->add_option("--where", subscribe->where, "Rows for which this holds")
      ->type_name("CONDITION");
  command->add_option("--after", subscribe->after, "Go on behind a change that was told before")
      ->type_name("GENERATION/SEQUENCE");
  command->add_flag("--no-snapshot", subscribe->no_snapshot, "Only what changes from now on");
  command->add_flag("--changes", subscribe->changes,
                    "Tell each change, not the newest row of each group only");
  command->add_flag("--progress", subscribe->progress, "Tell how far the view has read, too");
  command->add_option("-n,--count", subscribe->count, "Stop after so many rows")
      ->check(at_least(1))
      ->type_name("N");
  add_command(cli, *group, "verify", "Compute a view anew from its topic and compare", true,
              run_verify, make());
  add_command(
      cli, *group, "pause", "Let a view read no further for a while", true,
      [](const ViewArguments& a) {
        return run_sql(a, "ALTER MATERIALIZED VIEW " + quoted_name(a.view) + " PAUSE");
      },
      make());
  add_command(
      cli, *group, "resume", "Let a view that was paused or has failed go on", true,
      [](const ViewArguments& a) {
        return run_sql(a, "ALTER MATERIALIZED VIEW " + quoted_name(a.view) + " RESUME");
      },
      make());
}

}  // namespace runnel::tools
