#include "protocol/kafka/scram_credentials.h"

namespace runnel::protocol::kafka {

void DescribeUserScramCredentialsRequest::User::describe(Fields& f) {
  f(name);
  f.tags();
}
void DescribeUserScramCredentialsRequest::describe(Fields& f) {
  f(users);
  f.tags();
}

void DescribeUserScramCredentialsResponse::Credential::describe(Fields& f) {
  f(mechanism);
  f(iterations);
  f.tags();
}
void DescribeUserScramCredentialsResponse::Result::describe(Fields& f) {
  f(user);
  f(error);
  f(error_message);
  f(credentials);
  f.tags();
}
void DescribeUserScramCredentialsResponse::describe(Fields& f) {
  f(throttle_time_ms);
  f(error);
  f(error_message);
  f(results);
  f.tags();
}

void AlterUserScramCredentialsRequest::Deletion::describe(Fields& f) {
  f(name);
  f(mechanism);
  f.tags();
}
void AlterUserScramCredentialsRequest::Upsertion::describe(Fields& f) {
  f(name);
  f(mechanism);
  f(iterations);
  f(salt);
  f(salted_password);
  f.tags();
}
void AlterUserScramCredentialsRequest::describe(Fields& f) {
  f(deletions);
  f(upsertions);
  f.tags();
}

void AlterUserScramCredentialsResponse::Result::describe(Fields& f) {
  f(user);
  f(error);
  f(error_message);
  f.tags();
}
void AlterUserScramCredentialsResponse::describe(Fields& f) {
  f(throttle_time_ms);
  f(results);
  f.tags();
}

}  // namespace runnel::protocol::kafka
