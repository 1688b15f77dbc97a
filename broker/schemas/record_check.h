// Whether the keys and values of records name a schema of their topic's subject, and fit it. All
// ways by which records come in from outside ask here.
//
// What is looked at, of a key or value that is there (one that is not passes):
//
//   byte 0      0, the magic of Confluent's serializers
//   bytes 1-4   big endian: the schema's id, of a version of TOPIC-key or TOPIC-value that is not
//               deleted
//   from 5      JSON Schema: one JSON text that is valid under the schema. Avro, Protobuf: not read
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/schemas/registry.h"
#include "protocol/record_batch/record_batch.h"
#include "storage/store.h"

namespace runnel::broker::schemas {

/// JSON that is longer is refused where it has to be valid: read, it takes up to 16 times as much.
inline constexpr std::size_t kMaxCheckedJsonBytes = 1u << 20;

/// The records of one request that go to one topic. Not thread safe. Calls block.
class RecordCheck {
 public:
  /// `registry` outlives it. `rules`: of the topic.
  RecordCheck(Registry& registry, std::string_view topic, const storage::RecordRules& rules);

  /// nullopt: the record may be stored; else what is wrong with it and what to do. kIo: the
  /// registry could not be read.
  [[nodiscard]] Result<std::optional<std::string>> why_refused(
      std::optional<std::string_view> key, std::optional<std::string_view> value);

  struct Refused {
    std::int32_t index = 0;  ///< of the record in its batch
    std::string why;
  };
  /// The first `most` records of a whole batch (validate_batch at kCrc passed) that may not be
  /// stored. Takes what the batch unpacks to from `room`. Errors: kIo; kMalformed and
  /// kRecordTooLarge of a batch that can't be read.
  [[nodiscard]] Result<std::vector<Refused>> refused_in(Bytes batch, std::size_t most,
                                                        std::size_t& room);

 private:
  /// Keys or values.
  struct Part {
    std::string_view name;  ///< for people
    std::string subject;
    bool wanted = false;
    std::map<SchemaId, Reply<WritingSchema>> known = {};  ///< so far; few
  };
  [[nodiscard]] Result<std::optional<std::string>> why_refused(Part& part, std::string_view bytes);
  [[nodiscard]] const Reply<WritingSchema>& schema_of(Part& part, SchemaId id);

  Registry& registry_;
  Part key_;
  Part value_;
};

}  // namespace runnel::broker::schemas
