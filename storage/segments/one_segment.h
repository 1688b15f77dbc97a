// The segments of a directory, one open at a time.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>

#include "storage/env/file_system.h"

namespace runnel::storage {

/// For offline looks at stores of any size: however many segments there are, it needs one
/// descriptor. Not thread safe.
class OneSegment {
 public:
  OneSegment(FileSystem& fs, std::string directory) : fs_(fs), directory_(std::move(directory)) {}

  /// The segment's file, null if it was missing at the first call. Errors: kIo and kNotFound if it
  /// is there and can't be opened: that says nothing about what is in it.
  [[nodiscard]] Result<std::shared_ptr<File>> open(std::uint32_t number);

 private:
  FileSystem& fs_;
  const std::string directory_;
  std::optional<std::set<std::string>> names_;
  std::uint32_t number_ = 0;
  std::shared_ptr<File> file_;  ///< of `number_`
};

}  // namespace runnel::storage
