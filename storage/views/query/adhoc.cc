#include "storage/views/query/adhoc.h"

#include <algorithm>

#include "storage/views/adhoc/sqlite_query.h"
#include "storage/views/query/reading.h"

namespace runnel::storage::views {
namespace {

class Relations final : public AdhocRelations {
 public:
  explicit Relations(Reading& reading) : reading_(reading) {}

  [[nodiscard]] std::vector<std::string> names() const override {
    std::vector<std::string> names;
    for (const auto& [name, definition] : reading_.snapshot.definitions->all()) {
      if (definition->source) names.push_back(name);
    }
    return names;
  }
  [[nodiscard]] std::vector<AdhocColumn> columns(const std::string& name) const override {
    std::vector<AdhocColumn> columns;
    for (const ColumnPlan& column : source_of(name).columns) {
      columns.push_back({column.name, column.type});
    }
    return columns;
  }
  [[nodiscard]] Status read(const std::string& name, std::span<const std::size_t> wanted,
                            const Visit& visit) override {
    const SourcePlan& source = source_of(name);
    std::vector<Slot> slots;
    for (const std::size_t column : wanted) slots.push_back(static_cast<Slot>(column));
    return read_rows(source, {slots, {}}, reading_,
                     [&](std::span<Value> row, const RecordPlace&) -> Result<bool> {
                       if (reading_.unsound) return fail(reading_.unsound->error);
                       return visit(row.first(source.columns.size()));
                     });
  }

 private:
  [[nodiscard]] const SourcePlan& source_of(const std::string& name) const {
    return *reading_.snapshot.definitions->find(name)->source;
  }

  Reading& reading_;
};

/// Expressions have no type until all their values are known: then they all are of it.
AnswerRows as_typed(const AnswerRows& rows, const std::vector<AnswerColumn>& columns) {
  AnswerRows typed(columns.size());
  std::vector<Value> row(columns.size());
  std::vector<std::string> texts(columns.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    std::copy(rows[i].begin(), rows[i].end(), row.begin());
    for (std::size_t c = 0; c < row.size(); ++c) {
      const TypeKind kind = columns[c].type.kind;
      if (kind == TypeKind::kDouble && row[c].tag() == Tag::kBigint) {
        row[c] = Value::number(static_cast<double>(row[c].as_bigint()));
      } else if (kind == TypeKind::kVarchar && !row[c].is_null() && row[c].tag() != Tag::kText) {
        texts[c] = to_string(row[c]);
        row[c] = Value::text(texts[c]);
      }
    }
    typed.add(row);
  }
  return typed;
}

}  // namespace

Result<Answer> run_beyond(std::string_view sql, const ReadSnapshot& snapshot,
                          const QueryLimits& limits) {
  Reading reading(snapshot, limits);
  Relations relations(reading);
  AnswerRows rows;
  const auto take = [&](std::span<const Value> row) -> Result<bool> {
    if (rows.width() == 0) rows = AnswerRows(row.size());
    if (rows.size() == limits.max_rows) {
      return fail(ErrorCode::kInvalidArgument, "the answer has more than " +
                                                   std::to_string(limits.max_rows) +
                                                   " rows; LIMIT, WHERE or GROUP BY ask for fewer");
    }
    rows.add(row);
    RUNNEL_TRY(reading.check_memory(rows.bytes()));
    return true;
  };
  const AdhocLimits within{limits.deadline, limits.max_bytes, limits.cancelled.get()};
  RUNNEL_TRY_ASSIGN(AdhocAnswer found, run_sqlite(sql, relations, within, take));
  Answer answer;
  answer.tag = "SELECT";
  for (AdhocColumn& column : found.columns) {
    answer.columns.push_back({std::move(column.name), column.type, ColumnRole::kPlain});
  }
  answer.rows = as_typed(rows, answer.columns);
  answer.positions = reading.take_positions();
  answer.notices = std::move(reading.notices);
  answer.notices.insert(answer.notices.end(), found.notices.begin(), found.notices.end());
  return answer;
}

}  // namespace runnel::storage::views
