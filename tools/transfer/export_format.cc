#include "tools/transfer/export_format.h"

#include <algorithm>

#include "protocol/base/bytes.h"
#include "protocol/record_batch/record_batch.h"
#include "protocol/text/base64.h"
#include "protocol/text/csv.h"
#include "protocol/text/time.h"
#include "protocol/text/units.h"
#include "tools/text/json.h"
#include "tools/text/record_format.h"

namespace runnel::tools {
namespace {

/// A record batch of an export is not much larger than this, uncompressed.
constexpr std::size_t kExportBatchBytes = 1u << 20;

/// The end of the year 9999, in milliseconds since 1970: later ones have no ISO form.
constexpr std::int64_t kLatestTime = 253'402'300'799'999;

void append_headers(const ShownRecord& record, std::string& out) {
  out += '[';
  for (const auto& [key, value] : record.headers) {
    if (out.back() != '[') out += ',';
    out += "{\"key\":" + json_string(key) + ",\"value\":";
    append_json_bytes(value, out);
    out += '}';
  }
  out += ']';
}

/// JSON's names have to be text.
Status check_header_names(const ShownRecord& record) {
  for (const auto& [key, value] : record.headers) {
    if (is_utf8(key)) continue;
    return fail(ErrorCode::kInvalidArgument, "a header's name at " + std::string(record.topic) +
                                                 "[" + std::to_string(record.partition) +
                                                 "] offset " + std::to_string(record.offset) +
                                                 " is no UTF-8 text; export with --format batch");
  }
  return {};
}

class CsvEncoder final : public RecordEncoder {
 public:
  explicit CsvEncoder(std::vector<ExportColumn> columns) : columns_(std::move(columns)) {
    has_path_ = std::any_of(columns_.begin(), columns_.end(),
                            [](const ExportColumn& column) { return !column.path.empty(); });
  }

  void begin(std::string& out) override {
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      if (i > 0) out += ',';
      append_csv_field(columns_[i].name, out);
    }
    out += "\r\n";
  }

  Status add(const ShownRecord& record, std::string& out) override {
    std::optional<JsonDocument> document;
    if (has_path_) {
      auto parsed = record.value ? JsonDocument::parse(*record.value) : JsonDocument::parse("null");
      if (parsed) document.emplace(std::move(*parsed));
      if (!parsed) ++unreadable_;
    }
    std::string row;
    for (const ExportColumn& column : columns_) {
      if (&column != columns_.data()) row += ',';
      if (column.path.empty()) {
        RUNNEL_TRY(append_own(column.name, record, row));
      } else if (document) {
        append_cell(document->text_at(column.path), row);
      }
    }
    if (row.size() > protocol::kMaxCsvRowBytes || record.timestamp > kLatestTime) {
      return fail(ErrorCode::kInvalidArgument,
                  std::string(record.topic) + "[" + std::to_string(record.partition) + "] offset " +
                      std::to_string(record.offset) +
                      " is too large for a row of CSV, or later than the year 9999; export with "
                      "--format jsonl or batch");
    }
    out += row;
    out += "\r\n";
    return {};
  }

  Status end(std::string&) override { return {}; }
  std::uint64_t unreadable() const override { return unreadable_; }

 private:
  /// Nothing at all is null; an empty text stands in quotes.
  static void append_cell(const std::optional<std::string_view>& text, std::string& row) {
    if (!text) return;
    if (text->empty()) row += "\"\"";
    append_csv_field(*text, row);
  }

  static Status append_bytes(std::string_view name, const std::optional<std::string_view>& bytes,
                             const ShownRecord& record, std::string& row) {
    if (bytes && !is_utf8(*bytes)) {
      return fail(ErrorCode::kInvalidArgument,
                  "the " + std::string(name) + " of " + std::string(record.topic) + "[" +
                      std::to_string(record.partition) + "] offset " +
                      std::to_string(record.offset) +
                      " is no UTF-8 text, which CSV cannot hold; export with --format jsonl or "
                      "batch");
    }
    append_cell(bytes, row);
    return {};
  }

