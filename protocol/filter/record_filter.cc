#include "protocol/filter/record_filter.h"

#include <re2/re2.h>

#include <algorithm>
#include <optional>

#include "protocol/filter/decimal.h"
#include "protocol/filter/json_probe.h"

namespace runnel::protocol {
namespace {

enum class Comparison { kEqual, kUnequal, kMatches, kLess, kAtMost, kMore, kAtLeast };

struct Operator {
  std::string_view text;
  Comparison comparison;
};
/// Longer ones first.
constexpr Operator kOperators[] = {{"!=", Comparison::kUnequal}, {"<=", Comparison::kAtMost},
                                   {">=", Comparison::kAtLeast}, {"=", Comparison::kEqual},
                                   {"~", Comparison::kMatches},  {"<", Comparison::kLess},
                                   {">", Comparison::kMore}};
constexpr std::string_view kHeaderPrefix = "header.";

/// `at` counts from 0, people count from 1.
Error wrong(std::size_t at, std::string what) {
  return Error(ErrorCode::kInvalidArgument,
               "at character " + std::to_string(at + 1) + ": " + std::move(what));
}

Error no_condition(std::string_view text, std::size_t at) {
  return wrong(
      at,
      "'" + std::string(text) +
          "' is no condition; write key=K, value~REGEX, header.NAME=V or .json.path>=12.5, with "
          "one of = != ~ < <= > >=");
}

}  // namespace

struct RecordFilter::Condition {
  enum class Subject { kKey, kValue, kHeader, kPath };
  Subject subject = Subject::kKey;
  std::string header;
  JsonPath path;
  std::size_t place = 0;  ///< of the path in paths_
  Comparison comparison = Comparison::kEqual;
  std::string operand;
  std::optional<Decimal> number;  ///< the operand, where numbers are compared
  std::unique_ptr<re2::RE2> pattern;

  [[nodiscard]] bool is_too_long(const std::optional<std::string_view>& text) const {
    return comparison == Comparison::kMatches && text && text->size() > kMaxMatchedBytes;
  }
  /// `is_number`: a JSON number, not a text that looks like one.
  [[nodiscard]] bool holds(const std::optional<std::string_view>& text,
                           bool is_number = false) const {
    const bool equal = text && (*text == operand || (is_number && equal_numbers(*text)));
    if (comparison == Comparison::kEqual) return equal;
    if (comparison == Comparison::kUnequal) return !equal;
    if (!text) return false;
    if (comparison == Comparison::kMatches) {
      return re2::RE2::PartialMatch(re2::StringPiece(text->data(), text->size()), *pattern);
    }
    const auto value = parse_decimal(*text);
    if (!value) return false;
    const int order = compare(*value, *number);
    if (comparison == Comparison::kLess) return order < 0;
    if (comparison == Comparison::kAtMost) return order <= 0;
    return comparison == Comparison::kMore ? order > 0 : order >= 0;
  }

  /// Reads what stands before the operator.
  [[nodiscard]] Status set_subject(std::string_view text, std::string_view whole) {
    if (text.starts_with('.')) {
      auto parsed = JsonPath::parse(text);
      if (!parsed) return fail(wrong(0, parsed.error().message()));
      subject = Subject::kPath;
      path = std::move(*parsed);
      return {};
    }
    if (text.starts_with(kHeaderPrefix) && text.size() > kHeaderPrefix.size()) {
      subject = Subject::kHeader;
      header = text.substr(kHeaderPrefix.size());
      return {};
    }
    if (text == "value") subject = Subject::kValue;
    if (text == "key" || text == "value") return {};
    return fail(no_condition(whole, 0));
  }

  /// Reads what stands behind it, which begins at `at`.
  [[nodiscard]] Status set_operand(std::string_view text, std::size_t at) {
    operand = text;
    number = parse_decimal(operand);
    if (comparison >= Comparison::kLess && !number) {
      return fail(wrong(at, "'" + operand + "' is no number to compare with"));
    }
    if (comparison != Comparison::kMatches) return {};
    re2::RE2::Options options(re2::RE2::Quiet);
    options.set_max_mem(kMaxPatternMemory);
    pattern = std::make_unique<re2::RE2>(operand, options);
    if (pattern->ok()) return {};
    return fail(wrong(at, "'" + operand + "' is no regular expression: " + pattern->error()));
  }

