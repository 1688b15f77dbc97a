#include <array>
#include <limits>

#include "broker/http/limits.h"
#include "broker/http/proxy_produce.h"
#include "protocol/text/base64.h"
#include "protocol/text/time.h"

namespace runnel::broker::http {
namespace {

tl::unexpected<Error> invalid(const std::string& why) {
  return fail(ErrorCode::kInvalidArgument, why);
}

bool is_null(std::optional<std::string_view> raw) {
  return !raw || *raw == "null";
}

/// nullopt: null. What is no whole number of 32 bits is refused.
Result<std::optional<std::int32_t>> number_or_null(JsonReader& in, std::string_view what) {
  if (in.peek() == JsonReader::Kind::kNull) {
    RUNNEL_TRY(in.raw(what));
    return std::optional<std::int32_t>();
  }
  RUNNEL_TRY_ASSIGN(const std::int64_t value, in.integer(what));
  if (value < 0 || value > std::numeric_limits<std::int32_t>::max()) {
    return invalid(std::string(what) + " has to be a whole number from 0 to 2147483647");
  }
  return std::optional(static_cast<std::int32_t>(value));
}

}  // namespace

Result<std::string_view> ProxyRecords::unbase64(std::string_view text) {
  auto bytes = protocol::decode_base64(text);
  if (!bytes) return invalid("this is no base64; take the alphabet with + and /, and padding");
  return keep(std::move(*bytes));
}

Status ProxyRecords::add(ProxyRecord record) {
  if (records_.size() >= kMaxAppendRecords) {
    return invalid("a request may have " + std::to_string(kMaxAppendRecords) +
                   " records; send several requests");
  }
  record.row.key = record.key.bytes;
  record.row.value = record.value.bytes;
  records_.push_back(std::move(record));
  return {};
}

Status ProxyRecords::take(std::optional<std::string_view> raw, std::string_view type,
                          std::optional<std::int64_t> schema, ProxyData& to) {
  to.type = type;
  if (is_null(raw)) return {};
  if (type == "JSON") {
    to.bytes = *raw;
  } else if (type == "JSONSCHEMA") {
    if (!schema) {
      return invalid(
          "a key or value of type JSONSCHEMA needs the id of its schema; register the "
          "schema at /subjects and send its id");
    }
    std::string bytes(1, '\0');
    for (int shift = 24; shift >= 0; shift -= 8) {
      bytes += static_cast<char>(static_cast<std::uint32_t>(*schema) >> shift);
    }
    to.bytes = keep(bytes.append(*raw));
    to.has_schema = true;
  } else if (type == "BINARY" || type == "STRING") {
    JsonReader& in = readers_.emplace_back(*raw);
    RUNNEL_TRY_ASSIGN(to.bytes, in.text("binary data"));
    if (type == "BINARY") {
      RUNNEL_TRY_ASSIGN(to.bytes, unbase64(*to.bytes));
    }
  } else {
    return invalid("the type '" + std::string(type) +
                   "' is not known here: take BINARY, JSON, STRING or JSONSCHEMA; records in Avro "
                   "or Protobuf are serialized by the client and sent as BINARY");
  }
  return {};
}

// ---------------------------------------------------------------- v2
Status ProxyRecords::read_v2_record(JsonReader& in, std::vector<Raw>& raws) {
  ProxyRecord record;
  Raw& raw = raws.emplace_back();
  const Status read = in.object("a record", [&](std::string_view name) -> Status {
    if (name == "key") {
      RUNNEL_TRY_ASSIGN(raw.key, in.raw("key"));
    } else if (name == "value") {
      RUNNEL_TRY_ASSIGN(raw.value, in.raw("value"));
    } else if (name == "partition") {
      RUNNEL_TRY_ASSIGN(record.row.partition, number_or_null(in, "partition"));
    } else {
      return in.unknown(name, "key, value, partition");
    }
    return {};
  });
  RUNNEL_TRY(read);
  return add(std::move(record));
}

Status ProxyRecords::read_v2(std::string_view body, std::string_view type) {
  JsonReader& in = readers_.emplace_back(body);
  std::vector<Raw> raws;
  std::optional<std::int32_t> key_schema;
  std::optional<std::int32_t> value_schema;
  const Status read = in.object("the body", [&](std::string_view name) -> Status {
    if (name == "records") {
      return in.array("records", [&] { return read_v2_record(in, raws); });
    }
    if (name == "key_schema_id") {
      RUNNEL_TRY_ASSIGN(key_schema, number_or_null(in, name));
    } else if (name == "value_schema_id") {
      RUNNEL_TRY_ASSIGN(value_schema, number_or_null(in, name));
    } else if (name == "key_schema" || name == "value_schema") {
      RUNNEL_TRY_ASSIGN(const auto raw, in.raw(name));
      if (!is_null(raw)) {
        return invalid("schemas are named by id here: register the schema at /subjects and send " +
                       std::string(name) + "_id");
      }
    } else {
      return in.unknown(name, "records, key_schema_id, value_schema_id");
    }
    return {};
  });
  RUNNEL_TRY(read);
  RUNNEL_TRY(in.end());
  if (raws.empty()) return invalid("there are no records to store");
  const bool binary = type == kProxyOfBinary;
  const bool with_schema = type == kProxyOfJsonSchema;
  const std::string_view name = binary ? "BINARY" : with_schema ? "JSONSCHEMA" : "JSON";
  for (std::size_t i = 0; i < raws.size(); ++i) {
    ProxyRecord& record = records_[i];
    const bool plain_key = with_schema && !key_schema;
    Status taken = take(raws[i].key, plain_key ? "JSON" : name, key_schema, record.key);
    if (taken) taken = take(raws[i].value, name, value_schema, record.value);
    if (!taken) return fail(taken.error().within("record " + std::to_string(i)));
    record.row.key = record.key.bytes;
    record.row.value = record.value.bytes;
  }
  return {};
}

// ---------------------------------------------------------------- v3
Status ProxyRecords::read_header(JsonReader& in, AppendRow& row) {
  protocol::RecordHeader header;
  bool is_named = false;
  const Status read = in.object("a header", [&](std::string_view name) -> Status {
    if (name == "name") {
      is_named = true;
      RUNNEL_TRY_ASSIGN(header.key, in.text("name"));
    } else if (name == "value") {
      RUNNEL_TRY_ASSIGN(const auto text, in.text_or_null("value"));
      if (!text) return {};
      RUNNEL_TRY_ASSIGN(header.value, unbase64(*text));
    } else {
      return in.unknown(name, "name, value");
    }
    return {};
  });
  RUNNEL_TRY(read);
  if (!is_named) return invalid("a header needs a name");
  row.headers.push_back(header);
  return {};
}

Status ProxyRecords::read_headers(JsonReader& in, AppendRow& row) {
  if (in.peek() == JsonReader::Kind::kNull) {
    RUNNEL_TRY(in.raw("headers"));
    return {};
  }
  return in.array("headers", [&] { return read_header(in, row); });
}

Status ProxyRecords::read_data(JsonReader& in, ProxyData& to) {
  if (in.peek() == JsonReader::Kind::kNull) {
    RUNNEL_TRY(in.raw("data"));
    return {};
  }
  std::string_view type;
  std::optional<std::string_view> data;
  std::optional<std::int32_t> schema;
  const Status read = in.object("a key or value", [&](std::string_view name) -> Status {
    if (name == "type") {
      RUNNEL_TRY_ASSIGN(type, in.text("type"));
    } else if (name == "data") {
      RUNNEL_TRY_ASSIGN(data, in.raw("data"));
    } else if (name == "schema_id") {
      RUNNEL_TRY_ASSIGN(schema, number_or_null(in, "schema_id"));
    } else {
      return in.unknown(name, "type, data, schema_id");
    }
    return {};
  });
  RUNNEL_TRY(read);
  if (type.empty()) type = schema ? "JSONSCHEMA" : "BINARY";
  return take(data, type, schema, to);
}

Status ProxyRecords::read_v3_record(JsonReader& in) {
  ProxyRecord record;
  const Status read = in.object("a record", [&](std::string_view name) -> Status {
    if (name == "partition_id") {
      RUNNEL_TRY_ASSIGN(record.row.partition, number_or_null(in, name));
    } else if (name == "headers") {
      return read_headers(in, record.row);
    } else if (name == "key") {
      return read_data(in, record.key);
    } else if (name == "value") {
      return read_data(in, record.value);
    } else if (name == "timestamp") {
      if (in.peek() == JsonReader::Kind::kNumber) {
        RUNNEL_TRY_ASSIGN(record.row.timestamp, in.integer(name));
        return {};
      }
      RUNNEL_TRY_ASSIGN(const auto text, in.text_or_null(name));
      if (!text) return {};
      RUNNEL_TRY_ASSIGN(record.row.timestamp, protocol::parse_time(*text));
    } else {
      return in.unknown(name, "partition_id, headers, key, value, timestamp");
    }
    return {};
  });
  RUNNEL_TRY(read);
  return add(std::move(record));
}

Status ProxyRecords::read_v3(std::string_view body) {
  JsonReader& in = readers_.emplace_back(body);
  while (in.peek()) {
    const Status read = read_v3_record(in);
    if (!read) return fail(read.error().within("record " + std::to_string(records_.size())));
  }
  RUNNEL_TRY(in.end());
  if (records_.empty()) return invalid("there are no records to store");
  return {};
}

}  // namespace runnel::broker::http
