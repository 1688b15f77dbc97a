// Copying and checking stretches of files.
#pragma once

#include <xxhash.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "protocol/base/error.h"
#include "storage/env/file_system.h"

namespace runnel::tools {

/// XXH3-64 as 16 hex digits.
class Xxh3 {
 public:
  Xxh3();
  void add(std::string_view bytes);
  [[nodiscard]] std::string hex() const;

 private:
  std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> state_;
};
[[nodiscard]] std::string xxh3_of(std::string_view bytes);

/// Told how many bytes more were read.
using Did = std::function<void(std::uint64_t)>;

/// A stretch of a file that is read.
struct Stretch {
  const storage::File* file = nullptr;
  std::uint64_t from = 0;
  std::uint64_t bytes = 0;
};
/// Reads it, writes it to `to` at `at` unless that is null, and answers its XXH3. What it reads and
/// writes leaves the machine's page cache unless it was there before. kCorrupt: the file is
/// shorter.
[[nodiscard]] Result<std::string> copy_stretch(const Stretch& what, storage::File* to,
                                               std::uint64_t at, const Did& did);

/// Of a file, nanoseconds since 1970. kNotFound, kIo.
[[nodiscard]] Result<std::int64_t> modified_nanos(const std::string& path);
/// With all that is missing on the way to it, durably. kIo.
[[nodiscard]] Status make_directories(const std::string& path);

}  // namespace runnel::tools
