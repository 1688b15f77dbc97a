// Keywords of two JSON Schemas beside each other: numbers, texts, arrays, objects.
#include <algorithm>
#include <set>

#include "broker/schemas/json_comparison.h"
#include "broker/schemas/json_numbers.h"

namespace runnel::broker::schemas {

namespace json = boost::json;

namespace {

constexpr std::array<std::pair<std::string_view, Types>, 8> kTypeNames{
    {{"null", kNullType},
     {"boolean", kBooleanType},
     {"object", kObjectType},
     {"array", kArrayType},
     {"integer", kWholeType},
     {"number", kWholeType | kFractionType},
     {"string", kStringType},
     {"any", kAllTypes}}};

Types type_named(const json::value& name) {
  for (const auto& [known, types] : kTypeNames) {
    if (known == text_of(name.get_string())) return types;
  }
  return 0;
}

const json::value& anything() {
  static const json::value kTrue = true;
  return kTrue;
}

/// The member or, if there is none, a schema that accepts all.
const json::value& schema_member(const json::object& keywords, std::string_view name) {
  const json::value* found = member(keywords, name);
  return found != nullptr ? *found : anything();
}

bool is_closed(const json::value& schema) {
  return schema.is_bool() && !schema.get_bool();
}

bool same_member(const json::object& a, const json::object& b, std::string_view name) {
  const json::value* x = member(a, name);
  const json::value* y = member(b, name);
  return x == nullptr ? y == nullptr : y != nullptr && same_value(*x, *y);
}

/// The reader's bound under this name must not be narrower than the writer's.
struct CountRule {
  std::string_view name;
  bool upper;
  std::string_view added;
  std::string_view narrowed;
};
constexpr std::array<CountRule, 2> kTextRules{
    {{"maxLength", true, "MAX_LENGTH_ADDED", "MAX_LENGTH_DECREASED"},
     {"minLength", false, "MIN_LENGTH_ADDED", "MIN_LENGTH_INCREASED"}}};
constexpr std::array<CountRule, 2> kArrayRules{
    {{"maxItems", true, "MAX_ITEMS_ADDED", "MAX_ITEMS_DECREASED"},
     {"minItems", false, "MIN_ITEMS_ADDED", "MIN_ITEMS_INCREASED"}}};
constexpr std::array<CountRule, 2> kObjectRules{
    {{"maxProperties", true, "MAX_PROPERTIES_ADDED", "MAX_PROPERTIES_DECREASED"},
     {"minProperties", false, "MIN_PROPERTIES_ADDED", "MIN_PROPERTIES_INCREASED"}}};

void compare_counts(const std::array<CountRule, 2>& rules, const json::object& writer,
                    const json::object& reader, const std::string& path, Differences& out) {
  for (const CountRule& rule : rules) {
    const json::value* asked = member(reader, rule.name);
    if (asked == nullptr || (!rule.upper && number_of(*asked) == 0)) continue;
    const json::value* kept = member(writer, rule.name);
    const bool wide = kept != nullptr && (rule.upper ? number_of(*asked) >= number_of(*kept)
                                                     : number_of(*asked) <= number_of(*kept));
    if (wide) continue;
    out.add(kept == nullptr ? rule.added : rule.narrowed, path + "/" + std::string(rule.name),
            "The reader asks for a narrower " + std::string(rule.name) + " than the writer keeps");
  }
}

void compare_bound(bool upper, const json::object& writer, const json::object& reader,
                   const std::string& path, Differences& out) {
  const Bound asked = bound_of(reader, upper);
  if (asked.value == nullptr) return;
  const Bound kept = bound_of(writer, upper);
  const std::string place = path + (upper ? "/maximum" : "/minimum");
  if (kept.value == nullptr) {
    return out.add(upper ? "MAXIMUM_ADDED" : "MINIMUM_ADDED", place,
                   "The reader has a bound for numbers that the writer does not keep");
  }
  const long double x = number_of(*asked.value);
  const long double y = number_of(*kept.value);
  const bool wide = upper ? x > y : x < y;
  if (wide || (x == y && (!asked.exclusive || kept.exclusive))) return;
  out.add(upper ? "MAXIMUM_DECREASED" : "MINIMUM_INCREASED", place,
          "The reader's bound for numbers is narrower than the writer's");
}

void compare_numbers(const json::object& writer, const json::object& reader,
                     const std::string& path, Differences& out) {
  compare_bound(true, writer, reader, path, out);
  compare_bound(false, writer, reader, path, out);
  const json::value* asked = member(reader, "multipleOf");
  const json::value* kept = member(writer, "multipleOf");
  if (asked == nullptr || (kept != nullptr && is_multiple(*kept, *asked))) return;
  out.add(kept == nullptr ? "MULTIPLE_OF_ADDED" : "MULTIPLE_OF_CHANGED", path + "/multipleOf",
          "The reader's numbers have to be multiples that the writer's are not");
}

void compare_texts(const json::object& writer, const json::object& reader, const std::string& path,
                   Differences& out) {
  compare_counts(kTextRules, writer, reader, path, out);
  if (member(reader, "pattern") == nullptr || same_member(writer, reader, "pattern")) return;
  out.add(member(writer, "pattern") == nullptr ? "PATTERN_ADDED" : "PATTERN_CHANGED",
          path + "/pattern",
          "The reader's texts have to match a pattern that the writer does not keep");
}

bool lists(const json::object& keywords, std::string_view list, const json::value& name) {
  const json::value* all = member(keywords, list);
  if (all == nullptr || !all->is_array()) return false;
  return std::find(all->get_array().begin(), all->get_array().end(), name) !=
         all->get_array().end();
}

const json::object* object_member(const json::object& keywords, std::string_view name) {
  const json::value* found = member(keywords, name);
  return found != nullptr ? found->if_object() : nullptr;
}

/// What `properties` says of it, or nullptr.
const json::value* property(const json::object& keywords, std::string_view name) {
  const json::object* all = object_member(keywords, "properties");
  return all != nullptr ? member(*all, name) : nullptr;
}

void compare_required(const json::object& writer, const json::object& reader,
                      const std::string& path, Differences& out) {
  const json::value* asked = member(reader, "required");
  if (asked == nullptr || !asked->is_array()) return;
  for (const json::value& name : asked->get_array()) {
    if (lists(writer, "required", name)) continue;
    const std::string_view text = text_of(name.get_string());
    // The registry's clients take a default for what is not there.
    const json::value* own = property(reader, text);
    if (own != nullptr && own->is_object() && member(own->get_object(), "default")) continue;
    const bool is_new = property(writer, text) == nullptr;
    out.add(is_new ? "REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL" : "REQUIRED_ATTRIBUTE_ADDED",
            path + "/required/" + std::string(text),
            "The reader requires " + std::string(text) +
                ", which the writer may leave out, and has no default for it");
  }
}

void compare_dependencies(const json::object& writer, const json::object& reader,
                          const std::string& path, Differences& out) {
  for (const char* name : {"dependencies", "dependentRequired", "dependentSchemas"}) {
    const json::object* asked = object_member(reader, name);
    if (asked == nullptr) continue;
    const json::object* kept = object_member(writer, name);
    for (const auto& [key, value] : *asked) {
      const json::value* same = kept != nullptr ? kept->if_contains(key) : nullptr;
      if (same != nullptr && same_value(*same, value)) continue;
      const auto always = [&](const json::value& each) {
        return lists(writer, "required", each) ||
               (same != nullptr && same->is_array() &&
                std::find(same->get_array().begin(), same->get_array().end(), each) !=
                    same->get_array().end());
      };
      if (value.is_array() &&
          std::all_of(value.get_array().begin(), value.get_array().end(), always)) {
        continue;
      }
      out.add(same == nullptr ? "DEPENDENCY_ADDED" : "DEPENDENCY_CHANGED",
              path + "/" + name + "/" + std::string(key),
              "The reader asks more of objects that have this member than the writer keeps");
    }
  }
}

/// The schema of the element at `index`; beyond those with a place of their own, of all others.
const json::value& item_at(const json::object& keywords, std::size_t index) {
  const json::value* items = member(keywords, "items");
  const bool old = items != nullptr && items->is_array();
  const json::value* first = old ? items : member(keywords, "prefixItems");
  if (first != nullptr && index < first->get_array().size()) return first->get_array()[index];
  return schema_member(keywords, old ? "additionalItems" : "items");
}

std::size_t placed_items(const json::object& keywords) {
  const json::value* items = member(keywords, "items");
  if (items == nullptr || !items->is_array()) items = member(keywords, "prefixItems");
  return items != nullptr ? items->get_array().size() : 0;
}

}  // namespace

Types types_of(const Condition& condition) {
  const json::value* type = member(condition.part.value->get_object(), "type");
  if (type == nullptr) return condition.types;
  Types out = 0;
  if (type->is_string()) {
    out = type_named(*type);
  } else {
    for (const json::value& each : type->get_array())
      out = static_cast<Types>(out | type_named(each));
  }
  return static_cast<Types>(out & condition.types);
}

void JsonComparison::compare_own(const Condition& writer, const Condition& reader,
                                 const std::string& path, Differences& out) {
  const Own w{writer_, writer.part, writer.part.value->get_object()};
  const Own r{reader_, reader.part, reader.part.value->get_object()};
  const Types written = types_of(writer);
  const Types read = types_of(reader);
  if ((written & ~read) != 0) {
    return out.add((written & read) == 0 ? "TYPE_CHANGED" : "TYPE_NARROWED", path + "/type",
                   "The reader's type does not cover the writer's");
  }
  // What the writer may write is no list of values, see compare_values.
  if (member(r.keywords, "enum") || member(r.keywords, "const")) {
    out.add("ENUM_ARRAY_NARROWED", path + "/enum",
            "The reader accepts only some values, the writer writes others");
  }
  if (written & (kWholeType | kFractionType)) compare_numbers(w.keywords, r.keywords, path, out);
  if (written & kStringType) compare_texts(w.keywords, r.keywords, path, out);
  if (written & kArrayType) compare_arrays(w, r, path, out);
  if (written & kObjectType) compare_objects(w, r, path, out);
  compare_logic(w, r, path, out);
}

void JsonComparison::compare_logic(const Own& writer, const Own& reader, const std::string& path,
                                   Differences& out) {
  const json::object& w = writer.keywords;
  const json::object& r = reader.keywords;
  if (const json::value* never = member(r, "not")) {
    const json::value* kept = member(w, "not");
    Differences found;
    // What the reader refuses has to be refused by the writer: the other way round.
    if (kept != nullptr) {
      JsonComparison(reader_, writer_)
          .compare(Part{never, reader.part.document}, Part{kept, writer.part.document}, path,
                   found);
    }
    if (kept == nullptr || !found.empty()) {
      out.add("NOT_TYPE_EXTENDED", path + "/not", "The reader refuses what the writer may write");
    }
  }
  const bool has_condition = member(r, "if") && (member(r, "then") || member(r, "else"));
  const bool same_condition =
      same_member(w, r, "if") && same_member(w, r, "then") && same_member(w, r, "else");
  if (has_condition && !same_condition) {
    out.add("COMBINED_TYPE_CHANGED", path + "/if",
            "The reader has a condition that the writer does not have in the same words");
  }
  for (const char* name : {"unevaluatedProperties", "unevaluatedItems"}) {
    const json::value* asked = member(r, name);
    if (asked == nullptr || (asked->is_bool() && asked->get_bool()) || same_member(w, r, name))
      continue;
    out.add("COMBINED_TYPE_CHANGED", path + "/" + name,
            "The reader has it, the writer does not have the same");
  }
}

void JsonComparison::compare_arrays(const Own& writer, const Own& reader, const std::string& path,
                                    Differences& out) {
  const json::object& w = writer.keywords;
  const json::object& r = reader.keywords;
  compare_counts(kArrayRules, w, r, path, out);
  const auto is_unique = [](const json::object& keywords) {
    const json::value* unique = member(keywords, "uniqueItems");
    return unique != nullptr && unique->is_bool() && unique->get_bool();
  };
  if (is_unique(r) && !is_unique(w)) {
    out.add("UNIQUE_ITEMS_ADDED", path + "/uniqueItems",
            "The reader's elements have to differ, the writer's may not");
  }
  const json::value* most = member(w, "maxItems");
  const std::size_t placed = std::max(placed_items(w), placed_items(r));
  for (std::size_t i = 0; i <= placed; ++i) {  // the last one: all others
    if (most != nullptr && static_cast<long double>(i) >= number_of(*most)) break;
    const std::string place = path + "/items" +
                              (placed == 0   ? ""
                               : i == placed ? "/-"
                                             : "/" + std::to_string(i));
    compare(Part{&item_at(w, i), writer.part.document}, Part{&item_at(r, i), reader.part.document},
            place, out);
  }
  if (member(r, "contains") && !same_member(w, r, "contains")) {
    out.add("CONTAINS_CHANGED", path + "/contains",
            "The reader's arrays have to contain what the writer's may not");
  }
}

void JsonComparison::compare_objects(const Own& writer, const Own& reader, const std::string& path,
                                     Differences& out) {
  compare_counts(kObjectRules, writer.keywords, reader.keywords, path, out);
  compare_required(writer.keywords, reader.keywords, path, out);
  compare_dependencies(writer.keywords, reader.keywords, path, out);
  std::set<std::string_view> names;
  for (const json::object* keywords : {&writer.keywords, &reader.keywords}) {
    const json::object* all = object_member(*keywords, "properties");
    if (all == nullptr) continue;
    for (const auto& each : *all) names.emplace(each.key().data(), each.key().size());
  }
  for (const std::string_view name : names) compare_property(writer, reader, name, path, out);
  compare_other_properties(writer, reader, path, out);
  if (const json::value* asked = member(reader.keywords, "propertyNames")) {
    compare(Part{&schema_member(writer.keywords, "propertyNames"), writer.part.document},
            Part{asked, reader.part.document}, path + "/propertyNames", out);
  }
}

/// The schemas that a member of this name has to be valid under.
std::vector<JsonSchema::Part> JsonComparison::parts_for(const Own& own, std::string_view name) {
  std::vector<Part> out;
  if (const json::value* one = property(own.keywords, name))
    out.push_back({one, own.part.document});
  if (const json::object* all = object_member(own.keywords, "patternProperties")) {
    for (const auto& [pattern, schema] : *all) {
      const RE2* compiled = own.schema.pattern({pattern.data(), pattern.size()});
      const bool may_match =
          compiled == nullptr ||
          RE2::PartialMatch(re2::StringPiece(name.data(), name.size()), *compiled);
      if (may_match) out.push_back({&schema, own.part.document});
    }
  }
  if (out.empty()) {
    out.push_back({&schema_member(own.keywords, "additionalProperties"), own.part.document});
  }
  return out;
}

void JsonComparison::compare_property(const Own& writer, const Own& reader, std::string_view name,
                                      const std::string& path, Differences& out) {
  const bool is_new = property(writer.keywords, name) == nullptr;
  const bool is_gone = property(reader.keywords, name) == nullptr;
  const std::string place = path + "/properties/" + std::string(name);
  Conditions written;
  for (const Part& each : parts_for(writer, name)) {
    const Conditions more = conditions_of(Side::kWriter, each);
    written.insert(written.end(), more.begin(), more.end());
  }
  Differences found;
  for (const Part& each : parts_for(reader, name)) compare(written, each, place, found);
  if (found.empty()) return;
  if (is_new) {
    const json::value& others = schema_member(writer.keywords, "additionalProperties");
    const bool open = others.is_bool() || others.get_object().empty();
    return out.add(open ? "PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL"
                        : "PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
                   place,
                   "The writer may write any member of this name, the reader accepts only some; "
                   "with \"additionalProperties\": false in the schema before it could be added");
  }
  if (is_gone) {
    const bool closed = is_closed(schema_member(reader.keywords, "additionalProperties"));
    return out.add(closed ? "PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL"
                          : "PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
                   place, "The reader does not know this member and does not accept it as another");
  }
  out.append(found);
}

/// Members that have no place of their own: those that patterns name, and all others.
void JsonComparison::compare_other_properties(const Own& writer, const Own& reader,
                                              const std::string& path, Differences& out) {
  const json::object* kept = object_member(writer.keywords, "patternProperties");
  const json::object* asked = object_member(reader.keywords, "patternProperties");
  const Part others{&schema_member(writer.keywords, "additionalProperties"), writer.part.document};
  const json::value& accepted = schema_member(reader.keywords, "additionalProperties");
  const Part other_reader{&accepted, reader.part.document};
  std::vector<Part> written{others};
  if (kept != nullptr) {
    for (const auto& each : *kept) written.push_back({&each.value(), writer.part.document});
  }
  Differences found;
  if (asked != nullptr) {
    for (const auto& [pattern, schema] : *asked) {
      const json::value* same = kept != nullptr ? kept->if_contains(pattern) : nullptr;
      const Part part{&schema, reader.part.document};
      const std::string place = path + "/patternProperties/" + std::string(pattern);
      // Nobody knows which names two patterns have in common.
      if (same != nullptr) compare({same, writer.part.document}, part, place, out);
      for (const Part& each : written) {
        if (each.value != same && same == nullptr) compare(each, part, place, out);
      }
    }
  }
  compare(others, other_reader, path + "/additionalProperties", found);
  if (kept != nullptr) {
    for (const auto& [pattern, schema] : *kept) {
      if (asked != nullptr && asked->contains(pattern)) continue;
      compare({&schema, writer.part.document}, other_reader, path + "/additionalProperties", found);
    }
  }
  if (found.empty()) return;
  out.add(is_closed(accepted) ? "ADDITIONAL_PROPERTIES_REMOVED" : "ADDITIONAL_PROPERTIES_NARROWED",
          path + "/additionalProperties",
          "The reader accepts fewer members of other names than the writer may write");
}

}  // namespace runnel::broker::schemas
