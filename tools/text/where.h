// Conditions on records, as `--where` takes them:
//
//   key=K  key!=K  key~REGEX      on the key; a null key equals nothing and matches nothing
//   header.NAME=V  ...            on any header of that name
//   .path=V  .path>=12.34  ...    on what stands at a JSON path of the value; < <= > >= compare
//                                 numbers, exactly, also where they stand in a JSON string;
//                                 = and != take 12.30 for 12.3 where it is a JSON number
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/base/error.h"
#include "tools/text/record.h"

namespace runnel::tools {

/// Conditions that all have to hold. Immutable; thread safe.
class Where {
 public:
  /// kInvalidArgument: which condition is none, and what could stand there.
  [[nodiscard]] static Result<Where> parse(const std::vector<std::string>& conditions);
  enum class Verdict {
    kHolds,
    kFails,
    kUnreadable,  ///< a JSON path is asked for and the value is no JSON
  };
  [[nodiscard]] Verdict judge(const ShownRecord& record) const;
  [[nodiscard]] bool holds(const ShownRecord& record) const {
    return judge(record) == Verdict::kHolds;
  }
  [[nodiscard]] bool empty() const noexcept { return conditions_.empty(); }

 private:
  struct Condition;
  std::vector<std::shared_ptr<const Condition>> conditions_;
};

/// Compares two decimal numbers as JSON writes them, exponents included: negative, 0 or positive.
/// kInvalidArgument: one of them is no number.
[[nodiscard]] Result<int> compare_numbers(std::string_view a, std::string_view b);

}  // namespace runnel::tools