  static Status append_own(std::string_view name, const ShownRecord& record, std::string& row) {
    if (name == "partition") row += std::to_string(record.partition);
    if (name == "offset") row += std::to_string(record.offset);
    if (name == "timestamp") row += protocol::format_time(record.timestamp);
    if (name == "key") return append_bytes(name, record.key, record, row);
    if (name == "value") return append_bytes(name, record.value, record, row);
    if (name == "headers") {
      RUNNEL_TRY(check_header_names(record));
      std::string headers;
      append_headers(record, headers);
      append_csv_field(headers, row);
    }
    return {};
  }

  const std::vector<ExportColumn> columns_;
  bool has_path_ = false;
  std::uint64_t unreadable_ = 0;
};

class JsonLinesEncoder final : public RecordEncoder {
 public:
  void begin(std::string&) override {}
  Status add(const ShownRecord& record, std::string& out) override {
    RUNNEL_TRY(check_header_names(record));
    append_json(record, out);
    out += '\n';
    return {};
  }
  Status end(std::string&) override { return {}; }
};

/// A batch holds offsets without a gap, so each gap begins a new one.
class BatchEncoder final : public RecordEncoder {
 public:
  void begin(std::string&) override {}

  Status add(const ShownRecord& record, std::string& out) override {
    const bool gap = builder_.count() > 0 && record.offset != base_ + builder_.count();
    if (gap || builder_.bytes() >= kExportBatchBytes) RUNNEL_TRY(end(out));
    if (builder_.count() == 0) base_ = record.offset;
    std::vector<protocol::RecordHeader> headers;
    for (const auto& [key, value] : record.headers) headers.push_back({key, value});
    builder_.add({Timestamp(record.timestamp), record.key, record.value, headers});
    return {};
  }

  Status end(std::string& out) override {
    if (builder_.count() == 0) return {};
    auto finished = builder_.finish();
    broken_ = broken_ || !finished;
    RUNNEL_TRY_ASSIGN(auto batch, std::move(finished));
    protocol::stamp_batch(batch.mutable_bytes(), Offset(base_), LeaderEpoch(0));
    out += as_text(batch.bytes());
    return {};
  }

  bool broken() const override { return broken_; }

