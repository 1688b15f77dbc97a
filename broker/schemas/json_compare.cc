// Whether one JSON Schema accepts all that another one does.
//
// A schema is a list of conditions that hold together: its own keywords, each schema of allOf, what
// $ref leads to, anyOf, oneOf. A reader's condition is kept if one of the writer's implies it.
#include <algorithm>
#include <set>

#include "broker/schemas/json_comparison.h"

namespace runnel::broker::schemas {

namespace json = boost::json;

Conditions JsonComparison::conditions_of(Side side, const Part& part) {
  Conditions out;
  add_conditions(side, part, 0, out);
  return out;
}

void JsonComparison::add_conditions(Side side, const Part& part, std::size_t depth,
                                    Conditions& out) {
  if (part.value->is_bool()) {
    if (!part.value->get_bool()) out.push_back({part, Condition::Kind::kNever});
    return;
  }
  if (++steps_ > kMaxComparisons || depth > kMaxSchemaDepth) {
    // Said so that nobody takes it for compatible: a writer of which less is known writes more.
    if (side == Side::kReader) out.push_back({part, Condition::Kind::kNever});
    return;
  }
  const json::object& keywords = part.value->get_object();
  if (const json::value* reference = member(keywords, "$ref")) {
    const Part target = schema_of(side).resolve(text_of(reference->get_string()), *part.document);
    add_conditions(side, target, depth + 1, out);
    if (part.document->ref_hides_others) return;
  }
  if (const json::value* all = member(keywords, "allOf")) {
    for (const json::value& each : all->get_array()) {
      add_conditions(side, {&each, part.document}, depth + 1, out);
    }
  }
  if (member(keywords, "anyOf")) out.push_back({part, Condition::Kind::kAnyOf});
  if (member(keywords, "oneOf")) out.push_back({part, Condition::Kind::kOneOf});
  if (!keywords.empty()) out.push_back({part, Condition::Kind::kOwn});
}

void JsonComparison::compare(const Part& writer, const Part& reader, const std::string& path,
                             Differences& out) {
  compare(conditions_of(Side::kWriter, writer), reader, path, out);
}

void JsonComparison::compare(const Conditions& writer, const Part& reader, const std::string& path,
                             Differences& out) {
  if (++steps_ > kMaxComparisons || open_.size() > kMaxSchemaDepth) {
    return out.add("TOO_LARGE", path, "The schemas are too large or too deep to be compared");
  }
  const auto is_never = [](const Condition& c) { return c.kind == Condition::Kind::kNever; };
  if (std::any_of(writer.begin(), writer.end(), is_never)) return;  // nothing is written
  // A pair that is being compared is taken for compatible where it comes again within itself.
  const auto pair = std::make_pair(writer, reader);
  if (!open_.insert(pair).second) return;
  if (!compare_values(writer, reader, path, out)) {
    for (const Condition& each : conditions_of(Side::kReader, reader))
      imply(writer, each, path, out);
  }
  open_.erase(pair);
}

/// Where the writer can only write some values these are looked at, one by one. False: it is not
/// so.
bool JsonComparison::compare_values(const Conditions& writer, const Part& reader,
                                    const std::string& path, Differences& out) {
  for (const Condition& each : writer) {
    if (each.kind != Condition::Kind::kOwn) continue;
    const json::object& keywords = each.part.value->get_object();
    const json::value* one = member(keywords, "const");
    const json::value* all = member(keywords, "enum");
    if (one == nullptr && all == nullptr) continue;
    const json::array only_one = one != nullptr ? json::array{*one} : json::array();
    for (const json::value& value : one != nullptr ? only_one : all->get_array()) {
      if (is_valid(writer_, each.part, value) && !is_valid(reader_, reader, value)) {
        out.add("ENUM_ARRAY_NARROWED", path,
                "The reader does not accept " + json::serialize(value));
      }
    }
    return true;
  }
  return false;
}

void JsonComparison::imply(const Conditions& writer, const Condition& reader,
                           const std::string& path, Differences& out) {
  if (reader.kind == Condition::Kind::kNever) {
    return out.add("TYPE_NARROWED", path, "The reader accepts nothing here");
  }
  Differences closest;
  for (const Condition& each : writer) {
    Differences found;
    imply_one(each, reader, path, found);
    if (found.empty()) return;
    const bool closer =
        each.kind == reader.kind && (closest.empty() || found.size() < closest.size());
    if (closest.empty() || closer) closest = std::move(found);
  }
  if (writer.empty()) {
    const json::value anything = json::object();
    imply_one({{&anything, reader.part.document}, Condition::Kind::kOwn}, reader, path, closest);
  }
  out.append(closest);
}

void JsonComparison::imply_one(const Condition& writer, const Condition& reader,
                               const std::string& path, Differences& out) {
  using Kind = Condition::Kind;
  const bool from_union = writer.kind == Kind::kAnyOf || writer.kind == Kind::kOneOf;
  if (from_union) {
    const json::array& branches = branches_of(writer);
    for (const json::value& each : branches) {
      imply(conditions_of(Side::kWriter, {&each, writer.part.document}), reader, path, out);
    }
    return;
  }
  if (reader.kind == Kind::kOwn) return compare_own(writer, reader, path, out);
  // A schema of several types may be a union in other words.
  for (Types one = 1; one <= kLastType; one = static_cast<Types>(one << 1)) {
    if ((types_of(writer) & one) == 0) continue;
    Condition narrowed = writer;
    narrowed.types = one;
    if (!fits_branch(narrowed, reader, path)) {
      return out.add("SUM_TYPE_NARROWED", path + "/" + std::string(name_of(reader.kind)),
                     "No branch of the reader accepts what the writer writes here");
    }
  }
}

bool JsonComparison::fits_branch(const Condition& writer, const Condition& reader,
                                 const std::string& path) {
  const json::array& branches = branches_of(reader);
  return std::any_of(branches.begin(), branches.end(), [&](const json::value& each) {
    Differences found;
    compare({writer}, {&each, reader.part.document}, path, found);
    return found.empty();
  });
}

void compare_json(const JsonSchema& writer, const JsonSchema& reader, Differences& out) {
  JsonComparison(writer, reader).compare(writer.root(), reader.root(), "#", out);
}

}  // namespace runnel::broker::schemas
