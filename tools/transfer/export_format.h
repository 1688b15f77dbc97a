// What an exported file holds: records of one partition in the order of their offsets, as CSV, JSON
// lines or Kafka's record batches. docs/formats/export.md is the page.
#pragma once

#include <cstdint>
#include <functional>
#include <istream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/base/error.h"
#include "tools/text/record.h"

namespace runnel::tools {

enum class ExportFormat { kCsv, kJsonLines, kBatch };
/// "csv", "jsonl", "batch": also how their files' names end.
[[nodiscard]] std::string_view name_of(ExportFormat format) noexcept;
[[nodiscard]] Result<ExportFormat> export_format_named(std::string_view name);

/// A column of a CSV file: one of kRecordColumns, or what stands at a JSON path of the value.
struct ExportColumn {
  std::string name;
  std::string path;  ///< empty: the column of the record called `name`
  friend bool operator==(const ExportColumn&, const ExportColumn&) = default;
};
inline constexpr std::string_view kRecordColumns[] = {"partition", "offset", "timestamp",
                                                      "key",       "value",  "headers"};
/// "offset,key,amount=.amount,.donor.name"; empty: all of kRecordColumns. kInvalidArgument.
[[nodiscard]] Result<std::vector<ExportColumn>> parse_columns(std::string_view text);
/// The opposite of parse_columns.
[[nodiscard]] std::string text_of(const std::vector<ExportColumn>& columns);

/// Turns records into a file's bytes. Not thread safe.
class RecordEncoder {
 public:
  virtual ~RecordEncoder() = default;
  /// What the file begins with.
  virtual void begin(std::string& out) = 0;
  /// Offsets rise. kInvalidArgument: the format cannot hold this record; nothing was added.
  [[nodiscard]] virtual Status add(const ShownRecord& record, std::string& out) = 0;
  /// What is held back until the file ends. kRecordTooLarge.
  [[nodiscard]] virtual Status end(std::string& out) = 0;
  /// What was taken earlier is lost: the file is not to be used.
  [[nodiscard]] virtual bool broken() const { return false; }
  /// Records whose value was no JSON though a column is a JSON path; their cells are empty.
  [[nodiscard]] virtual std::uint64_t unreadable() const { return 0; }
};
[[nodiscard]] std::unique_ptr<RecordEncoder> make_encoder(ExportFormat format,
                                                          const std::vector<ExportColumn>& columns);

/// A record that was read from a file.
struct StoredRecord {
  std::int64_t offset = 0;
  std::int64_t timestamp = 0;  ///< milliseconds since 1970
  std::optional<std::string> key;
  std::optional<std::string> value;
  std::vector<std::pair<std::string, std::optional<std::string>>> headers;
};

/// Calls `take` for each record of a file until it fails; that failure, or kMalformed with the line
/// or offset that is no record. `columns` as the file was written with; kInvalidArgument where they
/// leave out what a record needs.
[[nodiscard]] Status decode_records(std::istream& in, ExportFormat format,
                                    const std::vector<ExportColumn>& columns,
                                    const std::function<Status(StoredRecord)>& take);

}  // namespace runnel::tools
