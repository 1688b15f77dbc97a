// The comparison of two JSON Schemas; private to json_compare*.cc.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "broker/schemas/json_schema.h"
#include "broker/schemas/json_value.h"

namespace runnel::broker::schemas {

/// A set of JSON's types; whole numbers and others are two.
using Types = std::uint8_t;
inline constexpr Types kNullType = 1, kBooleanType = 2, kObjectType = 4, kArrayType = 8,
                       kWholeType = 16, kFractionType = 32, kStringType = 64,
                       kLastType = kStringType, kAllTypes = 127;

/// One of the conditions that a schema is made of.
struct Condition {
  enum class Kind : std::uint8_t { kOwn, kAnyOf, kOneOf, kNever };
  JsonSchema::Part part;
  Kind kind = Kind::kOwn;
  Types types = kAllTypes;  ///< only values of these are meant
  friend auto operator<=>(const Condition&, const Condition&) = default;
};
using Conditions = std::vector<Condition>;

[[nodiscard]] inline std::string_view name_of(Condition::Kind kind) {
  return kind == Condition::Kind::kAnyOf ? "anyOf" : "oneOf";
}
[[nodiscard]] inline const boost::json::array& branches_of(const Condition& condition) {
  return member(condition.part.value->get_object(), name_of(condition.kind))->get_array();
}
/// What values its own keywords allow.
[[nodiscard]] Types types_of(const Condition& condition);

class JsonComparison {
 public:
  using Part = JsonSchema::Part;
  enum class Side : std::uint8_t { kWriter, kReader };

  JsonComparison(const JsonSchema& writer, const JsonSchema& reader)
      : writer_(writer), reader_(reader) {}
  void compare(const Part& writer, const Part& reader, const std::string& path, Differences& out);

 private:
  /// A schema's own keywords, and the schema whose they are.
  struct Own {
    const JsonSchema& schema;
    const Part& part;
    const boost::json::object& keywords;
  };

  [[nodiscard]] const JsonSchema& schema_of(Side side) const {
    return side == Side::kWriter ? writer_ : reader_;
  }
  [[nodiscard]] Conditions conditions_of(Side side, const Part& part);
  void add_conditions(Side side, const Part& part, std::size_t depth, Conditions& out);
  void compare(const Conditions& writer, const Part& reader, const std::string& path,
               Differences& out);
  bool compare_values(const Conditions& writer, const Part& reader, const std::string& path,
                      Differences& out);
  void imply(const Conditions& writer, const Condition& reader, const std::string& path,
             Differences& out);
  void imply_one(const Condition& writer, const Condition& reader, const std::string& path,
                 Differences& out);
  bool fits_branch(const Condition& writer, const Condition& reader, const std::string& path);

  // json_compare_own.cc: keywords that stand beside each other.
  void compare_own(const Condition& writer, const Condition& reader, const std::string& path,
                   Differences& out);
  void compare_logic(const Own& writer, const Own& reader, const std::string& path,
                     Differences& out);
  void compare_arrays(const Own& writer, const Own& reader, const std::string& path,
                      Differences& out);
  void compare_objects(const Own& writer, const Own& reader, const std::string& path,
                       Differences& out);
  void compare_property(const Own& writer, const Own& reader, std::string_view name,
                        const std::string& path, Differences& out);
  void compare_other_properties(const Own& writer, const Own& reader, const std::string& path,
                                Differences& out);
  [[nodiscard]] static std::vector<Part> parts_for(const Own& own, std::string_view name);

  const JsonSchema& writer_;
  const JsonSchema& reader_;
  std::size_t steps_ = 0;
  std::set<std::pair<Conditions, Part>> open_;
};

}  // namespace runnel::broker::schemas
