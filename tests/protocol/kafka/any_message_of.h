// Makes an AnyMessage of a message. In two source files, for these take long to compile.
#pragma once

#include "protocol/kafka/messages.h"
#include "tests/protocol/kafka/any_message.h"
#include "tests/protocol/kafka/filler.h"

namespace runnel::protocol::kafka {

template <class M>
[[nodiscard]] AnyMessage any_message_of() {
  AnyMessage any;
  any.api = M::kApi;
  any.side = M::kSide;
  any.fill = [](storage::SeededRandom& random, std::int16_t version) {
    Filler filler(random, version, api_info(M::kApi).is_flexible(version));
    M message;
    message.describe(filler);
    return encode_body(version, message);
  };
  any.plain = [](std::int16_t version) { return encode_body(version, M()); };
  any.check = [](Bytes body, std::int16_t version) -> Status {
    RUNNEL_TRY(decode<M>(body, version));
    return {};
  };
  any.recode = [](Bytes body, std::int16_t version) -> Result<std::string> {
    RUNNEL_TRY_ASSIGN(const M message, decode<M>(body, version));
    return encode_body(version, message);
  };
  return any;
}

/// Defined in a source file each.
void add_requests(std::vector<AnyMessage>& to);
void add_responses(std::vector<AnyMessage>& to);

}  // namespace runnel::protocol::kafka
