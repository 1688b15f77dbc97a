// A node of a compiled expression: a function over its children, chosen for their types when it was
// compiled, so that nothing is looked up while it runs.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "storage/views/plan/program.h"
#include "storage/views/types/time_text.h"

namespace runnel::storage::views {

struct Node;

/// Steps that the searches in one expression (LIKE, STRPOS, REPLACE, TRIM and the like) may take
/// for one row: a second or so. Above it the expression fails, kTooLarge. A record of a megabyte is
/// far from it; texts that were made to be slow to search are not. Steps, not time: a replay has to
/// fail at the same rows.
inline constexpr std::uint64_t kMaxSearchSteps = 256u << 20;

struct Context {
  std::span<const Value> row;
  Arena& arena;
  std::uint64_t& steps;  ///< that searches may still take

  /// False: it would be more steps than there are left.
  [[nodiscard]] bool take(std::uint64_t count) noexcept {
    if (count > steps) return false;
    steps -= count;
    return true;
  }
};

using Kernel = RowError (*)(const Node& node, Context& context, Value& out);

struct Node {
  Kernel kernel = nullptr;
  std::vector<std::unique_ptr<const Node>> children;
  Type type;
  Slot slot = 0;           ///< of a column
  bool negated = false;    ///< NOT LIKE, NOT IN and the like
  bool any_case = false;   ///< ILIKE
  bool lenient = false;    ///< TRY_CAST
  std::uint8_t shift = 0;  ///< of a decimal division: powers of ten that the dividend takes
  TimeField field = TimeField::kDay;
  sql::Interval interval;
  int sign = 1;    ///< of `interval`
  Value constant;  ///< its text is in `text`
  std::string text;
  std::shared_ptr<const Zone> zone;

  [[nodiscard]] const Node& child(std::size_t i) const { return *children[i]; }
};

struct Compiled {
  std::unique_ptr<const Node> root;
  std::vector<Slot> slots;     ///< sorted, each once
  std::optional<Slot> column;  ///< the root is nothing else
};

/// The same functions of the same columns and constants.
[[nodiscard]] bool same_nodes(const Node& a, const Node& b);

[[nodiscard]] inline RowError run(const Node& node, Context& context, Value& out) {
  return node.kernel(node, context, out);
}

/// What a strict function is: NULL where an argument is NULL, and else this.
using Strict = RowError (*)(const Node& node, Context& context, const Value* arguments, Value& out);
inline constexpr std::size_t kMaxStrictArguments = 4;

template <Strict kFunction>
RowError strict(const Node& node, Context& context, Value& out) {
  Value arguments[kMaxStrictArguments];
  for (std::size_t i = 0; i < node.children.size(); ++i) {
    const RowError why = run(node.child(i), context, arguments[i]);
    if (why != RowError::kNone) return why;
    if (arguments[i].is_null()) {
      out = Value::null();
      return RowError::kNone;
    }
  }
  return kFunction(node, context, arguments, out);
}

/// `text` in the arena; kTooLarge.
[[nodiscard]] inline RowError keep(std::string_view text, Context& context, Value& out) {
  char* const at = context.arena.allocate(text.size());
  if (at == nullptr) return RowError::kTooLarge;
  if (!text.empty()) std::memcpy(at, text.data(), text.size());
  out = Value::text({at, text.size()});
  return RowError::kNone;
}

}  // namespace runnel::storage::views
