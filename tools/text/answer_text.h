// Rows of an answer as text: a table for people, JSON and CSV for programs.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/base/error.h"

namespace runnel::tools {

enum class AnswerFormat { kTable, kJson, kJsonLines, kCsv };
/// "table", "json", "ndjson" (or "jsonl"), "csv".
[[nodiscard]] std::optional<AnswerFormat> answer_format_named(std::string_view name) noexcept;

struct TextColumn {
  std::string name;
  std::string type;  ///< as SQL writes it: decides what is a number in JSON and stands on the right
};
/// nullopt: NULL. Views of what somebody else holds.
using TextRow = std::vector<std::optional<std::string_view>>;
struct TextAnswer {
  std::vector<TextColumn> columns;
  std::vector<TextRow> rows;  ///< each as wide as there are columns
};

/// The rows as a table with their count. `width`: of the terminal; columns of text are cut to fit
/// it, and where that is not enough each row is shown as lines of its own. 0: whatever it takes.
[[nodiscard]] std::string table_of(const TextAnswer& answer, std::size_t width);
/// A JSON array of objects; with kJsonLines a line each. Numbers stay exactly as they are.
[[nodiscard]] std::string json_of(const TextAnswer& answer, AnswerFormat format);
/// With a line of names. NULL is nothing, an empty text "".
[[nodiscard]] std::string csv_of(const TextAnswer& answer);
[[nodiscard]] std::string text_of(const TextAnswer& answer, AnswerFormat format, std::size_t width);

/// {"name":value,...}
[[nodiscard]] std::string json_object_of(const std::vector<TextColumn>& columns,
                                         const TextRow& row);
/// For a terminal: control characters are shown as \n, \t or \xNN.
[[nodiscard]] std::string printable(std::string_view text);
/// Columns of a terminal that UTF-8 text takes.
[[nodiscard]] std::size_t display_width(std::string_view text) noexcept;

}  // namespace runnel::tools
