#include "tests/protocol/kafka/any_message_of.h"

namespace runnel::protocol::kafka {

void add_responses(std::vector<AnyMessage>& to) {
  for_each_exchange([&]<class E>() { to.push_back(any_message_of<typename E::Response>()); });
}

}  // namespace runnel::protocol::kafka
