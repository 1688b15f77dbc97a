#include "tools/text/record_format.h"

#include <algorithm>
#include <array>

#include "protocol/text/base64.h"
#include "protocol/text/time.h"
#include "tools/text/json.h"

namespace runnel::tools {
namespace {

constexpr std::string_view kLetters = "tpoksvKSVTdhH";
constexpr std::string_view kEncodable = "kvsth";

tl::unexpected<Error> bad_format(const std::string& why) {
  return fail(ErrorCode::kInvalidArgument, "format: " + why);
}

void append_hex(std::string_view bytes, std::string& out) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// Takes the escape after a backslash from the front of `rest`.
Result<char> take_escape(std::string_view& rest) {
  if (rest.empty()) return bad_format("it ends in a lone backslash; write \\\\ for one");
  const char c = rest.front();
  rest.remove_prefix(1);
  switch (c) {
    case 'n':
      return '\n';
    case 't':
      return '\t';
    case 'r':
      return '\r';
    case '0':
      return '\0';
    case '\\':
      return '\\';
    case 'x':
      if (rest.size() >= 2 && hex_digit(rest[0]) >= 0 && hex_digit(rest[1]) >= 0) {
        const int byte = hex_digit(rest[0]) * 16 + hex_digit(rest[1]);
        rest.remove_prefix(2);
        return static_cast<char>(byte);
      }
      return bad_format("\\x needs two hexadecimal digits");
    default:
      return bad_format("unknown escape '\\" + std::string(1, c) +
                        "'; there are \\n \\t \\r \\0 \\\\ and \\xHH");
  }
}

std::string optional_size(const std::optional<std::string_view>& bytes) {
  return bytes ? std::to_string(bytes->size()) : "-1";
}

}  // namespace

void append_json_bytes(const std::optional<std::string_view>& bytes, std::string& out) {
  if (!bytes) {
    out += "null";
  } else if (is_utf8(*bytes)) {
    out += json_string(*bytes);
  } else {
    out += "{\"base64\":\"";
    protocol::append_base64(*bytes, out);
    out += "\"}";
  }
}

Status RecordFormat::parse_modifier(std::string_view& rest, Piece& piece) {
  if (!rest.starts_with('{')) return {};
  const bool time = piece.what == 'd';
  const std::size_t end = time ? rest.find("]}") : rest.find('}');
  if (end == std::string_view::npos) return bad_format("a '{' is not closed");
  const std::string_view name = rest.substr(1, end - 1);
  rest.remove_prefix(end + (time ? 2 : 1));
  if (time) {
    if (!name.starts_with("strftime[")) return bad_format("%d takes {strftime[PATTERN]} only");
    piece.text = name.substr(9);
    return {};
  }
  if (kEncodable.find(piece.what) == std::string_view::npos) {
    return bad_format("%" + std::string(1, piece.what) + " takes no {" + std::string(name) + "}");
  }
  if (name == "hex") {
    piece.encoding = Encoding::kHex;
  } else if (name == "base64") {
    piece.encoding = Encoding::kBase64;
  } else if (name == "json") {
    piece.encoding = Encoding::kJson;
  } else {
    return bad_format("unknown {" + std::string(name) + "}; there are {hex}, {base64} and {json}");
  }
  return {};
}

Result<RecordFormat> RecordFormat::parse(std::string_view text) {
  RecordFormat format;
  const auto literal = [&](char c) {
    if (format.pieces_.empty() || format.pieces_.back().what != 0) format.pieces_.emplace_back();
    format.pieces_.back().text += c;
  };
  while (!text.empty()) {
    const char c = text.front();
    text.remove_prefix(1);
    if (c == '\\') {
      RUNNEL_TRY_ASSIGN(const char escaped, take_escape(text));
      literal(escaped);
    } else if (c != '%') {
      literal(c);
    } else if (text.empty()) {
      return bad_format("it ends in a lone %; write %% for one");
    } else {
      const char letter = text.front();
      text.remove_prefix(1);
      if (letter == '%') {
        literal('%');
        continue;
      }
      if (kLetters.find(letter) == std::string_view::npos) {
        return bad_format("unknown %" + std::string(1, letter) +
                          "; there are %t %p %o %k %v %s %K %V %S %T %d %h %H and %%");
      }
      Piece piece;
      piece.what = letter;
      RUNNEL_TRY(parse_modifier(text, piece));
      format.pieces_.push_back(std::move(piece));
    }
  }
  return format;
}

void RecordFormat::encode(std::string_view bytes, Encoding encoding, std::string& out) {
  switch (encoding) {
    case Encoding::kPlain:
      out += bytes;
      break;
    case Encoding::kHex:
      append_hex(bytes, out);
      break;
    case Encoding::kBase64:
      protocol::append_base64(bytes, out);
      break;
    case Encoding::kJson:
      out += json_string(bytes);
      break;
  }
}

void RecordFormat::print_headers(const Piece& piece, const ShownRecord& record, std::string& out) {
  bool first = true;
  for (const auto& [key, value] : record.headers) {
    if (!first) out += ',';
    first = false;
    encode(key, piece.encoding == Encoding::kJson ? Encoding::kJson : Encoding::kPlain, out);
    out += '=';
    if (value) encode(*value, piece.encoding, out);
  }
}

void RecordFormat::print_piece(const Piece& piece, const ShownRecord& record, std::string& out) {
  switch (piece.what) {
    case 0:
      out += piece.text;
      break;
    case 't':
      encode(record.topic, piece.encoding, out);
      break;
    case 'p':
      out += std::to_string(record.partition);
      break;
    case 'o':
      out += std::to_string(record.offset);
      break;
    case 'k':
      if (record.key) encode(*record.key, piece.encoding, out);
      break;
    case 's':
    case 'v':
      if (record.value) encode(*record.value, piece.encoding, out);
      break;
    case 'K':
      out += optional_size(record.key);
      break;
    case 'S':
    case 'V':
      out += optional_size(record.value);
      break;
    case 'T':
      out += std::to_string(record.timestamp);
      break;
    case 'd':
      out += piece.text.empty() ? std::to_string(record.timestamp)
                                : protocol::format_time(record.timestamp, piece.text);
      break;
    case 'h':
      print_headers(piece, record, out);
      break;
    case 'H':
      out += std::to_string(record.headers.size());
      break;
    default:
      break;
  }
}

void RecordFormat::print(const ShownRecord& record, std::string& out) const {
  for (const Piece& piece : pieces_) print_piece(piece, record, out);
}

void append_json(const ShownRecord& record, std::string& out) {
  out += "{\"topic\":" + json_string(record.topic);
  out += ",\"partition\":" + std::to_string(record.partition);
  out += ",\"offset\":" + std::to_string(record.offset);
  out += ",\"timestamp\":" + std::to_string(record.timestamp);
  out += ",\"key\":";
  append_json_bytes(record.key, out);
  out += ",\"value\":";
  append_json_bytes(record.value, out);
  out += ",\"headers\":[";
  bool first = true;
  for (const auto& [key, value] : record.headers) {
    if (!first) out += ',';
    first = false;
    out += "{\"key\":" + json_string(key) + ",\"value\":";
    append_json_bytes(value, out);
    out += '}';
  }
  out += "]}";
}

void append_csv_field(std::string_view field, std::string& out) {
  if (field.find_first_of(",\"\r\n") == std::string_view::npos) {
    out += field;
    return;
  }
  out += '"';
  for (const char c : field) {
    if (c == '"') out += '"';
    out += c;
  }
  out += '"';
}

namespace {

/// One record stays one line, whatever bytes it holds: JSON's escapes, but for quotes, which need
/// none outside of JSON.
std::string one_line(std::string_view text) {
  const std::string escaped = json_string(text);
  std::string out;
  for (std::size_t i = 1; i + 1 < escaped.size(); ++i) {
    const bool escape = escaped[i] == '\\';
    if (!escape || escaped[i + 1] != '"') out += escaped[i];
    if (escape) out += escaped[++i];
  }
  return out;
}

}  // namespace

void RecordWriter::add_table_row(const ShownRecord& record, std::string& out) const {
  const auto column = [&](std::string_view text, std::size_t width) {
    out += text;
    out.append(text.size() < width ? width - text.size() : 0, ' ');
    out += "  ";
  };
  if (first_) {
    column("PARTITION", 9);
    column("OFFSET", 10);
    column("TIME", 24);
    column("KEY", 20);
    out += "VALUE\n";
  }
  column(std::to_string(record.partition), 9);
  column(std::to_string(record.offset), 10);
  column(protocol::format_time(record.timestamp), 24);
  column(record.key ? one_line(*record.key) : "--", 20);
  out += record.value ? one_line(*record.value) : "--";
  out += '\n';
}

void RecordWriter::add(const ShownRecord& record, std::string& out) {
  switch (kind_) {
    case OutputKind::kFormat:
      format_.print(record, out);
      break;
    case OutputKind::kJson:
      out += first_ ? "[\n" : ",\n";
      append_json(record, out);
      break;
    case OutputKind::kJsonLines:
      append_json(record, out);
      out += '\n';
      break;
    case OutputKind::kCsv:
      if (first_) out += "topic,partition,offset,timestamp,key,value\r\n";
      append_csv_field(record.topic, out);
      out += ',' + std::to_string(record.partition) + ',' + std::to_string(record.offset) + ',' +
             std::to_string(record.timestamp) + ',';
      append_csv_field(record.key.value_or(""), out);
      out += ',';
      append_csv_field(record.value.value_or(""), out);
      out += "\r\n";
      break;
    case OutputKind::kTable:
      add_table_row(record, out);
      break;
  }
  first_ = false;
}

void RecordWriter::finish(std::string& out) {
  if (kind_ == OutputKind::kJson) out += first_ ? "[]\n" : "\n]\n";
}

Result<RecordWriter> make_writer(const std::string& format, const std::string& output) {
  RUNNEL_TRY_ASSIGN(auto parsed, RecordFormat::parse(format.empty() ? "%v\\n" : format));
  OutputKind kind = OutputKind::kFormat;
  if (output == "json") kind = OutputKind::kJson;
  if (output == "jsonl") kind = OutputKind::kJsonLines;
  if (output == "csv") kind = OutputKind::kCsv;
  if (output == "table") kind = OutputKind::kTable;
  if (kind != OutputKind::kFormat && !format.empty()) {
    return fail(ErrorCode::kInvalidArgument, "-f and -o say the same thing differently; give one");
  }
  return RecordWriter(kind, std::move(parsed));
}

}  // namespace runnel::tools
