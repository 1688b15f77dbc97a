#include "storage/views/types/row_error.h"

#include <array>

namespace runnel::storage::views {
namespace {

struct Row {
  RowError error;
  std::string_view name;
  std::string_view meaning;
};

constexpr std::array<Row, 20> kRows{{
    {RowError::kNone, "none", "nothing is wrong"},
    {RowError::kNotJson, "not_json", "the value is no JSON document"},
    {RowError::kNotUtf8, "not_utf8", "a text is no valid UTF-8"},
    {RowError::kTooDeep, "too_deep", "the JSON is nested too deeply"},
    {RowError::kTooLarge, "too_large", "a text would be too large"},
    {RowError::kDuplicateKey, "duplicate_key", "an object has this key twice"},
    {RowError::kWrongType, "wrong_type", "the JSON value is of another kind than the column"},
    {RowError::kMissing, "missing", "the column is NOT NULL, and the record has no value for it"},
    {RowError::kNotObject, "not_object", "the document is no JSON object"},
    {RowError::kNoValue, "no_value", "the record has no value"},
    {RowError::kNoMatch, "no_match", "no row of a joined table belongs to it"},
    {RowError::kOutOfRange, "out_of_range", "the number or time does not fit its type"},
    {RowError::kDivisionByZero, "division_by_zero", "division by zero"},
    {RowError::kInvalidText, "invalid_text", "the text can't be read as that type"},
    {RowError::kInvalidArgument, "invalid_argument", "the function does not take that value"},
    {RowError::kNullTime, "null_time", "the time column of the window is NULL"},
    {RowError::kTooManyGroups, "too_many_groups", "the view has max_groups groups already"},
    {RowError::kKeyTooLarge, "key_too_large", "a text is too large for a group's key"},
    {RowError::kLate, "late", "the record is behind the watermark"},
    {RowError::kTooFarAhead, "too_far_ahead",
     "the event's time is further ahead of the record's timestamp than max_ahead"},
}};

const Row& row_of(RowError error) noexcept {
  for (const Row& row : kRows) {
    if (row.error == error) return row;
  }
  static constexpr Row kUnknown{RowError::kNone, "unknown",
                                "an error that this version can't name"};
  return kUnknown;
}

}  // namespace

std::string_view name_of(RowError error) noexcept {
  return row_of(error).name;
}

std::string_view meaning_of(RowError error) noexcept {
  return row_of(error).meaning;
}

}  // namespace runnel::storage::views
