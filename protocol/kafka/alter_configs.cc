#include "protocol/kafka/alter_configs.h"

namespace runnel::protocol::kafka {

void AlterConfigsRequest::Config::describe(Fields& f) {
  f(name);
  f(value);
  f.tags();
}
void AlterConfigsRequest::Resource::describe(Fields& f) {
  f(type);
  f(name);
  f(configs);
  f.tags();
}
void AlterConfigsRequest::describe(Fields& f) {
  f(resources);
  f(validate_only);
  f.tags();
}

void AlterConfigsResponse::Resource::describe(Fields& f) {
  f(error);
  f(error_message);
  f(type);
  f(name);
  f.tags();
}
void AlterConfigsResponse::describe(Fields& f) {
  f(throttle_time_ms);
  f(resources);
  f.tags();
}

void IncrementalAlterConfigsRequest::Config::describe(Fields& f) {
  f(name);
  f(operation);
  f(value);
  f.tags();
}
void IncrementalAlterConfigsRequest::Resource::describe(Fields& f) {
  f(type);
  f(name);
  f(configs);
  f.tags();
}
void IncrementalAlterConfigsRequest::describe(Fields& f) {
  f(resources);
  f(validate_only);
  f.tags();
}

void IncrementalAlterConfigsResponse::Resource::describe(Fields& f) {
  f(error);
  f(error_message);
  f(type);
  f(name);
  f.tags();
}
void IncrementalAlterConfigsResponse::describe(Fields& f) {
  f(throttle_time_ms);
  f(resources);
  f.tags();
}

}  // namespace runnel::protocol::kafka
