// Access control lists. Types, operations and permissions are Kafka's numbers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/kafka/errors.h"
#include "protocol/kafka/fields.h"

namespace runnel::protocol::kafka {

inline constexpr std::int8_t kLiteralPattern = 3;

struct DescribeAclsRequest : RequestOf<ApiKey::kDescribeAcls> {
  std::int8_t resource_type = 0;
  std::optional<std::string> resource_name;
  std::int8_t pattern_type = kLiteralPattern;
  std::optional<std::string> principal;
  std::optional<std::string> host;
  std::int8_t operation = 0;
  std::int8_t permission = 0;
  void describe(Fields& f);
};

struct DescribeAclsResponse : ResponseOf<ApiKey::kDescribeAcls> {
  struct Acl {
    std::string principal;
    std::string host;
    std::int8_t operation = 0;
    std::int8_t permission = 0;
    void describe(Fields& f);
  };
  struct Resource {
    std::int8_t type = 0;
    std::string name;
    std::int8_t pattern_type = kLiteralPattern;
    std::vector<Acl> acls;
    void describe(Fields& f);
  };
  std::int32_t throttle_time_ms = 0;
  KafkaError error = KafkaError::kNone;
  std::optional<std::string> error_message;
  std::vector<Resource> resources;
  void describe(Fields& f);
};

struct CreateAclsRequest : RequestOf<ApiKey::kCreateAcls> {
  struct Acl {
    std::int8_t resource_type = 0;
    std::string resource_name;
    std::int8_t pattern_type = kLiteralPattern;
    std::string principal;
    std::string host;
    std::int8_t operation = 0;
    std::int8_t permission = 0;
    void describe(Fields& f);
  };
  std::vector<Acl> acls;
  void describe(Fields& f);
};

struct CreateAclsResponse : ResponseOf<ApiKey::kCreateAcls> {
  struct Result {
    KafkaError error = KafkaError::kNone;
    std::optional<std::string> error_message;
    void describe(Fields& f);
  };
  std::int32_t throttle_time_ms = 0;
  std::vector<Result> results;
  void describe(Fields& f);
};

struct DeleteAclsRequest : RequestOf<ApiKey::kDeleteAcls> {
  struct Filter {
    std::int8_t resource_type = 0;
    std::optional<std::string> resource_name;
    std::int8_t pattern_type = kLiteralPattern;
    std::optional<std::string> principal;
    std::optional<std::string> host;
    std::int8_t operation = 0;
    std::int8_t permission = 0;
    void describe(Fields& f);
  };
  std::vector<Filter> filters;
  void describe(Fields& f);
};

struct DeleteAclsResponse : ResponseOf<ApiKey::kDeleteAcls> {
  struct Acl {
    KafkaError error = KafkaError::kNone;
    std::optional<std::string> error_message;
    std::int8_t resource_type = 0;
    std::string resource_name;
    std::int8_t pattern_type = kLiteralPattern;
    std::string principal;
    std::string host;
    std::int8_t operation = 0;
    std::int8_t permission = 0;
    void describe(Fields& f);
  };
  struct Result {
    KafkaError error = KafkaError::kNone;
    std::optional<std::string> error_message;
    std::vector<Acl> acls;
    void describe(Fields& f);
  };
  std::int32_t throttle_time_ms = 0;
  std::vector<Result> results;
  void describe(Fields& f);
};

}  // namespace runnel::protocol::kafka
