#include <algorithm>
#include <array>

#include "storage/views/expr/compile.h"
#include "storage/views/sql/nearest.h"

namespace runnel::storage::views {
namespace {

/// A function whose arguments have fixed types: t VARCHAR, i BIGINT, d DOUBLE, j JSON; those behind
/// the bar may be left out.
struct FunctionRow {
  std::string_view name;
  std::string_view arguments;
  char result;  ///< as the arguments; b BOOLEAN
  Kernel kernel;
};
constexpr std::array<FunctionRow, 29> kFunctions{
    {{"length", "t", 'i', text_length},
     {"char_length", "t", 'i', text_length},
     {"character_length", "t", 'i', text_length},
     {"octet_length", "t", 'i', text_bytes},
     {"lower", "t", 't', lower_text},
     {"upper", "t", 't', upper_text},
     {"trim", "t|t", 't', trim_both},
     {"btrim", "t|t", 't', trim_both},
     {"ltrim", "t|t", 't', trim_left},
     {"rtrim", "t|t", 't', trim_right},
     {"substring", "ti|i", 't', substring},
     {"substr", "ti|i", 't', substring},
     {"left", "ti", 't', left_part},
     {"right", "ti", 't', right_part},
     {"replace", "ttt", 't', replace_text},
     {"strpos", "tt", 'i', position_in},
     {"instr", "tt", 'i', position_in},
     {"starts_with", "tt", 'b', starts_with},
     {"ends_with", "tt", 'b', ends_with},
     {"contains", "tt", 'b', contains_text},
     {"split_part", "tti", 't', split_part},
     {"lpad", "ti|t", 't', pad_left},
     {"rpad", "ti|t", 't', pad_right},
     {"repeat", "ti", 't', repeat_text},
     {"reverse", "t", 't', reverse_text},
     {"sqrt", "d", 'd', square_root},
     {"json_array_length", "j", 'i', json_array_length},
     {"json_typeof", "j", 't', json_typeof},
     {"jsonb_typeof", "j", 't', json_typeof}}};

struct RoundingRow {
  std::string_view name;
  Rounding kind;
};
constexpr std::array<RoundingRow, 7> kRoundings{{{"round", Rounding::kRound},
                                                 {"trunc", Rounding::kTruncate},
                                                 {"floor", Rounding::kFloor},
                                                 {"ceil", Rounding::kCeiling},
                                                 {"ceiling", Rounding::kCeiling},
                                                 {"abs", Rounding::kAbsolute},
                                                 {"sign", Rounding::kSign}}};

constexpr std::array<std::string_view, 9> kOthers{"coalesce",  "nullif",     "greatest",
                                                  "least",     "concat",     "concat_ws",
                                                  "date_part", "date_trunc", "mod"};

Type type_of(char letter) {
  switch (letter) {
    case 'b':
      return boolean_type();
    case 'i':
      return bigint_type();
    case 'd':
      return double_type();
    case 'j':
      return json_type();
    default:
      return varchar_type();
  }
}

Node node_of(Kernel kernel, const Type& type) {
  Node node;
  node.kernel = kernel;
  node.type = type;
  return node;
}

std::string upper(std::string_view name) {
  std::string text(name);
  for (char& c : text) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return text;
}

Status takes(std::string_view name, std::size_t count, std::size_t least, std::size_t most,
             sql::Place place) {
  if (count >= least && count <= most) return {};
  const std::string wanted =
      least == most ? std::to_string(least) : std::to_string(least) + " to " + std::to_string(most);
  return fail(error_at(place, upper(name) + " takes " + wanted +
                                  (least == 1 && most == 1 ? " argument" : " arguments") +
                                  ", and here are " + std::to_string(count)));
}

constexpr std::size_t kAnyNumber = 1000;

}  // namespace

std::vector<std::string_view> function_names() {
  std::vector<std::string_view> names(kOthers.begin(), kOthers.end());
  for (const FunctionRow& row : kFunctions) names.push_back(row.name);
  for (const RoundingRow& row : kRoundings) names.push_back(row.name);
  return names;
}

Result<Bound> Functions::call(const sql::Call& call) {
  const std::string& name = call.function;
  if (call.star || call.distinct || call.filter) {
    return fail(
        error_at(place_, "only aggregates have *, DISTINCT or FILTER, and " + name + " is none"));
  }
  const auto row = std::find_if(kFunctions.begin(), kFunctions.end(),
                                [&](const FunctionRow& r) { return r.name == name; });
  const auto rounding_row = std::find_if(kRoundings.begin(), kRoundings.end(),
                                         [&](const RoundingRow& r) { return r.name == name; });
  const bool other = std::find(kOthers.begin(), kOthers.end(), name) != kOthers.end();
  if (row == kFunctions.end() && rounding_row == kRoundings.end() && !other) {
    const auto meant = sql::nearest(name, function_names());
    return fail(error_at(place_, "there is no function " + name +
                                     (meant ? "; did you mean " + std::string(*meant) + "?" : "")));
  }
  std::vector<Bound> arguments;
  for (const sql::ExpressionRef& argument : call.arguments) {
    RUNNEL_TRY_ASSIGN(Bound bound, compiler_.compile(*argument));
    arguments.push_back(std::move(bound));
  }
  if (rounding_row != kRoundings.end()) {
    return rounding(call, rounding_row->kind, std::move(arguments));
  }
  if (other) return variadic(call, std::move(arguments));

  std::string letters(row->arguments);
  const std::size_t bar = letters.find('|');
  if (bar != std::string::npos) letters.erase(bar, 1);
  RUNNEL_TRY(takes(name, arguments.size(), std::min(bar, letters.size()), letters.size(), place_));
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    RUNNEL_TRY_ASSIGN(arguments[i], compiler_.implicit(std::move(arguments[i]), type_of(letters[i]),
                                                       call.arguments[i]->place, upper(name)));
  }
  return made(node_of(row->kernel, type_of(row->result)), std::move(arguments), place_);
}

