// runnel hook list | describe | create | delete | pause | resume | replay: webhooks that go out.
#include <fstream>
#include <memory>

#include "broker/net/http_call.h"
#include "protocol/text/time.h"
#include "protocol/text/units.h"
#include "tools/cli.h"
#include "tools/text/address.h"
#include "tools/text/json.h"
#include "tools/text/table.h"

namespace runnel::tools {
namespace {

struct HookArguments {
  std::string broker;
  std::string output;
  std::string name;
  std::string topic;
  std::string view;  ///< instead of a topic
  std::string url;
  std::string body;
  std::string text;  ///< the template
  std::string content_type;
  std::string from;
  std::string secret_file;
  std::vector<std::string> filter;
  std::int64_t max_attempts = 0;  ///< 0: as the broker has it
  std::int64_t timeout_ms = 0;    ///< likewise
};
using Arguments = std::shared_ptr<HookArguments>;

/// The code that a problem document names.
ErrorCode code_of(std::string_view type) {
  constexpr std::string_view kPrefix = "urn:runnel:problem:";
  if (type.starts_with(kPrefix)) type.remove_prefix(kPrefix.size());
  constexpr int kCodes = 256;
  for (int i = 1; i < kCodes; ++i) {
    const auto code = static_cast<ErrorCode>(i);
    if (name_of(code) == type) return code;
  }
  return ErrorCode::kIo;
}

/// The answer's body; what is no 2xx is an error as the broker tells it.
Result<std::string> ask(const HookArguments& arguments, std::string method, std::string target,
                        std::string body = {}) {
  RUNNEL_TRY_ASSIGN(const auto addresses, broker_addresses(arguments.broker));
  broker::HttpCall call;
  call.method = std::move(method);
  call.target = std::move(target);
  call.body = std::move(body);
  Result<broker::HttpReply> reply = fail(ErrorCode::kDisconnected, "no address");
  for (const BrokerAddress& address : addresses) {
    call.host = address.host;
    call.port = address.port;
    reply = broker::call_http(call);
    // What may have reached a broker is not asked of another one.
    if (reply || !broker::reached_nobody(reply.error())) break;
  }
  if (!reply && reply.error().code() == ErrorCode::kDisconnected) {
    return fail(ErrorCode::kDisconnected,
                reply.error().message() +
                    "; start a broker with `runnel serve`, or name another one with -b HOST:PORT "
                    "or RUNNEL_BROKER");
  }
  if (!reply) return fail(reply.error());
  if (reply->status / 100 == 2) return std::move(reply->body);
  const auto problem = JsonDocument::parse(reply->body);
  const auto type = problem ? problem->text_at(".type") : std::nullopt;
  const auto detail = problem ? problem->text_at(".detail") : std::nullopt;
  if (type && detail) return fail(code_of(*type), *detail);
  return fail(ErrorCode::kIo, "the broker answered " + std::to_string(reply->status));
}

/// Of one webhook, by what is one of its paths.
std::string path_of(const HookArguments& arguments, std::string_view action = {}) {
  std::string out = "/api/v1/webhooks/";
  constexpr std::string_view kHex = "0123456789ABCDEF";
  for (const char c : arguments.name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '.' || c == '_' || c == '-';
    const auto byte = static_cast<unsigned char>(c);
    plain ? out += c : (out += '%', out += kHex[byte >> 4U], out += kHex[byte & 15U]);
  }
  return out + std::string(action);
}

std::string text_at(const JsonDocument& json, const std::string& path) {
  return json.text_at(path).value_or("-");
}

/// Offsets that are still to be delivered, of all partitions of the webhook at `path`.
std::int64_t behind(const JsonDocument& json, const std::string& path) {
  std::int64_t all = 0;
  for (std::size_t i = 0;; ++i) {
    const std::string place = path + ".places[" + std::to_string(i) + "]";
    if (!json.has(place)) return all;
    all += json.integer_at(place + ".behind").value_or(0);
  }
}

Result<ExitCode> list(const HookArguments& arguments) {
  RUNNEL_TRY_ASSIGN(const std::string answer, ask(arguments, "GET", "/api/v1/webhooks"));
  RUNNEL_TRY_ASSIGN(const auto json, JsonDocument::parse(answer));
  if (arguments.output == "json") {
    RUNNEL_TRY(write_out(text_at(json, ".webhooks") + "\n"));
    return ExitCode::kOk;
  }
  std::vector<std::vector<std::string>> rows{
      {"NAME", "TOPIC", "STATE", "BEHIND", "DELIVERED", "DEAD", "URL"}};
  for (std::size_t i = 0;; ++i) {
    const std::string at = ".webhooks[" + std::to_string(i) + "]";
    if (!json.has(at)) break;
    rows.push_back({text_at(json, at + ".name"), text_at(json, at + ".topic"),
                    text_at(json, at + ".state"), std::to_string(behind(json, at)),
                    text_at(json, at + ".counts.delivered"), text_at(json, at + ".counts.dead"),
                    text_at(json, at + ".url")});
  }
  RUNNEL_TRY(write_out(format_table(rows)));
  return ExitCode::kOk;
}

std::string shown_time(std::optional<std::int64_t> millis) {
  return millis ? protocol::format_time(*millis) : "-";
}

Result<ExitCode> describe(const HookArguments& arguments) {
  RUNNEL_TRY_ASSIGN(const std::string answer, ask(arguments, "GET", path_of(arguments)));
  if (arguments.output == "json") {
    RUNNEL_TRY(write_out(answer));
    return ExitCode::kOk;
  }
  RUNNEL_TRY_ASSIGN(const auto json, JsonDocument::parse(answer));
  std::string out;
  const auto line = [&](std::string_view name, const std::string& value) {
    out += std::string(name) + std::string(17 - name.size(), ' ') + value + "\n";
  };
  for (const char* name :
       {"name", "topic", "url", "state", "problem", "filter", "body", "template", "content_type",
        "max_attempts", "timeout_ms", "secret_count", "in_flight", "memory_bytes"}) {
    const std::string value = text_at(json, std::string(".") + name);
    if (value != "-" && value != "[]") line(name, value);
  }
  line("created", shown_time(json.integer_at(".created")));
  for (const char* name : {"delivered", "failed_attempts", "dead"}) {
    line(name, text_at(json, std::string(".counts.") + name));
  }
  if (const auto error = json.text_at(".last_error")) {
    line("last_error", *error + " (" + shown_time(json.integer_at(".last_error_time")) + ")");
  }
  std::vector<std::vector<std::string>> rows{{"PARTITION", "NEXT", "BEHIND", "LOST"}};
  for (std::size_t i = 0;; ++i) {
    const std::string at = ".places[" + std::to_string(i) + "]";
    if (!json.has(at)) break;
    rows.push_back({text_at(json, at + ".partition"), text_at(json, at + ".next"),
                    text_at(json, at + ".behind"), text_at(json, at + ".lost")});
  }
  RUNNEL_TRY(write_out(out + format_table(rows)));
  return ExitCode::kOk;
}

/// A secret a line; empty lines do not count.
Result<std::string> secrets_of(const std::string& path) {
  std::ifstream file(path);
  if (!file) return fail(ErrorCode::kNotFound, "the file '" + path + "' can't be read");
  std::string out;
  for (std::string line; std::getline(file, line);) {
    if (line.ends_with('\r')) line.pop_back();
    if (!line.empty()) out += (out.empty() ? "" : ",") + json_string(line);
  }
  if (!out.empty()) return "[" + out + "]";
  return fail(ErrorCode::kInvalidArgument,
              "the file '" + path + "' has no secret; it has one a line");
}

Result<ExitCode> create(const HookArguments& arguments) {
  if (arguments.topic.empty() == arguments.view.empty()) {
    return fail(ErrorCode::kInvalidArgument,
                "a webhook sends a topic or a view: say --topic TOPIC or --view VIEW");
  }
  std::string body = "{\"url\":" + json_string(arguments.url);
  const auto add = [&](std::string_view name, const std::string& json) {
    body += ",\"" + std::string(name) + "\":" + json;
  };
  const auto add_text = [&](std::string_view name, const std::string& text) {
    if (!text.empty()) add(name, json_string(text));
  };
  add_text("topic", arguments.topic);
  add_text("view", arguments.view);
  add_text("body", arguments.body);
  add_text("template", arguments.text);
  add_text("content_type", arguments.content_type);
  add_text("from", arguments.from);
  if (arguments.max_attempts > 0) add("max_attempts", std::to_string(arguments.max_attempts));
  if (arguments.timeout_ms > 0) add("timeout_ms", std::to_string(arguments.timeout_ms));
  if (!arguments.filter.empty()) {
    std::string list;
    for (const std::string& one : arguments.filter) {
      list += (list.empty() ? "" : ",") + json_string(one);
    }
    add("filter", "[" + list + "]");
  }
  if (!arguments.secret_file.empty()) {
    RUNNEL_TRY_ASSIGN(const std::string secrets, secrets_of(arguments.secret_file));
    add("secrets", secrets);
  }
  RUNNEL_TRY(ask(arguments, "PUT", path_of(arguments), body + "}"));
  RUNNEL_TRY(write_out("webhook " + arguments.name + " sends " + arguments.topic + arguments.view +
                       " to " + arguments.url + "\n"));
  return ExitCode::kOk;
}

Result<ExitCode> remove(const HookArguments& arguments) {
  RUNNEL_TRY(ask(arguments, "DELETE", path_of(arguments)));
  RUNNEL_TRY(write_out("deleted webhook " + arguments.name + "\n"));
  return ExitCode::kOk;
}

Result<ExitCode> pause(const HookArguments& arguments) {
  RUNNEL_TRY(ask(arguments, "POST", path_of(arguments, "/pause")));
  RUNNEL_TRY(write_out("paused webhook " + arguments.name + "\n"));
  return ExitCode::kOk;
}

Result<ExitCode> resume(const HookArguments& arguments) {
  RUNNEL_TRY(ask(arguments, "POST", path_of(arguments, "/resume")));
  RUNNEL_TRY(write_out("resumed webhook " + arguments.name + "\n"));
  return ExitCode::kOk;
}

Result<ExitCode> replay(const HookArguments& arguments) {
  RUNNEL_TRY(ask(arguments, "POST", path_of(arguments, "/replay"),
                 "{\"from\":" + json_string(arguments.from) + "}"));
  RUNNEL_TRY(write_out("webhook " + arguments.name + " sends again from " + arguments.from + "\n"));
  return ExitCode::kOk;
}

void add_name(CLI::App& command, const Arguments& arguments) {
  command.add_option("name", arguments->name, "Webhook")->required()->type_name("NAME");
}

void add_definition(CLI::App& command, const Arguments& arguments) {
  add_name(command, arguments);
  command.add_option("--topic", arguments->topic, "Topic whose records are sent")
      ->type_name("TOPIC");
  command
      .add_option("--view", arguments->view,
                  "Instead: view whose changes are sent; it has to have a changelog topic")
      ->type_name("VIEW");
  command.add_option("--url", arguments->url, "Where they are sent: https:// or http://")
      ->required()
      ->type_name("URL");
  command
      .add_option("--from", arguments->from,
                  "Where a new webhook begins: end (if left out), start, an offset, a time or -2h")
      ->type_name("PLACE");
  command
      .add_option("--where", arguments->filter,
                  "Only records for which this holds, as of consume; may be repeated")
      ->type_name("CONDITION")
      ->allow_extra_args(false);
  command
      .add_option("--body", arguments->body,
                  "What is sent: the record as JSON (if left out), or its value as it stands")
      ->check(CLI::IsMember({"record", "value"}))
      ->type_name("KIND");
  command
      .add_option("--template", arguments->text,
                  "Sends this text instead, with ${key}, ${value}, ${/user/name} and such in it")
      ->type_name("TEXT");
  command.add_option("--content-type", arguments->content_type, "Of what is sent")
      ->type_name("TYPE");
  command
      .add_option("--max-attempts", arguments->max_attempts,
                  "Requests for one record, then it is a dead letter; 12 if left out")
      ->check(between(1, 100))
      ->type_name("N");
  command
      .add_option("--timeout-ms", arguments->timeout_ms,
                  "Milliseconds for one request; 10000 if left out")
      ->check(between(1, 60'000))
      ->type_name("N");
  command
      .add_option("--secret-file", arguments->secret_file,
                  "File of secrets (whsec_...) that sign requests, one a line; left out, a webhook "
                  "that is there keeps its own")
      ->type_name("FILE");
}

}  // namespace

void add_hook(Cli& cli) {
  CLI::App* hook =
      cli.app.add_subcommand("hook", "Look at and change webhooks, which send records to URLs");
  hook->require_subcommand(1);

  auto arguments = std::make_shared<HookArguments>();
  CLI::App* command = add_broker_command(cli, *hook, "list", "List all webhooks", arguments, list);
  add_output_option(*command, arguments->output);

  arguments = std::make_shared<HookArguments>();
  command = add_broker_command(cli, *hook, "describe", "Show where a webhook is, and what failed",
                               arguments, describe);
  add_name(*command, arguments);
  add_output_option(*command, arguments->output);

  arguments = std::make_shared<HookArguments>();
  command = add_broker_command(
      cli, *hook, "create",
      "Send a topic's records to a URL, or define anew how: of a webhook that is "
      "there nothing stays that is left out here, but its secrets and its place",
      arguments, create);
  add_definition(*command, arguments);

  struct Simple {
    const char* name;
    const char* text;
    Result<ExitCode> (*work)(const HookArguments&);
  };
  for (const Simple& each : {Simple{"delete", "Delete a webhook; its dead letters stay", remove},
                             Simple{"pause", "Send nothing until it is resumed", pause},
                             Simple{"resume", "Go on where it was paused", resume}}) {
    arguments = std::make_shared<HookArguments>();
    add_name(*add_broker_command(cli, *hook, each.name, each.text, arguments, each.work),
             arguments);
  }

  arguments = std::make_shared<HookArguments>();
  command =
      add_broker_command(cli, *hook, "replay", "Send again, from a place on", arguments, replay);
  add_name(*command, arguments);
  command->add_option("--from", arguments->from, "start, end, an offset, a time or -2h")
      ->required()
      ->type_name("PLACE");
}

}  // namespace runnel::tools
