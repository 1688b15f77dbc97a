#include "tools/text/row_reader.h"

#include <algorithm>

#include "protocol/text/csv.h"
#include "protocol/text/time.h"
#include "protocol/text/units.h"
#include "tools/text/json.h"
#include "tools/text/record_format.h"

namespace runnel::tools {
namespace {

/// A timestamp field: milliseconds or an ISO time. Sets `row.rejected` if it is neither.
void take_timestamp(const std::optional<std::string>& text, const std::string& name,
                    InputRow& row) {
  if (!text) {
    row.rejected = "it has no " + name + " to take the timestamp from";
    return;
  }
  if (const auto millis = protocol::parse_integer(*text); millis && *millis >= 0) {
    row.record.timestamp = *millis;
  } else if (const auto time = protocol::parse_time(*text)) {
    row.record.timestamp = *time;
  } else {
    row.rejected = name + ": " + time.error().message();
  }
}

class LineReader final : public RowReader {
 public:
  LineReader(std::istream& in, RowOptions options) : in_(in), options_(std::move(options)) {}

  std::optional<InputRow> next() override {
    InputRow row;
    if (!std::getline(in_, row.raw)) return std::nullopt;
    row.line = ++line_;
    const std::string& delimiter = options_.key_delimiter;
    if (delimiter.empty()) {
      row.record.value = row.raw;
      return row;
    }
    const std::size_t at = row.raw.find(delimiter);
    if (at == std::string::npos) {
      row.rejected = "there is no key delimiter '" + delimiter + "' in it";
      return row;
    }
    row.record.key = row.raw.substr(0, at);
    row.record.value = row.raw.substr(at + delimiter.size());
    return row;
  }

 private:
  std::istream& in_;
  RowOptions options_;
  std::uint64_t line_ = 0;
};

class JsonLineReader final : public RowReader {
 public:
  JsonLineReader(std::istream& in, RowOptions options) : in_(in), options_(std::move(options)) {}

  std::optional<InputRow> next() override {
    InputRow row;
    do {
      if (!std::getline(in_, row.raw)) return std::nullopt;
      if (++line_ == 1 && row.raw.starts_with(protocol::kByteOrderMark)) {
        row.raw.erase(0, protocol::kByteOrderMark.size());
      }
    } while (row.raw.find_first_not_of(" \t\r") == std::string::npos);
    row.line = line_;
    fill(row);
    return row;
  }

 private:
  void fill(InputRow& row) const {
    const auto document = JsonDocument::parse(row.raw);
    if (!document) {
      row.rejected = document.error().message();
      return;
    }
    if (!options_.key.empty()) {
      row.record.key = document->text_at(options_.key);
      if (!row.record.key) row.rejected = "it has no " + options_.key + " to take the key from";
    }
    if (!options_.timestamp.empty() && row.rejected.empty()) {
      take_timestamp(document->text_at(options_.timestamp), options_.timestamp, row);
    }
    if (options_.value.empty()) {
      row.record.value = row.raw;  // its own bytes, not a rewritten form of them
      return;
    }
    // A null is a value that deletes; that there is none may be a misspelt path.
    row.record.value = document->text_at(options_.value);
    if (row.rejected.empty() && !document->has(options_.value)) {
      row.rejected = "it has no " + options_.value + " to take the value from";
    }
  }

  std::istream& in_;
  RowOptions options_;
  std::uint64_t line_ = 0;
};

class CsvRowReader final : public RowReader {
 public:
  static Result<std::unique_ptr<RowReader>> open(std::istream& in, const RowOptions& options) {
    auto reader = std::make_unique<CsvRowReader>(in);
    const auto header = reader->rows_.next();
    if (!header) return fail(ErrorCode::kInvalidArgument, "the CSV input has no header line");
    if (!header->error.empty()) {
      return fail(ErrorCode::kInvalidArgument, "the CSV header is broken: " + header->error);
    }
    reader->columns_ = header->fields;
    RUNNEL_TRY(reader->check_columns());
    RUNNEL_TRY_ASSIGN(reader->key_, reader->column(options.key));
    RUNNEL_TRY_ASSIGN(reader->timestamp_, reader->column(options.timestamp));
    RUNNEL_TRY_ASSIGN(reader->value_, reader->column(options.value));
    return std::unique_ptr<RowReader>(std::move(reader));
  }
  explicit CsvRowReader(std::istream& in) : rows_(in) {}

