// JSON Schemas (drafts 4 to 7, 2019-09, 2020-12): their parts and references, whether a value is
// valid, and whether one schema accepts all that another one does.
//
// Not looked at, neither in values nor in comparisons: format, content*, $dynamicRef. Of
// unevaluatedProperties and unevaluatedItems only whether they changed. Patterns are RE2's: one
// with a lookahead is registered, but no value is valid under it.
#pragma once

#include <re2/re2.h>

#include <boost/json.hpp>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "broker/schemas/difference.h"
#include "protocol/base/error.h"

namespace runnel::broker::schemas {

/// A schema's text and the name by which others refer to it; empty for the one that is meant.
struct NamedText {
  std::string_view name;
  std::string_view text;
};

/// A schema with all that it refers to. Immutable; thread safe.
class JsonSchema {
 public:
  /// `texts`: the schema last, before it those that it refers to. Errors: kMalformed: what is wrong
  /// and where.
  [[nodiscard]] static Result<std::unique_ptr<const JsonSchema>> parse(
      const std::vector<NamedText>& texts);

  struct Document {
    std::string name;
    boost::json::value value;
    bool ref_hides_others = true;  ///< up to draft 7: what stands beside $ref does not count
  };
  /// A part of the schema and the document that it stands in.
  struct Part {
    const boost::json::value* value = nullptr;
    const Document* document = nullptr;
    friend bool operator==(const Part&, const Part&) = default;
    friend auto operator<=>(const Part&, const Part&) = default;
  };
  [[nodiscard]] Part root() const noexcept {
    return {&documents_.back()->value, documents_.back().get()};
  }
  /// What `reference`, which stands in `from`, leads to; value nullptr: nowhere.
  [[nodiscard]] Part resolve(std::string_view reference, const Document& from) const;
  /// nullptr: RE2 has no such pattern.
  [[nodiscard]] const RE2* pattern(std::string_view text) const;

  /// nullopt: the value is valid; else why not and where: "#/age is a string; ...".
  [[nodiscard]] std::optional<std::string> why_invalid(const boost::json::value& value) const;

 private:
  friend class JsonSchemaChecker;
  std::vector<std::unique_ptr<const Document>> documents_;
  std::map<std::string, Part, std::less<>> by_id_;  ///< "$id", and "name#anchor"
  std::map<std::string, std::unique_ptr<const RE2>, std::less<>> patterns_;
};

/// Whether what is valid under `writer` is valid under `reader`. Adds what is in the way. Certain
/// where it says yes; a no may be said of unions and conditions that are only written differently.
void compare_json(const JsonSchema& writer, const JsonSchema& reader, Differences& out);

/// Whether a value of `part` of `schema` is valid; for comparisons.
[[nodiscard]] bool is_valid(const JsonSchema& schema, const JsonSchema::Part& part,
                            const boost::json::value& value);

}  // namespace runnel::broker::schemas
