#include "tools/text/table.h"

#include <algorithm>

namespace runnel::tools {
namespace {

bool is_number(const std::string& cell) {
  return !cell.empty() && cell.find_first_not_of("0123456789.-+") == std::string::npos;
}

}  // namespace

std::string format_table(const std::vector<std::vector<std::string>>& rows) {
  if (rows.empty()) return {};
  const std::size_t columns = rows.front().size();
  std::vector<std::size_t> widths(columns, 0);
  std::vector<bool> numbers(columns, rows.size() > 1);
  for (std::size_t r = 0; r < rows.size(); ++r) {
    for (std::size_t c = 0; c < columns; ++c) {
      widths[c] = std::max(widths[c], rows[r][c].size());
      if (r > 0 && !is_number(rows[r][c])) numbers[c] = false;
    }
  }
  std::string out;
  for (const auto& row : rows) {
    for (std::size_t c = 0; c < columns; ++c) {
      const std::size_t padding = widths[c] - row[c].size();
      if (numbers[c]) out.append(padding, ' ');
      out += row[c];
      if (c + 1 == columns) break;
      if (!numbers[c]) out.append(padding, ' ');
      out += "  ";
    }
    out += '\n';
  }
  return out;
}

}  // namespace runnel::tools
