// Input of `runnel produce`: text lines, JSON lines or CSV, one record a row.
#pragma once

#include <istream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "protocol/base/error.h"
#include "tools/text/record.h"

namespace runnel::tools {

enum class InputKind { kLines, kJsonLines, kCsv };

struct RowOptions {
  InputKind kind = InputKind::kLines;
  /// kLines: what separates the key from the value; empty: no keys.
  std::string key_delimiter;
  /// kJsonLines: paths (".id"); kCsv: names of columns, a leading '.' allowed. Empty: none.
  std::string key;
  std::string timestamp;  ///< milliseconds since 1970 or an ISO time
  std::string value;      ///< empty: the whole row (CSV: as a JSON object of its columns)
};

/// A row of input: a record, or why it is none.
struct InputRow {
  std::uint64_t line = 0;  ///< from 1
  std::string raw;
  InputRecord record;
  std::string rejected;  ///< not empty: the reason; `record` is not to be used
};

/// Reads rows; not thread safe.
class RowReader {
 public:
  virtual ~RowReader() = default;
  /// nullopt at the end. A row that is no record is no error; it says so itself.
  [[nodiscard]] virtual std::optional<InputRow> next() = 0;
};

/// `in` must outlive the reader. Errors: kInvalidArgument for options that do not fit the kind or
/// a CSV header that lacks a column (with the nearest name).
[[nodiscard]] Result<std::unique_ptr<RowReader>> open_rows(std::istream& in, RowOptions options);

/// One line of a rejects file: {"line": 3, "error": "...", "row": "..."}; a row that is no UTF-8
/// is {"base64": "..."}, so that none of its bytes is lost.
[[nodiscard]] std::string reject_line(const InputRow& row);

}  // namespace runnel::tools
