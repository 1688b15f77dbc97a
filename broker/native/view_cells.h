// Values of views as cells of the native protocol, and back.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/native/messages.h"
#include "storage/views/query/answer.h"
#include "storage/views/query/definitions.h"

namespace runnel::broker {

/// Appends a row's cells.
void append_cells(std::span<const storage::views::Value> row, std::string& out);
/// `text` as a value of the type, of which texts go to `arena`. kInvalidArgument names `column`.
[[nodiscard]] Result<storage::views::Value> value_of_cell(const std::optional<std::string>& text,
                                                          const storage::views::Type& type,
                                                          std::string_view column,
                                                          storage::views::Arena& arena);
[[nodiscard]] std::vector<protocol::native::AnswerColumn> columns_of(
    std::span<const storage::views::AnswerColumn> columns);
[[nodiscard]] std::vector<protocol::native::ViewPosition> positions_of(
    std::span<const storage::views::Position> positions);
[[nodiscard]] std::vector<storage::views::Position> positions_of(
    std::vector<protocol::native::ViewPosition> positions);
/// The answer without its rows, whose cells are appended to `cells`.
[[nodiscard]] protocol::native::SqlAnswer answer_of(storage::views::Answer answer,
                                                    std::string& cells);

}  // namespace runnel::broker
