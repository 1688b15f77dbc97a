// What a statement answers: columns, rows of values that own their texts, and how far it saw.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "protocol/base/strong.h"
#include "storage/views/plan/plan.h"
#include "storage/views/types/value.h"

namespace runnel::storage::views {

enum class ColumnRole : std::uint8_t {
  kPlain,
  kDimension,  ///< a group column of the view that is read
  kMeasure,    ///< an aggregate of it
};
struct AnswerColumn {
  std::string name;
  Type type;
  ColumnRole role = ColumnRole::kPlain;
};

/// Rows of one width. Texts are copied in and live as long as the rows. Not thread safe.
class AnswerRows {
 public:
  explicit AnswerRows(std::size_t width = 0) : width_(width) {}
  AnswerRows(AnswerRows&&) noexcept = default;
  AnswerRows& operator=(AnswerRows&&) noexcept = default;

  /// `row` has as many values as the rows are wide.
  void add(std::span<const Value> row);
  [[nodiscard]] std::size_t size() const noexcept {
    return width_ == 0 ? 0 : values_.size() / width_;
  }
  [[nodiscard]] std::size_t width() const noexcept { return width_; }
  [[nodiscard]] std::span<const Value> operator[](std::size_t row) const noexcept {
    return std::span(values_).subspan(row * width_, width_);
  }
  /// Roughly what they hold in memory.
  [[nodiscard]] std::size_t bytes() const noexcept {
    return values_.capacity() * sizeof(Value) + text_bytes_;
  }
  /// Their order becomes `places`, of which each is a row; rows may be left out.
  void reorder(std::span<const std::size_t> places);

 private:
  std::size_t width_ = 0;
  std::vector<Value> values_;
  std::vector<std::unique_ptr<char[]>> blocks_;  ///< texts
  char* next_ = nullptr;
  std::size_t left_ = 0;
  std::size_t text_bytes_ = 0;
};

/// Every record of the partition before `next` is in the answer.
struct Position {
  std::string topic;
  PartitionIndex partition;
  Offset next;
  friend auto operator<=>(const Position&, const Position&) = default;
};

struct Answer {
  std::string tag;  ///< what was done: "SELECT", "CREATE MATERIALIZED VIEW", as psql shows it
  std::vector<AnswerColumn> columns;  ///< none: the statement has no rows
  AnswerRows rows;
  std::vector<Position> positions;  ///< of what was read, by topic and partition
  std::uint16_t generation = 0;     ///< of the view that was read, where it is one
  /// Its change sequence: as long as it stays no row has changed, come or gone. `_final` changes
  /// with every record, applied or not.
  std::uint64_t sequence = 0;
  std::vector<std::string> notices;  ///< what a person should know; one line each
};

}  // namespace runnel::storage::views
