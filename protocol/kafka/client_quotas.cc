#include "protocol/kafka/client_quotas.h"

namespace runnel::protocol::kafka {

void QuotaEntity::describe(Fields& f) {
  f(type);
  f(name);
  f.tags();
}

void DescribeClientQuotasRequest::Component::describe(Fields& f) {
  f(entity_type);
  f(match_type);
  f(match);
  f.tags();
}
void DescribeClientQuotasRequest::describe(Fields& f) {
  f(components);
  f(strict);
  f.tags();
}

void DescribeClientQuotasResponse::Value::describe(Fields& f) {
  f(key);
  f(value);
  f.tags();
}
void DescribeClientQuotasResponse::Entry::describe(Fields& f) {
  f(entity);
  f(values);
  f.tags();
}
void DescribeClientQuotasResponse::describe(Fields& f) {
  f(throttle_time_ms);
  f(error);
  f(error_message);
  f(entries);
  f.tags();
}

void AlterClientQuotasRequest::Operation::describe(Fields& f) {
  f(key);
  f(value);
  f(remove);
  f.tags();
}
void AlterClientQuotasRequest::Entry::describe(Fields& f) {
  f(entity);
  f(operations);
  f.tags();
}
void AlterClientQuotasRequest::describe(Fields& f) {
  f(entries);
  f(validate_only);
  f.tags();
}

void AlterClientQuotasResponse::Entry::describe(Fields& f) {
  f(error);
  f(error_message);
  f(entity);
  f.tags();
}
void AlterClientQuotasResponse::describe(Fields& f) {
  f(throttle_time_ms);
  f(entries);
  f.tags();
}

}  // namespace runnel::protocol::kafka
