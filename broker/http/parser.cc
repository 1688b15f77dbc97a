#include "broker/http/parser.h"

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <cctype>

#include "broker/http/limits.h"

namespace runnel::broker::http {
namespace {

namespace beast = boost::beast;
using Code = beast::error_code;
using Text = beast::string_view;
using BeastError = beast::http::error;

std::string_view view(Text text) {
  return {text.data(), text.size()};
}

Problem malformed(std::string detail) {
  return problem(400, "malformed_request", std::move(detail));
}

Problem too_many_header_bytes() {
  return problem(431, "header_too_large",
                 "the request's line and headers have more than " +
                     std::to_string(kMaxHeaderBytes) + " bytes; send fewer or shorter ones");
}

/// What Beast found wrong, with what would be right.
Problem refusal(const Code& code) {
  if (code == BeastError::header_limit) return too_many_header_bytes();
  if (code == BeastError::bad_version) {
    return malformed("the request line does not end with HTTP/1.1 or HTTP/1.0, followed by CR LF");
  }
  if (code == BeastError::bad_line_ending) {
    return malformed("a line does not end with CR LF");
  }
  if (code == BeastError::bad_content_length || code == BeastError::multiple_content_length) {
    return malformed(
        "Content-Length has to be one number, and there must be none beside Transfer-Encoding");
  }
  if (code == BeastError::bad_transfer_encoding) {
    return malformed("Transfer-Encoding may only be chunked, once, without Content-Length");
  }
  return malformed("this is no HTTP request: " + code.message());
}

/// Beast takes folded headers; nobody should send them (RFC 9112, 5.2).
bool has_folded_header(std::string_view head) {
  return head.find("\r\n ") != std::string_view::npos ||
         head.find("\r\n\t") != std::string_view::npos;
}

class Parser final : public beast::http::basic_parser<true> {
 public:
  Parser() {
    header_limit(static_cast<std::uint32_t>(kMaxHeaderBytes));
    body_limit(boost::none);  // the session's, which knows the route
  }
  Request request;
  std::optional<Problem> refused;
  bool skips_body = false;

 private:
  void refuse(Code& code, Problem why) {
    refused = std::move(why);
    code = BeastError::bad_value;
  }
  void on_request_impl(beast::http::verb, Text method, Text target, int version,
                       Code& code) override {
    request.method = method_named(view(method));
    request.http11 = version == 11;
    if (target.size() > kMaxTargetBytes) {
      return refuse(code, problem(414, "target_too_long",
                                  "the request's path and query have more than " +
                                      std::to_string(kMaxTargetBytes) + " bytes; shorten them"));
    }
    request.target.assign(target.data(), target.size());
  }
  void on_response_impl(int, Text, int, Code&) override {}
  void on_field_impl(beast::http::field, Text name, Text value, Code& code) override {
    if (headers_done_) return;  // trailers say nothing that is needed here
    if (request.headers.size() >= kMaxHeaders) {
      return refuse(code, problem(431, "too_many_headers",
                                  "the request has more than " + std::to_string(kMaxHeaders) +
                                      " headers; send fewer"));
    }
    std::string lower(name.data(), name.size());
    for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    request.headers.push_back({std::move(lower), std::string(value.data(), value.size())});
  }
  void on_header_impl(Code& code) override {
    headers_done_ = true;
    request.keep_alive = keep_alive();
    if (request.count("content-length") > 1) {
      return refuse(code, malformed("there is more than one Content-Length"));
    }
    const std::string* coding = request.header("transfer-encoding");
    if (coding == nullptr) return;
    const bool only_chunked = chunked() && media_type(*coding) == "chunked";
    if (!only_chunked || request.count("transfer-encoding") > 1 || !request.http11) {
      refuse(code, malformed("Transfer-Encoding may only be chunked, once, of HTTP/1.1"));
    }
  }
  void on_body_init_impl(boost::optional<std::uint64_t> const&, Code&) override {}
  std::size_t on_body_impl(Text body, Code&) override {
    if (!skips_body) request.body.append(body.data(), body.size());
    return body.size();
  }
  void on_chunk_header_impl(std::uint64_t, Text, Code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, Text body, Code& code) override {
    return on_body_impl(body, code);
  }
  void on_finish_impl(Code&) override {}

  bool headers_done_ = false;
};

}  // namespace

struct RequestParser::Impl {
  Parser parser;
};

RequestParser::RequestParser() : impl_(std::make_unique<Impl>()) {}
RequestParser::~RequestParser() = default;

RequestParser::Step RequestParser::put(std::string_view bytes) {
  Parser& parser = impl_->parser;
  Step step;
  const bool was_head = !parser.is_header_done();
  if (was_head && has_folded_header(bytes.substr(0, bytes.find("\r\n\r\n")))) {
    step.refused = malformed("a header goes on in a second line; write it in one");
    return step;
  }
  Code code;
  step.used = parser.put({bytes.data(), bytes.size()}, code);
  if (code && code != BeastError::need_more) {
    step.refused = parser.refused ? std::move(parser.refused) : refusal(code);
    return step;
  }
  // What Beast waits for the end of: a head, the line before a chunk, trailers.
  if (bytes.size() - step.used > kMaxHeaderBytes && code == BeastError::need_more) {
    step.refused = too_many_header_bytes();
  }
  return step;
}

bool RequestParser::head_done() const noexcept {
  return impl_->parser.is_header_done();
}
bool RequestParser::done() const noexcept {
  return impl_->parser.is_done();
}
Request& RequestParser::request() noexcept {
  return impl_->parser.request;
}
std::optional<std::uint64_t> RequestParser::content_length() const {
  if (impl_->parser.chunked()) return std::nullopt;
  return impl_->parser.content_length().value_or(0);
}
bool RequestParser::has_body() const {
  return !content_length() || *content_length() > 0;
}
void RequestParser::skip_body() noexcept {
  impl_->parser.skips_body = true;
}

}  // namespace runnel::broker::http
