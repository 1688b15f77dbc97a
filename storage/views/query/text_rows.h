// Answers that are texts: SHOW, DESCRIBE, EXPLAIN; private to query/*.cc.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/views/query/answer.h"
#include "storage/views/types/time_text.h"

namespace runnel::storage::views {

class TextRows {
 public:
  TextRows(std::string_view tag, std::initializer_list<std::string_view> columns) {
    answer_.tag = tag;
    for (const std::string_view name : columns) {
      answer_.columns.push_back({std::string(name), {TypeKind::kVarchar, 0, 0}, {}});
    }
    answer_.rows = AnswerRows(columns.size());
  }
  /// A cell that is empty is NULL.
  void add(std::initializer_list<std::string_view> cells) {
    std::vector<Value> row;
    for (const std::string_view cell : cells) {
      row.push_back(cell.empty() ? Value::null() : Value::text(cell));
    }
    answer_.rows.add(row);
  }
  [[nodiscard]] Answer take() { return std::move(answer_); }

 private:
  Answer answer_;
};

/// "90 days", "1 hour 30 minutes", as INTERVAL takes it.
[[nodiscard]] std::string span_text(const Interval& interval);
[[nodiscard]] std::string span_text(std::int64_t micros);
/// "TUMBLE(at, 1 hour)".
[[nodiscard]] std::string window_text(const WindowPlan& window, const SourcePlan& source);
/// The name of an input row's slot.
[[nodiscard]] std::string slot_name(const SourcePlan& source, Slot slot);
[[nodiscard]] std::string_view name_of(LatePolicy late) noexcept;
[[nodiscard]] std::string_view name_of(sql::OnError policy) noexcept;
/// "MATERIALIZED VIEW".
[[nodiscard]] std::string_view name_of(sql::ObjectKind kind) noexcept;
/// "exact", "approximate: ...".
[[nodiscard]] std::string exactness_of(const AggregatePlan& aggregate);

}  // namespace runnel::storage::views
