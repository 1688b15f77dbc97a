// The command line's names for protocol/text/csv.h.
#pragma once

#include "protocol/text/csv.h"

namespace runnel::tools {

using protocol::CsvReader;
using protocol::CsvRow;
using protocol::kByteOrderMark;
using protocol::kMaxCsvRowBytes;

}  // namespace runnel::tools
