#include "tests/broker/kafka/plausible.h"

#include "protocol/kafka/messages.h"

namespace runnel::broker {

const std::vector<PlausibleRequest>& plausible_requests() {
  static const std::vector<PlausibleRequest> all = [] {
    std::vector<PlausibleRequest> list;
    kafka::for_each_exchange([&]<class E>() {
      using Request = typename E::Request;
      list.push_back({Request::kApi, [](storage::SeededRandom& random, std::int16_t version) {
                        PlausibleFiller filler(random, version,
                                               kafka::api_info(Request::kApi).is_flexible(version));
                        Request request;
                        request.describe(filler);
                        const kafka::RequestHeader header{Request::kApi, version, 1, "test"};
                        const kafka::Frame frame = kafka::encode_request(header, request);
                        return std::string(as_text(frame.head.bytes()));
                      }});
    });
    return list;
  }();
  return all;
}

}  // namespace runnel::broker
