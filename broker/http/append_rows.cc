#include "broker/http/append_rows.h"

#include <algorithm>
#include <set>
#include <sstream>

#include "broker/http/limits.h"
#include "broker/http/message.h"
#include "protocol/filter/json_probe.h"
#include "protocol/filter/json_text.h"
#include "protocol/text/base64.h"
#include "protocol/text/csv.h"
#include "protocol/text/time.h"
#include "protocol/text/units.h"

namespace runnel::broker::http {
namespace {

constexpr std::string_view kMembers =
    "partition, key, key_base64, value, text, base64, headers, timestamp, dedup";

tl::unexpected<Error> invalid(std::string message) {
  return fail(ErrorCode::kInvalidArgument, std::move(message));
}

/// Milliseconds, or a time as people write it.
Result<std::int64_t> parse_timestamp(std::string_view text) {
  if (const auto millis = protocol::parse_integer(text)) return *millis;
  return protocol::parse_time(text);
}

std::string name_of_row(std::size_t row) {
  return "record " + std::to_string(row);
}

}  // namespace

std::string_view AppendRows::keep(std::string text) {
  return texts_.emplace_back(std::move(text));
}

Result<std::string_view> AppendRows::unbase64(std::string_view text) {
  auto bytes = protocol::decode_base64(text);
  if (!bytes) return invalid("this is no base64; take the alphabet with + and /, and padding");
  return keep(std::move(*bytes));
}

Status AppendRows::add(AppendRow row) {
  if (rows_.size() >= kMaxAppendRecords) {
    return invalid("a request may have " + std::to_string(kMaxAppendRecords) +
                   " records; send several requests");
  }
  rows_.push_back(std::move(row));
  return {};
}

Status AppendRows::read(std::string_view body, const AppendForm& form) {
  if (form.type == kBytes) return read_bytes(body, form);
  const bool paths = !form.key.empty() || !form.timestamp.empty();
  if (paths && !form.as_values && form.type != kCsv) {
    return invalid(
        "key and timestamp name parts of values; give as=values with them, or put the "
        "key into each record");
  }
  if (form.type == kCsv) {
    RUNNEL_TRY(read_csv(body, form));
  } else if (form.type == kNdjson) {
    RUNNEL_TRY(read_lines(body, form));
  } else {
    RUNNEL_TRY(read_json(body, form));
  }
  if (rows_.empty()) return invalid("there are no records in the body");
  return {};
}

/// One record: its value is the body, its key and time are what the parameters say.
Status AppendRows::read_bytes(std::string_view body, const AppendForm& form) {
  AppendRow row;
  row.value = body;
  if (!form.key.empty()) row.key = keep(form.key);
  if (!form.timestamp.empty()) {
    RUNNEL_TRY_ASSIGN(row.timestamp, parse_timestamp(form.timestamp));
  }
  return add(std::move(row));
}

Status AppendRows::read_json(std::string_view body, const AppendForm& form) {
  JsonReader& in = readers_.emplace_back(body);
  if (in.peek() != JsonReader::Kind::kArray) {
    RUNNEL_TRY(read_one(in, form));
    return in.end();
  }
  const Status members = in.array("the body", [&]() -> Status {
    const Status read = read_one(in, form);
    return read ? read : fail(read.error().within(name_of_row(rows_.size())));
  });
  RUNNEL_TRY(members);
  return in.end();
}

Status AppendRows::read_lines(std::string_view body, const AppendForm& form) {
  for (std::size_t line = 1; !body.empty(); ++line) {
    const std::size_t end = std::min(body.find('\n'), body.size());
    const std::string_view text = body.substr(0, end);
    body.remove_prefix(std::min(end + 1, body.size()));
    if (text.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    JsonReader& in = readers_.emplace_back(text);
    Status read = read_one(in, form);
    if (read) read = in.end();
    if (!read) return fail(read.error().within("line " + std::to_string(line)));
  }
  return {};
}

Status AppendRows::read_one(JsonReader& in, const AppendForm& form) {
  if (!form.as_values) return read_record(in);
  RUNNEL_TRY_ASSIGN(const std::string_view value, in.raw("the value"));
  return take_value(value, form);
}

Status AppendRows::read_record(JsonReader& in) {
  AppendRow row;
  int values = 0;
  int keys = 0;
  const Status members = in.object("a record", [&](std::string_view name) {
    if (name == "value" || name == "text" || name == "base64") ++values;
    if (name == "key" || name == "key_base64") ++keys;
    return read_member(in, name, row);
  });
  RUNNEL_TRY(members);
  if (values != 1) {
    return invalid(
        "a record has one of value (JSON, as it stands; null deletes its key), text and "
        "base64");
  }
  if (keys > 1) return invalid("a record has key or key_base64, not both");
  return add(std::move(row));
}

Status AppendRows::read_member(JsonReader& in, std::string_view name, AppendRow& row) {
  if (name == "key") {
    RUNNEL_TRY_ASSIGN(row.key, in.text_or_null("key"));
  } else if (name == "key_base64") {
    RUNNEL_TRY_ASSIGN(const auto text, in.text("key_base64"));
    RUNNEL_TRY_ASSIGN(row.key, unbase64(text));
  } else if (name == "value") {
    const bool none = in.peek() == JsonReader::Kind::kNull;
    RUNNEL_TRY_ASSIGN(const auto raw, in.raw("value"));
    if (!none) row.value = raw;
  } else if (name == "text") {
    RUNNEL_TRY_ASSIGN(row.value, in.text("text"));
  } else if (name == "base64") {
    RUNNEL_TRY_ASSIGN(const auto text, in.text("base64"));
    RUNNEL_TRY_ASSIGN(row.value, unbase64(text));
  } else if (name == "partition") {
    RUNNEL_TRY_ASSIGN(const auto partition, in.integer("partition"));
    if (partition < 0 || partition >= storage::kMaxPartitionsPerTopic) {
      return fail(ErrorCode::kUnknownPartition,
                  "there is no partition " + std::to_string(partition));
    }
    row.partition = static_cast<std::int32_t>(partition);
  } else if (name == "timestamp") {
    if (in.peek() == JsonReader::Kind::kNull) {
      RUNNEL_TRY(in.raw("timestamp"));
    } else if (in.peek() == JsonReader::Kind::kString) {
      RUNNEL_TRY_ASSIGN(const auto text, in.text("timestamp"));
      RUNNEL_TRY_ASSIGN(row.timestamp, protocol::parse_time(text));
    } else {
      RUNNEL_TRY_ASSIGN(row.timestamp, in.integer("timestamp"));
    }
  } else if (name == "headers") {
    return read_headers(in, row);
  } else if (name == "dedup") {
    return read_dedup(in, row);
  } else if (name == "offset") {
    // Of a record that was read: it is given anew.
    RUNNEL_TRY(in.integer("offset"));
  } else {
    return in.unknown(name, kMembers);
  }
  return {};
}

/// {"name": "value"} or [{"name": ..., "value": ...}].
Status AppendRows::read_headers(JsonReader& in, AppendRow& row) {
  if (in.peek() == JsonReader::Kind::kArray) {
    return in.array("headers", [&] { return read_header(in, row); });
  }
  return in.object("headers", [&](std::string_view name) -> Status {
    RUNNEL_TRY_ASSIGN(const auto value, in.text_or_null("a header"));
    row.headers.push_back({name, value});
    return {};
  });
}

Status AppendRows::read_header(JsonReader& in, AppendRow& row) {
  protocol::RecordHeader header;
  bool named = false;
  int values = 0;
  const Status members = in.object("a header", [&](std::string_view name) -> Status {
    if (name == "name") {
      RUNNEL_TRY_ASSIGN(header.key, in.text("a header's name"));
      named = true;
    } else if (name == "value") {
      RUNNEL_TRY_ASSIGN(header.value, in.text_or_null("a header's value"));
      ++values;
    } else if (name == "base64") {
      RUNNEL_TRY_ASSIGN(const auto text, in.text("a header's base64"));
      RUNNEL_TRY_ASSIGN(header.value, unbase64(text));
      ++values;
    } else {
      return in.unknown(name, "name, value, base64");
    }
    return {};
  });
  RUNNEL_TRY(members);
  if (!named || values != 1) return invalid("a header has a name, and either value or base64");
  row.headers.push_back(header);
  return {};
}

Status AppendRows::read_dedup(JsonReader& in, AppendRow& row) {
  storage::DedupKey key;
  const Status members = in.object("dedup", [&](std::string_view name) -> Status {
    std::string* const to = name == "source_type" ? &key.source
                            : name == "source_id" ? &key.source_id
                            : name == "data_id"   ? &key.data_id
                                                  : nullptr;
    if (to == nullptr) return in.unknown(name, "source_type, source_id, data_id");
    RUNNEL_TRY_ASSIGN(const auto text, in.text(name));
    if (text.empty() || text.size() > storage::kMaxDedupPartBytes) {
      return invalid(std::string(name) + " has to have 1 to " +
                     std::to_string(storage::kMaxDedupPartBytes) + " bytes");
    }
    *to = text;
    return {};
  });
  RUNNEL_TRY(members);
  if (key.source.empty() || key.source_id.empty() || key.data_id.empty()) {
    return invalid("dedup needs source_type, source_id and data_id");
  }
  row.dedup = std::move(key);
  return {};
}

Status AppendRows::take_value(std::string_view value, const AppendForm& form) {
  AppendRow row;
  row.value = value;
  std::vector<protocol::JsonPath> paths;
  for (const std::string& path : {form.key, form.timestamp}) {
    if (path.empty()) continue;
    RUNNEL_TRY_ASSIGN(auto parsed, protocol::JsonPath::parse(path));
    paths.push_back(std::move(parsed));
  }
  if (paths.empty()) return add(std::move(row));
  RUNNEL_TRY_ASSIGN(auto found, protocol::find_in_json(value, paths));
  if (!form.key.empty()) {
    if (!found.front()) return invalid("it has no " + form.key + " to take the key from");
    row.key = keep(std::move(found.front()->text));
  }
  if (!form.timestamp.empty()) {
    if (!found.back()) return invalid("it has no " + form.timestamp + " to take the time from");
    RUNNEL_TRY_ASSIGN(row.timestamp, parse_timestamp(found.back()->text));
  }
  return add(std::move(row));
}

namespace {

/// The column that `name` says; a leading '.' allowed.
Result<std::optional<std::size_t>> column_named(const std::vector<std::string>& columns,
                                                std::string_view name) {
  if (name.empty()) return std::optional<std::size_t>();
  if (name.starts_with('.')) name.remove_prefix(1);
  const auto found = std::find(columns.begin(), columns.end(), name);
  if (found != columns.end()) {
    return std::optional<std::size_t>(static_cast<std::size_t>(found - columns.begin()));
  }
  return invalid("the CSV header has no column '" + std::string(name) + "'");
}

Status check_header(const std::vector<std::string>& columns) {
  std::set<std::string_view> seen;
  for (const std::string& name : columns) {
    if (seen.insert(name).second) continue;
    return invalid("the CSV header names the column '" + name + "' twice; rename one");
  }
  return {};
}

/// What the records of a CSV body take may grow so far beyond the body, and is paid for in steps.
constexpr std::size_t kCsvGrowth = 8;
constexpr std::size_t kCsvGrowthBeyond = 1u << 20;
constexpr std::size_t kPaidAtOnce = 256u << 10;

/// Counts what becomes of a CSV body.
class CsvOutput {
 public:
  CsvOutput(std::size_t body, const AppendForm& form)
      : most_(std::min<std::size_t>(kCsvGrowth * body + kCsvGrowthBeyond, kMaxBodyBytes)),
        form_(form) {}

  /// Before a record of so many bytes is made.
  Status add(std::size_t bytes) {
    made_ += bytes;
    if (made_ > most_) {
      return fail(ErrorCode::kRecordTooLarge,
                  "each record repeats the names of the CSV header, and so they make more than " +
                      std::to_string(most_) +
                      " bytes; shorten the header, send fewer lines at once, or send JSON");
    }
    if (made_ <= paid_ || !form_.pay) return {};
    const std::size_t step = std::max(kPaidAtOnce, made_ - paid_);
    paid_ += step;
    if (form_.pay(2 * step)) return {};  // the records, and the batches they are copied to
    return fail(ErrorCode::kOverloaded,
                "the broker's memory is used up; nothing was stored. Try again later or raise its "
                "memory limit");
  }

 private:
  const std::size_t most_;
  const AppendForm& form_;
  std::size_t made_ = 0;
  std::size_t paid_ = kSmallBodyBytes;
};

std::size_t size_of(const std::vector<std::string>& texts) {
  std::size_t size = 0;
  for (const std::string& text : texts) size += text.size() + 3;  // quotes and a comma
  return size;
}

/// `names`: as JSON, each with its colon.
std::string object_of(const std::vector<std::string>& names,
                      const std::vector<std::string>& fields) {
  std::string out = "{";
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (i > 0) out += ',';
    out += names[i] + protocol::json_string(fields[i]);
  }
  return out + '}';
}

}  // namespace

Status AppendRows::read_csv(std::string_view body, const AppendForm& form) {
  if (!protocol::is_utf8(body)) return invalid("the CSV is not UTF-8");
  std::istringstream stream{std::string(body)};
  protocol::CsvReader in(stream);
  const auto header = in.next();
  if (!header) return invalid("the CSV has no header line");
  if (!header->error.empty()) return invalid("the CSV header is broken: " + header->error);
  const auto& columns = header->fields;
  RUNNEL_TRY(check_header(columns));
  RUNNEL_TRY_ASSIGN(const auto key, column_named(columns, form.key));
  RUNNEL_TRY_ASSIGN(const auto time, column_named(columns, form.timestamp));
  CsvOutput output(body.size(), form);
  std::vector<std::string> names;
  for (const std::string& column : columns) names.push_back(protocol::json_string(column) + ':');
  const std::size_t names_size = size_of(names);
  while (const auto csv = in.next()) {
    const std::string line = "line " + std::to_string(csv->line);
    if (!csv->error.empty()) return invalid(line + ": " + csv->error);
    if (csv->fields.size() != columns.size()) {
      return invalid(line + ": it has " + std::to_string(csv->fields.size()) +
                     " fields, the header " + std::to_string(columns.size()));
    }
    AppendRow row;
    if (key) row.key = keep(csv->fields[*key]);
    if (time) {
      const auto parsed = parse_timestamp(csv->fields[*time]);
      if (!parsed) return fail(parsed.error().within(line));
      row.timestamp = *parsed;
    }
    RUNNEL_TRY(output.add(names_size + size_of(csv->fields)));
    row.value = keep(object_of(names, csv->fields));
    RUNNEL_TRY(add(std::move(row)));
  }
  return {};
}

}  // namespace runnel::broker::http
