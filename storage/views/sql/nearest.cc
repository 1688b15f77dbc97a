#include "storage/views/sql/nearest.h"

#include <algorithm>
#include <vector>

namespace runnel::storage::sql {

std::optional<std::string_view> nearest(std::string_view text,
                                        std::span<const std::string_view> words) {
  // Damerau's distance, of neighbours only; a third of the letters may be wrong.
  const auto distance = [](std::string_view a, std::string_view b) {
    std::vector<std::size_t> before(b.size() + 1);
    std::vector<std::size_t> above(b.size() + 1);
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) above[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
      row[0] = i;
      for (std::size_t j = 1; j <= b.size(); ++j) {
        row[j] =
            std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
        const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
        if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
      }
      before.swap(above);
      above.swap(row);
    }
    return above[b.size()];
  };
  std::optional<std::string_view> best;
  std::size_t least = std::max<std::size_t>(1, text.size() / 3) + 1;
  for (const std::string_view word : words) {
    const std::size_t d = distance(text, word);
    if (d != 0 && d < least) {
      least = d;
      best = word;
    }
  }
  return best;
}

}  // namespace runnel::storage::sql
