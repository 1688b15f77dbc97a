// One JSON value as a column's type.
#pragma once

#include "storage/views/json/scan.h"
#include "storage/views/plan/program.h"

namespace runnel::storage::views {

/// As Decoder's table says. kWrongType, kOutOfRange, kInvalidText, kNotUtf8, kTooLarge.
[[nodiscard]] RowError convert_json(const JsonToken& token, const Type& type, Arena& arena,
                                    Value& out);

}  // namespace runnel::storage::views
