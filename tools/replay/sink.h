// Where a replay's records go.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "protocol/base/error.h"
#include "tools/replay/session.h"
#include "tools/text/record.h"
#include "tools/text/record_format.h"

namespace runnel::tools {

/// Not thread safe.
class ReplaySink {
 public:
  virtual ~ReplaySink() = default;
  /// Takes records that were read in this order; the session commits as the sink's promise asks.
  [[nodiscard]] virtual Status take(std::span<const ShownRecord> records,
                                    ReplaySession& session) = 0;
  /// After the last record.
  [[nodiscard]] virtual Status finish() { return {}; }
};

struct TopicSinkOptions {
  std::string topic;
  std::int32_t partitions = 0;          ///< of the topic
  bool by_key = false;                  ///< else a record keeps its partition's number
  std::uint64_t max_message_bytes = 0;  ///< of the topic
  std::string mark;                     ///< value of the header runnel.replay
};
/// Exactly once where the session has a name: records and its offsets are one write. Each record is
/// marked with the headers runnel.replay and runnel.replay.origin (TOPIC/PARTITION/OFFSET).
[[nodiscard]] std::unique_ptr<ReplaySink> topic_sink(TopicSinkOptions options);
/// At least once: what was printed is committed within a second.
[[nodiscard]] std::unique_ptr<ReplaySink> print_sink(RecordWriter writer);
/// At least once: runs `command` in a shell for each record, a JSON object on its standard input,
/// and commits when it has ended well. kIo: it has not.
[[nodiscard]] std::unique_ptr<ReplaySink> command_sink(std::string command);

}  // namespace runnel::tools
