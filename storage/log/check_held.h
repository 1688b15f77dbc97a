// The offline check for who holds the directory already.
#pragma once

#include <functional>
#include <string>

#include "storage/check.h"
#include "storage/log/directory.h"

namespace runnel::storage {

/// read_format() of a directory that should hold data. kNotFound says that it does not.
[[nodiscard]] Result<DirectoryFormat> read_format_of_data(FileSystem& fs,
                                                          const std::string& directory);
/// check_directory() of a directory that is locked by the caller.
[[nodiscard]] Result<CheckReport> check_held_directory(
    const std::string& directory, FileSystem& fs, const DirectoryFormat& format,
    const std::function<void(std::uint64_t, std::uint64_t)>& progress);

}  // namespace runnel::storage
