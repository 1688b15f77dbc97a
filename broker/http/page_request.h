// Which rows of a view a request asks for: the parameters, and what they say.
#pragma once

#include <vector>

#include "broker/http/call.h"
#include "broker/http/router.h"
#include "storage/views/query/view_page.h"

namespace runnel::broker::http {

/// key, from, to, where, columns, order.
[[nodiscard]] std::vector<Param> page_parameters();

struct AskedRows {
  storage::views::PageRequest request;  ///< limit and cursor are the handler's
  /// The same rows for as long as the view has the same version; else they depend on the time.
  bool has_version = true;
};
/// kInvalidArgument.
[[nodiscard]] Result<AskedRows> asked_rows_of(const Call& call);

}  // namespace runnel::broker::http
