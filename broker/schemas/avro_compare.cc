// Avro's schema resolution: who can read what whom wrote.
#include <algorithm>
#include <array>
#include <set>

#include "broker/schemas/avro.h"

namespace runnel::broker::schemas {

namespace {

using Kind = AvroNode::Kind;

constexpr std::array<std::string_view, 14> kWords{"null",   "boolean", "int",    "long",  "float",
                                                  "double", "bytes",   "string", "array", "map",
                                                  "union",  "record",  "enum",   "fixed"};

std::string_view short_name(std::string_view full) {
  const std::size_t dot = full.rfind('.');
  return dot == std::string_view::npos ? full : full.substr(dot + 1);
}

std::string_view word_of(Kind kind) {
  return kWords[static_cast<std::size_t>(kind)];
}

bool is_promoted(Kind from, Kind to) {
  switch (from) {
    case Kind::kInt:
      return to == Kind::kLong || to == Kind::kFloat || to == Kind::kDouble;
    case Kind::kLong:
      return to == Kind::kFloat || to == Kind::kDouble;
    case Kind::kFloat:
      return to == Kind::kDouble;
    case Kind::kString:
      return to == Kind::kBytes;
    case Kind::kBytes:
      return to == Kind::kString;
    default:
      return false;
  }
}

/// The comparison of two schemas. A pair that is being compared is taken for compatible where it
/// comes again within itself.
class AvroComparison {
 public:
  void compare(const AvroNode& writer, const AvroNode& reader, const std::string& path,
               Differences& out) {
    if (++steps_ > kMaxComparisons || open_.size() > kMaxSchemaDepth) {
      return out.add("TOO_LARGE", path, "The schemas are too large or too deep to be compared");
    }
    if (writer.kind == Kind::kUnion) return from_union(writer, reader, path, out);
    if (reader.kind == Kind::kUnion) return to_union(writer, reader, path, out);
    if (writer.kind != reader.kind) {
      if (is_promoted(writer.kind, reader.kind)) return;
      return out.add("TYPE_MISMATCH", path,
                     "The reader's type is " + std::string(word_of(reader.kind)) +
                         ", the writer's is " + std::string(word_of(writer.kind)));
    }
    if (reader.kind <= Kind::kString) return;
    if (reader.kind == Kind::kArray || reader.kind == Kind::kMap) {
      const std::string part = reader.kind == Kind::kArray ? "/items" : "/values";
      return compare(*writer.parts[0], *reader.parts[0], path + part, out);
    }
    compare_named(writer, reader, path, out);
  }

 private:
  void from_union(const AvroNode& writer, const AvroNode& reader, const std::string& path,
                  Differences& out) {
    for (const AvroNode* branch : writer.parts) compare(*branch, reader, path, out);
  }

  void to_union(const AvroNode& writer, const AvroNode& reader, const std::string& path,
                Differences& out) {
    Differences close;  // of a branch that seems to be the one that is meant
    for (std::size_t i = 0; i < reader.parts.size(); ++i) {
      const AvroNode& branch = *reader.parts[i];
      Differences each;
      compare(writer, branch, path + "/" + std::to_string(i), each);
      if (each.empty()) return;
      if (branch.kind == writer.kind && close.empty()) close = std::move(each);
    }
    out.add("MISSING_UNION_BRANCH", path,
            "The reader's union has no branch for the writer's " +
                std::string(writer.name.empty() ? word_of(writer.kind) : writer.name));
    out.append(close);
  }

  void compare_named(const AvroNode& writer, const AvroNode& reader, const std::string& path,
                     Differences& out) {
    const bool same = short_name(writer.name) == short_name(reader.name) ||
                      std::find(reader.aliases.begin(), reader.aliases.end(), writer.name) !=
                          reader.aliases.end();
    if (!same) {
      return out.add("NAME_MISMATCH", path + "/name",
                     "The reader's name is " + reader.name + ", the writer's " + writer.name);
    }
    if (reader.kind == Kind::kFixed && reader.size != writer.size) {
      return out.add("FIXED_SIZE_MISMATCH", path + "/size",
                     "The reader's size is " + std::to_string(reader.size) + ", the writer's " +
                         std::to_string(writer.size));
    }
    if (reader.kind == Kind::kEnum) return compare_symbols(writer, reader, path, out);
    if (reader.kind != Kind::kRecord) return;
    if (!open_.insert({&writer, &reader}).second) return;
    for (std::size_t i = 0; i < reader.fields.size(); ++i) {
      compare_field(writer, reader.fields[i], path + "/fields/" + std::to_string(i), out);
    }
    open_.erase({&writer, &reader});
  }

  static void compare_symbols(const AvroNode& writer, const AvroNode& reader,
                              const std::string& path, Differences& out) {
    if (reader.has_default) return;
    for (const std::string& symbol : writer.symbols) {
      if (std::find(reader.symbols.begin(), reader.symbols.end(), symbol) != reader.symbols.end()) {
        continue;
      }
      out.add("MISSING_ENUM_SYMBOLS", path + "/symbols",
              "The reader has no symbol " + symbol + " and no default");
    }
  }

  void compare_field(const AvroNode& writer, const AvroField& field, const std::string& path,
                     Differences& out) {
    const auto called = [&](const std::string& name) {
      return std::find_if(writer.fields.begin(), writer.fields.end(),
                          [&](const AvroField& f) { return f.name == name; });
    };
    auto found = called(field.name);
    for (const std::string& alias : field.aliases) {
      if (found == writer.fields.end()) found = called(alias);
    }
    if (found != writer.fields.end())
      return compare(*found->type, *field.type, path + "/type", out);
    if (field.has_default) return;
    out.add("READER_FIELD_MISSING_DEFAULT_VALUE", path,
            "The reader's field " + field.name + " has no default value and the writer lacks it");
  }

  std::size_t steps_ = 0;
  std::set<std::pair<const AvroNode*, const AvroNode*>> open_;
};

}  // namespace

void compare_avro(const AvroSchema& writer, const AvroSchema& reader, Differences& out) {
  AvroComparison().compare(writer.root(), reader.root(), "", out);
}

}  // namespace runnel::broker::schemas
