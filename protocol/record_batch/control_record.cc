#include "protocol/record_batch/control_record.h"

#include "protocol/base/bytes.h"
#include "protocol/record_batch/record_batch.h"

namespace runnel::protocol {
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

Buffer end_txn_batch(const EndTxnMarker& marker, ProducerId producer, ProducerEpoch epoch,
                     Timestamp time) {
  BatchOptions options;
  options.producer_id = producer;
  options.producer_epoch = epoch;
  options.transactional = true;
  options.control = true;
  BatchBuilder builder(options);
  const std::string key = encode_control_key(marker.type);
  const std::string value = encode_control_value(marker.coordinator_epoch);
  builder.add({time, key, value});
  auto batch = builder.finish();
  RUNNEL_ASSERT(batch.has_value() && batch->size() <= kMaxEndTxnBatchBytes);
  return std::move(*batch);
}

Result<EndTxnMarker> read_end_txn_batch(Bytes batch) {
  RUNNEL_TRY_ASSIGN(auto records, RecordReader::open(batch));
  RUNNEL_TRY_ASSIGN(const auto record, records.next());
  if (!record || !record->key || !record->value) {
    return fail(ErrorCode::kMalformed, "a control batch has no record with a key and a value");
  }
  return decode_end_txn_marker(*record->key, *record->value);
}

}  // namespace runnel::protocol
