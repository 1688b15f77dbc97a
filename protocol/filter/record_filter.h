// Conditions on records, as a fetch's filter and the command line's `--where` have them:
//
//   key=K  key!=K  key~REGEX      on the key; a null key equals nothing and matches nothing
//   header.NAME=V  ...            on any header of that name
//   value=V  value~REGEX  ...     on the value as it stands, whatever it is
//   .path=V  .path>=12.34  ...    on what stands at a JSON path of the value; < <= > >= compare
//                                 numbers, exactly, also where they stand in a JSON string;
//                                 = and != take 12.30 for 12.3 where it is a JSON number
//
// Regular expressions are RE2's, which take time in proportion to the text and, at worst, to the
// program that the expression becomes: both have a bound.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/base/error.h"
#include "protocol/filter/json_text.h"
#include "protocol/record_batch/record_batch.h"

namespace runnel::protocol {

inline constexpr std::size_t kMaxFilterConditions = 16;
inline constexpr std::size_t kMaxFilterBytes = 4096;  ///< of all conditions together
/// Of one compiled regular expression.
inline constexpr std::int64_t kMaxPatternMemory = 1 << 20;
/// Instructions of all regular expressions together; usual ones have some dozens.
inline constexpr int kMaxPatternProgram = 500;
/// A longer text is not matched with a regular expression.
inline constexpr std::size_t kMaxMatchedBytes = 1u << 20;

/// Conditions that all have to hold. Immutable; thread safe.
class RecordFilter {
 public:
  /// kInvalidArgument: which condition is none, at which character, and what could stand there.
  [[nodiscard]] static Result<RecordFilter> parse(const std::vector<std::string>& conditions);
  enum class Verdict {
    kHolds,
    kFails,
    /// A JSON path is asked for and the value is no JSON, or a text is longer than
    /// kMaxMatchedBytes and a regular expression is asked for.
    kUnreadable,
  };
  [[nodiscard]] Verdict judge(const Record& record) const;
  [[nodiscard]] bool empty() const noexcept { return conditions_.empty(); }

 private:
  struct Condition;
  [[nodiscard]] static Result<std::shared_ptr<Condition>> parse_condition(std::string_view text);
  [[nodiscard]] static Verdict judge_text(const Condition& condition,
                                          const std::optional<std::string_view>& text,
                                          bool is_number = false);
  [[nodiscard]] static Verdict judge_headers(const Condition& condition, const Record& record);

  std::vector<std::shared_ptr<const Condition>> conditions_;
  std::vector<JsonPath> paths_;  ///< that conditions ask for, each once
};

}  // namespace runnel::protocol
