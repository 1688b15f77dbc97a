#include "broker/net/http_call.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <exception>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "broker/net/endpoints.h"
#include "broker/net/name_lookup.h"

namespace runnel::broker {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;

constexpr int kHttp11 = 11;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
// What failed before anything was sent.
constexpr std::string_view kLookingUp = "looking up its address";
constexpr std::string_view kConnecting = "connecting";

std::string place(const HttpCall& call) {
  return call.host + ":" + std::to_string(call.port);
}

tl::unexpected<Error> failed(const HttpCall& call, std::string_view what,
                             const boost::system::error_code& error) {
  const auto code = [&] {
    if (error == beast::error::timeout) return ErrorCode::kTimeout;
    if (error == http::error::body_limit) return ErrorCode::kRecordTooLarge;
    const bool is_http = error.category() == make_error_code(http::error::bad_method).category() &&
                         error != http::error::end_of_stream;
    return is_http ? ErrorCode::kMalformed : ErrorCode::kDisconnected;
  }();
  return fail(code, place(call) + ": " + std::string(what) + ": " +
                        (code == ErrorCode::kTimeout ? "it took too long" : error.message()));
}

/// Where the call may go. Blocks.
Result<std::vector<tcp::endpoint>> endpoints_of(const HttpCall& call) {
  boost::system::error_code is_name;
  const auto address = asio::ip::make_address(call.host, is_name);
  if (!is_name) return std::vector{tcp::endpoint(address, call.port)};
  const auto found = NameLookup::system(call.host);
  if (!found) return fail(found.error().within(place(call) + ": " + std::string(kLookingUp)));
  std::vector<tcp::endpoint> out;
  for (const AddressBytes& each : *found) out.push_back(endpoint_of(each, call.port));
  return out;
}

asio::awaitable<Result<HttpReply>> perform(const HttpCall& call,
                                           const std::vector<tcp::endpoint>& endpoints) {
  beast::tcp_stream stream(co_await asio::this_coro::executor);
  stream.expires_after(call.timeout);
  const auto [unconnected, at] = co_await stream.async_connect(endpoints, kAwait);
  static_cast<void>(at);
  if (unconnected) co_return failed(call, kConnecting, unconnected);
  http::request<http::string_body> request{http::string_to_verb(call.method), call.target, kHttp11};
  request.set(http::field::host, "localhost");
  if (!call.body.empty()) request.set(http::field::content_type, "application/json");
  request.keep_alive(false);
  request.body() = call.body;
  request.prepare_payload();
  const auto [unsent, sent] = co_await http::async_write(stream, request, kAwait);
  static_cast<void>(sent);
  if (unsent) co_return failed(call, "sending", unsent);
  beast::flat_buffer buffer;
  http::response_parser<http::string_body> parser;
  parser.body_limit(kMaxHttpReplyBytes);
  const auto [unread, read] = co_await http::async_read(stream, buffer, parser, kAwait);
  static_cast<void>(read);
  if (unread) co_return failed(call, "waiting for the answer", unread);
  co_return HttpReply{parser.get().result_int(), std::move(parser.get().body())};
}

}  // namespace

Result<HttpReply> call_http(const HttpCall& call) {
  RUNNEL_TRY_ASSIGN(const auto endpoints, endpoints_of(call));
  asio::io_context context{1};
  std::optional<Result<HttpReply>> reply;
  asio::co_spawn(context, perform(call, endpoints),
                 [&](const std::exception_ptr& thrown, Result<HttpReply> answered) {
                   if (!thrown) reply = std::move(answered);
                 });
  context.run();
  if (reply) return *std::move(reply);
  return fail(ErrorCode::kDisconnected, "the request failed");
}

bool reached_nobody(const Error& error) {
  for (const std::string_view what : {kLookingUp, kConnecting}) {
    const std::string step = ": " + std::string(what) + ": ";
    if (error.message().find(step) != std::string::npos) return true;
  }
  return false;
}

}  // namespace runnel::broker