Result<Bound> Functions::variadic(const sql::Call& call, std::vector<Bound> arguments) {
  const std::string& name = call.function;
  const std::string shown = upper(name);
  const std::size_t count = arguments.size();
  if (name == "date_trunc" || name == "date_part") return of_time(call, std::move(arguments));
  if (name == "mod") {
    RUNNEL_TRY(takes(name, count, 2, 2, place_));
    return Operators(compiler_, place_)
        .arithmetic(Arithmetic::kModulo, "MOD", std::move(arguments[0]), std::move(arguments[1]));
  }
  if (name == "concat" || name == "concat_ws") {
    RUNNEL_TRY(takes(name, count, name == "concat" ? 1 : 2, kAnyNumber, place_));
    for (Bound& bound : arguments) {
      RUNNEL_TRY_ASSIGN(bound, compiler_.cast(std::move(bound), varchar_type(), false, place_));
    }
    return made(node_of(name == "concat" ? concat : concat_separated, varchar_type()),
                std::move(arguments), place_);
  }
  if (name == "nullif") {
    RUNNEL_TRY(takes(name, count, 2, 2, place_));
    return null_if_of(shown, std::move(arguments));
  }
  RUNNEL_TRY(takes(name, count, 1, kAnyNumber, place_));
  RUNNEL_TRY_ASSIGN(const Type common, unify(compiler_, arguments, place_, shown));
  const bool compares = name != "coalesce";
  if (compares && common.kind == TypeKind::kJson) {
    return fail(error_at(place_, "JSON can't be compared; ->> gives a part of it as text"));
  }
  const Kernel kernel = !compares ? coalesce : name == "greatest" ? greatest : least;
  return made(node_of(kernel, common), std::move(arguments), place_);
}

/// The result is the first as it is; to be compared both become one type.
Result<Bound> Functions::null_if_of(std::string_view name, std::vector<Bound> arguments) {
  Bound first = std::move(arguments[0]);
  std::vector<Bound> both;
  if (is_constant(first)) {
    both.push_back(constant(first.node->constant, first.type()));
    both.back().untyped = first.untyped;
  } else {
    both.push_back({std::make_unique<Node>(node_of(read_operand, first.type())), false});
  }
  both.push_back(std::move(arguments[1]));
  RUNNEL_TRY_ASSIGN(const Type common, unify(compiler_, both, place_, name));
  if (first.untyped) {
    RUNNEL_TRY_ASSIGN(first, compiler_.implicit(std::move(first), common, place_, name));
  }
  const Type type = first.type();
  std::vector<Bound> all;
  all.push_back(std::move(first));
  all.push_back(std::move(both[1]));
  if (both[0].node->kernel != read_operand) all.push_back(std::move(both[0]));
  return made(node_of(null_if, type), std::move(all), place_);
}

