#include "protocol/kafka/log_dirs.h"

namespace runnel::protocol::kafka {

void AlterReplicaLogDirsRequest::Topic::describe(Fields& f) {
  f(name);
  f(partitions);
  f.tags();
}
void AlterReplicaLogDirsRequest::Directory::describe(Fields& f) {
  f(path);
  f(topics);
  f.tags();
}
void AlterReplicaLogDirsRequest::describe(Fields& f) {
  f(directories);
  f.tags();
}

void AlterReplicaLogDirsResponse::Partition::describe(Fields& f) {
  f(index);
  f(error);
  f.tags();
}
void AlterReplicaLogDirsResponse::Topic::describe(Fields& f) {
  f(name);
  f(partitions);
  f.tags();
}
void AlterReplicaLogDirsResponse::describe(Fields& f) {
  f(throttle_time_ms);
  f(topics);
  f.tags();
}

void DescribeLogDirsRequest::Topic::describe(Fields& f) {
  f(name);
  f(partitions);
  f.tags();
}
void DescribeLogDirsRequest::describe(Fields& f) {
  f(topics);
  f.tags();
}

void DescribeLogDirsResponse::Partition::describe(Fields& f) {
  f(index);
  f(size_bytes);
  f(offset_lag);
  f(is_future);
  f.tags();
}
void DescribeLogDirsResponse::Topic::describe(Fields& f) {
  f(name);
  f(partitions);
  f.tags();
}
void DescribeLogDirsResponse::Directory::describe(Fields& f) {
  f(error);
  f(path);
  f(topics);
  f(total_bytes, from(4));
  f(usable_bytes, from(4));
  f(is_cordoned, from(5));
  f.tags();
}
void DescribeLogDirsResponse::describe(Fields& f) {
  f(throttle_time_ms);
  f(error, from(3));
  f(directories);
  f.tags();
}

}  // namespace runnel::protocol::kafka
