#include "tests/protocol/kafka/any_message.h"

#include "protocol/kafka/messages.h"
#include "tests/protocol/kafka/filler.h"

namespace runnel::protocol::kafka {
namespace {

template <class M>
AnyMessage any() {
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

}  // namespace

const std::vector<AnyMessage>& all_messages() {
  static const std::vector<AnyMessage> all = [] {
    std::vector<AnyMessage> list;
    for_each_exchange([&]<class E>() {
      list.push_back(any<typename E::Request>());
      list.push_back(any<typename E::Response>());
    });
    return list;
  }();
  return all;
}

}  // namespace runnel::protocol::kafka
