// A compiled expression: what the binder makes of SQL and the engine runs for every record.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "storage/views/sql/ast.h"
#include "storage/views/types/arena.h"
#include "storage/views/types/row_error.h"
#include "storage/views/types/value.h"

namespace runnel::storage::views {

using sql::Interval;
using sql::Type;
using sql::TypeKind;

/// Where a value stands in a row.
using Slot = std::uint16_t;

struct Compiled;

/// Pure and deterministic: the same row gives the same value on every machine, on every replay;
/// there is no now() and no random(). Cheap to copy. Thread safety: immutable.
class Program {
 public:
  Program() = default;  ///< empty; never evaluated
  explicit Program(std::shared_ptr<const Compiled> compiled);

  /// The value over `row`, of which slots() are read. Texts in `out` live as long as the
  /// row's own, the arena's until its clear(), or this program. After an error `out` is NULL.
  [[nodiscard]] RowError evaluate(std::span<const Value> row, Arena& arena, Value& out) const;
  /// Of a condition: true only where it is TRUE, neither FALSE nor NULL.
  [[nodiscard]] RowError passes(std::span<const Value> row, Arena& arena, bool& out) const {
    Value value;
    const RowError error = evaluate(row, arena, value);
    out = value.is_true();
    return error;
  }

  [[nodiscard]] const Type& type() const noexcept { return type_; }
  /// The slot, if the expression is nothing but a column: the caller can read the row itself.
  [[nodiscard]] std::optional<Slot> column() const noexcept { return column_; }
  /// The columns that may be read, sorted, each once. Empty of an empty program.
  [[nodiscard]] std::span<const Slot> slots() const noexcept;
  [[nodiscard]] explicit operator bool() const noexcept { return compiled_ != nullptr; }
  /// They compute the same thing in the same way; both may be empty.
  [[nodiscard]] bool same_as(const Program& other) const;

 private:
  std::shared_ptr<const Compiled> compiled_;
  Type type_;
  std::optional<Slot> column_;
};

}  // namespace runnel::storage::views