 private:
  /// 12.30 is 12.3, at a path.
  [[nodiscard]] bool equal_numbers(std::string_view text) const {
    if (!number) return false;
    const auto value = parse_decimal(text);
    return value && compare(*value, *number) == 0;
  }
};

Result<std::shared_ptr<RecordFilter::Condition>> RecordFilter::parse_condition(
    std::string_view text) {
  const std::size_t at = text.find_first_of("=!~<>");
  if (at == std::string_view::npos) return fail(no_condition(text, text.size()));
  const std::string_view rest = text.substr(at);
  const auto* const found =
      std::find_if(std::begin(kOperators), std::end(kOperators),
                   [&](const Operator& candidate) { return rest.starts_with(candidate.text); });
  if (found == std::end(kOperators)) return fail(no_condition(text, at));
  auto condition = std::make_shared<Condition>();
  condition->comparison = found->comparison;
  RUNNEL_TRY(condition->set_subject(text.substr(0, at), text));
  RUNNEL_TRY(condition->set_operand(rest.substr(found->text.size()), at + found->text.size()));
  return condition;
}

Result<RecordFilter> RecordFilter::parse(const std::vector<std::string>& conditions) {
  std::size_t bytes = 0;
  for (const std::string& text : conditions) bytes += text.size();
  if (conditions.size() > kMaxFilterConditions || bytes > kMaxFilterBytes) {
    return fail(ErrorCode::kInvalidArgument,
                "a filter may have " + std::to_string(kMaxFilterConditions) + " conditions of " +
                    std::to_string(kMaxFilterBytes) + " bytes together, this one has " +
                    std::to_string(conditions.size()) + " of " + std::to_string(bytes));
  }
  RecordFilter filter;
  int program = 0;
  for (std::size_t i = 0; i < conditions.size(); ++i) {
    auto parsed = parse_condition(conditions[i]);
    if (!parsed) {
      return fail(Error(parsed.error()).within("condition " + std::to_string(i + 1)));
    }
    Condition& condition = **parsed;
    if (condition.pattern) program += condition.pattern->ProgramSize();
    if (program > kMaxPatternProgram) {
      return fail(ErrorCode::kInvalidArgument,
                  "condition " + std::to_string(i + 1) +
                      ": the regular expressions of the filter are too large, " +
                      std::to_string(program) + " instructions where " +
                      std::to_string(kMaxPatternProgram) + " fit; repeat less");
    }
    if (condition.subject == Condition::Subject::kPath) {
      const auto known = std::find(filter.paths_.begin(), filter.paths_.end(), condition.path);
      condition.place = static_cast<std::size_t>(known - filter.paths_.begin());
      if (known == filter.paths_.end()) filter.paths_.push_back(condition.path);
    }
    filter.conditions_.push_back(*std::move(parsed));
  }
  return filter;
}

RecordFilter::Verdict RecordFilter::judge_text(const Condition& condition,
                                               const std::optional<std::string_view>& text,
                                               bool is_number) {
  if (condition.is_too_long(text)) return Verdict::kUnreadable;
  return condition.holds(text, is_number) ? Verdict::kHolds : Verdict::kFails;
}

/// Any header of that name may hold; none is as one that is null.
RecordFilter::Verdict RecordFilter::judge_headers(const Condition& condition,
                                                  const Record& record) {
  std::optional<Verdict> best;
  for (const RecordHeader& header : record.headers) {
    if (header.key != condition.header) continue;
    const Verdict verdict = judge_text(condition, header.value);
    if (verdict == Verdict::kHolds) return verdict;
    if (!best || verdict == Verdict::kUnreadable) best = verdict;
  }
  return best ? *best : judge_text(condition, std::nullopt);
}

RecordFilter::Verdict RecordFilter::judge(const Record& record) const {
  std::optional<std::vector<std::optional<JsonFound>>> found;
  for (const auto& condition : conditions_) {
    Verdict verdict = Verdict::kHolds;
    if (condition->subject == Condition::Subject::kKey) {
      verdict = judge_text(*condition, record.key);
    } else if (condition->subject == Condition::Subject::kValue) {
      verdict = judge_text(*condition, record.value);
    } else if (condition->subject == Condition::Subject::kHeader) {
      verdict = judge_headers(*condition, record);
    } else {
      if (!found) {
        auto probed = find_in_json(record.value.value_or("null"), paths_);
        if (!probed) return Verdict::kUnreadable;
        found = std::move(*probed);
      }
      const std::optional<JsonFound>& value = (*found)[condition->place];
      verdict = value ? judge_text(*condition, value->text, value->is_number)
                      : judge_text(*condition, std::nullopt);
    }
    if (verdict != Verdict::kHolds) return verdict;
  }
  return Verdict::kHolds;
}

}  // namespace runnel::protocol
