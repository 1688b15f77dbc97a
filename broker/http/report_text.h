// Reports for people: a view's rows as CSV for spreadsheets, as a workbook, as a page to print.
//
// Times are what the clocks of the view's zone show. A text never becomes a formula: in CSV a text
// that begins with one of = + - @ or a tab gets an apostrophe before it; workbooks keep texts and
// numbers apart by themselves.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "storage/views/query/answer.h"
#include "storage/views/types/zone.h"

namespace runnel::broker::http {

struct Report {
  std::string title;
  std::string period;  ///< "from 2026-03-01 to 2026-04-01"; may be empty
  std::string made;    ///< when
  std::shared_ptr<const storage::views::Zone> zone;
  storage::views::Answer answer;
};

/// What stands in the head of a column: its name, of times with the zone.
[[nodiscard]] std::string heading_of(const Report& report, std::size_t column);
/// A value as people read it: "2026-03-29 02:00:00", "12.30"; NULL: nothing.
[[nodiscard]] std::string shown_cell(const Report& report, const storage::views::Value& value);

// kRecordTooLarge: more than `most` bytes.
[[nodiscard]] Result<std::string> csv_of(const Report& report, std::size_t most);
/// A page of its own with its stylesheet, no scripts.
[[nodiscard]] Result<std::string> html_of(const Report& report, std::size_t most);
/// Office Open XML; report_xlsx.cc. Numbers up to 15 digits are numbers, exact as they are; longer
/// ones, which no spreadsheet can hold, are texts. Also kInvalidArgument: a text is too long for a
/// cell (32,767 characters); kIo: no room for temporary files.
[[nodiscard]] Result<std::string> xlsx_of(const Report& report, std::size_t most);

}  // namespace runnel::broker::http
