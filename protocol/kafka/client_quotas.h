// Limits of clients by user, client id or address.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/kafka/errors.h"
#include "protocol/kafka/fields.h"

namespace runnel::protocol::kafka {

/// One part of whom a quota is for, e.g. "user" and "alice".
struct QuotaEntity {
  std::string type;
  std::optional<std::string> name;  ///< null: the default
  void describe(Fields& f);
};

struct DescribeClientQuotasRequest : RequestOf<ApiKey::kDescribeClientQuotas> {
  struct Component {
    std::string entity_type;
    std::int8_t match_type = 0;  ///< 0: exact name, 1: the default, 2: any
    std::optional<std::string> match;
    void describe(Fields& f);
  };
  std::vector<Component> components;
  bool strict = false;
  void describe(Fields& f);
};

struct DescribeClientQuotasResponse : ResponseOf<ApiKey::kDescribeClientQuotas> {
  struct Value {
    std::string key;
    double value = 0;
    void describe(Fields& f);
  };
  struct Entry {
    std::vector<QuotaEntity> entity;
    std::vector<Value> values;
    void describe(Fields& f);
  };
  std::int32_t throttle_time_ms = 0;
  KafkaError error = KafkaError::kNone;
  std::optional<std::string> error_message;
  std::optional<std::vector<Entry>> entries;
  void describe(Fields& f);
};

struct AlterClientQuotasRequest : RequestOf<ApiKey::kAlterClientQuotas> {
  struct Operation {
    std::string key;
    double value = 0;
    bool remove = false;
    void describe(Fields& f);
  };
  struct Entry {
    std::vector<QuotaEntity> entity;
    std::vector<Operation> operations;
    void describe(Fields& f);
  };
  std::vector<Entry> entries;
  bool validate_only = false;
  void describe(Fields& f);
};

struct AlterClientQuotasResponse : ResponseOf<ApiKey::kAlterClientQuotas> {
  struct Entry {
    KafkaError error = KafkaError::kNone;
    std::optional<std::string> error_message;
    std::vector<QuotaEntity> entity;
    void describe(Fields& f);
  };
  std::int32_t throttle_time_ms = 0;
  std::vector<Entry> entries;
  void describe(Fields& f);
};

}  // namespace runnel::protocol::kafka
