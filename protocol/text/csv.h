// CSV as RFC 4180 has it: quoted fields, doubled quotes, line breaks within quotes.
#pragma once

#include <cstdint>
#include <istream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace runnel::protocol {

/// Longest row that is read, so that a missing quote does not swallow a file into memory.
inline constexpr std::size_t kMaxCsvRowBytes = 16u << 20;

/// What some programs write before UTF-8 text; no part of the text.
inline constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

struct CsvRow {
  std::uint64_t line = 0;  ///< of its first character, from 1
  std::string raw;         ///< as it stood in the file, without the line break
  std::vector<std::string> fields;
  std::vector<bool> quoted;  ///< one a field: an empty one in quotes is a text, without it nothing
  std::string error;  ///< not empty: what is wrong with this row; `fields` are not to be used
};

/// Reads rows from a stream that must outlive the reader. Empty lines are skipped, and a byte order
/// mark before the first one. After a broken row reading goes on at the next line. Not thread safe.
class CsvReader {
 public:
  explicit CsvReader(std::istream& in) : in_(in) {}
  /// nullopt at the end of the input.
  [[nodiscard]] std::optional<CsvRow> next();

 private:
  bool read_line(std::string& line);
  std::istream& in_;
  std::uint64_t line_ = 0;
};

}  // namespace runnel::protocol
