// What SQLite answers; private to query/*.cc.
#pragma once

#include <string_view>

#include "storage/views/query/query.h"

namespace runnel::storage::views {

/// A SELECT that the views' own SQL can't hold, by its text. Errors: as run_query().
[[nodiscard]] Result<Answer> run_beyond(std::string_view sql, const ReadSnapshot& snapshot,
                                        const QueryLimits& limits);

}  // namespace runnel::storage::views
