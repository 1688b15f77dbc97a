#include "protocol/kafka/common.h"

namespace runnel::protocol::kafka {

void LeaderAndEpoch::describe(Fields& f) {
  f(leader_id);
  f(leader_epoch);
  f.tags();
}

void NodeEndpoint::describe(Fields& f) {
  f(node_id);
  f(host);
  f(port);
  f(rack);
  f.tags();
}

}  // namespace runnel::protocol::kafka
