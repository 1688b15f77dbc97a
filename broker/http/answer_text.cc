#include "broker/http/answer_text.h"

#include <charconv>
#include <optional>

#include "protocol/filter/json_text.h"
#include "storage/views/query/format.h"

namespace runnel::broker::http {
namespace {

namespace views = storage::views;
using protocol::json_string;

/// The number behind `word` at the front of `text`, which is taken off.
std::optional<unsigned> take_number(std::string_view word, std::string_view& text) {
  if (!text.starts_with(word)) return std::nullopt;
  text.remove_prefix(word.size());
  unsigned number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return number;
}

void append_csv_row(std::span<const views::AnswerColumn> columns, std::span<const views::Value> row,
                    std::string& out) {
  for (std::size_t i = 0; i < row.size(); ++i) {
    if (i > 0) out += ',';
    views::append_csv_cell(row[i], columns[i].type, out);
  }
  out += "\r\n";
}

}  // namespace

RowFormat format_of(const Call& call) {
  if (const auto name = call.query("format")) {
    if (*name == "csv") return RowFormat::kCsvRows;
    return *name == "ndjson" ? RowFormat::kNdjsonRows : RowFormat::kJsonRows;
  }
  if (call.wants(kNdjson)) return RowFormat::kNdjsonRows;
  return call.wants(kCsv) ? RowFormat::kCsvRows : RowFormat::kJsonRows;
}

std::string_view media_type_of(RowFormat format) noexcept {
  switch (format) {
    case RowFormat::kJsonRows:
      return kJson;
    case RowFormat::kNdjsonRows:
      return kNdjson;
    case RowFormat::kCsvRows:
      break;
  }
  return "text/csv; charset=utf-8; header=present";
}

Param format_parameter() {
  return {.name = "format",
          .kind = Param::Kind::kChoice,
          .text = "The form of the answer, whatever Accept says.",
          .choices = "json|ndjson|csv"};
}

Status append_rows(const views::Answer& answer, RowFormat format, std::size_t most,
                   std::string& out) {
  const std::size_t limit = out.size() + most;
  if (format == RowFormat::kCsvRows && !answer.columns.empty()) {
    for (std::size_t i = 0; i < answer.columns.size(); ++i) {
      if (i > 0) out += ',';
      views::append_csv_cell(views::Value::text(answer.columns[i].name), answer.columns[i].type,
                             out);
    }
    out += "\r\n";
  }
  if (format == RowFormat::kJsonRows) out += '[';
  for (std::size_t i = 0; i < answer.rows.size(); ++i) {
    if (format == RowFormat::kCsvRows) {
      append_csv_row(answer.columns, answer.rows[i], out);
    } else {
      if (format == RowFormat::kJsonRows && i > 0) out += ',';
      views::append_json_row(answer.columns, answer.rows[i], out);
      if (format == RowFormat::kNdjsonRows) out += '\n';
    }
    if (out.size() <= limit) continue;
    return fail(ErrorCode::kRecordTooLarge,
                "the answer has more than " + std::to_string(most) +
                    " bytes as text; ask for fewer rows or columns, or page by page");
  }
  if (format == RowFormat::kJsonRows) out += ']';
  return {};
}

std::string_view name_of(views::ColumnRole role) noexcept {
  switch (role) {
    case views::ColumnRole::kDimension:
      return "dimension";
    case views::ColumnRole::kMeasure:
      return "measure";
    case views::ColumnRole::kPlain:
      break;
  }
  return "plain";
}

void append_columns(std::span<const views::AnswerColumn> columns, std::string& out) {
  out += '[';
  for (const views::AnswerColumn& column : columns) {
    if (out.back() != '[') out += ',';
    out += "{\"name\":" + json_string(column.name) +
           ",\"type\":" + json_string(storage::sql::name_of(column.type)) + ",\"role\":\"" +
           std::string(name_of(column.role)) + "\"}";
  }
  out += ']';
}

void append_positions(std::span<const views::Position> positions, std::string& out) {
  out += '[';
  for (const views::Position& position : positions) {
    if (out.back() != '[') out += ',';
    out += "{\"topic\":" + json_string(position.topic) +
           ",\"partition\":" + std::to_string(position.partition.value()) +
           ",\"offset\":" + std::to_string(position.next.value()) + "}";
  }
  out += ']';
}

void append_texts(std::span<const std::string> texts, std::string& out) {
  out += '[';
  for (const std::string& text : texts) {
    if (out.back() != '[') out += ',';
    out += json_string(text);
  }
  out += ']';
}

Problem sql_problem(const Error& error) {
  Problem out = problem(error);
  std::string_view text = error.message();
  const auto line = take_number("line ", text);
  const auto column = line ? take_number(", column ", text) : std::nullopt;
  if (!column || !text.starts_with(": ")) return out;
  out.more = ",\"line\":" + std::to_string(*line) + ",\"column\":" + std::to_string(*column);
  return out;
}

}  // namespace runnel::broker::http
