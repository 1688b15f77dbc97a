// Whether a value is valid under a JSON Schema.
#include <algorithm>

#include "broker/schemas/json_numbers.h"
#include "broker/schemas/json_schema.h"
#include "broker/schemas/json_value.h"

namespace runnel::broker::schemas {

namespace json = boost::json;

namespace {

using Part = JsonSchema::Part;
using Why = std::optional<std::string>;

bool is_of_type(const json::value& value, std::string_view type) {
  switch (value.kind()) {
    case json::kind::null:
      return type == "null" || type == "any";
    case json::kind::bool_:
      return type == "boolean" || type == "any";
    case json::kind::string:
      return type == "string" || type == "any";
    case json::kind::array:
      return type == "array" || type == "any";
    case json::kind::object:
      return type == "object" || type == "any";
    default:
      return type == "number" || type == "any" || (type == "integer" && is_integer(value));
  }
}

class Validation {
 public:
  explicit Validation(const JsonSchema& schema) : schema_(schema) {}

  /// Why the whole value does not fit. Where it took too long to tell, it does not: what gave up
  /// within a "not" or an "if" would pass else.
  Why whole(const Part& part, const json::value& value) {
    const Why why = look(part, value);
    if (why || !gave_up_) return why;
    return Why("takes more than " + std::to_string(kMaxComparisons) + " steps to check");
  }

 private:
  /// `path` grows and shrinks with the place that is looked at.
  Why look(const Part& part, const json::value& value) {
    if (part.value->is_bool()) {
      return part.value->get_bool() ? std::nullopt : no("is not allowed here");
    }
    if (++depth_ > kMaxSchemaDepth || ++steps_ > kMaxComparisons) {
      --depth_;
      gave_up_ = true;
      return no(
          "is too large or nested too deep to be checked, or its schema leads back to itself");
    }
    const json::object& keywords = part.value->get_object();
    Why why;
    const json::value* reference = member(keywords, "$ref");
    if (reference != nullptr) {
      why = look(schema_.resolve(text_of(reference->get_string()), *part.document), value);
    }
    if (!why && (reference == nullptr || !part.document->ref_hides_others)) {
      why = look_at_all(part, keywords, value);
    }
    --depth_;
    return why;
  }
  [[nodiscard]] Why no(std::string_view what) const { return path_ + " " + std::string(what); }

  Part within(const Part& part, const json::value& value) const { return {&value, part.document}; }

  Why look_within(const std::string& step, const Part& part, const json::value& value) {
    const std::size_t length = path_.size();
    path_ += "/" + step;
    Why why = look(part, value);
    path_.resize(length);
    return why;
  }

  Why look_at_all(const Part& part, const json::object& keywords, const json::value& value) {
    Why why = general(keywords, value);
    if (!why && value.is_number()) why = number(keywords, value);
    if (!why && value.is_string()) why = text(keywords, text_of(value.get_string()));
    if (!why && value.is_array()) why = array(part, keywords, value.get_array());
    if (!why && value.is_object()) why = object(part, keywords, value);
    if (!why) why = combined(part, keywords, value);
    return why;
  }

  Why general(const json::object& keywords, const json::value& value) {
    if (const json::value* type = member(keywords, "type")) {
      const auto fits = [&](const json::value& each) {
        return is_of_type(value, text_of(each.get_string()));
      };
      const bool one = type->is_string()
                           ? fits(*type)
                           : std::any_of(type->get_array().begin(), type->get_array().end(), fits);
      if (!one) return no("has to be of type " + json::serialize(*type));
    }
    if (const json::value* all = member(keywords, "enum")) {
      const json::array& list = all->get_array();
      if (std::none_of(list.begin(), list.end(),
                       [&](const json::value& each) { return same_value(each, value); })) {
        return no("has to be one of " + json::serialize(list));
      }
    }
    if (const json::value* one = member(keywords, "const"); one && !same_value(*one, value)) {
      return no("has to be " + json::serialize(*one));
    }
    return std::nullopt;
  }

