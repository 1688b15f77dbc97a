#include "protocol/kafka/write_txn_markers.h"

namespace runnel::protocol::kafka {

void WriteTxnMarkersRequest::Topic::describe(Fields& f) {
  f(name);
  f(partitions);
  f.tags();
}
void WriteTxnMarkersRequest::Marker::describe(Fields& f) {
  f(producer_id);
  f(producer_epoch);
  f(committed);
  f(topics);
  f(coordinator_epoch);
  f(transaction_version, from(2));
  f.tags();
}
void WriteTxnMarkersRequest::describe(Fields& f) {
  f(markers);
  f.tags();
}

void WriteTxnMarkersResponse::Partition::describe(Fields& f) {
  f(index);
  f(error);
  f.tags();
}
void WriteTxnMarkersResponse::Topic::describe(Fields& f) {
  f(name);
  f(partitions);
  f.tags();
}
void WriteTxnMarkersResponse::Marker::describe(Fields& f) {
  f(producer_id);
  f(topics);
  f.tags();
}
void WriteTxnMarkersResponse::describe(Fields& f) {
  f(markers);
  f.tags();
}

}  // namespace runnel::protocol::kafka
