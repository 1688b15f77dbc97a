// Which word was probably meant.
#pragma once

#include <initializer_list>
#include <optional>
#include <span>
#include <string_view>

namespace runnel::storage::sql {

/// The word among `words` that is nearest to `text`, if it is near enough to have been meant and
/// not the same.
[[nodiscard]] std::optional<std::string_view> nearest(std::string_view text,
                                                      std::span<const std::string_view> words);
[[nodiscard]] inline std::optional<std::string_view> nearest(
    std::string_view text, std::initializer_list<std::string_view> words) {
  return nearest(text, std::span(words.begin(), words.size()));
}

}  // namespace runnel::storage::sql