  Why number(const json::object& keywords, const json::value& value) {
    const Bound upper = bound_of(keywords, true);
    const Bound lower = bound_of(keywords, false);
    const long double x = number_of(value);
    if (upper.value &&
        (upper.exclusive ? x >= number_of(*upper.value) : x > number_of(*upper.value))) {
      return no("is larger than allowed");
    }
    if (lower.value &&
        (lower.exclusive ? x <= number_of(*lower.value) : x < number_of(*lower.value))) {
      return no("is smaller than allowed");
    }
    const json::value* of = member(keywords, "multipleOf");
    if (of != nullptr && !is_multiple(value, *of))
      return no("is no multiple of " + json::serialize(*of));
    return std::nullopt;
  }

  /// Whether `count` is within the numbers of these names.
  Why counted(const json::object& keywords, const char* most, const char* least, std::size_t count,
              const char* what) {
    const json::value* max = member(keywords, most);
    const json::value* min = member(keywords, least);
    const auto x = static_cast<long double>(count);
    if (max && x > number_of(*max)) return no("has more than " + json::serialize(*max) + what);
    if (min && x < number_of(*min)) return no("has less than " + json::serialize(*min) + what);
    return std::nullopt;
  }

  Why text(const json::object& keywords, std::string_view value) {
    if (Why why = counted(keywords, "maxLength", "minLength", length_of(value), " characters")) {
      return why;
    }
    const std::string_view pattern = text_member(keywords, "pattern");
    if (pattern.empty()) return std::nullopt;
    const RE2* compiled = schema_.pattern(pattern);
    if (compiled == nullptr) {
      return no("cannot be looked at: the pattern \"" + std::string(pattern) +
                "\" is none of RE2's; write it without lookaheads and backreferences");
    }
    if (RE2::PartialMatch(re2::StringPiece(value.data(), value.size()), *compiled)) {
      return std::nullopt;
    }
    return no("does not match \"" + std::string(pattern) + "\"");
  }

  Why array(const Part& part, const json::object& keywords, const json::array& values) {
    if (Why why = counted(keywords, "maxItems", "minItems", values.size(), " elements")) return why;
    const json::value* items = member(keywords, "items");
    const json::value* first = member(keywords, "prefixItems");
    const json::value* rest = items;
    if (items != nullptr && items->is_array()) {  // up to draft 7
      first = items;
      rest = member(keywords, "additionalItems");
    }
    const std::size_t placed = first != nullptr ? first->get_array().size() : 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const json::value* one = i < placed ? &first->get_array()[i] : rest;
      if (one == nullptr) continue;
      if (Why why = look_within(std::to_string(i), within(part, *one), values[i])) return why;
    }
    if (const json::value* unique = member(keywords, "uniqueItems");
        unique && unique->is_bool() && unique->get_bool()) {
      for (std::size_t i = 0; i < values.size(); ++i) {
        for (std::size_t j = 0; j < i; ++j) {
          if (++steps_ > kMaxComparisons) {
            gave_up_ = true;
            return no("is too long to be looked at");
          }
          if (same_value(values[i], values[j])) return no("has an element twice");
        }
      }
    }
    return contains(part, keywords, values);
  }

  Why contains(const Part& part, const json::object& keywords, const json::array& values) {
    const json::value* wanted = member(keywords, "contains");
    if (wanted == nullptr) return std::nullopt;
    const auto count = std::count_if(values.begin(), values.end(), [&](const json::value& each) {
      return !look(within(part, *wanted), each);
    });
    const json::value* max = member(keywords, "maxContains");
    const json::value* min = member(keywords, "minContains");
    const long double least = min != nullptr ? number_of(*min) : 1;
    const bool fits = count >= least && (max == nullptr || count <= number_of(*max));
    return fits ? std::nullopt : no("does not contain what it has to");
  }

  Why object(const Part& part, const json::object& keywords, const json::value& whole) {
    const json::object& values = whole.get_object();
    if (Why why = counted(keywords, "maxProperties", "minProperties", values.size(), " members")) {
      return why;
    }
    if (const json::value* required = member(keywords, "required");
        required && required->is_array()) {
      if (Why why = all_there(*required, values)) return why;
    }
    const json::value* names = member(keywords, "propertyNames");
    for (const auto& [key, value] : values) {
      if (names != nullptr && look(within(part, *names), json::value(key))) {
        return no("has a member \"" + std::string(key) + "\", whose name is not allowed");
      }
      if (Why why = one_member(part, keywords, {key.data(), key.size()}, value)) return why;
    }
    return depending(part, keywords, whole);
  }

