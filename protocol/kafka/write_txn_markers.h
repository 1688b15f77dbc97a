// Markers that end transactions, written to partitions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "protocol/kafka/errors.h"
#include "protocol/kafka/fields.h"

namespace runnel::protocol::kafka {

struct WriteTxnMarkersRequest : RequestOf<ApiKey::kWriteTxnMarkers> {
  struct Topic {
    std::string name;
    std::vector<PartitionIndex> partitions;
    void describe(Fields& f);
  };
  struct Marker {
    ProducerId producer_id;
    ProducerEpoch producer_epoch;
    bool committed = false;
    std::vector<Topic> topics;
    std::int32_t coordinator_epoch = 0;
    std::int8_t transaction_version = 0;
    void describe(Fields& f);
  };
  std::vector<Marker> markers;
  void describe(Fields& f);
};

struct WriteTxnMarkersResponse : ResponseOf<ApiKey::kWriteTxnMarkers> {
  struct Partition {
    PartitionIndex index;
    KafkaError error = KafkaError::kNone;
    void describe(Fields& f);
  };
  struct Topic {
    std::string name;
    std::vector<Partition> partitions;
    void describe(Fields& f);
  };
  struct Marker {
    ProducerId producer_id;
    std::vector<Topic> topics;
    void describe(Fields& f);
  };
  std::vector<Marker> markers;
  void describe(Fields& f);
};

}  // namespace runnel::protocol::kafka
