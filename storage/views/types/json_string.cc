#include "storage/views/types/json_string.h"

namespace runnel::storage::views {

void append_json_string(std::string_view text, std::string& out) {
  constexpr char kDigits[] = "0123456789abcdef";
  constexpr unsigned char kFirstPrintable = 0x20;
  out += '"';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out.append({'\\', c});
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (byte < kFirstPrintable) {
      out.append("\\u00").append({kDigits[byte >> 4], kDigits[byte & 0xf]});
    } else {
      out += c;
    }
  }
  out += '"';
}

}  // namespace runnel::storage::views
