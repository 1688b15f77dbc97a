#include "broker/native/view_cells.h"

#include "storage/views/query/format.h"

namespace runnel::broker {

namespace native = protocol::native;
namespace views = storage::views;

void append_cells(std::span<const views::Value> row, std::string& out) {
  std::string text;
  for (const views::Value& value : row) {
    if (value.is_null()) {
      native::append_null_cell(out);
      continue;
    }
    if (value.tag() == views::Tag::kText) {
      native::append_cell(value.as_text(), out);
      continue;
    }
    text.clear();
    views::append_cell(value, text);
    native::append_cell(text, out);
  }
}

Result<views::Value> value_of_cell(const std::optional<std::string>& text, const views::Type& type,
                                   std::string_view column, views::Arena& arena) {
  views::Value value;
  if (!text || views::read_cell(*text, type, arena, value)) return value;
  return fail(ErrorCode::kInvalidArgument, "column '" + std::string(column) + "' is " +
                                               storage::sql::name_of(type) + ", and '" +
                                               text->substr(0, 100) + "' is none");
}

std::vector<native::AnswerColumn> columns_of(std::span<const views::AnswerColumn> columns) {
  std::vector<native::AnswerColumn> out;
  out.reserve(columns.size());
  for (const views::AnswerColumn& column : columns) {
    out.push_back({column.name, storage::sql::name_of(column.type),
                   static_cast<native::AnswerColumn::Role>(column.role)});
  }
  return out;
}
static_assert(static_cast<int>(views::ColumnRole::kMeasure) ==
              static_cast<int>(native::AnswerColumn::Role::kMeasure));
static_assert(static_cast<int>(views::ColumnRole::kDimension) ==
              static_cast<int>(native::AnswerColumn::Role::kDimension));

std::vector<native::ViewPosition> positions_of(std::span<const views::Position> positions) {
  std::vector<native::ViewPosition> out;
  out.reserve(positions.size());
  for (const views::Position& p : positions) out.push_back({p.topic, p.partition, p.next});
  return out;
}

std::vector<views::Position> positions_of(std::vector<native::ViewPosition> positions) {
  std::vector<views::Position> out;
  out.reserve(positions.size());
  for (native::ViewPosition& p : positions) {
    out.push_back({std::move(p.topic), p.partition, p.next});
  }
  return out;
}

native::SqlAnswer answer_of(views::Answer answer, std::string& cells) {
  native::SqlAnswer out;
  const std::size_t before = cells.size();
  for (std::size_t i = 0; i < answer.rows.size(); ++i) append_cells(answer.rows[i], cells);
  out.tag = std::move(answer.tag);
  out.columns = columns_of(answer.columns);
  out.rows = static_cast<std::uint32_t>(answer.rows.size());
  out.notices = std::move(answer.notices);
  out.positions = positions_of(answer.positions);
  out.generation = answer.generation;
  out.sequence = answer.sequence;
  out.bytes = static_cast<std::uint32_t>(cells.size() - before);
  return out;
}

}  // namespace runnel::broker
