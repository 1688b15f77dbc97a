// What consumers tell each other through JoinGroup and SyncGroup: the bytes a classic group of
// protocol type "consumer" passes along without reading.
//
// A blob is a 2-byte version, then classic (never compact) fields. Versions above the newest known
// are read as the newest: later ones may only add fields behind.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/base/error.h"
#include "protocol/kafka/fields.h"

namespace runnel::protocol::kafka {

inline constexpr std::int16_t kConsumerProtocolVersion = 3;

struct ConsumerPartitions {
  std::string topic;
  std::vector<PartitionIndex> partitions;
  void describe(Fields& f);
  friend bool operator==(const ConsumerPartitions&, const ConsumerPartitions&) = default;
};

/// What a member wants, in JoinGroup. Bytes are views of what was decoded.
struct ConsumerSubscription {
  std::vector<std::string> topics;
  std::optional<Bytes> user_data;
  std::vector<ConsumerPartitions> owned;  ///< v1
  std::int32_t generation_id = -1;        ///< v2; of what is owned
  std::optional<std::string> rack_id;     ///< v3
  void describe(Fields& f);
};

/// What a member gets, in SyncGroup. Bytes are views of what was decoded.
struct ConsumerAssignment {
  std::vector<ConsumerPartitions> partitions;
  std::optional<Bytes> user_data;
  void describe(Fields& f);
};

/// Errors: kMalformed.
[[nodiscard]] Result<ConsumerSubscription> decode_consumer_subscription(Bytes blob);
[[nodiscard]] Result<ConsumerAssignment> decode_consumer_assignment(Bytes blob);
/// `version` 0 to kConsumerProtocolVersion.
[[nodiscard]] std::string encode(const ConsumerSubscription& subscription,
                                 std::int16_t version = kConsumerProtocolVersion);
[[nodiscard]] std::string encode(const ConsumerAssignment& assignment,
                                 std::int16_t version = kConsumerProtocolVersion);

}  // namespace runnel::protocol::kafka
