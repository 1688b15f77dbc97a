// Looking for a text in another in linear time, however the two are made.
#pragma once

#include <cstring>
#include <string_view>

namespace runnel::storage::views {

inline constexpr std::size_t kNotFound = std::string_view::npos;

/// Where `part` first begins in `text` at or behind `from`, which is in the text or its end;
/// kNotFound. std::string_view::find() takes the product of both lengths for some texts.
[[nodiscard]] inline std::size_t find_text(std::string_view text, std::string_view part,
                                           std::size_t from = 0) noexcept {
  const std::string_view rest = text.substr(from);
  if (part.empty()) return from;
  if (part.size() > rest.size()) return kNotFound;
  const void* const at = ::memmem(rest.data(), rest.size(), part.data(), part.size());
  if (at == nullptr) return kNotFound;
  return static_cast<std::size_t>(static_cast<const char*>(at) - text.data());
}

}  // namespace runnel::storage::views
