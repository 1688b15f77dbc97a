#include "broker/net/outgoing.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <boost/none.hpp>
#include <climits>
#include <exception>
#include <optional>
#include <thread>

#include "broker/net/endpoints.h"
#include "protocol/text/units.h"

namespace runnel::broker {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using Answered = Result<OutgoingAnswer>;

constexpr std::uint16_t kHttpPort = 80;
constexpr std::uint16_t kHttpsPort = 443;
constexpr std::size_t kMaxUrlBytes = 2048;
constexpr std::uint32_t kMaxAnswerHeadBytes = 16u << 10;
constexpr int kHttp11 = 11;
/// Answers of 1xx before the one that counts.
constexpr int kMaxInterimAnswers = 16;
constexpr unsigned kSwitchingProtocols = 101;  // nothing in HTTP follows it
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

tl::unexpected<Error> no_url(std::string_view text, std::string_view why) {
  return fail(ErrorCode::kInvalidArgument,
              "'" + std::string(text) + "' can't be called: " + std::string(why));
}

tl::unexpected<Error> failed(const Url& url, std::string_view what,
                             const boost::system::error_code& error) {
  const bool late = error == beast::error::timeout;
  return fail(late ? ErrorCode::kTimeout : ErrorCode::kDisconnected,
              url.authority() + ": " + std::string(what) + ": " +
                  (late ? "it took too long" : error.message()));
}

tl::unexpected<Error> untrusted(const Url& url, long why) {
  return fail(ErrorCode::kDisconnected,
              url.authority() +
                  ": TLS: its certificate is not trusted: " + X509_verify_cert_error_string(why) +
                  "; authorities besides the system's are named by the broker's option webhook-ca");
}

/// The certificate has to be the host's. Addresses are not told to the other side: TLS names names.
bool expect(SSL& tls, const std::string& host) {
  X509_VERIFY_PARAM* const wanted = ::SSL_get0_param(&tls);
  if (parse_address(host)) return ::X509_VERIFY_PARAM_set1_ip_asc(wanted, host.c_str()) == 1;
  ::X509_VERIFY_PARAM_set_hostflags(wanted, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  return ::X509_VERIFY_PARAM_set1_host(wanted, host.data(), host.size()) == 1 &&
         SSL_set_tlsext_host_name(&tls, host.c_str()) == 1;
}

http::request<http::string_body> message_of(OutgoingRequest& request) {
  http::request<http::string_body> out{http::verb::post, request.url.target, kHttp11};
  out.set(http::field::host, request.url.authority());
  for (const auto& [name, value] : request.headers) out.set(name, value);
  out.keep_alive(false);
  out.body() = std::move(request.body);
  out.prepare_payload();
  return out;
}

/// Retry-After in seconds; as a date it is not looked at.
std::chrono::milliseconds retry_after(const http::fields& fields) {
  constexpr std::int64_t kMost = 24 * 3600;
  const auto found = fields.find(http::field::retry_after);
  if (found == fields.end()) return {};
  const std::string_view text(found->value().data(), found->value().size());
  const auto seconds = protocol::parse_integer(text);
  if (!seconds || *seconds < 0) return {};
  return std::chrono::seconds(std::min(*seconds, kMost));
}

/// Sends the request and reads the answer's head; what follows is of no interest, however long it
/// says it is.
template <class Stream>
asio::awaitable<Answered> exchange(Stream& stream, OutgoingRequest& request) {
  const auto message = message_of(request);
  const auto [unsent, sent] = co_await http::async_write(stream, message, kAwait);
  static_cast<void>(sent);
  if (unsent) co_return failed(request.url, "sending", unsent);
  beast::flat_buffer buffer(kMaxAnswerHeadBytes);
  for (int interim = 0; interim <= kMaxInterimAnswers; ++interim) {
    http::response_parser<http::empty_body> parser;
    parser.header_limit(kMaxAnswerHeadBytes);
    parser.body_limit(boost::none);
    const auto [unread, read] = co_await http::async_read_header(stream, buffer, parser, kAwait);
    static_cast<void>(read);
    if (unread) co_return failed(request.url, "waiting for the answer", unread);
    const unsigned status = parser.get().result_int();
    const bool more_comes = status < 200 && status != kSwitchingProtocols;
    if (!more_comes) co_return OutgoingAnswer{status, retry_after(parser.get())};
  }
  co_return fail(ErrorCode::kMalformed, request.url.authority() +
                                            ": waiting for the answer: it says again and again "
                                            "that it will come");
}

/// Used on the thread of Outgoing alone.
struct Client {
  const AddressRules& rules;
  NameLookup& names;
  const std::string& authorities;
  std::optional<asio::ssl::context> context = {};

  /// Reading the system's certificates takes time and memory, and many need none.
  asio::ssl::context& tls() {
    if (context) return *context;
    context.emplace(asio::ssl::context::tls_client);
    boost::system::error_code none;  // without certificates every handshake says so
    static_cast<void>(context->set_default_verify_paths(none));
    if (!authorities.empty()) {
      static_cast<void>(context->add_certificate_authority(asio::buffer(authorities), none));
    }
    context->set_verify_mode(asio::ssl::verify_peer);
    return *context;
  }
};

using Deadline = std::chrono::steady_clock::time_point;

asio::awaitable<Result<NameLookup::Addresses>> look_up(NameLookup& names, const Url& url,
                                                       Deadline deadline) {
  struct Pending {
    asio::steady_timer timer;
    std::optional<Result<NameLookup::Addresses>> found;
  };
  const auto executor = co_await asio::this_coro::executor;
  const auto pending =
      std::make_shared<Pending>(Pending{asio::steady_timer(executor, deadline), std::nullopt});
  const std::uint64_t ticket =
      names.start(url.host, [pending, executor](Result<NameLookup::Addresses> found) {
        asio::post(executor, [pending, found = std::move(found)]() mutable {
          pending->found = std::move(found);
          pending->timer.cancel();
        });
      });
  static_cast<void>(co_await pending->timer.async_wait(kAwait));
  if (pending->found) co_return std::move(*pending->found);
  if (names.cancel(url.host, ticket)) co_return fail(ErrorCode::kTimeout, "it took too long");
  co_return fail(ErrorCode::kOverloaded,
                 "its turn did not come, as other names take too long; it is tried again");
}

/// The addresses of the host that may be called.
asio::awaitable<Result<std::vector<tcp::endpoint>>> resolve(Client& client, const Url& url,
                                                            Deadline deadline) {
  Result<NameLookup::Addresses> found;
  boost::system::error_code is_name;
  const auto address = asio::ip::make_address(url.host, is_name);
  if (is_name) {
    found = co_await look_up(client.names, url, deadline);
  } else {
    found = NameLookup::Addresses{bytes_of(address)};
  }
  if (!found) {
    co_return fail(found.error().within(url.authority() + ": looking up its address"));
  }
  std::vector<tcp::endpoint> allowed;
  std::string refused;
  for (const AddressBytes& each : *found) {
    const tcp::endpoint endpoint = endpoint_of(each, url.port);
    if (client.rules.allow(each)) {
      allowed.push_back(endpoint);
    } else {
      refused += (refused.empty() ? "" : ", ") + endpoint.address().to_string();
    }
  }
  if (!allowed.empty()) co_return allowed;
  co_return fail(ErrorCode::kUnauthorized,
                 url.host + " is " + refused +
                     ", which this broker may not call; its option webhook-allow says what it may");
}

asio::awaitable<Answered> perform(Client& client, OutgoingRequest request) {
  const Deadline deadline = std::chrono::steady_clock::now() + request.timeout;
  const auto endpoints = co_await resolve(client, request.url, deadline);
  if (!endpoints) co_return fail(endpoints.error());
  beast::tcp_stream stream(co_await asio::this_coro::executor);
  stream.expires_at(deadline);
  const auto [unconnected, at] = co_await stream.async_connect(*endpoints, kAwait);
  static_cast<void>(at);
  if (unconnected) co_return failed(request.url, "connecting", unconnected);
  if (!request.url.tls) co_return co_await exchange(stream, request);
  beast::ssl_stream<beast::tcp_stream> secure(std::move(stream), client.tls());
  if (!expect(*secure.native_handle(), request.url.host)) {
    co_return no_url(request.url.host, "TLS can't name it");
  }
  const auto [unsafe] = co_await secure.async_handshake(asio::ssl::stream_base::client, kAwait);
  const long verified = SSL_get_verify_result(secure.native_handle());
  if (unsafe && verified != X509_V_OK) co_return untrusted(request.url, verified);
  if (unsafe) co_return failed(request.url, "TLS", unsafe);
  co_return co_await exchange(secure, request);
}

}  // namespace

Result<Url> Url::parse(std::string_view text) {
  Url out;
  std::string_view rest = text;
  if (text.size() > kMaxUrlBytes) return no_url(text.substr(0, 40), "it is too long");
  const auto is_plain = [](char c) { return c > ' ' && c < 0x7f; };
  if (!std::all_of(text.begin(), text.end(), is_plain)) {
    return no_url(text, "a URL is printable ASCII; percent-encode what is not");
  }
  out.tls = rest.starts_with("https://");
  if (!out.tls && !rest.starts_with("http://")) {
    return no_url(text, "it has to begin with https:// or http://");
  }
  rest.remove_prefix(out.tls ? 8 : 7);
  const std::size_t end = std::min(rest.find_first_of("/?#"), rest.size());
  std::string_view authority = rest.substr(0, end);
  out.target = rest.substr(end);
  if (!out.target.starts_with('/')) out.target.insert(0, "/");
  if (out.target.find('#') != std::string::npos) return no_url(text, "it has a fragment");
  if (authority.find('@') != std::string_view::npos) {
    return no_url(text, "it has a user name, which is not sent; sign requests with a secret");
  }
  const bool bracketed = authority.starts_with('[');
  const std::size_t close = bracketed ? authority.find(']') : std::string_view::npos;
  if (bracketed && close == std::string_view::npos) return no_url(text, "it has no host");
  const std::size_t colon = authority.find(':', bracketed ? close : 0);
  out.host = authority.substr(bracketed ? 1 : 0, bracketed ? close - 1 : colon);
  if (bracketed && !parse_address(out.host)) return no_url(text, "it has no host");
  out.port = out.tls ? kHttpsPort : kHttpPort;
  if (colon != std::string_view::npos) {
    const auto port = protocol::parse_integer(authority.substr(colon + 1));
    if (!port || *port < 1 || *port > UINT16_MAX) return no_url(text, "its port is none");
    out.port = static_cast<std::uint16_t>(*port);
  }
  if (out.host.empty()) return no_url(text, "it has no host");
  return out;
}

std::string Url::authority() const {
  std::string out = host.find(':') != std::string::npos ? "[" + host + "]" : host;
  if (port != (tls ? kHttpsPort : kHttpPort)) out += ":" + std::to_string(port);
  return out;
}

Status check_authorities(const std::string& pem) {
  const std::unique_ptr<BIO, decltype(&::BIO_free)> in(
      ::BIO_new_mem_buf(pem.data(), static_cast<int>(std::min<std::size_t>(pem.size(), INT_MAX))),
      ::BIO_free);
  std::size_t count = 0;
  for (;; ++count) {
    const std::unique_ptr<X509, decltype(&::X509_free)> certificate(
        in ? ::PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr) : nullptr, ::X509_free);
    if (!certificate) break;
  }
  const bool at_end = ERR_GET_REASON(::ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  ::ERR_clear_error();
  if (count > 0 && at_end) return {};
  return fail(ErrorCode::kInvalidArgument,
              count == 0
                  ? "there is no certificate in it; it has to be PEM (-----BEGIN CERTIFICATE)"
                  : "what follows its certificate " + std::to_string(count) + " is damaged");
}

struct Outgoing::Impl {
  Impl(const AddressRules& allowed, const OutgoingOptions& options)
      : names(options.resolve), client{allowed, names, options.authorities} {
    thread = std::thread([this] { context.run(); });
  }
  ~Impl() {
    context.stop();
    thread.join();
  }

  asio::io_context context{1};
  NameLookup names;  ///< goes before the context: who waits for a name has a timer of it
  Client client;
  asio::executor_work_guard<asio::io_context::executor_type> work{context.get_executor()};
  std::thread thread;
};

Outgoing::Outgoing(AddressRules rules, OutgoingOptions options)
    : rules_(std::move(rules)), options_(std::move(options)) {}

Outgoing::~Outgoing() = default;

void Outgoing::send(OutgoingRequest request, std::function<void(Result<OutgoingAnswer>)> done) {
  MutexLock lock(mutex_);
  if (!impl_) impl_ = std::make_unique<Impl>(rules_, options_);
  asio::co_spawn(impl_->context, perform(impl_->client, std::move(request)),
                 [done = std::move(done)](const std::exception_ptr& thrown, Answered answered) {
                   done(thrown ? Answered(fail(ErrorCode::kDisconnected, "the request failed"))
                               : std::move(answered));
                 });
}

}  // namespace runnel::broker
