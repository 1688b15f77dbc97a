#include "broker/http/record_text.h"

#include <algorithm>
#include <charconv>

#include "broker/http/limits.h"
#include "protocol/filter/json_text.h"
#include "protocol/text/base64.h"
#include "storage/views/json/scan.h"

namespace runnel::broker::http {
namespace {

using protocol::json_string;

void append_base64_member(std::string_view name, std::string_view bytes, std::string& out) {
  out += ",\"";
  out += name;
  out += "\":\"";
  protocol::append_base64(bytes, out);
  out += '"';
}

/// With blanks around it or not: shown as a value it would be a deletion.
bool is_null(std::string_view json) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const std::size_t from = json.find_first_not_of(kBlanks);
  if (from == std::string_view::npos) return false;
  return json.substr(from, json.find_last_not_of(kBlanks) + 1 - from) == "null";
}

void append_value(const std::optional<std::string_view>& value, std::string& out) {
  using storage::views::check_json;
  using storage::views::RowError;
  if (!value) {
    out += ",\"value\":null";
  } else if (!is_null(*value) && check_json(*value) == RowError::kNone) {
    out += ",\"value\":";
    const std::size_t at = out.size();
    out += *value;
    // A line break in JSON is a blank: within strings there is none.
    std::replace_if(
        out.begin() + static_cast<std::ptrdiff_t>(at), out.end(),
        [](char c) { return c == '\n' || c == '\r'; }, ' ');
  } else if (protocol::is_utf8(*value)) {
    out += ",\"text\":" + json_string(*value);
  } else {
    append_base64_member("base64", *value, out);
  }
}

void append_headers(std::span<const protocol::RecordHeader> headers, std::string& out) {
  if (headers.empty()) return;
  out += ",\"headers\":[";
  for (const protocol::RecordHeader& h : headers) {
    if (out.back() != '[') out += ',';
    out += "{\"name\":" + json_string(h.key);
    if (!h.value) {
      out += ",\"value\":null";
    } else if (protocol::is_utf8(*h.value)) {
      out += ",\"value\":" + json_string(*h.value);
    } else {
      append_base64_member("base64", *h.value, out);
    }
    out += '}';
  }
  out += ']';
}

template <class T>
bool take_number(std::string_view& text, T& value) {
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc() || value < 0) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

}  // namespace

void append_record(const protocol::Record& record, std::int32_t partition, std::string& out) {
  out += "{\"partition\":" + std::to_string(partition) +
         ",\"offset\":" + std::to_string(record.offset.value()) + ",\"timestamp\":" +
         (record.timestamp == kNoTimestamp ? "null" : std::to_string(record.timestamp.value()));
  if (!record.key) {
    out += ",\"key\":null";
  } else if (protocol::is_utf8(*record.key)) {
    out += ",\"key\":" + json_string(*record.key);
  } else {
    append_base64_member("key_base64", *record.key, out);
  }
  append_value(record.value, out);
  append_headers(record.headers, out);
  out += '}';
}

std::string format_cursor(const Cursor& cursor) {
  std::string out;
  for (const auto& [partition, next] : cursor) {
    if (!out.empty()) out += ',';
    out += std::to_string(partition) + ":" + std::to_string(next.value());
  }
  return out;
}

Result<Cursor> parse_cursor(std::string_view text) {
  Cursor out;
  const auto bad = [] {
    return fail(ErrorCode::kInvalidArgument,
                "this is no cursor; take `next` of an answer, or the id of an event");
  };
  for (bool more = true; more;) {
    std::int32_t partition = 0;
    std::int64_t offset = 0;
    if (!take_number(text, partition) || !text.starts_with(':')) return bad();
    text.remove_prefix(1);
    if (!take_number(text, offset)) return bad();
    if (!out.empty() && out.back().first >= partition) return bad();
    out.emplace_back(partition, Offset(offset));
    more = text.starts_with(',');
    if (more) text.remove_prefix(1);
    if (out.size() > kMaxReadPartitions) return bad();
  }
  if (!text.empty()) return bad();
  return out;
}

}  // namespace runnel::broker::http
