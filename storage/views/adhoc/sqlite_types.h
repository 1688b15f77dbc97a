// Types and values of views as SQLite has them, and back.
#pragma once

#include <cstdint>
#include <string>

#include "protocol/base/error.h"
#include "storage/views/plan/plan.h"
#include "storage/views/types/value.h"

namespace runnel::storage::views {

/// The type as SQLite is told: TEXT in it makes it keep texts, and it gives it back as it is.
[[nodiscard]] std::string sqlite_type_of(const Type& type);
/// Always with six digits of a fraction: texts of one length order as the times do.
[[nodiscard]] std::string sqlite_time_text(std::int64_t micros);
/// What passed through unchanged, as the type that it had. kInvalidArgument: it is none of these.
[[nodiscard]] Status from_sqlite(const Type& type, Value& value);

}  // namespace runnel::storage::views
