#include "tools/text/json.h"

#include <array>
#include <boost/json.hpp>
#include <cstdio>
#include <utility>
#include <vector>

#include "tools/text/units.h"

namespace runnel::tools {
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

struct Step {
  std::string_view name;
  std::size_t index = 0;
  bool is_index = false;
};

/// nullopt: not a path.
std::optional<std::vector<Step>> parse_path(std::string_view path) {
  std::vector<Step> steps;
  if (!path.starts_with('.')) return std::nullopt;
  if (path == ".") return steps;
  while (!path.empty()) {
    if (path.front() == '.') {
      path.remove_prefix(1);
      const std::size_t end = std::min(path.find_first_of(".["), path.size());
      if (end == 0) return std::nullopt;
      steps.push_back({path.substr(0, end)});
      path.remove_prefix(end);
    } else {
      const std::size_t end = path.find(']');
      if (path.front() != '[' || end == std::string_view::npos) return std::nullopt;
      const auto index = parse_integer(path.substr(1, end - 1));
      if (!index || *index < 0) return std::nullopt;
      steps.push_back({{}, static_cast<std::size_t>(*index), true});
      path.remove_prefix(end + 1);
    }
  }
  return steps;
}

const boost::json::value* find(const boost::json::value& root, std::string_view path) {
  const auto steps = parse_path(path);
  if (!steps) return nullptr;
  const boost::json::value* at = &root;
  for (const Step& step : *steps) {
    if (step.is_index) {
      at = at->is_array() ? at->as_array().if_contains(step.index) : nullptr;
    } else {
      at = at->is_object() ? at->as_object().if_contains(step.name) : nullptr;
    }
    if (at == nullptr) return nullptr;
  }
  return at;
}

}  // namespace

struct JsonDocument::Impl {
  boost::json::value root;
};

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

JsonDocument::JsonDocument(Impl* impl) : impl_(impl) {}
JsonDocument::JsonDocument(JsonDocument&& other) noexcept
    : impl_(std::exchange(other.impl_, nullptr)) {}
JsonDocument& JsonDocument::operator=(JsonDocument&& other) noexcept {
  std::swap(impl_, other.impl_);
  return *this;
}
JsonDocument::~JsonDocument() {
  delete impl_;
}

Result<JsonDocument> JsonDocument::parse(std::string_view text) {
  boost::system::error_code error;
  boost::json::stream_parser parser;
  const std::size_t used = parser.write_some(text.data(), text.size(), error);
  if (!error && used < text.size() && text.find_first_not_of(" \t\r\n", used) != text.npos) {
    return fail(ErrorCode::kInvalidArgument, "not JSON: something follows the value");
  }
  if (!error) parser.finish(error);
  if (error) {
    return fail(ErrorCode::kInvalidArgument, "not JSON: " + error.message());
  }
  return JsonDocument(new Impl{parser.release()});
}

std::optional<std::string> JsonDocument::text_at(std::string_view path) const {
  const boost::json::value* found = find(impl_->root, path);
  if (found == nullptr || found->is_null()) return std::nullopt;
  if (found->is_string()) return std::string(found->as_string());
  return boost::json::serialize(*found);
}

bool JsonDocument::has(std::string_view path) const {
  return find(impl_->root, path) != nullptr;
}

std::optional<std::int64_t> JsonDocument::integer_at(std::string_view path) const {
  const boost::json::value* found = find(impl_->root, path);
  if (found == nullptr || !found->is_int64()) return std::nullopt;
  return found->as_int64();
}

Status check_json_path(std::string_view path) {
  if (parse_path(path)) return {};
  return fail(ErrorCode::kInvalidArgument,
              "'" + std::string(path) +
                  "' is no JSON path; write for example .id, .user.name or "
                  ".tags[0]");
}

}  // namespace runnel::tools
