// What a statement's names stand for; private to query/*.cc.
#pragma once

#include <memory>

#include "storage/views/query/definitions.h"
#include "storage/views/sql/ast.h"
#include "storage/views/types/zone.h"

namespace runnel::storage::views {

/// kNotFound, with the nearest name.
[[nodiscard]] Result<DefinitionRef> find_definition(const sql::Name& name,
                                                    const ReadSnapshot& snapshot);

/// Whose clock a query goes by: that of the view which is read, so that its days are the query's
/// days; else UTC.
[[nodiscard]] Result<std::shared_ptr<const Zone>> zone_of(const sql::Query& query,
                                                          const Definitions& definitions);

}  // namespace runnel::storage::views
