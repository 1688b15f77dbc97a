// The OpenAPI document, made from the table of routes.
#include <map>

#include "broker/http/router.h"
#include "protocol/filter/json_text.h"

namespace runnel::broker::http {
namespace {

using protocol::json_string;

std::string schema_of_content(const Content& content) {
  if (content.schema.empty()) return R"({"type":"string"})";
  return R"({"$ref":"#/components/schemas/)" + std::string(content.schema) + "\"}";
}

std::string contents_of(const std::vector<Content>& contents) {
  std::string out = "{";
  for (const Content& c : contents) {
    if (out.size() > 1) out += ',';
    out += json_string(c.type) + ":{\"schema\":" + schema_of_content(c) + "}";
  }
  return out + "}";
}

std::string type_of(const Param& param) {
  switch (param.kind) {
    case Param::Kind::kText:
      return R"({"type":"string","minLength":1})";
    case Param::Kind::kInteger:
      return R"({"type":"integer","minimum":)" + std::to_string(param.min) +
             ",\"maximum\":" + std::to_string(param.max) + "}";
    case Param::Kind::kBoolean:
      return R"({"type":"boolean"})";
    case Param::Kind::kChoice: {
      std::string out = R"({"type":"string","enum":[)";
      std::string_view rest = param.choices;
      for (;;) {
        const std::size_t bar = rest.find('|');
        out += json_string(rest.substr(0, bar));
        if (bar == std::string_view::npos) return out + "]}";
        out += ',';
        rest.remove_prefix(bar + 1);
      }
    }
  }
  return "{}";
}

std::string parameter_of(const Param& param, std::string_view in) {
  std::string schema = type_of(param);
  if (param.repeatable) schema = R"({"type":"array","items":)" + schema + "}";
  std::string out = "{\"name\":" + json_string(param.name) + ",\"in\":" + json_string(in) +
                    ",\"description\":" + json_string(param.text) +
                    ",\"required\":" + (param.required ? "true" : "false");
  if (param.repeatable) out += R"(,"style":"form","explode":true)";
  if (!param.example.empty()) out += ",\"example\":" + json_string(param.example);
  return out + ",\"schema\":" + schema + "}";
}

std::string path_parameters_of(std::string_view pattern) {
  std::string out;
  for (std::size_t at = pattern.find('{'); at != std::string_view::npos;
       at = pattern.find('{', at + 1)) {
    const std::string_view name = pattern.substr(at + 1, pattern.find('}', at) - at - 1);
    if (!out.empty()) out += ',';
    out += "{\"name\":" + json_string(name) + R"(,"in":"path","required":true,"description":)" +
           json_string(meaning_of_path(name)) + R"(,"schema":{"type":"string","minLength":1}})";
  }
  return out;
}

std::string operation_of(const Route& route) {
  std::string out = "{\"operationId\":" + json_string(route.id) + ",\"tags\":[" +
                    json_string(route.tag) + "],\"summary\":" + json_string(route.summary);
  if (!route.description.empty()) out += ",\"description\":" + json_string(route.description);
  std::string parameters = path_parameters_of(route.pattern);
  const auto add = [&](const Param& param, std::string_view in) {
    if (!parameters.empty()) parameters += ',';
    parameters += parameter_of(param, in);
  };
  for (const Param& p : route.query) add(p, "query");
  for (const Param& p : route.headers) add(p, "header");
  if (!parameters.empty()) out += ",\"parameters\":[" + parameters + "]";
  if (!route.bodies.empty()) {
    out += R"(,"requestBody":{"required":)" + std::string(route.optional_body ? "false" : "true") +
           R"(,"content":)" + contents_of(route.bodies) + "}";
  }
  out += ",\"responses\":{";
  for (const Answer& answer : route.answers) {
    out += "\"" + std::to_string(answer.status) + "\":{\"description\":" + json_string(answer.text);
    if (!answer.contents.empty()) out += ",\"content\":" + contents_of(answer.contents);
    out += "},";
  }
  return out + R"("default":{"$ref":"#/components/responses/Problem"}}})";
}

std::string lower_name(Method method) {
  std::string out(name_of(method));
  for (char& c : out) c = static_cast<char>(c - 'A' + 'a');
  return out;
}

}  // namespace

std::string openapi_of(const std::vector<Route>& routes) {
  std::map<std::string_view, std::string> paths;
  for (const Route& route : routes) {
    std::string& path = paths[route.pattern];
    path += (path.empty() ? "" : ",") + json_string(lower_name(route.method)) + ":" +
            operation_of(route);
  }
  std::string out =
      R"({"openapi":"3.1.0","info":{"title":"Runnel","version":"1","description":)"
      R"("Topics, records, views, consumer groups and figures of a Runnel broker, in JSON.",)"
      R"("license":{"name":"Apache 2.0","identifier":"Apache-2.0"}},)"
      R"("servers":[{"url":"/"}],"paths":{)";
  bool first = true;
  for (const auto& [pattern, operations] : paths) {
    if (!first) out += ',';
    first = false;
    out += json_string(pattern) + ":{" + operations + "}";
  }
  out += "},\"components\":{\"schemas\":" + schemas() +
         R"(,"responses":{"Problem":{"description":"What went wrong and what to do (RFC 9457).",)"
         R"("content":{"application/problem+json":{"schema":)"
         R"({"$ref":"#/components/schemas/Problem"}}}}}}})";
  return out + "\n";
}

std::string_view meaning_of_path(std::string_view parameter) {
  if (parameter == "topic") return "The topic's name.";
  if (parameter == "view") return "The view's name.";
  if (parameter == "group") return "The consumer group's name.";
  if (parameter == "build") return "The digest in the page at /.";
  if (parameter == "file") return "The file's name.";
  if (parameter == "subject") return "The subject's name.";
  if (parameter == "hook") return "The webhook's name.";
  if (parameter == "webhook") return "The webhook's name.";
  if (parameter == "version") return "A number, or latest.";
  if (parameter == "cluster") return "The cluster's id.";
  if (parameter == "partition") return "The partition's number.";
  if (parameter == "config") return "The config's name.";
  if (parameter == "instance") return "The consumer instance's name.";
  if (parameter == "id") return "The schema's id.";
  return "";
}

}  // namespace runnel::broker::http
