// Text in aligned columns.
#pragma once

#include <string>
#include <vector>

namespace runnel::tools {

/// Rows of equal length; columns whose cells are all numbers (the first row, a heading, aside) are
/// aligned to the right. Ends in a line break.
[[nodiscard]] std::string format_table(const std::vector<std::vector<std::string>>& rows);

}  // namespace runnel::tools
