// The end of a replay that goes into a topic: records and the replay's position in one write.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "client/src/replay_session.h"

namespace runnel::client {

/// Not thread safe. Waits for the broker.
class ReplayWriter {
 public:
  /// Looks the target up. Errors: invalid_argument (it is one of the sources, or has too few
  /// partitions), unknown_topic.
  [[nodiscard]] static Outcome<ReplayWriter> open(Client& client, const ReplayOptions& options);

  /// Writes records of one partition; the session passes each in the commit that writes it.
  [[nodiscard]] Outcome<void> write(std::span<const Record> records, ReplaySession& session);

 private:
  ReplayWriter(ReplayTarget target, std::int32_t partitions, std::uint64_t max_message_bytes);
  [[nodiscard]] std::int32_t partition_of(const Record& record) const;
  void add(const Record& record, std::int32_t partition, Transaction& write);

  ReplayTarget target_;
  std::int32_t partitions_;
  std::uint64_t most_bytes_;
  std::vector<Header> headers_;
};

}  // namespace runnel::client
