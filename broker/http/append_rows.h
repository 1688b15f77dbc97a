// Bodies of appends taken apart into records: JSON, JSON lines, CSV.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/http/json_in.h"
#include "protocol/base/error.h"
#include "protocol/record_batch/record_batch.h"
#include "storage/store.h"

namespace runnel::broker::http {

/// A record that is to be appended. Texts lie in the body or in AppendRows.
struct AppendRow {
  std::optional<std::int32_t> partition;
  std::optional<std::string_view> key;
  std::optional<std::string_view> value;
  std::vector<protocol::RecordHeader> headers;
  std::optional<std::int64_t> timestamp;  ///< milliseconds since 1970; nullopt: now
  std::optional<storage::DedupKey> dedup;
  /// Of a repeat the same; nullopt: of its value.
  std::optional<std::uint64_t> repeat_hash = {};
};

/// A body that is one record's value as it stands.
inline constexpr std::string_view kBytes = "application/octet-stream";

struct AppendForm {
  std::string type;        ///< media type: JSON, NDJSON, CSV, or any bytes
  bool as_values = false;  ///< each element or line is a record's value, not a record
  std::string key;         ///< of values: where the key stands in them (".id"); empty: none
  std::string timestamp;   ///< the same
  /// Asked before `bytes` more are made than the body has: CSV names its columns in every record.
  /// Left out: nobody has to be asked.
  std::function<bool(std::size_t bytes)> pay = {};
};

/// Keeps what the rows' texts need; the body must outlive it.
class AppendRows {
 public:
  /// Errors: kInvalidArgument with the record and the byte; nothing of the body is used then.
  [[nodiscard]] Status read(std::string_view body, const AppendForm& form);
  [[nodiscard]] std::vector<AppendRow>& rows() noexcept { return rows_; }

 private:
  [[nodiscard]] Status read_bytes(std::string_view body, const AppendForm& form);
  [[nodiscard]] Status read_json(std::string_view body, const AppendForm& form);
  [[nodiscard]] Status read_lines(std::string_view body, const AppendForm& form);
  [[nodiscard]] Status read_csv(std::string_view body, const AppendForm& form);
  /// Where the reader stands: a record, or a value.
  [[nodiscard]] Status read_one(JsonReader& in, const AppendForm& form);
  [[nodiscard]] Status read_record(JsonReader& in);
  [[nodiscard]] Status read_member(JsonReader& in, std::string_view name, AppendRow& row);
  [[nodiscard]] Status read_headers(JsonReader& in, AppendRow& row);
  [[nodiscard]] Status read_header(JsonReader& in, AppendRow& row);
  [[nodiscard]] Status read_dedup(JsonReader& in, AppendRow& row);
  [[nodiscard]] Status take_value(std::string_view value, const AppendForm& form);
  [[nodiscard]] Result<std::string_view> unbase64(std::string_view text);
  [[nodiscard]] std::string_view keep(std::string text);
  [[nodiscard]] Status add(AppendRow row);

  std::vector<AppendRow> rows_;
  std::deque<std::string> texts_;
  std::deque<JsonReader> readers_;  ///< hold unescaped texts
};

}  // namespace runnel::broker::http
