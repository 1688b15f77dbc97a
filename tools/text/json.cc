#include "tools/text/json.h"

#include <array>
#include <boost/json.hpp>
#include <boost/json/basic_parser_impl.hpp>
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
      if (path.starts_with('[')) continue;
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

struct Child;

/// A value as it was written: numbers keep their digits, so that 12.34 stays 12.34.
struct Node {
  enum class Kind { kNull, kScalar, kString, kArray, kObject };
  Kind kind = Kind::kNull;
  std::string text;             ///< of a string, a number, true or false
  std::vector<Child> children;  ///< of an array without names
};
struct Child {
  std::string name;
  Node node;
};

/// Receives what Boost.JSON's parser finds and builds the tree.
struct TreeBuilder {
  static constexpr std::size_t max_object_size = std::size_t(-1);
  static constexpr std::size_t max_array_size = std::size_t(-1);
  static constexpr std::size_t max_key_size = std::size_t(-1);
  static constexpr std::size_t max_string_size = std::size_t(-1);
  using Code = boost::system::error_code;
  using Text = boost::json::string_view;

  bool on_document_begin(Code&) { return true; }
  bool on_document_end(Code&) { return true; }
  bool on_array_begin(Code&) { return open(Node::Kind::kArray); }
  bool on_array_end(std::size_t, Code&) { return close(); }
  bool on_object_begin(Code&) { return open(Node::Kind::kObject); }
  bool on_object_end(std::size_t, Code&) { return close(); }
  bool on_key_part(Text part, std::size_t, Code&) { return gather(part); }
  bool on_key(Text part, std::size_t, Code&) {
    gather(part);
    key = std::exchange(gathered, {});
    return true;
  }
  bool on_string_part(Text part, std::size_t, Code&) { return gather(part); }
  bool on_string(Text part, std::size_t, Code&) { return scalar(part, Node::Kind::kString); }
  bool on_number_part(Text part, Code&) { return gather(part); }
  bool on_int64(std::int64_t, Text part, Code&) { return scalar(part, Node::Kind::kScalar); }
  bool on_uint64(std::uint64_t, Text part, Code&) { return scalar(part, Node::Kind::kScalar); }
  bool on_double(double, Text part, Code&) { return scalar(part, Node::Kind::kScalar); }
  bool on_bool(bool value, Code&) { return scalar(value ? "true" : "false", Node::Kind::kScalar); }
  bool on_null(Code&) {
    place();
    return true;
  }
  bool on_comment_part(Text, Code&) { return true; }
  bool on_comment(Text, Code&) { return true; }

  Node root;

 private:
  bool gather(Text part) {
    gathered.append(part.data(), part.size());
    return true;
  }
  bool scalar(Text part, Node::Kind kind) {
    gather(part);
    Node& node = place();
    node.kind = kind;
    node.text = std::exchange(gathered, {});
    return true;
  }
  Node& place() {
    if (nesting.empty()) return root;
    return nesting.back()->children.emplace_back(Child{std::exchange(key, {}), {}}).node;
  }
  bool open(Node::Kind kind) {
    Node& node = place();
    node.kind = kind;
    nesting.push_back(&node);  // stays where it is: its parent grows only after it is closed
    return true;
  }
  bool close() {
    nesting.pop_back();
    return true;
  }

  std::vector<Node*> nesting;
  std::string key;
  std::string gathered;
};

const Node* find(const Node& root, std::string_view path) {
  const auto steps = parse_path(path);
  if (!steps) return nullptr;
  const Node* at = &root;
  for (const Step& step : *steps) {
    const Node* next = nullptr;
    if (step.is_index && at->kind == Node::Kind::kArray && step.index < at->children.size()) {
      next = &at->children[step.index].node;
    }
    if (!step.is_index && at->kind == Node::Kind::kObject) {
      // The last of several with one name, as most readers have it.
      for (const auto& [name, child] : at->children) {
        if (name == step.name) next = &child;
      }
    }
    if (next == nullptr) return nullptr;
    at = next;
  }
  return at;
}

void serialize(const Node& node, std::string& out) {
  const bool object = node.kind == Node::Kind::kObject;
  switch (node.kind) {
    case Node::Kind::kNull:
      out += "null";
      return;
    case Node::Kind::kScalar:
      out += node.text;
      return;
    case Node::Kind::kString:
      out += json_string(node.text);
      return;
    case Node::Kind::kArray:
    case Node::Kind::kObject:
      break;
  }
  out += object ? '{' : '[';
  bool first = true;
  for (const auto& [name, child] : node.children) {
    if (!first) out += ',';
    first = false;
    if (object) out += json_string(name) + ':';
    serialize(child, out);
  }
  out += object ? '}' : ']';
}

}  // namespace

struct JsonDocument::Impl {
  Node root;
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
  boost::json::basic_parser<TreeBuilder> parser{boost::json::parse_options()};
  const std::size_t used = parser.write_some(false, text.data(), text.size(), error);
  if (!error && used < text.size() && text.find_first_not_of(" \t\r\n", used) != text.npos) {
    return fail(ErrorCode::kInvalidArgument, "not JSON: something follows the value");
  }
  if (error) {
    return fail(ErrorCode::kInvalidArgument, "not JSON: " + error.message());
  }
  return JsonDocument(new Impl{std::move(parser.handler().root)});
}

std::optional<std::string> JsonDocument::text_at(std::string_view path) const {
  const Node* found = find(impl_->root, path);
  if (found == nullptr || found->kind == Node::Kind::kNull) return std::nullopt;
  if (found->kind == Node::Kind::kString) return found->text;
  std::string out;
  serialize(*found, out);
  return out;
}

bool JsonDocument::is_number(std::string_view path) const {
  const Node* found = find(impl_->root, path);
  return found != nullptr && found->kind == Node::Kind::kScalar && found->text != "true" &&
         found->text != "false";
}

bool JsonDocument::has(std::string_view path) const {
  return find(impl_->root, path) != nullptr;
}

std::optional<std::int64_t> JsonDocument::integer_at(std::string_view path) const {
  const Node* found = find(impl_->root, path);
  if (found == nullptr || found->kind != Node::Kind::kScalar) return std::nullopt;
  const auto value = parse_integer(found->text);
  if (!value) return std::nullopt;
  return *value;
}

Status check_json_path(std::string_view path) {
  if (parse_path(path)) return {};
  return fail(ErrorCode::kInvalidArgument,
              "'" + std::string(path) +
                  "' is no JSON path; write for example .id, .user.name or "
                  ".tags[0]");
}

}  // namespace runnel::tools
