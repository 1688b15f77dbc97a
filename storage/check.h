// The offline check of a directory that no process has open.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "protocol/base/error.h"
#include "storage/env/file_system.h"

namespace runnel::storage {

struct Damage {
  std::string file;  ///< relative to the directory
  std::uint64_t position = 0;
  std::uint64_t length = 0;
  std::string what;
  /// Records that lie there, as far as the index knows: "orders[0] offsets 400 to 499".
  std::vector<std::string> records = {};
};
struct CheckReport {
  std::uint64_t frames = 0;
  std::uint64_t batches = 0;
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;
  std::vector<Damage> damages;
  std::vector<std::string> notes;  ///< harmless findings, e.g. a torn tail
};
/// Verifies every checksum of a directory that no process has open; changes nothing. `progress` is
/// called with (bytes done, bytes in all).
[[nodiscard]] Result<CheckReport> check_directory(
    const std::string& directory, FileSystem& fs,
    const std::function<void(std::uint64_t, std::uint64_t)>& progress = {});

}  // namespace runnel::storage
