// Who the client is.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/kafka/errors.h"
#include "protocol/kafka/fields.h"

namespace runnel::protocol::kafka {

struct SaslHandshakeRequest : RequestOf<ApiKey::kSaslHandshake> {
  std::string mechanism;
  void describe(Fields& f);
};

struct SaslHandshakeResponse : ResponseOf<ApiKey::kSaslHandshake> {
  KafkaError error = KafkaError::kNone;
  std::vector<std::string> mechanisms;
  void describe(Fields& f);
};

struct SaslAuthenticateRequest : RequestOf<ApiKey::kSaslAuthenticate> {
  Bytes token;
  void describe(Fields& f);
};

struct SaslAuthenticateResponse : ResponseOf<ApiKey::kSaslAuthenticate> {
  KafkaError error = KafkaError::kNone;
  std::optional<std::string> error_message;
  Bytes token;
  std::int64_t session_lifetime_ms = 0;  ///< 0: no end
  void describe(Fields& f);
};

}  // namespace runnel::protocol::kafka
