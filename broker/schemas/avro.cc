// Reading Avro schemas, as its specification 1.11 says.
#include "broker/schemas/avro.h"

#include <algorithm>
#include <array>
#include <set>

#include "broker/schemas/json_value.h"
#include "protocol/base/assert.h"

namespace runnel::broker::schemas {

namespace json = boost::json;

namespace {

using Kind = AvroNode::Kind;

constexpr std::array<std::pair<std::string_view, Kind>, 8> kPrimitives{{{"null", Kind::kNull},
                                                                        {"boolean", Kind::kBoolean},
                                                                        {"int", Kind::kInt},
                                                                        {"long", Kind::kLong},
                                                                        {"float", Kind::kFloat},
                                                                        {"double", Kind::kDouble},
                                                                        {"bytes", Kind::kBytes},
                                                                        {"string", Kind::kString}}};

tl::unexpected<Error> wrong(const std::string& where, const std::string& what) {
  return fail(ErrorCode::kMalformed, (where.empty() ? "the schema" : where) + " " + what);
}

bool is_name(std::string_view text) {
  const auto is_letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  return !text.empty() && is_letter(text[0]) && std::all_of(text.begin(), text.end(), [&](char c) {
    return is_letter(c) || (c >= '0' && c <= '9');
  });
}

/// Names with dots between; empty is no namespace.
bool is_dotted_name(std::string_view text) {
  for (;;) {
    const std::size_t dot = text.find('.');
    if (!is_name(text.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    text.remove_prefix(dot + 1);
  }
}

std::string namespace_of(const std::string& full) {
  const std::size_t dot = full.rfind('.');
  return dot == std::string::npos ? std::string() : full.substr(0, dot);
}

std::string full_name(std::string_view name, const std::string& space) {
  const bool has_dot = name.find('.') != std::string_view::npos;
  return has_dot || space.empty() ? std::string(name) : space + "." + std::string(name);
}

}  // namespace

/// Makes the parts of one schema after the other.
class AvroReader {
 public:
  explicit AvroReader(AvroSchema& out) : out_(out) {}

  Result<const AvroNode*> read(const json::value& value, const std::string& space,
                               const std::string& where) {
    if (value.is_string()) return named(text_of(value.get_string()), space, where);
    if (value.is_array()) return read_union(value.get_array(), space, where);
    if (!value.is_object())
      return wrong(where, "has to be a name, an object or an array (a union)");
    const json::object& object = value.get_object();
    const json::value* type = member(object, "type");
    if (type == nullptr) return wrong(where, "has no \"type\"");
    if (!type->is_string()) return read(*type, space, where);
    const std::string_view name = text_of(type->get_string());
    if (name == "record" || name == "error") return read_record(object, space, where);
    if (name == "enum") return read_enum(object, space, where);
    if (name == "fixed") return read_fixed(object, space, where);
    if (name == "array") return read_one(Kind::kArray, "items", object, space, where);
    if (name == "map") return read_one(Kind::kMap, "values", object, space, where);
    return named(name, space, where);
  }

 private:
  AvroNode& add(Kind kind) {
    AvroNode& node = out_.nodes_.emplace_back();
    node.kind = kind;
    return node;
  }

  Result<const AvroNode*> named(std::string_view name, const std::string& space,
                                const std::string& where) {
    for (const auto& [known, kind] : kPrimitives) {
      if (known == name) return &add(kind);
    }
    auto found = types_.find(full_name(name, space));
    if (found == types_.end()) found = types_.find(std::string(name));
    if (found != types_.end()) return found->second;
    return wrong(where, "uses the type \"" + std::string(name) +
                            "\", which is not defined before; define it, or refer to its subject");
  }

  Result<const AvroNode*> read_one(Kind kind, std::string_view what, const json::object& object,
                                   const std::string& space, const std::string& where) {
    const json::value* inner = member(object, what);
    if (inner == nullptr) return wrong(where, "has no \"" + std::string(what) + "\"");
    AvroNode& node = add(kind);
    RUNNEL_TRY_ASSIGN(const AvroNode* part, read(*inner, space, where + "/" + std::string(what)));
    node.parts.push_back(part);
    return &node;
  }

  Result<const AvroNode*> read_union(const json::array& branches, const std::string& space,
                                     const std::string& where) {
    AvroNode& node = add(Kind::kUnion);
    std::set<std::string> seen;
    for (std::size_t i = 0; i < branches.size(); ++i) {
      const std::string place = where + "/" + std::to_string(i);
      RUNNEL_TRY_ASSIGN(const AvroNode* part, read(branches[i], space, place));
      if (part->kind == Kind::kUnion) return wrong(place, "is a union within a union");
      const std::string name =
          part->name.empty() ? std::to_string(static_cast<int>(part->kind)) : part->name;
      if (!seen.insert(name).second) return wrong(place, "is in the union already");
      node.parts.push_back(part);
    }
    return &node;
  }

  /// A part with a name, known from here on.
  Result<AvroNode*> begin_named(Kind kind, const json::object& object, const std::string& space,
                                const std::string& where) {
    const std::string_view name = text_member(object, "name");
    if (!is_dotted_name(name)) {
      return wrong(where, "needs a \"name\" of letters, digits and underscores");
    }
    const json::value* given = member(object, "namespace");
    const std::string own =
        given == nullptr ? space : std::string(text_member(object, "namespace"));
    if (!own.empty() && !is_dotted_name(own))
      return wrong(where, "has a \"namespace\" that is none");
    AvroNode& node = add(kind);
    node.name = full_name(name, own);
    if (!types_.emplace(node.name, &node).second) {
      return wrong(where, "defines \"" + node.name + "\" a second time");
    }
    RUNNEL_TRY_ASSIGN(const auto aliases, texts(object, "aliases", where));
    for (const std::string& alias : aliases) {
      node.aliases.push_back(full_name(alias, namespace_of(node.name)));
    }
    return &node;
  }

  static Result<std::vector<std::string>> texts(const json::object& object, std::string_view what,
                                                const std::string& where) {
    std::vector<std::string> out;
    const json::value* list = member(object, what);
    if (list == nullptr) return out;
    const auto bad = [&] {
      return wrong(where, "has \"" + std::string(what) + "\" that are no list of names");
    };
    if (!list->is_array()) return bad();
    for (const json::value& each : list->get_array()) {
      if (!each.is_string() || !is_dotted_name(text_of(each.get_string()))) return bad();
      out.emplace_back(text_of(each.get_string()));
    }
    return out;
  }

  Result<const AvroNode*> read_record(const json::object& object, const std::string& space,
                                      const std::string& where) {
    RUNNEL_TRY_ASSIGN(AvroNode* const node, begin_named(Kind::kRecord, object, space, where));
    const json::value* fields = member(object, "fields");
    if (fields == nullptr || !fields->is_array()) return wrong(where, "has no list of \"fields\"");
    std::set<std::string> seen;
    for (std::size_t i = 0; i < fields->get_array().size(); ++i) {
      const std::string place = where + "/fields/" + std::to_string(i);
      const json::object* const each = fields->get_array()[i].if_object();
      if (each == nullptr) return wrong(place, "has to be an object");
      AvroField field;
      field.name = text_member(*each, "name");
      if (!is_name(field.name)) return wrong(place, "needs a \"name\"");
      if (!seen.insert(field.name).second) {
        return wrong(place, "is a second field \"" + field.name + "\"");
      }
      const json::value* type = member(*each, "type");
      if (type == nullptr) return wrong(place, "has no \"type\"");
      RUNNEL_TRY_ASSIGN(field.aliases, texts(*each, "aliases", place));
      RUNNEL_TRY_ASSIGN(field.type, read(*type, namespace_of(node->name), place + "/type"));
      field.has_default = member(*each, "default") != nullptr;
      node->fields.push_back(std::move(field));
    }
    return node;
  }

  Result<const AvroNode*> read_enum(const json::object& object, const std::string& space,
                                    const std::string& where) {
    RUNNEL_TRY_ASSIGN(AvroNode* const node, begin_named(Kind::kEnum, object, space, where));
    if (member(object, "symbols") == nullptr) return wrong(where, "has no \"symbols\"");
    RUNNEL_TRY_ASSIGN(node->symbols, texts(object, "symbols", where));
    const std::set<std::string> once(node->symbols.begin(), node->symbols.end());
    if (once.size() != node->symbols.size()) return wrong(where, "has a symbol twice");
    if (const json::value* otherwise = member(object, "default")) {
      if (!otherwise->is_string() ||
          !once.contains(std::string(text_of(otherwise->get_string())))) {
        return wrong(where, "has a \"default\" that is none of its symbols");
      }
      node->has_default = true;
    }
    return node;
  }

  Result<const AvroNode*> read_fixed(const json::object& object, const std::string& space,
                                     const std::string& where) {
    RUNNEL_TRY_ASSIGN(AvroNode* const node, begin_named(Kind::kFixed, object, space, where));
    const json::value* size = member(object, "size");
    if (size == nullptr || !size->is_int64() || size->get_int64() < 0) {
      return wrong(where, "needs a \"size\" in bytes");
    }
    node->size = size->get_int64();
    return node;
  }

  AvroSchema& out_;
  std::map<std::string, const AvroNode*> types_;
};

Result<AvroSchema> AvroSchema::parse(const std::vector<std::string_view>& texts) {
  AvroSchema out;
  AvroReader reader(out);
  for (const std::string_view text : texts) {
    RUNNEL_TRY_ASSIGN(const json::value document, parse_json(text));
    RUNNEL_TRY_ASSIGN(out.root_, reader.read(document, "", ""));
  }
  RUNNEL_ASSERT(out.root_ != nullptr);
  return out;
}

}  // namespace runnel::broker::schemas
