// One request of a Kafka connection, from its frame to its answer.
//
// A handler gets the call, decodes the message and answers: at once, or later from a closure given
// to on_loop(). The session sends answers in the order of the requests, whatever the order in which
// they become ready.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/kafka/service.h"
#include "broker/net/session.h"
#include "broker/sessions/blocking.h"
#include "broker/sessions/peer.h"
#include "protocol/kafka/codec.h"

namespace runnel::broker {

namespace kafka = protocol::kafka;

class KafkaSession;

/// Loop thread only, but for on_loop() and what does not change. Kept by whoever will answer it;
/// one that is dropped unanswered closes the connection.
class Call {
 public:
  Call(KafkaSession& session, KafkaService& service, std::shared_ptr<const Peer> peer,
       kafka::RequestHeader header, Buffer frame, Bytes body, MemoryLease lease,
       std::uint64_t number)
      : session_(session),
        service_(service),
        peer_(std::move(peer)),
        header_(header),
        frame_(std::move(frame)),
        body_(body),
        lease_(std::move(lease)),
        number_(number) {}
  ~Call();
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  // Any thread.
  [[nodiscard]] KafkaService& service() const noexcept { return service_; }
  [[nodiscard]] storage::Store& store() const noexcept { return service_.store(); }
  [[nodiscard]] std::int16_t version() const noexcept { return header_.version; }
  [[nodiscard]] kafka::ApiKey key() const noexcept { return header_.key; }
  [[nodiscard]] std::string client_id() const {
    return std::string(header_.client_id.value_or(std::string_view()));
  }
  [[nodiscard]] const Endpoint& remote() const noexcept { return peer_->remote; }
  /// Where this client is told to connect to.
  [[nodiscard]] Endpoint advertised() const;
  /// The request's bytes. Views in the decoded message point into them while the call lives.
  [[nodiscard]] const Buffer& frame() const noexcept { return frame_; }
  [[nodiscard]] const std::shared_ptr<Workers::Lane>& lane() const noexcept { return peer_->lane; }
  [[nodiscard]] const std::shared_ptr<MemoryShare>& share() const noexcept { return peer_->share; }
  /// Runs `work`, which may answer, on the loop thread; drops it if the connection has ended.
  void on_loop(std::function<void()> work) const { peer_->posts->push(std::move(work)); }

  /// The request's message. Nothing if it is malformed: then the connection is closed, as Kafka
  /// does, and the call is over.
  template <class M>
  [[nodiscard]] std::optional<M> decode() {
    auto message = kafka::decode<M>(body_, header_.version);
    if (message) return std::move(*message);
    malformed(message.error());
    return std::nullopt;
  }
  template <class M>
  void reply(const M& message) {
    send(kafka::encode_response(header_.correlation_id, header_.version, message), {});
  }
  /// In another version than the request's: ApiVersions only.
  template <class M>
  void reply_in_version(std::int16_t version, const M& message) {
    send(kafka::encode_response(header_.correlation_id, version, message), {});
  }
  /// The gaps of the encoded message are filled with `slices`, in order; both have as many bytes.
  template <class M>
  void reply(const M& message, std::vector<storage::FileSlice> slices) {
    send(kafka::encode_response(header_.correlation_id, header_.version, message),
         std::move(slices));
  }
  /// The request has no answer (Produce with acks=0). Its memory counts as long as the call lives.
  void reply_nothing();
  /// Ends the connection, as Kafka does in this case; `why` goes to the log.
  void close_connection(const Error& why);
  /// Called if the connection ends before the answer.
  void on_cancel(std::function<void()> cancel) { cancel_ = std::move(cancel); }

 private:
  friend class KafkaSession;
  void send(kafka::Frame frame, std::vector<storage::FileSlice> slices);
  void malformed(const Error& error);

  KafkaSession& session_;  ///< alive whenever the loop thread is in here
  KafkaService& service_;
  const std::shared_ptr<const Peer> peer_;
  const kafka::RequestHeader header_;
  const Buffer frame_;
  const Bytes body_;
  MemoryLease lease_;
  const std::uint64_t number_;
  bool answered_ = false;
  std::function<void()> cancel_;
};
using CallRef = std::shared_ptr<Call>;

}  // namespace runnel::broker
