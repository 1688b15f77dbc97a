#include "broker/native/view_cells.h"

#include "storage/views/query/format.h"
#include "storage/views/types/decimal.h"
#include "storage/views/types/time_text.h"

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
                                   std::string_view column) {
  using storage::sql::TypeKind;
  if (!text) return views::Value::null();
  views::RowError error = views::RowError::kNone;
  views::Value value;
  switch (type.kind) {
    case TypeKind::kBoolean:
      if (*text != "true" && *text != "false") error = views::RowError::kInvalidText;
      value = views::Value::boolean(*text == "true");
      break;
    case TypeKind::kBigint: {
      std::int64_t number = 0;
      error = views::bigint_from_text(*text, number);
      value = views::Value::bigint(number);
      break;
    }
    case TypeKind::kDouble: {
      double number = 0;
      error = views::double_from_text(*text, number);
      value = views::Value::number(number);
      break;
    }
    case TypeKind::kDecimal: {
      views::Int128 number = 0;
      error = views::decimal_from_text(*text, type.precision, type.scale, views::Inexact::kRefuse,
                                       number);
      value = views::Value::decimal(number, type.scale);
      break;
    }
    case TypeKind::kTimestamp: {
      std::int64_t micros = 0;
      error = views::timestamp_from_text(*text, &views::Zone::utc(), micros);
      value = views::Value::timestamp(micros);
      break;
    }
    case TypeKind::kDate: {
      std::int32_t days = 0;
      error = views::date_from_text(*text, days);
      value = views::Value::date(days);
      break;
    }
    case TypeKind::kVarchar:
    case TypeKind::kJson:
      value = views::Value::text(*text);
      break;
  }
  if (error == views::RowError::kNone) return value;
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
