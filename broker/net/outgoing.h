// HTTP requests that the broker makes (webhooks), on a thread of its own. Asio, Beast and OpenSSL
// stay in outgoing.cc.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "broker/net/address_rules.h"
#include "broker/net/name_lookup.h"
#include "protocol/base/error.h"
#include "protocol/base/thread_annotations.h"

namespace runnel::broker {

struct Url {
  bool tls = false;
  std::string host;  ///< a name, or an address without brackets
  std::uint16_t port = 80;
  std::string target;  ///< path and query: at least "/"
  /// http or https, without user names and fragments. kInvalidArgument.
  [[nodiscard]] static Result<Url> parse(std::string_view text);
  /// As Host has it.
  [[nodiscard]] std::string authority() const;
};

struct OutgoingRequest {
  Url url;
  std::vector<std::pair<std::string, std::string>> headers;  ///< without Host and Content-Length
  std::string body;
  std::chrono::milliseconds timeout{10'000};  ///< from the name's lookup to the answer's head
};
struct OutgoingAnswer {
  unsigned status = 0;
  std::chrono::milliseconds retry_after{0};  ///< that the answer asks for
};

struct OutgoingOptions {
  /// Certificates in PEM of authorities that are trusted besides the system's; may be empty.
  std::string authorities = {};
  NameLookup::Resolve resolve = NameLookup::system;
};

/// kInvalidArgument: it has no certificate, or something else, too.
[[nodiscard]] Status check_authorities(const std::string& pem);

/// POSTs. A name's addresses are looked up for each request, and only those that the rules allow
/// are connected to; redirects are answers like others and not followed. Certificates are checked
/// against the system's and those of the options. Thread safe.
class Outgoing {
 public:
  explicit Outgoing(AddressRules rules, OutgoingOptions options = {});
  /// Ends what is on its way; its `done` is called with kCancelled or not at all. Does not wait for
  /// the names that are being looked up.
  ~Outgoing();
  Outgoing(const Outgoing&) = delete;
  Outgoing& operator=(const Outgoing&) = delete;

  /// `done` is called once, on the thread of this, and must not block. Errors: kUnauthorized: no
  /// address that is allowed; kOverloaded: nothing was tried, as in all its time other names were
  /// being looked up; kDisconnected, kTimeout, kMalformed.
  void send(OutgoingRequest request, std::function<void(Result<OutgoingAnswer>)> done);

 private:
  struct Impl;
  const AddressRules rules_;
  const OutgoingOptions options_;
  Mutex mutex_;
  std::unique_ptr<Impl> impl_ RUNNEL_GUARDED_BY(mutex_);  ///< from the first request on
};

}  // namespace runnel::broker