  std::optional<InputRow> next() override {
    auto csv = rows_.next();
    if (!csv) return std::nullopt;
    InputRow row;
    row.line = csv->line;
    row.raw = std::move(csv->raw);
    row.rejected = csv->error;
    if (row.rejected.empty() && csv->fields.size() != columns_.size()) {
      row.rejected = "it has " + std::to_string(csv->fields.size()) + " fields, the header " +
                     std::to_string(columns_.size());
    }
    if (row.rejected.empty()) fill(csv->fields, row);
    return row;
  }

 private:
  using Column = std::optional<std::size_t>;

  /// A record could not say which of two equal names it means.
  Status check_columns() const {
    for (auto name = columns_.begin(); name != columns_.end(); ++name) {
      if (std::find(columns_.begin(), name, *name) == name) continue;
      return fail(ErrorCode::kInvalidArgument,
                  "the CSV header names the column '" + *name + "' twice; rename one");
    }
    return {};
  }

  [[nodiscard]] std::string column_list() const {
    std::string list;
    for (const std::string& name : columns_) list += (list.empty() ? "" : ", ") + name;
    return list;
  }

  Result<Column> column(std::string_view name) const {
    if (name.empty()) return Column();
    if (name.starts_with('.')) name.remove_prefix(1);
    const auto found = std::find(columns_.begin(), columns_.end(), name);
    if (found != columns_.end()) return Column(found - columns_.begin());
    const std::vector<std::string_view> names(columns_.begin(), columns_.end());
    const std::string_view near = protocol::nearest(name, names);
    return fail(ErrorCode::kInvalidArgument,
                "the CSV header has no column '" + std::string(name) + "'" +
                    (near.empty() ? "; its columns are: " + column_list() + " (separated by commas)"
                                  : "; did you mean '" + std::string(near) + "'?"));
  }

  void fill(const std::vector<std::string>& fields, InputRow& row) const {
    if (key_) row.record.key = fields[*key_];
    if (timestamp_) take_timestamp(fields[*timestamp_], columns_[*timestamp_], row);
    if (value_) {
      row.record.value = fields[*value_];
      return;
    }
    std::string object = "{";
    for (std::size_t i = 0; i < fields.size(); ++i) {
      if (i > 0) object += ',';
      object += json_string(columns_[i]) + ':' + json_string(fields[i]);
    }
    row.record.value = object + '}';
  }

  protocol::CsvReader rows_;
  std::vector<std::string> columns_;
  Column key_, timestamp_, value_;
};

}  // namespace

Result<std::unique_ptr<RowReader>> open_rows(std::istream& in, RowOptions options) {
  const bool named = !options.key.empty() || !options.timestamp.empty() || !options.value.empty();
  if (options.kind == InputKind::kLines) {
    if (named) {
      return fail(ErrorCode::kInvalidArgument,
                  "--key, --timestamp and --value name parts of JSON or CSV rows; give --in jsonl "
                  "or --in csv, or split lines with -K");
    }
    return std::make_unique<LineReader>(in, std::move(options));
  }
  if (!options.key_delimiter.empty()) {
    return fail(ErrorCode::kInvalidArgument, "-K splits plain lines; use --key for JSON and CSV");
  }
  if (options.kind == InputKind::kCsv) return CsvRowReader::open(in, options);
  for (const std::string& path : {options.key, options.timestamp, options.value}) {
    if (!path.empty()) RUNNEL_TRY(check_json_path(path));
  }
  return std::make_unique<JsonLineReader>(in, std::move(options));
}

std::string reject_line(const InputRow& row) {
  std::string out = "{\"line\":" + std::to_string(row.line) +
                    ",\"error\":" + json_string(row.rejected) + ",\"row\":";
  append_json_bytes(row.raw, out);
  return out + "}\n";
}

}  // namespace runnel::tools
