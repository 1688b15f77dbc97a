#include "protocol/kafka/control_record.h"

#include "protocol/base/bytes.h"

namespace runnel::protocol::kafka {
namespace {

constexpr std::int16_t kVersion = 0;

}  // namespace

std::string encode_control_key(ControlType type) {
  return ByteWriter().be(kVersion).be(static_cast<std::int16_t>(type)).take();
}

std::string encode_control_value(std::int32_t coordinator_epoch) {
  return ByteWriter().be(kVersion).be(coordinator_epoch).take();
}

Result<EndTxnMarker> decode_end_txn_marker(std::string_view key, std::string_view value) {
  ByteReader key_in(as_bytes(key));
  ByteReader value_in(as_bytes(value));
  const auto key_version = key_in.be<std::int16_t>();
  const auto type = key_in.be<std::int16_t>();
  const auto value_version = value_in.be<std::int16_t>();
  const auto epoch = value_in.be<std::int32_t>();
  if (!key_in.ok() || key_version < 0) {
    return fail(ErrorCode::kMalformed, "the key of a control record is not one");
  }
  if (type != static_cast<std::int16_t>(ControlType::kAbort) &&
      type != static_cast<std::int16_t>(ControlType::kCommit)) {
    return fail(ErrorCode::kUnsupported,
                "control record type " + std::to_string(type) + " ends no transaction");
  }
  if (!value_in.ok() || value_version < 0) {
    return fail(ErrorCode::kMalformed, "the value of a transaction marker is not one");
  }
  return EndTxnMarker{static_cast<ControlType>(type), epoch};
}

}  // namespace runnel::protocol::kafka
