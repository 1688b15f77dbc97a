#include "protocol/filter/json_text.h"

#include <array>
#include <charconv>
#include <cstdio>

namespace runnel::protocol {
namespace {

/// Bytes of the UTF-8 sequence at the front of `text`, 0 if it is none.
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xF5   ? 0
                             : first >= 0xF0 ? 4
                             : first >= 0xE0 ? 3
                             : first >= 0xC2 ? 2
                                             : 0;
  if (length == 0 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  const unsigned char second = byte(1);
  const bool overlong = (first == 0xE0 && second < 0xA0) || (first == 0xF0 && second < 0x90);
  const bool beyond = (first == 0xED && second >= 0xA0) || (first == 0xF4 && second >= 0x90);
  return overlong || beyond ? 0 : length;
}

std::optional<std::size_t> parse_index(std::string_view text) {
  std::size_t value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// nullopt: not a path.
std::optional<std::vector<JsonPath::Step>> parse_steps(std::string_view path) {
  std::vector<JsonPath::Step> steps;
  if (!path.starts_with('.')) return std::nullopt;
  if (path == ".") return steps;
  while (!path.empty()) {
    if (path.front() == '.') {
      path.remove_prefix(1);
      if (path.starts_with('[')) continue;
      const std::size_t end = std::min(path.find_first_of(".["), path.size());
      if (end == 0) return std::nullopt;
      steps.push_back({std::string(path.substr(0, end))});
      path.remove_prefix(end);
    } else {
      const std::size_t end = path.find(']');
      if (path.front() != '[' || end == std::string_view::npos) return std::nullopt;
      const auto index = parse_index(path.substr(1, end - 1));
      if (!index) return std::nullopt;
      steps.push_back({{}, *index, true});
      path.remove_prefix(end + 1);
    }
  }
  return steps;
}

/// RFC 6901: "~1" is '/', "~0" is '~'. A number is an element's index or a member's name.
std::optional<std::vector<JsonPath::Step>> parse_pointer(std::string_view pointer) {
  std::vector<JsonPath::Step> steps;
  while (!pointer.empty()) {
    pointer.remove_prefix(1);
    const std::size_t end = std::min(pointer.find('/'), pointer.size());
    JsonPath::Step step;
    for (std::size_t i = 0; i < end; ++i) {
      if (pointer[i] != '~') {
        step.name += pointer[i];
        continue;
      }
      const char escaped = i + 1 < end ? pointer[++i] : ' ';
      if (escaped != '0' && escaped != '1') return std::nullopt;
      step.name += escaped == '0' ? '~' : '/';
    }
    const bool plain = step.name.size() == 1 || !step.name.starts_with('0');
    if (const auto index = parse_index(step.name); index && plain) {
      step.index = *index;
      step.is_index = true;
    }
    steps.push_back(std::move(step));
    pointer.remove_prefix(end);
  }
  return steps;
}

}  // namespace

std::string json_string(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    const char c = text.front();
    if (length == 0) {
      out += "\\ufffd";
    } else if (length > 1) {
      out += text.substr(0, length);
    } else if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '\r') {
      out += "\\r";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      std::array<char, 8> escaped{};
      std::snprintf(escaped.data(), escaped.size(), "\\u%04x", static_cast<unsigned>(c));
      out += escaped.data();
    } else {
      out += c;
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return out + '"';
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

Result<JsonPath> JsonPath::parse(std::string_view text) {
  auto steps = text.starts_with('/') ? parse_pointer(text) : parse_steps(text);
  if (!steps) {
    return fail(ErrorCode::kInvalidArgument,
                "'" + std::string(text) +
                    "' is no JSON path; write for example .id, .user.name or .tags[0], or the JSON "
                    "pointers /id, /user/name, /tags/0");
  }
  JsonPath path;
  path.steps_ = std::move(*steps);
  return path;
}

}  // namespace runnel::protocol
