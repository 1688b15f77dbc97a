// Records as the REST proxy's clients send them.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/http/append_rows.h"
#include "broker/http/proxy_call.h"

namespace runnel::broker::http {

/// A key or value: its bytes and the name of how they came ("BINARY", "JSON", ...).
struct ProxyData {
  std::optional<std::string_view> bytes;
  std::string_view type;
  bool has_schema = false;  ///< they begin with a schema's id
};
struct ProxyRecord {
  AppendRow row;
  ProxyData key;
  ProxyData value;
};

/// Bodies of produce requests. Texts lie in the body, which must outlive it, or in this.
class ProxyRecords {
 public:
  /// {"records":[{"key","value","partition"}], "value_schema_id":...}. `type`: the media type.
  /// Errors: kInvalidArgument.
  [[nodiscard]] Status read_v2(std::string_view body, std::string_view type);
  /// Objects one behind the other: {"partition_id","headers","key":{"type","data"},"value",
  /// "timestamp"}. Errors: kInvalidArgument.
  [[nodiscard]] Status read_v3(std::string_view body);
  [[nodiscard]] std::vector<ProxyRecord>& records() noexcept { return records_; }

 private:
  /// Values as they stand, until it is known what they are.
  struct Raw {
    std::optional<std::string_view> key;
    std::optional<std::string_view> value;
  };
  [[nodiscard]] Status read_v2_record(JsonReader& in, std::vector<Raw>& raws);
  [[nodiscard]] Status read_v3_record(JsonReader& in);
  [[nodiscard]] Status read_headers(JsonReader& in, AppendRow& row);
  [[nodiscard]] Status read_header(JsonReader& in, AppendRow& row);
  [[nodiscard]] Status read_data(JsonReader& in, ProxyData& to);
  [[nodiscard]] Status take(std::optional<std::string_view> raw, std::string_view type,
                            std::optional<std::int64_t> schema, ProxyData& to);
  [[nodiscard]] Result<std::string_view> unbase64(std::string_view text);
  [[nodiscard]] std::string_view keep(std::string text) {
    return texts_.emplace_back(std::move(text));
  }
  [[nodiscard]] Status add(ProxyRecord record);

  std::vector<ProxyRecord> records_;
  std::deque<std::string> texts_;
  std::deque<JsonReader> readers_;  ///< hold unescaped texts
};

}  // namespace runnel::broker::http