  Why all_there(const json::value& required, const json::object& values) {
    for (const json::value& name : required.get_array()) {
      if (!values.contains(name.get_string())) {
        return no("lacks the member \"" + std::string(text_of(name.get_string())) + "\"");
      }
    }
    return std::nullopt;
  }

  Why one_member(const Part& part, const json::object& keywords, std::string_view name,
                 const json::value& value) {
    bool known = false;
    if (const json::value* all = member(keywords, "properties")) {
      if (const json::value* one = member(all->get_object(), name)) {
        known = true;
        if (Why why = look_within(std::string(name), within(part, *one), value)) return why;
      }
    }
    if (const json::value* all = member(keywords, "patternProperties")) {
      for (const auto& [pattern, one] : all->get_object()) {
        const RE2* compiled = schema_.pattern({pattern.data(), pattern.size()});
        if (compiled == nullptr) {
          return no("cannot be looked at: \"" + std::string(pattern) + "\" is no pattern of RE2's");
        }
        if (!RE2::PartialMatch(re2::StringPiece(name.data(), name.size()), *compiled)) continue;
        known = true;
        if (Why why = look_within(std::string(name), within(part, one), value)) return why;
      }
    }
    const json::value* others = member(keywords, "additionalProperties");
    if (known || others == nullptr) return std::nullopt;
    return look_within(std::string(name), within(part, *others), value);
  }

  Why depending(const Part& part, const json::object& keywords, const json::value& whole) {
    for (const char* name : {"dependencies", "dependentRequired", "dependentSchemas"}) {
      const json::value* all = member(keywords, name);
      if (all == nullptr || !all->is_object()) continue;
      for (const auto& [key, asked] : all->get_object()) {
        if (!whole.get_object().contains(key)) continue;
        Why why;
        if (asked.is_array()) why = all_there(asked, whole.get_object());
        if (asked.is_object() || asked.is_bool()) why = look(within(part, asked), whole);
        if (why) return why;
      }
    }
    return std::nullopt;
  }

  Why combined(const Part& part, const json::object& keywords, const json::value& value) {
    if (const json::value* all = member(keywords, "allOf")) {
      for (const json::value& each : all->get_array()) {
        if (Why why = look(within(part, each), value)) return why;
      }
    }
    const auto count = [&](const json::value& list) {
      return std::count_if(
          list.get_array().begin(), list.get_array().end(),
          [&](const json::value& each) { return !look(within(part, each), value); });
    };
    if (const json::value* any = member(keywords, "anyOf"); any && count(*any) == 0) {
      return no("is none of what is allowed here (anyOf)");
    }
    if (const json::value* one = member(keywords, "oneOf"); one && count(*one) != 1) {
      return no("is not exactly one of what is allowed here (oneOf)");
    }
    if (const json::value* never = member(keywords, "not");
        never && !look(within(part, *never), value)) {
      return no("is what it must not be (not)");
    }
    if (const json::value* condition = member(keywords, "if")) {
      const bool holds = !look(within(part, *condition), value);
      const json::value* then = member(keywords, holds ? "then" : "else");
      if (then != nullptr) return look(within(part, *then), value);
    }
    return std::nullopt;
  }

  const JsonSchema& schema_;
  std::string path_ = "#";
  std::size_t depth_ = 0;
  std::size_t steps_ = 0;
  bool gave_up_ = false;  ///< somewhere
};

}  // namespace

std::optional<std::string> JsonSchema::why_invalid(const json::value& value) const {
  return Validation(*this).whole(root(), value);
}

bool is_valid(const JsonSchema& schema, const JsonSchema::Part& part, const json::value& value) {
  return !Validation(schema).whole(part, value);
}

}  // namespace runnel::broker::schemas
