#include "tools/text/json.h"

#include <boost/json.hpp>
#include <boost/json/basic_parser_impl.hpp>
#include <utility>
#include <vector>

#include "protocol/text/units.h"

namespace runnel::tools {
namespace {

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
  const auto parsed = protocol::JsonPath::parse(path);
  if (!parsed) return nullptr;
  const Node* at = &root;
  for (const protocol::JsonPath::Step& step : parsed->steps()) {
    const Node* next = nullptr;
    if (step.is_index && at->kind == Node::Kind::kArray && step.index < at->children.size()) {
      next = &at->children[step.index].node;
    }
    if (at->kind == Node::Kind::kObject) {
      // The last of several with one name, as most readers have it.
      for (const auto& [name, child] : at->children) {
        if (step.fits_member(name)) next = &child;
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

bool JsonDocument::has(std::string_view path) const {
  return find(impl_->root, path) != nullptr;
}

std::optional<std::int64_t> JsonDocument::integer_at(std::string_view path) const {
  const Node* found = find(impl_->root, path);
  if (found == nullptr || found->kind != Node::Kind::kScalar) return std::nullopt;
  const auto value = protocol::parse_integer(found->text);
  if (!value) return std::nullopt;
  return *value;
}

Status check_json_path(std::string_view path) {
  RUNNEL_TRY(protocol::JsonPath::parse(path));
  return {};
}

}  // namespace runnel::tools
