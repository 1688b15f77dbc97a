// The rows of an answer: each once where DISTINCT says so, in order, the part that LIMIT leaves.
#pragma once

#include <span>
#include <string>
#include <unordered_set>
#include <vector>

#include "storage/views/query/reading.h"

namespace runnel::storage::views {

/// Not thread safe. `plan` and `reading` outlive it.
class Collector {
 public:
  Collector(const QueryPlan& plan, const Reading& reading);

  /// Takes a row: the outputs, then what it is ordered by. False: what comes is not needed.
  [[nodiscard]] Result<bool> add(std::span<const Value> row);
  [[nodiscard]] Result<AnswerRows> take();

 private:
  [[nodiscard]] bool is_new(std::span<const Value> row);
  [[nodiscard]] int order_of(std::span<const Value> a, std::span<const Value> b) const;
  /// In order, at most `most` of them.
  void sort(std::size_t most);
  [[nodiscard]] Status check() const;

  const QueryPlan& plan_;
  const Reading& reading_;
  const std::size_t outputs_;
  std::uint64_t most_;  ///< rows that LIMIT and OFFSET need
  std::uint64_t skip_;  ///< rows to leave out before the first, where there is no order
  AnswerRows rows_;
  std::unordered_set<std::string> seen_;
  std::size_t seen_bytes_ = 0;
  std::string key_;
};

}  // namespace runnel::storage::views
