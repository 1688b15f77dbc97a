#include "tools/text/where.h"

#include <re2/re2.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "tools/text/json.h"

namespace runnel::tools {
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

/// A number as sign, significant digits and the power of ten of the first one.
struct Decimal {
  bool negative = false;
  std::string digits;         ///< without leading and trailing zeros; empty: zero
  std::int64_t exponent = 0;  ///< of 0.DIGITS
};

/// Exponents beyond this are no numbers of anybody's books.
constexpr std::int64_t kMaxExponent = 1'000'000;

std::optional<Decimal> parse_decimal(std::string_view text) {
  Decimal out;
  if (text.starts_with('-')) {
    out.negative = true;
    text.remove_prefix(1);
  }
  bool point = false;
  bool any = false;
  while (!text.empty() && text.front() != 'e' && text.front() != 'E') {
    const char c = text.front();
    text.remove_prefix(1);
    if (c == '.' && !point) {
      point = true;
      continue;
    }
    if (c < '0' || c > '9') return std::nullopt;
    any = true;
    if (!point) ++out.exponent;
    out.digits += c;
  }
  if (!any) return std::nullopt;
  if (!text.empty()) {
    text.remove_prefix(text.size() > 1 && text[1] == '+' ? 2 : 1);
    std::int64_t exponent = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), exponent);
    if (failed != std::errc() || end != text.data() + text.size()) return std::nullopt;
    if (exponent > kMaxExponent || exponent < -kMaxExponent) return std::nullopt;
    out.exponent += exponent;
  }
  const std::size_t leading = std::min(out.digits.find_first_not_of('0'), out.digits.size());
  out.digits.erase(0, leading);
  out.exponent -= static_cast<std::int64_t>(leading);
  while (out.digits.ends_with('0')) out.digits.pop_back();
  if (out.digits.empty()) out = Decimal();
  return out;
}

int compare(const Decimal& a, const Decimal& b) {
  if (a.negative != b.negative) return a.negative ? -1 : 1;
  const int way = a.negative ? -1 : 1;
  if (a.digits.empty() || b.digits.empty()) {
    return way * (static_cast<int>(!a.digits.empty()) - static_cast<int>(!b.digits.empty()));
  }
  if (a.exponent != b.exponent) return a.exponent < b.exponent ? -way : way;
  // Digits stand left-aligned, so their order as text is their order as fractions.
  const int order = a.digits.compare(b.digits);
  return order == 0 ? 0 : (order < 0 ? -way : way);
}

Error no_condition(std::string_view text) {
  return Error(ErrorCode::kInvalidArgument,
               "--where '" + std::string(text) +
                   "' is no condition; write key=K, header.NAME=V or .json.path>=12.5, with one of "
                   "= != ~ < <= > >=");
}

}  // namespace

struct Where::Condition {
  enum class Subject { kKey, kHeader, kPath };
  Subject subject = Subject::kKey;
  std::string name;  ///< of the header, or the path
  Comparison comparison = Comparison::kEqual;
  std::string operand;
  std::optional<Decimal> number;  ///< the operand, where numbers are compared
  std::unique_ptr<re2::RE2> pattern;

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

 private:
  /// 12.30 is 12.3, at a path.
  [[nodiscard]] bool equal_numbers(std::string_view text) const {
    if (!number) return false;
    const auto value = parse_decimal(text);
    return value && compare(*value, *number) == 0;
  }
};

Result<int> compare_numbers(std::string_view a, std::string_view b) {
  const auto left = parse_decimal(a);
  const auto right = parse_decimal(b);
  if (left && right) return compare(*left, *right);
  return fail(ErrorCode::kInvalidArgument,
              "'" + std::string(left ? b : a) + "' is no decimal number");
}

Result<Where> Where::parse(const std::vector<std::string>& conditions) {
  Where where;
  for (const std::string& text : conditions) {
    const std::size_t at = text.find_first_of("=!~<>");
    if (at == std::string::npos) return fail(no_condition(text));
    const std::string_view rest = std::string_view(text).substr(at);
    const auto found =
        std::find_if(std::begin(kOperators), std::end(kOperators),
                     [&](const Operator& candidate) { return rest.starts_with(candidate.text); });
    if (found == std::end(kOperators)) return fail(no_condition(text));
    auto condition = std::make_shared<Condition>();
    const std::string subject = text.substr(0, at);
    condition->comparison = found->comparison;
    condition->operand = rest.substr(found->text.size());
    condition->number = parse_decimal(condition->operand);
    if (subject.starts_with('.')) {
      if (const Status path = check_json_path(subject); !path) {
        return fail(Error(path.error()).within("--where"));
      }
      condition->subject = Condition::Subject::kPath;
      condition->name = subject;
    } else if (subject.starts_with("header.") && subject.size() > 7) {
      condition->subject = Condition::Subject::kHeader;
      condition->name = subject.substr(7);
    } else if (subject != "key") {
      return fail(no_condition(text));
    }
    const bool ordered = condition->comparison >= Comparison::kLess;
    if (ordered && !condition->number) {
      return fail(ErrorCode::kInvalidArgument, "--where '" + text + "': '" + condition->operand +
                                                   "' is no number to compare with");
    }
    if (condition->comparison == Comparison::kMatches) {
      condition->pattern = std::make_unique<re2::RE2>(condition->operand, re2::RE2::Quiet);
      if (!condition->pattern->ok()) {
        return fail(ErrorCode::kInvalidArgument,
                    "--where '" + text + "': " + condition->pattern->error());
      }
    }
    where.conditions_.push_back(std::move(condition));
  }
  return where;
}

Where::Verdict Where::judge(const ShownRecord& record) const {
  std::optional<Result<JsonDocument>> document;
  for (const auto& condition : conditions_) {
    if (condition->subject == Condition::Subject::kKey) {
      if (!condition->holds(record.key)) return Verdict::kFails;
    } else if (condition->subject == Condition::Subject::kHeader) {
      // Without such a header: as with a null one.
      bool any = false;
      bool seen = false;
      for (const auto& [name, value] : record.headers) {
        if (name != condition->name) continue;
        seen = true;
        any = any || condition->holds(value);
      }
      if (!(seen ? any : condition->holds(std::nullopt))) return Verdict::kFails;
    } else {
      if (!document) document = JsonDocument::parse(record.value.value_or("null"));
      if (!*document) return Verdict::kUnreadable;
      const auto text = (**document).text_at(condition->name);
      if (!condition->holds(text, (**document).is_number(condition->name))) return Verdict::kFails;
    }
  }
  return Verdict::kHolds;
}

}  // namespace runnel::tools
