// Users' SCRAM credentials.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/kafka/errors.h"
#include "protocol/kafka/fields.h"

namespace runnel::protocol::kafka {

struct DescribeUserScramCredentialsRequest : RequestOf<ApiKey::kDescribeUserScramCredentials> {
  struct User {
    std::string name;
    void describe(Fields& f);
  };
  std::optional<std::vector<User>> users;  ///< null: all
  void describe(Fields& f);
};

struct DescribeUserScramCredentialsResponse : ResponseOf<ApiKey::kDescribeUserScramCredentials> {
  struct Credential {
    std::int8_t mechanism = 0;
    std::int32_t iterations = 0;
    void describe(Fields& f);
  };
  struct Result {
    std::string user;
    KafkaError error = KafkaError::kNone;
    std::optional<std::string> error_message;
    std::vector<Credential> credentials;
    void describe(Fields& f);
  };
  std::int32_t throttle_time_ms = 0;
  KafkaError error = KafkaError::kNone;
  std::optional<std::string> error_message;
  std::vector<Result> results;
  void describe(Fields& f);
};

struct AlterUserScramCredentialsRequest : RequestOf<ApiKey::kAlterUserScramCredentials> {
  struct Deletion {
    std::string name;
    std::int8_t mechanism = 0;
    void describe(Fields& f);
  };
  struct Upsertion {
    std::string name;
    std::int8_t mechanism = 0;
    std::int32_t iterations = 0;
    Bytes salt;
    Bytes salted_password;
    void describe(Fields& f);
  };
  std::vector<Deletion> deletions;
  std::vector<Upsertion> upsertions;
  void describe(Fields& f);
};

struct AlterUserScramCredentialsResponse : ResponseOf<ApiKey::kAlterUserScramCredentials> {
  struct Result {
    std::string user;
    KafkaError error = KafkaError::kNone;
    std::optional<std::string> error_message;
    void describe(Fields& f);
  };
  std::int32_t throttle_time_ms = 0;
  std::vector<Result> results;
  void describe(Fields& f);
};

}  // namespace runnel::protocol::kafka
