// Where a replay's records go that are not written to a topic.
#pragma once

#include <memory>
#include <string>

#include "protocol/base/error.h"
#include "runnel/client.h"
#include "tools/text/record_format.h"

namespace runnel::tools {

/// Prints records. Not thread safe.
class RecordPrinter {
 public:
  explicit RecordPrinter(RecordWriter writer) : writer_(std::move(writer)) {}
  [[nodiscard]] Status print(std::span<const Record> records);
  /// After the last record.
  [[nodiscard]] Status finish();

 private:
  RecordWriter writer_;
  std::string out_;
};

/// Runs `command` in a shell, the record as a JSON object on its standard input and the replay's
/// name as RUNNEL_REPLAY. kIo: it has not ended well.
[[nodiscard]] Status run_command(const std::string& command, const std::string& replay,
                                 const Record& record);

}  // namespace runnel::tools
