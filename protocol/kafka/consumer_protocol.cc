#include "protocol/kafka/consumer_protocol.h"

#include <algorithm>

#include "protocol/kafka/codec.h"

namespace runnel::protocol::kafka {
namespace {

template <class T>
Result<T> decode_blob(Bytes blob, std::string_view what) {
  Reader head(blob, 0, false);
  std::int16_t version = 0;
  head(version);
  RUNNEL_TRY(head.status(what));
  if (version < 0) return fail(ErrorCode::kMalformed, std::string(what) + " has no version");
  Reader reader(head.rest(), std::min(version, kConsumerProtocolVersion), false);
  T value;
  value.describe(reader);
  RUNNEL_TRY(reader.status(what));
  return value;
}

template <class T>
std::string encode_blob(const T& value, std::int16_t version) {
  RUNNEL_ASSERT(version >= 0 && version <= kConsumerProtocolVersion);
  Writer writer(version, false);
  writer.out().be(version);
  writer.write(value);
  return writer.out().take();
}

}  // namespace

void ConsumerPartitions::describe(Fields& f) {
  f(topic);
  f(partitions);
}
void ConsumerSubscription::describe(Fields& f) {
  f(topics);
  f(user_data);
  f(owned, from(1));
  f(generation_id, from(2));
  f(rack_id, from(3));
}
void ConsumerAssignment::describe(Fields& f) {
  f(partitions);
  f(user_data);
}

Result<ConsumerSubscription> decode_consumer_subscription(Bytes blob) {
  return decode_blob<ConsumerSubscription>(blob, "a consumer's subscription");
}
Result<ConsumerAssignment> decode_consumer_assignment(Bytes blob) {
  return decode_blob<ConsumerAssignment>(blob, "a consumer's assignment");
}
std::string encode(const ConsumerSubscription& subscription, std::int16_t version) {
  return encode_blob(subscription, version);
}
std::string encode(const ConsumerAssignment& assignment, std::int16_t version) {
  return encode_blob(assignment, version);
}

}  // namespace runnel::protocol::kafka
