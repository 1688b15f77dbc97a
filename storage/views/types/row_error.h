// Why one record could not be decoded, or one expression not be computed. No text is built here:
// a view meets millions of bad records as calmly as good ones.
#pragma once

#include <cstdint>
#include <string_view>

namespace runnel::storage::views {

/// Written to dead-letter records by its name: names are never changed or reused.
enum class RowError : std::uint8_t {
  kNone = 0,
  // Of decoding a record.
  kNotJson = 1,       ///< the value is no JSON document
  kNotUtf8 = 2,       ///< the value is no valid UTF-8
  kTooDeep = 3,       ///< more nested than kMaxJsonDepth
  kTooLarge = 4,      ///< a record, or the text that an expression made
  kDuplicateKey = 5,  ///< an object has the key of a column's path twice
  kWrongType = 6,     ///< the path leads to another kind of JSON value than the column's type
  kMissing = 7,       ///< a NOT NULL column is null or absent
  kNotObject = 8,     ///< the document is no JSON object
  kNoValue = 9,       ///< the record has no value (a tombstone)
  // Of computing.
  kOutOfRange = 20,  ///< a result does not fit BIGINT, DECIMAL(p,s), DOUBLE or TIMESTAMPTZ
  kDivisionByZero = 21,
  kInvalidText = 22,      ///< a CAST of text that is no number, time, boolean or JSON
  kInvalidArgument = 23,  ///< of a function, such as a negative length
  // Of the engine.
  kNullTime = 40,       ///< the time column of a window is NULL
  kTooManyGroups = 41,  ///< above the view's max_groups
  kKeyTooLarge = 42,    ///< a text of a group's key
  kLate = 43,           ///< behind the watermark, and late='dead-letter'
  kNoMatch = 44,        ///< a JOIN found no row in its table
  kTooFarAhead = 45,    ///< the event's time is above the record's timestamp by max_ahead and more
};

/// Stable lower_snake name, e.g. "duplicate_key".
[[nodiscard]] std::string_view name_of(RowError error) noexcept;
/// What it means, for people: "the value is no JSON document".
[[nodiscard]] std::string_view meaning_of(RowError error) noexcept;

}  // namespace runnel::storage::views
