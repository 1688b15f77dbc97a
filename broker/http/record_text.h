// Records as JSON, and the places in a topic where reading goes on.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/base/error.h"
#include "protocol/base/strong.h"
#include "protocol/record_batch/record_batch.h"

namespace runnel::broker::http {

/// Appends one line without line breaks:
///   {"partition":0,"offset":5,"timestamp":1763701200000,"key":"k","value":{...}}
/// A value that is JSON stands as it is ("value"), other text as a string ("text"), other bytes in
/// base64 ("base64"); without a value it is "value":null. A key that is no text is "key_base64".
/// Can be appended again as it is.
void append_record(const protocol::Record& record, std::int32_t partition, std::string& out);

/// Partitions and the next offset of each: "0:17,1:4".
using Cursor = std::vector<std::pair<std::int32_t, Offset>>;
[[nodiscard]] std::string format_cursor(const Cursor& cursor);
/// kInvalidArgument: it is none of ours.
[[nodiscard]] Result<Cursor> parse_cursor(std::string_view text);

}  // namespace runnel::broker::http
