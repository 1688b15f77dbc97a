// Answers of views and of SQL as JSON, NDJSON and CSV.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "broker/http/call.h"
#include "broker/http/router.h"
#include "storage/views/query/answer.h"

namespace runnel::broker::http {

enum class RowFormat : std::uint8_t { kJsonRows, kNdjsonRows, kCsvRows };

/// What the parameter `format` says, or else Accept.
[[nodiscard]] RowFormat format_of(const Call& call);
[[nodiscard]] std::string_view media_type_of(RowFormat format) noexcept;
/// The parameter itself.
[[nodiscard]] Param format_parameter();

/// Appends the rows: of JSON an array, of NDJSON and CSV lines, CSV's first one with the names.
/// kRecordTooLarge: more than `most` bytes.
[[nodiscard]] Status append_rows(const storage::views::Answer& answer, RowFormat format,
                                 std::size_t most, std::string& out);
/// [{"name":...,"type":...,"role":...}]
void append_columns(std::span<const storage::views::AnswerColumn> columns, std::string& out);
/// [{"topic":...,"partition":...,"offset":...}]
void append_positions(std::span<const storage::views::Position> positions, std::string& out);
/// ["...", ...]
void append_texts(std::span<const std::string> texts, std::string& out);
[[nodiscard]] std::string_view name_of(storage::views::ColumnRole role) noexcept;

/// The problem of an error that begins with "line 1, column 8: " has these numbers as members, too.
[[nodiscard]] Problem sql_problem(const Error& error);

}  // namespace runnel::broker::http