 private:
  protocol::BatchBuilder builder_;
  std::int64_t base_ = 0;
  bool broken_ = false;
};

Error no_record(std::uint64_t line, const std::string& why) {
  return Error(ErrorCode::kMalformed,
               "line " + std::to_string(line) + " is no exported record: " + why);
}

/// What append_json_bytes wrote at `path`.
Result<std::optional<std::string>> bytes_at(const JsonDocument& document, const std::string& path) {
  const auto encoded = document.text_at(path + ".base64");
  if (!encoded) return document.text_at(path);
  return protocol::decode_base64(*encoded);
}

Status take_headers(const JsonDocument& document, const std::string& path, StoredRecord& record) {
  for (std::size_t i = 0; i < protocol::kMaxRecordHeaders; ++i) {
    const std::string at = path + "[" + std::to_string(i) + "]";
    const auto key = document.text_at(at + ".key");
    if (!key) break;
    RUNNEL_TRY_ASSIGN(auto value, bytes_at(document, at + ".value"));
    record.headers.emplace_back(*key, std::move(value));
  }
  return {};
}

Result<StoredRecord> record_of_json(const std::string& line) {
  RUNNEL_TRY_ASSIGN(const auto document, JsonDocument::parse(line));
  const auto offset = document.integer_at(".offset");
  const auto timestamp = document.integer_at(".timestamp");
  if (!offset || !timestamp || !document.has(".key") || !document.has(".value")) {
    return fail(ErrorCode::kMalformed, "it needs offset, timestamp, key and value");
  }
  StoredRecord record{*offset, *timestamp, {}, {}, {}};
  RUNNEL_TRY_ASSIGN(record.key, bytes_at(document, ".key"));
  RUNNEL_TRY_ASSIGN(record.value, bytes_at(document, ".value"));
  RUNNEL_TRY(take_headers(document, ".headers", record));
  return record;
}

Status decode_json(std::istream& in, const std::function<Status(StoredRecord)>& take) {
  std::string line;
  for (std::uint64_t number = 1; std::getline(in, line); ++number) {
    auto record = record_of_json(line);
    if (!record) return fail(no_record(number, record.error().message()));
    RUNNEL_TRY(take(std::move(*record)));
  }
  return {};
}

/// Which field of a row is what; -1: none.
struct Fields {
  int offset = -1, timestamp = -1, key = -1, value = -1, headers = -1;
};

Result<Fields> fields_of(const std::vector<ExportColumn>& columns) {
  Fields fields;
  for (int i = 0; i < static_cast<int>(columns.size()); ++i) {
    const ExportColumn& column = columns[static_cast<std::size_t>(i)];
    if (!column.path.empty()) continue;
    if (column.name == "offset") fields.offset = i;
    if (column.name == "timestamp") fields.timestamp = i;
    if (column.name == "key") fields.key = i;
    if (column.name == "value") fields.value = i;
    if (column.name == "headers") fields.headers = i;
  }
  if (fields.offset >= 0 && fields.timestamp >= 0 && fields.key >= 0 && fields.value >= 0) {
    return fields;
  }
  return fail(ErrorCode::kInvalidArgument,
              "it was exported without the columns offset, timestamp, key and value, and cannot "
              "become records again; `runnel produce --in csv` makes new ones of its rows");
}

Result<StoredRecord> record_of_row(const protocol::CsvRow& row, const Fields& fields,
                                   std::size_t columns) {
  if (!row.error.empty()) return fail(ErrorCode::kMalformed, row.error);
  if (row.fields.size() != columns) {
    return fail(ErrorCode::kMalformed, "it has " + std::to_string(row.fields.size()) +
                                           " fields instead of " + std::to_string(columns));
  }
  const auto text = [&](int i) { return row.fields[static_cast<std::size_t>(i)]; };
  const auto cell = [&](int i) -> std::optional<std::string> {
    if (text(i).empty() && !row.quoted[static_cast<std::size_t>(i)]) return std::nullopt;
    return text(i);
  };
  StoredRecord record;
  RUNNEL_TRY_ASSIGN(record.offset, protocol::parse_integer(text(fields.offset)));
  RUNNEL_TRY_ASSIGN(record.timestamp, protocol::parse_time(text(fields.timestamp)));
  record.key = cell(fields.key);
  record.value = cell(fields.value);
  if (fields.headers >= 0) {
    RUNNEL_TRY_ASSIGN(const auto headers, JsonDocument::parse(text(fields.headers)));
    RUNNEL_TRY(take_headers(headers, ".", record));
  }
  return record;
}

Status decode_csv(std::istream& in, const std::vector<ExportColumn>& columns,
                  const std::function<Status(StoredRecord)>& take) {
  RUNNEL_TRY_ASSIGN(const Fields fields, fields_of(columns));
  protocol::CsvReader rows(in);
  if (!rows.next())
    return fail(ErrorCode::kMalformed, "the line with the columns' names is missing");
  while (const auto row = rows.next()) {
    auto record = record_of_row(*row, fields, columns.size());
    if (!record) return fail(no_record(row->line, record.error().message()));
    RUNNEL_TRY(take(std::move(*record)));
  }
  return {};
}

std::optional<std::string> owned(const std::optional<std::string_view>& view) {
  if (!view) return std::nullopt;
  return std::string(*view);
}

Status decode_batch(Bytes batch, const std::function<Status(StoredRecord)>& take) {
  RUNNEL_TRY_ASSIGN(auto reader, protocol::RecordReader::open(batch));
  while (true) {
    RUNNEL_TRY_ASSIGN(const auto record, reader.next());
    if (!record) return {};
    StoredRecord out{record->offset.value(),
                     record->timestamp.value(),
                     owned(record->key),
                     owned(record->value),
                     {}};
    for (const auto& header : record->headers) {
      out.headers.emplace_back(header.key, owned(header.value));
    }
    RUNNEL_TRY(take(std::move(out)));
  }
}

Status decode_batches(std::istream& in, const std::function<Status(StoredRecord)>& take) {
  std::string bytes;
  while (in.peek() != std::istream::traits_type::eof()) {
    bytes.resize(protocol::kBatchHeaderBytes);
    in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    if (!in) return fail(ErrorCode::kMalformed, "it ends within a record batch");
    RUNNEL_TRY_ASSIGN(const auto size, protocol::batch_size(as_bytes(bytes)));
    if (!size || *size > protocol::kMaxBatchBytes || *size < protocol::kBatchHeaderBytes) {
      return fail(ErrorCode::kMalformed, "it holds a record batch of an impossible length");
    }
    bytes.resize(*size);
    in.read(bytes.data() + protocol::kBatchHeaderBytes,
            static_cast<std::streamsize>(*size - protocol::kBatchHeaderBytes));
    if (!in) return fail(ErrorCode::kMalformed, "it ends within a record batch");
    RUNNEL_TRY(protocol::validate_batch(as_bytes(bytes), protocol::Depth::kRecords));
    RUNNEL_TRY(decode_batch(as_bytes(bytes), take));
  }
  return {};
}

}  // namespace

