#include <cmath>

#include "storage/views/expr/kernels.h"

namespace runnel::storage::views {

RowError read_column(const Node& node, Context& context, Value& out) {
  RUNNEL_ASSERT(node.slot < context.row.size());
  out = context.row[node.slot];
  return RowError::kNone;
}

RowError read_constant(const Node& node, Context& /*context*/, Value& out) {
  out = node.constant;
  return RowError::kNone;
}

namespace {

/// AND is decided by FALSE, OR by TRUE.
template <bool kDecides>
RowError connective(const Node& node, Context& context, Value& out) {
  bool unknown = false;
  for (const auto& child : node.children) {
    Value value;
    if (const RowError why = run(*child, context, value); why != RowError::kNone) return why;
    if (value.is_null()) {
      unknown = true;
    } else if (value.as_boolean() == kDecides) {
      out = value;
      return RowError::kNone;
    }
  }
  out = unknown ? Value::null() : Value::boolean(!kDecides);
  return RowError::kNone;
}

RowError not_strict(const Node& /*node*/, Context& /*context*/, const Value* arguments,
                    Value& out) {
  out = Value::boolean(!arguments[0].as_boolean());
  return RowError::kNone;
}

template <Comparison kComparison, class T>
constexpr bool holds(const T& a, const T& b) {
  switch (kComparison) {
    case Comparison::kEqual:
      return a == b;
    case Comparison::kNotEqual:
      return a != b;
    case Comparison::kLess:
      return a < b;
    case Comparison::kLessEqual:
      return a <= b;
    case Comparison::kGreater:
      return a > b;
    case Comparison::kGreaterEqual:
      return a >= b;
  }
  return false;
}

template <Comparison kComparison>
RowError compare_any(const Node& /*node*/, Context& /*context*/, const Value* arguments,
                     Value& out) {
  out = Value::boolean(holds<kComparison>(compare(arguments[0], arguments[1]), 0));
  return RowError::kNone;
}

template <Comparison kComparison>
RowError compare_bigints(const Node& /*node*/, Context& /*context*/, const Value* arguments,
                         Value& out) {
  out = Value::boolean(holds<kComparison>(arguments[0].as_bigint(), arguments[1].as_bigint()));
  return RowError::kNone;
}

template <Comparison kComparison>
RowError compare_texts(const Node& /*node*/, Context& /*context*/, const Value* arguments,
                       Value& out) {
  out = Value::boolean(holds<kComparison>(arguments[0].as_text(), arguments[1].as_text()));
  return RowError::kNone;
}

template <Comparison kComparison>
Kernel kernel_of(TypeKind kind) {
  if (kind == TypeKind::kBigint) return strict<compare_bigints<kComparison>>;
  if (kind == TypeKind::kVarchar) return strict<compare_texts<kComparison>>;
  return strict<compare_any<kComparison>>;
}

/// The greatest (sign 1) or least (sign -1) of what is not NULL.
template <int kSign>
RowError extreme(const Node& node, Context& context, Value& out) {
  Value best;
  for (const auto& child : node.children) {
    Value value;
    if (const RowError why = run(*child, context, value); why != RowError::kNone) return why;
    if (value.is_null()) continue;
    if (best.is_null() || compare(value, best) * kSign > 0) best = value;
  }
  out = best;
  return RowError::kNone;
}

}  // namespace

RowError logical_and(const Node& node, Context& context, Value& out) {
  return connective<false>(node, context, out);
}

RowError logical_or(const Node& node, Context& context, Value& out) {
  return connective<true>(node, context, out);
}

RowError logical_not(const Node& node, Context& context, Value& out) {
  return strict<not_strict>(node, context, out);
}

Kernel comparison_kernel(Comparison comparison, TypeKind kind) {
  switch (comparison) {
    case Comparison::kEqual:
      return kernel_of<Comparison::kEqual>(kind);
    case Comparison::kNotEqual:
      return kernel_of<Comparison::kNotEqual>(kind);
    case Comparison::kLess:
      return kernel_of<Comparison::kLess>(kind);
    case Comparison::kLessEqual:
      return kernel_of<Comparison::kLessEqual>(kind);
    case Comparison::kGreater:
      return kernel_of<Comparison::kGreater>(kind);
    case Comparison::kGreaterEqual:
      return kernel_of<Comparison::kGreaterEqual>(kind);
  }
  return nullptr;
}

RowError is_null(const Node& node, Context& context, Value& out) {
  Value value;
  if (const RowError why = run(node.child(0), context, value); why != RowError::kNone) return why;
  out = Value::boolean(value.is_null() != node.negated);
  return RowError::kNone;
}

RowError is_distinct(const Node& node, Context& context, Value& out) {
  Value left;
  Value right;
  if (const RowError why = run(node.child(0), context, left); why != RowError::kNone) return why;
  if (const RowError why = run(node.child(1), context, right); why != RowError::kNone) return why;
  out = Value::boolean((left == right) == node.negated);
  return RowError::kNone;
}

RowError in_list(const Node& node, Context& context, Value& out) {
  Value operand;
  if (const RowError why = run(node.child(0), context, operand); why != RowError::kNone) {
    return why;
  }
  out = Value::null();
  if (operand.is_null()) return RowError::kNone;
  bool unknown = false;
  for (std::size_t i = 1; i < node.children.size(); ++i) {
    Value value;
    if (const RowError why = run(node.child(i), context, value); why != RowError::kNone) {
      return why;
    }
    if (value.is_null()) {
      unknown = true;
    } else if (value == operand) {
      out = Value::boolean(!node.negated);
      return RowError::kNone;
    }
  }
  if (!unknown) out = Value::boolean(node.negated);
  return RowError::kNone;
}

RowError is_between(const Node& node, Context& context, Value& out) {
  Value operand;
  if (const RowError why = run(node.child(0), context, operand); why != RowError::kNone) {
    return why;
  }
  out = Value::null();
  if (operand.is_null()) return RowError::kNone;
  bool unknown = false;
  for (const int outside : {-1, 1}) {
    Value bound;
    const RowError why = run(node.child(outside < 0 ? 1 : 2), context, bound);
    if (why != RowError::kNone) return why;
    if (bound.is_null()) {
      unknown = true;
    } else if (compare(operand, bound) * outside > 0) {
      out = Value::boolean(node.negated);
      return RowError::kNone;
    }
  }
  if (!unknown) out = Value::boolean(!node.negated);
  return RowError::kNone;
}

RowError case_equal(const Node& node, Context& context, Value& out) {
  Value subject;
  if (const RowError why = run(node.child(0), context, subject); why != RowError::kNone) {
    return why;
  }
  std::size_t i = 1;
  for (; i + 1 < node.children.size(); i += 2) {
    if (subject.is_null()) continue;
    Value value;
    if (const RowError why = run(node.child(i), context, value); why != RowError::kNone) {
      return why;
    }
    if (!value.is_null() && compare(subject, value) == 0)
      return run(node.child(i + 1), context, out);
  }
  return run(node.child(i), context, out);
}

RowError case_when(const Node& node, Context& context, Value& out) {
  std::size_t i = 0;
  for (; i + 1 < node.children.size(); i += 2) {
    Value condition;
    if (const RowError why = run(node.child(i), context, condition); why != RowError::kNone) {
      return why;
    }
    if (condition.is_true()) return run(node.child(i + 1), context, out);
  }
  return run(node.child(i), context, out);
}

RowError coalesce(const Node& node, Context& context, Value& out) {
  for (const auto& child : node.children) {
    if (const RowError why = run(*child, context, out); why != RowError::kNone) return why;
    if (!out.is_null()) return RowError::kNone;
  }
  return RowError::kNone;
}

RowError read_operand(const Node& /*node*/, Context& context, Value& out) {
  out = context.row.front();
  return RowError::kNone;
}

RowError null_if(const Node& node, Context& context, Value& out) {
  Value value;
  if (const RowError why = run(node.child(0), context, value); why != RowError::kNone) return why;
  Value compared = value;
  if (node.children.size() > 2) {
    Context inner{{&value, 1}, context.arena, context.steps};
    const RowError why = run(node.child(2), inner, compared);
    if (why != RowError::kNone) return why;
  }
  Value other;
  if (const RowError why = run(node.child(1), context, other); why != RowError::kNone) return why;
  const bool same = !compared.is_null() && !other.is_null() && compared == other;
  out = same ? Value::null() : value;
  return RowError::kNone;
}

RowError greatest(const Node& node, Context& context, Value& out) {
  return extreme<1>(node, context, out);
}

RowError least(const Node& node, Context& context, Value& out) {
  return extreme<-1>(node, context, out);
}

}  // namespace runnel::storage::views
