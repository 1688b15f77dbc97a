#include <cmath>

#include "storage/views/expr/kernels.h"
#include "storage/views/types/decimal.h"

namespace runnel::storage::views {
namespace {

RowError add_bigints(std::int64_t a, std::int64_t b, std::int64_t& out) {
  return __builtin_add_overflow(a, b, &out) ? RowError::kOutOfRange : RowError::kNone;
}
RowError subtract_bigints(std::int64_t a, std::int64_t b, std::int64_t& out) {
  return __builtin_sub_overflow(a, b, &out) ? RowError::kOutOfRange : RowError::kNone;
}
RowError multiply_bigints(std::int64_t a, std::int64_t b, std::int64_t& out) {
  return __builtin_mul_overflow(a, b, &out) ? RowError::kOutOfRange : RowError::kNone;
}
RowError divide_bigints(std::int64_t a, std::int64_t b, std::int64_t& out) {
  if (b == 0) return RowError::kDivisionByZero;
  if (b == -1) return subtract_bigints(0, a, out);
  out = a / b;
  return RowError::kNone;
}
RowError modulo_bigints(std::int64_t a, std::int64_t b, std::int64_t& out) {
  if (b == 0) return RowError::kDivisionByZero;
  out = b == -1 ? 0 : a % b;
  return RowError::kNone;
}

template <RowError (*kFunction)(std::int64_t, std::int64_t, std::int64_t&)>
RowError of_bigints(const Node& /*node*/, Context& /*context*/, const Value* arguments,
                    Value& out) {
  std::int64_t result = 0;
  const RowError why = kFunction(arguments[0].as_bigint(), arguments[1].as_bigint(), result);
  if (why == RowError::kNone) out = Value::bigint(result);
  return why;
}

/// A DOUBLE that was finite stays so, or it is an error: infinities would spoil every sum.
RowError finite(double result, bool were_finite, Value& out) {
  if (were_finite && !std::isfinite(result)) return RowError::kOutOfRange;
  out = Value::number(result);
  return RowError::kNone;
}

template <Arithmetic kArithmetic>
RowError of_doubles(const Node& /*node*/, Context& /*context*/, const Value* arguments,
                    Value& out) {
  const double a = arguments[0].as_double();
  const double b = arguments[1].as_double();
  const bool were_finite = std::isfinite(a) && std::isfinite(b);
  switch (kArithmetic) {
    case Arithmetic::kAdd:
      return finite(a + b, were_finite, out);
    case Arithmetic::kSubtract:
      return finite(a - b, were_finite, out);
    case Arithmetic::kMultiply:
      return finite(a * b, were_finite, out);
    case Arithmetic::kDivide:
      return b == 0 ? RowError::kDivisionByZero : finite(a / b, were_finite, out);
    case Arithmetic::kModulo:
      return b == 0 ? RowError::kDivisionByZero : finite(std::fmod(a, b), were_finite, out);
  }
  return RowError::kInvalidArgument;
}

RowError decimal_result(RowError why, const Int128& result, const Node& node, Value& out) {
  if (why == RowError::kNone) out = Value::decimal(result, node.type.scale);
  return why;
}

template <Arithmetic kArithmetic>
RowError of_decimals(const Node& node, Context& /*context*/, const Value* arguments, Value& out) {
  const Int128 a = arguments[0].as_decimal();
  const Int128 b = arguments[1].as_decimal();
  Int128 result = 0;
  switch (kArithmetic) {
    case Arithmetic::kAdd:
      return decimal_result(add_decimal(a, b, result), result, node, out);
    case Arithmetic::kSubtract:
      return decimal_result(subtract_decimal(a, b, result), result, node, out);
    case Arithmetic::kMultiply:
      return decimal_result(multiply_decimal(a, b, result), result, node, out);
    case Arithmetic::kDivide:
      return decimal_result(divide_decimal(a, b, node.shift, result), result, node, out);
    case Arithmetic::kModulo:
      if (b == 0) return RowError::kDivisionByZero;
      return decimal_result(RowError::kNone, a % b, node, out);
  }
  return RowError::kInvalidArgument;
}

RowError negate_bigint(const Node& /*node*/, Context& /*context*/, const Value* arguments,
                       Value& out) {
  std::int64_t result = 0;
  const RowError why = subtract_bigints(0, arguments[0].as_bigint(), result);
  if (why == RowError::kNone) out = Value::bigint(result);
  return why;
}
RowError negate_double(const Node& /*node*/, Context& /*context*/, const Value* arguments,
                       Value& out) {
  out = Value::number(-arguments[0].as_double());
  return RowError::kNone;
}
RowError negate_decimal(const Node& node, Context& /*context*/, const Value* arguments,
                        Value& out) {
  out = Value::decimal(-arguments[0].as_decimal(), node.type.scale);
  return RowError::kNone;
}

template <Rounding kRounding>
RowError round_bigint(const Node& /*node*/, Context& /*context*/, const Value* arguments,
                      Value& out) {
  const std::int64_t value = arguments[0].as_bigint();
  std::int64_t result = value;
  if (kRounding == Rounding::kSign) result = (value > 0) - (value < 0);
  if (kRounding == Rounding::kAbsolute && value < 0) {
    if (const RowError why = subtract_bigints(0, value, result); why != RowError::kNone) return why;
  }
  out = Value::bigint(result);
  return RowError::kNone;
}

template <Rounding kRounding>
RowError round_double(const Node& /*node*/, Context& /*context*/, const Value* arguments,
                      Value& out) {
  const double value = arguments[0].as_double();
  double result = 0;
  switch (kRounding) {
    case Rounding::kRound:
      result = std::nearbyint(value);  // halves to even, as PostgreSQL rounds DOUBLE
      break;
    case Rounding::kTruncate:
      result = std::trunc(value);
      break;
    case Rounding::kFloor:
      result = std::floor(value);
      break;
    case Rounding::kCeiling:
      result = std::ceil(value);
      break;
    case Rounding::kAbsolute:
      result = std::fabs(value);
      break;
    case Rounding::kSign:
      result = value > 0 ? 1 : value < 0 ? -1 : value;
      break;
  }
  out = Value::number(result);
  return RowError::kNone;
}

/// Cuts off what is behind the scale of the node's type, then adds one where `up` says so.
template <class Up>
RowError cut_decimal(const Node& node, const Value& value, const Up& up, Value& out) {
  const unsigned from = value.scale();
  const unsigned to = node.type.scale;
  Int128 result = 0;
  if (to >= from) {
    return decimal_result(rescale(value.as_decimal(), from, to, result), result, node, out);
  }
  const Int128 unit = power_of_ten(from - to);
  result = value.as_decimal() / unit;
  return decimal_result(RowError::kNone, result + up(value.as_decimal() % unit), node, out);
}

template <Rounding kRounding>
RowError round_decimal(const Node& node, Context& /*context*/, const Value* arguments, Value& out) {
  const Value& value = arguments[0];
  Int128 result = 0;
  switch (kRounding) {
    case Rounding::kRound:
      return decimal_result(rescale(value.as_decimal(), value.scale(), node.type.scale, result),
                            result, node, out);
    case Rounding::kTruncate:
      return cut_decimal(
          node, value, [](Int128) { return 0; }, out);
    case Rounding::kFloor:
      return cut_decimal(
          node, value, [](Int128 rest) { return rest < 0 ? -1 : 0; }, out);
    case Rounding::kCeiling:
      return cut_decimal(
          node, value, [](Int128 rest) { return rest > 0 ? 1 : 0; }, out);
    case Rounding::kAbsolute:
      result = value.as_decimal() < 0 ? -value.as_decimal() : value.as_decimal();
      return decimal_result(RowError::kNone, result, node, out);
    case Rounding::kSign:
      result = (value.as_decimal() > 0) - (value.as_decimal() < 0);
      return decimal_result(RowError::kNone, result, node, out);
  }
  return RowError::kInvalidArgument;
}

template <Rounding kRounding>
Kernel rounding_of(TypeKind kind) {
  if (kind == TypeKind::kBigint) return strict<round_bigint<kRounding>>;
  if (kind == TypeKind::kDouble) return strict<round_double<kRounding>>;
  return strict<round_decimal<kRounding>>;
}

template <Arithmetic kArithmetic>
Kernel inexact_or_decimal(TypeKind kind) {
  return kind == TypeKind::kDouble ? Kernel(strict<of_doubles<kArithmetic>>)
                                   : Kernel(strict<of_decimals<kArithmetic>>);
}

RowError root(const Node& /*node*/, Context& /*context*/, const Value* arguments, Value& out) {
  const double value = arguments[0].as_double();
  if (value < 0) return RowError::kInvalidArgument;
  out = Value::number(std::sqrt(value));
  return RowError::kNone;
}

}  // namespace

Kernel arithmetic_kernel(Arithmetic arithmetic, TypeKind kind) {
  const bool bigint = kind == TypeKind::kBigint;
  switch (arithmetic) {
    case Arithmetic::kAdd:
      return bigint ? strict<of_bigints<add_bigints>> : inexact_or_decimal<Arithmetic::kAdd>(kind);
    case Arithmetic::kSubtract:
      return bigint ? strict<of_bigints<subtract_bigints>>
                    : inexact_or_decimal<Arithmetic::kSubtract>(kind);
    case Arithmetic::kMultiply:
      return bigint ? strict<of_bigints<multiply_bigints>>
                    : inexact_or_decimal<Arithmetic::kMultiply>(kind);
    case Arithmetic::kDivide:
      return bigint ? strict<of_bigints<divide_bigints>>
                    : inexact_or_decimal<Arithmetic::kDivide>(kind);
    case Arithmetic::kModulo:
      return bigint ? strict<of_bigints<modulo_bigints>>
                    : inexact_or_decimal<Arithmetic::kModulo>(kind);
  }
  return nullptr;
}

Kernel negate_kernel(TypeKind kind) {
  if (kind == TypeKind::kBigint) return strict<negate_bigint>;
  return kind == TypeKind::kDouble ? strict<negate_double> : strict<negate_decimal>;
}

Kernel rounding_kernel(Rounding rounding, TypeKind kind) {
  switch (rounding) {
    case Rounding::kRound:
      return rounding_of<Rounding::kRound>(kind);
    case Rounding::kTruncate:
      return rounding_of<Rounding::kTruncate>(kind);
    case Rounding::kFloor:
      return rounding_of<Rounding::kFloor>(kind);
    case Rounding::kCeiling:
      return rounding_of<Rounding::kCeiling>(kind);
    case Rounding::kAbsolute:
      return rounding_of<Rounding::kAbsolute>(kind);
    case Rounding::kSign:
      return rounding_of<Rounding::kSign>(kind);
  }
  return nullptr;
}

RowError square_root(const Node& node, Context& context, Value& out) {
  return strict<root>(node, context, out);
}

}  // namespace runnel::storage::views
