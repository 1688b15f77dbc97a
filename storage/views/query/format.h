// Values and answers as text.
#pragma once

#include <span>
#include <string>

#include "storage/views/query/answer.h"
#include "storage/views/types/arena.h"

namespace runnel::storage::views {

/// Appends a value as JSON: null, true, numbers as they are (DECIMAL and BIGINT exactly, NaN and
/// infinities as strings), texts escaped, JSON as it was written but on one line, times as ISO 8601
/// strings.
void append_json(const Value& value, const Type& type, std::string& out);
/// {"campaign":"sea","total":12.30} on one line, without the line's end.
void append_json_row(std::span<const AnswerColumn> columns, std::span<const Value> row,
                     std::string& out);
/// RFC 4180: quoted where it has to be; NULL is nothing, an empty text is "".
void append_csv_cell(const Value& value, const Type& type, std::string& out);
/// A cell as text, as the native protocol carries it (docs/formats/native-protocol.md): what
/// read_cell() reads. Never called with NULL.
void append_cell(const Value& value, std::string& out);
/// The value that append_cell() wrote of that type; texts go to `arena`. False: not such a text.
[[nodiscard]] bool read_cell(std::string_view text, const Type& type, Arena& arena, Value& out);

}  // namespace runnel::storage::views
