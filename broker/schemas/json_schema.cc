// The parts of JSON Schemas: where schemas stand within schemas, and what $ref leads to.
#include "broker/schemas/json_schema.h"

#include <algorithm>
#include <array>
#include <unordered_set>

#include "broker/schemas/json_value.h"
#include "protocol/base/assert.h"

namespace runnel::broker::schemas {

namespace json = boost::json;

namespace {

// Where schemas stand within a schema.
constexpr std::array<std::string_view, 12> kSchemas{"additionalItems",
                                                    "additionalProperties",
                                                    "contains",
                                                    "contentSchema",
                                                    "else",
                                                    "if",
                                                    "items",
                                                    "not",
                                                    "propertyNames",
                                                    "then",
                                                    "unevaluatedItems",
                                                    "unevaluatedProperties"};
constexpr std::array<std::string_view, 5> kLists{"allOf", "anyOf", "oneOf", "prefixItems", "items"};
constexpr std::array<std::string_view, 7> kMaps{
    "properties",       "patternProperties", "definitions",      "$defs",
    "dependentSchemas", "dependencies",      "dependentRequired"};
constexpr std::array<std::string_view, 8> kCounts{"maxLength",   "minLength",     "maxItems",
                                                  "minItems",    "maxProperties", "minProperties",
                                                  "maxContains", "minContains"};
constexpr std::array<std::string_view, 3> kNumbers{"maximum", "minimum", "multipleOf"};
constexpr std::array<std::string_view, 7> kTypes{"null",   "boolean", "object", "array",
                                                 "number", "string",  "integer"};

template <class List>
bool has(const List& list, std::string_view name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

/// "~1" and "~0" of a JSON pointer, and percent signs of a fragment.
std::string pointer_step(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '~' && i + 1 < text.size()) {
      out += text[++i] == '1' ? '/' : '~';
    } else if (text[i] == '%' && i + 2 < text.size()) {
      const auto digit = [](char c) { return c <= '9' ? c - '0' : (c | 32) - 'a' + 10; };
      out += static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

const json::value* at_pointer(const json::value& from, std::string_view pointer) {
  const json::value* at = &from;
  while (!pointer.empty() && at != nullptr) {
    pointer.remove_prefix(1);  // '/'
    const std::size_t end = std::min(pointer.find('/'), pointer.size());
    const std::string step = pointer_step(pointer.substr(0, end));
    pointer.remove_prefix(end);
    if (at->is_object()) {
      at = member(at->get_object(), step);
    } else if (at->is_array() && !step.empty() && step.size() < 9 &&
               step.find_first_not_of("0123456789") == std::string::npos) {
      at = at->get_array().if_contains(std::stoul(step));
    } else {
      at = nullptr;
    }
  }
  return at;
}

}  // namespace

JsonSchema::Part JsonSchema::resolve(std::string_view reference, const Document& from) const {
  const std::size_t hash = std::min(reference.find('#'), reference.size());
  const std::string_view base = reference.substr(0, hash);
  const std::string_view fragment = reference.substr(std::min(hash + 1, reference.size()));
  Part start{&from.value, &from};
  if (!base.empty()) {
    const auto named = std::find_if(documents_.begin(), documents_.end(),
                                    [&](const auto& each) { return each->name == base; });
    const auto known = by_id_.find(base);
    if (named != documents_.end()) {
      start = {&(*named)->value, named->get()};
    } else if (known != by_id_.end()) {
      start = known->second;
    } else {
      return {};
    }
  }
  if (fragment.empty()) return start;
  if (fragment.front() != '/') {
    const auto anchor = by_id_.find(start.document->name + "#" + std::string(fragment));
    return anchor == by_id_.end() ? Part{} : anchor->second;
  }
  start.value = at_pointer(*start.value, fragment);
  return start.value == nullptr ? Part{} : start;
}

const RE2* JsonSchema::pattern(std::string_view text) const {
  const auto found = patterns_.find(text);
  return found == patterns_.end() ? nullptr : found->second.get();
}

/// Walks through all schemas of the documents: checks the form of what they say, and notes their
/// names, references and patterns. What is not looked at here is not used later.
class JsonSchemaChecker {
 public:
  explicit JsonSchemaChecker(JsonSchema& out) : out_(out) {}

  Status check_document(const JsonSchema::Document& document) {
    document_ = &document;
    return check(document.value, "#");
  }

  /// A reference may lead to where no keyword says that there is a schema.
  Status check_references() {
    while (!references_.empty()) {
      const auto [reference, from] = std::move(references_.back());
      references_.pop_back();
      const JsonSchema::Part part = out_.resolve(reference, *from);
      if (part.value == nullptr) {
        return fail(ErrorCode::kMalformed,
                    "the \"$ref\" to \"" + reference +
                        "\" leads nowhere; define it here, or name its subject in \"references\"");
      }
      document_ = part.document;
      RUNNEL_TRY(check(*part.value, reference));
    }
    return {};
  }

 private:
  Status check(const json::value& schema, const std::string& path) {
    if (schema.is_bool()) return {};
    if (!schema.is_object()) return wrong(path, "has to be an object, true or false");
    if (!seen_.insert(&schema).second) return {};
    const json::object& object = schema.get_object();
    note_names(schema, object);
    for (const auto& [key, value] : object) {
      const std::string_view name(key.data(), key.size());
      RUNNEL_TRY(check_keyword(name, value, path + "/" + std::string(name)));
    }
    return {};
  }

  static tl::unexpected<Error> wrong(const std::string& path, const std::string& what) {
    return fail(ErrorCode::kMalformed, path + " " + what);
  }

  void note_names(const json::value& schema, const json::object& object) {
    const JsonSchema::Part here{&schema, document_};
    for (const std::string_view name : {"$id", "id"}) {
      const std::string_view id = text_member(object, name);
      if (id.empty()) continue;
      const std::size_t hash = std::min(id.find('#'), id.size());
      if (hash > 0) out_.by_id_.emplace(std::string(id.substr(0, hash)), here);
      if (hash + 1 < id.size()) {
        out_.by_id_.emplace(document_->name + std::string(id.substr(hash)), here);
      }
    }
    const std::string_view anchor = text_member(object, "$anchor");
    if (!anchor.empty()) {
      out_.by_id_.emplace(document_->name + "#" + std::string(anchor), here);
    }
  }

  void note_pattern(std::string_view text) {
    auto& place = out_.patterns_[std::string(text)];
    if (place) return;
    RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(kMaxPatternMemory);
    auto compiled = std::make_unique<const RE2>(std::string(text), options);
    if (compiled->ok()) place = std::move(compiled);
  }

  Status check_keyword(std::string_view name, const json::value& value, const std::string& path) {
    if (name == "$ref") {
      if (!value.is_string()) return wrong(path, "has to be a text");
      references_.emplace_back(text_of(value.get_string()), document_);
    } else if (name == "pattern") {
      if (!value.is_string()) return wrong(path, "has to be a text");
      note_pattern(text_of(value.get_string()));
    } else if (name == "type") {
      return check_type(value, path);
    } else if (has(kCounts, name)) {
      if (!value.is_number() || value.to_number<double>() < 0) {
        return wrong(path, "has to be a number from 0");
      }
    } else if (has(kNumbers, name)) {
      if (!value.is_number()) return wrong(path, "has to be a number");
    } else if (name == "enum") {
      if (!value.is_array()) return wrong(path, "has to be a list");
    } else if (name == "required" && !value.is_bool()) {  // draft 3 has true and false
      return check_names(value, path);
    } else if (has(kMaps, name)) {
      return check_map(name, value, path);
    } else if (has(kLists, name) && value.is_array()) {
      for (std::size_t i = 0; i < value.get_array().size(); ++i) {
        RUNNEL_TRY(check(value.get_array()[i], path + "/" + std::to_string(i)));
      }
    } else if (has(kSchemas, name)) {
      return check(value, path);
    } else if (has(kLists, name)) {
      return wrong(path, "has to be a list");
    }
    return {};
  }

  static Status check_type(const json::value& value, const std::string& path) {
    const auto is_type = [](const json::value& each) {
      return each.is_string() &&
             (has(kTypes, text_of(each.get_string())) || text_of(each.get_string()) == "any");
    };
    if (is_type(value)) return {};
    if (value.is_array() && !value.get_array().empty() &&
        std::all_of(value.get_array().begin(), value.get_array().end(), is_type)) {
      return {};
    }
    return wrong(path,
                 "has to be one of null, boolean, object, array, number, string, integer, or "
                 "a list of them");
  }

  static Status check_names(const json::value& value, const std::string& path) {
    if (value.is_array() && std::all_of(value.get_array().begin(), value.get_array().end(),
                                        [](const json::value& each) { return each.is_string(); })) {
      return {};
    }
    return wrong(path, "has to be a list of names");
  }

  Status check_map(std::string_view name, const json::value& value, const std::string& path) {
    if (!value.is_object()) return wrong(path, "has to be an object");
    for (const auto& [key, each] : value.get_object()) {
      if (name == "patternProperties") note_pattern({key.data(), key.size()});
      const std::string place = path + "/" + std::string(key.data(), key.size());
      const bool names = name == "dependentRequired" || (name == "dependencies" && each.is_array());
      RUNNEL_TRY(names ? check_names(each, place) : check(each, place));
    }
    return {};
  }

  JsonSchema& out_;
  const JsonSchema::Document* document_ = nullptr;  ///< that is walked through
  std::vector<std::pair<std::string, const JsonSchema::Document*>> references_;
  std::unordered_set<const json::value*> seen_;
};

Result<std::unique_ptr<const JsonSchema>> JsonSchema::parse(const std::vector<NamedText>& texts) {
  auto out = std::make_unique<JsonSchema>();
  JsonSchemaChecker checker(*out);
  for (const NamedText& text : texts) {
    auto document = std::make_unique<Document>();
    document->name = text.name;
    RUNNEL_TRY_ASSIGN(document->value, parse_json(text.text));
    if (const json::object* object = document->value.if_object()) {
      const std::string_view draft = text_member(*object, "$schema");
      document->ref_hides_others =
          draft.find("2019-09") == draft.npos && draft.find("2020-12") == draft.npos;
    }
    out->documents_.push_back(std::move(document));
    RUNNEL_TRY(checker.check_document(*out->documents_.back()));
  }
  RUNNEL_ASSERT(!texts.empty());
  RUNNEL_TRY(checker.check_references());
  return std::unique_ptr<const JsonSchema>(std::move(out));
}

}  // namespace runnel::broker::schemas
