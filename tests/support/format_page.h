// The worked examples of docs/formats, for the tests that hold the code against them.
#pragma once

#include <fstream>
#include <sstream>
#include <string>
#include <string_view>

namespace runnel {

/// The bytes, in hex, of the block "```hex NAME" of the page at `path`; what follows a '|' in a
/// line is a remark. Empty: there is no such block.
inline std::string hex_of_page(const std::string& path, const std::string& name) {
  std::ifstream file(path);
  std::string line;
  std::string hex;
  bool inside = false;
  while (std::getline(file, line)) {
    if (line.starts_with("```")) {
      inside = line == "```hex " + name;
      continue;
    }
    if (!inside) continue;
    std::istringstream words(line.substr(0, line.find('|')));
    for (std::string word; words >> word;) hex += word;
  }
  return hex;
}

inline std::string to_hex(std::string_view bytes) {
  std::string hex;
  for (const char c : bytes) {
    constexpr char kDigits[] = "0123456789abcdef";
    hex += kDigits[static_cast<unsigned char>(c) >> 4];
    hex += kDigits[static_cast<unsigned char>(c) & 15];
  }
  return hex;
}

}  // namespace runnel
