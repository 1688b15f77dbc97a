#include "protocol/kafka/describe_configs.h"

namespace runnel::protocol::kafka {

void DescribeConfigsRequest::Resource::describe(Fields& f) {
  f(type);
  f(name);
  f(keys);
  f.tags();
}
void DescribeConfigsRequest::describe(Fields& f) {
  f(resources);
  f(include_synonyms, from(1));
  f(include_documentation, from(3));
  f.tags();
}

void DescribeConfigsResponse::Synonym::describe(Fields& f) {
  f(name);
  f(value);
  f(source);
  f.tags();
}
void DescribeConfigsResponse::Config::describe(Fields& f) {
  f(name);
  f(value);
  f(read_only);
  f(is_default, until(0));
  f(source, from(1));
  f(is_sensitive);
  f(synonyms, from(1));
  f(type, from(3));
  f(documentation, from(3));
  f.tags();
}
void DescribeConfigsResponse::Resource::describe(Fields& f) {
  f(error);
  f(error_message);
  f(type);
  f(name);
  f(configs);
  f.tags();
}
void DescribeConfigsResponse::describe(Fields& f) {
  f(throttle_time_ms);
  f(resources);
  f.tags();
}

}  // namespace runnel::protocol::kafka
