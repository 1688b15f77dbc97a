#include "tests/protocol/kafka/any_message_of.h"

namespace runnel::protocol::kafka {

const std::vector<AnyMessage>& all_messages() {
  static const std::vector<AnyMessage> all = [] {
    std::vector<AnyMessage> list;
    add_requests(list);
    add_responses(list);
    return list;
  }();
  return all;
}

}  // namespace runnel::protocol::kafka
