#include "broker/net/port.h"

#include <array>
#include <string_view>

#include "broker/net/sockets.h"
#include "protocol/base/bytes.h"

namespace runnel::broker {
namespace {

constexpr std::string_view kNativePreface = "RNL1";
/// A client that knows the broker's versions from another connection may begin with its largest
/// request: every length below 128 MiB is Kafka's. What may come at all is the session's affair.
constexpr std::byte kLastKafkaFirst{0x07};
constexpr std::byte kTlsFirst{0x16};
constexpr std::string_view kDeclinedHttpBody =
    "This is a Runnel broker. This port speaks Runnel's native protocol; HTTP is not offered yet.\n"
    "Use the `runnel` command or the client library.\n";

enum class Protocol { kUndecided, kNative, kKafka, kHttp, kTls, kUnknown };

bool is_letter(std::byte b) {
  const auto c = static_cast<unsigned char>(b);
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

Protocol protocol_of(Bytes start) {
  if (start.empty()) return Protocol::kUndecided;
  if (start[0] <= kLastKafkaFirst) return Protocol::kKafka;
  if (start[0] == kTlsFirst) return Protocol::kTls;
  const std::string_view text = as_text(start.first(std::min(start.size(), kNativePreface.size())));
  if (text == kNativePreface.substr(0, text.size())) {
    return text.size() == kNativePreface.size() ? Protocol::kNative : Protocol::kUndecided;
  }
  return is_letter(start[0]) ? Protocol::kHttp : Protocol::kUnknown;
}

/// Tells a client in its own protocol that it is not served, then closes.
class DecliningSession : public Session {
 public:
  explicit DecliningSession(Connection& connection) : connection_(connection) {}
  void shutting_down() override { connection_.close(); }

 protected:
  void answer_and_close(Bytes answer) {
    Output output;
    output.emplace_back(Buffer::copy_of(answer));
    connection_.send(std::move(output));
    connection_.close();
  }
  Connection& connection_;
};

class DecliningHttp final : public DecliningSession {
 public:
  using DecliningSession::DecliningSession;
  void received(Bytes) override {
    std::string answer =
        "HTTP/1.1 501 Not Implemented\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        "Connection: close\r\n"
        "Content-Length: " +
        std::to_string(kDeclinedHttpBody.size()) + "\r\n\r\n";
    answer += kDeclinedHttpBody;
    answer_and_close(as_bytes(answer));
  }
};

/// Reads the start of one request. ApiVersions, every client's first, is answered with the error
/// that clients understand as "no version in common"; other requests just end the connection.
class DecliningKafka final : public DecliningSession {
 public:
  using DecliningSession::DecliningSession;
  void received(Bytes data) override {
    const std::size_t take = std::min(data.size(), header_.size() - filled_);
    std::copy_n(data.begin(), take, header_.begin() + static_cast<std::ptrdiff_t>(filled_));
    filled_ += take;
    if (filled_ < header_.size()) return;
    ByteReader reader(header_);
    reader.be<std::int32_t>();  // frame length
    const auto api_key = reader.be<std::int16_t>();
    reader.be<std::int16_t>();  // version
    const auto correlation_id = reader.be<std::int32_t>();
    if (api_key != kApiVersions) return connection_.close();
    ByteWriter answer;  // response version 0, which an error always has
    answer.be(std::int32_t{10}).be(correlation_id).be(kUnsupportedVersion).be(std::int32_t{0});
    answer_and_close(answer.bytes());
  }

 private:
  static constexpr std::int16_t kApiVersions = 18;
  static constexpr std::int16_t kUnsupportedVersion = 35;
  std::array<std::byte, 12> header_{};
  std::size_t filled_ = 0;
};

class DetectingSession final : public Session {
 public:
  DetectingSession(Connection& connection, std::shared_ptr<const PortProtocols> protocols)
      : connection_(connection), protocols_(std::move(protocols)) {}

  MutableBytes receive_into() override { return inner_ ? inner_->receive_into() : MutableBytes{}; }
  void drained() override {
    if (inner_) inner_->drained();
  }
  void shutting_down() override {
    if (inner_) return inner_->shutting_down();
    connection_.close();
  }
  std::string_view overdue(std::chrono::steady_clock::time_point now) override {
    return inner_ ? inner_->overdue(now) : std::string_view{};
  }
  Session& recipient() override { return inner_ ? inner_->recipient() : *this; }
  void received(Bytes data) override {
    if (inner_) return inner_->received(data);
    if (held_ == 0) return decide(data);
    // Bytes held back come first; only a preface split by the network takes this way.
    std::vector<std::byte> all(start_.begin(), start_.begin() + static_cast<std::ptrdiff_t>(held_));
    all.insert(all.end(), data.begin(), data.end());
    decide(all);
  }

 private:
  void decide(Bytes all) {
    const Protocol protocol = protocol_of(all);
    if (protocol == Protocol::kUndecided) {
      RUNNEL_ASSERT(all.size() < kNativePreface.size());
      std::copy(all.begin(), all.end(), start_.begin());
      held_ = all.size();
      return;
    }
    inner_ = make(protocol);
    if (!inner_) return connection_.close();
    inner_->received(all);
  }

  std::unique_ptr<Session> make(Protocol protocol) {
    switch (protocol) {
      case Protocol::kNative:
        if (protocols_->native) return protocols_->native(connection_);
        log("the native protocol is not offered here");
        return nullptr;
      case Protocol::kKafka:
        if (protocols_->kafka) return protocols_->kafka(connection_);
        log("it speaks Kafka's protocol, which is not offered; use the native protocol");
        return std::make_unique<DecliningKafka>(connection_);
      case Protocol::kHttp:
        if (protocols_->http) return protocols_->http(connection_);
        log("it speaks HTTP, which is not offered; use the native protocol");
        return std::make_unique<DecliningHttp>(connection_);
      case Protocol::kTls:
        log("it speaks TLS, which is not offered; connect without it");
        return nullptr;
      case Protocol::kUnknown:
      case Protocol::kUndecided:
        break;
    }
    log("its first bytes belong to no protocol known here");
    return nullptr;
  }

  void log(std::string_view why) const {
    if (!protocols_->log) return;
    protocols_->log("declined the connection from " + to_string(connection_.remote()) + ": " +
                    std::string(why));
  }

  Connection& connection_;
  const std::shared_ptr<const PortProtocols> protocols_;
  std::unique_ptr<Session> inner_;
  std::array<std::byte, kNativePreface.size() - 1> start_{};
  std::size_t held_ = 0;
};

}  // namespace

SessionFactory detect_protocol(PortProtocols protocols) {
  auto shared = std::make_shared<const PortProtocols>(std::move(protocols));
  return [shared](Connection& connection) {
    return std::make_unique<DetectingSession>(connection, shared);
  };
}

}  // namespace runnel::broker
