#include "protocol/kafka/acls.h"

namespace runnel::protocol::kafka {

void DescribeAclsRequest::describe(Fields& f) {
  f(resource_type);
  f(resource_name);
  f(pattern_type, from(1));
  f(principal);
  f(host);
  f(operation);
  f(permission);
  f.tags();
}

void DescribeAclsResponse::Acl::describe(Fields& f) {
  f(principal);
  f(host);
  f(operation);
  f(permission);
  f.tags();
}
void DescribeAclsResponse::Resource::describe(Fields& f) {
  f(type);
  f(name);
  f(pattern_type, from(1));
  f(acls);
  f.tags();
}
void DescribeAclsResponse::describe(Fields& f) {
  f(throttle_time_ms);
  f(error);
  f(error_message);
  f(resources);
  f.tags();
}

void CreateAclsRequest::Acl::describe(Fields& f) {
  f(resource_type);
  f(resource_name);
  f(pattern_type, from(1));
  f(principal);
  f(host);
  f(operation);
  f(permission);
  f.tags();
}
void CreateAclsRequest::describe(Fields& f) {
  f(acls);
  f.tags();
}

void CreateAclsResponse::Result::describe(Fields& f) {
  f(error);
  f(error_message);
  f.tags();
}
void CreateAclsResponse::describe(Fields& f) {
  f(throttle_time_ms);
  f(results);
  f.tags();
}

void DeleteAclsRequest::Filter::describe(Fields& f) {
  f(resource_type);
  f(resource_name);
  f(pattern_type, from(1));
  f(principal);
  f(host);
  f(operation);
  f(permission);
  f.tags();
}
void DeleteAclsRequest::describe(Fields& f) {
  f(filters);
  f.tags();
}

void DeleteAclsResponse::Acl::describe(Fields& f) {
  f(error);
  f(error_message);
  f(resource_type);
  f(resource_name);
  f(pattern_type, from(1));
  f(principal);
  f(host);
  f(operation);
  f(permission);
  f.tags();
}
void DeleteAclsResponse::Result::describe(Fields& f) {
  f(error);
  f(error_message);
  f(acls);
  f.tags();
}
void DeleteAclsResponse::describe(Fields& f) {
  f(throttle_time_ms);
  f(results);
  f.tags();
}

}  // namespace runnel::protocol::kafka
