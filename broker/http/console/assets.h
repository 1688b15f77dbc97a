// The console's files, as they are in the program. pack.py makes the source at build time.
#pragma once

#include <span>
#include <string_view>

namespace runnel::broker::http::console {

/// One file of assets/. All of it lives as long as the program.
struct Asset {
  std::string_view name;  ///< "main.js"
  std::string_view type;  ///< "text/javascript; charset=utf-8"
  std::string_view plain;
  std::string_view gzip;  ///< the same, compressed
};

/// Names the files that are compiled in: a digest of them all, 16 digits. They are served below it,
/// so that a browser may keep them for ever.
[[nodiscard]] std::string_view build() noexcept;
/// By name; index.html among them. Thread safe.
[[nodiscard]] std::span<const Asset> assets();

}  // namespace runnel::broker::http::console