std::string_view name_of(ExportFormat format) noexcept {
  switch (format) {
    case ExportFormat::kCsv:
      return "csv";
    case ExportFormat::kJsonLines:
      return "jsonl";
    case ExportFormat::kBatch:
      return "batch";
  }
  return "";
}

Result<ExportFormat> export_format_named(std::string_view name) {
  for (const auto format : {ExportFormat::kCsv, ExportFormat::kJsonLines, ExportFormat::kBatch}) {
    if (name == name_of(format)) return format;
  }
  return fail(ErrorCode::kInvalidArgument,
              "'" + std::string(name) + "' is no format; there are csv, jsonl and batch");
}

Result<std::vector<ExportColumn>> parse_columns(std::string_view text) {
  std::vector<ExportColumn> columns;
  if (text.empty()) {
    for (const std::string_view name : kRecordColumns) columns.push_back({std::string(name), ""});
    return columns;
  }
  while (true) {
    const std::size_t end = std::min(text.find(','), text.size());
    const std::string_view item = text.substr(0, end);
    const std::size_t equals = item.find('=');
    const std::string_view source = equals == item.npos ? item : item.substr(equals + 1);
    ExportColumn column;
    if (source.starts_with('.')) {
      RUNNEL_TRY(check_json_path(source));
      column = {std::string(equals == item.npos ? source.substr(1) : item.substr(0, equals)),
                std::string(source)};
    } else if (std::find(std::begin(kRecordColumns), std::end(kRecordColumns), source) ==
                   std::end(kRecordColumns) ||
               equals != item.npos) {
      const std::string_view near = protocol::nearest(source, kRecordColumns);
      return fail(ErrorCode::kInvalidArgument,
                  "'" + std::string(item) +
                      "' is no column; there are partition, offset, timestamp, key, value, headers "
                      "and JSON paths such as amount=.amount" +
                      (near.empty() ? "" : "; did you mean " + std::string(near) + "?"));
    } else {
      column.name = source;
    }
    columns.push_back(std::move(column));
    if (end == text.size()) return columns;
    text.remove_prefix(end + 1);
  }
}

std::string text_of(const std::vector<ExportColumn>& columns) {
  std::string out;
  for (const ExportColumn& column : columns) {
    if (!out.empty()) out += ',';
    out += column.name;
    if (!column.path.empty()) out += '=' + column.path;
  }
  return out;
}

std::unique_ptr<RecordEncoder> make_encoder(ExportFormat format,
                                            const std::vector<ExportColumn>& columns) {
  if (format == ExportFormat::kCsv) return std::make_unique<CsvEncoder>(columns);
  if (format == ExportFormat::kJsonLines) return std::make_unique<JsonLinesEncoder>();
  return std::make_unique<BatchEncoder>();
}

Status decode_records(std::istream& in, ExportFormat format,
                      const std::vector<ExportColumn>& columns,
                      const std::function<Status(StoredRecord)>& take) {
  Status status = format == ExportFormat::kCsv         ? decode_csv(in, columns, take)
                  : format == ExportFormat::kJsonLines ? decode_json(in, take)
                                                       : decode_batches(in, take);
  if (status && in.bad()) return fail(ErrorCode::kIo, "cannot read all of it");
  return status;
}

}  // namespace runnel::tools
