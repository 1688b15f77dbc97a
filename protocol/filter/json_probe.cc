#include "protocol/filter/json_probe.h"

#include <boost/json.hpp>
#include <boost/json/basic_parser_impl.hpp>

namespace runnel::protocol {
namespace {

/// How far the containers that are open lie on a path, and what was found at its end.
struct Trace {
  const std::vector<JsonPath::Step>* steps = nullptr;
  std::size_t matched = 0;          ///< steps that lead to open containers
  std::size_t captured_within = 0;  ///< containers open where the one began that is being copied
  bool copies = false;              ///< a container is being copied
  std::optional<JsonFound> found;
};

/// Receives what Boost.JSON's parser finds and keeps only what a path leads to.
class Probe {
 public:
  static constexpr std::size_t max_object_size = std::size_t(-1);
  static constexpr std::size_t max_array_size = std::size_t(-1);
  static constexpr std::size_t max_key_size = std::size_t(-1);
  static constexpr std::size_t max_string_size = std::size_t(-1);
  using Code = boost::system::error_code;
  using Text = boost::json::string_view;

  Probe(std::span<const JsonPath> paths, std::size_t most_bytes) : left_(most_bytes) {
    for (const JsonPath& path : paths) {
      Trace trace;
      trace.steps = &path.steps();
      traces_.push_back(std::move(trace));
    }
  }

  bool on_document_begin(Code&) { return true; }
  bool on_document_end(Code&) { return true; }
  bool on_object_begin(Code& code) { return open('{', code); }
  bool on_object_end(std::size_t, Code& code) { return close('}', code); }
  bool on_array_begin(Code& code) { return open('[', code); }
  bool on_array_end(std::size_t, Code& code) { return close(']', code); }
  bool on_key_part(Text part, std::size_t, Code&) { return gather(part); }
  bool on_key(Text part, std::size_t, Code&) {
    gather(part);
    key_.swap(gathered_);
    gathered_.clear();
    return true;
  }
  bool on_string_part(Text part, std::size_t, Code&) { return gather(part); }
  bool on_string(Text part, std::size_t, Code& code) { return scalar(part, Kind::kString, code); }
  bool on_number_part(Text part, Code&) { return gather(part); }
  bool on_int64(std::int64_t, Text part, Code& code) { return scalar(part, Kind::kNumber, code); }
  bool on_uint64(std::uint64_t, Text part, Code& code) { return scalar(part, Kind::kNumber, code); }
  bool on_double(double, Text part, Code& code) { return scalar(part, Kind::kNumber, code); }
  bool on_bool(bool value, Code& code) {
    return scalar(value ? "true" : "false", Kind::kWord, code);
  }
  bool on_null(Code& code) { return scalar("null", Kind::kNull, code); }
  bool on_comment_part(Text, Code&) { return true; }
  bool on_comment(Text, Code&) { return true; }

  [[nodiscard]] bool has_too_much() const noexcept { return too_much_; }
  [[nodiscard]] std::vector<std::optional<JsonFound>> take() {
    std::vector<std::optional<JsonFound>> out;
    for (Trace& trace : traces_) out.push_back(std::move(trace.found));
    return out;
  }

 private:
  enum class Kind { kString, kNumber, kWord, kNull };
  struct Container {
    bool is_object = false;
    std::size_t next_index = 0;
  };

  bool gather(Text part) {
    gathered_.append(part.data(), part.size());
    return true;
  }

  /// Whether the value that begins now is the path's next step, or its end.
  [[nodiscard]] bool follows(const Trace& trace) const {
    if (open_.empty()) return true;
    if (trace.matched + 1 != open_.size() || trace.matched == trace.steps->size()) return false;
    const JsonPath::Step& step = (*trace.steps)[trace.matched];
    const Container& within = open_.back();
    return within.is_object ? step.fits_member(key_) : step.fits_element(within.next_index);
  }
  /// Whether a value that follows() is what the path asks for.
  [[nodiscard]] bool ends(const Trace& trace) const {
    return trace.steps->size() == (open_.empty() ? 0 : trace.matched + 1);
  }

  bool add(Trace& trace, std::string_view text, Code& code) {
    if (text.size() > left_) {
      too_much_ = true;
      code = boost::json::error::incomplete;
      return false;
    }
    left_ -= text.size();
    trace.found->text += text;
    return true;
  }
  /// What stands before a value or key within a container that is copied.
  bool separate(Trace& trace, Code& code) {
    const std::string& text = trace.found->text;
    const bool first = text.empty() || text.back() == '{' || text.back() == '[';
    if (!first && !add(trace, ",", code)) return false;
    if (open_.back().is_object) return add(trace, json_string(key_) + ':', code);
    return true;
  }

  bool scalar(Text part, Kind kind, Code& code) {
    gather(part);
    for (Trace& trace : traces_) {
      if (trace.copies) {
        const std::string text = kind == Kind::kString ? json_string(gathered_) : gathered_;
        if (!separate(trace, code) || !add(trace, text, code)) return false;
      } else if (follows(trace)) {
        trace.found.reset();
        if (!ends(trace) || kind == Kind::kNull) continue;
        JsonFound& found = trace.found.emplace();
        found.is_number = kind == Kind::kNumber;
        found.is_text = kind == Kind::kString;
        if (!add(trace, gathered_, code)) return false;
      }
    }
    gathered_.clear();
    value_done();
    return true;
  }

  bool open(char bracket, Code& code) {
    for (Trace& trace : traces_) {
      if (trace.copies) {
        if (!separate(trace, code) || !add(trace, std::string(1, bracket), code)) return false;
      } else if (follows(trace)) {
        trace.found.reset();
        if (ends(trace)) {
          trace.found.emplace();
          trace.copies = true;
          trace.captured_within = open_.size();
          if (!add(trace, std::string(1, bracket), code)) return false;
        } else if (!open_.empty()) {
          ++trace.matched;
        }
      }
    }
    open_.push_back({bracket == '{'});
    return true;
  }

  bool close(char bracket, Code& code) {
    open_.pop_back();
    for (Trace& trace : traces_) {
      if (trace.copies) {
        if (!add(trace, std::string(1, bracket), code)) return false;
        trace.copies = open_.size() != trace.captured_within;
      } else if (trace.matched > 0 && trace.matched >= open_.size()) {
        --trace.matched;
      }
    }
    value_done();
    return true;
  }

  void value_done() {
    if (!open_.empty()) ++open_.back().next_index;
  }

  std::vector<Trace> traces_;
  std::vector<Container> open_;
  std::string key_;
  std::string gathered_;
  std::size_t left_;
  bool too_much_ = false;
};

}  // namespace

Result<std::vector<std::optional<JsonFound>>> find_in_json(std::string_view text,
                                                           std::span<const JsonPath> paths) {
  boost::system::error_code error;
  boost::json::parse_options options;
  options.max_depth = kMaxJsonDepth;
  boost::json::basic_parser<Probe> parser(options, paths, 2 * text.size() + kJsonFoundBytes);
  const std::size_t used = parser.write_some(false, text.data(), text.size(), error);
  if (parser.handler().has_too_much()) {
    return fail(ErrorCode::kInvalidArgument, "the JSON paths find too much: they overlap");
  }
  if (error) return fail(ErrorCode::kInvalidArgument, "not JSON: " + error.message());
  if (text.find_first_not_of(" \t\r\n", used) != std::string_view::npos) {
    return fail(ErrorCode::kInvalidArgument, "not JSON: something follows the value");
  }
  return parser.handler().take();
}

}  // namespace runnel::protocol