/// ROUND and TRUNC take how many digits stay behind the point; it is part of the type, so it has to
/// be a literal.
Result<Bound> Functions::rounding(const sql::Call& call, Rounding kind,
                                  std::vector<Bound> arguments) {
  const bool has_digits = kind == Rounding::kRound || kind == Rounding::kTruncate;
  RUNNEL_TRY(takes(call.function, arguments.size(), 1, has_digits ? 2 : 1, place_));
  const std::string name = upper(call.function);
  Bound value = std::move(arguments[0]);
  if (!is_number(value.type())) {
    return fail(error_at(place_, name + " needs a number, and this is " + shown_type(value)));
  }
  std::int64_t digits = 0;
  if (arguments.size() == 2) {
    const bool literal =
        is_constant(arguments[1]) && arguments[1].node->constant.tag() == Tag::kBigint;
    if (literal) digits = arguments[1].node->constant.as_bigint();
    if (!literal || digits < 0 || digits > sql::kMaxDecimalDigits) {
      return fail(error_at(call.arguments[1]->place,
                           name + " takes 0 to 38 digits behind the point, as a number written "
                                  "out"));
    }
    if (value.type().kind == TypeKind::kDouble) {
      return fail(error_at(place_, name + " to digits needs DECIMAL: a DOUBLE has no decimal "
                                          "digits; CAST(... AS DECIMAL(18,2))"));
    }
  }
  Type type = value.type();
  if (type.kind == TypeKind::kDecimal) {
    const unsigned whole = static_cast<unsigned>(type.precision) - type.scale;
    unsigned scale = type.scale;
    if (kind != Rounding::kAbsolute) scale = std::min(scale, static_cast<unsigned>(digits));
    if (kind == Rounding::kSign) {
      type = decimal_type(1, 0);
    } else if (kind != Rounding::kAbsolute) {
      type = decimal_type(whole + scale + 1, scale);
    }
  }
  std::vector<Bound> operands;
  operands.push_back(std::move(value));
  return made(node_of(rounding_kernel(kind, type.kind), type), std::move(operands), place_);
}

Result<std::shared_ptr<const Zone>> Functions::zone_argument(const Bound& argument) {
  const bool literal = is_constant(argument) && argument.node->constant.tag() == Tag::kText;
  if (!literal) return fail(error_at(place_, "the time zone has to be a text written out"));
  auto zone = Zone::find(argument.node->constant.as_text());
  if (!zone) return fail(error_at(place_, zone.error().message()));
  return zone;
}

/// DATE_TRUNC('hour', ts [, 'Europe/Paris']), DATE_PART('hour', ts [, zone]).
Result<Bound> Functions::of_time(const sql::Call& call, std::vector<Bound> arguments) {
  const std::string name = upper(call.function);
  const bool truncates = call.function == "date_trunc";
  RUNNEL_TRY(takes(call.function, arguments.size(), 2, 3, place_));
  Node node = node_of(truncates ? date_trunc : extract_time, timestamp_type());
  const bool literal = is_constant(arguments[0]) && arguments[0].node->constant.tag() == Tag::kText;
  const bool known = literal && time_field_of(arguments[0].node->constant.as_text(), node.field) &&
                     (!truncates || node.field <= TimeField::kYear);
  if (!known) {
    return fail(error_at(call.arguments[0]->place,
                         name + " takes the name of a part first: 'year', 'quarter', 'month', "
                                "'week', 'day', 'hour', 'minute', 'second' or less"));
  }
  node.zone = compiler_.zone_;
  if (arguments.size() == 3) {
    RUNNEL_TRY_ASSIGN(node.zone, zone_argument(arguments[2]));
  }
  Bound time = std::move(arguments[1]);
  if (truncates || time.untyped || time.type().kind != TypeKind::kDate) {
    RUNNEL_TRY_ASSIGN(time, compiler_.implicit(std::move(time), timestamp_type(), place_, name));
  }
  if (!truncates) {
    constexpr unsigned kTimeDigits = 20;
    const std::uint8_t scale = extract_scale(node.field);
    node.type = scale == 0 ? bigint_type() : decimal_type(kTimeDigits, scale);
  }
  std::vector<Bound> operands;
  operands.push_back(std::move(time));
  return made(std::move(node), std::move(operands), place_);
}

}  // namespace runnel::storage::views
