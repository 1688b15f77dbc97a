// All messages behind one type, for tests that are the same for each.
#pragma once

#include <string>
#include <vector>

#include "protocol/kafka/codec.h"
#include "tests/support/seeds.h"

namespace runnel::protocol::kafka {

struct AnyMessage {
  ApiKey api{};
  Side side{};
  /// The body of a message with random values.
  std::string (*fill)(storage::SeededRandom&, std::int16_t version) = nullptr;
  /// The body of a message with the values it has from the start.
  std::string (*plain)(std::int16_t version) = nullptr;
  /// Decodes and throws away.
  Status (*check)(Bytes body, std::int16_t version) = nullptr;
  /// Decodes and encodes again.
  Result<std::string> (*recode)(Bytes body, std::int16_t version) = nullptr;

  [[nodiscard]] const ApiInfo& info() const { return api_info(api); }
  [[nodiscard]] std::string name() const {
    return std::string(info().name) + (side == Side::kRequest ? " request" : " response");
  }
};

/// Requests and responses of every API.
[[nodiscard]] const std::vector<AnyMessage>& all_messages();

/// body(message, version) of every message and version, until a test fails.
template <class Body>
void for_each_message(Body body) {
  for (const AnyMessage& message : all_messages()) {
    for (std::int16_t v = message.info().min_version; v <= message.info().max_version; ++v) {
      SCOPED_TRACE(message.name() + " v" + std::to_string(v));
      body(message, v);
      if (::testing::Test::HasFailure()) return;
    }
  }
}

}  // namespace runnel::protocol::kafka
